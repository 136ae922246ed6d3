package sso

import (
	"cmp"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/text"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/session/client"
	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// errNotSocial: the policies that bind an address want something else than a social provider's word.
var errNotSocial = errors.New("the policies of the address ask for another proof, or for more")

// maxSaid is how many bytes an app is told of what a social provider says besides: they are carried along while a code is
// on its way to the address, and an app is told the same whether there was one or not.
const maxSaid = 2 << 10

// A saidOf is what a social provider said of a person, for an app that is to be told of it.
type saidOf struct {
	Subject    string         `json:"subject"`
	Email      string         `json:"email"`
	Name       string         `json:"name,omitzero"`
	Attributes map[string]any `json:"attributes,omitzero"`
	// Proof is what it proved.
	Proof policy.Proof `json:"proof"`
}

// profile shows it as the API does. The provider is the installation's, so it is no organization's profile.
func (said saidOf) profile(p SocialProvider) profile {
	attributes := said.Attributes
	if attributes == nil {
		attributes = map[string]any{}
	}
	shown := profile{
		Object: "profile", ID: client.ProfileID(p.connectionID(), said.Subject), Connection: p.connectionID(), Type: cmp.Or(p.reference(), "GenericOIDC"),
		Subject: said.Subject, Email: said.Email, Name: textOrNull(said.Name), Custom: attributes, Raw: attributes,
	}
	shown.FirstName, shown.LastName = firstOf(attributes, "given_name", "first_name"), firstOf(attributes, "family_name", "last_name")
	return shown
}

// socialProfile hands what a social provider says on to the app that wants to know it, if the address is proved; or has it
// proved by a code. Nobody is signed in here by it, nor becomes a user; and whether somebody is one makes no difference to
// anybody but whom the provider's account is linked to.
func (s *Server) socialProfile(w http.ResponseWriter, r *http.Request, f socialFlow, p SocialProvider, a socialAnswer, proof policy.Proof) error {
	said := saidOf{Subject: a.Subject, Name: clip(a.Name, maxEmail), Attributes: bounded(a.attributes, maxSaid), Proof: proof}
	to := ""
	err := s.store.Update(r.Context(), func(tx store.Tx) error {
		to = ""
		now := s.now()
		if err := tx.Use(socialStateUse, f.stateHash(), f.ExpiresAt.Add(time.Hour)); err != nil {
			return err
		}
		var proved bool
		var err error
		if said.Email, proved, err = tenancy.SocialAddress(tx, a.SocialAssertion, p.TrustEmail); err != nil {
			return err
		}
		switch takes, err := s.takesSocial(tx, said.Email, proof, now); {
		case err != nil:
			return err
		case !takes:
			return errNotSocial
		case !proved && s.mail == nil:
			return tenancy.ErrEmailUnproved
		case !proved:
			return nil
		}
		to, err = s.tellProfile(tx, r, *f.Aim.App, p, said, now)
		return err
	})
	switch {
	case err != nil:
		return s.profileFailed(w, r, f, p, cmp.Or(said.Email, a.Email), err)
	case to == "":
		app := *f.Aim.App
		app.LoginHint = ""
		return s.sendProfileCode(w, r, p, profileStep{App: app, Provider: p.Name, Configured: p.configured(), Said: said, State: f.stateHash(), Until: s.now().Add(linkLife)})
	}
	s.count("sent_to_client")
	return s.sendTo(w, r, to, tenancy.Organization{}, "")
}

// profileFailed tells the app of what went wrong.
func (s *Server) profileFailed(w http.ResponseWriter, r *http.Request, f socialFlow, p SocialProvider, email string, cause error) error {
	return s.toldClient(w, r, f.Aim, s.socialFailed(r, f, p, email, cause))
}

// tellProfile makes the code that stands for the profile, and returns where the person is sent with it.
func (s *Server) tellProfile(tx store.Tx, r *http.Request, app client.Authorization, p SocialProvider, said saidOf, now time.Time) (to string, err error) {
	if to, err = s.issueProfile(tx, app, said.profile(p), now); err != nil {
		return "", err
	}
	b := s.browser(r)
	return to, factor.RecordAttempt(tx, audit.OAuthSucceeded, factor.Attempt{
		Email: said.Email, Connection: p.connectionID(), IP: b.RemoteIP, UserAgent: b.UserAgent,
	}, audit.System, now)
}

// takesSocial reports whether a social provider's word is all that is asked of anybody with the address. Where its
// domain wants single sign-on, a second factor, or a newer proof than this, a profile would be a way around that.
func (s *Server) takesSocial(tx store.Tx, email string, p policy.Proof, now time.Time) (bool, error) {
	v, err := session.Gather(tx, session.Query{Email: email, Offered: s.offered, Now: now})
	if err != nil {
		return false, err
	}
	v.Facts.Proofs = []policy.Proof{p}
	return policy.Decide(&v.Facts).Verdict == policy.Allow, nil
}

// bounded returns the attributes that come first in the alphabet and have that many bytes at the most together: the same
// of the same.
func bounded(attributes map[string]any, limit int) map[string]any {
	out := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		b, err := json.Marshal(map[string]any{name: attributes[name]})
		if err == nil && len(b) <= limit {
			limit -= len(b)
			out[name] = attributes[name]
		}
	}
	return out
}

// calledApp is what people know a client by.
func calledApp(c client.Client, redirectURI string) string {
	if u, err := url.Parse(redirectURI); c.Name == "" && err == nil {
		return u.Host
	}
	return c.Name
}

// askProfileAgain is where whoever is to be told of goes to be somebody else.
func (s *Server) askProfileAgain(app client.Authorization) string {
	return s.url(pathAuthorizeSSO) + "?" + app.Again().Encode()
}

// notTold is the page for a step of a profile that is over, or of another browser.
func (s *Server) notTold(cause error) error {
	e := s.tooOld()
	e.Hint, e.ActionURL, e.ActionText, e.Err = text.T("Go back to the app, and sign in from there."), "", text.Message{}, cause
	return e
}
