package sso

import (
	"errors"
	"net/http"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/mail"
	"github.com/orgate/orgate/internal/page"
	"github.com/orgate/orgate/internal/text"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

const emailUse = "address change"

// changeEmail is GET and POST /account/email: a person gives up an address for another. Both
// are proved by a code: the old one, so that nobody takes an account along from an
// unlocked browser, and the new one, because it is what the person is known by from then on.
func (s *Server) changeEmail(w http.ResponseWriter, r *http.Request) error {
	v, u, on, err := s.onEmail(w, r, "email")
	if !on {
		return err
	}
	if r.Method != http.MethodPost {
		return s.askEmailChange(w, r, "", text.Message{}, http.StatusOK)
	}
	typed := v.form.Get("email")
	email, err := tenancy.ParseEmail(typed)
	if err != nil || email == u.Email {
		return s.askEmailChange(w, r, typed, text.T("Enter your e-mail address, such as jo@example.com."), http.StatusUnprocessableEntity)
	}
	d, err := s.ensureDevice(w, r)
	if err != nil {
		return err
	}
	var wait time.Duration
	var refused error
	st := step{Email: email, Sent: s.now()}
	err = s.store.Update(r.Context(), func(tx store.Tx) (err error) {
		wait, refused = 0, nil
		now := s.now()
		if refused, err = s.mayChange(tx, u, email); err != nil || refused != nil {
			return err
		}
		for _, to := range []string{u.Email, email} {
			if wait, err = s.mayMail(tx, r, d, to, now); err != nil || wait > 0 {
				return err
			}
		}
		send := func(p factor.Purpose, to string, old bool) (string, error) {
			c, digits, err := factor.NewEmailCode(tx, p, to, changeOf(u, email), d.Secret, now)
			if err != nil {
				return "", err
			}
			m := mail.ChangeEmailCode{Host: s.publicURL.Host, Code: digits, Minutes: int(factor.EmailCodeLife / time.Minute), Email: email, ToNew: !old}
			return c.ID, s.mail.Put(tx, to, m, s.locale(r), c.ExpiresAt, now)
		}
		if st.Code, err = send(factor.ForOldAddress, u.Email, true); err != nil {
			return err
		}
		st.NewCode, err = send(factor.ForNewAddress, email, false)
		return err
	})
	switch {
	case err != nil:
		return unavailable(err)
	case wait > 0:
		return s.tooMany(wait)
	case refused != nil:
		return s.askEmailChange(w, r, typed, emailFault(refused), http.StatusUnprocessableEntity)
	}
	return s.goTo(w, r, d, pathEmailOld, aim{}, st)
}

// changeOf is what the codes of a change of address are about.
func changeOf(u tenancy.User, email string) string {
	return string(u.ID) + " " + u.Email + " " + email
}

// onEmail is for the pages of a change of address: whoever is signed in, and has proved freshly
// all that is asked of them.
func (s *Server) onEmail(w http.ResponseWriter, r *http.Request, fields ...string) (v visit, u tenancy.User, on bool, err error) {
	if v, err = s.visit(w, r, fields...); err != nil {
		return v, u, false, err
	}
	if v.who.ID == "" || s.mail == nil {
		return v, u, false, s.elsewhere(w, r, v)
	}
	err = s.store.View(r.Context(), func(tx store.Tx) (err error) {
		if u, err = tx.User(v.who.User); err != nil {
			return err
		}
		on, err = s.provedFreshly(tx, v.who)
		return err
	})
	switch {
	case err != nil:
		return v, u, false, unavailable(err)
	case !on:
		return v, u, false, s.refresh(w, r, v, pathEmail)
	}
	return v, u, true, nil
}

// mayChange reports why an address can't be given up for another; nil: it can. That the other
// is somebody's already is not said here: only to whoever has proved it.
func (s *Server) mayChange(tx store.Tx, u tenancy.User, email string) (refused, err error) {
	err = tenancy.MayChangeEmail(tx, u, email)
	if errors.Is(err, tenancy.ErrDomainOwned) {
		return err, nil
	}
	return nil, err
}

// emailOld is GET and POST /account/email/old: the code that went to the old address.
func (s *Server) emailOld(w http.ResponseWriter, r *http.Request) error {
	v, u, on, err := s.onEmail(w, r, "code")
	if !on {
		return err
	}
	if v.step.NewCode == "" {
		http.Redirect(w, r, s.url(pathEmail), http.StatusSeeOther)
		return nil
	}
	if r.Method != http.MethodPost {
		return s.askEmailCode(w, r, v, u.Email, pathEmailOld, text.Message{}, http.StatusOK)
	}
	fault, err := s.judgeEmail(r, v, u, v.step.Code, factor.ForOldAddress, u.Email, nil)
	if err != nil {
		return err
	}
	if !fault.IsZero() {
		return s.askEmailCode(w, r, v, u.Email, pathEmailOld, fault, http.StatusUnprocessableEntity)
	}
	v.step.OldProved = true
	return s.goTo(w, r, v.dev, pathEmailNew, aim{}, v.step)
}

// emailNew is GET and POST /account/email/new: the code that went to the new address, and
// with it the change.
func (s *Server) emailNew(w http.ResponseWriter, r *http.Request) error {
	v, u, on, err := s.onEmail(w, r, "code")
	if !on {
		return err
	}
	if v.step.NewCode == "" || !v.step.OldProved {
		http.Redirect(w, r, s.url(pathEmail), http.StatusSeeOther)
		return nil
	}
	if r.Method != http.MethodPost {
		return s.askEmailCode(w, r, v, v.step.Email, pathEmailNew, text.Message{}, http.StatusOK)
	}
	var refused error
	fault, err := s.judgeEmail(r, v, u, v.step.NewCode, factor.ForNewAddress, v.step.Email, func(tx store.Tx, now time.Time) error {
		refused = nil
		if err := tx.Use(emailUse, v.step.Code, now.Add(2*stepLife)); err != nil {
			return err
		}
		by := audit.Actor{Type: "user", ID: string(u.ID)}
		_, err := tenancy.ChangeEmail(tx, u.ID, v.step.Email, by, now)
		if errors.Is(err, tenancy.ErrTaken) || errors.Is(err, tenancy.ErrDomainOwned) {
			refused = err
			return nil
		}
		if err != nil {
			return err
		}
		if err := session.EndAll(tx, u.ID, v.who.ID, by, now); err != nil {
			return err
		}
		return s.mail.Put(tx, u.Email, mail.EmailChanged{Host: s.publicURL.Host, Email: v.step.Email}, s.locale(r), now.Add(noticeLife), now)
	})
	switch {
	case err != nil:
		return s.cannotEnter(v, err)
	case !fault.IsZero():
		return s.askEmailCode(w, r, v, v.step.Email, pathEmailNew, fault, http.StatusUnprocessableEntity)
	case refused != nil:
		return s.askEmailChange(w, r, v.step.Email, emailFault(refused), http.StatusUnprocessableEntity)
	}
	s.count("address_changed")
	http.Redirect(w, r, s.url(pathAccount), http.StatusSeeOther)
	return nil
}

// judgeEmail judges a code of a change of address; then, if it is right, does the rest in the
// same transaction.
func (s *Server) judgeEmail(r *http.Request, v visit, u tenancy.User, id string, p factor.Purpose, to string, then func(store.Tx, time.Time) error) (fault text.Message, err error) {
	var wait time.Duration
	var j factor.Judged
	err = s.store.Update(r.Context(), func(tx store.Tx) (err error) {
		now := s.now()
		// Whoever was signed out since the page looked changes nothing.
		who, _, err := s.liveIn(tx, r)
		if err != nil {
			return err
		}
		on, err := s.provedFreshly(tx, who)
		if err != nil {
			return err
		}
		if !on || who.User != u.ID {
			return s.proofTooOld(nextEmail)
		}
		// Of two changes that were begun, the one that is made first ends the other: nobody
		// who has the address that it made was asked.
		if u, err = tx.User(u.ID); err != nil {
			return err
		}
		j, wait, err = s.judgeCode(tx, r, v, mailed{id, p, to, changeOf(u, v.step.Email)}, now)
		if err != nil || wait > 0 || j.Refused != nil || then == nil {
			return err
		}
		return then(tx, now)
	})
	switch {
	case err != nil:
		return fault, unavailable(err)
	case wait > 0:
		return fault, s.tooMany(wait)
	default:
		return codeFault(j.Refused), nil
	}
}

func (s *Server) askEmailChange(w http.ResponseWriter, r *http.Request, typed string, fault text.Message, status int) error {
	return page.ChangeEmail{Action: s.url(pathEmail), Email: clip(typed, maxEmail), Fault: fault, Back: s.url(pathAccount)}.Render(w, r, status)
}

func (s *Server) askEmailCode(w http.ResponseWriter, r *http.Request, v visit, to, path string, fault text.Message, status int) error {
	sealed, err := s.sealStep(v.dev, v.step, s.now())
	if err != nil {
		return err
	}
	return page.EnterCode{
		Action: s.url(path), Hidden: map[string]string{paramStep: sealed}, Email: to, Fault: fault, Change: s.url(pathEmail),
	}.Render(w, r, status)
}

// emailFault says why an address can't be changed.
func emailFault(err error) text.Message {
	if errors.Is(err, tenancy.ErrTaken) {
		return text.T("There is another account with this address.")
	}
	return text.T("This address, or the one that you have, is looked after by an organization. Its administrators can change it.")
}
