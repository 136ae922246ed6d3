package sso

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/endpoint"
	"github.com/orgate/orgate/internal/mail"
	"github.com/orgate/orgate/internal/page"
	"github.com/orgate/orgate/internal/text"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

const (
	// maxHashing is how many passwords are hashed at once: each takes 19 MiB and a core.
	maxHashing = 4
	// hashingWait is how long a request waits for its turn at that.
	hashingWait = 5 * time.Second
)

// hashing runs f, the hashing of a password, when it is its turn.
func (s *Server) hashing(ctx context.Context, f func()) error {
	ctx, cancel := context.WithTimeout(ctx, hashingWait)
	defer cancel()
	select {
	case s.hashers <- struct{}{}:
		defer func() { <-s.hashers }()
		f()
		return nil
	case <-ctx.Done():
		return &endpoint.Error{
			Status: http.StatusServiceUnavailable, Code: "busy", Title: text.T("Too many people are signing in right now"),
			Text: text.T("Your password could not be checked in time."), Hint: text.T("Try again in a minute."), Header: http.Header{"Retry-After": {"5"}}, Err: ctx.Err(),
		}
	}
}

// password is GET and POST /sign-in/password.
func (s *Server) password(w http.ResponseWriter, r *http.Request) error {
	v, err := s.visit(w, r, "password")
	if err != nil {
		return err
	}
	switch {
	case v.step.Email == "" || !v.turn.Local.Has(policy.Password):
		return s.elsewhere(w, r, v)
	case r.Method != http.MethodPost:
		return s.askPassword(w, r, v, text.Message{}, http.StatusOK)
	}

	// Count first, then judge, and judge outside of a transaction: hashing is slow.
	var wait time.Duration
	var user tenancy.User
	var kept factor.Password
	err = s.store.Update(r.Context(), func(tx store.Tx) (err error) {
		user, kept = tenancy.User{}, factor.Password{}
		if user, err = tx.UserByEmail(v.step.Email); err == nil {
			kept, err = tx.Password(user.ID)
		}
		if err != nil && !errors.Is(err, tenancy.ErrNotFound) {
			return err
		}
		wait, err = s.attempt(tx, r, v.dev, factor.GuessPassword, v.step.Email, user.ID, s.now())
		return err
	})
	switch {
	case err != nil:
		return unavailable(err)
	case wait > 0:
		return s.tooMany(wait)
	}
	right, anew := false, ""
	if err := s.hashing(r.Context(), func() {
		if right = factor.MatchPassword(kept.Hash, v.form.Get("password")); right && factor.Outdated(kept.Hash) {
			anew = factor.HashPassword(v.form.Get("password"))
		}
	}); err != nil {
		return err
	}
	var res result
	err = s.store.Update(r.Context(), func(tx store.Tx) error {
		res = result{}
		now := s.now()
		if err := s.rejudge(tx, r, &v, now); err != nil || !v.turn.Local.Has(policy.Password) {
			return err
		}
		refuse := func(err error) error {
			res.refused = err
			return s.recordGuess(tx, r, audit.PasswordFailed, v.step.Email, now)
		}
		if !right {
			return refuse(factor.ErrWrong)
		}
		// What was matched must be what is there: it may have been changed meanwhile.
		u, err := tx.User(user.ID)
		if err != nil {
			return err
		}
		p, err := tx.Password(u.ID)
		if err != nil && !errors.Is(err, tenancy.ErrNotFound) {
			return err
		}
		if err != nil || p.Hash != kept.Hash || u.Email != v.step.Email {
			return refuse(factor.ErrWrong)
		}
		if anew != "" { // the same password at today's cost, so it is no change of it
			p.Hash = anew
			if err := tx.PutPassword(p); err != nil {
				return err
			}
		}
		if err := s.succeeded(tx, r, v.dev, factor.GuessPassword, v.step.Email, u.ID, now); err != nil {
			return err
		}
		in, err := arrived(tx, u, s.rules, now)
		if isRefusal(err) {
			return refuse(err)
		}
		if err != nil {
			return err
		}
		return s.accept(tx, r, &v, policy.Proof{Method: policy.Password, At: now}, in, audit.PasswordSucceeded, &res, now)
	})
	switch {
	case err != nil:
		return s.cannotEnter(v, err)
	case res.refused != nil:
		s.count("password_wrong")
		return s.askPassword(w, r, v, text.T("The address or the password is wrong."), http.StatusUnprocessableEntity)
	case res.who.ID == "":
		return s.follow(w, r, v.aim, v.turn)
	}
	return s.finish(w, r, policy.Password, res)
}

func (s *Server) askPassword(w http.ResponseWriter, r *http.Request, v visit, fault text.Message, status int) error {
	d, err := s.ensureDevice(w, r)
	if err != nil {
		return err
	}
	sealed, err := s.sealStep(d, step{Email: v.step.Email}, s.now())
	if err != nil {
		return err
	}
	p := page.EnterPassword{
		Brand: s.brand(v.turn.Organization), Action: s.at(pathPassword, v.aim, ""), Hidden: map[string]string{paramStep: sealed},
		Email: v.step.Email, Fault: fault, Other: s.otherWays(v, sealed),
	}
	if s.mail != nil {
		p.Forgot = s.at(pathReset, v.aim, sealed)
	}
	return p.Render(w, r, status)
}

// resets reports whether the password of the step's address may be set by a code that is
// mailed to it: one would do now, and it is that address of which this is asked. Whoever is
// signed in as somebody else has a turn of their own.
func (v visit) resets() bool {
	return v.turn.Local.Has(policy.Password) && v.turn.Email == v.step.Email
}

// reset is GET and POST /sign-in/password/reset: asks before it sends a mail, so that no link
// or picture on somebody's page does.
func (s *Server) reset(w http.ResponseWriter, r *http.Request) error {
	v, err := s.visit(w, r)
	if err != nil {
		return err
	}
	if v.step.Email == "" || !v.resets() || s.mail == nil {
		return s.elsewhere(w, r, v)
	}
	if r.Method == http.MethodPost {
		return s.sendCode(w, r, v.aim, v.step.Email, factor.ForPasswordReset)
	}
	sealed, err := s.sealStep(v.dev, step{Email: v.step.Email}, s.now())
	if err != nil {
		return err
	}
	return page.Continue{
		Brand: s.brand(v.turn.Organization), Title: text.T("Set a new password"),
		Text:   text.T("We send a code to %s. With it you can set a new password.", v.step.Email),
		Action: s.at(pathReset, v.aim, ""), Hidden: map[string]string{paramStep: sealed}, Button: text.T("Send the code"),
	}.Render(w, r, http.StatusOK)
}

// resetCode judges the code that a password may be set by.
func (s *Server) resetCode(w http.ResponseWriter, r *http.Request, v visit) error {
	if !v.resets() {
		return s.elsewhere(w, r, v)
	}
	if r.Method != http.MethodPost {
		return s.askCode(w, r, v, text.Message{}, http.StatusOK)
	}
	var wait time.Duration
	var j factor.Judged
	err := s.store.Update(r.Context(), func(tx store.Tx) (err error) {
		j, wait, err = s.judgeCode(tx, r, v, mailed{v.step.Code, factor.ForPasswordReset, v.step.Email, ""}, s.now())
		return err
	})
	switch {
	case err != nil:
		return unavailable(err)
	case wait > 0:
		return s.tooMany(wait)
	case j.Refused != nil:
		return s.askCode(w, r, v, codeFault(j.Refused), http.StatusUnprocessableEntity)
	}
	return s.goTo(w, r, v.dev, pathPasswordNew, v.aim, step{Email: j.Code.Email, Reset: j.Code.ID, Sent: j.Code.CreatedAt})
}

// passwordNew is GET and POST /sign-in/password/new: sets a password, by a code that came by
// mail, or for whoever is signed in and has proved enough a moment ago.
func (s *Server) passwordNew(w http.ResponseWriter, r *http.Request) error {
	v, err := s.visit(w, r, "password")
	if err != nil {
		return err
	}
	var user tenancy.User
	var allowed bool
	err = s.store.View(r.Context(), func(tx store.Tx) (err error) {
		user, allowed, err = s.maySetPassword(tx, v)
		return err
	})
	switch {
	case err != nil:
		return unavailable(err)
	case !allowed && v.step.Reset == "" && v.who.ID != "" && v.aim.Next != "":
		return s.refresh(w, r, v, pathPasswordNew)
	case !allowed:
		return s.elsewhere(w, r, v)
	case r.Method != http.MethodPost, v.step.Reset == "" && v.step.User != v.who.User:
		return s.askNewPassword(w, r, v, text.Message{}, http.StatusOK)
	}
	chosen := v.form.Get("password")
	if err := factor.CheckNewPassword(chosen, user.Email, user.Name, v.turn.Organization.Name, s.publicURL.Host); err != nil {
		return s.askNewPassword(w, r, v, passwordFault(err), http.StatusUnprocessableEntity)
	}
	var hash string
	if err := s.hashing(r.Context(), func() { hash = factor.HashPassword(chosen) }); err != nil {
		return err
	}
	gone := false
	err = s.store.Update(r.Context(), func(tx store.Tx) error {
		now := s.now()
		if err := s.rejudge(tx, r, &v, now); err != nil {
			return err
		}
		if user, allowed, err = s.maySetPassword(tx, v); err != nil {
			return err
		}
		if gone = !allowed; gone {
			return nil
		}
		if v.step.Reset != "" {
			// Whoever reads the address's mail has proved that it is theirs.
			if user, err = factor.FinishReset(tx, s.rules, v.step.reset(), hash, audit.Actor{}, now); err != nil {
				return err
			}
			return s.tell(tx, r, user, mail.PasswordChanged{Host: s.publicURL.Host}, now)
		}
		return s.setPassword(tx, r, v, user, hash, now)
	})
	switch {
	case errors.Is(err, tenancy.ErrIdentityConflict):
		return s.anothersAddress(r, v, err)
	case errors.Is(err, tenancy.ErrNotMember):
		return s.noAccount(v, err)
	case err != nil:
		return s.cannotEnter(v, err)
	case gone:
		return s.elsewhere(w, r, v)
	}
	s.count("password_set")
	if v.step.Reset != "" {
		// It is proved by being used: so nothing is let in by the reset alone.
		return s.goTo(w, r, v.dev, pathPassword, v.aim, step{Email: v.step.Email})
	}
	return s.reconsider(w, r, v)
}

// reset is the reset that a step is about.
func (st step) reset() factor.Reset {
	return factor.Reset{ID: st.Reset, Email: st.Email, CreatedAt: st.Sent, ExpiresAt: st.Sent.Add(factor.EmailCodeLife)}
}

// setPassword sets it for whoever is signed in, ends what was signed in elsewhere by the old one, and tells the person.
func (s *Server) setPassword(tx store.Tx, r *http.Request, v visit, user tenancy.User, hash string, now time.Time) error {
	by := audit.Actor{Type: "user", ID: string(user.ID)}
	_, err := tx.Password(user.ID)
	had := err == nil
	if err != nil && !errors.Is(err, tenancy.ErrNotFound) {
		return err
	}
	if err := factor.SetPassword(tx, user.ID, hash, by, now); err != nil {
		return err
	}
	if had {
		if err := session.EndAll(tx, user.ID, v.who.ID, by, now); err != nil {
			return err
		}
	}
	// What others guessed at the old one does not slow down the new one.
	if err := factor.Guesses(factor.GuessPassword).Success(tx, user.Email); err != nil {
		return err
	}
	return s.tell(tx, r, user, mail.PasswordChanged{Host: s.publicURL.Host}, now)
}

// maySetPassword reports whose password may be set now.
func (s *Server) maySetPassword(tx store.Tx, v visit) (u tenancy.User, allowed bool, err error) {
	if !s.offered.Has(policy.Password) {
		return u, false, nil
	}
	if v.step.Reset != "" {
		// The address is proved by the code; the policy must accept a password still.
		u, err = tx.UserByEmail(v.step.Email)
		if errors.Is(err, tenancy.ErrNotFound) {
			return u, v.resets(), nil // made when it is set, where the rules allow it
		}
		if err != nil {
			return u, false, err
		}
		may, err := factor.MayReset(tx, u.ID, v.step.Sent)
		return u, err == nil && may && v.resets(), err
	}
	if v.who.ID == "" {
		return u, false, nil
	}
	if u, err = tx.User(v.who.User); err != nil {
		return u, false, err
	}
	if v.turn.Create.Has(policy.Password) {
		return u, true, nil
	}
	fresh, err := s.provedFreshly(tx, v.who)
	return u, fresh, err
}

func (s *Server) askNewPassword(w http.ResponseWriter, r *http.Request, v visit, fault text.Message, status int) error {
	d, err := s.ensureDevice(w, r)
	if err != nil {
		return err
	}
	st := v.step
	if st.Reset == "" {
		st = step{Email: v.turn.Email, User: v.who.User}
	}
	sealed, err := s.sealStep(d, st, s.now())
	if err != nil {
		return err
	}
	return page.NewPassword{
		Brand: s.brand(v.turn.Organization), Action: s.at(pathPasswordNew, v.aim, ""), Hidden: map[string]string{paramStep: sealed},
		Email: st.Email, Fault: fault, MinLength: factor.MinPassword, Title: text.T("Choose a password"),
	}.Render(w, r, status)
}

// passwordFault says what is wrong with a password that somebody chose.
func passwordFault(err error) text.Message {
	switch {
	case errors.Is(err, factor.ErrPasswordShort):
		return text.T("Use at least %d characters. A few words in a row are easy to remember.", factor.MinPassword)
	case errors.Is(err, factor.ErrPasswordLong):
		return text.T("Use at most %d characters.", factor.MaxPassword)
	case errors.Is(err, factor.ErrPasswordUnreadable):
		return text.T("There is a character in it that many keyboards do not have. Leave it out.")
	case errors.Is(err, factor.ErrPasswordPersonal):
		return text.T("Do not use your name, your address or the name of this service in it.")
	default:
		return text.T("Many people use this password, or one that is much like it. Choose another.")
	}
}
