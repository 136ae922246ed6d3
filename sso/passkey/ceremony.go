package passkey

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
)

// A Kind says what a ceremony is for. An answer to one kind is none to another.
type Kind string

// The kinds of ceremonies.
const (
	KindRegister Kind = "register"
	KindLogin    Kind = "login"   // by whoever it is
	KindConfirm  Kind = "confirm" // by a person whom the caller knows already
)

// A Ceremony is one registration or sign-in under way. The caller keeps it sealed in state of
// the browser that started it, for no longer than [Life], and lets it be finished once,
// successful or not.
type Ceremony struct {
	Kind Kind `json:"k"`
	// Challenge is 256 random bits, and no other ceremony's: the caller remembers it to
	// refuse a second answer.
	Challenge string `json:"c"`
	// Handle is whose ceremony it is; none for [KindLogin].
	Handle []byte `json:"h,omitempty"`
	// Allowed are the ids of the credentials that were asked for; none but for [KindConfirm].
	Allowed   [][]byte  `json:"a,omitempty"`
	ExpiresAt time.Time `json:"e"`
}

// begin returns a new ceremony, and its challenge as options have it.
func begin(kind Kind, handle []byte, now time.Time) (Ceremony, protocol.URLEncodedBase64) {
	challenge := make(protocol.URLEncodedBase64, challengeSize)
	rand.Read(challenge) // never fails (crypto/rand)
	return Ceremony{
		Kind: kind, Challenge: challenge.String(), Handle: bytes.Clone(handle),
		ExpiresAt: now.Add(Life).UTC().Truncate(time.Second),
	}, challenge
}

// verified says whether the authenticator must have verified who uses it. It follows from the
// kind, so that no lost field can waive it.
func (k Kind) verified() bool { return k != KindConfirm }

// check returns nil if the ceremony is of the kind, of that person, and not over. The zero
// Ceremony is of no kind.
func (c Ceremony) check(kind Kind, handle []byte, now time.Time) error {
	left := c.ExpiresAt.Sub(now)
	switch {
	case c.Kind != kind:
		return fail(CodeCeremony, nil, fmt.Sprintf("expected one to %s, got one to %s", kind, quote(string(c.Kind))))
	case c.Challenge == "":
		return fail(CodeCeremony, nil, "no challenge")
	case kind != KindLogin && (len(handle) == 0 || !bytes.Equal(handle, c.Handle)):
		return fail(CodeCeremony, nil, "started by another user")
	case left <= 0 || left > Life+skew:
		return fail(CodeExpired, nil, fmt.Sprintf("%s left", left.Round(time.Second)))
	}
	return nil
}
