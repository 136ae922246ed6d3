// The other script of orgate. It posts the form of the page, which carries a message to an
// identity provider, so that nobody has to click. The page is whole without it.
document.addEventListener("DOMContentLoaded", () => {
	"use strict";
	document.forms[0].submit();
});
