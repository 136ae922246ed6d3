package tenancy

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
)

// A secretText is 256 random bits, with something in front that says what for. Its String does not print it, so that it can't get into
// a log.
type secretText struct{ text string }

func newSecretText(prefix string) secretText {
	var b [32]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return secretText{prefix + base64.RawURLEncoding.EncodeToString(b[:])}
}

// Reveal returns the secret, to be shown once to whoever made it.
func (s secretText) Reveal() string { return s.text }

// Hash returns what is stored in its place.
func (s secretText) Hash() string {
	sum := sha256.Sum256([]byte(s.text))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// String hides the secret.
func (s secretText) String() string { return "[secret]" }

// GoString hides it from %#v too.
func (s secretText) GoString() string { return "[secret]" }

// MarshalText hides it from whatever writes it down.
func (s secretText) MarshalText() ([]byte, error) { return []byte("[secret]"), nil }
