package sso

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/mail"
	"github.com/orgate/orgate/internal/page"
	"github.com/orgate/orgate/internal/text"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// linkLife is how long a social provider's word may wait for the code that proves the address.
const linkLife = 20 * time.Minute

// A socialStep is what a social provider said of somebody whom nobody knows by it, while
// a code is on its way to the address that it named.
type socialStep struct {
	// Provider said it, as it was Configured then.
	Provider   string `json:"provider"`
	Configured string `json:"configured"`
	Subject    string `json:"subject"`
	Verified   *bool  `json:"verified,omitzero"`
	Name       string `json:"name,omitzero"`
	// Link: see [socialFlow].
	Link tenancy.UserID `json:"link,omitzero"`
	// Proof is what it proved.
	Proof policy.Proof `json:"proof"`
	Until time.Time    `json:"until"`
}

// about is what a code is for, besides the address: this very account at this very provider.
// One proof of an address links one account, and not whichever comes next (attack 76).
func (st socialStep) about() string { return st.Proof.Connection + " " + st.Subject }

func (st socialStep) assertion(p SocialProvider, email string) tenancy.SocialAssertion {
	return tenancy.SocialAssertion{Provider: p.id(), Subject: st.Subject, Email: email, EmailVerified: st.Verified, Name: st.Name}
}

// askLink sends a code to the address that a provider named, and leads to the page that asks
// for it. Nothing is written of the account there before the code is right: whoever has an
// account there with somebody else's address has nothing here.
func (s *Server) askLink(w http.ResponseWriter, r *http.Request, f socialFlow, p SocialProvider, said socialAnswer, proof policy.Proof, email string) error {
	return s.sendLinkCode(w, r, f.Aim, p, step{Email: email, Purpose: factor.ForSocialLink, Social: &socialStep{
		Provider: p.Name, Configured: p.configured(), Subject: said.Subject, Verified: said.EmailVerified, Name: clip(said.Name, maxEmail),
		Link: f.Link, Proof: proof, Until: s.now().Add(linkLife),
	}})
}

func (s *Server) sendLinkCode(w http.ResponseWriter, r *http.Request, a aim, p SocialProvider, st step) error {
	d, err := s.ensureDevice(w, r)
	if err != nil {
		return err
	}
	var wait time.Duration
	err = s.store.Update(r.Context(), func(tx store.Tx) (err error) {
		now := s.now()
		if wait, err = s.mayMail(tx, r, d, st.Email, now); err != nil || wait > 0 {
			return err
		}
		code, digits, err := factor.NewEmailCode(tx, factor.ForSocialLink, st.Email, st.Social.about(), d.Secret, now)
		if err != nil {
			return err
		}
		st.Code, st.Sent = code.ID, now
		var org tenancy.Organization
		if a.Organization != "" {
			if org, err = tx.Organization(a.Organization); err != nil {
				return err
			}
		}
		expected, err := tenancy.Expected(tx, s.rules, st.Email, now)
		if err != nil {
			return err
		}
		var m mail.Composer = mail.LinkCode{
			Organization: org.Name, Host: s.publicURL.Host, Provider: p.Label, Code: digits, Minutes: int(factor.EmailCodeLife / time.Minute),
		}
		if !expected {
			m = mail.NoAccount{Organization: org.Name, Host: s.publicURL.Host}
		}
		if err := s.mail.Put(tx, st.Email, m, s.locale(r), code.ExpiresAt, now); err != nil {
			return err
		}
		user, err := userAt(tx, st.Email)
		if err != nil {
			return err
		}
		return factor.RecordCode(tx, code, user, audit.System, now)
	})
	switch {
	case err != nil:
		return unavailable(err)
	case wait > 0:
		return s.tooMany(wait)
	}
	s.count("link_code_sent")
	return s.goTo(w, r, d, pathSocialCode, a, st)
}

// linking returns the provider of a step whose word waits for a code, if it is still the one
// that said it, and its word is still wanted.
func (s *Server) linking(tx store.Tx, v visit, now time.Time) (p SocialProvider, on bool, err error) {
	st := v.step.Social
	if st == nil || v.step.Purpose != factor.ForSocialLink || v.step.Code == "" || !now.Before(st.Until) || s.mail == nil {
		return p, false, nil
	}
	p, ok := s.socialNamed(st.Provider)
	if !ok || p.configured() != st.Configured || string(p.Connection()) != st.Proof.Connection {
		return p, false, nil
	}
	on, err = s.wants(tx, v.turn, v.who, st.Proof, st.Link, now)
	return p, on, err
}

// linkVisit reads a request to a page of linking.
func (s *Server) linkVisit(w http.ResponseWriter, r *http.Request, fields ...string) (v visit, p SocialProvider, on bool, err error) {
	if v, err = s.visit(w, r, fields...); err != nil {
		return v, p, false, err
	}
	err = s.store.View(r.Context(), func(tx store.Tx) (err error) {
		p, on, err = s.linking(tx, v, s.now())
		return err
	})
	return v, p, on, unavailable(err)
}

// linkCode is GET and POST /sign-in/social/code: the code that proves the address which a
// social provider named, and links the account there.
func (s *Server) linkCode(w http.ResponseWriter, r *http.Request) error {
	v, p, on, err := s.linkVisit(w, r, "code")
	switch {
	case err != nil:
		return err
	case !on:
		return s.elsewhere(w, r, v)
	case r.Method != http.MethodPost:
		return s.askLinkCode(w, r, v, p, text.Message{}, http.StatusOK)
	}
	res, err := s.link(r, &v, p)
	switch {
	case err != nil:
		return s.cannotEnter(v, err)
	case res.wait > 0:
		return s.tooMany(res.wait)
	case errors.Is(res.refused, factor.ErrSpent):
		s.count("code_spent")
		return s.askLinkCode(w, r, v, p, text.T("This code is no longer good. Ask for a new one."), http.StatusUnprocessableEntity)
	case errors.Is(res.refused, factor.ErrWrong):
		s.count("code_wrong")
		return s.askLinkCode(w, r, v, p, text.T("That is not the code. Check the newest mail from us."), http.StatusUnprocessableEntity)
	case res.refused != nil:
		e, hint := s.explainSocial(v.aim, p, v.step.Email, res.refused)
		if e == nil {
			return unavailable(res.refused)
		}
		s.logSocial(r, p, e.Code, hint, res.refused)
		s.count(e.Code)
		return e
	case res.who.ID == "":
		return s.follow(w, r, v.aim, v.turn) // the policies changed meanwhile
	}
	return s.finish(w, r, policy.Social, res)
}

// link judges the code and, if it is right, links the account at the provider and adds both
// proofs to the session of this browser, in one transaction.
func (s *Server) link(r *http.Request, v *visit, p SocialProvider) (res result, err error) {
	st := v.step.Social
	err = s.store.Update(r.Context(), func(tx store.Tx) error {
		res = result{}
		now := s.now()
		if err := s.rejudge(tx, r, v, now); err != nil {
			return err
		}
		if _, on, err := s.linking(tx, *v, now); err != nil || !on {
			return err
		}
		j, wait, err := s.judgeCode(tx, r, *v, mailed{v.step.Code, factor.ForSocialLink, v.step.Email, st.about()}, now)
		if res.wait, res.refused = wait, j.Refused; err != nil || wait > 0 || j.Refused != nil {
			return err
		}
		in, err := s.linkTo(tx, *v, p, now)
		if isLinkRefusal(err) {
			res.refused = err // the code is used up all the same
			return nil
		}
		if err != nil {
			return err
		}
		if !in.NewUser {
			if err := s.tell(tx, r, in.User, s.identityLinked(p), now); err != nil {
				return err
			}
		}
		res.proved = proved{aim: v.aim, in: in}
		if err := s.enter(tx, r, v.aim.Another, policy.Proof{Method: policy.EmailCode, At: now}, nil, &res.proved, now); err != nil {
			return err
		}
		if res.who, res.token, err = session.AddProof(tx, res.who.ID, st.Proof, upstreamOf(p, st.Subject), "", now); err != nil {
			return err
		}
		return s.settle(tx, r, &res, now, audit.MagicAuthSucceeded, audit.OAuthSucceeded)
	})
	return res, err
}

// linkTo finds or makes the user of an address that was proved, and links the account at the
// provider.
func (s *Server) linkTo(tx store.Tx, v visit, p SocialProvider, now time.Time) (in tenancy.SignedIn, err error) {
	st := v.step.Social
	u, err := tx.UserByEmail(v.step.Email)
	if err == nil && u.EmailVerified { // else what is there does not stay
		err = s.mayLink(tx, v.turn, v.who, u.ID, p, st.Subject, true)
	}
	if err != nil && !errors.Is(err, tenancy.ErrNotFound) {
		return in, err
	}
	// Before anything is written, for a refusal undoes nothing: the account there may have been
	// linked to another one here since the code was sent.
	switch i, err := tx.Identity(p.Connection(), st.Subject); {
	case err == nil && i.User != u.ID:
		return in, fmt.Errorf("identity: %w", tenancy.ErrTaken)
	case err != nil && !errors.Is(err, tenancy.ErrNotFound):
		return in, err
	}
	if in, err = tenancy.SignInByAddress(tx, s.rules, tenancy.Proven{Email: v.step.Email, Name: st.Name}, now); err != nil {
		return in, err
	}
	return in, tenancy.LinkSocial(tx, in.User.ID, st.assertion(p, v.step.Email), now)
}

// isLinkRefusal reports whether err is an answer to whoever has proved an address.
func isLinkRefusal(err error) bool {
	return isRefusal(err) || errors.Is(err, errLinkFirst) || errors.Is(err, tenancy.ErrIdentityConflict) || errors.Is(err, tenancy.ErrTaken) || errors.Is(err, tenancy.ErrEmailUnproved)
}

// askLinkCode shows the page that asks for the code. It says the same of every address.
func (s *Server) askLinkCode(w http.ResponseWriter, r *http.Request, v visit, p SocialProvider, fault text.Message, status int) error {
	sealed, err := s.sealStep(v.dev, v.step, s.now())
	if err != nil {
		return err
	}
	return page.EnterCode{
		Brand: s.brand(v.turn.Organization), Action: s.at(pathSocialCode, v.aim, ""), Hidden: map[string]string{paramStep: sealed},
		Email: v.step.Email, Fault: fault, Resend: s.at(pathSocialResend, v.aim, ""), ResendAfter: max(0, resendAfter-s.now().Sub(v.step.Sent)),
		Change: s.at(pathSignIn, v.changed(), ""),
		Lead:   text.T("It is the first time that you come by %s. We sent a code of six digits to %s, if it can be used here.", p.Label, v.step.Email),
	}.Render(w, r, status)
}

// resendLink is POST /sign-in/social/code/resend.
func (s *Server) resendLink(w http.ResponseWriter, r *http.Request) error {
	v, p, on, err := s.linkVisit(w, r)
	switch {
	case err != nil:
		return err
	case !on:
		return s.elsewhere(w, r, v)
	}
	if wait := resendAfter - s.now().Sub(v.step.Sent); wait > 0 {
		return s.tooMany(wait)
	}
	return s.sendLinkCode(w, r, v.aim, p, v.step)
}
