package api

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"

	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/session/client"
	"github.com/orgate/orgate/store"
)

// A profileAnswer is what an identity provider said of a person, for a client that keeps sessions of its own.
type profileAnswer struct {
	Type      string          `json:"token_type"`
	Token     string          `json:"access_token"`
	ExpiresIn int             `json:"expires_in"`
	Profile   json.RawMessage `json:"profile"`
}

// profileToken is POST /sso/token. SDKs send a form, and the reference has JSON.
func (a *API) profileToken(c *call) error {
	b, err := c.formOrBody()
	if err != nil {
		return err
	}
	if err := c.noQuery(); err != nil { // where a secret would be logged
		return err
	}
	grant, code, verifier := b.required("grant_type"), b.required("code"), b.text("code_verifier")
	found, _, err := c.clientOf(b)
	if err != nil {
		return err
	}
	if grant != grantCode {
		return oauthError("unsupported_grant_type", "The grant_type is authorization_code.", nil)
	}
	if err := b.done(); err != nil {
		return err
	}
	if verifier == nil {
		verifier = new("")
	}
	var refused error
	var answer profileAnswer
	err = c.update(func(tx store.Tx) error {
		var used client.Code
		var err error
		used, refused, err = client.UseCode(tx, code, found.ID, *verifier, true, c.now)
		if err != nil || refused != nil {
			return err
		}
		token, err := client.IssueProfile(tx, found.ID, used.Profile, c.now)
		if err != nil {
			return err
		}
		answer = profileAnswer{"Bearer", token.Reveal(), int(client.ProfileLife.Seconds()), used.Profile}
		return client.NoteMade(tx, used, session.ID(""), token.Hash())
	})
	if err != nil {
		return err
	}
	if refused != nil {
		return invalidGrant(refused)
	}
	return c.answer(http.StatusOK, answer)
}

// formOrBody reads a body that is a form or JSON.
func (c *call) formOrBody() (body, error) {
	kind, _, err := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return c.body()
	}
	raw, err := io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, maxBody))
	if err != nil {
		return body{}, badRequest("invalid_body", "The body could not be read.")
	}
	form, err := url.ParseQuery(string(raw))
	if err != nil {
		return body{}, badRequest("invalid_body", "The body is not a form that can be read.")
	}
	fields := map[string]any{}
	for name, values := range form {
		if len(values) != 1 {
			return body{}, invalid(Fault{"duplicate", clip(name), clip(name) + " is given twice"})
		}
		fields[name] = values[0]
	}
	return body{fields, "", new([]Fault)}, nil
}

// profile is GET /sso/profile, for whoever has the token of one.
func (a *API) profile(c *call) error {
	if err := c.noQuery(); err != nil {
		return err
	}
	var profile json.RawMessage
	err := c.view(func(tx store.Tx) (err error) {
		profile, err = client.Profile(tx, bearer(c.r), c.now)
		return err
	})
	if errors.Is(err, client.ErrNone) {
		if wait, ok := a.rates.refused(c.now); !ok {
			return tooMany(wait)
		}
		return &Error{Status: http.StatusUnauthorized, Code: "Unauthorized", Message: "The access token is not good, or not any more.", OAuth: true, Err: err}
	}
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, profile)
}
