package proxy

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
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

// An assertion is a signed JWT in two parts, and when the next is due, in Unix nanoseconds. The grants of
// a kind share the first part, which is the longer one.
type assertion struct {
	opening *opening
	rest    string
	renewAt int64
}

// An opening is what the assertions of one kind of grants begin with that one key has signed.
type opening struct{ kid, text string }

// commonClaims and ownClaims are the claims of an assertion (docs: headers), in this order.
type commonClaims struct {
	Issuer      string       `json:"iss"`
	Audience    jwt.Audience `json:"aud"`
	OrgID       string       `json:"org_id"`
	OrgSlug     string       `json:"org_slug"`
	Role        string       `json:"role"`
	Roles       []string     `json:"roles"`
	Permissions []string     `json:"permissions"`
}

type ownClaims struct {
	Subject   string           `json:"sub"`
	Email     string           `json:"email"`
	SessionID string           `json:"sid"`
	IssuedAt  *jwt.NumericDate `json:"iat"`
	Expiry    *jwt.NumericDate `json:"exp"`
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

// assertionOf returns the assertion of g for the app, signing one if the last is nearly
// over. It is nil if the app asks for none, and if nobody is signed in.
func (p *Proxy) assertionOf(g *grant, st *state, pl *place, now time.Time) (*assertion, error) {
	if len(g.common.assertionIn) == 0 {
		return nil, nil //nolint:nilnil // as said above
	}
	k := p.keys.current.Load()
	if a := g.assertion.Load(); a != nil && a.opening.kid == k.kid && now.UnixNano() < a.renewAt {
		return a, nil
	}
	exp := earlier(now.Add(assertionLife), g.expiresAt())
	payload, own, err := g.claims(st.issuer, jwt.Audience{pl.app.Name, pl.authority}, now, exp)
	if err != nil {
		return nil, fmt.Errorf("assertion: %w", err)
	}
	signed, err := k.signer.Sign(payload)
	if err != nil {
		return nil, fmt.Errorf("assertion: %w", err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		return nil, fmt.Errorf("assertion: %w", err)
	}
	if !isJWT(token) {
		return nil, errors.New("assertion: what was signed is no JWT") // it is written into a head as it is
	}
	renewAt := exp.Add(-assertionRest)
	if least := now.Add(time.Second); renewAt.Before(least) {
		renewAt = least // the session is nearly over: still not one signature a request
	}
	a := &assertion{renewAt: renewAt.UnixNano()}
	var rest string
	a.opening, rest = g.common.cut(token, k.kid, own)
	a.rest = p.signed.keep(rest)
	g.assertion.Store(a)
	return a, nil
}

// claims returns the claims of g as JSON, and where the person's own begin: at a multiple of three
// bytes, so that what is before it is the same in base64 as well.
func (g *grant) claims(issuer string, audience jwt.Audience, now, exp time.Time) (payload []byte, own int, err error) {
	k := g.common
	common := commonClaims{
		Issuer: issuer, Audience: audience, OrgID: string(k.organization), OrgSlug: string(k.slug),
		Roles: notNil(k.facts.Roles), Permissions: notNil(k.facts.Permissions),
	}
	if len(k.facts.Roles) > 0 {
		common.Role = k.facts.Roles[0]
	}
	payload, err = json.Marshal(common)
	if err != nil {
		return nil, 0, err
	}
	rest, err := json.Marshal(ownClaims{
		Subject: string(g.user()), Email: g.email(), SessionID: string(g.session()), IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(exp),
	})
	if err != nil {
		return nil, 0, err
	}
	payload[len(payload)-1] = ',' // for the brace
	for len(payload)%3 != 0 {
		payload = append(payload, ' ')
	}
	return append(payload, rest[1:]...), len(payload), nil
}

// cut cuts a token in two, own bytes into its claims. If the grants of k share what is before it, it is not kept twice.
func (k *common) cut(token, kid string, own int) (o *opening, rest string) {
	n := strings.IndexByte(token, '.') + 1 + base64.RawURLEncoding.EncodedLen(own)
	o = k.opening.Load()
	if o == nil || o.kid != kid || o.text != token[:n] {
		o = &opening{kid: kid, text: strings.Clone(token[:n])}
		k.opening.Store(o)
	}
	return o, token[n:]
}

// sheets are what texts of like age stand on, which go together. Each by itself, they would lie between what stays, and their
// memory could not be given back when they have gone.
type sheets struct {
	mu  sync.Mutex
	now *strings.Builder
}

// sheetSize is how many bytes are on one.
const sheetSize = 16 << 10

// keep returns a copy of text.
func (s *sheets) keep(text string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now == nil || s.now.Cap()-s.now.Len() < len(text) {
		s.now = new(strings.Builder)
		s.now.Grow(max(sheetSize, len(text)))
	}
	from := s.now.Len()
	s.now.WriteString(text)
	return s.now.String()[from:]
}

// isJWT reports whether s is made of what a JWT is made of (RFC 7515, 7.1), and of something.
func isJWT(s string) bool {
	return s != "" && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.") == ""
}

// thin lets go of what was not used for a while.
func (g *grant) thin(now time.Time) {
	if a := g.assertion.Load(); a != nil && now.UnixNano() >= a.renewAt {
		g.assertion.CompareAndSwap(a, nil)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.flights.more) == 0 {
		g.flights.more = nil
	}
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
