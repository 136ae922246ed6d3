package saml

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/beevik/etree"

	"github.com/orgate/orgate/sso/idp"
	"github.com/orgate/orgate/sso/ssotest"
)

const (
	rigACS      = "https://login.example.com/sso/saml/acs/conn_1"
	rigSLO      = "https://login.example.com/sso/saml/slo/conn_1"
	rigEntityID = "https://login.example.com/sso/saml/conn_1"
)

var (
	alice   = ssotest.Person{Subject: "u-alice", Email: "alice@acme.test", Name: "Alice Arnold", Groups: []string{"admins", "staff"}, Claims: map[string]any{"department": "R&D"}}
	mallory = ssotest.Person{Subject: "u-mallory", Email: "mallory@acme.test", Name: "Mallory Mars", Groups: []string{"staff"}}
)

// ours is one key pair for all tests: making them is slow.
var ours = sync.OnceValue(func() Key {
	k, err := NewKey("orgate", time.Now())
	if err != nil {
		panic(err)
	}
	return k
})

// rigNow is the moment of all tests, unless they let time go on.
var rigNow = time.Now().UTC().Truncate(time.Second)

// provider is one provider for all tests that leave its keys alone.
var provider = sync.OnceValue(func() *ssotest.SAMLProvider {
	p, err := ssotest.NewSAML(ssotest.SAMLOptions{EntityID: "https://idp.test/saml", People: []ssotest.Person{alice, mallory}, Now: func() time.Time { return rigNow }})
	if err != nil {
		panic(err)
	}
	return p
})

// A rig is a provider and a connection to it, at one moment.
type rig struct {
	idp *ssotest.SAMLProvider
	c   Connection
	now time.Time
	ask ssotest.SAMLAsk
}

func newRig(t testing.TB) *rig {
	t.Helper()
	p := provider()
	r := &rig{idp: p, now: rigNow}
	r.c = Connection{
		ID: "conn_1", EntityID: rigEntityID, ACS: rigACS, SLO: rigSLO, Keys: []Key{ours()},
		IDP: IDP{
			EntityID: p.EntityID(), Certificates: [][]byte{p.Certificate()},
			SSO: []Endpoint{{Binding: Redirect, URL: "https://idp.test/saml/sso"}, {Binding: Post, URL: "https://idp.test/saml/sso"}},
			SLO: []Endpoint{{Binding: Redirect, URL: "https://idp.test/saml/slo"}, {Binding: Post, URL: "https://idp.test/saml/slo"}},
		},
	}
	r.ask = ssotest.SAMLAsk{ACS: rigACS, Audience: rigEntityID, InResponseTo: "_request", Certificate: ours().Certificate}
	return r
}

// respond makes a response for alice.
func (r *rig) respond(faults ...ssotest.SAMLFaults) string {
	return r.idp.Respond(r.ask, alice, faults...)
}

// code returns the code of an error, "" if it is none.
func code(t testing.TB, err error) Code {
	t.Helper()
	if err == nil {
		return ""
	}
	e, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatalf("not an *Error: %v", err)
	}
	if e.Protocol != "saml" || e.Hint == "" || e.Text.IsZero() || len(e.Detail) > idp.MaxDetail+3 {
		t.Fatalf("an error without its texts: %#v", e)
	}
	return e.Code
}

// refuse checks that a response is refused, for that reason.
func (r *rig) refuse(t *testing.T, response string, want Code) {
	t.Helper()
	a, steps, err := r.c.Consume(response, r.now)
	if got := code(t, err); got != want {
		t.Errorf("%q, want %q: %v", got, want, err)
	}
	if a.Subject != "" || a.Email != "" || a.ID != "" {
		t.Errorf("with a refusal came %+v", a)
	}
	if len(steps) == 0 || steps[len(steps)-1].OK {
		t.Errorf("the last step is not the one that failed: %+v", steps)
	}
}

// accept checks that a response is alice's.
func (r *rig) accept(t testing.TB, response string) (Assertion, []Step) {
	t.Helper()
	a, steps, err := r.c.Consume(response, r.now)
	if err != nil {
		t.Fatalf("%v\n%+v", err, steps)
	}
	if a.Subject != alice.Subject || a.Email != alice.Email {
		t.Errorf("%+v", a)
	}
	return a, steps
}

// sign signs an element by the provider's key where the provider of the tests would not.
func (r *rig) sign(t testing.TB, el *etree.Element) {
	t.Helper()
	key := r.idp.Key()
	signer := Connection{Keys: []Key{{Certificate: key.Certificate, Private: key.Private}}}
	if _, err := signer.sign(el); err != nil {
		t.Fatal(err)
	}
}

// finish does what a caller does with a response to the request that the rig asks for.
func (r *rig) finish(response string) (Assertion, error) {
	a, _, err := r.c.Consume(response, r.now)
	if err != nil {
		return Assertion{}, err
	}
	f := Flow{State: "state", RequestID: r.ask.InResponseTo, ConnectionID: r.c.ID, IDP: r.c.IDP.EntityID, StartedAt: r.now}
	return a, f.Check(r.c, a, "state", r.now)
}
