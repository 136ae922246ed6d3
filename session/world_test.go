package session_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/store/storetest"
	"github.com/orgate/orgate/tenancy"
)

var operator = audit.Actor{Type: "config"}

var limits = session.Limits{Idle: time.Hour, Absolute: 8 * time.Hour}

const (
	acmeHost   = "acme.app.test"
	globexHost = "globex.app.test"
)

// A world is a store with two organizations: Acme has acme.com and the connection okta,
// Globex has globex.com and entra. Both make members just in time.
type world struct {
	t            testing.TB
	s            *store.Store
	now          time.Time
	acme, globex tenancy.Organization
	okta, entra  tenancy.Connection
	seen         uint64
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, now: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	w.s = storetest.OpenAt(t, func() time.Time { return w.now })
	w.must(func(tx store.Tx) (err error) {
		for i, r := range []tenancy.Role{{Slug: "member", Permissions: []string{"reports:read"}}, {Slug: "admin", Permissions: []string{"reports:delete", "reports:read"}}} {
			r.Priority = i
			if err := tenancy.SaveRole(tx, r, operator, w.now); err != nil {
				return err
			}
		}
		if w.acme, w.okta, err = w.organization(tx, "acme", "okta"); err != nil {
			return err
		}
		w.globex, w.entra, err = w.organization(tx, "globex", "entra")
		return err
	})
	w.changes()
	return w
}

func (w *world) organization(tx store.Tx, slug, conn string) (o tenancy.Organization, c tenancy.Connection, err error) {
	o, err = tenancy.SaveOrganization(tx, tenancy.Organization{Slug: tenancy.Slug(slug), Name: slug, JITSSO: true}, operator, w.now)
	if err != nil {
		return o, c, err
	}
	if err := tenancy.SetDomains(tx, o.ID, []tenancy.DomainClaim{{Name: slug + ".com", Verified: true}}, operator, w.now); err != nil {
		return o, c, err
	}
	c, err = tenancy.SaveConnection(tx, tenancy.Connection{Organization: o.ID, Name: conn, Type: "oidc"}, operator, w.now)
	return o, c, err
}

// change saves the organization as f changes it.
func (w *world) change(org tenancy.OrgID, f func(o *tenancy.Organization)) {
	w.t.Helper()
	w.must(func(tx store.Tx) error {
		o, err := tx.Organization(org)
		if err != nil {
			return err
		}
		f(&o)
		_, err = tenancy.SaveOrganization(tx, o, operator, w.now)
		return err
	})
}

func (w *world) must(f func(tx store.Tx) error) {
	w.t.Helper()
	if err := w.s.Update(w.t.Context(), f); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) try(f func(tx store.Tx) error) error {
	w.t.Helper()
	return w.s.Update(w.t.Context(), f)
}

// changes returns the events since the last call.
func (w *world) changes() []audit.Event {
	w.t.Helper()
	var es []audit.Event
	for {
		changes, err := w.s.Feed(w.t.Context(), w.seen, 100)
		if err != nil {
			w.t.Fatal(err)
		}
		if len(changes) == 0 {
			return es
		}
		for _, c := range changes {
			es = append(es, c.Event)
			w.seen = c.Position
		}
	}
}

func (w *world) events() []string {
	w.t.Helper()
	var names []string
	for _, e := range w.changes() {
		names = append(names, e.Name)
	}
	return names
}

func (w *world) wantEvents(want ...string) {
	w.t.Helper()
	if got := w.events(); !slices.Equal(got, want) {
		w.t.Errorf("events are %q, want %q", got, want)
	}
}

// A login is a session of the login host and the token that its browser has.
type login struct {
	session.Session
	token session.Token
}

// sso signs somebody in by a connection, and begins a session.
func (w *world) sso(c tenancy.Connection, email string) login {
	w.t.Helper()
	var l login
	w.must(func(tx store.Tx) error {
		in, err := w.assert(tx, c, email)
		if err != nil {
			return err
		}
		l.Session, l.token, err = session.Begin(tx, in.User.ID, proof(c, w.now), upstream(c, email, "sid-1"), in.ConfinedTo, session.Browser{UserAgent: "Firefox", RemoteIP: "192.0.2.1"}, limits, w.now)
		return err
	})
	return l
}

func (w *world) assert(tx store.Tx, c tenancy.Connection, email string) (tenancy.SignedIn, error) {
	return tenancy.SignIn(tx, tenancy.Rules{}, tenancy.Assertion{Connection: c.ID, Organization: c.Organization, Subject: "sub-" + email, Email: email}, w.now)
}

func proof(c tenancy.Connection, at time.Time) policy.Proof {
	return policy.Proof{Method: policy.SSO, Connection: string(c.ID), Organization: string(c.Organization), At: at}
}

func upstream(c tenancy.Connection, email, sid string) *session.UpstreamSession {
	return &session.UpstreamSession{Connection: c.ID, Organization: c.Organization, Subject: "sub-" + email, SID: sid}
}

// add adds a proof.
func (w *world) add(l *login, p policy.Proof, up *session.UpstreamSession, confined tenancy.OrgID) {
	w.t.Helper()
	w.must(func(tx store.Tx) (err error) {
		l.Session, l.token, err = session.AddProof(tx, l.ID, p, up, confined, w.now)
		return err
	})
}

// issue makes a code for a host of an organization.
func (w *world) issue(l login, host string, org tenancy.OrgID, attempt session.Hash) session.Token {
	w.t.Helper()
	var code session.Token
	w.must(func(tx store.Tx) (err error) {
		code, err = session.IssueHandover(tx, session.Handover{Attempt: attempt, Host: host, Organization: org, Parent: l.ID, ReturnTo: "/x?y=1"}, w.now)
		return err
	})
	return code
}

func (w *world) redeem(code, attempt session.Hash, host string, org tenancy.OrgID) session.Redeemed {
	w.t.Helper()
	var r session.Redeemed
	w.must(func(tx store.Tx) (err error) {
		r, err = session.Redeem(tx, code, attempt, host, org, session.Browser{UserAgent: "Firefox", RemoteIP: "192.0.2.1"}, limits, w.now)
		return err
	})
	return r
}

// belong makes the user an active member, if there is no membership.
func (w *world) belong(user tenancy.UserID, org tenancy.OrgID) {
	w.t.Helper()
	w.must(func(tx store.Tx) error {
		if _, err := tx.Membership(org, user); !errors.Is(err, tenancy.ErrNotFound) {
			return err
		}
		return tx.PutMembership(tenancy.Membership{ID: tenancy.MembershipID("om_" + string(org) + string(user)), Organization: org, User: user, Status: policy.Active, Roles: []string{"member"}})
	})
}

// enter hands a session of a member over to a host.
func (w *world) enter(l login, host string, org tenancy.OrgID) login {
	w.t.Helper()
	w.belong(l.User, org)
	attempt := session.NewToken().Hash()
	r := w.redeem(w.issue(l, host, org, attempt).Hash(), attempt, host, org)
	if r.Refused != nil {
		w.t.Fatal(r.Refused)
	}
	return login{r.Session, r.Token}
}

// live returns nil if the token may be used at the host.
func (w *world) live(t session.Token, host string) error {
	w.t.Helper()
	return w.s.View(w.t.Context(), func(tx store.Tx) error {
		_, _, err := session.Live(tx, t.Hash(), host, limits, w.now)
		return err
	})
}

func (w *world) wantLive(t session.Token, host, at string) {
	w.t.Helper()
	if err := w.live(t, host); err != nil {
		w.t.Errorf("%s: %v", at, err)
	}
}

func (w *world) gather(q session.Query) session.View {
	w.t.Helper()
	q.Now, q.Offered = w.now, policy.MethodsOf(policy.SSO, policy.EmailCode, policy.TOTP, policy.RecoveryCode)
	var v session.View
	if err := w.s.View(w.t.Context(), func(tx store.Tx) (err error) { v, err = session.Gather(tx, q); return err }); err != nil {
		w.t.Fatal(err)
	}
	return v
}

// reload returns the session as it is stored.
func (w *world) reload(id session.ID) (s session.Session) {
	w.t.Helper()
	w.must(func(tx store.Tx) (err error) { s, err = tx.Session(id); return err })
	return s
}

func repeat(s string, n int) []string { return slices.Repeat([]string{s}, n) }

func contains(s, sub string) bool { return strings.Contains(s, sub) }
