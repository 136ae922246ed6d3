// Package client owns the clients of the sign-in API: who they are and where people may be sent back to, what
// they ask of the login host, and the one-time things by which a sign-in comes to them: authorization codes, refresh
// tokens, pending authentications and profiles.
//
// It does not own what a session is or how it ends (package session), what a policy asks for (policy), the pages on
// which people prove who they are (sso), the endpoints (api), or how access tokens are signed (internal/accesstoken).
//
// The invariants: nobody is sent to an address that is not, byte for byte, one that the client has; whatever is
// one-time is 256 random bits, known by its hash, bound to one client, and taken in the transaction that uses it; what
// is used a second time ends the session that the first use made.
package client

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/tenancy"
)

// A Client is an app that signs people in by the API.
type Client struct {
	// ID is client_…
	ID   string
	Name string
	// RedirectURIs are where people may be sent back to with a code, and SignOutURIs, beside the origins of
	// those, after they have signed out.
	RedirectURIs, SignOutURIs []string
	// ProviderScopes are what it may have identity providers asked for, beside who somebody is.
	ProviderScopes []string
	// Public: it can keep no secret, and has none. It must use PKCE, and can sign nobody in by itself.
	Public bool
}

// Clients are those of an installation.
type Clients []Client

// Find returns the client of the id.
func (cs Clients) Find(id string) (Client, bool) {
	i := slices.IndexFunc(cs, func(c Client) bool { return c.ID == id })
	if i < 0 || id == "" {
		return Client{}, false
	}
	return cs[i], true
}

const (
	idPrefix = "client_"
	maxID    = 64
	// maxURI is how long a redirect URI may be: a cookie holds it.
	maxURI = 512
)

// CheckID returns an error that says what is wrong with the id of a client.
func CheckID(s string) error {
	rest, ok := strings.CutPrefix(s, idPrefix)
	if !ok || rest == "" || len(s) > maxID || strings.Trim(rest, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_") != "" {
		return fmt.Errorf("the id of a client is %s and letters and digits, %d in all at the most", idPrefix, maxID)
	}
	return nil
}

// CheckURI returns an error that says what is wrong with an address that people are to be sent back to.
//
// It is https, or http on this machine, whatever the client: what else a browser opens is another program's, or
// readable on the way. There are no wildcards: each is one more host that must not be taken over.
func CheckURI(s string) error {
	if len(s) > maxURI {
		return fmt.Errorf("it has %d bytes, the most is %d", len(s), maxURI)
	}
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`\"<>^{|}`+"`", c) >= 0 {
			return errors.New("it has a character that is not in URLs")
		}
	}
	u, err := url.Parse(s)
	switch {
	case err != nil, u.Opaque != "", u.Hostname() == "":
		return errors.New("it is not a URL with a host, such as https://app.example.com/callback")
	case u.User != nil:
		return errors.New("it has a user name")
	case u.Fragment != "" || strings.Contains(s, "#"):
		return errors.New("it has a fragment (#), where a code would not get to the app")
	case strings.Contains(s, "*"):
		return errors.New("wildcards (*) are not supported: list each address")
	case u.Query().Has("code"), u.Query().Has("state"), u.Query().Has("error"):
		return errors.New("its query has code, state or error, which are added to it")
	case u.Scheme == "https", u.Scheme == "http" && isThisMachine(u.Hostname()):
		return nil
	}
	return errors.New("it must be https; http is for localhost alone")
}

func isThisMachine(host string) bool {
	host = strings.ToLower(host)
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}

// MayRedirect reports whether people may be sent to that address with a code. It is compared byte for byte: what
// two parsers read differently is another address.
func (c Client) MayRedirect(uri string) bool {
	return uri != "" && slices.Contains(c.RedirectURIs, uri)
}

// MayReturn reports whether people may be sent to that address after they have signed out: nothing is told there,
// so a page of any origin that the client has will do.
func (c Client) MayReturn(uri string) bool {
	if slices.Contains(c.SignOutURIs, uri) {
		return uri != ""
	}
	if CheckURI(uri) != nil {
		return false
	}
	return slices.ContainsFunc(c.RedirectURIs, func(r string) bool { return origin(r) == origin(uri) && origin(r) != "" })
}

// origin is the scheme, host and port of a URL that [CheckURI] lets pass.
func origin(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" {
		return ""
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	return u.Scheme + "://" + net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

// What goes wrong with what clients present.
var (
	// ErrNone: there is no such thing, or it is another client's.
	ErrNone = errors.New("no such code or token")
	// ErrUsed, ErrExpired: it was good once.
	ErrUsed    = session.ErrUsed
	ErrExpired = session.ErrExpired
	// ErrVerifier: the PKCE verifier is not that of the challenge, or is missing.
	ErrVerifier = errors.New("the code verifier is not that of the code challenge")
)

// Tx is the part of a transaction that this package needs. Getters return an error wrapping
// [tenancy.ErrNotFound] for what is not there.
type Tx interface {
	session.Tx

	AuthorizationCode(session.Hash) (Code, error)
	PutAuthorizationCode(Code) error // the record outlives ExpiresAt by a day, to notice reuse

	RefreshToken(session.Hash) (Refresh, error)
	PutRefreshToken(Refresh) error // the record goes at ExpiresAt

	PendingAuthentication(session.Hash) (Pending, error)
	PutPendingAuthentication(Pending) error // the record goes at ExpiresAt

	ProfileToken(session.Hash) (ProfileToken, error)
	PutProfileToken(ProfileToken) error // the record goes at ExpiresAt
}

// find is for getters by what a client presents: what is not there is [ErrNone].
func find[T any](get func(session.Hash) (T, error), presented string) (v T, err error) {
	t, ok := session.ParseToken(presented)
	if !ok {
		return v, ErrNone
	}
	if v, err = get(t.Hash()); errors.Is(err, tenancy.ErrNotFound) {
		err = ErrNone
	}
	return v, err
}
