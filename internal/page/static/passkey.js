// One of the two scripts of orgate. It hands the options in a form to the browser, and the browser's
// answer to the form, which it posts. It connects to nothing and writes no text: what it
// has to say is in the page, and is shown. The page is whole without it.
(() => {
	"use strict";
	if (!window.PublicKeyCredential || !navigator.credentials) return;
	// Before anything is seen: the stylesheet shows by this class what can be done.
	document.documentElement.classList.add("passkeys");

	const bytes = (s) => Uint8Array.from(atob(s.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
	const base64url = (b) => btoa(String.fromCharCode(...new Uint8Array(b))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

	// The options as the browser wants them; by hand where it can't read JSON itself.
	const options = (kind, json) => {
		const o = json.publicKey || json;
		const parse = kind === "create" ? "parseCreationOptionsFromJSON" : "parseRequestOptionsFromJSON";
		if (PublicKeyCredential[parse]) return PublicKeyCredential[parse](o);
		const out = { ...o, challenge: bytes(o.challenge) };
		for (const list of ["allowCredentials", "excludeCredentials"]) {
			if (o[list]) out[list] = o[list].map((c) => ({ ...c, id: bytes(c.id) }));
		}
		if (o.user) out.user = { ...o.user, id: bytes(o.user.id) };
		return out;
	};

	// The answer as JSON; by hand where there is no toJSON, or a password manager's own
	// that fails.
	const answer = (c) => {
		try {
			return JSON.stringify(c.toJSON());
		} catch {
			const response = {};
			for (const k of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
				if (c.response[k]) response[k] = base64url(c.response[k]);
			}
			if (c.response.getTransports) response.transports = c.response.getTransports();
			return JSON.stringify({
				id: c.id, rawId: base64url(c.rawId), type: c.type, response,
				authenticatorAttachment: c.authenticatorAttachment || undefined,
				clientExtensionResults: c.getClientExtensionResults(),
			});
		}
	};

	const forms = () => document.querySelectorAll("form[data-passkey]");
	const button = (form) => form.querySelector("button");
	const says = (form, what) => form.querySelectorAll("[data-passkey-says]").forEach((e) => { e.hidden = e.dataset.passkeySays !== what; });

	// What the browser was asked last. There can be one question at a time, and it must be
	// over before the next.
	let last = { abort() {}, over: Promise.resolve() };

	// ask resolves when the question is over. A quiet one has the browser suggest passkeys in
	// the field for the address, and nobody need notice it.
	const ask = (form, quiet) => {
		const before = last, control = new AbortController();
		const question = async () => {
			before.abort();
			await before.over;
			const kind = form.dataset.passkey;
			const how = { publicKey: options(kind, JSON.parse(form.dataset.passkeyOptions)), signal: control.signal };
			if (quiet) how.mediation = "conditional";
			const c = await (kind === "create" ? navigator.credentials.create(how) : navigator.credentials.get(how));
			form.elements.credential.value = answer(c);
			HTMLFormElement.prototype.submit.call(form);
		};
		if (!quiet) {
			says(form, "");
			button(form).disabled = true; // until the next page is there, or it failed
		}
		last = {
			abort: () => control.abort(),
			over: question().catch((e) => {
				if (quiet || control.signal.aborted) return;
				says(form, e.name === "InvalidStateError" ? "known" : "failed");
				button(form).disabled = false;
				button(form).focus();
			}),
		};
	};

	const suggest = () => {
		for (const form of forms()) {
			if (!("passkeyAutofill" in form.dataset) || !PublicKeyCredential.isConditionalMediationAvailable) continue;
			const asked = last;
			PublicKeyCredential.isConditionalMediationAvailable().then((can) => { if (can && last === asked) ask(form, true); }, () => {});
		}
	};

	document.addEventListener("DOMContentLoaded", () => {
		for (const form of forms()) {
			form.addEventListener("submit", (e) => {
				e.preventDefault();
				ask(form, false);
			});
		}
		suggest();
	});

	addEventListener("pagehide", () => last.abort());

	// Whoever comes back to the page by the back button finds it as it was at first.
	addEventListener("pageshow", (e) => {
		if (!e.persisted) return;
		for (const form of forms()) {
			form.elements.credential.value = "";
			says(form, "");
			button(form).disabled = false;
		}
		suggest();
	});
})();
