package sso

import (
	"errors"
	"html/template"
	"net/http"
	"strings"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/endpoint"
	"github.com/orgate/orgate/internal/mail"
	"github.com/orgate/orgate/internal/text"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// provedFreshly reports whether a session has proved a moment ago whatever is asked of its
// person on the login host, second factor included: then they may change their factors.
// Whoever finds an unlocked browser may not.
func (s *Server) provedFreshly(tx store.Tx, who session.Session) (bool, error) {
	if who.ID == "" || who.ConfinedTo != "" {
		return false, nil // one organization's word changes nothing that is good elsewhere
	}
	_, d, err := s.judge(tx, "", who, "", policy.EnrollWithin, s.now())
	return d.Verdict == policy.Allow, err
}

// maySetUp reports whether the person may set up a factor of that method now: because it is
// asked for and they have none, or because they have proved freshly all that they have.
func (s *Server) maySetUp(tx store.Tx, v visit, m policy.Method) (bool, error) {
	switch {
	case v.who.ID == "" || !s.offered.Has(m):
		return false, nil
	case v.turn.Enroll && v.turn.Second.Has(m), v.turn.Create.Has(m):
		return true, nil
	}
	return s.provedFreshly(tx, v.who)
}

// onSetUp reports whether the page that sets up a factor may go on; if not, it has answered
// or returns an error.
func (s *Server) onSetUp(w http.ResponseWriter, r *http.Request, v visit, m policy.Method, path string) (on bool, err error) {
	err = s.store.View(r.Context(), func(tx store.Tx) (err error) {
		on, err = s.maySetUp(tx, v, m)
		return err
	})
	switch {
	case err != nil:
		return false, unavailable(err)
	case on:
		return true, nil
	case v.who.ID != "" && v.aim.Next != "" && s.offered.Has(m):
		return false, s.refresh(w, r, v, path)
	}
	return false, s.elsewhere(w, r, v)
}

// setUp enrols a factor, and takes that for its first proof. refused answers what enrol
// refused.
func (s *Server) setUp(w http.ResponseWriter, r *http.Request, v visit, m policy.Method,
	enrol func(store.Tx, tenancy.User, time.Time) (policy.Proof, error), notice mail.Composer, refused func(error) error,
) error {
	var res result
	var codes []string
	err := s.store.Update(r.Context(), func(tx store.Tx) error {
		res, codes = result{}, nil
		now := s.now()
		if err := s.rejudge(tx, r, &v, now); err != nil {
			return err
		}
		if may, err := s.maySetUp(tx, v, m); err != nil || !may {
			return err
		}
		u, err := tx.User(v.who.User)
		if err != nil {
			return err
		}
		before, err := tx.Enrolled(u.ID)
		if err != nil {
			return err
		}
		if res.wait, err = s.attempt(tx, r, v.dev, factor.GuessSetUp, string(u.ID), u.ID, now); err != nil || res.wait > 0 {
			return err
		}
		proof, err := enrol(tx, u, now)
		if errors.Is(err, factor.ErrWrong) || errors.Is(err, factor.ErrExists) || errors.Is(err, factor.ErrTooMany) {
			res.refused = err // and the try stays counted: nothing else was written
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.succeeded(tx, r, v.dev, factor.GuessSetUp, string(u.ID), u.ID, now); err != nil {
			return err
		}
		if !before.Has(policy.RecoveryCode) {
			if codes, err = factor.NewRecoveryCodes(tx, u.ID, audit.Actor{Type: "user", ID: string(u.ID)}, now); err != nil {
				return err
			}
		}
		if err := s.tell(tx, r, u, notice, now); err != nil {
			return err
		}
		return s.accept(tx, r, &v, proof, tenancy.SignedIn{User: u}, audit.MFASucceeded, &res, now)
	})
	switch {
	case err != nil:
		return s.cannotEnter(v, err)
	case res.wait > 0:
		return s.tooMany(res.wait)
	case res.refused != nil:
		return refused(res.refused)
	case res.who.ID == "":
		return s.elsewhere(w, r, v)
	}
	s.count("factor_set_up")
	if len(codes) > 0 {
		s.setLogin(w, res.token)
		return s.showCodes(w, r, v.aim, codes)
	}
	return s.finish(w, r, m, res)
}

// refresh asks for fresh proofs, and then leads back to the page.
func (s *Server) refresh(w http.ResponseWriter, r *http.Request, v visit, path string) error {
	if r.Method == http.MethodPost {
		return s.proofTooOld(nextOf(path))
	}
	http.Redirect(w, r, s.at(pathSignIn, aim{Fresh: true, Next: nextOf(path)}, ""), http.StatusSeeOther)
	return nil
}

// reconsider does what comes next after something has changed.
func (s *Server) reconsider(w http.ResponseWriter, r *http.Request, v visit) error {
	t, err := s.turn(r.Context(), v.aim, v.who, v.step.Email)
	if err != nil {
		return err
	}
	return s.follow(w, r, v.aim, t)
}

// goOn is POST /sign-in/go-on: whatever comes next.
func (s *Server) goOn(w http.ResponseWriter, r *http.Request) error {
	v, err := s.visit(w, r)
	if err != nil {
		return err
	}
	return s.follow(w, r, v.aim, v.turn)
}

// tell mails a person what was changed about their account; where no mail can be sent, nobody
// is told.
func (s *Server) tell(tx store.Tx, r *http.Request, u tenancy.User, m mail.Composer, now time.Time) error {
	if s.mail == nil {
		return nil
	}
	return s.mail.Put(tx, u.Email, m, s.locale(r), now.Add(noticeLife), now)
}

// locale is the language that a person reads, for mail.
func (s *Server) locale(r *http.Request) text.Locale {
	return text.Negotiate(r.Header.Get("Accept-Language"))
}

// noticeLife is how long a mail that only tells is worth sending.
const noticeLife = 72 * time.Hour

func addedApp(host string) mail.Composer {
	return mail.FactorAdded{Host: host, Factor: mail.AuthenticatorApp}
}

// logRefused is the line that an operator finds of a proof that was refused for its form.
func (s *Server) logRefused(r *http.Request, what string, cause error) {
	s.log.InfoContext(r.Context(), "proof refused", "request_id", endpoint.RequestID(r.Context()), "factor", what, "cause", cause.Error())
}

// qrCode draws a text as a QR code, as a page can hold it.
func qrCode(s string) (template.URL, error) {
	data, err := factor.QRCode(s)
	return template.URL(data), err
}

// inFours writes a secret in groups, as people can type it.
func inFours(s string) string {
	var b strings.Builder
	for i, c := range s {
		if i > 0 && i%4 == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(c)
	}
	return b.String()
}
