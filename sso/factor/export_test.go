package factor

import "encoding/hex"

// What the tests look at from outside.
var (
	NormalizeCode     = normalizeCode
	NormalizePassword = normalizePassword
	PasskeyName       = passkeyName
	PasswordGuesses   = guesses
)

const (
	MaxPasskeys    = maxPasskeys
	MaxPasskeyName = maxPasskeyName
	MinGuesses     = minGuesses
)

// HashCheaply hashes a password at the least cost that is read.
func HashCheaply(password string) string {
	h := phc{memory: 8, time: 1, threads: 1, salt: []byte("saltsalt")}
	normal, _ := normalizePassword(password)
	h.key = h.derive(normal, 16)
	return h.String()
}

// ReparseHash reads a hash and writes it again; key is its key.
func ReparseHash(s string) (again, key string, err error) {
	h, err := parseHash(s)
	return h.String(), hex.EncodeToString(h.key), err
}
