package sso

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/endpoint"
	"github.com/orgate/orgate/internal/mail"
	"github.com/orgate/orgate/internal/text"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/sso/idp"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// A socialAnswer is what a social provider said of a person, and when it says that they
// signed in there; zero: it does not.
type socialAnswer struct {
	tenancy.SocialAssertion
	authTime time.Time
	// attributes are what it said besides.
	attributes map[string]any
}

// A socialOutcome is what became of an answer. If nobody was signed in by it, a code is
// needed, or turn says what is asked for instead.
type socialOutcome struct {
	result
	needsCode string // the address that a code is to be sent to
}

// socialCallback is GET /sso/social/callback/{provider}. As at the callback of organizations, the
// flow is found by the state, and everything else by the flow.
func (s *Server) socialCallback(w http.ResponseWriter, r *http.Request) error {
	now := s.now()
	q, state, err := s.readCallback(r)
	if err != nil {
		return err
	}
	f, ok := s.socialFlows.read(r, state, now)
	if !ok || s.url(r.URL.EscapedPath()) != f.redirectURI() {
		s.count("unknown_sign_in")
		return s.tooOld()
	}
	// It is answered now, whatever comes of it.
	s.socialFlows.clear(w, state)

	p, ok := s.socialNamed(f.Provider)
	if !ok || p.configured() != f.Configured {
		p.Name = f.Provider
		return s.toldClient(w, r, f.Aim, s.socialFailed(r, f, p, "", errGone))
	}
	// No transaction is open while the provider is asked.
	a, err := s.askSocial(r.Context(), p, f, q, now)
	if err != nil {
		return s.toldClient(w, r, f.Aim, s.socialFailed(r, f, p, a.Email, err))
	}
	proof := socialProof(p, f, a, now)
	if f.Aim.App != nil && f.Aim.App.Profile {
		return s.socialProfile(w, r, f, p, a, proof)
	}
	done, err := s.proveSocial(r, f, p, a, proof)
	switch {
	case err != nil:
		return s.socialFailed(r, f, p, a.Email, err)
	case done.needsCode != "":
		return s.askLink(w, r, f, p, a, proof, done.needsCode)
	case done.who.ID == "" && f.Link != "":
		return s.proofTooOld(nextAccount)
	case done.who.ID == "":
		return s.follow(w, r, done.aim, done.turn)
	}
	return s.finish(w, r, policy.Social, done.result)
}

// askSocial has the provider say who came.
func (s *Server) askSocial(ctx context.Context, p SocialProvider, f socialFlow, q url.Values, now time.Time) (socialAnswer, error) {
	if p.GitHub != (f.GitHub != nil) {
		return socialAnswer{}, errGone
	}
	if p.GitHub {
		a, err := s.github.Finish(ctx, p.app(), *f.GitHub, q, now)
		return socialAnswer{SocialAssertion: tenancy.SocialAssertion{
			Provider: p.id(), Subject: a.Subject, Email: a.Email, EmailVerified: new(true), Name: a.Name,
		}}, err
	}
	a, err := s.oidc.Finish(ctx, p.oidc(), *f.OIDC, q, now)
	return socialAnswer{SocialAssertion: tenancy.SocialAssertion{
		Provider: p.id(), Subject: a.Subject, Email: a.Email, EmailVerified: a.EmailVerified, Name: a.Name,
	}, authTime: a.AuthTime, attributes: a.Attributes}, err
}

// socialProof is what an answer proves. Unless the provider says when the person signed in
// there, it may have been months ago: whoever finds an unlocked browser finds it signed in at
// the provider, too.
func socialProof(p SocialProvider, f socialFlow, a socialAnswer, now time.Time) policy.Proof {
	return policy.Proof{
		Method: policy.Social, Connection: string(p.Connection()),
		At: provedAt(flow{MaxAge: f.MaxAge}, a.authTime, now), Undated: a.authTime.IsZero(),
	}
}

func upstreamOf(p SocialProvider, subject string) *session.UpstreamSession {
	return &session.UpstreamSession{Connection: p.Connection(), Subject: subject}
}

// proveSocial turns an answer into a proof in a session, in one transaction; or finds out
// what is asked for instead. The state is used up in any case.
func (s *Server) proveSocial(r *http.Request, f socialFlow, p SocialProvider, a socialAnswer, proof policy.Proof) (done socialOutcome, err error) {
	err = s.store.Update(r.Context(), func(tx store.Tx) error {
		now := s.now()
		done = socialOutcome{result: result{proved: proved{aim: f.Aim}}}
		if err := tx.Use(socialStateUse, f.stateHash(), f.ExpiresAt.Add(time.Hour)); err != nil {
			return err
		}
		who, live, err := s.liveIn(tx, r)
		if err != nil {
			return err
		}
		if !live || f.Aim.Another {
			who = session.Session{}
		}
		email, known, err := socialPerson(tx, p, a, who)
		if err != nil {
			return err
		}
		if done.turn, err = s.next(tx, f.Aim, who, email, now); err != nil {
			return err
		}
		if wanted, err := s.wants(tx, done.turn, who, proof, f.Link, now); err != nil || !wanted {
			return err
		}
		arrival, err := tenancy.SocialSignIn(tx, s.rules, a.SocialAssertion, p.TrustEmail, now)
		if err != nil {
			return err
		}
		if arrival.NeedsAddressProof {
			if s.mail == nil {
				return tenancy.ErrEmailUnproved
			}
			done.needsCode = arrival.Email
			return nil
		}
		done.in = arrival.SignedIn
		if !known && !done.in.NewUser && !done.in.Cleanse {
			if err := s.mayLink(tx, done.turn, who, done.in.User.ID, p, a.Subject, false); err != nil {
				return err
			}
		}
		if err := s.enter(tx, r, f.Aim.Another, proof, upstreamOf(p, a.Subject), &done.proved, now); err != nil {
			return err
		}
		if !known && !done.in.NewUser {
			if err := s.tell(tx, r, done.in.User, s.identityLinked(p), now); err != nil {
				return err
			}
		}
		return s.settle(tx, r, &done.result, now, audit.OAuthSucceeded)
	})
	return done, err
}

// socialPerson returns the address of whom the answer is about: that of the account that is
// known by the identity, else what the provider says. Whoever is signed in must be the same.
func socialPerson(tx store.Tx, p SocialProvider, a socialAnswer, who session.Session) (email string, known bool, err error) {
	i, err := tx.Identity(p.Connection(), a.Subject)
	if err != nil && !errors.Is(err, tenancy.ErrNotFound) {
		return "", false, err
	}
	if known = err == nil; known {
		u, err := tx.User(i.User)
		if err == nil && who.ID != "" && who.User != i.User {
			err = errAnotherPerson
		}
		return u.Email, true, err
	}
	if email, err = tenancy.ParseEmail(a.Email); err != nil {
		return "", false, tenancy.ErrNotVouched
	}
	if who.ID == "" {
		return email, false, nil
	}
	u, err := tx.User(who.User)
	if err == nil && u.Email != email {
		// No code is sent: it could only bring them where they are not wanted.
		err = errAnotherPerson
	}
	return email, false, err
}

// socialFailed tells the person, the operator and the events of a sign-in that did not
// succeed. email is whom the provider spoke of, if it came to that.
func (s *Server) socialFailed(r *http.Request, f socialFlow, p SocialProvider, email string, cause error) error {
	if errors.Is(cause, session.ErrUsed) {
		// The back button, or a second click: the first one did it all.
		s.count("unknown_sign_in")
		e := s.tooOld()
		e.Err = cause
		return e
	}
	e, hint := s.explainSocial(f.Aim, p, email, cause)
	if e == nil {
		return unavailable(cause)
	}
	s.logSocial(r, p, e.Code, hint, cause)
	s.count(e.Code)
	if x, ok := errors.AsType[*idp.Error](cause); ok && x.Code == idp.CodeCodeRefused {
		// Most likely a second click: then the first one is on its way, and needs the state.
		return e
	}
	_, heard := s.failuresFrom.take(network(s.clientIP(r)))
	if heard {
		_, heard = s.failures.take(p.Connection())
	}
	err := s.store.Update(r.Context(), func(tx store.Tx) error {
		now := s.now()
		if err := tx.Use(socialStateUse, f.stateHash(), f.ExpiresAt.Add(time.Hour)); err != nil || !heard {
			return err
		}
		return s.recordLocal(tx, r, audit.OAuthFailed, session.Session{}, email, &authenticationError{Code: e.Code, Message: e.Text.String()}, now)
	})
	if err != nil && !errors.Is(err, session.ErrUsed) {
		s.log.ErrorContext(r.Context(), "failed sign-in is not recorded", "request_id", endpoint.RequestID(r.Context()), "cause", err)
	}
	return e
}

// explainSocial finds the words; e is nil if the fault is our own.
func (s *Server) explainSocial(a aim, p SocialProvider, email string, cause error) (e *endpoint.Error, hint string) {
	email = clip(email, maxEmail)
	v := visit{aim: a, step: step{Email: email}}
	if _, ok := errors.AsType[*idp.Error](cause); ok {
		return s.providerRefused(a, tenancy.Organization{}, cause)
	}
	e = &endpoint.Error{Status: http.StatusForbidden, ActionURL: s.again(a, true), ActionText: text.T("Use another account"), Err: cause}
	switch {
	case errors.Is(cause, errGone):
		return s.connectionGone(flow{Aim: a}, tenancy.Organization{}, cause), "the provider was taken out of sign_in.social, or changed, after the sign-in began"
	case errors.Is(cause, errAnotherPerson):
		return s.notYou(v, cause), "the person has an account of somebody else open at the provider"
	case errors.Is(cause, errLinkFirst):
		e.Code, e.Title, e.Status = "link_first", text.T("%s is not linked to your account yet", p.Label), http.StatusConflict
		e.Text = text.T("Your account is protected by more than its e-mail address.")
		e.Hint = text.T("Sign in the way you did before. Then link %s on your account page.", p.Label)
		e.ActionURL, e.ActionText = s.again(a, false), text.T("Sign in another way")
		return e, "the person has other ways to sign in, or a second factor, and has proved none of it"
	case errors.Is(cause, tenancy.ErrNotMember):
		return s.noAccount(v, cause), "sign_up is invitation, and nobody has invited this person"
	case errors.Is(cause, errNotSocial):
		e.Code, e.Title = codeOutside, text.T("%s is not the way to sign in with this address", p.Label)
		e.Text = text.T("The organization that the address belongs to has rules for it, which %s does not meet.", p.Label)
		return e, "the domain policy of the address takes no social provider, or asks for more than one"
	case errors.Is(cause, tenancy.ErrNotVouched):
		e.Code, e.Title = "not_vouched", text.T("Signing in did not work")
		e.Text = text.T("%s did not say an address of yours that can be read.", p.Label)
		return e, "the provider sent no usable address: check the email claim"
	case errors.Is(cause, tenancy.ErrEmailUnproved):
		e.Code, e.Title = "email_unproved", text.T("Your address is not confirmed")
		e.Text = text.T("%s does not say that %s was confirmed to be yours.", p.Label, email)
		e.Hint = text.T("Confirm your address there, then sign in again.")
		return e, "the provider sends email_verified: false, or none where no code can be sent"
	case errors.Is(cause, tenancy.ErrIdentityConflict), errors.Is(cause, tenancy.ErrTaken):
		e.Code, e.Title = "identity_conflict", text.T("This address belongs to another account")
		e.Text = text.T("%s knew %s as somebody else before.", p.Label, email)
		e.Hint = text.T("Sign in another way. If both are you, unlink the account of before on your account page.")
		return e, "the address came with a new subject: it was given to another person, or the account there was made anew; if it is the same person: orgate user unlink --email ADDRESS"
	}
	return nil, ""
}

// logSocial is the line that an operator finds by the id on the person's page.
func (s *Server) logSocial(r *http.Request, p SocialProvider, check, hint string, cause error) {
	s.log.WarnContext(r.Context(), "sign-in failed", "request_id", endpoint.RequestID(r.Context()),
		"provider", p.Name, "check", check, "hint", hint, "cause", cause.Error())
}

// identityLinked is the mail to whoever had an account before it was linked.
func (s *Server) identityLinked(p SocialProvider) mail.Composer {
	return mail.IdentityLinked{Host: s.publicURL.Host, Provider: p.Label}
}
