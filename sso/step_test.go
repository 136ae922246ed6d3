package sso_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/tenancy"
)

// step is the step that the page carries in a form.
func (u *user) step() string {
	u.w.t.Helper()
	for _, form := range u.p.Forms {
		for _, f := range form.Fields {
			if f.Name == "step" {
				return f.Value
			}
		}
	}
	u.w.t.Fatalf("%s carries no step:\n%s", u.p.URL, u.p.Text)
	return ""
}

// mayReset takes a new browser as far as the page that sets a new password.
func (w *world) mayReset(box *postbox, slug, email string) *user {
	w.t.Helper()
	u := w.browser().to(slug, "/", email).press("Use your password").follow("Forgot it?").press("Send the code")
	return u.submit(map[string]string{"code": box.code(w.t, email)}).sees(http.StatusOK, "Choose a password")
}

func TestAStepIsNotKeptAliveByReloading(t *testing.T) {
	box, offer := local(policy.EmailCode, policy.Password)
	w := newWorld(t, offer)
	w.startup("hooli", func(*tenancy.Organization) {})
	w.member("hooli", casey, policy.Active)
	// Somebody who has read the mail once keeps the page that may set a password.
	thief := w.mayReset(box, "hooli", casey)
	for range 4 {
		w.clock.Advance(20 * time.Minute)
		q := thief.p.URL.Query()
		if !strings.Contains(thief.p.Text, "Choose a password") {
			break
		}
		q.Set("step", thief.step())
		thief.get(w.login("/sign-in/password/new?" + q.Encode()))
	}
	if strings.Contains(thief.p.Text, "Choose a password") {
		thief.submit(map[string]string{"password": "four words in a row"})
	}
	if w.enrolled(casey).Has(policy.Password) {
		t.Error("a reset is good for as long as its page is reloaded")
	}
}

func TestANewPasswordEndsTheOtherResets(t *testing.T) {
	box, offer := local(policy.EmailCode, policy.Password)
	w := newWorld(t, offer)
	w.startup("hooli", func(*tenancy.Organization) {})
	w.member("hooli", casey, policy.Active)
	thief := w.mayReset(box, "hooli", casey)
	w.clock.Advance(time.Minute)
	owner := w.mayReset(box, "hooli", casey)
	w.clock.Advance(time.Minute)
	owner.submit(map[string]string{"password": "the owner's own words"}).submit(map[string]string{"password": "the owner's own words"}).inApp("hooli", casey)
	w.clock.Advance(time.Minute)
	thief.submit(map[string]string{"password": "four words in a row"})
	owner.get(w.at("hooli", "/")).inApp("hooli", casey)
}

func TestAStepIsNoKeyToAnotherPage(t *testing.T) {
	// A step of each page, at every page that it is not of, in a browser that is signed in and in
	// one that is not: nothing is proved, set up or sent by it.
	box, offer := local(policy.EmailCode, policy.Password, policy.Passkey)
	w := newWorld(t, offer)
	w.startup("hooli", func(*tenancy.Organization) {})
	w.member("hooli", casey, policy.Active)
	w.member("hooli", "mallory@elsewhere.test", policy.Active)
	mallory := w.byMail(box, "mallory@elsewhere.test")
	had := len(box.to(casey))
	steps := map[string]string{
		"change of address": mallory.get(w.login("/account/email")).submit(map[string]string{"email": casey}).step(),
		"app":               mallory.get(w.login("/sign-in/app/new?next=account")).step(),
		"new passkey":       mallory.get(w.login("/sign-in/passkey/new?next=account")).step(),
		"password":          mallory.get(w.login("/sign-in?another=1")).submit(map[string]string{"email": casey}).press("Use your password").step(),
	}
	for name, step := range steps {
		for _, path := range []string{"/sign-in/code", "/sign-in/code/resend", "/sign-in/password", "/sign-in/password/new", "/sign-in/passkey", "/sign-in/passkey/new", "/sign-in/second", "/sign-in/app/new", "/account/email/old", "/account/email/new"} {
			for _, query := range []string{"", "?another=1", "?fresh=1&next=account"} {
				form := url.Values{"step": {step}, "code": {"000000"}, "password": {"four words in a row"}, "credential": {"{}"}, "name": {"x"}}
				if path == "/sign-in/password/new" && query != "?another=1" {
					continue // as herself she may
				}
				if _, err := mallory.Fetch(post(t, w.login(path+query), form.Encode())); err != nil {
					t.Fatal(err)
				}
				if ms := w.enrolled(casey); ms != 0 {
					t.Fatalf("a step of %s at %s%s sets up %v", name, path, query, ms)
				}
				if mallory.get(w.at("hooli", "/")); !strings.Contains(mallory.p.Text, "mallory@elsewhere.test") {
					t.Fatalf("a step of %s at %s%s makes her somebody else: %s", name, path, query, mallory.p.Text)
				}
			}
		}
	}
	if n := len(box.to(casey)); n != had+1 {
		t.Errorf("%d mails to casey, of which one was asked for", n-had)
	}
}

func TestWhatOneBeganNobodyElseFinishes(t *testing.T) {
	// Two persons at one computer: the tab that the first left open sets up nothing of the second.
	box, offer := local(policy.EmailCode, policy.Password)
	w := newWorld(t, offer, generous)
	w.startup("hooli", func(*tenancy.Organization) {})
	const mallory = "mallory@elsewhere.test"
	w.member("hooli", mallory, policy.Active)
	w.member("hooli", casey, policy.Active)
	u := w.byMail(box, mallory)
	app := u.tab().get(w.login("/sign-in/app/new?next=account")).sees(http.StatusOK, "authenticator app")
	code := app.app()
	password := u.tab().get(w.login("/sign-in/password/new?next=account")).sees(http.StatusOK, "Choose a password")
	u.get(w.login("/sign-in?another=1")).submit(map[string]string{"email": casey}).press("E-mail me a code").submit(map[string]string{"code": box.code(t, casey)})
	password.submit(map[string]string{"password": "four words of mallory"})
	app.submit(map[string]string{"code": code()})
	if ms := w.enrolled(casey); ms != 0 {
		t.Errorf("casey has %v, of mallory's", ms.List())
	}
	// As themselves they go on with what is shown anew.
	app.submit(map[string]string{"code": app.app()()}).sees(http.StatusOK, "recovery codes")
	if ms := w.enrolled(casey); !ms.Has(policy.TOTP) {
		t.Errorf("casey has %v", ms.List())
	}
}
