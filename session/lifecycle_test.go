package session_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

func TestASessionIsLiveAtItsOwnHostAndNowhereElse(t *testing.T) {
	w := newWorld(t)
	jo := w.sso(w.okta, "jo@acme.com")
	child := w.enter(jo, acmeHost, w.acme.ID)
	for _, host := range []string{"", acmeHost, globexHost, "app.test", "acme.app.test.evil.test", "x." + acmeHost, "[::1]", " "} {
		if err := w.live(jo.token, host); (err == nil) != (host == "") || err != nil && !errors.Is(err, session.ErrEnded) {
			t.Errorf("login host's token at %q: %v", host, err)
		}
		if err := w.live(child.token, host); (err == nil) != (host == acmeHost) || err != nil && !errors.Is(err, session.ErrEnded) {
			t.Errorf("Acme's token at %q: %v", host, err)
		}
	}
	for _, same := range []string{"ACME.app.test", "acme.app.test.", "acme.app.test:8443"} {
		w.wantLive(child.token, same, "the same host as "+same)
	}
}

func TestAChildIsLiveNoLongerThanItsParent(t *testing.T) {
	w := newWorld(t)
	jo := w.sso(w.okta, "jo@acme.com")
	w.now = w.now.Add(30 * time.Minute)
	child := w.enter(jo, acmeHost, w.acme.ID)
	if child.ExpiresAt.After(jo.ExpiresAt) {
		t.Errorf("child until %v, parent until %v", child.ExpiresAt, jo.ExpiresAt)
	}
	w.must(func(tx store.Tx) error { return session.End(tx, jo.ID, operator, w.now) })
	if err := w.live(child.token, acmeHost); !errors.Is(err, session.ErrEnded) {
		t.Errorf("got %v", err)
	}
}

func TestAChildWhoseParentIsGoneOrAnothersIsDead(t *testing.T) {
	for name, change := range map[string]func(w *world, s *session.Session){
		"gone":      func(_ *world, s *session.Session) { s.Parent = "session_gone" },
		"another's": func(w *world, s *session.Session) { s.Parent = w.sso(w.okta, "flo@acme.com").ID },
		"a child": func(w *world, s *session.Session) {
			s.Parent = w.enter(login{Session: w.reload(s.Parent)}, globexHost, w.globex.ID).ID
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			child := w.enter(w.sso(w.okta, "jo@acme.com"), acmeHost, w.acme.ID)
			s := w.reload(child.ID)
			change(w, &s)
			w.must(func(tx store.Tx) error { return tx.PutSession(s) })
			if err := w.live(child.token, acmeHost); !errors.Is(err, session.ErrEnded) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestASessionThatIsNotUsedEnds(t *testing.T) {
	w := newWorld(t)
	jo := w.sso(w.okta, "jo@acme.com")
	child := w.enter(jo, acmeHost, w.acme.ID)
	begun := w.now
	w.now = begun.Add(limits.Idle - 1)
	w.wantLive(child.token, acmeHost, "just before the limit")
	w.now = begun.Add(limits.Idle)
	for token, host := range map[session.Token]string{jo.token: "", child.token: acmeHost} {
		if err := w.live(token, host); !errors.Is(err, session.ErrEnded) || !contains(err.Error(), "not used") {
			t.Errorf("at %q: %v", host, err)
		}
	}
	// Using it now does not bring it back.
	w.must(func(tx store.Tx) error { return session.Touch(tx, child.ID, limits, w.now) })
	if err := w.live(child.token, acmeHost); !errors.Is(err, session.ErrEnded) {
		t.Errorf("touched too late: %v", err)
	}
}

func TestUsingAChildKeepsItsParentAlive(t *testing.T) {
	w := newWorld(t)
	jo := w.sso(w.okta, "jo@acme.com")
	child := w.enter(jo, acmeHost, w.acme.ID)
	for range 10 {
		w.now = w.now.Add(limits.Idle / 2)
		w.must(func(tx store.Tx) error { return session.Touch(tx, child.ID, limits, w.now) })
		w.wantLive(child.token, acmeHost, "child in use")
		w.wantLive(jo.token, "", "its parent")
	}
	w.wantEvents("user.created", "orgate.identity.linked", "organization_membership.created", "session.created", "session.created")
}

func TestASessionEndsHoweverMuchItIsUsed(t *testing.T) {
	w := newWorld(t)
	jo := w.sso(w.okta, "jo@acme.com")
	for w.now.Before(jo.ExpiresAt) {
		w.wantLive(jo.token, "", "in use")
		w.now = w.now.Add(limits.Idle / 2)
		w.must(func(tx store.Tx) error { return session.Touch(tx, jo.ID, limits, w.now) })
	}
	if err := w.live(jo.token, ""); !errors.Is(err, session.ErrEnded) || !contains(err.Error(), "too long ago") {
		t.Errorf("got %v", err)
	}
}

func TestShorterLimitsHoldForSessionsThatAreThere(t *testing.T) {
	w := newWorld(t)
	jo := w.sso(w.okta, "jo@acme.com")
	w.now = w.now.Add(20 * time.Minute)
	for l, want := range map[session.Limits]bool{
		{Idle: time.Hour, Absolute: time.Hour}:        true,
		{Idle: 10 * time.Minute, Absolute: time.Hour}: false,
		{Idle: time.Hour, Absolute: 10 * time.Minute}: false,
		{}: false,
	} {
		if err := jo.Alive(l, w.now); (err == nil) != want {
			t.Errorf("with %+v: %v", l, err)
		}
	}
	if err := (session.Session{}).Alive(limits, w.now); !errors.Is(err, session.ErrEnded) {
		t.Errorf("the zero session: %v", err)
	}
}

func TestTouchingWritesNoMoreThanIsNeeded(t *testing.T) {
	w := newWorld(t)
	jo := w.sso(w.okta, "jo@acme.com")
	begun := w.now
	for _, tt := range []struct{ after, seen time.Duration }{
		{limits.Touch() - 1, 0},
		{limits.Touch(), limits.Touch()},
		{limits.Touch() + time.Second, limits.Touch()},
		{time.Second, limits.Touch()}, // another replica's clock is behind
	} {
		w.now = begun.Add(tt.after)
		w.must(func(tx store.Tx) error { return session.Touch(tx, jo.ID, limits, w.now) })
		if got := w.reload(jo.ID).SeenAt.Sub(begun); got != tt.seen {
			t.Errorf("used after %v: seen after %v, want %v", tt.after, got, tt.seen)
		}
	}
	w.must(func(tx store.Tx) error { return session.Touch(tx, "session_gone", limits, w.now) })
}

func TestAProofMovesTheSessionToANewToken(t *testing.T) {
	w := newWorld(t)
	jo := w.sso(w.okta, "jo@acme.com")
	child := w.enter(jo, acmeHost, w.acme.ID)
	old := jo.token
	w.events()
	w.add(&jo, policy.Proof{Method: policy.TOTP, At: w.now}, nil, "")
	if err := w.live(old, ""); !errors.Is(err, session.ErrEnded) {
		t.Errorf("the old token: %v", err)
	}
	w.wantLive(jo.token, "", "the new token")
	w.wantLive(child.token, acmeHost, "the child")
	if len(jo.Proofs) != 2 || jo.Proofs[1].Method != policy.TOTP {
		t.Errorf("proofs are %v", jo.Proofs)
	}
	w.wantEvents(audit.SessionProved)
}

func TestAProofOfOneKindTakesThePlaceOfTheOlder(t *testing.T) {
	w := newWorld(t)
	jo := w.sso(w.okta, "jo@acme.com")
	for i := range 30 {
		w.now = w.now.Add(time.Minute)
		w.add(&jo, proof(w.okta, w.now), upstream(w.okta, "jo@acme.com", fmt.Sprint("sid-", i)), "")
	}
	if len(jo.Proofs) != 1 || !jo.Proofs[0].At.Equal(w.now) || len(jo.Upstream) != 1 || jo.Upstream[0].SID != "sid-29" {
		t.Errorf("proofs are %v, behind them %v", jo.Proofs, jo.Upstream)
	}
}

func TestNobodyElsesProofIsAdded(t *testing.T) {
	w := newWorld(t)
	jo := w.sso(w.okta, "jo@acme.com")
	child := w.enter(jo, acmeHost, w.acme.ID)
	w.sso(w.okta, "flo@acme.com")
	w.sso(w.entra, "jo@globex.com")
	ended := w.sso(w.okta, "jo@acme.com")
	w.must(func(tx store.Tx) error { return session.End(tx, ended.ID, operator, w.now) })
	code := policy.Proof{Method: policy.EmailCode, At: w.now}
	for _, tt := range []struct {
		name string
		to   session.ID
		p    policy.Proof
		up   *session.UpstreamSession
		want error
	}{
		{"another person's", jo.ID, proof(w.okta, w.now), upstream(w.okta, "flo@acme.com", ""), session.ErrForeign},
		{"another person's, elsewhere", jo.ID, proof(w.entra, w.now), upstream(w.entra, "jo@globex.com", ""), session.ErrForeign},
		{"nobody's", jo.ID, proof(w.okta, w.now), upstream(w.okta, "no@acme.com", ""), session.ErrForeign},
		{"without an identity", jo.ID, proof(w.okta, w.now), nil, session.ErrForeign},
		{"by another connection than the identity's", jo.ID, proof(w.entra, w.now), upstream(w.okta, "jo@acme.com", ""), session.ErrForeign},
		{"to a child", child.ID, code, nil, session.ErrForeign},
		{"to what has ended", ended.ID, code, nil, session.ErrEnded},
		{"to what is not there", "session_gone", code, nil, session.ErrEnded},
	} {
		err := w.try(func(tx store.Tx) error {
			_, _, err := session.AddProof(tx, tt.to, tt.p, tt.up, "", w.now)
			return err
		})
		if !errors.Is(err, tt.want) {
			t.Errorf("a proof %s: %v, want %v", tt.name, err, tt.want)
		}
	}
	w.now = jo.ExpiresAt
	err := w.try(func(tx store.Tx) error { _, _, err := session.AddProof(tx, jo.ID, code, nil, "", w.now); return err })
	if !errors.Is(err, session.ErrEnded) {
		t.Errorf("a proof to what is over: %v", err)
	}
}

func TestASessionBeginsWithAProofOfWhoItIs(t *testing.T) {
	w := newWorld(t)
	jo := w.sso(w.okta, "jo@acme.com")
	for name, begin := range map[string]func(tx store.Tx) error{
		"a second factor": func(tx store.Tx) error {
			_, _, err := session.Begin(tx, jo.User, policy.Proof{Method: policy.TOTP}, nil, "", session.Browser{}, limits, w.now)
			return err
		},
		"nothing": func(tx store.Tx) error {
			_, _, err := session.Begin(tx, jo.User, policy.Proof{}, nil, "", session.Browser{}, limits, w.now)
			return err
		},
		"nobody": func(tx store.Tx) error {
			_, _, err := session.Begin(tx, "user_gone", policy.Proof{Method: policy.EmailCode}, nil, "", session.Browser{}, limits, w.now)
			return err
		},
		"another's identity": func(tx store.Tx) error {
			_, _, err := session.Begin(tx, jo.User, proof(w.okta, w.now), upstream(w.okta, "flo@acme.com", ""), "", session.Browser{}, limits, w.now)
			return err
		},
	} {
		if err := w.try(begin); err == nil {
			t.Errorf("a session began with %s", name)
		}
	}
}

func TestACodeIsGoodForOneBrowserHostAndOrganization(t *testing.T) {
	w := newWorld(t)
	jo := w.sso(w.okta, "jo@acme.com")
	mine, theirs := session.NewToken().Hash(), session.NewToken().Hash()
	w.events()
	for _, tt := range []struct {
		name    string
		attempt session.Hash
		host    string
		org     tenancy.OrgID
	}{
		{"another browser", theirs, acmeHost, w.acme.ID},
		{"a browser with no attempt", session.Hash{}, acmeHost, w.acme.ID},
		{"another host", mine, globexHost, w.acme.ID},
		{"the login host", mine, "", w.acme.ID},
		{"another organization", mine, acmeHost, w.globex.ID},
		{"no organization", mine, acmeHost, ""},
	} {
		code := w.issue(jo, acmeHost, w.acme.ID, mine).Hash()
		if r := w.redeem(code, tt.attempt, tt.host, tt.org); !errors.Is(r.Refused, session.ErrForeign) || r.Session.ID != "" || r.Token != (session.Token{}) {
			t.Errorf("%s: %+v", tt.name, r)
		}
		// Whoever saw it there may not use it here.
		if r := w.redeem(code, mine, acmeHost, w.acme.ID); !errors.Is(r.Refused, session.ErrExpired) {
			t.Errorf("after %s: %v", tt.name, r.Refused)
		}
	}
	w.wantEvents()
	r := w.redeem(w.issue(jo, acmeHost, w.acme.ID, mine).Hash(), mine, acmeHost, w.acme.ID)
	if r.Refused != nil || r.ReturnTo != "/x?y=1" || r.Session.Host != acmeHost || r.Session.Organization != w.acme.ID || r.Session.Parent != jo.ID || r.Session.User != jo.User || r.Session.Proofs != nil {
		t.Errorf("the browser that it was made for: %+v", r)
	}
	w.wantLive(r.Token, acmeHost, "the child")
	w.wantEvents(audit.SessionCreated)
}

func TestACodeLivesOneMinute(t *testing.T) {
	w := newWorld(t)
	jo := w.sso(w.okta, "jo@acme.com")
	attempt := session.NewToken().Hash()
	late, soon := w.issue(jo, acmeHost, w.acme.ID, attempt).Hash(), w.issue(jo, acmeHost, w.acme.ID, attempt).Hash()
	w.now = w.now.Add(time.Minute - 1)
	if r := w.redeem(soon, attempt, acmeHost, w.acme.ID); r.Refused != nil {
		t.Errorf("just in time: %v", r.Refused)
	}
	w.now = w.now.Add(1)
	if r := w.redeem(late, attempt, acmeHost, w.acme.ID); !errors.Is(r.Refused, session.ErrExpired) {
		t.Errorf("too late: %v", r.Refused)
	}
	if r := w.redeem(session.NewToken().Hash(), attempt, acmeHost, w.acme.ID); !errors.Is(r.Refused, session.ErrExpired) {
		t.Errorf("never made: %v", r.Refused)
	}
}

func TestACodeDiesWithTheSessionThatItIsOf(t *testing.T) {
	w := newWorld(t)
	jo := w.sso(w.okta, "jo@acme.com")
	attempt := session.NewToken().Hash()
	code := w.issue(jo, acmeHost, w.acme.ID, attempt).Hash()
	w.must(func(tx store.Tx) error { return session.End(tx, jo.ID, operator, w.now) })
	if r := w.redeem(code, attempt, acmeHost, w.acme.ID); !errors.Is(r.Refused, session.ErrEnded) {
		t.Errorf("got %v", r.Refused)
	}
	err := w.try(func(tx store.Tx) error {
		_, err := session.IssueHandover(tx, session.Handover{Attempt: attempt, Host: acmeHost, Organization: w.acme.ID, Parent: jo.ID}, w.now)
		return err
	})
	if !errors.Is(err, session.ErrEnded) {
		t.Errorf("a code of an ended session: %v", err)
	}
}

func TestASecondUseOfACodeEndsTheFirst(t *testing.T) {
	w := newWorld(t)
	jo := w.sso(w.okta, "jo@acme.com")
	attempt := session.NewToken().Hash()
	code := w.issue(jo, acmeHost, w.acme.ID, attempt).Hash()
	first := w.redeem(code, attempt, acmeHost, w.acme.ID)
	w.events()
	// Not even with all that was right the first time, nor after its minute.
	w.now = w.now.Add(5 * time.Minute)
	if r := w.redeem(code, attempt, acmeHost, w.acme.ID); !errors.Is(r.Refused, session.ErrUsed) || r.Session.ID != "" {
		t.Errorf("got %+v", r)
	}
	if err := w.live(first.Token, acmeHost); !errors.Is(err, session.ErrEnded) {
		t.Errorf("the first one's session: %v", err)
	}
	w.wantLive(jo.token, "", "the login host's session")
	w.wantEvents(audit.SessionRevoked)
}

func TestFiftyRedemptionsAtOnceMakeOneSession(t *testing.T) {
	w := newWorld(t)
	jo := w.sso(w.okta, "jo@acme.com")
	attempt := session.NewToken().Hash()
	code := w.issue(jo, acmeHost, w.acme.ID, attempt).Hash()
	w.events()
	var wg sync.WaitGroup
	results := make([]session.Redeemed, 50)
	for i := range results {
		wg.Go(func() {
			err := w.s.Update(t.Context(), func(tx store.Tx) (err error) {
				results[i], err = session.Redeem(tx, code, attempt, acmeHost, w.acme.ID, session.Browser{}, limits, w.now)
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	made := 0
	for _, r := range results {
		switch {
		case r.Refused == nil:
			made++
		case !errors.Is(r.Refused, session.ErrUsed):
			t.Error(r.Refused)
		}
	}
	if made != 1 {
		t.Errorf("%d sessions were made", made)
	}
	w.wantEvents(audit.SessionCreated, audit.SessionRevoked)
}

func TestAHandoverNeedsAllThatItIsBoundTo(t *testing.T) {
	w := newWorld(t)
	jo := w.sso(w.okta, "jo@acme.com")
	child := w.enter(jo, acmeHost, w.acme.ID)
	whole := session.Handover{Attempt: session.NewToken().Hash(), Host: acmeHost, Organization: w.acme.ID, Parent: jo.ID}
	for name, f := range map[string]func(h *session.Handover){
		"attempt":                 func(h *session.Handover) { h.Attempt = session.Hash{} },
		"host":                    func(h *session.Handover) { h.Host = "" },
		"host that is one":        func(h *session.Handover) { h.Host = "127.0.0.1" },
		"organization":            func(h *session.Handover) { h.Organization = "" },
		"parent":                  func(h *session.Handover) { h.Parent = "" },
		"parent that is no child": func(h *session.Handover) { h.Parent = child.ID },
	} {
		h := whole
		f(&h)
		if err := w.try(func(tx store.Tx) error { _, err := session.IssueHandover(tx, h, w.now); return err }); err == nil {
			t.Errorf("a hand-over without a %s", name)
		}
	}
	h := whole
	h.ReturnTo = "//evil.test"
	var code session.Token
	w.must(func(tx store.Tx) (err error) { code, err = session.IssueHandover(tx, h, w.now); return err })
	if r := w.redeem(code.Hash(), h.Attempt, acmeHost, w.acme.ID); r.ReturnTo != "/" {
		t.Errorf("returns to %q", r.ReturnTo)
	}
}

func TestEndingTellsOfEverySessionThatEnds(t *testing.T) {
	w := newWorld(t)
	jo := w.sso(w.okta, "jo@acme.com")
	a, g := w.enter(jo, acmeHost, w.acme.ID), w.enter(jo, globexHost, w.globex.ID)
	other := w.sso(w.okta, "jo@acme.com")
	w.events()
	w.must(func(tx store.Tx) error { return session.End(tx, jo.ID, operator, w.now) })
	type about struct{ org, session string }
	got := map[about]bool{}
	for _, e := range w.changes() {
		if e.Name != audit.SessionRevoked || e.User != string(jo.User) || e.Actor != operator {
			t.Errorf("event %s about %s by %v", e.Name, e.User, e.Actor)
		}
		if !contains(string(e.Data), `"status":"revoked"`) || !contains(string(e.Data), `"auth_method":"sso"`) || contains(string(e.Data), jo.Token.String()) {
			t.Errorf("data is %s", e.Data)
		}
		got[about{e.Organization, e.Session}] = true
	}
	for _, want := range []about{{"", string(jo.ID)}, {string(w.acme.ID), string(a.ID)}, {string(w.globex.ID), string(g.ID)}} {
		if !got[want] {
			t.Errorf("no event about %v", want)
		}
	}
	if len(got) != 3 {
		t.Errorf("%d events", len(got))
	}
	w.wantLive(other.token, "", "the other browser")
	w.must(func(tx store.Tx) error { return session.End(tx, jo.ID, operator, w.now) })
	w.must(func(tx store.Tx) error { return session.End(tx, "session_gone", operator, w.now) })
	w.wantEvents()
}

func TestSigningOutOfOneHostLeavesTheOthers(t *testing.T) {
	w := newWorld(t)
	jo := w.sso(w.okta, "jo@acme.com")
	a, g := w.enter(jo, acmeHost, w.acme.ID), w.enter(jo, globexHost, w.globex.ID)
	w.must(func(tx store.Tx) error { return session.End(tx, a.ID, operator, w.now) })
	if err := w.live(a.token, acmeHost); !errors.Is(err, session.ErrEnded) {
		t.Errorf("got %v", err)
	}
	w.wantLive(g.token, globexHost, "the other host")
	w.wantLive(jo.token, "", "the login host")
}

func TestSigningOutEverywhereKeepsWhatIsKept(t *testing.T) {
	w := newWorld(t)
	here, there, flo := w.sso(w.okta, "jo@acme.com"), w.sso(w.okta, "jo@acme.com"), w.sso(w.okta, "flo@acme.com")
	hereToo, thereToo := w.enter(here, acmeHost, w.acme.ID), w.enter(there, acmeHost, w.acme.ID)
	w.events()
	w.must(func(tx store.Tx) error { return session.EndAll(tx, here.User, here.ID, operator, w.now) })
	w.wantEvents(repeat(audit.SessionRevoked, 2)...)
	w.wantLive(here.token, "", "kept")
	w.wantLive(hereToo.token, acmeHost, "its child")
	for token, host := range map[session.Token]string{there.token: "", thereToo.token: acmeHost} {
		if err := w.live(token, host); !errors.Is(err, session.ErrEnded) {
			t.Errorf("at %q: %v", host, err)
		}
	}
	w.must(func(tx store.Tx) error { return session.EndAll(tx, here.User, "", operator, w.now) })
	w.wantEvents(repeat(audit.SessionRevoked, 2)...)
	w.wantLive(flo.token, "", "somebody else")
}

func TestDeactivationEndsTheSessionsInThatOrganizationAtOnce(t *testing.T) {
	for name, act := range map[string]func(tx session.Tx, w *world, u tenancy.UserID) error{
		"deactivated": func(tx session.Tx, w *world, u tenancy.UserID) error {
			return session.Deactivate(tx, w.acme.ID, u, operator, w.now)
		},
		"removed": func(tx session.Tx, w *world, u tenancy.UserID) error {
			return session.Remove(tx, w.acme.ID, u, operator, w.now)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			jo, flo := w.sso(w.okta, "jo@acme.com"), w.sso(w.okta, "flo@acme.com")
			a, g, floToo := w.enter(jo, acmeHost, w.acme.ID), w.enter(jo, globexHost, w.globex.ID), w.enter(flo, acmeHost, w.acme.ID)
			w.events()
			w.must(func(tx store.Tx) error { return act(tx, w, jo.User) })
			if err := w.live(a.token, acmeHost); !errors.Is(err, session.ErrEnded) {
				t.Errorf("got %v", err)
			}
			w.wantLive(g.token, globexHost, "in the other organization")
			w.wantLive(jo.token, "", "on the login host")
			w.wantLive(floToo.token, acmeHost, "somebody else")
			if es := w.events(); len(es) != 2 || es[1] != audit.SessionRevoked {
				t.Errorf("events are %q", es)
			}
		})
	}
}

func TestDeactivationEndsASessionThatIsGoodInThatOrganizationOnly(t *testing.T) {
	w := newWorld(t)
	w.invite("guest@else.test", w.acme.ID)
	guest := w.sso(w.okta, "guest@else.test")
	if guest.ConfinedTo != w.acme.ID {
		t.Fatalf("confined to %q", guest.ConfinedTo)
	}
	w.must(func(tx store.Tx) error { return session.Deactivate(tx, w.acme.ID, guest.User, operator, w.now) })
	if err := w.live(guest.token, ""); !errors.Is(err, session.ErrEnded) {
		t.Errorf("got %v", err)
	}
}

// invite makes a user and an active membership.
func (w *world) invite(email string, orgs ...tenancy.OrgID) tenancy.UserID {
	w.t.Helper()
	id := tenancy.UserID("user_" + email)
	w.must(func(tx store.Tx) error {
		if err := tx.PutUser(tenancy.User{ID: id, Email: email}); err != nil {
			return err
		}
		for _, org := range orgs {
			if _, err := tenancy.CreateMembership(tx, tenancy.Rules{}, org, id, tenancy.Grant{}, operator, w.now); err != nil {
				return err
			}
		}
		return nil
	})
	return id
}

func TestTheProviderEndsWhatIsBehindItsSession(t *testing.T) {
	w := newWorld(t)
	one := w.sso(w.okta, "jo@acme.com") // sid-1
	child := w.enter(one, acmeHost, w.acme.ID)
	two := w.sso(w.okta, "jo@acme.com")
	w.add(&two, proof(w.okta, w.now), upstream(w.okta, "jo@acme.com", "sid-2"), "")
	flo := w.sso(w.okta, "flo@acme.com") // another's sid-1
	end := func(conn tenancy.ConnectionID, subject, sid string) (n int) {
		w.must(func(tx store.Tx) (err error) {
			n, err = session.EndUpstream(tx, conn, subject, sid, operator, w.now)
			return err
		})
		return n
	}
	for _, none := range []struct{ conn, subject, sid string }{
		{string(w.entra.ID), "sub-jo@acme.com", "sid-1"}, {string(w.okta.ID), "sub-jo", "sid-1"}, {string(w.okta.ID), "sub-jo@acme.com", "sid"},
		{string(w.okta.ID), "", "sid"}, {string(w.entra.ID), "", "sid-1"}, {string(w.okta.ID), "", ""},
	} {
		if n := end(tenancy.ConnectionID(none.conn), none.subject, none.sid); n != 0 {
			t.Errorf("%v ended %d", none, n)
		}
	}
	if n := end(w.okta.ID, "sub-jo@acme.com", "sid-1"); n != 1 {
		t.Errorf("ended %d", n)
	}
	if err := w.live(child.token, acmeHost); !errors.Is(err, session.ErrEnded) {
		t.Errorf("the child: %v", err)
	}
	w.wantLive(two.token, "", "another session of the person")
	if n := end(w.okta.ID, "sub-jo@acme.com", ""); n != 1 {
		t.Errorf("all of the subject's: ended %d", n)
	}
	w.wantLive(flo.token, "", "somebody else")
	if n := end(w.okta.ID, "", "sid-1"); n != 1 {
		t.Errorf("whoever has the sid: ended %d", n)
	}
	if err := w.live(flo.token, ""); !errors.Is(err, session.ErrEnded) {
		t.Errorf("by the sid alone: %v", err)
	}
}

// Whoever has too many sessions to end in one transaction could not be signed out.
func TestNobodyHasMoreSessionsThanCanBeEnded(t *testing.T) {
	w := newWorld(t)
	jo := w.sso(w.okta, "jo@acme.com")
	first := w.enter(jo, acmeHost, w.acme.ID)
	for range 1200 {
		w.enter(jo, acmeHost, w.acme.ID)
	}
	if err := w.live(first.token, acmeHost); !errors.Is(err, session.ErrEnded) {
		t.Errorf("a session of a browser that has another one there: %v", err)
	}
	last := w.enter(jo, acmeHost, w.acme.ID)
	for range 70 {
		w.now = w.now.Add(time.Second)
		w.enter(w.sso(w.okta, "jo@acme.com"), acmeHost, w.acme.ID)
	}
	if err := w.live(jo.token, ""); !errors.Is(err, session.ErrEnded) {
		t.Errorf("the oldest of many: %v", err)
	}
	if err := w.live(last.token, acmeHost); !errors.Is(err, session.ErrEnded) {
		t.Errorf("its child: %v", err)
	}
	w.must(func(tx store.Tx) error { return session.Deactivate(tx, w.acme.ID, jo.User, operator, w.now) })
}

// A session that was good in one organization takes its place among the others when it is good
// everywhere: else whoever begins them there has as many as they like here.
func TestLiftingAConfinementLeavesNobodyMoreSessionsThanCanBeEnded(t *testing.T) {
	w := newWorld(t)
	flo := w.invite("flo@else.test", w.acme.ID)
	for range 70 {
		w.now = w.now.Add(time.Second)
		l := w.sso(w.okta, "flo@else.test")
		if l.ConfinedTo != w.acme.ID {
			t.Fatalf("confined to %q", l.ConfinedTo)
		}
		w.add(&l, policy.Proof{Method: policy.EmailCode, At: w.now}, nil, "")
		w.wantLive(l.token, "", "the one that was lifted")
	}
	live := 0
	w.must(func(tx store.Tx) error {
		live = 0
		for s, err := range tx.SessionsOf(flo) {
			if err != nil {
				return err
			}
			if s.Alive(limits, w.now) == nil {
				live++
			}
		}
		return nil
	})
	if live > 64 {
		t.Errorf("%d sessions are good everywhere, the most is 64", live)
	}
}

// A code that was made before a deactivation makes no session after it, which would come to life with the membership.
func TestACodeIsNoGoodOnceTheMembershipHasEnded(t *testing.T) {
	for name, act := range map[string]func(w *world, tx store.Tx, u tenancy.UserID) error{
		"deactivated": func(w *world, tx store.Tx, u tenancy.UserID) error {
			return session.Deactivate(tx, w.acme.ID, u, operator, w.now)
		},
		"removed": func(w *world, tx store.Tx, u tenancy.UserID) error {
			return session.Remove(tx, w.acme.ID, u, operator, w.now)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			jo := w.sso(w.okta, "jo@acme.com")
			w.belong(jo.User, w.acme.ID)
			attempt := session.NewToken().Hash()
			code := w.issue(jo, acmeHost, w.acme.ID, attempt).Hash()
			w.must(func(tx store.Tx) error { return act(w, tx, jo.User) })
			if r := w.redeem(code, attempt, acmeHost, w.acme.ID); !errors.Is(r.Refused, session.ErrEnded) || r.Session.ID != "" {
				t.Errorf("%+v", r)
			}
		})
	}
}
