package session

import "time"

// KeyLife is how long a key signs before the next takes over, and KeyOverlap how long it
// is still published after that: longer than any token it signed lives.
const (
	KeyLife    = 30 * 24 * time.Hour
	KeyOverlap = time.Hour
)

// RotateKeys makes sure that there is a key that signs at now, retiring one that is too
// old and deleting those whose tokens have all expired. make returns a fresh key pair,
// its private part sealed; it is called at most once. It returns all keys, the signing one first.
func RotateKeys(tx Tx, newKey func() (SigningKey, error), now time.Time) ([]SigningKey, error) {
	panic("")
}
