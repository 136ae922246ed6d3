package sso

import (
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

// resendAfter is how long a page asks to wait before it offers another code.
const resendAfter = 30 * time.Second

// mailsCode reports whether a code by mail may be asked of whoever says to have the address:
// to sign in by it, or to set up a first passkey or password where the policies accept
// nothing else and the person has none.
func (t turn) mailsCode() bool { return t.Local.Has(policy.EmailCode) || t.FirstTime }

// sendCode makes a code, puts the mail in the queue in the same transaction, and leads to the
// page that asks for it. For an address that nobody has, as much is done, and the mail says
// so to whoever reads it: neither the answer nor its time tells who exists.
func (s *Server) sendCode(w http.ResponseWriter, r *http.Request, a aim, email string, purpose factor.Purpose) error {
	d, err := s.ensureDevice(w, r)
	if err != nil {
		return err
	}
	var code factor.EmailCode
	var wait time.Duration
	err = s.store.Update(r.Context(), func(tx store.Tx) (err error) {
		now := s.now()
		if wait, err = s.mayMail(tx, r, d, email, now); err != nil || wait > 0 {
			return err
		}
		code, err = s.mailCode(tx, r, a, d, email, purpose, now)
		return err
	})
	switch {
	case err != nil:
		return unavailable(err)
	case wait > 0:
		return s.tooMany(wait)
	}
	s.count("code_sent")
	return s.goTo(w, r, d, pathCode, a, step{Email: email, Code: code.ID, Purpose: purpose, Sent: s.now()})
}

func (s *Server) mailCode(tx store.Tx, r *http.Request, a aim, d device, email string, purpose factor.Purpose, now time.Time) (factor.EmailCode, error) {
	code, digits, err := factor.NewEmailCode(tx, purpose, email, "", d.Secret, now)
	if err != nil {
		return code, err
	}
	var org tenancy.Organization
	if a.Organization != "" {
		if org, err = tx.Organization(a.Organization); err != nil {
			return code, err
		}
	}
	expected, err := tenancy.Expected(tx, s.rules, email, now)
	if err != nil {
		return code, err
	}
	minutes := int(factor.EmailCodeLife / time.Minute)
	var m mail.Composer = mail.SignInCode{Organization: org.Name, Host: s.publicURL.Host, Code: digits, Minutes: minutes}
	switch {
	case !expected:
		m = mail.NoAccount{Organization: org.Name, Host: s.publicURL.Host}
	case purpose == factor.ForPasswordReset:
		m = mail.ResetPassword{Organization: org.Name, Host: s.publicURL.Host, Code: digits, Minutes: minutes}
	}
	if err := s.mail.Put(tx, email, m, s.locale(r), code.ExpiresAt, now); err != nil {
		return code, err
	}
	user, err := userAt(tx, email)
	if err != nil {
		return code, err
	}
	return code, factor.RecordCode(tx, code, user, audit.System, now)
}

// code is GET and POST /sign-in/code: what was sent by mail.
func (s *Server) code(w http.ResponseWriter, r *http.Request) error {
	v, err := s.visit(w, r, "code")
	if err != nil {
		return err
	}
	switch {
	case v.step.Purpose == factor.ForPasswordReset && v.step.Code != "":
		return s.resetCode(w, r, v)
	case v.step.Code == "" || v.step.Purpose != factor.ForSignIn || !v.turn.mailsCode():
		return s.elsewhere(w, r, v)
	case r.Method != http.MethodPost:
		return s.askCode(w, r, v, text.Message{}, http.StatusOK)
	}
	var res result
	err = s.store.Update(r.Context(), func(tx store.Tx) error {
		res = result{}
		now := s.now()
		if err := s.rejudge(tx, r, &v, now); err != nil || !v.turn.mailsCode() {
			return err
		}
		j, wait, err := s.judgeCode(tx, r, v, mailed{v.step.Code, factor.ForSignIn, v.step.Email, ""}, now)
		if res.wait, res.refused = wait, j.Refused; err != nil || wait > 0 || j.Refused != nil {
			return err
		}
		in, err := tenancy.SignInByAddress(tx, s.rules, tenancy.Proven{Email: v.step.Email}, now)
		if isRefusal(err) {
			res.refused = err // the code is used up all the same
			return nil
		}
		if err != nil {
			return err
		}
		return s.accept(tx, r, &v, policy.Proof{Method: policy.EmailCode, At: now}, in, audit.MagicAuthSucceeded, &res, now)
	})
	switch {
	case err != nil:
		return s.cannotEnter(v, err)
	case res.wait > 0:
		return s.tooMany(res.wait)
	case errors.Is(res.refused, tenancy.ErrIdentityConflict):
		s.count("identity_conflict")
		return s.anothersAddress(r, v, res.refused)
	case errors.Is(res.refused, tenancy.ErrNotMember):
		s.count("no_account")
		return s.noAccount(v, res.refused)
	case res.refused != nil:
		s.count("code_wrong")
		return s.askCode(w, r, v, codeFault(res.refused), http.StatusUnprocessableEntity)
	case res.who.ID == "":
		return s.follow(w, r, v.aim, v.turn) // the policies changed meanwhile
	}
	return s.finish(w, r, policy.EmailCode, res)
}

// codeFault says what is wrong with a code; nothing, if nothing is.
func codeFault(refused error) text.Message {
	switch {
	case refused == nil:
		return text.Message{}
	case errors.Is(refused, factor.ErrSpent):
		return text.T("This code is no longer good. Ask for a new one.")
	default:
		return text.T("That is not the code. Check the newest mail from us.")
	}
}

// askCode shows the page that asks for the code.
func (s *Server) askCode(w http.ResponseWriter, r *http.Request, v visit, fault text.Message, status int) error {
	sealed, err := s.sealStep(v.dev, v.step, s.now())
	if err != nil {
		return err
	}
	return page.EnterCode{
		Brand: s.brand(v.turn.Organization), Action: s.at(pathCode, v.aim, ""), Hidden: map[string]string{paramStep: sealed},
		Email: v.step.Email, Fault: fault, Resend: s.at(pathResend, v.aim, ""), ResendAfter: max(0, resendAfter-s.now().Sub(v.step.Sent)),
		Change: s.change(v), Other: s.otherWays(v, sealed),
		Lead: text.T("We sent a code of six digits to your address, if it can be used here."),
	}.Render(w, r, status)
}

// resend is POST /sign-in/code/resend.
func (s *Server) resend(w http.ResponseWriter, r *http.Request) error {
	v, err := s.visit(w, r)
	if err != nil {
		return err
	}
	switch {
	case v.step.Email == "" || v.step.Code == "":
		return s.elsewhere(w, r, v)
	case v.step.Purpose == factor.ForPasswordReset && v.resets():
	case v.step.Purpose == factor.ForSignIn && v.turn.mailsCode() && v.turn.Email == v.step.Email:
	default:
		return s.elsewhere(w, r, v)
	}
	if wait := resendAfter - s.now().Sub(v.step.Sent); wait > 0 {
		return s.tooMany(wait)
	}
	return s.sendCode(w, r, v.aim, v.step.Email, v.step.Purpose)
}

// elsewhere is for a page whose turn it is not: of a step that is over, or because something
// else is asked for by now.
func (s *Server) elsewhere(w http.ResponseWriter, r *http.Request, v visit) error {
	if v.stale {
		return s.stepOver(v.aim)
	}
	return s.follow(w, r, v.aim, v.turn)
}

// stepOver is the page for a step that is over, or of another browser.
func (s *Server) stepOver(a aim) *endpoint.Error {
	e := s.tooOld()
	e.ActionURL = s.at(pathSignIn, a, "")
	return e
}

// notYou is the page for somebody who is signed in, and has proved to be somebody else.
func (s *Server) notYou(v visit, cause error) *endpoint.Error {
	return &endpoint.Error{
		Status: http.StatusConflict, Code: "another_person", Title: text.T("That is somebody else"), Organization: v.turn.Organization.Name,
		Text: text.T("You are signed in here with another address than %s.", v.step.Email), Hint: text.T("Leave the account that you are signed in with, or use its own address."),
		ActionURL: s.again(v.aim, true), ActionText: text.T("Use another account"), Err: cause,
	}
}

// changed is the aim for whoever wants to use another address.
func (v visit) changed() aim {
	a := v.aim
	a.Another = a.Another || v.who.ID != ""
	return a
}

// change is the page for whoever wants to use another address; none, where one is invited.
func (s *Server) change(v visit) string {
	if v.aim.Invitation != "" {
		return ""
	}
	return s.at(pathSignIn, v.changed(), "")
}

// otherWays is the page with all ways, if there is more than one.
func (s *Server) otherWays(v visit, sealed string) string {
	if len(s.ways(v.turn)) < 2 {
		return ""
	}
	return s.at(pathWays, v.aim, sealed)
}

// A mailed is a code that went out by mail, as the page says that asks for it.
type mailed struct {
	id        string
	purpose   factor.Purpose
	to, about string
}

// judgeCode counts a guess at a code, or says how long to wait; then judges it. It must have gone
// to that address, for that. Guesses that are refused are heard of here.
func (s *Server) judgeCode(tx store.Tx, r *http.Request, v visit, m mailed, now time.Time) (j factor.Judged, wait time.Duration, err error) {
	// The address may be somebody else's, to whom this browser is a stranger's.
	user, err := userAt(tx, m.to)
	if err != nil {
		return j, 0, err
	}
	if wait, err = s.attempt(tx, r, v.dev, factor.GuessEmailCode, m.to, user, now); err != nil || wait > 0 {
		return j, wait, err
	}
	if j, err = factor.UseEmailCode(tx, m.id, m.purpose, v.dev.Secret, v.form.Get("code"), now); err != nil {
		return j, 0, err
	}
	if j.Refused == nil && (j.Code.Email != m.to || j.Code.About != m.about) {
		j.Refused = factor.ErrSpent
	}
	if j.Refused != nil {
		return j, 0, s.recordGuess(tx, r, audit.MagicAuthFailed, m.to, now)
	}
	return j, 0, s.succeeded(tx, r, v.dev, factor.GuessEmailCode, m.to, user, now)
}

// recordGuess tells of a wrong code or password, now and then: all are counted, but whoever
// guesses must not fill the store with events.
func (s *Server) recordGuess(tx store.Tx, r *http.Request, event, email string, now time.Time) error {
	if _, heard := s.failuresFrom.take(network(s.clientIP(r))); !heard {
		return nil
	}
	return s.recordLocal(tx, r, event, session.Session{}, email, &authenticationError{Code: "invalid_credentials", Message: "wrong code or password"}, now)
}

// noAccount is the page for somebody who has proved an address that nobody knows, where
// nobody is let in without an invitation. They have proved that it is theirs, so they may know.
func (s *Server) noAccount(v visit, cause error) *endpoint.Error {
	return &endpoint.Error{
		Status: http.StatusForbidden, Code: "no_account", Title: text.T("There is no account with this address"), Organization: v.turn.Organization.Name,
		Text: text.T("%s is confirmed to be yours, and nobody has invited it yet.", v.step.Email), Hint: text.T("Ask for an invitation, or use another address."),
		ActionURL: s.at(pathSignIn, v.changed(), ""), ActionText: text.T("Use another address"), Err: cause,
	}
}

// anothersAddress is the page for somebody who has proved an address for whose user an
// organization's provider has spoken that does not have its domain any more.
func (s *Server) anothersAddress(r *http.Request, v visit, cause error) *endpoint.Error {
	s.log.WarnContext(r.Context(), "sign-in failed", "request_id", endpoint.RequestID(r.Context()), "check", "identity_conflict", "cause", cause.Error(),
		"hint", "the address's domain was an organization's whose provider knew this person; if it is the same person: orgate user unlink --email ADDRESS")
	return &endpoint.Error{
		Status: http.StatusForbidden, Code: "identity_conflict", Title: text.T("This address belongs to another account"), Organization: v.turn.Organization.Name,
		Text:      text.T("An organization's identity provider knew %s before.", v.step.Email),
		Hint:      text.T("Tell the people who look after your sign-in the id below: they can say whether you are the same person."),
		ActionURL: s.at(pathSignIn, v.changed(), ""), ActionText: text.T("Use another address"), Err: cause,
	}
}

// cannotEnter turns an error of the transaction into what the person is told.
func (s *Server) cannotEnter(v visit, err error) error {
	switch {
	case errors.Is(err, errAnotherPerson):
		e := s.notYou(v, err)
		s.count(e.Code)
		return e
	case errors.Is(err, session.ErrUsed):
		return s.stepOver(v.aim)
	}
	return unavailable(err)
}
