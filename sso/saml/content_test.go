package saml

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"

	"github.com/orgate/orgate/sso/ssotest"
)

// at returns the element of a path, which must be there.
func at(el *etree.Element, path string) *etree.Element {
	found := el.FindElement(path)
	if found == nil {
		panic("no " + path)
	}
	return found
}

func without(path string) func(*etree.Element) {
	return func(r *etree.Element) { found := at(r, path); found.Parent().RemoveChild(found) }
}

func withoutAttr(path, name string) func(*etree.Element) {
	return func(r *etree.Element) {
		if at(r, path).RemoveAttr(name) == nil {
			panic("no " + name)
		}
	}
}

func withAttr(path, name, value string) func(*etree.Element) {
	return func(r *etree.Element) { at(r, path).CreateAttr(name, value) }
}

func withText(path, s string) func(*etree.Element) {
	return func(r *etree.Element) { at(r, path).SetText(s) }
}

func twice(path string) func(*etree.Element) {
	return func(r *etree.Element) { found := at(r, path); found.Parent().AddChild(found.Copy()) }
}

func withChild(path, tag string) func(*etree.Element) {
	return func(r *etree.Element) { at(r, path).CreateElement(tag) }
}

// What the provider itself signs is refused unless all is there, and for us, here and now.
func TestWhatIsMissingOrAnothersIsRefused(t *testing.T) {
	now := rigNow
	when := func(d time.Duration) string { return now.Add(d).Format(time.RFC3339) }
	const (
		assertion  = "./Assertion"
		nameID     = ".//NameID"
		confirm    = ".//SubjectConfirmation"
		data       = ".//SubjectConfirmationData"
		conditions = ".//Conditions"
		authn      = ".//AuthnStatement"
	)
	for name, tc := range map[string]struct {
		edit func(*etree.Element)
		want Code
	}{
		// The response.
		"response without version":           {withoutAttr(".", "Version"), CodeResponse},
		"response of version 1.1":            {withAttr(".", "Version", "1.1"), CodeResponse},
		"response without id":                {withoutAttr(".", "ID"), CodeResponse},
		"response with an empty id":          {withAttr(".", "ID", ""), CodeXML},
		"response with something else in it": {withChild(".", "saml2p:AuthnRequest"), CodeResponse},
		"response without status":            {without("./Status"), CodeStatus},
		"two statuses":                       {twice("./Status"), CodeStatus},
		"status within":                      {withAttr("./Status/StatusCode", "Value", statusPrefix+"Responder"), CodeStatus},
		"no assertion":                       {without(assertion), CodeSeveral},
		"another destination":                {withAttr(".", "Destination", rigACS+"/"), CodeDestination},
		"empty destination":                  {withAttr(".", "Destination", ""), CodeDestination},
		"another response issuer":            {withText("./Issuer", "https://idp.test/saml2"), CodeResponseIssuer},
		"two response issuers":               {twice("./Issuer"), CodeResponseIssuer},
		"response issuer with spaces":        {withText("./Issuer", " https://idp.test/saml "), CodeResponseIssuer},
		"response without time":              {withoutAttr(".", "IssueInstant"), CodeResponseTime},
		"response of the future":             {withAttr(".", "IssueInstant", when(61*time.Second)), CodeResponseTime},

		// The assertion.
		"no version":                     {withoutAttr(assertion, "Version"), CodeAssertion},
		"no time":                        {withoutAttr(assertion, "IssueInstant"), CodeAssertion},
		"issued in the future":           {withAttr(assertion, "IssueInstant", when(61*time.Second)), CodeTime},
		"issued in 100 years":            {withAttr(assertion, "IssueInstant", when(100*365*24*time.Hour)), CodeTime},
		"issued the day before":          {withAttr(assertion, "IssueInstant", when(-25*time.Hour)), CodeTime},
		"issued without a zone":          {withAttr(assertion, "IssueInstant", now.Format("2006-01-02T15:04:05")), CodeAssertion},
		"no issuer":                      {without("./Assertion/Issuer"), CodeIssuer},
		"another issuer":                 {withText("./Assertion/Issuer", "https://idp.test/SAML"), CodeIssuer},
		"two issuers":                    {twice("./Assertion/Issuer"), CodeAssertion},
		"over before it begins":          {withAttr(conditions, "NotOnOrAfter", when(-2*time.Second)), CodeTime},
		"issuer of another format":       {withAttr("./Assertion/Issuer", "Format", formatEmail), CodeIssuer},
		"something unknown":              {withChild(assertion, "saml2:AuthzDecisionStatement"), CodeAssertion},
		"something of another namespace": {func(r *etree.Element) { at(r, assertion).CreateElement("x:Subject").CreateAttr("xmlns:x", "urn:x") }, CodeAssertion},

		// The subject.
		"no subject":                    {without(".//Subject"), CodeSubject},
		"two subjects":                  {twice(".//Subject"), CodeAssertion},
		"no name":                       {without(nameID), CodeSubject},
		"two names":                     {twice(nameID), CodeSubject},
		"empty name":                    {withText(nameID, ""), CodeSubject},
		"name of 256 bytes":             {withText(nameID, strings.Repeat("a", 256)), CodeSubject},
		"name with spaces around":       {withText(nameID, " u-alice"), CodeSubject},
		"name with a line break":        {withText(nameID, "u-alice\n"), CodeSubject},
		"name with a control character": {withText(nameID, "u-\u0085alice"), CodeSubject},
		"name with an element in it":    {withChild(nameID, "saml2:Issuer"), CodeSubject},
		"transient name":                {withAttr(nameID, "Format", formatTransient), CodeSubject},
		"name of an entity":             {withAttr(nameID, "Format", formatEntity), CodeSubject},
		"name of an unknown format":     {withAttr(nameID, "Format", "urn:x"), CodeSubject},
		"encrypted name": {func(r *etree.Element) {
			without(nameID)(r)
			withChild(".//Subject", "saml2:EncryptedID")(r)
		}, CodeSubject},
		"base id beside the name": {withChild(".//Subject", "saml2:BaseID"), CodeSubject},

		// The confirmation.
		"no confirmation":               {without(confirm), CodeConfirmation},
		"holder of key":                 {withAttr(confirm, "Method", "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"), CodeConfirmation},
		"no method":                     {withoutAttr(confirm, "Method"), CodeConfirmation},
		"no confirmation data":          {without(data), CodeConfirmation},
		"two confirmation data":         {twice(data), CodeConfirmation},
		"no recipient":                  {withoutAttr(data, "Recipient"), CodeRecipient},
		"another recipient":             {withAttr(data, "Recipient", rigACS+"2"), CodeRecipient},
		"recipient in other letters":    {withAttr(data, "Recipient", strings.ToUpper(rigACS)), CodeRecipient},
		"confirmation without end":      {withoutAttr(data, "NotOnOrAfter"), CodeConfirmation},
		"confirmation expired":          {withAttr(data, "NotOnOrAfter", when(-61*time.Second)), CodeExpired},
		"confirmation until 9999":       {withAttr(data, "NotOnOrAfter", "9999-12-31T23:59:59Z"), CodeTime},
		"confirmation not yet":          {withAttr(data, "NotBefore", when(5*time.Minute)), CodeTime},
		"confirmation of another":       {withAttr(data, "InResponseTo", "_other"), CodeInResponseTo},
		"confirmation of none":          {withoutAttr(data, "InResponseTo"), CodeInResponseTo},
		"response answers another":      {withAttr(".", "InResponseTo", "_other"), CodeInResponseTo},
		"response answers none":         {withoutAttr(".", "InResponseTo"), CodeInResponseTo},
		"confirmation at no time":       {withAttr(data, "NotOnOrAfter", "tomorrow"), CodeTime},
		"confirmation at an empty time": {withAttr(data, "NotOnOrAfter", ""), CodeTime},

		// The conditions.
		"no conditions":           {without(conditions), CodeConditions},
		"two conditions":          {twice(conditions), CodeAssertion},
		"conditions without end":  {withoutAttr(conditions, "NotOnOrAfter"), CodeConditions},
		"expired by 61 seconds":   {withAttr(conditions, "NotOnOrAfter", when(-61*time.Second)), CodeExpired},
		"expired by 60 seconds":   {withAttr(conditions, "NotOnOrAfter", when(-60*time.Second)), CodeExpired},
		"until 9999":              {withAttr(conditions, "NotOnOrAfter", "9999-12-31T23:59:59Z"), CodeTime},
		"for 25 hours":            {withAttr(conditions, "NotOnOrAfter", when(25*time.Hour)), CodeTime},
		"not yet valid":           {withAttr(conditions, "NotBefore", when(5*time.Minute)), CodeTime},
		"not before no time":      {withAttr(conditions, "NotBefore", "now"), CodeTime},
		"unknown condition":       {withChild(conditions, "saml2:Condition"), CodeConditions},
		"no audience restriction": {without(".//AudienceRestriction"), CodeAudience},
		"no audience":             {without(".//Audience"), CodeAudience},
		"another audience":        {withText(".//Audience", rigEntityID+"2"), CodeAudience},
		"audience with a slash":   {withText(".//Audience", rigEntityID+"/"), CodeAudience},
		"audience in capitals":    {withText(".//Audience", strings.ToUpper(rigEntityID)), CodeAudience},
		"a second restriction, for another": {func(r *etree.Element) {
			twice(".//AudienceRestriction")(r)
			r.FindElements(".//Audience")[1].SetText("https://other.example")
		}, CodeAudience},

		// The statement.
		"no authn statement":    {without(authn), CodeAuthn},
		"no authn instant":      {withoutAttr(authn, "AuthnInstant"), CodeAuthn},
		"authn in the future":   {withAttr(authn, "AuthnInstant", when(2*time.Minute)), CodeTime},
		"session has ended":     {withAttr(authn, "SessionNotOnOrAfter", when(-time.Second)), CodeAuthn},
		"session ends sometime": {withAttr(authn, "SessionNotOnOrAfter", "soon"), CodeAuthn},
		"session of a novel":    {withAttr(authn, "SessionIndex", strings.Repeat("s", 256)), CodeAuthn},

		// The attributes.
		"encrypted attribute":         {withChild(".//AttributeStatement", "saml2:EncryptedAttribute"), CodeAttributes},
		"attribute without name":      {withoutAttr(".//Attribute", "Name"), CodeAttributes},
		"something in an attribute":   {withChild(".//Attribute", "saml2:Audience"), CodeAttributes},
		"no e-mail":                   {without(".//Attribute[@Name='email']"), CodeNoEmail},
		"e-mail that is none":         {withText(".//Attribute[@Name='email']/AttributeValue", "alice"), CodeEmail},
		"e-mail of two":               {withText(".//Attribute[@Name='email']/AttributeValue", "alice@acme.test,bob@acme.test"), CodeEmail},
		"e-mail with an element":      {withChild(".//Attribute[@Name='email']/AttributeValue", "saml2:NameID"), CodeEmail},
		"two e-mails":                 {func(r *etree.Element) { addValue(r, "email", "bob@acme.test") }, CodeEmail},
		"two e-mails, two attributes": {func(r *etree.Element) { addAttribute(r, "email", "bob@acme.test") }, CodeEmail},
		"empty e-mail":                {withText(".//Attribute[@Name='email']/AttributeValue", ""), CodeNoEmail},
		"group with a line break":     {func(r *etree.Element) { addValue(r, "groups", "a\nb") }, CodeGroups},
		"group of 513 bytes":          {func(r *etree.Element) { addValue(r, "groups", strings.Repeat("g", 513)) }, CodeGroups},
		"group that is an element": {func(r *etree.Element) {
			at(r, ".//Attribute[@Name='groups']/AttributeValue").CreateElement("saml2:NameID")
		}, CodeGroups},
		"too many groups for Entra": {func(r *etree.Element) {
			without(".//Attribute[@Name='groups']")(r)
			addAttribute(r, msGroupsLink, "https://graph.windows.net/x")
		}, CodeGroups},
		"257 attributes": {func(r *etree.Element) {
			for i := range 254 {
				addAttribute(r, fmt.Sprint("a", i), "x")
			}
		}, CodeAttributes},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			for _, signed := range []ssotest.SAMLSigned{ssotest.AssertionSigned, ssotest.ResponseSigned} {
				if signed == ssotest.ResponseSigned && strings.HasPrefix(name, "response with") {
					continue // it has no id to be signed by
				}
				r.ask.Signed = signed
				r.refuse(t, r.respond(ssotest.SAMLFaults{Edit: tc.edit}), tc.want)
			}
		})
	}
	t.Run("signed response without destination", func(t *testing.T) {
		r := newRig(t)
		r.ask.Signed = ssotest.ResponseSigned
		r.refuse(t, r.respond(ssotest.SAMLFaults{Edit: withoutAttr(".", "Destination")}), CodeDestination)
	})
}

func addValue(r *etree.Element, name, value string) {
	at(r, ".//Attribute[@Name='"+name+"']").CreateElement("saml2:AttributeValue").SetText(value)
}

func addAttribute(r *etree.Element, name string, values ...string) *etree.Element {
	a := at(r, ".//AttributeStatement").CreateElement("saml2:Attribute")
	a.CreateAttr("Name", name)
	for _, v := range values {
		a.CreateElement("saml2:AttributeValue").SetText(v)
	}
	return a
}

// What honest providers do and others do not is no reason to refuse.
func TestWhatMayDifferIsAccepted(t *testing.T) {
	now := rigNow
	when := func(d time.Duration) string { return now.Add(d).Format(time.RFC3339) }
	for name, edit := range map[string]func(*etree.Element){
		"no response issuer":     without("./Issuer"),
		"issuer with its format": withAttr("./Issuer", "Format", formatEntity),
		"no destination":         withoutAttr(".", "Destination"),
		"empty extensions":       withChild(".", "saml2p:Extensions"),
		"expired within the skew": func(r *etree.Element) {
			withAttr(".//Conditions", "NotOnOrAfter", when(-59*time.Second))(r)
			withAttr(".//Conditions", "NotBefore", when(-time.Hour))(r)
		},
		"not yet valid, within the skew": withAttr(".//Conditions", "NotBefore", when(60*time.Second)),
		"no not before":                  withoutAttr(".//Conditions", "NotBefore"),
		"one time use":                   withChild(".//Conditions", "saml2:OneTimeUse"),
		"proxy restriction":              withChild(".//Conditions", "saml2:ProxyRestriction"),
		"advice":                         withChild("./Assertion", "saml2:Advice"),
		"two restrictions, both for us":  twice(".//AudienceRestriction"),
		"another confirmation besides": func(r *etree.Element) {
			twice(".//SubjectConfirmation")(r)
			withAttr(".//SubjectConfirmation", "Method", "urn:x")(r)
		},
		"an expired confirmation besides": func(r *etree.Element) {
			twice(".//SubjectConfirmation")(r)
			withAttr(".//SubjectConfirmationData", "NotOnOrAfter", when(-time.Hour))(r)
		},
		"a time with an offset":    withAttr(".//Conditions", "NotOnOrAfter", now.Add(time.Minute).In(time.FixedZone("", 7200)).Format(time.RFC3339)),
		"a time of seven decimals": withAttr("./Assertion", "IssueInstant", now.Format("2006-01-02T15:04:05")+".1234567Z"),
		"name of no format":        withoutAttr(".//NameID", "Format"),
		"the same e-mail twice":    func(r *etree.Element) { addValue(r, "email", alice.Email) },
		"a nested attribute of no meaning": func(r *etree.Element) {
			at(addAttribute(r, "urn:oid:1.3.6.1.4.1.5923.1.1.1.10", ""), "./AttributeValue").CreateElement("saml2:NameID")
		},
		"an empty groups attribute":     func(r *etree.Element) { addAttribute(r, "memberOf") },
		"groups one attribute for each": func(r *etree.Element) { addAttribute(r, "groups", "more") },
		"e-mail by friendly name": func(r *etree.Element) {
			a := at(r, ".//Attribute[@Name='email']")
			a.CreateAttr("Name", "urn:oid:9.9.9")
			a.CreateAttr("FriendlyName", "mail")
		},
		"two authn statements": twice(".//AuthnStatement"),
		"language of a value":  withAttr(".//AttributeValue", "xml:lang", "en"),
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.accept(t, r.respond(ssotest.SAMLFaults{Edit: edit}))
		})
	}
}

func TestAnAssertionIsRememberedAsLongAsItCouldBeUsed(t *testing.T) {
	r := newRig(t)
	until := func(conditions, confirmation time.Duration) time.Time {
		a, _ := r.accept(t, r.respond(ssotest.SAMLFaults{Edit: func(el *etree.Element) {
			at(el, ".//Conditions").CreateAttr("NotOnOrAfter", r.now.Add(conditions).Format(time.RFC3339))
			at(el, ".//SubjectConfirmationData").CreateAttr("NotOnOrAfter", r.now.Add(confirmation).Format(time.RFC3339))
		}}))
		return a.ExpiresAt
	}
	if got := until(time.Hour, time.Minute); !got.Equal(r.now.Add(time.Minute + skew)) {
		t.Errorf("confirmation ends first: %v", got)
	}
	if got := until(time.Minute, time.Hour); !got.Equal(r.now.Add(time.Minute + skew)) {
		t.Errorf("conditions end first: %v", got)
	}
	response := r.respond()
	a, _ := r.accept(t, response)
	r.now = a.ExpiresAt.Add(-time.Second)
	r.accept(t, response)
	r.now = a.ExpiresAt
	r.refuse(t, response, CodeExpired)
}

func TestAStatusIsSaid(t *testing.T) {
	r := newRig(t)
	for _, tc := range []struct {
		outer, inner string
		want         Code
	}{
		{"Responder", "AuthnFailed", CodeDenied},
		{"Responder", "NoPassive", CodeDenied},
		{"Responder", "RequestDenied", CodeDenied},
		{"Requester", "", CodeStatus},
		{"Responder", "InvalidNameIDPolicy", CodeStatus},
		{"", "", CodeStatus},
	} {
		for _, left := range []bool{true, false} {
			response := r.respond(ssotest.SAMLFaults{Edit: func(el *etree.Element) {
				c := at(el, "./Status/StatusCode")
				c.CreateAttr("Value", statusPrefix+tc.outer)
				if tc.inner != "" {
					c.CreateElement("saml2p:StatusCode").CreateAttr("Value", statusPrefix+tc.inner)
				}
				if left {
					without("./Assertion")(el)
				}
			}})
			_, _, err := r.c.Consume(response, r.now)
			if got := code(t, err); got != tc.want || !strings.Contains(err.Error(), tc.inner) {
				t.Errorf("%+v: %v", tc, err)
			}
		}
	}
}

func TestAddressesAndGroupsOfKnownProviders(t *testing.T) {
	person := ssotest.Person{Subject: "u-alice"}
	for name, tc := range map[string]struct {
		own         Attributes
		attributes  map[string][]string
		nameID      string
		email, full string
		groups      []string
	}{
		"Entra ID": {attributes: map[string][]string{
			"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress": {"alice@acme.test"}, upnName: {"alice_guest#EXT#@acme.onmicrosoft.com"},
			"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/givenname": {"Alice"}, "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/surname": {"Arnold"}, msGroups: {"1", "2"},
		}, email: "alice@acme.test", full: "Alice Arnold", groups: []string{"1", "2"}},
		"Entra ID, only a UPN": {attributes: map[string][]string{upnName: {"alice@acme.test"}}, email: "alice@acme.test"},
		"Shibboleth": {attributes: map[string][]string{
			"urn:oid:0.9.2342.19200300.100.1.3": {"alice@acme.test"}, "urn:oid:2.16.840.1.113730.3.1.241": {"Alice A."}, "urn:oid:1.3.6.1.4.1.5923.1.5.1.1": {"staff"},
		}, email: "alice@acme.test", full: "Alice A.", groups: []string{"staff"}},
		"Keycloak":       {attributes: map[string][]string{"email": {"alice@acme.test"}, "Role": {"a", "b", "a"}}, email: "alice@acme.test", groups: []string{"a", "b"}},
		"Google":         {attributes: map[string][]string{"department": {"x"}}, nameID: "alice@acme.test", email: "alice@acme.test"},
		"named":          {own: Attributes{Email: "contact", Groups: "teams", Name: "who"}, attributes: map[string][]string{"email": {"other@acme.test"}, "contact": {"alice@acme.test"}, "teams": {"t"}, "groups": {"g"}, "who": {"A"}}, email: "alice@acme.test", full: "A", groups: []string{"t"}},
		"named, missing": {own: Attributes{Email: "contact"}, attributes: map[string][]string{"email": {"other@acme.test"}}, nameID: "alice@acme.test"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.c.Attributes = tc.own
			r.ask.NameIDFormat = formatUnspecified
			if tc.nameID != "" {
				r.ask.NameID, r.ask.NameIDFormat = tc.nameID, formatEmail
			}
			p := person
			p.Claims = map[string]any{}
			for k, v := range tc.attributes {
				p.Claims[k] = v
			}
			a, _, err := r.c.Consume(r.idp.Respond(r.ask, p), r.now)
			if tc.email == "" {
				if got := code(t, err); got != CodeNoEmail || !strings.Contains(err.Error(), "email") {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil || a.Email != tc.email || a.Name != tc.full || !slices.Equal(a.Groups, tc.groups) || a.HasGroups != (tc.groups != nil) {
				t.Errorf("%+v, %v", a, err)
			}
		})
	}
}

func TestAttributesAreBounded(t *testing.T) {
	r := newRig(t)
	a, _ := r.accept(t, r.respond(ssotest.SAMLFaults{Edit: func(el *etree.Element) {
		for i := range 100 {
			addAttribute(el, fmt.Sprintf("a%03d", i), "x")
		}
		addAttribute(el, "a000long", strings.Repeat("x", maxAttribute+1))
		addAttribute(el, "a000odd", "a\x85b\u0085")
		addAttribute(el, "a000many", make([]string, maxList+1)...)
		addAttribute(el, "a000two", "x", "y")
	}}))
	if len(a.Attributes) != maxKept || a.Attributes["a000long"] != nil || a.Attributes["a000odd"] != nil || a.Attributes["a000many"] != nil || !slices.Equal(a.Attributes["a000two"].([]string), []string{"x", "y"}) {
		t.Errorf("%d: %v", len(a.Attributes), a.Attributes)
	}
}

// The library stops at 1,000 elements when it looks for a signature; ours comes first.
func TestAThousandGroupsAndNoMore(t *testing.T) {
	for _, whole := range []bool{false, true} {
		r := newRig(t)
		many := func(n int) string {
			return r.respond(ssotest.SAMLFaults{Signed: ssotest.NothingSigned, After: func(el *etree.Element) {
				for i := 2; i < n; i++ {
					addValue(el, "groups", fmt.Sprint("g", i))
				}
				if !whole {
					el = at(el, "./Assertion")
				}
				r.sign(t, el)
			}})
		}
		if a, _ := r.accept(t, many(maxGroups)); len(a.Groups) != maxGroups {
			t.Errorf("%d groups", len(a.Groups))
		}
		r.refuse(t, many(maxGroups+1), CodeGroups)
	}
}

// The first moment of all is what some libraries write for a time that they don't know. Taken for one
// that was not said, it would make a sign-in of long ago one of now.
func TestASignInAtNoTimeIsRefused(t *testing.T) {
	for name, edit := range map[string]func(*etree.Element){
		"the only one":    withAttr(".//AuthnStatement", "AuthnInstant", "0001-01-01T00:00:00Z"),
		"in another zone": withAttr(".//AuthnStatement", "AuthnInstant", "0001-01-01T01:00:00+01:00"),
		"the first of two": func(r *etree.Element) {
			first := at(r, ".//AuthnStatement")
			first.Parent().AddChild(first.Copy())
			first.CreateAttr("AuthnInstant", "0001-01-01T00:00:00Z")
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.refuse(t, r.respond(ssotest.SAMLFaults{Edit: edit}), CodeAuthn)
		})
	}
}

// JSON has no year 10000, nor one before the year 0: what has one in it could not be kept.
func TestATimeThatCanNotBeKeptIsNone(t *testing.T) {
	r := newRig(t)
	for _, s := range []string{"9999-12-31T23:59:59-01:00", "0000-01-01T00:00:00+01:00"} {
		for _, name := range []string{"SessionNotOnOrAfter", "AuthnInstant"} {
			a, _, err := r.c.Consume(r.respond(ssotest.SAMLFaults{Edit: withAttr(".//AuthnStatement", name, s)}), r.now)
			if code(t, err) == "" {
				_, err := json.Marshal(a)
				t.Errorf("%s %s is taken, and kept: %v", name, s, err)
			}
		}
		document := published(` validUntil="`+s+`"`, sso+keyDescriptor("", r.c.IDP.Certificates[0]))
		if _, err := ParseMetadata([]byte(document), "", r.now); code(t, err) != CodeMetadata {
			t.Errorf("validUntil %s: %v", s, err)
		}
	}
}
