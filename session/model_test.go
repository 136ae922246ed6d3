package session_test

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// The model says which tokens are live where, from nothing but what was done and when.
type modelSession struct {
	id                   session.ID
	user                 tenancy.UserID
	parent               *modelSession
	host                 string
	org                  tenancy.OrgID
	token                session.Token
	begun, seen, expires time.Time
	ended                bool
}

func (m *modelSession) usable(now time.Time) bool {
	return !m.ended && now.Before(m.expires) && now.Sub(m.seen) < limits.Idle
}

func (m *modelSession) live(now time.Time) bool {
	return m.usable(now) && (m.parent == nil || m.parent.usable(now))
}

func (m *modelSession) end(now time.Time, all []*modelSession) (n int) {
	if m.ended || !now.Before(m.expires) {
		return 0
	}
	m.ended, n = true, 1
	for _, c := range all {
		if c.parent == m {
			n += c.end(now, all)
		}
	}
	return n
}

type modelCode struct {
	code, attempt session.Token
	parent        *modelSession
	host          string
	org           tenancy.OrgID
	until         time.Time
	child         *modelSession
}

func TestNoTokenIsEverLiveWhereTheModelSaysItIsNot(t *testing.T) {
	for seed := range uint64(12) {
		runModel(t, seed, 160)
	}
}

func runModel(t *testing.T, seed uint64, steps int) {
	t.Helper()
	rnd := rand.New(rand.NewPCG(seed, 7))
	w := newWorld(t)
	people := []string{"jo@acme.com", "flo@acme.com"}
	hosts := map[string]tenancy.OrgID{acmeHost: w.acme.ID, globexHost: w.globex.ID}
	hostNames := []string{acmeHost, globexHost}
	var all []*modelSession
	var codes []*modelCode
	issued := map[session.Token]bool{} // whatever a browser ever got
	for _, email := range people {
		var in tenancy.SignedIn
		w.must(func(tx store.Tx) (err error) { in, err = w.assert(tx, w.okta, email); return err })
		w.belong(in.User.ID, w.globex.ID)
	}
	w.changes()
	pick := func(parents bool) *modelSession {
		for range 20 {
			if len(all) == 0 {
				return nil
			}
			// The young ones are the interesting ones.
			if m := all[max(0, len(all)-1-rnd.IntN(10))]; !parents || m.parent == nil {
				return m
			}
		}
		return nil
	}

	for step := range steps {
		revoked := 0 // events that are due
		op := rnd.IntN(12)
		switch {
		case op <= 1: // somebody signs in
			l := w.sso(w.okta, people[rnd.IntN(len(people))])
			all = append(all, &modelSession{id: l.ID, user: l.User, token: l.token, begun: w.now, seen: w.now, expires: w.now.Add(limits.Absolute)})
		case op == 2: // proves something more
			m := pick(true)
			if m == nil {
				continue
			}
			err := w.try(func(tx store.Tx) error {
				_, token, err := session.AddProof(tx, m.id, policy.Proof{Method: policy.EmailCode, At: w.now}, nil, "", w.now)
				if err == nil {
					m.token = token
				}
				return err
			})
			if dead := m.ended || !w.now.Before(m.expires); dead != errors.Is(err, session.ErrEnded) || (err != nil) != dead {
				t.Fatalf("seed %d, step %d: proof: %v", seed, step, err)
			}
			if err == nil {
				m.seen = w.now
			}
		case op <= 4: // is sent to a tenant host
			m := pick(true)
			if m == nil {
				continue
			}
			host := hostNames[rnd.IntN(2)]
			c := &modelCode{attempt: session.NewToken(), parent: m, host: host, org: hosts[host], until: w.now.Add(time.Minute)}
			err := w.try(func(tx store.Tx) (err error) {
				c.code, err = session.IssueHandover(tx, session.Handover{Attempt: c.attempt.Hash(), Host: host, Organization: c.org, Parent: m.id, ReturnTo: "/"}, w.now)
				return err
			})
			if (err == nil) != (!m.ended && w.now.Before(m.expires)) {
				t.Fatalf("seed %d, step %d: code: %v", seed, step, err)
			}
			if err == nil {
				codes = append(codes, c)
			}
		case op <= 7: // and somebody arrives there with the code
			if len(codes) == 0 {
				continue
			}
			c := codes[max(0, len(codes)-1-rnd.IntN(4))]
			if w.now.After(c.until.Add(9 * time.Minute)) {
				continue // about to be forgotten
			}
			attempt, host, org := c.attempt, c.host, c.org
			foreign := true
			switch rnd.IntN(6) {
			case 0:
				attempt = session.NewToken()
			case 1:
				host = hostNames[rnd.IntN(2)]
				foreign = host != c.host
			case 2:
				org = hosts[hostNames[rnd.IntN(2)]]
				foreign = org != c.org
			default:
				foreign = false
			}
			var want error
			switch {
			case c.child != nil:
				want = session.ErrUsed
				revoked = c.child.end(w.now, all)
			case foreign:
				want = session.ErrForeign
				if w.now.Before(c.until) {
					c.until = w.now // it is spent
				}
			case !w.now.Before(c.until):
				want = session.ErrExpired
			case !c.parent.usable(w.now):
				want = session.ErrEnded
			}
			r := w.redeem(c.code.Hash(), attempt.Hash(), host, org)
			if !errors.Is(r.Refused, want) || (r.Refused == nil) != (want == nil) {
				t.Fatalf("seed %d, step %d: redeem: %v, want %v", seed, step, r.Refused, want)
			}
			if want == nil {
				for _, o := range all { // its browser has one session of a host
					if o.parent == c.parent && o.host == host {
						revoked += o.end(w.now, all)
					}
				}
				c.child = &modelSession{id: r.Session.ID, user: r.Session.User, parent: c.parent, host: host, org: org, token: r.Token, begun: w.now, seen: w.now, expires: c.parent.expires}
				if e := w.now.Add(limits.Absolute); e.Before(c.child.expires) {
					c.child.expires = e
				}
				all = append(all, c.child)
			}
		case op == 8: // somebody signs out, here or everywhere else
			m := pick(false)
			if m == nil {
				continue
			}
			if rnd.IntN(3) > 0 {
				revoked = m.end(w.now, all)
				w.must(func(tx store.Tx) error { return session.End(tx, m.id, operator, w.now) })
				break
			}
			for _, o := range all {
				if o.user == m.user && o != m && o.parent != m && o != m.parent {
					revoked += o.end(w.now, all)
				}
			}
			w.must(func(tx store.Tx) error { return session.EndAll(tx, m.user, m.id, operator, w.now) })
		case op == 9: // an administrator deactivates somebody, who comes back by nothing but a deliberate act
			email := people[rnd.IntN(len(people))]
			w.must(func(tx store.Tx) error {
				u, err := tx.UserByEmail(email)
				if err != nil {
					return err
				}
				for _, o := range all {
					if o.user == u.ID && o.org == w.acme.ID {
						revoked += o.end(w.now, all)
					}
				}
				if err := session.Deactivate(tx, w.acme.ID, u.ID, operator, w.now); err != nil {
					return err
				}
				return tenancy.ReactivateMembership(tx, tenancy.Rules{}, w.acme.ID, u.ID, operator, w.now)
			})
		case op == 10: // time passes
			w.now = w.now.Add([]time.Duration{time.Second, 50 * time.Second, 4 * time.Minute, 20 * time.Minute, 50 * time.Minute, 3 * time.Hour}[rnd.IntN(6)])
		default: // somebody uses a session
			m := pick(false)
			if m == nil {
				continue
			}
			w.must(func(tx store.Tx) error { return session.Touch(tx, m.id, limits, w.now) })
			for s := m; s != nil && s.usable(w.now); s = s.parent {
				if w.now.Sub(s.seen) >= limits.Touch() {
					s.seen = w.now
				}
			}
		}

		n := 0
		for _, e := range w.changes() {
			if e.Name == audit.SessionRevoked {
				n++
			}
		}
		if n != revoked {
			t.Fatalf("seed %d, step %d, operation %d: %d sessions were revoked, want %d", seed, step, op, n, revoked)
		}
		live := map[session.Token]*modelSession{}
		for _, m := range all {
			issued[m.token] = true
			if m.live(w.now) {
				live[m.token] = m
			}
		}
		err := w.s.View(t.Context(), func(tx store.Tx) error {
			for token := range issued {
				for _, host := range []string{"", acmeHost, globexHost} {
					m := live[token]
					want := m != nil && m.host == host
					s, parent, err := session.Live(tx, token.Hash(), host, limits, w.now)
					switch {
					case err != nil && !errors.Is(err, session.ErrEnded):
						return err
					case (err == nil) != want:
						t.Fatalf("seed %d, step %d, operation %d: token at %q: %v, want live %v", seed, step, op, host, err, want)
					case err == nil && (s.ID != m.id || s.Organization != m.org || (m.parent == nil) != (parent.ID == s.ID)):
						t.Fatalf("seed %d, step %d: token at %q is %s of %s", seed, step, host, s.ID, s.Organization)
					}
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
