package saml

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"

	"github.com/orgate/orgate/sso/ssotest"
)

// logout makes a request of the provider's, and returns what reaches us.
func (r *rig) logout(t testing.TB, post bool, ask ssotest.SAMLLogoutAsk, faults ...ssotest.SAMLFaults) (Binding, string, url.Values) {
	t.Helper()
	if ask.SLO == "" {
		ask.SLO = rigSLO
	}
	if ask.NameID == "" {
		ask.NameID = alice.Subject
	}
	ask.Post = post
	m := r.idp.LogoutRequest(ask, faults...)
	if post {
		return Post, "", m.Form
	}
	u, err := url.Parse(m.URL)
	if err != nil {
		t.Fatal(err)
	}
	return Redirect, u.RawQuery, nil
}

func TestALogoutRequestIsRead(t *testing.T) {
	for _, post := range []bool{false, true} {
		for _, relay := range []string{"", "some state/+&="} {
			r := newRig(t)
			b, query, form := r.logout(t, post, ssotest.SAMLLogoutAsk{SessionIndex: "_session", RelayState: relay})
			l, err := r.c.ReadLogout(b, query, form, r.now)
			if err != nil || l.Subject != alice.Subject || !slices.Equal(l.SessionIndexes, []string{"_session"}) || l.ID == "" || !l.ExpiresAt.Equal(r.now.Add(logoutLife+2*skew)) {
				t.Errorf("%s %q: %+v, %v", b, relay, l, err)
			}
		}
		r := newRig(t)
		b, query, form := r.logout(t, post, ssotest.SAMLLogoutAsk{})
		if l, err := r.c.ReadLogout(b, query, form, r.now); err != nil || l.SessionIndexes != nil {
			t.Errorf("%+v, %v", l, err)
		}
		// It is heard for as long as it is remembered, and no longer.
		if _, err := r.c.ReadLogout(b, query, form, r.now.Add(logoutLife+2*skew)); code(t, err) != CodeExpired {
			t.Error(err)
		}
	}
}

func TestLogoutRequestsThatAreRefused(t *testing.T) {
	when := func(d time.Duration) string { return rigNow.Add(d).Format(time.RFC3339) }
	stranger := &ssotest.SAMLKey{Private: ours().Private, Certificate: ours().Certificate}
	for name, tc := range map[string]struct {
		ask    ssotest.SAMLLogoutAsk
		faults ssotest.SAMLFaults
		want   Code
	}{
		"not signed":            {faults: ssotest.SAMLFaults{Signed: ssotest.NothingSigned}, want: CodeUnsigned},
		"signed by a stranger":  {faults: ssotest.SAMLFaults{Response: ssotest.SAMLSigning{Key: stranger}}, want: CodeSignature},
		"signed with SHA-1":     {faults: ssotest.SAMLFaults{Response: ssotest.SAMLSigning{Method: ssotest.RSASHA1}}, want: CodeAlgorithm},
		"for another address":   {ask: ssotest.SAMLLogoutAsk{SLO: rigSLO + "2"}, want: CodeDestination},
		"without a destination": {faults: ssotest.SAMLFaults{Edit: withoutAttr(".", "Destination")}, want: CodeDestination},
		"of another issuer":     {faults: ssotest.SAMLFaults{Edit: withText("./Issuer", "https://idp.test/other")}, want: CodeIssuer},
		"without an issuer":     {faults: ssotest.SAMLFaults{Edit: without("./Issuer")}, want: CodeIssuer},
		"without a version":     {faults: ssotest.SAMLFaults{Edit: withoutAttr(".", "Version")}, want: CodeLogout},
		"without a time":        {faults: ssotest.SAMLFaults{Edit: withoutAttr(".", "IssueInstant")}, want: CodeLogout},
		"old":                   {faults: ssotest.SAMLFaults{Edit: withAttr(".", "IssueInstant", when(-logoutLife-skew-time.Second))}, want: CodeExpired},
		"of the future":         {faults: ssotest.SAMLFaults{Edit: withAttr(".", "IssueInstant", when(skew+time.Second))}, want: CodeExpired},
		"over":                  {faults: ssotest.SAMLFaults{Edit: withAttr(".", "NotOnOrAfter", when(-skew))}, want: CodeExpired},
		"over sometime":         {faults: ssotest.SAMLFaults{Edit: withAttr(".", "NotOnOrAfter", "soon")}, want: CodeExpired},
		"without a name":        {faults: ssotest.SAMLFaults{Edit: without("./NameID")}, want: CodeSubject},
		"with two names":        {faults: ssotest.SAMLFaults{Edit: twice("./NameID")}, want: CodeSubject},
		"with an encrypted name": {faults: ssotest.SAMLFaults{Edit: func(r *etree.Element) {
			without("./NameID")(r)
			r.CreateElement("x:EncryptedID").CreateAttr("xmlns:x", nsAssertion)
		}}, want: CodeSubject},
		"with both":             {faults: ssotest.SAMLFaults{Edit: func(r *etree.Element) { r.CreateElement("x:EncryptedID").CreateAttr("xmlns:x", nsAssertion) }}, want: CodeSubject},
		"with an empty session": {faults: ssotest.SAMLFaults{Edit: withChild(".", "saml2p:SessionIndex")}, want: CodeLogout},
		"of 101 sessions": {faults: ssotest.SAMLFaults{Edit: func(r *etree.Element) {
			for range 101 {
				r.CreateElement("saml2p:SessionIndex").SetText("s")
			}
		}}, want: CodeLogout},
		"that is another message": {faults: ssotest.SAMLFaults{Edit: func(r *etree.Element) { r.Tag = "ManageNameIDRequest" }}, want: CodeLogout},
		"of another namespace":    {faults: ssotest.SAMLFaults{Edit: withAttr(".", "xmlns:saml2p", "urn:x")}, want: CodeLogout},
		"with an assertion in it": {faults: ssotest.SAMLFaults{Edit: func(r *etree.Element) { r.CreateElement("x:Assertion").CreateAttr("xmlns:x", nsAssertion) }}, want: CodeLogout},
		"with a comment":          {faults: ssotest.SAMLFaults{Edit: func(r *etree.Element) { at(r, "./NameID").CreateComment("x") }}, want: CodeXML},
	} {
		t.Run(name, func(t *testing.T) {
			for _, post := range []bool{false, true} {
				r := newRig(t)
				b, query, form := r.logout(t, post, tc.ask, tc.faults)
				l, err := r.c.ReadLogout(b, query, form, r.now)
				if got := code(t, err); got != tc.want || l.Subject != "" {
					t.Errorf("%s: %q, want %q: %v", b, got, tc.want, err)
				}
			}
		})
	}
}

func TestAQueryIsVerifiedAsItCame(t *testing.T) {
	r := newRig(t)
	_, query, _ := r.logout(t, false, ssotest.SAMLLogoutAsk{RelayState: "a b"})
	part := func(name string) string {
		for pair := range strings.SplitSeq(query, "&") {
			if strings.HasPrefix(pair, name+"=") {
				return pair
			}
		}
		t.Fatal(name)
		return ""
	}
	reordered := part("Signature") + "&" + part("SigAlg") + "&" + part("RelayState") + "&other=1&" + part("SAMLRequest")
	if _, err := r.c.ReadLogout(Redirect, reordered, nil, r.now); err != nil {
		t.Errorf("another order: %v", err)
	}
	_, other, _ := r.logout(t, false, ssotest.SAMLLogoutAsk{NameID: mallory.Subject})
	otherRequest, _, _ := strings.Cut(other, "&")
	for name, tc := range map[string]struct {
		query string
		want  Code
	}{
		"nothing":                 {"", CodeLogout},
		"no signature":            {part("SAMLRequest") + "&" + part("RelayState") + "&" + part("SigAlg"), CodeUnsigned},
		"an empty signature":      {part("SAMLRequest") + "&" + part("RelayState") + "&" + part("SigAlg") + "&Signature=", CodeSignature},
		"no algorithm":            {part("SAMLRequest") + "&" + part("RelayState") + "&" + part("Signature"), CodeAlgorithm},
		"no state":                {part("SAMLRequest") + "&" + part("SigAlg") + "&" + part("Signature"), CodeSignature},
		"another state":           {strings.Replace(query, part("RelayState"), "RelayState=x", 1), CodeSignature},
		"another spelling":        {strings.Replace(query, "RelayState=a+b", "RelayState=a%20b", 1), CodeSignature},
		"another request":         {strings.Replace(query, part("SAMLRequest"), otherRequest, 1), CodeSignature},
		"another request besides": {query + "&" + otherRequest, CodeLogout},
		"one before":              {otherRequest + "&" + query, CodeLogout},
		"one in disguise":         {query + "&SAML%52equest=x", CodeLogout},
		"the only in disguise":    {strings.Replace(query, "SAMLRequest", "SAML%52equest", 1), CodeLogout},
		"a semicolon":             {query + ";SAMLRequest=x", CodeLogout},
		"an artifact":             {query + "&SAMLart=x", CodeArtifact},
		"a response":              {query + "&SAMLResponse=x", CodeLogout},
		"another encoding":        {query + "&SAMLEncoding=x", CodeEncoding},
		"broken escapes":          {"%zz=1&" + query, CodeLogout},
		"10 MB":                   {strings.Repeat("a", 10<<20), CodeTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			if l, err := r.c.ReadLogout(Redirect, tc.query, nil, r.now); code(t, err) != tc.want || l.Subject != "" {
				t.Errorf("want %q: %v", tc.want, err)
			}
		})
	}
	// A bomb that the provider itself signed.
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	for range 64 {
		if _, err := w.Write(make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		b    []byte
		want Code
	}{"a deflate bomb": {packed.Bytes(), CodeTooLarge}, "not deflated": {[]byte("<a/>"), CodeEncoding}} {
		q := "SAMLRequest=" + url.QueryEscape(base64.StdEncoding.EncodeToString(tc.b))
		q, err := ssotest.SignSAMLQuery(q, r.idp.Key().Private)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.c.ReadLogout(Redirect, q, nil, r.now); code(t, err) != tc.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAFormIsOneRequest(t *testing.T) {
	r := newRig(t)
	_, _, form := r.logout(t, true, ssotest.SAMLLogoutAsk{})
	good := form.Get("SAMLRequest")
	for name, tc := range map[string]struct {
		form url.Values
		want Code
	}{
		"nothing":     {nil, CodeLogout},
		"two":         {url.Values{"SAMLRequest": {good, good}}, CodeLogout},
		"an artifact": {url.Values{"SAMLRequest": {good}, "SAMLart": {"x"}}, CodeArtifact},
		"a response":  {url.Values{"SAMLRequest": {good}, "SAMLResponse": {"x"}}, CodeLogout},
		"not base64":  {url.Values{"SAMLRequest": {"%"}}, CodeEncoding},
		"too large":   {url.Values{"SAMLRequest": {base64.StdEncoding.EncodeToString(make([]byte, maxLogout+1))}}, CodeTooLarge},
	} {
		if _, err := r.c.ReadLogout(Post, "", tc.form, r.now); code(t, err) != tc.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := r.c.ReadLogout("soap", "", form, r.now); code(t, err) != CodeLogout {
		t.Error(err)
	}
	r.c.SLO = ""
	if _, err := r.c.ReadLogout(Post, "", form, r.now); code(t, err) != CodeConnection {
		t.Error(err)
	}
}

// The provider's other signed documents are no requests, and no responses.
func TestWhatElseTheProviderSignsIsRefused(t *testing.T) {
	r := newRig(t)
	answer := r.idp.LogoutResponse(rigSLO, "_request", "", true).Form.Get("SAMLResponse")
	if _, err := r.c.ReadLogout(Post, "", url.Values{"SAMLRequest": {answer}}, r.now); code(t, err) != CodeLogout {
		t.Error(err)
	}
	if _, err := r.c.ReadLogout(Post, "", url.Values{"SAMLRequest": {r.respond(ssotest.SAMLFaults{Signed: ssotest.BothSigned})}}, r.now); code(t, err) != CodeLogout {
		t.Error(err)
	}
	_, _, form := r.logout(t, true, ssotest.SAMLLogoutAsk{})
	r.refuse(t, answer, CodeResponse)
	r.refuse(t, form.Get("SAMLRequest"), CodeResponse)
	r.refuse(t, base64.StdEncoding.EncodeToString(r.idp.Metadata()), CodeResponse)
}

func TestWeSignOutAtTheProvider(t *testing.T) {
	r := newRig(t)
	p := ssotest.StartSAML(t, ssotest.SAMLOptions{People: []ssotest.Person{alice}})
	p.Trust(ssotest.SAMLServiceProvider{EntityID: rigEntityID, ACS: rigACS, SLO: "http://127.0.0.1:1/slo", Certificate: ours().Certificate})
	var err error
	if r.c.IDP, err = ParseMetadata(p.Metadata(), "", r.now); err != nil {
		t.Fatal(err)
	}
	n := NameID{Value: alice.Subject, Format: formatPersistent, NameQualifier: "q", SPNameQualifier: "s"}
	for _, binding := range []Binding{Redirect, Post} {
		r.c.IDP.SLO = []Endpoint{{Binding: binding, URL: p.EntityID() + "/slo", ResponseURL: p.EntityID() + "/slo"}}
		m, ok, err := r.c.StartLogout(n, "_session", "state", time.Now())
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		el := request(t, m)
		id := only(el, nsAssertion, "NameID")
		got, err := readNameID(id)
		index, _ := textOf(only(el, nsProtocol, "SessionIndex"))
		if err != nil || got != n || index != "_session" {
			t.Errorf("%+v %q, %v", got, index, err)
		}
		for _, done := range []bool{true, false} {
			m, ok, err := r.c.AnswerLogout(Logout{ID: "_asked"}, "state", done, time.Now())
			if err != nil || !ok || m.Name != "SAMLResponse" || m.RelayState != "state" {
				t.Fatal(m, ok, err)
			}
			el := request(t, m)
			to, _ := attr(el, "InResponseTo")
			status, _ := attr(only(only(el, nsProtocol, "Status"), nsProtocol, "StatusCode"), "Value")
			if to != "_asked" || (status == statusSuccess) != done {
				t.Errorf("%s %s", to, status)
			}
			if code, body := send(t, m); code != 200 || p.Hits("logout-answer") == 0 {
				t.Errorf("%s: %d %s", binding, code, body)
			}
		}
	}
	r.c.IDP.SLO = nil
	if _, ok, err := r.c.StartLogout(n, "", "", r.now); ok || err != nil {
		t.Error(ok, err)
	}
	if _, ok, err := r.c.AnswerLogout(Logout{ID: "_asked"}, "", true, r.now); ok || err != nil {
		t.Error(ok, err)
	}
	r.c.IDP.SLO, r.c.Keys = []Endpoint{{Binding: Redirect, URL: "https://idp.test/slo"}}, nil
	if _, ok, err := r.c.StartLogout(n, "", "", r.now); ok || code(t, err) != CodeKey {
		t.Error(ok, err)
	}
}

// A query has its signature beside the message: one inside is not looked at, so it must not be there.
func TestAQueryHasOneSignature(t *testing.T) {
	r := newRig(t)
	b, query, form := r.logout(t, false, ssotest.SAMLLogoutAsk{}, ssotest.SAMLFaults{After: func(el *etree.Element) { r.sign(t, el) }})
	if _, err := r.c.ReadLogout(b, query, form, r.now); code(t, err) != CodeSignatureMalformed {
		t.Error(err)
	}
}
