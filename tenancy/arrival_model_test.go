package tenancy_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// Two persons: the victim reads the mail of victim@new.test and has an account at Google by
// that address; the attacker reads another address, has an account at Google of their own, and
// owns two providers who say whatever the attacker likes: a social one that nobody trusts, and
// Globex's, where the attacker is the administrator too. Acme is the victim's employer.
const (
	victimMail   = "victim@new.test"
	attackerMail = "attacker@evil.test"
)

// An arrivals is what the model knows: whose each account is, by who has proved its address.
type arrivals struct {
	*world
	rules  tenancy.Rules
	owned  bool // Acme has verified the victim's domain
	proved map[tenancy.UserID]string
	// placed: the account was there before anybody proved it.
	placed map[tenancy.UserID]bool
}

// check is what must hold of every arrival: who is who with what.
func (m *arrivals) check(what string, by string, in tenancy.SignedIn) {
	m.t.Helper()
	u := in.User
	switch {
	case by == "attacker" && u.Email == victimMail && in.ConfinedTo == "":
		m.t.Fatalf("%s: the attacker is the victim", what)
	case by == "attacker" && in.ConfinedTo != "" && in.ConfinedTo != m.globex.ID:
		m.t.Fatalf("%s: the attacker is in %s", what, in.ConfinedTo)
	case by == "victim" && in.ConfinedTo == "" && u.Email != victimMail:
		m.t.Fatalf("%s: the victim is %s", what, u.Email)
	case by == "victim" && in.ConfinedTo == "" && !u.EmailVerified:
		m.t.Fatalf("%s: the victim has proved nothing", what)
	}
	if in.ConfinedTo != "" {
		return
	}
	// The first who proves the address of an account that is there throws out who was before.
	first := m.proved[u.ID] == ""
	if in.Cleanse != (first && m.placed[u.ID]) || in.NewUser != (first && !m.placed[u.ID]) {
		m.t.Fatalf("%s: cleanse %v, new %v; first %v, placed %v", what, in.Cleanse, in.NewUser, first, m.placed[u.ID])
	}
	if !first && m.proved[u.ID] != by {
		m.t.Fatalf("%s: the account of the %s is the %s's", what, m.proved[u.ID], by)
	}
	m.proved[u.ID] = by
}

// invariants hold after each step: an account has no identity of somebody who is not its owner, but
// for what an organization's provider says inside that organization.
func (m *arrivals) invariants(step string) {
	m.t.Helper()
	m.must(func(tx store.Tx) error {
		for _, email := range []string{victimMail, attackerMail} {
			u, err := tx.UserByEmail(email)
			if errors.Is(err, tenancy.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			if u.EmailVerified != (m.proved[u.ID] != "") {
				m.t.Fatalf("%s: %s is proved: %v, and by %q", step, email, u.EmailVerified, m.proved[u.ID])
			}
			for i, err := range tx.Identities(u.ID) {
				if err != nil {
					return err
				}
				social := i.Organization == ""
				if social && i.Subject != m.proved[u.ID] {
					m.t.Fatalf("%s: %s has the identity %s %s", step, email, i.Connection, i.Subject)
				}
				if i.Vouched && i.Organization != m.acme.ID {
					m.t.Fatalf("%s: %s was vouched for by %s", step, email, i.Organization)
				}
			}
		}
		return nil
	})
}

func TestWhoeverCameFirstGainsNothingWhenTheVictimComes(t *testing.T) {
	done := map[string]int{}
	for seed := range uint64(40) {
		rnd := rand.New(rand.NewPCG(seed, 11))
		m := &arrivals{world: newWorld(t), proved: map[tenancy.UserID]string{}, placed: map[tenancy.UserID]bool{}}
		if seed%2 == 1 {
			m.rules = closed
		}
		for step := range 60 {
			runArrival(m, rnd, fmt.Sprintf("seed %d, step %d", seed, step), done)
		}
	}
	// The test tests something: each kind of step was refused at times and at times not.
	for _, what := range []string{
		"victim by code", "attacker by code", "victim by google", "attacker by google", "attacker by shady as the victim", "globex of the victim", "acme of the victim", "attacker links to the victim", "attacker moves to the victim", "victim links",
	} {
		if done[what] == 0 {
			t.Errorf("never done: %s", what)
		}
	}
	for _, what := range []string{"attacker links to the victim taken", "attacker moves to the victim taken"} {
		if done[what] > 0 {
			t.Errorf("%s: %d times", what, done[what])
		}
	}
	if done["victim by code taken"] == 0 || done["globex of the victim taken"] == 0 || done["victim links taken"] == 0 {
		t.Errorf("nothing comes of %v", done)
	}
}

func runArrival(m *arrivals, rnd *rand.Rand, step string, done map[string]int) {
	m.t.Helper()
	arrive := func(what, by string, f func(tx store.Tx) (tenancy.SignedIn, error)) {
		m.t.Helper()
		done[what]++
		var in tenancy.SignedIn
		err := m.try(func(tx store.Tx) (err error) { in, err = f(tx); return err })
		if err == nil && in.User.ID != "" {
			done[what+" taken"]++
			m.check(step+": "+what, by, in)
		}
		m.invariants(step + ": " + what)
	}
	user := func(email string) (u tenancy.User) {
		m.must(func(tx store.Tx) error { u, _ = tx.UserByEmail(email); return nil })
		return u
	}
	code := func(by, email string) {
		arrive(by+" by code", by, func(tx store.Tx) (tenancy.SignedIn, error) {
			return tenancy.SignInByAddress(tx, m.rules, tenancy.Proven{Email: email, Name: by}, m.now)
		})
	}
	bySocial := func(what, by string, a tenancy.SocialAssertion, trusted bool) {
		arrive(what, by, func(tx store.Tx) (tenancy.SignedIn, error) {
			in, err := tenancy.SocialSignIn(tx, m.rules, a, trusted, m.now)
			if in.NeedsAddressProof && (in.User.ID != "" || in.Cleanse || in.NewUser) {
				m.t.Fatalf("%s: %s: a proof is asked for, and yet %+v", step, what, in)
			}
			return in.SignedIn, err
		})
	}
	mail := map[string]string{"victim": victimMail, "attacker": attackerMail}
	switch rnd.IntN(13) {
	case 0:
		code("victim", victimMail)
	case 1:
		code("attacker", attackerMail)
	case 2: // Google tells the truth, and does not always say that it has verified it
		verified := []*bool{nil, new(true)}[rnd.IntN(2)]
		bySocial("victim by google", "victim", social("google", "victim", victimMail, verified), true)
	case 3: // but an address there may be anything, if it is not verified
		email := []string{attackerMail, victimMail}[rnd.IntN(2)]
		verified := []*bool{nil, new(bool)}[rnd.IntN(2)]
		if email == attackerMail {
			verified = new(true)
		}
		bySocial("attacker by google", "attacker", social("google", "attacker", email, verified), true)
	case 4:
		bySocial("attacker by shady as the victim", "attacker", social("shady", "attacker", victimMail, new(true)), false)
	case 5:
		// A provider that links after the proof of its own address, in one flow.
		by := []string{"victim", "attacker"}[rnd.IntN(2)]
		arrive(by+" links", by, func(tx store.Tx) (tenancy.SignedIn, error) {
			in, err := tenancy.SignInByAddress(tx, m.rules, tenancy.Proven{Email: mail[by]}, m.now)
			if err != nil {
				return in, err
			}
			return in, tenancy.LinkSocial(tx, in.User.ID, social("shady", by, mail[by], nil), m.now)
		})
	case 6: // The attacker asks for more than was proved.
		a := social("shady", "attacker", []string{victimMail, attackerMail}[rnd.IntN(2)], new(true))
		of := user(attackerMail)
		if a.Email == attackerMail {
			of = user(victimMail)
		}
		arrive("attacker links to the victim", "attacker", func(tx store.Tx) (tenancy.SignedIn, error) {
			return tenancy.SignedIn{User: of}, tenancy.LinkSocial(tx, of.ID, a, m.now)
		})
	case 7: // Globex's administrator invites, or makes, or takes back.
		u := user(victimMail)
		if u.ID == "" {
			if m.rules.InvitationOnly && rnd.IntN(2) == 0 {
				return
			}
			m.must(func(tx store.Tx) (err error) {
				u, err = tenancy.EnsureUser(tx, victimMail, operator, m.now)
				return err
			})
			m.placed[u.ID] = true
		}
		_ = m.try(func(tx store.Tx) error {
			switch rnd.IntN(3) {
			case 0:
				_, err := tenancy.InviteMember(tx, m.rules, m.globex.ID, u.ID, tenancy.Grant{}, operator, m.now)
				return err
			case 1:
				_, err := tenancy.CreateMembership(tx, m.rules, m.globex.ID, u.ID, tenancy.Grant{}, operator, m.now)
				return err
			default:
				return tenancy.RemoveMembership(tx, m.globex.ID, u.ID, operator, m.now)
			}
		})
	case 8, 9: // Globex's provider says that it is the victim.
		a := says(m.entra, "attacker", victimMail)
		a.EmailVerified = new(true)
		arrive("globex of the victim", "attacker", func(tx store.Tx) (tenancy.SignedIn, error) { return tenancy.SignIn(tx, m.rules, a, m.now) })
	case 10: // Acme's provider is the victim's own.
		arrive("acme of the victim", "victim", func(tx store.Tx) (tenancy.SignedIn, error) {
			return tenancy.SignIn(tx, m.rules, says(m.okta, "victim", victimMail), m.now)
		})
	case 11:
		u := user(attackerMail)
		if u.ID == "" {
			return
		}
		// As if the attacker could prove the victim's address where it is free.
		if victim := user(victimMail); victim.ID == "" {
			return
		}
		arrive("attacker moves to the victim", "attacker", func(tx store.Tx) (tenancy.SignedIn, error) {
			u, err := tenancy.ChangeEmail(tx, u.ID, victimMail, operator, m.now)
			return tenancy.SignedIn{User: u}, err
		})
	case 12: // Acme verifies the victim's domain, or loses it.
		m.owned = !m.owned
		claims := []tenancy.DomainClaim{{Name: "acme.com", Verified: true}}
		if m.owned {
			claims = append(claims, tenancy.DomainClaim{Name: "new.test", Verified: true})
		}
		m.must(func(tx store.Tx) error { return tenancy.SetDomains(tx, m.acme.ID, claims, operator, m.now) })
	}
}
