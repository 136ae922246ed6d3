package ssotest

import (
	"strings"
	"time"

	"github.com/beevik/etree"
)

// late is a little more than the minute that clocks may differ by.
const late = 65 * time.Second

// conditionAttacks are genuine assertions that are for another, for another time or for no
// time at all. They are signed: whoever has an old one, or one for another application of
// the same provider, has such a thing.
func conditionAttacks() []SAMLAttack {
	const (
		audience  = "every AudienceRestriction names us"
		recipient = "Recipient is our address"
		request   = "InResponseTo is the request, in both places"
		clock     = "time, with a minute's leeway"
	)
	// each is an attack that changes the assertion.
	each := func(name, what, check string, f func(p *SAMLProvider, ask SAMLAsk, r, a *etree.Element)) SAMLAttack {
		return SAMLAttack{name, what, check, issued(f)}
	}
	data := func(a *etree.Element) *etree.Element { return a.FindElement(".//SubjectConfirmationData") }
	conditions := func(a *etree.Element) *etree.Element { return a.SelectElement("Conditions") }
	return []SAMLAttack{
		each("audience-other", "for another application", audience, func(_ *SAMLProvider, _ SAMLAsk, _, a *etree.Element) {
			a.FindElement(".//Audience").SetText("https://other.test/saml/metadata")
		}),
		each("audience-missing", "no AudienceRestriction", audience, func(_ *SAMLProvider, _ SAMLAsk, _, a *etree.Element) {
			conditions(a).RemoveChild(a.FindElement(".//AudienceRestriction"))
		}),
		each("audience-none-in-restriction", "an AudienceRestriction without an Audience", audience, func(_ *SAMLProvider, _ SAMLAsk, _, a *etree.Element) {
			x := a.FindElement(".//AudienceRestriction")
			x.RemoveChild(x.SelectElement("Audience"))
		}),
		each("audience-empty", "an empty Audience", audience, func(_ *SAMLProvider, _ SAMLAsk, _, a *etree.Element) { a.FindElement(".//Audience").SetText("") }),
		each("audience-two-restrictions", "one for us and one for another", audience, func(_ *SAMLProvider, _ SAMLAsk, _, a *etree.Element) {
			conditions(a).CreateElement("saml2:AudienceRestriction").CreateElement("saml2:Audience").SetText("https://other.test/saml/metadata")
		}),
		each("audience-case", "our name in capitals", audience, func(_ *SAMLProvider, ask SAMLAsk, _, a *etree.Element) {
			a.FindElement(".//Audience").SetText(strings.ToUpper(ask.Audience))
		}),
		each("audience-slash", "our name with a slash at its end", audience, func(_ *SAMLProvider, ask SAMLAsk, _, a *etree.Element) {
			a.FindElement(".//Audience").SetText(ask.Audience + "/")
		}),
		each("audience-longer", "a name that begins as ours does", audience, func(_ *SAMLProvider, ask SAMLAsk, _, a *etree.Element) {
			a.FindElement(".//Audience").SetText(ask.Audience + ".evil.test")
		}),
		each("recipient-other", "to another's address", recipient, func(_ *SAMLProvider, _ SAMLAsk, _, a *etree.Element) {
			data(a).CreateAttr("Recipient", "https://other.test/saml/acs")
		}),
		each("recipient-missing", "to no address", recipient, func(_ *SAMLProvider, _ SAMLAsk, _, a *etree.Element) { data(a).RemoveAttr("Recipient") }),
		each("recipient-case", "to our address in capitals", recipient, func(_ *SAMLProvider, ask SAMLAsk, _, a *etree.Element) {
			data(a).CreateAttr("Recipient", strings.ToUpper(ask.ACS))
		}),
		each("recipient-query", "to our address with a query", recipient, func(_ *SAMLProvider, ask SAMLAsk, _, a *etree.Element) {
			data(a).CreateAttr("Recipient", ask.ACS+"?x=y")
		}),
		each("in-response-to-other", "an answer to another request", request, func(_ *SAMLProvider, _ SAMLAsk, r, a *etree.Element) {
			data(a).CreateAttr("InResponseTo", "_another")
			r.CreateAttr("InResponseTo", "_another")
		}),
		each("in-response-to-other-confirmation", "Response answers ours, the confirmation another", request, func(_ *SAMLProvider, _ SAMLAsk, _, a *etree.Element) {
			data(a).CreateAttr("InResponseTo", "_another")
		}),
		each("in-response-to-other-response", "the confirmation answers ours, Response another", request, func(_ *SAMLProvider, _ SAMLAsk, r, _ *etree.Element) {
			r.CreateAttr("InResponseTo", "_another")
		}),
		each("in-response-to-missing-confirmation", "only the unsigned Response says what it answers; nothing else if ask has no request", request, func(_ *SAMLProvider, _ SAMLAsk, r, a *etree.Element) {
			data(a).RemoveAttr("InResponseTo")
			r.CreateAttr("InResponseTo", r.SelectAttrValue("InResponseTo", "_another"))
		}),
		each("in-response-to-missing-response", "only the confirmation says what it answers", request, func(_ *SAMLProvider, _ SAMLAsk, r, a *etree.Element) {
			r.RemoveAttr("InResponseTo")
			data(a).CreateAttr("InResponseTo", data(a).SelectAttrValue("InResponseTo", "_another"))
		}),
		each("in-response-to-empty", "an answer to the request of no name", request, func(_ *SAMLProvider, _ SAMLAsk, r, a *etree.Element) {
			data(a).CreateAttr("InResponseTo", "")
			r.CreateAttr("InResponseTo", "")
		}),
		each("time-expired", "the conditions are over, a minute and more ago", clock, func(p *SAMLProvider, _ SAMLAsk, _, a *etree.Element) {
			conditions(a).CreateAttr("NotBefore", p.at(-10*time.Minute))
			conditions(a).CreateAttr("NotOnOrAfter", p.at(-late))
		}),
		each("time-expired-confirmation", "the confirmation is over, a minute and more ago", clock, func(p *SAMLProvider, _ SAMLAsk, _, a *etree.Element) {
			data(a).CreateAttr("NotOnOrAfter", p.at(-late))
		}),
		each("time-not-yet", "the conditions begin in five minutes", clock, func(p *SAMLProvider, _ SAMLAsk, _, a *etree.Element) {
			conditions(a).CreateAttr("NotBefore", p.at(5*time.Minute))
			conditions(a).CreateAttr("NotOnOrAfter", p.at(10*time.Minute))
		}),
		each("time-not-yet-confirmation", "the confirmation begins in five minutes", clock, func(p *SAMLProvider, _ SAMLAsk, _, a *etree.Element) {
			data(a).CreateAttr("NotBefore", p.at(5*time.Minute))
			data(a).CreateAttr("NotOnOrAfter", p.at(10*time.Minute))
		}),
		each("time-backwards", "the conditions are over before they begin", clock, func(p *SAMLProvider, _ SAMLAsk, _, a *etree.Element) {
			conditions(a).CreateAttr("NotBefore", p.at(30*time.Second))
			conditions(a).CreateAttr("NotOnOrAfter", p.at(-30*time.Second))
		}),
		each("time-no-end", "the conditions never end", clock, func(_ *SAMLProvider, _ SAMLAsk, _, a *etree.Element) { conditions(a).RemoveAttr("NotOnOrAfter") }),
		each("time-no-end-confirmation", "the confirmation never ends", clock, func(_ *SAMLProvider, _ SAMLAsk, _, a *etree.Element) { data(a).RemoveAttr("NotOnOrAfter") }),
		each("time-year-9999", "good until the year 9999", clock, func(_ *SAMLProvider, _ SAMLAsk, _, a *etree.Element) {
			conditions(a).CreateAttr("NotOnOrAfter", "9999-12-31T23:59:59.999Z")
			data(a).CreateAttr("NotOnOrAfter", "9999-12-31T23:59:59.999Z")
		}),
		each("time-issued-ahead", "issued in a hundred years", clock, func(p *SAMLProvider, _ SAMLAsk, r, a *etree.Element) {
			a.CreateAttr("IssueInstant", p.at(100*365*24*time.Hour))
			r.CreateAttr("IssueInstant", p.at(100*365*24*time.Hour))
		}),
		each("time-issued-long-ago", "issued a hundred years ago, good until soon", clock, func(p *SAMLProvider, _ SAMLAsk, r, a *etree.Element) {
			a.CreateAttr("IssueInstant", p.at(-100*365*24*time.Hour))
			r.CreateAttr("IssueInstant", p.at(-100*365*24*time.Hour))
		}),
		each("time-issued-never", "no IssueInstant", clock, func(_ *SAMLProvider, _ SAMLAsk, _, a *etree.Element) { a.RemoveAttr("IssueInstant") }),
		each("time-garbage", "a NotOnOrAfter that is no time", clock, func(_ *SAMLProvider, _ SAMLAsk, _, a *etree.Element) {
			conditions(a).CreateAttr("NotOnOrAfter", "tomorrow")
		}),
		each("time-local", "a NotOnOrAfter of no time zone, over in UTC and not further west", clock, func(p *SAMLProvider, _ SAMLAsk, _, a *etree.Element) {
			conditions(a).CreateAttr("NotOnOrAfter", strings.TrimSuffix(p.at(-late), "Z"))
		}),
		each("time-authn-ahead", "signed in tomorrow", clock, func(p *SAMLProvider, _ SAMLAsk, _, a *etree.Element) {
			a.SelectElement("AuthnStatement").CreateAttr("AuthnInstant", p.at(24*time.Hour))
		}),
		each("time-authn-never", "no AuthnInstant", clock, func(_ *SAMLProvider, _ SAMLAsk, _, a *etree.Element) {
			a.SelectElement("AuthnStatement").RemoveAttr("AuthnInstant")
		}),
		each("time-session-over", "SessionNotOnOrAfter is over", clock, func(p *SAMLProvider, _ SAMLAsk, _, a *etree.Element) {
			a.SelectElement("AuthnStatement").CreateAttr("SessionNotOnOrAfter", p.at(-late))
		}),
		each("condition-unknown", "a condition that nobody knows (saml-core, 2.5.1)", "conditions are known", func(_ *SAMLProvider, _ SAMLAsk, _, a *etree.Element) {
			c := conditions(a).CreateElement("saml2:Condition")
			c.CreateAttr("xmlns:xsi", nsXSI)
			c.CreateAttr("xmlns:evil", "urn:evil")
			c.CreateAttr("xsi:type", "evil:OnlyOnTuesdays")
		}),
		each("conditions-missing", "no Conditions", "Conditions", func(_ *SAMLProvider, _ SAMLAsk, _, a *etree.Element) { a.RemoveChild(conditions(a)) }),
		each("conditions-empty", "empty Conditions", "Conditions", func(_ *SAMLProvider, _ SAMLAsk, _, a *etree.Element) {
			instead(conditions(a), etree.NewElement("saml2:Conditions"))
		}),
		each("conditions-twice", "Conditions for us, and a second time for another", "one Conditions", func(_ *SAMLProvider, _ SAMLAsk, _, a *etree.Element) {
			second := conditions(a).Copy()
			second.FindElement(".//Audience").SetText("https://other.test/saml/metadata")
			before(a.SelectElement("AuthnStatement"), second)
		}),
	}
}

// at writes the time that is so far from now.
func (p *SAMLProvider) at(d time.Duration) string {
	return p.options.Now().UTC().Add(d).Format(samlTime)
}
