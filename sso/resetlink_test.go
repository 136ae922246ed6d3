package sso_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// reset makes a reset as the API does, and returns the path of its link.
func (w *world) reset(email string) (token string) {
	w.t.Helper()
	w.update(func(tx store.Tx) error {
		u, err := tx.UserByEmail(email)
		if err != nil {
			return err
		}
		_, t, err := factor.NewReset(tx, u.ID, audit.System, w.clock.Now())
		token = t.Reveal()
		return err
	})
	return token
}

func TestTheLinkOfAResetSetsThePasswordOnce(t *testing.T) {
	_, offer := local(policy.EmailCode, policy.Password)
	w := newWorld(t, offer)
	w.startup("hooli", func(*tenancy.Organization) {})
	w.member("hooli", casey, policy.Active)
	token := w.reset(casey)
	w.clock.Advance(time.Minute)
	link := w.login("/password-reset/" + token)
	// Programs that read mail open links: that uses nothing up.
	for range 3 {
		w.browser().get(link).sees(http.StatusOK, "Set a new password", casey)
	}
	const chosen = "four words in a row"
	thief, owner := w.browser(), w.browser()
	thief.get(link).press("Continue").sees(http.StatusOK, "Choose a password")
	owner.get(link).press("Continue").sees(http.StatusOK, "Choose a password").submit(map[string]string{"password": "short"}).sees(http.StatusUnprocessableEntity, "at least 15")
	w.clock.Advance(time.Minute)
	owner.submit(map[string]string{"password": chosen}).sees(http.StatusOK, "password").submit(map[string]string{"password": chosen})
	owner.get(w.at("hooli", "/")).inApp("hooli", casey)
	// Not a second time, by whoever has the page open or the link.
	thief.submit(map[string]string{"password": "five words that are bad"})
	w.view(func(tx store.Tx) error {
		p, err := tx.Password("user_" + casey)
		if err == nil && !factor.MatchPassword(p.Hash, chosen) {
			t.Error("the password was set twice by one link")
		}
		return err
	})
	w.browser().get(link).sees(http.StatusGone, "no longer good")
	w.browser().get(w.login("/password-reset/"+token[:68]+"-")).sees(http.StatusGone, "no longer good")
	late := w.reset(casey)
	w.clock.Advance(factor.ResetLife)
	w.browser().get(w.login("/password-reset/"+late)).sees(http.StatusGone, "no longer good")
	if n := len(w.events(audit.PasswordReset)); n != 1 {
		t.Errorf("%d resets are told of", n)
	}
}

// The page and the API use up one and the same reset.
func TestAResetIsUsedUpByThePageAndTheAPIAlike(t *testing.T) {
	_, offer := local(policy.EmailCode, policy.Password)
	w := newWorld(t, offer)
	w.startup("hooli", func(*tenancy.Organization) {})
	w.member("hooli", casey, policy.Active)
	token := w.reset(casey)
	u := w.browser().get(w.login("/password-reset/"+token)).press("Continue").sees(http.StatusOK, "Choose a password")
	hash := factor.HashPassword("what the API has set")
	w.update(func(tx store.Tx) error {
		now := w.clock.Now()
		r, err := factor.FindReset(tx, token, now)
		if err != nil {
			return err
		}
		_, err = factor.FinishReset(tx, tenancy.Rules{DefaultRole: "member"}, r, hash, audit.System, now)
		return err
	})
	u.submit(map[string]string{"password": "four words in a row"})
	w.view(func(tx store.Tx) error {
		p, err := tx.Password("user_" + casey)
		if err == nil && p.Hash != hash {
			t.Error("the page has used the reset a second time")
		}
		return err
	})
}

// Where a policy does not accept a password, the link of a reset does not get anybody around it.
func TestTheLinkOfAResetIsNoWayAroundAPolicy(t *testing.T) {
	_, offer := local(policy.EmailCode, policy.Password)
	w := newWorld(t, offer)
	w.startup("hooli", func(*tenancy.Organization) {})
	w.update(func(tx store.Tx) error {
		u, err := tenancy.EnsureUser(tx, "gavin@hooli.test", audit.System, w.clock.Now())
		u.EmailVerified = true
		if err != nil {
			return err
		}
		return tx.PutUser(u)
	})
	w.changeOrganization("hooli", func(o *tenancy.Organization) {
		o.DomainPolicy = &policy.Policy{Methods: policy.MethodsOf(policy.EmailCode)}
	})
	u := w.browser().get(w.login("/password-reset/" + w.reset("gavin@hooli.test"))).press("Continue")
	if strings.Contains(u.p.Text, "Choose a password") {
		t.Errorf("the page asks for a password: %s", u.p.Text)
	}
}

func TestAnImportedPasswordIsHashedAnewWhenItIsTypedFirst(t *testing.T) {
	_, offer := local(policy.EmailCode, policy.Password)
	w := newWorld(t, offer)
	w.startup("hooli", func(*tenancy.Organization) {})
	w.member("hooli", casey, policy.Active)
	old, err := factor.ImportPassword("bcrypt", "", "$2b$06$abcdefghijklmnopqrstuu10cNU3mXRamSUZYs8I8M/Szu..qXq5K") // by crypt(3)
	if err != nil {
		t.Fatal(err)
	}
	w.update(func(tx store.Tx) error {
		return factor.SetPassword(tx, "user_"+casey, old, audit.System, w.clock.Now())
	})
	kept := func() (p factor.Password) {
		w.view(func(tx store.Tx) (err error) { p, err = tx.Password("user_" + casey); return err })
		return p
	}
	u := w.browser().to("hooli", "/", casey).press("Use your password")
	u.submit(map[string]string{"password": "not that one at all"}).sees(http.StatusUnprocessableEntity, "wrong")
	if kept().Hash != old {
		t.Fatal("hashed anew by a wrong one")
	}
	u.submit(map[string]string{"password": "correct horse battery staple"}).inApp("hooli", casey)
	if p := kept(); factor.Outdated(p.Hash) || !factor.MatchPassword(p.Hash, "correct horse battery staple") {
		t.Errorf("kept as %q", p.Hash)
	}
}

// What is told of the codes and resets of the pages has the fields that the API gives it, and never the code; of an
// address that nobody has, the API has no event.
func TestTheCodesOfThePagesAreToldOfAsTheAPIDoes(t *testing.T) {
	box, offer := local(policy.EmailCode, policy.Password)
	w := newWorld(t, offer)
	w.startup("hooli", func(*tenancy.Organization) {})
	w.member("hooli", casey, policy.Active)
	w.mayReset(box, "hooli", casey).submit(map[string]string{"password": "four words in a row"})
	w.byMail(box, casey)
	for name, prefix := range map[string]string{audit.MagicAuthCreated: "magic_auth", audit.PasswordResetCreated: "password_reset", audit.PasswordReset: "password_reset"} {
		found := w.events(name)
		if len(found) == 0 {
			t.Fatalf("no %s", name)
		}
		var d map[string]any
		if err := json.Unmarshal(found[len(found)-1].Data, &d); err != nil {
			t.Fatal(err)
		}
		id, _ := d["id"].(string)
		if d["object"] != prefix || !strings.HasPrefix(id, prefix+"_") || d["user_id"] != "user_"+casey || d["email"] != casey || d["expires_at"] == nil || d["created_at"] == nil || len(d) > 7 {
			t.Errorf("%s: %v", name, d)
		}
	}
	was := len(w.events(audit.MagicAuthCreated))
	w.browser().to("hooli", "/", "nobody@elsewhere.test").press("E-mail me a code")
	if found := w.events(audit.MagicAuthForNobody); len(found) != 1 || len(w.events(audit.MagicAuthCreated)) != was || strings.Contains(string(found[0].Data), "user_id") {
		t.Errorf("of an address of nobody: %+v", found)
	}
}
