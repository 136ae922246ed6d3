// Package seal encrypts secrets at rest and state that a browser carries for us:
// AES-256-GCM under keys derived (HKDF-SHA-256) from the operator's secrets_key.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
)

// ErrOpen says that the sealed value was changed, was sealed for another purpose, or under a
// key that is not known.
var ErrOpen = errors.New("can't be opened: changed, for another purpose, or under another key")

// A Box seals and opens. It is safe for concurrent use.
type Box struct {
	keys [][]byte // the first seals, all open
}

// NewBox returns a box over keys of at least 32 bytes each: the first seals, all
// of them open, so that a key is rotated by putting the new one in front.
func NewBox(keys ...[]byte) (*Box, error) {
	if len(keys) == 0 {
		return nil, errors.New("no secrets key")
	}
	for i, k := range keys {
		if len(k) < 32 {
			return nil, fmt.Errorf("secrets key %d has %d bytes: at least 32 are needed", i+1, len(k))
		}
	}
	return &Box{keys}, nil
}

func aead(key []byte, purpose string) cipher.AEAD {
	k, err := hkdf.Key(sha256.New, key, nil, "orgate seal "+purpose, 32)
	if err != nil {
		panic(err) // only for a length that HKDF can't give
	}
	block, err := aes.NewCipher(k)
	if err != nil {
		panic(err)
	}
	g, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err)
	}
	return g
}

// Seal encrypts plain for a purpose, such as "client secret". about binds the
// result to a place (an id): it opens only with the same about.
func (b *Box) Seal(purpose, about string, plain []byte) []byte {
	return aead(b.keys[0], purpose).Seal(nil, nil, plain, []byte(about))
}

// Open returns what was sealed, or [ErrOpen].
func (b *Box) Open(purpose, about string, sealed []byte) ([]byte, error) {
	for _, k := range b.keys {
		if plain, err := aead(k, purpose).Open(nil, nil, sealed, []byte(about)); err == nil {
			return plain, nil
		}
	}
	return nil, ErrOpen
}

// Current reports whether sealed opens under the key that seals now. If not, it is to be
// sealed anew, so that an older key can be taken out of service.
func (b *Box) Current(purpose, about string, sealed []byte) bool {
	_, err := aead(b.keys[0], purpose).Open(nil, nil, sealed, []byte(about))
	return err == nil
}

// Digest returns a digest of data that can be stored: without the key, nobody can try
// guesses of what is in data against it. It changes with the key that seals.
func (b *Box) Digest(purpose string, data []byte) []byte {
	k, err := hkdf.Key(sha256.New, b.keys[0], nil, "orgate digest "+purpose, sha256.Size)
	if err != nil {
		panic(err) // only for a length that HKDF can't give
	}
	mac := hmac.New(sha256.New, k)
	mac.Write(data)
	return mac.Sum(nil)
}

// NewKey returns a fresh key.
func NewKey() []byte {
	k := make([]byte, 32)
	rand.Read(k)
	return k
}
