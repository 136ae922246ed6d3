package saml

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"

	"github.com/orgate/orgate/sso/ssotest"
)

func TestAnAnswerIsToWhatThisBrowserAsked(t *testing.T) {
	r := newRig(t)
	_, f, err := r.c.Start(StartRequest{}, r.now)
	if err != nil {
		t.Fatal(err)
	}
	r.ask.InResponseTo = f.RequestID
	a, _ := r.accept(t, r.respond())
	other := r.c
	other.ID = "conn_2"
	moved := r.c
	moved.IDP.EntityID = "https://evil.test"
	unsolicited, another := a, a
	unsolicited.InResponseTo, another.InResponseTo = "", "_other"
	zero := unsolicited
	for name, tc := range map[string]struct {
		f     Flow
		c     Connection
		a     Assertion
		relay string
		after time.Duration
		want  Code
	}{
		"honest":                  {f, r.c, a, f.State, 0, ""},
		"after ten minutes":       {f, r.c, a, f.State, FlowLife, ""},
		"later":                   {f, r.c, a, f.State, FlowLife + time.Second, CodeFlowExpired},
		"before":                  {f, r.c, a, f.State, -2 * skew, CodeFlowExpired},
		"another state":           {f, r.c, a, f.State + "x", 0, CodeState},
		"no state":                {f, r.c, a, "", 0, CodeState},
		"no flow":                 {Flow{}, r.c, a, "", 0, CodeState},
		"no flow, no request":     {Flow{}, r.c, zero, "", 0, CodeUnsolicited},
		"another connection":      {f, other, a, f.State, 0, CodeState},
		"another provider":        {f, moved, a, f.State, 0, CodeState},
		"unsolicited":             {f, r.c, unsolicited, f.State, 0, CodeUnsolicited},
		"answer to another":       {f, r.c, another, f.State, 0, CodeState},
		"flow without request id": {Flow{State: f.State, ConnectionID: f.ConnectionID, IDP: f.IDP, StartedAt: f.StartedAt}, r.c, a, f.State, 0, CodeState},
	} {
		t.Run(name, func(t *testing.T) {
			if got := code(t, tc.f.Check(tc.c, tc.a, tc.relay, r.now.Add(tc.after))); got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}

func TestWhoMustHaveSignedInLatelyDid(t *testing.T) {
	for _, tc := range []struct {
		name string
		req  StartRequest
		ago  time.Duration
		want Code
	}{
		{"nothing asked, long ago", StartRequest{}, 24 * time.Hour, ""},
		{"max age, within", StartRequest{MaxAge: time.Hour}, time.Hour, ""},
		{"max age, within the skew", StartRequest{MaxAge: time.Hour}, time.Hour + skew, ""},
		{"max age, beyond", StartRequest{MaxAge: time.Hour}, time.Hour + skew + time.Second, CodeStaleLogin},
		{"forced, now", StartRequest{ForceLogin: true}, 0, ""},
		{"forced, a session of before", StartRequest{ForceLogin: true}, skew + time.Second, CodeStaleLogin},
		{"forced, though max age would do", StartRequest{ForceLogin: true, MaxAge: time.Hour}, 2 * time.Minute, CodeStaleLogin},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t)
			m, f, err := r.c.Start(tc.req, r.now)
			if err != nil {
				t.Fatal(err)
			}
			forced, _ := attr(request(t, m), "ForceAuthn")
			if want := tc.req != (StartRequest{}); (forced == "true") != want {
				t.Errorf("ForceAuthn %q", forced)
			}
			r.ask.InResponseTo, r.ask.AuthnInstant = f.RequestID, r.now.Add(-tc.ago)
			a, _ := r.accept(t, r.respond())
			if got := code(t, f.Check(r.c, a, f.State, r.now)); got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}

// request reads a message as its provider would.
func request(t testing.TB, m Message) *etree.Element {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(m.Value)
	if err != nil {
		t.Fatal(err)
	}
	if m.Binding == Redirect {
		if b, err = io.ReadAll(flate.NewReader(bytes.NewReader(b))); err != nil {
			t.Fatal(err)
		}
	}
	d, err := parse(b, false)
	if err != nil {
		t.Fatal(err)
	}
	return d.root
}

func TestARequestSaysWhatIsWanted(t *testing.T) {
	r := newRig(t)
	r.c.NameIDFormat = formatPersistent
	m, f, err := r.c.Start(StartRequest{LoginHint: "alice+x@acme.test"}, r.now)
	if err != nil {
		t.Fatal(err)
	}
	if m.Binding != Redirect || m.Name != "SAMLRequest" || m.RelayState != f.State || len(f.State) > 80 || f.ConnectionID != r.c.ID || f.IDP != r.c.IDP.EntityID {
		t.Errorf("%+v %+v", m, f)
	}
	el := request(t, m)
	for name, want := range map[string]string{
		"ID": f.RequestID, "Version": "2.0", "Destination": "https://idp.test/saml/sso", "AssertionConsumerServiceURL": rigACS,
		"ProtocolBinding": bindingPost, "IssueInstant": r.now.Format("2006-01-02T15:04:05Z"),
	} {
		if got, _ := attr(el, name); got != want {
			t.Errorf("%s %q, want %q", name, got, want)
		}
	}
	policy := only(el, nsProtocol, "NameIDPolicy")
	create, _ := attr(policy, "AllowCreate")
	format, _ := attr(policy, "Format")
	issuer, _ := textOf(only(el, nsAssertion, "Issuer"))
	if create != "true" || format != formatPersistent || issuer != rigEntityID || only(el, nsAssertion, "Subject") != nil {
		t.Errorf("%q %q %q", create, format, issuer)
	}
	u, err := url.Parse(m.URL)
	if err != nil || u.Query().Get("login_hint") != "alice+x@acme.test" || u.Query().Get("RelayState") != f.State || u.Query().Has("Signature") {
		t.Errorf("%s", m.URL)
	}
	again, g, _ := r.c.Start(StartRequest{LoginHint: "a\nb"}, r.now)
	if g.State == f.State || g.RequestID == f.RequestID || strings.Contains(again.URL, "login_hint") {
		t.Errorf("%+v %s", g, again.URL)
	}
	b, err := json.Marshal(f)
	var back Flow
	if err != nil || json.Unmarshal(b, &back) != nil || back != f {
		t.Errorf("%s: %+v", b, back)
	}
}

func TestAnEndpointKeepsItsQuery(t *testing.T) {
	r := newRig(t)
	for address, want := range map[string]string{
		"https://idp.test/sso?tenant=a%20b": "https://idp.test/sso?tenant=a%20b&SAMLRequest=",
		"https://idp.test/sso?":             "https://idp.test/sso?SAMLRequest=",
		"https://idp.test/sso":              "https://idp.test/sso?SAMLRequest=",
	} {
		r.c.IDP.SSO = []Endpoint{{Binding: Redirect, URL: address}}
		if m, _, err := r.c.Start(StartRequest{}, r.now); err != nil || !strings.HasPrefix(m.URL, want) {
			t.Errorf("%s: %v", m.URL, err)
		}
	}
}

// The provider of the tests verifies what we sign, in both bindings, by our certificate.
func TestTheProviderVerifiesWhatWeSign(t *testing.T) {
	for _, binding := range []Binding{Redirect, Post} {
		r := newRig(t)
		p := ssotest.StartSAML(t, ssotest.SAMLOptions{WantSigned: true, People: []ssotest.Person{alice}})
		p.Trust(ssotest.SAMLServiceProvider{EntityID: rigEntityID, ACS: rigACS, SLO: rigSLO, Certificate: ours().Certificate, WantSigned: true})
		known, err := ParseMetadata(p.Metadata(), "", r.now)
		if err != nil || !known.WantSigned || known.EntityID != p.EntityID() {
			t.Fatalf("%+v, %v", known, err)
		}
		known.SSO = []Endpoint{{Binding: binding, URL: p.EntityID() + "/sso"}}
		r.c.IDP = known
		m, _, err := r.c.Start(StartRequest{LoginHint: "alice@acme.test"}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if status, body := send(t, m); status != 200 || !strings.Contains(body, alice.Name) {
			t.Errorf("%s: %d %s", binding, status, body)
		}
		// Another's signature is not ours.
		m, _, err = r.c.Start(StartRequest{}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		p.Trust(ssotest.SAMLServiceProvider{EntityID: rigEntityID, ACS: rigACS, Certificate: p.Certificate(), WantSigned: true})
		if status, _ := send(t, m); status == 200 {
			t.Errorf("%s: verified by another certificate", binding)
		}
	}
}

func TestASettingThatIsMissingIsSaid(t *testing.T) {
	r := newRig(t)
	for name, edit := range map[string]func(*Connection){
		"no id":               func(c *Connection) { c.ID = "" },
		"no entity id":        func(c *Connection) { c.EntityID = "" },
		"no ACS":              func(c *Connection) { c.ACS = "" },
		"no provider":         func(c *Connection) { c.IDP.EntityID = "" },
		"no certificates":     func(c *Connection) { c.IDP.Certificates = nil },
		"no sign-in URL":      func(c *Connection) { c.IDP.SSO = nil },
		"a URL of a script":   func(c *Connection) { c.IDP.SSO = []Endpoint{{Binding: Redirect, URL: "javascript:alert(1)"}} },
		"an unknown binding":  func(c *Connection) { c.IDP.SSO = []Endpoint{{Binding: "soap", URL: "https://idp.test"}} },
		"nothing to sign by":  func(c *Connection) { c.SignRequests, c.Keys = true, nil },
		"nothing, and wanted": func(c *Connection) { c.IDP.WantSigned, c.Keys = true, nil },
	} {
		c := r.c
		edit(&c)
		_, _, started := c.Start(StartRequest{}, r.now)
		_, _, consumed := c.Consume(r.respond(), r.now)
		if got, also := code(t, started), code(t, consumed); got == "" && also == "" {
			t.Errorf("%s: %v, %v", name, started, consumed)
		}
	}
	// What is empty in the settings is not what is empty in a message.
	c := r.c
	c.EntityID, c.IDP.EntityID, c.ACS = "", "", ""
	if _, _, err := c.Consume(r.respond(), r.now); code(t, err) != CodeConnection {
		t.Error(err)
	}
}
