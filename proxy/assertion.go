package proxy

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/orgate/orgate/internal/seal"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
)

const (
	// assertionLife is how long an assertion is good. It is what a stolen one is worth.
	assertionLife = 5 * time.Minute
	// assertionRest is how long one must be good still to be sent once more: the app may
	// look at it a little later, by another clock.
	assertionRest = time.Minute
	// keyPurpose is what the private keys are sealed for.
	keyPurpose = "assertion signing key"
	// keyPoll is how soon a key that another replica made is signed with.
	keyPoll = 30 * time.Second
)

// An assertion is a signed JWT, as a header value, and when the next is due.
type assertion struct {
	value   []string
	renewAt time.Time
	kid     string
}

// claims are the claims of an assertion (docs: headers).
type claims struct {
	Issuer      string           `json:"iss"`
	Audience    jwt.Audience     `json:"aud"`
	Subject     string           `json:"sub"`
	Email       string           `json:"email"`
	OrgID       string           `json:"org_id"`
	OrgSlug     string           `json:"org_slug"`
	Role        string           `json:"role"`
	Roles       []string         `json:"roles"`
	Permissions []string         `json:"permissions"`
	SessionID   string           `json:"sid"`
	IssuedAt    *jwt.NumericDate `json:"iat"`
	Expiry      *jwt.NumericDate `json:"exp"`
}

// A keyring is the keys that sign assertions, as the store has them.
type keyring struct {
	store *store.Store
	box   *seal.Box
	now   func() time.Time
	log   *slog.Logger

	current atomic.Pointer[keys]
	reading sync.Mutex
	wake    chan struct{} // keys changed
}

// keys are the keys at one moment. They are immutable.
type keys struct {
	kid    string
	signer jose.Signer
	jwks   []byte // the public keys, as JSON
	read   time.Time
	rotate time.Time // when a new key is due
}

// assertion returns the assertion of g for the app, signing one if the last is nearly
// over. It is nil if nobody is signed in.
func (p *Proxy) assertionOf(g *grant, st *state, pl *place, now time.Time) ([]string, error) {
	if len(g.assertionIn) == 0 {
		return nil, nil
	}
	k := p.keys.current.Load()
	if a := g.assertion.Load(); a != nil && a.kid == k.kid && now.Before(a.renewAt) {
		return a.value, nil
	}
	exp := earlier(now.Add(assertionLife), g.expires)
	c := claims{
		Issuer: st.issuer, Audience: jwt.Audience{pl.app.Name, pl.authority},
		Subject: string(g.view.User.ID), Email: g.view.User.Email,
		OrgID: string(g.view.Organization.ID), OrgSlug: string(g.view.Organization.Slug),
		Roles: notNil(g.view.Roles), Permissions: notNil(g.view.Permissions),
		SessionID: string(g.session), IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(exp),
	}
	if len(g.view.Roles) > 0 {
		c.Role = g.view.Roles[0]
	}
	token, err := jwt.Signed(k.signer).Claims(c).Serialize()
	if err != nil {
		return nil, fmt.Errorf("assertion: %w", err)
	}
	a := &assertion{value: []string{token}, kid: k.kid, renewAt: exp.Add(-assertionRest)}
	if least := now.Add(time.Second); a.renewAt.Before(least) {
		a.renewAt = least // the session is nearly over: still not one signature a request
	}
	g.assertion.Store(a)
	return a.value, nil
}

func notNil(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

// run rotates the keys until ctx is done.
func (r *keyring) run(ctx context.Context) {
	tick := time.NewTicker(keyPoll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-r.wake:
		}
		if err := r.refresh(ctx); err != nil && ctx.Err() == nil {
			r.log.LogAttrs(ctx, slog.LevelError, "signing keys could not be read: the last known ones go on signing", slog.Any("error", err))
		}
	}
}

// changed has the keys read soon.
func (r *keyring) changed() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// refresh reads the keys, and makes a new one if it is time.
func (r *keyring) refresh(ctx context.Context) error {
	if err := r.read(ctx); err != nil {
		return err
	}
	if r.now().Before(r.current.Load().rotate) {
		return nil
	}
	return r.rotate(ctx)
}

// rotate makes sure that there is a key that may sign now, for all replicas.
func (r *keyring) rotate(ctx context.Context) error {
	var all []session.SigningKey
	err := r.store.Update(ctx, func(tx store.Tx) (err error) {
		all, err = session.RotateKeys(tx, session.ForAssertions, r.newKey, r.now())
		return err
	})
	if err != nil {
		return err
	}
	return r.use(all)
}

// read takes over the keys as they are in the store.
func (r *keyring) read(ctx context.Context) error {
	var all []session.SigningKey
	err := r.store.View(ctx, func(tx store.Tx) error {
		all = nil
		for k, err := range tx.SigningKeys(session.ForAssertions) {
			if err != nil {
				return err
			}
			all = append(all, k)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return r.use(all)
}

// newKey makes a key pair, its private part sealed.
func (r *keyring) newKey() (session.SigningKey, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return session.SigningKey{}, err
	}
	return session.NewKey(private, func(id string, secret []byte) []byte { return r.box.Seal(keyPurpose, id, secret) })
}

// use puts the keys in force: the youngest that is not retired signs, all are published.
func (r *keyring) use(all []session.SigningKey) error {
	var signing *session.SigningKey
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for i := range all {
		k := &all[i]
		public, err := x509.ParsePKIXPublicKey(k.Public)
		if err != nil {
			return fmt.Errorf("signing key %s: %w", k.ID, err)
		}
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: public, KeyID: k.ID, Algorithm: string(jose.ES256), Use: "sig"})
		if k.RetiredAt.IsZero() && (signing == nil || k.CreatedAt.After(signing.CreatedAt)) {
			signing = k
		}
	}
	if signing == nil {
		return errors.New("no key may sign")
	}
	k := &keys{kid: signing.ID, read: r.now(), rotate: signing.CreatedAt.Add(session.KeyLife)}
	if old := r.current.Load(); old != nil && old.kid == k.kid {
		k.signer = old.signer
	} else {
		var err error
		k.signer, err = signing.Signer(jose.ES256, func(id string, sealed []byte) ([]byte, error) { return r.box.Open(keyPurpose, id, sealed) })
		if err != nil {
			return err
		}
	}
	var err error
	if k.jwks, err = json.Marshal(set); err != nil {
		return err
	}
	r.current.Store(k)
	return nil
}

// serve answers with the public keys. Another replica may have begun to sign with a key
// that this one has not read yet, so what is answered is at most a second old; if the
// store is silent, it is what was known last.
func (r *keyring) serve(w http.ResponseWriter, req *http.Request) error {
	if r.now().Sub(r.current.Load().read) > time.Second && r.reading.TryLock() {
		ctx, cancel := context.WithTimeout(req.Context(), 2*time.Second)
		if err := r.read(ctx); err != nil {
			r.log.LogAttrs(ctx, slog.LevelWarn, "signing keys could not be read: the last known ones are published", slog.Any("error", err))
		}
		cancel()
		r.reading.Unlock()
	}
	h := w.Header()
	h.Set("Content-Type", "application/jwk-set+json")
	h.Set("Cache-Control", "public, max-age=60")
	h.Set("Access-Control-Allow-Origin", "*") // public keys, and browsers verify too
	w.Write(r.current.Load().jwks)            //nolint:errcheck // the client is gone, and there is nobody to tell
	return nil
}
