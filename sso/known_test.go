package sso_test

import (
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/sso"
	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/sso/ssotest"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// from is a browser at an address of its own.
func (w *world) from(n byte) *user {
	u := w.browser()
	u.From(net.IPv4(127, 0, n, 1))
	return u
}

// signOut ends all sessions of a person, whose browsers stay known.
func (w *world) signOut(email string) {
	w.t.Helper()
	w.update(func(tx store.Tx) error {
		u, err := tx.UserByEmail(email)
		if err != nil {
			return err
		}
		return session.EndAll(tx, u.ID, "", audit.System, w.clock.Now())
	})
}

// generous lets a test ask more of the login host than a person would.
func generous(_ *world, o *sso.Options) { o.Strangers = sso.Rate{PerSecond: 1e4, Burst: 1e4} }

func TestAFirstFactorMakesNoBrowserKnown(t *testing.T) {
	// Whoever has the password gets no new guesses at the second factor with each new browser.
	_, offer := local(policy.EmailCode, policy.Password)
	w := newWorld(t, offer, generous)
	w.startup("hooli", func(*tenancy.Organization) {})
	w.member("hooli", casey, policy.Active)
	w.update(func(tx store.Tx) error {
		u, err := tx.UserByEmail(casey)
		if err != nil {
			return err
		}
		if err := factor.SetPassword(tx, u.ID, factor.HashPassword("four words in a row"), audit.System, w.clock.Now()); err != nil {
			return err
		}
		const box = "totp secret"
		return tx.PutTOTP(factor.TOTP{User: u.ID, Secret: w.box.Seal(box, string(u.ID), []byte(factor.NewTOTPSecret())), CreatedAt: w.clock.Now()})
	})
	judged := 0
	for n := range byte(6) {
		u := w.from(n).to("hooli", "/", casey).press("Use your password").submit(map[string]string{"password": "four words in a row"})
		u.sees(http.StatusOK, "Enter the code from your app")
		for range 5 {
			v := u.tab()
			v.p = u.p
			if v.submit(map[string]string{"code": "000000"}); v.p.Status == http.StatusUnprocessableEntity {
				judged++
			}
		}
	}
	if judged > 6 {
		t.Errorf("%d guesses at once", judged)
	}
}

// TestGuessesFromManyNetworksAreCountedTogether: every network asks for a code of its own, and
// guesses at it.
func TestGuessesFromManyNetworksAreCountedTogether(t *testing.T) {
	_, offer := local(policy.EmailCode)
	w := newWorld(t, offer, generous)
	w.startup("hooli", func(*tenancy.Organization) {})
	w.member("hooli", casey, policy.Active)
	judged := 0
	const hours = 3
	for n := range hours * 60 {
		u := w.from(byte(n)).to("hooli", "/", casey)
		u.sees(http.StatusOK, "Enter the code")
		asked := u.p
		for range 5 {
			u.p = asked
			if u.submit(map[string]string{"code": "000000"}); u.p.Status == http.StatusUnprocessableEntity {
				judged++
			}
		}
		w.clock.Advance(time.Minute)
	}
	if most := 100 + hours*12; judged > most+1 || judged < 100 {
		t.Errorf("%d guesses in %d hours; want %d at most", judged, hours, most)
	}
}

func TestStrangersKeepNobodyOutOfTheirOwnBrowser(t *testing.T) {
	box, offer := local(policy.EmailCode, policy.Password)
	w := newWorld(t, offer, generous)
	w.startup("hooli", func(*tenancy.Organization) {})
	w.member("hooli", casey, policy.Active)
	u := w.from(1).to("hooli", "/", casey).press("E-mail me a code")
	u.submit(map[string]string{"code": box.code(t, casey)}).inApp("hooli", casey)
	backAgain := func(after string) {
		w.signOut(casey)
		u.to("hooli", "/", casey).press("E-mail me a code").sees(http.StatusOK, "Enter the code")
		if u.submit(map[string]string{"code": box.code(t, casey)}); u.p.Status != http.StatusOK {
			t.Fatalf("after %s: %d %s", after, u.p.Status, u.p.Text)
		}
		u.inApp("hooli", casey)
		w.clock.Advance(time.Hour)
	}

	stranger := w.from(2).to("hooli", "/", casey).press("E-mail me a code")
	asked, code := stranger.p, box.code(t, casey)
	for n := range 7 {
		stranger.p = asked
		stranger.submit(map[string]string{"code": strings.Repeat(strconv.Itoa((int(code[0]-'0')+1)%10), 6)})
		if n > 4 && stranger.p.Status != http.StatusTooManyRequests {
			t.Fatalf("guess %d: %d", n, stranger.p.Status)
		}
	}
	backAgain("guesses at the same address")

	stranger = w.from(1).to("hooli", "/", "jo@elsewhere.test").press("Use your password")
	for n := 0; stranger.p.Status != http.StatusTooManyRequests; n++ {
		stranger = w.from(1).to("hooli", "/", fmt.Sprintf("jo%d@elsewhere.test", n)).press("Use your password").submit(map[string]string{"password": ""})
	}
	backAgain("guesses at everybody from the same network")

	stranger = w.from(1)
	for n := 0; stranger.p == nil || stranger.p.Status != http.StatusTooManyRequests; n++ {
		stranger.to("hooli", "/", fmt.Sprintf("jo%d@elsewhere.test", n)).press("E-mail me a code")
	}
	backAgain("mails to everybody from the same network")
}

// learn begins to have an app learn whoever comes by Google, as a subject there.
func (u *user) learn(subject string) *user {
	u.w.t.Helper()
	return u.get(u.w.authorize("/sso/authorize", "provider", "googleOAuth")).as(subject)
}

// learned has an app learn it, whose address is proved in this browser by that.
func (u *user) learned(box *postbox, subject, email string) *user {
	u.w.t.Helper()
	u.learn(subject).asked(email).submit(map[string]string{"code": box.code(u.w.t, email)}).told()
	return u
}

// TestStrangersKeepNobodyFromTheirProfile: whoever comes for profiles alone is a user of no browser, ever.
func TestStrangersKeepNobodyFromTheirProfile(t *testing.T) {
	_, box, offer := social(nil, []ssotest.Person{verifiedPerson("jo-1", jo)}, nil, policy.EmailCode)
	w := newWorld(t, offer, clients, generous)
	w.startup("hooli", func(*tenancy.Organization) {})
	u := w.from(1).learned(box, "jo-1", jo)
	w.clock.Advance(24 * time.Hour)
	t.Run("by mails", func(t *testing.T) {
		stranger := w.from(2)
		for n := 0; stranger.p == nil || stranger.p.Status != http.StatusTooManyRequests; n++ {
			stranger = w.from(byte(2+n)).to("hooli", "/", jo).press("E-mail me a code")
		}
		u.learned(box, "jo-1", jo)
		// Nor by those of the network that she is in.
		for n := 0; stranger.p.Status != http.StatusTooManyRequests || n < 110; n++ {
			stranger = w.from(1).to("hooli", "/", fmt.Sprintf("bo%d@elsewhere.test", n)).press("E-mail me a code")
		}
		u.learned(box, "jo-1", jo)
	})
	t.Run("by wrong codes", func(t *testing.T) {
		for n := range 30 {
			w.clock.Advance(time.Minute)
			stranger := w.from(byte(2+n)).to("hooli", "/", jo).press("E-mail me a code")
			asked := stranger.p
			for range 5 {
				stranger.p = asked
				stranger.submit(map[string]string{"code": "000000"})
			}
		}
		u.learned(box, "jo-1", jo)
	})
	t.Run("for three months", func(t *testing.T) {
		w.clock.Advance(90 * 24 * time.Hour)
		for n, stranger := 0, w.from(2); stranger.p == nil || stranger.p.Status != http.StatusTooManyRequests; n++ {
			stranger = w.from(byte(2+n)).to("hooli", "/", jo).press("E-mail me a code")
		}
		if u.learn("jo-1"); u.p.Status != http.StatusTooManyRequests {
			t.Errorf("%d: an address gets another owner", u.p.Status)
		}
	})
}

// TestAnOfficeIsLearnedInTheMorning: all of it is behind one address, and was there the day before.
func TestAnOfficeIsLearnedInTheMorning(t *testing.T) {
	people := make([]ssotest.Person, 110) // a network has 100 mails at once
	for i := range people {
		people[i] = verifiedPerson(fmt.Sprint("p-", i), fmt.Sprintf("p%d@elsewhere.test", i))
	}
	_, box, offer := social(nil, people, nil, policy.EmailCode)
	w := newWorld(t, offer, clients, generous)
	office := make([]*user, len(people))
	for i, p := range people {
		office[i] = w.from(1).learned(box, p.Subject, p.Email)
		w.clock.Advance(time.Minute)
	}
	w.clock.Advance(24 * time.Hour)
	for i, p := range people {
		office[i].learned(box, p.Subject, p.Email)
	}
}

// TestWhoHasADomainHasNotAllTheMailsThatThereAre: each of its addresses is one more mailbox to prove, and to have mailed to; and
// whoever had a mailbox floods nobody.
func TestWhoHasADomainHasNotAllTheMailsThatThereAre(t *testing.T) {
	_, box, offer := social(nil, []ssotest.Person{verifiedPerson("jo-1", jo)}, nil)
	w := newWorld(t, offer, clients, generous)
	u := w.from(1).learned(box, "jo-1", jo)
	for _, tt := range []struct {
		bucket factor.Bucket
		name   string
	}{
		{factor.Bucket{Scope: "mail from, proved", Size: 1000, Every: time.Second}, "127.0.1.1/32"},
		{factor.Bucket{Scope: "mail to, proved", Size: 60, Every: 20 * time.Second}, jo},
	} {
		w.clock.Advance(time.Hour)
		w.update(func(tx store.Tx) error {
			for range tt.bucket.Size {
				if wait, err := tt.bucket.Take(tx, tt.name, w.clock.Now()); err != nil || wait > 0 {
					return fmt.Errorf("wait %v: %w", wait, err)
				}
			}
			return nil
		})
		if u.learn("jo-1"); u.p.Status != http.StatusTooManyRequests {
			t.Errorf("%s: %d after as many as there may be", tt.bucket.Scope, u.p.Status)
		}
		w.clock.Advance(time.Minute)
		u.learned(box, "jo-1", jo)
	}
}

// TestWhoHadAMailboxHasNoMoreGuessesThanOneMoreStranger: whoever had it for an hour proves it in as many browsers as there are mails.
func TestWhoHadAMailboxHasNoMoreGuessesThanOneMoreStranger(t *testing.T) {
	_, box, offer := social(nil, []ssotest.Person{verifiedPerson("jo-1", jo)}, nil, policy.EmailCode)
	w := newWorld(t, offer, clients, generous)
	w.startup("hooli", func(*tenancy.Organization) {})
	w.member("hooli", jo, policy.Active)
	var browsers []*user
	for n := range byte(30) {
		browsers = append(browsers, w.from(n).learned(box, "jo-1", jo))
		w.clock.Advance(time.Minute)
	}
	judged := 0
	for _, u := range browsers {
		u.to("hooli", "/", jo).press("E-mail me a code").sees(http.StatusOK, "Enter the code")
		asked := u.p
		for range 5 {
			u.p = asked
			if u.submit(map[string]string{"code": "000000"}); u.p.Status == http.StatusUnprocessableEntity {
				judged++
			}
		}
	}
	if judged != 100 {
		t.Errorf("%d guesses at once", judged)
	}
}

// TestAProfileMakesNoBrowserKnown: it proves the mailbox, and what an account has besides is guessed at as by strangers.
func TestAProfileMakesNoBrowserKnown(t *testing.T) {
	_, box, offer := social(nil, []ssotest.Person{verifiedPerson("jo-1", jo)}, nil, policy.EmailCode, policy.Password)
	w := newWorld(t, offer, clients, generous)
	w.startup("hooli", func(*tenancy.Organization) {})
	w.member("hooli", jo, policy.Active)
	judged := 0
	for n := range byte(3) {
		u := w.from(n).learned(box, "jo-1", jo)
		// Nor is it a proof of anything on the pages of a sign-in.
		u.to("hooli", "/", jo).sees(http.StatusOK, "E-mail me a code").press("Use your password")
		asked := u.p
		for range 5 {
			u.p = asked
			if u.submit(map[string]string{"password": "four words in a row"}); u.p.Status == http.StatusUnprocessableEntity {
				judged++
			}
		}
	}
	if judged > 6 {
		t.Errorf("%d guesses at a password at once", judged)
	}
	// An alias is another address: it may be another person's.
	u := w.from(9).learned(box, "jo-1", jo)
	for n, stranger := 0, w.from(10); stranger.p == nil || stranger.p.Status != http.StatusTooManyRequests; n++ {
		stranger = w.from(byte(10+n)).to("hooli", "/", "jo+x@elsewhere.test").press("E-mail me a code")
	}
	if u.to("hooli", "/", "jo+x@elsewhere.test").press("E-mail me a code"); u.p.Status != http.StatusTooManyRequests {
		t.Errorf("%d for an alias", u.p.Status)
	}
}

func TestTheAliasesOfAMailboxAreOneMailbox(t *testing.T) {
	box, offer := local(policy.EmailCode, policy.Password)
	w := newWorld(t, offer, generous)
	w.startup("hooli", func(*tenancy.Organization) {})
	mails := 0
	for n := range byte(40) {
		email := fmt.Sprintf("casey+%d@freelance.test", n)
		from := n
		if n < 10 {
			from = 0 // one network
		}
		w.from(from).to("hooli", "/", email).press("E-mail me a code")
		mails += len(box.to(email))
		if n < 10 && mails > 5 {
			t.Fatalf("%d mails at once, from one network", mails)
		}
	}
	if mails > 20 {
		t.Errorf("%d mails at once, from everywhere", mails)
	}
}
