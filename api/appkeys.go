package api

import (
	"errors"
	"iter"
	"net/http"
	"slices"

	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// An appKeyMade is a key with its secret, which is told this once.
type appKeyMade struct {
	tenancy.AppKeyObject
	Value string `json:"value"`
}

// appKey returns the key of the path, if it is there for the key that asks.
func (c *call) appKey(tx store.Tx) (tenancy.AppKey, error) {
	id := c.r.PathValue("id")
	k, err := tx.AppKeyByID(tenancy.AppKeyID(id))
	if err == nil {
		_, err = c.organization(tx, k.Organization)
	}
	if errors.Is(err, tenancy.ErrNotFound) || isNotFound(err) {
		err = notFound("API Key", id)
	}
	return k, err
}

func appKeyError(err error) error {
	fault := func(field, message string) error {
		return &Error{
			Status: http.StatusUnprocessableEntity, Code: "invalid_request_parameters", Message: "Validation failed", Err: err,
			Faults: []Fault{{"invalid", field, field + " " + message}},
		}
	}
	switch {
	case errors.Is(err, tenancy.ErrKeyText):
		return fault("name", "is one line of 1 to 256 characters")
	case errors.Is(err, tenancy.ErrKeyExpiry):
		return fault("expires_at", "must be in the future")
	case errors.Is(err, tenancy.ErrNoPermission):
		return fault("permissions", "has one that there is not or, for a user's key, that the user does not have")
	case errors.Is(err, tenancy.ErrNotMember):
		return &Error{Status: http.StatusBadRequest, Code: "user_not_active_member", Message: "The user is not an active member of the organization.", Err: err,
			Faults: []Fault{{"invalid", "organization_id", "organization_id must be of an organization that the user is an active member of"}}}
	case errors.Is(err, tenancy.ErrKeyLimit):
		return &Error{Status: http.StatusBadRequest, Code: "api_key_limit_exceeded", Message: "The owner has 200 API keys, which is the most. Delete those that nobody uses.", Err: err}
	case errors.Is(err, tenancy.ErrKeyExpired):
		return conflict("api_key_already_expired", "API key is already expired")
	}
	return err
}

// listAppKeys answers with the keys that from yields and keep keeps.
func (c *call) listAppKeys(prepare func(store.Tx) (func(tenancy.Place) iter.Seq2[tenancy.AppKey, error], error), p page) error {
	var e envelope[tenancy.AppKeyObject]
	return c.viewed(&e, func(tx store.Tx) error {
		from, err := prepare(tx)
		if err != nil {
			return err
		}
		e, err = listPage(p, source[tenancy.AppKey]{
			from: from, id: func(k tenancy.AppKey) string { return string(k.ID) },
			keep: func(k tenancy.AppKey) (bool, error) {
				_, err := c.organization(tx, k.Organization)
				if isNotFound(err) {
					return false, nil
				}
				return err == nil, err
			},
		}, func(k tenancy.AppKey) (tenancy.AppKeyObject, error) { return tenancy.ShowAppKey(k), nil })
		return err
	})
}

func (a *API) listOrganizationKeys(c *call) error {
	q := c.query()
	p := q.page("api_key", descending)
	if err := q.done(); err != nil {
		return err
	}
	return c.listAppKeys(func(tx store.Tx) (func(tenancy.Place) iter.Seq2[tenancy.AppKey, error], error) {
		o, err := c.organization(tx, tenancy.OrgID(c.r.PathValue("organizationId")))
		return func(at tenancy.Place) iter.Seq2[tenancy.AppKey, error] {
			return tx.AppKeysOwned(o.ID, string(o.ID), at)
		}, err
	}, p)
}

func (a *API) listUserKeys(c *call) error {
	q := c.query()
	p := q.page("api_key", descending)
	asked, isAsked := q.text("organization_id")
	if err := q.done(); err != nil {
		return err
	}
	org, byOrg := c.narrowed(asked, isAsked)
	return c.listAppKeys(func(tx store.Tx) (func(tenancy.Place) iter.Seq2[tenancy.AppKey, error], error) {
		u, err := c.user(tx, tenancy.UserID(c.r.PathValue("userId")))
		if err != nil {
			return nil, err
		}
		if !byOrg {
			return func(at tenancy.Place) iter.Seq2[tenancy.AppKey, error] { return tx.AppKeysOfUser(u.ID, at) }, nil
		}
		return func(at tenancy.Place) iter.Seq2[tenancy.AppKey, error] {
			return tx.AppKeysOwned(org, string(u.ID), at)
		}, nil
	}, p)
}

// appKeyInput reads what is said of a new key.
func appKeyInput(b body) (k tenancy.AppKey) {
	k.Name, k.Permissions = b.required("name"), b.texts("permissions")
	if at, ok := b.moment("expires_at"); ok {
		k.ExpiresAt = at
	}
	return k
}

func (c *call) makeAppKey(tx store.Tx, k tenancy.AppKey) (any, error) {
	k.Permissions = slices.Clone(k.Permissions) // they are sorted, and this may run again
	made, secret, err := tenancy.CreateAppKey(tx, k, c.by, c.now)
	return appKeyMade{tenancy.ShowAppKey(made), secret.Reveal()}, appKeyError(err)
}

func (a *API) createOrganizationKey(c *call) error {
	b, err := c.body()
	if err != nil {
		return err
	}
	k := appKeyInput(b)
	if err := errors.Join(c.noQuery(), b.done()); err != nil {
		return err
	}
	return c.postSecret(http.StatusCreated, func(tx store.Tx) (any, error) {
		o, err := c.organization(tx, tenancy.OrgID(c.r.PathValue("organizationId")))
		if err != nil {
			return nil, err
		}
		k := k
		k.Organization = o.ID
		return c.makeAppKey(tx, k)
	})
}

func (a *API) createUserKey(c *call) error {
	b, err := c.body()
	if err != nil {
		return err
	}
	org, k := b.required("organization_id"), appKeyInput(b)
	if err := errors.Join(c.noQuery(), b.done()); err != nil {
		return err
	}
	return c.postSecret(http.StatusCreated, func(tx store.Tx) (any, error) {
		u, err := c.user(tx, tenancy.UserID(c.r.PathValue("userId")))
		if err != nil {
			return nil, err
		}
		o, err := c.organization(tx, tenancy.OrgID(org))
		if err != nil {
			return nil, err
		}
		k := k
		k.Organization, k.User = o.ID, u.ID
		return c.makeAppKey(tx, k)
	})
}

func (a *API) deleteAppKey(c *call) error {
	if err := c.noQuery(); err != nil {
		return err
	}
	return c.dropped(func(tx store.Tx) error {
		k, err := c.appKey(tx)
		if err != nil {
			return err
		}
		return tenancy.RemoveAppKey(tx, k.ID, c.by, c.now)
	})
}

// expireAppKey ends a key: now or, if it is said when, then. null says never.
func (a *API) expireAppKey(c *call) error {
	b, err := c.body()
	if err != nil {
		return err
	}
	at, given := b.moment("expires_at")
	if err := errors.Join(c.noQuery(), b.done()); err != nil {
		return err
	}
	if !given {
		at = c.now
	}
	return c.post(http.StatusOK, func(tx store.Tx) (any, error) {
		k, err := c.appKey(tx)
		if err != nil {
			return nil, err
		}
		k, err = tenancy.ExpireAppKey(tx, k.ID, at, c.by, c.now)
		return tenancy.ShowAppKey(k), appKeyError(err)
	})
}

// maxAppKey is longer than any key.
const maxAppKey = 512

// validateAppKey says whether a key is good, and whose it is. Whatever was sent is looked up by its hash, so that what is no key
// takes as long as what might be one; what is not good, or is of another organization than the key that asks, is null.
func (a *API) validateAppKey(c *call) error {
	b, err := c.body()
	if err != nil {
		return err
	}
	value := b.required("value")
	if err := errors.Join(c.noQuery(), b.done()); err != nil {
		return err
	}
	if len(value) > maxAppKey {
		value = ""
	}
	var answer struct {
		Key *tenancy.AppKeyObject `json:"api_key"`
	}
	var touch bool
	err = c.view(func(tx store.Tx) error {
		answer.Key, touch = nil, false
		k, stale, err := tenancy.FindAppKey(tx, tenancy.AppKeySecretOf(value), c.now)
		if errors.Is(err, tenancy.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if c.sees(k.Organization) {
			answer.Key, touch = new(tenancy.ShowAppKey(k)), stale
		}
		return nil
	})
	if err != nil {
		return err
	}
	if touch {
		// If it can't be written, the key is good all the same.
		err := c.update(func(tx store.Tx) error { return tenancy.TouchAppKey(tx, answer.Key.ID, c.now) })
		if err != nil && !errors.Is(err, tenancy.ErrNotFound) {
			a.Logger.WarnContext(c.ctx, "use of a key for the app could not be noted", "key", answer.Key.ID, "cause", err)
		} else {
			answer.Key.LastUsedAt = &c.now
		}
	}
	return c.answer(http.StatusOK, answer)
}
