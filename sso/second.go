package sso

import (
	"errors"
	"net/http"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/page"
	"github.com/orgate/orgate/internal/text"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

const (
	paramKind    = "kind"
	kindTOTP     = "totp"
	kindRecovery = "recovery_code"
)

// confirms reports whether a second factor of that method, which the person has, would do.
func (t turn) confirms(m policy.Method) bool { return !t.Enroll && t.Second.Has(m) }

// second is GET and POST /sign-in/second: the second factor of whoever has shown a first.
func (s *Server) second(w http.ResponseWriter, r *http.Request) error {
	v, err := s.visit(w, r, "code", paramKind)
	if err != nil {
		return err
	}
	if v.turn.Enroll || v.turn.Second == 0 {
		return s.elsewhere(w, r, v)
	}
	kind := r.URL.Query().Get(paramKind)
	if v.form.Has(paramKind) {
		kind = v.form.Get(paramKind)
	}
	method := policy.TOTP
	switch {
	case kind == kindRecovery && v.turn.Second.Has(policy.RecoveryCode):
		method = policy.RecoveryCode
	case v.turn.Second.Has(policy.TOTP):
	case v.turn.Second.Has(policy.Passkey):
		http.Redirect(w, r, s.at(pathPasskey, v.aim, ""), http.StatusSeeOther)
		return nil
	case v.turn.Second.Has(policy.RecoveryCode):
		method = policy.RecoveryCode
	default:
		return s.elsewhere(w, r, v)
	}
	if r.Method != http.MethodPost {
		return s.askSecond(w, r, v, method, text.Message{}, http.StatusOK)
	}
	var res result
	err = s.store.Update(r.Context(), func(tx store.Tx) error {
		res = result{}
		now := s.now()
		if err := s.rejudge(tx, r, &v, now); err != nil || !v.turn.confirms(method) {
			return err
		}
		user := v.who.User
		if res.wait, err = s.attempt(tx, r, v.dev, factor.GuessSecond, string(user), user, now); err != nil || res.wait > 0 {
			return err
		}
		if method == policy.RecoveryCode {
			_, err = factor.UseRecoveryCode(tx, user, v.form.Get("code"), now)
		} else {
			err = factor.UseTOTP(tx, s.box, user, v.form.Get("code"), now)
		}
		u, uerr := tx.User(user)
		if uerr != nil {
			return uerr
		}
		if isRefusal(err) {
			res.refused = err
			return s.recordLocal(tx, r, audit.MFAFailed, v.who, u.Email, &authenticationError{Code: "invalid_one_time_code", Message: "wrong code"}, now)
		}
		if err != nil {
			return err
		}
		if err := s.succeeded(tx, r, v.dev, factor.GuessSecond, string(user), user, now); err != nil {
			return err
		}
		return s.accept(tx, r, &v, policy.Proof{Method: method, At: now}, tenancy.SignedIn{User: u}, audit.MFASucceeded, &res, now)
	})
	switch {
	case err != nil:
		return s.cannotEnter(v, err)
	case res.wait > 0:
		return s.tooMany(res.wait)
	case res.refused != nil:
		s.count("second_wrong")
		fault := text.T("That code is not right. Codes change every 30 seconds, and each works once.")
		if method == policy.RecoveryCode {
			fault = text.T("That is not one of your recovery codes, or it was used before.")
		}
		return s.askSecond(w, r, v, method, fault, http.StatusUnprocessableEntity)
	case res.who.ID == "":
		return s.follow(w, r, v.aim, v.turn)
	}
	return s.finish(w, r, method, res)
}

func (s *Server) askSecond(w http.ResponseWriter, r *http.Request, v visit, m policy.Method, fault text.Message, status int) error {
	p := page.SecondFactor{
		Brand: s.brand(v.turn.Organization), Action: s.at(pathSecond, v.aim, ""), Email: v.turn.Email, Fault: fault,
		Kind: kindTOTP, Hidden: map[string]string{paramKind: kindTOTP},
	}
	link := func(kind string) string {
		q := s.values(v.aim)
		q.Set(paramKind, kind)
		return s.url(pathSecond) + "?" + q.Encode()
	}
	if m == policy.RecoveryCode {
		p.Kind, p.Hidden = kindRecovery, map[string]string{paramKind: kindRecovery}
		if v.turn.Second.Has(policy.TOTP) {
			p.App = link(kindTOTP)
		}
	} else if v.turn.Second.Has(policy.RecoveryCode) {
		p.Recovery = link(kindRecovery)
	}
	if v.turn.Second.Has(policy.Passkey) {
		p.Passkey = s.at(pathPasskey, v.aim, "")
	}
	return p.Render(w, r, status)
}

// enroll is GET /sign-in/enroll: which second factor to set up.
func (s *Server) enroll(w http.ResponseWriter, r *http.Request) error {
	v, err := s.visit(w, r)
	if err != nil {
		return err
	}
	if !v.turn.Enroll {
		return s.elsewhere(w, r, v)
	}
	p := page.EnrollChoice{Brand: s.brand(v.turn.Organization), Email: v.turn.Email}
	if v.turn.Second.Has(policy.TOTP) {
		p.App = s.at(pathAppNew, v.aim, "")
	}
	if v.turn.Second.Has(policy.Passkey) {
		p.Passkey = s.at(pathPasskeyNew, v.aim, "")
	}
	if name := v.turn.Organization.Name; name != "" {
		p.Reason = text.T("%s asks for a second factor. You set it up once, and it takes a minute.", name)
	} else {
		p.Reason = text.T("A second factor is asked for. You set it up once, and it takes a minute.")
	}
	return p.Render(w, r, http.StatusOK)
}

// appNew is GET and POST /sign-in/app/new: sets up an authenticator app.
func (s *Server) appNew(w http.ResponseWriter, r *http.Request) error {
	v, err := s.visit(w, r, "code")
	if err != nil {
		return err
	}
	if on, err := s.onSetUp(w, r, v, policy.TOTP, pathAppNew); !on {
		return err
	}
	if r.Method != http.MethodPost || v.step.Secret == "" || v.step.User != v.who.User {
		v.step = step{Secret: factor.NewTOTPSecret(), User: v.who.User}
		return s.askApp(w, r, v, text.Message{}, http.StatusOK)
	}
	return s.setUp(w, r, v, policy.TOTP, func(tx store.Tx, u tenancy.User, now time.Time) (policy.Proof, error) {
		err := factor.EnrollTOTP(tx, s.box, u.ID, v.step.Secret, v.form.Get("code"), audit.Actor{Type: "user", ID: string(u.ID)}, now)
		return policy.Proof{Method: policy.TOTP, At: now}, err
	}, addedApp(s.publicURL.Host), func(err error) error {
		if errors.Is(err, factor.ErrExists) {
			return s.elsewhere(w, r, v)
		}
		return s.askApp(w, r, v, text.T("That code is not right. Check that the clock of your device is, and enter the newest code."), http.StatusUnprocessableEntity)
	})
}

func (s *Server) askApp(w http.ResponseWriter, r *http.Request, v visit, fault text.Message, status int) error {
	d, err := s.ensureDevice(w, r)
	if err != nil {
		return err
	}
	sealed, err := s.sealStep(d, v.step, s.now())
	if err != nil {
		return err
	}
	qr, err := qrCode(factor.TOTPURL(v.step.Secret, s.publicURL.Hostname(), v.turn.Email))
	if err != nil {
		return err
	}
	p := page.EnrollTOTP{
		Brand: s.brand(v.turn.Organization), Action: s.at(pathAppNew, v.aim, ""), Hidden: map[string]string{paramStep: sealed},
		QR: qr, Secret: inFours(v.step.Secret), Fault: fault,
	}
	if v.turn.Enroll && v.turn.Second.Has(policy.Passkey) {
		p.Passkey = s.at(pathPasskeyNew, v.aim, "")
	}
	return p.Render(w, r, status)
}

// recoveryCodes is GET and POST /sign-in/recovery-codes: makes new ones, in place of those
// that there were.
func (s *Server) recoveryCodes(w http.ResponseWriter, r *http.Request) error {
	v, err := s.visit(w, r)
	if err != nil {
		return err
	}
	fresh := false
	if v.who.ID != "" {
		err = s.store.View(r.Context(), func(tx store.Tx) (err error) {
			fresh, err = s.provedFreshly(tx, v.who)
			return err
		})
	}
	switch {
	case err != nil:
		return unavailable(err)
	case v.who.ID == "":
		return s.elsewhere(w, r, v)
	case !fresh:
		return s.refresh(w, r, v, pathRecoveryCodes)
	case r.Method != http.MethodPost:
		return page.Confirm{
			Title: text.T("Make new recovery codes"), Text: text.T("The codes that you have now will no longer work."),
			Action: s.at(pathRecoveryCodes, v.aim, ""), Button: text.T("Make new codes"), Back: s.url(pathAccount),
		}.Render(w, r, http.StatusOK)
	}
	var codes []string
	err = s.store.Update(r.Context(), func(tx store.Tx) error {
		codes = nil
		now := s.now()
		if err := s.rejudge(tx, r, &v, now); err != nil {
			return err
		}
		if fresh, err = s.provedFreshly(tx, v.who); err != nil || !fresh {
			return err
		}
		have, err := tx.Enrolled(v.who.User)
		if err != nil || !have.Has(policy.TOTP) && !have.Has(policy.Passkey) {
			return err
		}
		codes, err = factor.NewRecoveryCodes(tx, v.who.User, audit.Actor{Type: "user", ID: string(v.who.User)}, now)
		return err
	})
	switch {
	case err != nil:
		return unavailable(err)
	case codes == nil:
		return s.elsewhere(w, r, v)
	}
	return s.showCodes(w, r, v.aim, codes)
}

func (s *Server) showCodes(w http.ResponseWriter, r *http.Request, a aim, codes []string) error {
	return page.RecoveryCodes{Codes: codes, Done: s.at(pathGoOn, a, "")}.Render(w, r, http.StatusOK)
}
