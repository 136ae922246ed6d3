package session_test

import (
	"errors"
	"testing"

	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// social signs somebody in by a social provider, or adds to their session.
func (w *world) social(user tenancy.UserID, at tenancy.ConnectionID, subject string, to session.ID) (l login, err error) {
	w.t.Helper()
	p := policy.Proof{Method: policy.Social, Connection: string(at), At: w.now}
	up := &session.UpstreamSession{Connection: at, Subject: subject}
	err = w.try(func(tx store.Tx) (err error) {
		if to != "" {
			l.Session, l.token, err = session.AddProof(tx, to, p, up, "", w.now)
			return err
		}
		l.Session, l.token, err = session.Begin(tx, user, p, up, "", session.Browser{}, limits, w.now)
		return err
	})
	return l, err
}

func TestASocialProofIsGoodAsLongAsTheIdentityBehindItIsThePersons(t *testing.T) {
	w := newWorld(t)
	google, github := tenancy.SocialConnection("google"), tenancy.SocialConnection("github")
	jo, flo := tenancy.User{ID: "user_jo", Email: "jo@elsewhere.test", EmailVerified: true}, tenancy.User{ID: "user_flo", Email: "flo@elsewhere.test", EmailVerified: true}
	w.must(func(tx store.Tx) error {
		return errors.Join(tx.PutUser(jo), tx.PutUser(flo),
			tx.PutIdentity(tenancy.Identity{Connection: google, Subject: "1", User: jo.ID}),
			tx.PutIdentity(tenancy.Identity{Connection: github, Subject: "1", User: jo.ID}),
			tx.PutIdentity(tenancy.Identity{Connection: google, Subject: "2", User: flo.ID}))
	})
	// Nobody begins or goes on by an identity that is not theirs, or by none.
	for name, tt := range map[string]struct {
		at      tenancy.ConnectionID
		subject string
	}{"another person's": {google, "2"}, "nobody's": {google, "3"}, "at another provider": {github, "2"}} {
		if _, err := w.social(jo.ID, tt.at, tt.subject, ""); !errors.Is(err, session.ErrForeign) {
			t.Errorf("%s: begun, %v", name, err)
		}
	}
	l, err := w.social(jo.ID, google, "1", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.social(jo.ID, google, "2", l.ID); !errors.Is(err, session.ErrForeign) {
		t.Errorf("another person's was added: %v", err)
	}
	if err := w.try(func(tx store.Tx) error {
		_, _, err := session.AddProof(tx, l.ID, policy.Proof{Method: policy.Social, Connection: string(google), At: w.now}, nil, "", w.now)
		return err
	}); !errors.Is(err, session.ErrForeign) {
		t.Errorf("one without an identity was added: %v", err)
	}
	if _, err := w.social(jo.ID, github, "1", l.ID); err != nil {
		t.Fatal(err)
	}
	proofs := func() (cs []string) {
		for _, p := range w.in("", l).Facts.Proofs {
			cs = append(cs, p.Connection)
		}
		return cs
	}
	if ps := proofs(); len(ps) != 2 {
		t.Fatalf("%v", ps)
	}
	// Unlinked, only its own proof is gone; and another person's identity does not bring it back.
	w.must(func(tx store.Tx) error { return tenancy.UnlinkFrom(tx, jo.ID, google, operator, w.now) })
	for range 2 {
		if ps := proofs(); len(ps) != 1 || ps[0] != string(github) {
			t.Errorf("%v", ps)
		}
		w.must(func(tx store.Tx) error {
			return errors.Join(tx.PutIdentity(tenancy.Identity{Connection: google, Subject: "1", User: flo.ID}), tx.PutIdentity(tenancy.Identity{Connection: google, Subject: "9", User: jo.ID}))
		})
	}
}
