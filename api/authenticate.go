package api

import (
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"unicode"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/session/client"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// A signIn is one request to /user_management/authenticate, by a client that is known.
type signIn struct {
	*call
	client client.Client
	// trusted: the client has shown an API key for everything, and may pass on what people prove to it. Else it is
	// a public one, which has a code and its verifier, or a refresh token, and no more to say.
	trusted bool
	// browser is what the client says of the person's.
	browser session.Browser
	body    body
}

// The grants.
const (
	grantCode         = "authorization_code"
	grantRefresh      = "refresh_token"
	grantPassword     = "password"
	grantMagicAuth    = "urn:workos:oauth:grant-type:magic-auth:code"
	grantVerification = "urn:workos:oauth:grant-type:email-verification:code"
	grantTOTP         = "urn:workos:oauth:grant-type:mfa-totp"
	grantOrganization = "urn:workos:oauth:grant-type:organization-selection"
)

// authenticate is POST /user_management/authenticate. Who may call it is in the body, as at any token endpoint.
func (a *API) authenticate(c *call) error {
	b, err := c.body()
	if err != nil {
		return err
	}
	s := &signIn{call: c, body: b}
	grants := map[string]func() error{
		grantCode: s.byCode, grantRefresh: s.byRefresh, grantPassword: s.byPassword, grantMagicAuth: s.byMagicAuth,
		grantVerification: s.byVerification, grantTOTP: s.byTOTP, grantOrganization: s.byOrganization,
	}
	kind := b.required("grant_type")
	do, known := grants[kind]
	s.browser.RemoteIP, s.browser.UserAgent = b.address("ip_address"), b.line("user_agent")
	b.ignored("device_id", "signals_id", "radar_auth_attempt_id")
	if err := c.noQuery(); err != nil {
		return err
	}
	if s.client, s.trusted, err = s.clientOf(b); err != nil {
		return err
	}
	switch {
	case kind != "" && !known:
		return oauthError("unsupported_grant_type", "This grant_type is not there.", nil)
	case !known:
		return b.done()
	case !s.trusted && kind != grantCode && kind != grantRefresh:
		return oauthError("unauthorized_client", "A public client may not use this grant_type: it needs client_secret, an API key.", nil)
	}
	s.browser.Client = s.client.ID
	return do()
}

// clientOf finds out who asks. The secret of a client is an API key, and one for everything: whoever has it signs in
// anybody.
func (c *call) clientOf(b body) (found client.Client, trusted bool, err error) {
	id, secret := b.required("client_id"), b.text("client_secret")
	if len(*b.all) > 0 {
		return client.Client{}, false, b.faulty()
	}
	found, there := c.api.Clients().Find(id)
	if secret == nil || *secret == "" {
		if !there || !found.Public {
			return client.Client{}, false, c.refuse(invalidClient(errors.New("no client_secret, and no public client")))
		}
		if wait, ok := c.api.rates.public(c.r, c.now); !ok {
			return client.Client{}, false, tooManyTries(wait)
		}
		return found, false, nil
	}
	var key session.APIKey
	var touch bool
	if len(*secret) <= maxHeader {
		err = c.view(func(tx store.Tx) (err error) {
			key, touch, err = session.FindAPIKey(tx, session.SecretOf(*secret), c.now)
			return err
		})
	}
	switch {
	case errors.Is(err, session.ErrEnded), err == nil && (key.ID == "" || !there):
		return client.Client{}, false, c.refuse(invalidClient(err))
	case err != nil:
		return client.Client{}, false, err
	case key.Organization != "" || key.ReadOnly:
		return client.Client{}, false, oauthError("unauthorized_client", "This API key is for one organization, or for reading: it can sign nobody in.", nil)
	}
	if wait, ok := c.api.rates.take(key.ID, c.r, c.now); !ok {
		return client.Client{}, false, tooManyTries(wait)
	}
	c.key = key
	c.by = audit.Actor{Type: "api_key", ID: string(key.ID), Name: key.Name}
	if touch {
		if err := c.update(func(tx store.Tx) error { return session.TouchAPIKey(tx, key.ID, c.now) }); err != nil {
			c.api.Logger.WarnContext(c.ctx, "use of an API key could not be noted", "api_key", key.ID, "cause", err)
		}
	}
	return found, true, nil
}

// refuse is for whoever is no client. All of them together have one limit.
func (c *call) refuse(e *Error) error {
	if wait, ok := c.api.rates.refused(c.now); !ok {
		return tooManyTries(wait)
	}
	return e
}

// address returns a network address; "": it is not there.
func (b body) address(name string) string {
	s := b.text(name)
	if s == nil || *s == "" {
		return ""
	}
	a, err := netip.ParseAddr(*s)
	if err != nil {
		b.fault("invalid", name, "must be a network address")
		return ""
	}
	return a.WithZone("").Unmap().String()
}

// line returns one line of text for records, without what is not printed.
func (b body) line(name string) string {
	s := b.text(name)
	if s == nil {
		return ""
	}
	const most = 512
	return strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return -1
		}
		return c
	}, (*s)[:min(len(*s), most)])
}

// byCode swaps an authorization code for the tokens of a session.
func (s *signIn) byCode() error {
	code, verifier, invitation := s.body.required("code"), s.body.text("code_verifier"), s.body.text("invitation_token")
	if err := s.body.done(); err != nil {
		return err
	}
	if verifier == nil {
		verifier = new("")
	}
	return s.answerIn(func(tx store.Tx) (any, error, error) {
		c, refused, err := client.UseCode(tx, code, s.client.ID, *verifier, false, s.now)
		if err != nil || refused != nil {
			return nil, grantRefused(refused), err
		}
		who, err := tx.Session(c.Session)
		if err == nil {
			err = who.Alive(s.api.Limits(), s.now)
		}
		if errors.Is(err, session.ErrEnded) || errors.Is(err, tenancy.ErrNotFound) {
			return nil, invalidGrant(err), nil
		}
		if err != nil {
			return nil, nil, err
		}
		org := c.Organization
		if invitation != nil && *invitation != "" {
			var stop *Error
			if org, stop, err = s.accept(tx, who, *invitation, org); err != nil || stop != nil {
				return nil, refusal(stop), err
			}
		}
		v, stop, err := s.judge(tx, org, who)
		if err != nil || stop != nil {
			return nil, refusal(stop), err
		}
		b := session.Browser{RemoteIP: who.RemoteIP, UserAgent: who.UserAgent} // it is known, whatever the client says
		made, err := session.BeginForClient(tx, who.ID, s.client.ID, org, b, s.api.Limits(), s.now)
		if err != nil {
			return nil, nil, err
		}
		if err := client.NoteMade(tx, c, made.ID, session.Hash{}); err != nil {
			return nil, nil, err
		}
		next, err := client.IssueRefresh(tx, made)
		if err != nil {
			return nil, nil, err
		}
		done, err := s.tokens(tx, made, who, v, next)
		return done, nil, err
	})
}

// grantRefused is the answer to a code or token that is no good; nil: it is good.
func grantRefused(refused error) error {
	if refused == nil {
		return nil
	}
	return invalidGrant(refused)
}

// refusal is e as an error; nil, if it is.
func refusal(e *Error) error {
	if e == nil {
		return nil
	}
	return e
}

// byRefresh swaps a refresh token for the next, and goes on in another organization, if one is given. What a
// policy lacks is told, and the token stays good.
func (s *signIn) byRefresh() error {
	presented, org := s.body.required("refresh_token"), s.body.text("organization_id")
	if err := s.body.done(); err != nil {
		return err
	}
	return s.answerIn(func(tx store.Tx) (any, error, error) {
		limits := s.api.Limits()
		t, at, who, refused, err := client.LookAtRefresh(tx, presented, s.client.ID, limits, s.now)
		if err != nil || refused != nil {
			return nil, grantRefused(refused), err
		}
		to := at.Organization
		if org != nil && *org != "" {
			to = tenancy.OrgID(*org)
		}
		v, stop, err := s.judge(tx, to, who)
		if stop != nil && stop.Code == "mfa_enrollment" { // SDKs know it so at this grant
			stop = oauthError(stop.Code, stop.Message, nil)
		}
		if err != nil || stop != nil {
			return nil, refusal(stop), err
		}
		at, next, err := client.Rotate(tx, t, at, to, limits, s.now)
		if err != nil {
			return nil, nil, err
		}
		done, err := s.tokens(tx, at, who, v, next)
		return done, nil, err
	})
}

// answerIn runs f in a transaction and answers with what it returns. A refusal is an answer too: what was counted
// or ended with it stays so.
func (s *signIn) answerIn(f func(store.Tx) (done any, refused, err error)) error {
	var done any
	var refused error
	err := s.update(func(tx store.Tx) (err error) {
		done, refused, err = f(tx)
		return err
	})
	if err == nil {
		err = refused
	}
	if err != nil {
		return told(err)
	}
	return s.answer(http.StatusOK, done)
}
