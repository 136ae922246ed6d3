package tenancy_test

import (
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

const day = 24 * time.Hour

// claim makes names the claims of Acme, beside acme.com.
func (w *world) claim(org tenancy.Organization, names ...string) {
	w.t.Helper()
	claims := []tenancy.DomainClaim{{Name: string(org.Slug) + ".com", Verified: true}}
	for _, n := range names {
		claims = append(claims, tenancy.DomainClaim{Name: n})
	}
	w.must(func(tx store.Tx) error { return tenancy.SetDomains(tx, org.ID, claims, operator, w.now) })
}

func (w *world) domain(org tenancy.Organization, name string) (d tenancy.Domain) {
	w.t.Helper()
	w.must(func(tx store.Tx) (err error) { d, err = tx.Domain(org.ID, name); return err })
	return d
}

// due takes all checks that are due.
func (w *world) due() (cs []tenancy.Check) {
	w.t.Helper()
	w.must(func(tx store.Tx) (err error) { cs, err = tenancy.DueChecks(tx, 100, w.now); return err })
	return cs
}

func (w *world) conclude(c tenancy.Check, seen tenancy.Sighting) (d tenancy.Domain, change tenancy.Change) {
	w.t.Helper()
	w.must(func(tx store.Tx) (err error) {
		d, change, err = tenancy.Conclude(tx, c, seen, "a word", audit.System, w.now)
		return err
	})
	return d, change
}

// look waits until the domain is due and then sees what it sees.
func (w *world) look(org tenancy.Organization, name string, seen tenancy.Sighting) (tenancy.Domain, tenancy.Change) {
	w.t.Helper()
	if next := w.domain(org, name).Checks.Next; next.After(w.now) {
		w.now = next
	}
	for _, c := range w.due() {
		if c.Domain.Organization == org.ID && c.Domain.Name == name {
			return w.conclude(c, seen)
		}
	}
	w.t.Fatalf("%s of %s is not due at %s", name, org.Slug, w.now)
	return tenancy.Domain{}, ""
}

// proved makes the domain Acme's by a record in the DNS.
func (w *world) proved(org tenancy.Organization, name string) {
	w.t.Helper()
	w.claim(org, name)
	if _, change := w.look(org, name, tenancy.Present); change != tenancy.ChangeVerified {
		w.t.Fatalf("%s is not verified but %q", name, change)
	}
	w.events()
}

func (w *world) owner(name string) (org tenancy.OrgID) {
	w.t.Helper()
	w.must(func(tx store.Tx) error {
		d, err := tx.VerifiedDomain(name)
		if org = d.Organization; errors.Is(err, tenancy.ErrNotFound) {
			return nil
		}
		return err
	})
	return org
}

func TestAClaimIsToBeProvedByARecordOfItsOwn(t *testing.T) {
	w := newWorld(t)
	w.claim(w.acme, "acme.au", "acme.nz")
	w.claim(w.globex, "acme.au")
	shape := regexp.MustCompile(`^orgate-domain-verification=[A-Za-z0-9]{25}$`)
	seen := map[string]bool{}
	for _, d := range []tenancy.Domain{w.domain(w.acme, "acme.au"), w.domain(w.acme, "acme.nz"), w.domain(w.globex, "acme.au")} {
		name, value, ok := d.Challenge()
		if !ok || name != "_orgate-challenge."+d.Name || !shape.MatchString(value) || seen[value] {
			t.Errorf("%s: %q, %q, %v", d.Name, name, value, ok)
		}
		seen[value] = true
		if d.State != tenancy.DomainPending || d.Strategy != tenancy.StrategyDNS || !d.Checks.Next.Equal(w.now) {
			t.Errorf("%+v", d)
		}
	}
	for _, e := range w.changes() {
		var data struct {
			Prefix string `json:"verification_prefix"`
			Token  string `json:"verification_token"`
		}
		if err := json.Unmarshal(e.Data, &data); err != nil || !seen[data.Prefix+"="+data.Token] {
			t.Errorf("%s has the record %s=%s, %v", e.Name, data.Prefix, data.Token, err)
		}
	}
}

func TestADomainThatSomebodySaysIsVerifiedIsNeverLookedFor(t *testing.T) {
	w := newWorld(t)
	w.now = w.now.Add(365 * day)
	if due := w.due(); len(due) != 0 {
		t.Errorf("due: %+v", due)
	}
	if _, _, ok := w.domain(w.acme, "acme.com").Challenge(); ok {
		t.Error("it has a record to set")
	}
	if err := w.try(func(tx store.Tx) error {
		_, err := tenancy.StartCheck(tx, w.acme.ID, "acme.com", operator, w.now)
		return err
	}); !errors.Is(err, tenancy.ErrState) {
		t.Errorf("checked when asked for: %v", err)
	}
	// Nor one that was proved by DNS, from when on somebody says so.
	w.proved(w.acme, "acme.au")
	w.must(func(tx store.Tx) error {
		return tenancy.VerifyDomain(tx, w.acme.ID, "acme.au", tenancy.StrategyManual, operator, w.now)
	})
	w.now = w.now.Add(365 * day)
	if due := w.due(); len(due) != 0 {
		t.Errorf("due: %+v", due)
	}
}

func TestWhatIsNotSaidAnyMoreIsToBeProved(t *testing.T) {
	w := newWorld(t)
	w.must(func(tx store.Tx) error {
		return tenancy.SetDomains(tx, w.acme.ID, []tenancy.DomainClaim{{Name: "acme.com"}}, operator, w.now)
	})
	w.wantEvents(audit.DomainUpdated)
	if d := w.domain(w.acme, "acme.com"); d.State != tenancy.DomainPending || d.Strategy != tenancy.StrategyDNS || d.Token == "" || w.owner("acme.com") != "" {
		t.Errorf("%+v", d)
	}
	token := w.domain(w.acme, "acme.com").Token
	w.look(w.acme, "acme.com", tenancy.Present)
	// Said, and then not said again: proved by DNS it was, and now it was not.
	w.claim(w.acme)
	w.must(func(tx store.Tx) error {
		return tenancy.SetDomains(tx, w.acme.ID, []tenancy.DomainClaim{{Name: "acme.com"}}, operator, w.now)
	})
	if d := w.domain(w.acme, "acme.com"); d.State != tenancy.DomainPending || d.Token != token {
		t.Errorf("whoever set the record must set another: %+v", d)
	}
}

func TestAPendingDomainIsLookedForLessAndLessOftenForThirtyDays(t *testing.T) {
	for _, seen := range []tenancy.Sighting{tenancy.Absent, tenancy.Unclear} {
		w := newWorld(t)
		w.claim(w.acme, "acme.au")
		w.events()
		began := w.now
		for i, want := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 16 * time.Minute, 32 * time.Minute, time.Hour, time.Hour} {
			d, change := w.look(w.acme, "acme.au", seen)
			if got := d.Checks.Next.Sub(w.now); got != want || change != tenancy.NoChange || d.State != tenancy.DomainPending {
				t.Errorf("after check %d the next is in %v, want %v (%q)", i, got, want, change)
			}
		}
		w.wantEvents() // a look is no event
		for n := 8; ; n++ {
			d, change := w.look(w.acme, "acme.au", seen)
			if change == tenancy.NoChange && n < 1000 {
				continue
			}
			if change != tenancy.ChangeExpired || d.State != tenancy.DomainFailed || !d.Checks.Next.IsZero() || w.now.Sub(began) != 30*day {
				t.Errorf("after %v: %q, %+v", w.now.Sub(began), change, d)
			}
			break
		}
		wantFailure(t, w.changes(), "acme.au", "domain_verification_period_expired")

		// Until somebody says that it shall be tried again.
		w.now = w.now.Add(day)
		if due := w.due(); len(due) != 0 {
			t.Errorf("due: %+v", due)
		}
		token := w.domain(w.acme, "acme.au").Token
		var c tenancy.Check
		w.must(func(tx store.Tx) (err error) {
			c, err = tenancy.StartCheck(tx, w.acme.ID, "acme.au", operator, w.now)
			return err
		})
		if d, change := w.conclude(c, tenancy.Present); change != tenancy.ChangeVerified || d.Token != token {
			t.Errorf("tried again: %q, %+v", change, d)
		}
		w.wantEvents(audit.DomainUpdated, audit.DomainVerified)
	}
}

func TestARecordThatIsThereOnTheLastDayCounts(t *testing.T) {
	w := newWorld(t)
	w.claim(w.acme, "acme.au")
	w.now = w.now.Add(90 * day) // nobody looked
	if _, change := w.look(w.acme, "acme.au", tenancy.Present); change != tenancy.ChangeVerified {
		t.Errorf("got %q", change)
	}
}

// wantFailure wants one event, that the domain failed.
func wantFailure(t *testing.T, es []audit.Event, name, reason string) {
	t.Helper()
	var data struct {
		Reason string
		Domain struct{ Domain, State string } `json:"organization_domain"`
	}
	if len(es) != 1 || es[0].Name != audit.DomainVerificationFailed || json.Unmarshal(es[0].Data, &data) != nil ||
		data.Reason != reason || data.Domain.Domain != name || data.Domain.State != "failed" {
		t.Errorf("events are %v, the last says %+v; want %s of %s", es, data, reason, name)
	}
}

func TestWhoeverProvesADomainOfAnotherFails(t *testing.T) {
	w := newWorld(t)
	for name, make := range map[string]func(){
		"acme.com": func() {},                              // which the operator says is Acme's
		"acme.au":  func() { w.proved(w.acme, "acme.au") }, // which Acme has proved
	} {
		make()
		w.claim(w.globex, name)
		w.events()
		if d, change := w.look(w.globex, name, tenancy.Present); change != tenancy.ChangeTaken || d.State != tenancy.DomainFailed {
			t.Errorf("%s: %q, %+v", name, change, d)
		}
		wantFailure(t, w.changes(), name, "domain_verified_by_other_organization")
		if w.owner(name) != w.acme.ID {
			t.Errorf("%s is not Acme's any more", name)
		}
	}
}

func TestADomainWhoseRecordIsGoneIsWarnedOfForAWeekAndThenLapses(t *testing.T) {
	w := newWorld(t)
	w.proved(w.acme, "acme.au")
	began := w.domain(w.acme, "acme.au").Checks.Next
	var warnings []time.Duration
	for {
		d, change := w.look(w.acme, "acme.au", tenancy.Absent)
		since := w.now.Sub(began)
		if change == tenancy.ChangeLapsing {
			warnings = append(warnings, since)
			if at := d.Checks.LapsesAt(); !at.Equal(began.Add(7 * day)) {
				t.Errorf("after %v it is to lapse at %v, want %v", since, at, began.Add(7*day))
			}
		}
		if (change == tenancy.ChangeLapsing || change == tenancy.NoChange) && since <= 8*day {
			if w.owner("acme.au") != w.acme.ID {
				t.Fatalf("after %v it has no effect", since)
			}
			continue
		}
		if change != tenancy.ChangeLapsed || since != 7*day || w.owner("acme.au") != "" || d.State != tenancy.DomainFailed {
			t.Errorf("after %v: %q, %+v", since, change, d)
		}
		break
	}
	if want := []time.Duration{0, day, 2 * day, 3 * day, 4 * day, 5 * day, 6 * day}; !slices.Equal(warnings, want) {
		t.Errorf("warned at %v, want %v", warnings, want)
	}
	es := w.changes()
	for _, e := range es[:len(es)-1] {
		var data struct {
			Domain       string    `json:"domain"`
			MissingSince time.Time `json:"missing_since"`
			LapsesAt     time.Time `json:"lapses_at"`
		}
		if err := json.Unmarshal(e.Data, &data); err != nil || e.Name != "orgate.organization_domain.lapsing" || e.Organization != string(w.acme.ID) ||
			data.Domain != "acme.au" || !data.MissingSince.Equal(began) || !data.LapsesAt.Equal(began.Add(7*day)) {
			t.Errorf("%s says %s, %v", e.Name, e.Data, err)
		}
	}
	wantFailure(t, es[len(es)-1:], "acme.au", "domain_verification_period_expired")
	if len(es) != 8 {
		t.Errorf("%d events, want 8", len(es))
	}
}

func TestARecordThatComesBackEndsTheGrace(t *testing.T) {
	w := newWorld(t)
	w.proved(w.acme, "acme.au")
	for w.domain(w.acme, "acme.au").Checks.Warnings < tenancy.GraceWarnings {
		w.look(w.acme, "acme.au", tenancy.Absent)
	}
	w.events()
	if d, change := w.look(w.acme, "acme.au", tenancy.Present); change != tenancy.ChangeRecovered || !d.Checks.LapsesAt().IsZero() || d.Checks.Next.Sub(w.now) != day {
		t.Errorf("%q, %+v", change, d)
	}
	w.wantEvents(audit.DomainUpdated)
	if d, change := w.look(w.acme, "acme.au", tenancy.Absent); change != tenancy.ChangeLapsing || d.Checks.LapsesAt().Sub(w.now) != 7*day {
		t.Errorf("gone again: %q, %+v", change, d)
	}
}

// SERVFAIL, timeouts and lies are not loss, however long they last.
func TestSilenceIsNoLoss(t *testing.T) {
	w := newWorld(t)
	w.proved(w.acme, "acme.au")
	for end := w.now.Add(60 * day); w.now.Before(end); {
		if d, change := w.look(w.acme, "acme.au", tenancy.Unclear); change != tenancy.NoChange || d.State != tenancy.DomainVerified {
			t.Fatalf("%q, %+v", change, d)
		}
	}
	w.wantEvents()
	// Nor do they count against one that was missed before.
	w.look(w.acme, "acme.au", tenancy.Absent)
	for end := w.now.Add(60 * day); w.now.Before(end); {
		w.look(w.acme, "acme.au", tenancy.Unclear)
	}
	if d, change := w.look(w.acme, "acme.au", tenancy.Absent); change != tenancy.ChangeLapsing || d.Checks.Warnings != 2 {
		t.Errorf("%q, %+v", change, d)
	}
	if w.owner("acme.au") != w.acme.ID {
		t.Error("it has no effect")
	}
}

func TestWhoeverWasStoppedForAWeekHasWarnedNobody(t *testing.T) {
	w := newWorld(t)
	w.proved(w.acme, "acme.au")
	w.look(w.acme, "acme.au", tenancy.Absent)
	w.now = w.now.Add(30 * day)
	if d, change := w.look(w.acme, "acme.au", tenancy.Absent); change != tenancy.ChangeLapsing || d.Checks.Warnings != 2 || w.owner("acme.au") == "" {
		t.Errorf("%q, %+v", change, d)
	}
}

func TestACheckIsNobodyElsesUntilItIsGivenUp(t *testing.T) {
	w := newWorld(t)
	w.claim(w.acme, "acme.au", "acme.nz", "acme.uk")
	var first []tenancy.Check
	w.must(func(tx store.Tx) (err error) { first, err = tenancy.DueChecks(tx, 2, w.now); return err })
	rest := w.due()
	if len(first) != 2 || len(rest) != 1 || len(w.due()) != 0 {
		t.Fatalf("took %d, then %d", len(first), len(rest))
	}
	w.now = w.now.Add(tenancy.CheckLease)
	again := w.due()
	if len(again) != 3 {
		t.Fatalf("given up: %d are due", len(again))
	}
	// What the first one saw comes too late, and the second one's word counts.
	w.events()
	for _, c := range first {
		if err := w.try(func(tx store.Tx) error {
			_, _, err := tenancy.Conclude(tx, c, tenancy.Present, "a word", audit.System, w.now)
			return err
		}); !errors.Is(err, tenancy.ErrState) {
			t.Errorf("too late: %v", err)
		}
	}
	w.wantEvents()
	for _, c := range again {
		w.conclude(c, tenancy.Present)
	}
	w.wantEvents(audit.DomainVerified, audit.DomainVerified, audit.DomainVerified)
}

func TestACheckOfADomainThatIsAnotherByNowIsNothing(t *testing.T) {
	for name, change := range map[string]func(w *world){
		"removed":   func(w *world) { w.claim(w.acme) },
		"made anew": func(w *world) { w.claim(w.acme); w.claim(w.acme, "acme.au") },
		"said to be ours": func(w *world) {
			w.must(func(tx store.Tx) error {
				return tenancy.VerifyDomain(tx, w.acme.ID, "acme.au", "manual", operator, w.now)
			})
		},
		"failed": func(w *world) {
			w.must(func(tx store.Tx) error { return tenancy.FailDomain(tx, w.acme.ID, "acme.au", operator, w.now) })
		},
	} {
		for _, seen := range []tenancy.Sighting{tenancy.Present, tenancy.Absent} {
			w := newWorld(t)
			w.claim(w.acme, "acme.au")
			c := w.due()[0]
			change(w)
			w.events()
			before := w.owner("acme.au")
			if err := w.try(func(tx store.Tx) error {
				_, _, err := tenancy.Conclude(tx, c, seen, "a word", audit.System, w.now)
				return err
			}); err == nil {
				t.Errorf("%s: concluded", name)
			}
			w.wantEvents()
			if w.owner("acme.au") != before {
				t.Errorf("%s: its owner changed", name)
			}
		}
	}
}

func TestASuspendedOrganizationWinsNoDomainAndLosesNone(t *testing.T) {
	w := newWorld(t)
	w.proved(w.acme, "acme.au")
	w.claim(w.acme, "acme.au", "acme.nz")
	late := w.due()[0] // taken before the suspension
	w.must(func(tx store.Tx) error { return tenancy.Suspend(tx, w.acme.ID, operator, w.now) })
	if _, change := w.conclude(late, tenancy.Present); change != tenancy.NoChange {
		t.Errorf("taken before: %q", change)
	}
	for range 48 {
		w.now = w.now.Add(time.Hour)
		for _, c := range w.due() {
			if c.Domain.Name == "acme.nz" {
				t.Fatal("its hopes are looked for")
			}
			w.conclude(c, tenancy.Present)
		}
	}
	if err := w.try(func(tx store.Tx) error {
		_, err := tenancy.StartCheck(tx, w.acme.ID, "acme.nz", operator, w.now)
		return err
	}); !errors.Is(err, tenancy.ErrState) {
		t.Errorf("when asked for: %v", err)
	}
	if w.owner("acme.au") != w.acme.ID {
		t.Error("what it has is lost")
	}
	w.must(func(tx store.Tx) error { return tenancy.Resume(tx, w.acme.ID, operator, w.now) })
	if _, change := w.look(w.acme, "acme.nz", tenancy.Present); change != tenancy.ChangeVerified {
		t.Errorf("resumed: %q", change)
	}
}

// Attack 79. Acme lets acme.au go, and Globex buys it.
func TestADomainThatLapsedAndWasBoughtDoesNotBringItsPeopleAlong(t *testing.T) {
	w := newWorld(t)
	w.proved(w.acme, "acme.au")
	jo := w.signIn(says(w.okta, "jo", "jo@acme.au")).User
	w.set(w.globex.ID, jo.ID, active)
	w.claim(w.globex, "acme.au")

	// The new owner has a record of its own there, which is not Acme's. As long as Acme's
	// grace lasts, it is Acme's, and nobody gets a part of it.
	if _, change := w.look(w.globex, "acme.au", tenancy.Present); change != tenancy.ChangeTaken {
		t.Fatalf("got %q", change)
	}
	w.wantRefused(says(w.entra, "mallory", "jo@acme.au"), tenancy.ErrNotVouched)
	for change := tenancy.NoChange; change != tenancy.ChangeLapsed; {
		_, change = w.look(w.acme, "acme.au", tenancy.Absent)
	}

	// It is nobody's: whom Acme vouched for is good at Acme, and no further.
	if in := w.signIn(says(w.okta, "jo", "jo@acme.au")); in.ConfinedTo != w.acme.ID || in.User.ID != jo.ID {
		t.Errorf("lapsed: %+v", in)
	}
	w.wantRefused(says(w.okta, "new", "new@acme.au"), tenancy.ErrNotVouched)
	w.wantRefused(says(w.entra, "mallory", "new@acme.au"), tenancy.ErrNotVouched)

	// Nor is it the new owner's because it has lapsed, but by a proof.
	if w.owner("acme.au") != "" {
		t.Fatal("it has an owner")
	}
	var c tenancy.Check
	w.must(func(tx store.Tx) (err error) {
		c, err = tenancy.StartCheck(tx, w.globex.ID, "acme.au", operator, w.now)
		return err
	})
	if _, change := w.conclude(c, tenancy.Present); change != tenancy.ChangeVerified || w.owner("acme.au") != w.globex.ID {
		t.Fatalf("got %q", change)
	}
	w.wantRefused(says(w.entra, "mallory", "jo@acme.au"), tenancy.ErrIdentityConflict)
	w.wantRefused(says(w.okta, "jo", "jo@acme.au"), tenancy.ErrNotVouched)
	if m := w.membership(w.globex.ID, jo.ID); m.Status != policy.Active {
		t.Errorf("the old membership is %s: it is the operator's to end", m.Status)
	}
	// Who was never Acme's is theirs.
	if in := w.signIn(says(w.entra, "flo", "flo@acme.au")); in.ConfinedTo != "" || !in.NewUser {
		t.Errorf("got %+v", in)
	}
	// And Acme does not get it back by asking.
	w.must(func(tx store.Tx) (err error) {
		c, err = tenancy.StartCheck(tx, w.acme.ID, "acme.au", operator, w.now)
		return err
	})
	if _, change := w.conclude(c, tenancy.Present); change != tenancy.ChangeTaken {
		t.Errorf("got %q", change)
	}
}

func TestNobodyClaimsAPublicMailDomainHoweverItIsWritten(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{
		"gmail.com", "mail.gmail.com", "a.b.googlemail.com", "hotmail.com.br", "live.com.au", "yahoo.com.mx", "gmx.net", "web.de", "t-online.de", "pm.me", "proton.me",
		"tuta.io", "yandex.kz", "mail.ru", "qq.com", "vip.qq.com", "163.com", "126.com", "naver.com", "hanmail.net", "daum.net", "aol.com", "zoho.com", "fastmail.com", "hey.com",
		"icloud.com", "me.com", "mac.com", "outlook.com.br", "users.noreply.github.com",
	} {
		if !tenancy.PublicMailDomain(name) {
			t.Errorf("%s is not known to be public", name)
		}
		for _, strategy := range []string{tenancy.StrategyDNS, tenancy.StrategyManual} {
			if err := w.try(func(tx store.Tx) error {
				_, err := tenancy.AddDomain(tx, w.acme.ID, name, strategy, operator, w.now)
				return err
			}); !errors.Is(err, tenancy.ErrPublicDomain) {
				t.Errorf("%s, %s: %v", name, strategy, err)
			}
		}
	}
	for _, name := range []string{
		"Gmail.com", "GMAIL.COM", "gmail.com.", ".gmail.com", "gmail\u3002com", "gmail\uff0ecom", "\uff47mail.com", "gma\u0131l.com", "gmail.com\u200b", "gma\u00adil.com",
		"\u212amail.com", "xn--gmail-.com", "gmail.com ", "*.gmail.com", "@gmail.com", "gmail", "com",
	} {
		if err := w.try(func(tx store.Tx) error {
			_, err := tenancy.AddDomain(tx, w.acme.ID, name, tenancy.StrategyDNS, operator, w.now)
			return err
		}); err == nil {
			t.Errorf("%q was claimed", name)
		}
	}
	for _, name := range []string{"acme.com", "notgmail.com", "gmail.com.acme.com", "gmail.acme.com", "outlook.acme.com", "example.co.uk", "com.br", "me.uk", "corp.example"} {
		if tenancy.PublicMailDomain(name) {
			t.Errorf("%s is taken for public", name)
		}
	}
}

// A domain that was put on the list since it was claimed.
func TestAPublicDomainIsNotWonByARecord(t *testing.T) {
	w := newWorld(t)
	w.must(func(tx store.Tx) error {
		return tx.PutDomain(tenancy.Domain{
			ID: "org_domain_1", Organization: w.acme.ID, Name: "gmail.com", State: tenancy.DomainPending, Strategy: tenancy.StrategyDNS,
			Token: strings.Repeat("A", 25), Checks: tenancy.Checks{Since: w.now, Next: w.now},
		})
	})
	if _, change := w.look(w.acme, "gmail.com", tenancy.Present); change != tenancy.NoChange {
		t.Errorf("got %q", change)
	}
	if err := w.try(func(tx store.Tx) error {
		_, err := tenancy.StartCheck(tx, w.acme.ID, "gmail.com", operator, w.now)
		return err
	}); !errors.Is(err, tenancy.ErrPublicDomain) {
		t.Errorf("got %v", err)
	}
}
