// Package passkey registers passkeys and signs people in with them (WebAuthn Level 3), with
// plain values in and out: a [User] becomes options for the browser and a [Ceremony] to keep
// for it; the ceremony and what the browser brought back become a [Credential] to store, a
// [Result], or an [Error].
//
// It owns the protocol, the format in which a credential is stored, and what is believed of
// authenticators. It knows nothing of sessions, cookies, users or stores: the caller seals
// the ceremony in the browser's state, lets each [Ceremony.Challenge] be finished once, keeps
// a credential id from being stored twice, and decides what a result is worth.
//
// The invariants: an answer counts only for the ceremony that it answers, at exactly this
// origin and relying party, outside of any frame of another origin; who it is follows from
// the stored credential whose key signed, never from what the answer says; and what is
// missing is invalid.
//
// The library under it is go-webauthn, which no other package imports and whose types do
// not get out of here. What decides is checked here and, with the signature, once more there.
package passkey

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
)

// Life is how long a person may take over a ceremony.
const Life = 5 * time.Minute

// Limits of what comes from a browser or an authenticator, and of what is sent there.
const (
	maxResponse   = 64 << 10
	minHandle     = 16
	maxHandle     = 64   // WebAuthn 4, user handle
	minID         = 16   // WebAuthn 4, credential id: 100 bits of entropy at least
	maxID         = 1023 // WebAuthn 4, credential id
	maxKey        = 1 << 10
	maxName       = 255 // bytes; authenticators keep 64 or more of it
	maxListed     = 64  // credentials in one list
	skew          = time.Minute
	minRSA        = 2048 // bits
	maxRSA        = 4096
	maxRSAPublic  = 1<<31 - 1
	challengeSize = 32
)

// Options of [New].
type Options struct {
	// RPID is the host name of the login host, as [FromURL] gives it: passkeys are of
	// this host, and hosts beside it can't ask for them.
	RPID string
	// RPName is what a browser may call it.
	RPName string
	// Origins are where the ceremonies take place, as [FromURL] gives them. All are of
	// the host RPID: a host under it would be let in by the protocol, and is not here.
	Origins []string
}

// A RelyingParty registers and takes passkeys of one login host. It is safe for concurrent
// use.
type RelyingParty struct {
	id, name string
	idHash   [sha256.Size]byte
	origins  []string
	library  *webauthn.WebAuthn
}

// New returns a relying party, or says what of its options is wrong.
func New(o Options) (*RelyingParty, error) {
	if o.RPName == "" {
		return nil, errors.New("passkey: no name of the relying party")
	}
	if len(o.Origins) == 0 {
		return nil, errors.New("passkey: no origin")
	}
	for _, origin := range o.Origins {
		u, err := url.Parse(origin)
		if err != nil {
			return nil, fmt.Errorf("passkey: origin %q is no URL", origin)
		}
		id, want, err := FromURL(u)
		if err != nil {
			return nil, err
		}
		if origin != want {
			return nil, fmt.Errorf("passkey: origin %q is not written as browsers do: %q", origin, want)
		}
		if id != o.RPID {
			return nil, fmt.Errorf("passkey: origin %q is not of the host %q", origin, o.RPID)
		}
	}
	library, err := webauthn.New(&webauthn.Config{RPID: o.RPID, RPDisplayName: o.RPName, RPOrigins: slices.Clone(o.Origins)})
	if err != nil {
		return nil, fmt.Errorf("passkey: %w", err)
	}
	return &RelyingParty{
		id: o.RPID, name: cut(o.RPName, maxName), idHash: sha256.Sum256([]byte(o.RPID)), origins: slices.Clone(o.Origins), library: library,
	}, nil
}

// FromURL returns the relying party id and the origin of the login host, or says why there
// can be no passkeys at such a URL. Browsers have none for an address in place of a name,
// and none over plain http, but for localhost and names under it.
func FromURL(public *url.URL) (rpID, origin string, err error) {
	host := strings.ToLower(public.Hostname())
	if _, err := netip.ParseAddr(host); err == nil {
		return "", "", fmt.Errorf("passkey: %q is an address: passkeys need a host name", host)
	}
	if err := protocol.ValidateRPID(host); err != nil {
		return "", "", fmt.Errorf("passkey: there are no passkeys for the host %q: %w", host, err)
	}
	if public.User != nil || strings.Trim(public.Path, "/") != "" || public.RawQuery != "" || public.Fragment != "" {
		return "", "", errors.New("passkey: the URL has more than scheme, host and port")
	}
	standard := ""
	switch public.Scheme {
	case "https":
		standard = "443"
	case "http":
		if host != "localhost" && !strings.HasSuffix(host, ".localhost") {
			return "", "", fmt.Errorf("passkey: browsers have no passkeys for %q over plain http", host)
		}
		standard = "80"
	default:
		return "", "", fmt.Errorf("passkey: %q is neither https nor http", public.Scheme)
	}
	origin = public.Scheme + "://" + host
	if port := public.Port(); port != "" && port != standard {
		origin += ":" + port
	}
	return host, origin, nil
}
