package hook

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/id"
	"github.com/orgate/orgate/tenancy"
)

// Rules are what an operation needs beside its transaction.
type Rules struct {
	// CheckURL returns an error for a URL that would not be called: that of the guarded client.
	CheckURL func(string) error
	// Box seals secrets.
	Box Sealer
	// Config: the configuration itself asks, and may change what it owns.
	Config bool
}

// A Sealer seals secrets at rest; [seal.Box] is one.
type Sealer interface {
	Seal(purpose, about string, plain []byte) []byte
	Open(purpose, about string, sealed []byte) ([]byte, error)
	// Digest is of what may hold a secret: without the key nobody can try guesses against it.
	Digest(purpose string, data []byte) []byte
}

const secretPurpose = "webhook secret"

const secretPrefix = "whsec_"

// newSecret returns a fresh secret, in the form of Standard Webhooks.
func newSecret() string {
	b := make([]byte, 32)
	rand.Read(b)
	return secretPrefix + base64.StdEncoding.EncodeToString(b)
}

// SecretKey returns the bytes that a secret stands for, or an error wrapping [ErrSecret].
func SecretKey(secret string) ([]byte, error) {
	text, ok := strings.CutPrefix(secret, secretPrefix)
	b, err := base64.StdEncoding.Strict().DecodeString(text)
	if !ok || err != nil || len(b) < 24 || len(b) > 64 || strings.ContainsAny(text, "\r\n") {
		return nil, ErrSecret // not err: it may quote the secret
	}
	return b, nil
}

func seal(r Rules, e ID, secret string) Secret {
	return Secret{Sealed: r.Box.Seal(secretPurpose, string(e), []byte(secret))}
}

// Open returns the secrets of e that sign at now, the newest first. Those that can't be opened, as
// they were sealed under a key that is gone, are left out.
func Open(box Sealer, e Endpoint, now time.Time) (secrets []string) {
	for i, s := range e.Secrets {
		if i > 0 && !now.Before(s.ExpiresAt) {
			continue
		}
		if b, err := box.Open(secretPurpose, string(e.ID), s.Sealed); err == nil {
			secrets = append(secrets, string(b))
		}
	}
	return secrets
}

// A Resealer is a [Sealer] that knows which of its keys seals now; [seal.Box] is one.
type Resealer interface {
	Sealer
	Current(purpose, about string, sealed []byte) bool
}

// Reseal seals anew the secrets that are sealed under an older key, so that it can be taken out of
// service. It returns how many endpoints it has written.
func Reseal(tx Tx, box Resealer) (n int, err error) {
	for e, err := range tx.WebhookEndpoints() {
		if err != nil {
			return n, err
		}
		changed := false
		e.Secrets = slices.Clone(e.Secrets)
		for i, s := range e.Secrets {
			if box.Current(secretPurpose, string(e.ID), s.Sealed) {
				continue
			}
			if plain, err := box.Open(secretPurpose, string(e.ID), s.Sealed); err == nil {
				e.Secrets[i].Sealed, changed = box.Seal(secretPurpose, string(e.ID), plain), true
			}
		}
		if !changed {
			continue
		}
		n++
		if err := tx.PutWebhookEndpoint(e); err != nil {
			return n, err
		}
	}
	return n, nil
}

// A Wish is what an endpoint is to be. Nil is as it was, or for a new one: enabled.
type Wish struct {
	URL      *string
	Events   []string // nil: as they were
	Disabled *bool
	// Secret is given by the configuration alone; empty: a new endpoint gets a fresh one.
	Secret string
}

// Create makes an endpoint for what happens from now on. The secret is returned here, and nowhere
// else again. The errors wrap those of this package.
func Create(tx Tx, r Rules, w Wish, by audit.Actor, now time.Time) (e Endpoint, secret string, err error) {
	n := 0
	for e, err := range tx.WebhookEndpoints() {
		if err != nil {
			return Endpoint{}, "", err
		}
		if !e.Deleted {
			n++
		}
	}
	if n >= MaxEndpoints {
		return Endpoint{}, "", ErrFull
	}
	e = Endpoint{ID: ID(id.New("we", now)), Events: []string{}, Managed: r.Config, CreatedAt: now.UTC()}
	if w.URL == nil {
		return Endpoint{}, "", ErrURL
	}
	if e.After, err = tx.LastEvent(); err != nil {
		return Endpoint{}, "", err
	}
	if secret = w.Secret; secret == "" {
		secret = newSecret()
	} else if _, err := SecretKey(secret); err != nil {
		return Endpoint{}, "", err
	}
	e.Secrets = []Secret{seal(r, e.ID, secret)}
	if err := e.become(r, w); err != nil {
		return Endpoint{}, "", err
	}
	return e, secret, e.save(tx, audit.WebhookEndpointCreated, by, now)
}

// become changes what w asks for.
func (e *Endpoint) become(r Rules, w Wish) error {
	if w.URL != nil {
		u, err := url.Parse(*w.URL)
		if err != nil || len(*w.URL) > MaxURL || u.Fragment != "" || r.CheckURL(*w.URL) != nil {
			return ErrURL // not what was wrong: that may quote the URL
		}
		e.URL = *w.URL
	}
	if w.Events != nil {
		known := audit.Subscribable()
		e.Events = []string{}
		for _, name := range w.Events {
			if _, ok := slices.BinarySearch(known, name); !ok {
				return fmt.Errorf("%.80q: %w", name, ErrEvent)
			}
			if !e.Subscribed(name) {
				e.Events = append(e.Events, name)
			}
		}
	}
	if w.Disabled != nil {
		e.Disabled = *w.Disabled
	}
	return nil
}

// own returns the endpoint, if it is there and may be changed.
func own(tx Tx, r Rules, id ID) (Endpoint, error) {
	e, err := Get(tx, id)
	if err == nil && e.Managed && !r.Config {
		err = ErrManaged
	}
	return e, err
}

// Get returns an endpoint, or an error wrapping [tenancy.ErrNotFound].
func Get(tx Tx, id ID) (Endpoint, error) {
	e, err := tx.WebhookEndpoint(id)
	if err == nil && e.Deleted {
		err = fmt.Errorf("webhook endpoint: %w", tenancy.ErrNotFound)
	}
	return e, err
}

// List returns all endpoints, the oldest first.
func List(tx Tx) (es []Endpoint, err error) {
	for e, err := range tx.WebhookEndpoints() {
		if err != nil {
			return nil, err
		}
		if !e.Deleted {
			es = append(es, e)
		}
	}
	return es, nil
}

// Update changes an endpoint. It is sent what it is newly subscribed to as far as that happens from
// then on. One that is enabled anew is sent what happens from then on, and what waited when it was
// disabled.
func Update(tx Tx, r Rules, id ID, w Wish, by audit.Actor, now time.Time) (Endpoint, error) {
	e, err := own(tx, r, id)
	if errors.Is(err, ErrManaged) && w.URL == nil && w.Events == nil {
		err = nil // to be enabled and disabled is for whoever operates it
	}
	if err != nil {
		return Endpoint{}, err
	}
	was := e
	if err := e.become(r, w); err != nil {
		return Endpoint{}, err
	}
	last, err := tx.LastEvent()
	if err != nil {
		return Endpoint{}, err
	}
	added := map[string]uint64{}
	for _, name := range e.Events {
		if pos, ok := e.Added[name]; ok {
			added[name] = pos
		}
		if !was.Subscribed(name) {
			added[name] = last
		}
	}
	e.Added = added
	if was.Disabled && !e.Disabled {
		e.After, e.Added = last, nil
		if err := tx.DeleteWebhookHealth(id); err != nil {
			return Endpoint{}, err
		}
	}
	return e, e.save(tx, audit.WebhookEndpointUpdated, by, now)
}

// Manage makes the endpoints of the configuration what wishes say, each with its URL, events and
// secret. One that is there already, by its URL, is the configuration's from now on; one that has left it
// is disabled, and anybody's. What is as it should be is not written.
func Manage(tx Tx, r Rules, wishes []Wish, by audit.Actor, now time.Time) error {
	r.Config = true
	es, err := List(tx)
	if err != nil {
		return err
	}
	known := map[string]Endpoint{}
	for _, e := range es {
		known[e.URL] = e
	}
	for _, w := range wishes {
		e, ok := known[*w.URL]
		delete(known, *w.URL)
		if !ok {
			if _, _, err := Create(tx, r, w, by, now); err != nil {
				return err
			}
			continue
		}
		// First what is sent, then by which secret: each is an event of its own.
		if !e.Managed || !slices.Equal(e.Events, w.Events) {
			change := Wish{Events: w.Events}
			if !e.Managed {
				change.Disabled = new(false)
				e.Managed = true
				if err := tx.PutWebhookEndpoint(e); err != nil {
					return err
				}
			}
			if _, err := Update(tx, r, e.ID, change, by, now); err != nil {
				return err
			}
		}
		if signing := Open(r.Box, e, now); len(signing) == 0 || signing[0] != w.Secret {
			if _, _, err := Rotate(tx, r, e.ID, w.Secret, by, now); err != nil {
				return err
			}
		}
	}
	for _, e := range es {
		if _, left := known[e.URL]; !left || !e.Managed {
			continue
		}
		e.Managed, e.Disabled = false, true
		if err := e.save(tx, audit.WebhookEndpointUpdated, by, now); err != nil {
			return err
		}
	}
	return nil
}

// Rotate gives an endpoint a new secret, and returns it. What is sent is signed with both for
// [SecretOverlap]. given is the configuration's; empty: a fresh one.
func Rotate(tx Tx, r Rules, id ID, given string, by audit.Actor, now time.Time) (e Endpoint, secret string, err error) {
	if e, err = own(tx, r, id); err != nil {
		return Endpoint{}, "", err
	}
	if secret = given; secret == "" {
		secret = newSecret()
	} else if _, err := SecretKey(secret); err != nil {
		return Endpoint{}, "", err
	}
	secrets := []Secret{seal(r, id, secret)}
	// The one before, and no more: rotating twice a day is how one gets rid of a secret at once.
	if len(e.Secrets) > 0 {
		secrets = append(secrets, Secret{Sealed: e.Secrets[0].Sealed, ExpiresAt: now.UTC().Add(SecretOverlap)})
	}
	e.Secrets = secrets
	return e, secret, e.save(tx, audit.WebhookEndpointUpdated, by, now)
}

// Delete ends an endpoint. Nothing is sent to it any more; what waits for it is cleared away by
// [Sweep].
func Delete(tx Tx, r Rules, id ID, by audit.Actor, now time.Time) error {
	e, err := own(tx, r, id)
	if err != nil {
		return err
	}
	e.Deleted = true
	if err := e.record(tx, audit.WebhookEndpointDeleted, by, now); err != nil {
		return err
	}
	e.URL, e.Secrets, e.Events, e.Added, e.UpdatedAt = "", nil, nil, nil, now.UTC()
	return tx.PutWebhookEndpoint(e)
}

func (e *Endpoint) save(tx Tx, event string, by audit.Actor, now time.Time) error {
	e.UpdatedAt = now.UTC()
	if err := tx.PutWebhookEndpoint(*e); errors.Is(err, tenancy.ErrTaken) {
		return ErrDuplicate
	} else if err != nil {
		return err
	}
	return e.record(tx, event, by, now)
}

// An Object is an endpoint as the API shows it, without its secret.
type Object struct {
	Object string `json:"object"`
	ID     ID     `json:"id"`
	URL    string `json:"endpoint_url"`
	// Secret is set by whoever has just made it; empty: it is not shown.
	Secret    string    `json:"secret,omitzero"`
	Status    string    `json:"status"`
	Events    []string  `json:"events"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// Object returns e as the API shows it.
func (e Endpoint) Object() Object {
	o := Object{Object: "webhook_endpoint", ID: e.ID, URL: e.URL, Status: "enabled", Events: e.Events, CreatedAt: e.CreatedAt, UpdatedAt: e.UpdatedAt}
	if e.Disabled {
		o.Status = "disabled"
	}
	return o
}

// record appends an event about e, with its URL but for the query, where people put tokens.
func (e Endpoint) record(tx Tx, name string, by audit.Actor, now time.Time) error {
	o := e.Object()
	o.URL, _, _ = strings.Cut(o.URL, "?")
	return audit.Record(tx, audit.New(name, by, now), o)
}
