package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
)

// maxHeader is more than any key has.
const maxHeader = 512

// guard lets a request through that has a live key, and notes that it was used.
//
// Whatever was sent is looked up by its hash, so that what is no key takes as long as what might be one.
func (a *API) guard(r *http.Request) (*http.Request, error) {
	if a.Admit != nil {
		let, err := a.Admit(r)
		if err != nil {
			return nil, err
		}
		r = let
	}
	now := a.Now()
	var key session.APIKey
	var touch bool
	err := a.Store.View(r.Context(), func(tx store.Tx) (err error) {
		key, touch, err = session.FindAPIKey(tx, session.SecretOf(bearer(r)), now)
		return err
	})
	switch {
	case errors.Is(err, session.ErrEnded):
		if wait, ok := a.rates.refused(now); !ok {
			return nil, asAnswer(tooMany(wait))
		}
		return nil, asAnswer(unauthorized(err))
	case err != nil:
		return nil, asAnswer(err)
	case key.ReadOnly && isWrite(r):
		return nil, asAnswer(&Error{Status: http.StatusForbidden, Code: "forbidden", Message: "This API key can read and not write."})
	}
	if wait, ok := a.rates.take(key.ID, r, now); !ok {
		return nil, asAnswer(tooMany(wait))
	}
	if touch {
		// If it can't be written, the key is good all the same.
		if err := a.Store.Update(r.Context(), func(tx store.Tx) error { return session.TouchAPIKey(tx, key.ID, now) }); err != nil {
			a.Logger.WarnContext(r.Context(), "use of an API key could not be noted", "api_key", key.ID, "cause", err)
		}
	}
	return r.WithContext(context.WithValue(r.Context(), keyInContext{}, key)), nil
}

// bearer returns what was sent as a key; "" for what is none: two headers, another scheme, too long.
func bearer(r *http.Request) string {
	values := r.Header.Values("Authorization")
	if len(values) != 1 || len(values[0]) > maxHeader {
		return ""
	}
	scheme, secret, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return secret
}

// isWrite reports whether a request may change something: whatever is not known to change nothing.
func isWrite(r *http.Request) bool {
	return r.Method != http.MethodGet && r.Method != http.MethodHead && !asks(r.Pattern)
}

// asks reports whether a POST is a question that changes nothing, so that a key that changes nothing is enough for whoever asks it all day.
func asks(pattern string) bool {
	switch pattern {
	case "POST /authorization/organization_memberships/{organization_membership_id}/check", "POST /api_keys/validations", checkPattern:
		return true
	}
	return false
}

func tooMany(seconds int) error {
	return &Error{
		Status: http.StatusTooManyRequests, Code: "rate_limit_exceeded", Message: fmt.Sprintf("Too many requests. Try again in %d s.", seconds),
		Header: http.Header{"Retry-After": {strconv.Itoa(seconds)}},
	}
}
