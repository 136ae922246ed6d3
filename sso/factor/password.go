package factor

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/tenancy"
)

// The cost of a password: OWASP's first choice for argon2id, some 20 ms of one core.
const (
	argonMemory  = 19 << 10 // KiB
	argonTime    = 2
	argonThreads = 1
	argonKey     = 32
	argonSalt    = 16
)

const (
	// MinPassword is in characters (NIST SP 800-63B-4: 15 where the password is the only
	// factor; 8 is the least where a second one goes with it, which can't be known when it
	// is chosen).
	MinPassword = 15
	// MaxPassword is in bytes: enough for any passphrase, and no way to make us hash a book.
	MaxPassword = 256
)

// normalizePassword returns the password in the one form that all keyboards' ways of typing it
// come to (NFKC, as SP 800-63B says). ok is false for what is longer than MaxPassword.
func normalizePassword(s string) (normal string, ok bool) {
	if len(s) > MaxPassword { // before any work is done on it
		return "", false
	}
	s = norm.NFKC.String(s)
	return s, len(s) <= MaxPassword
}

// HashPassword hashes a password with argon2id, in PHC form. It is slow on purpose: call
// it outside of transactions, and few at once. What may be a password is for
// [CheckNewPassword] to say; what is too long to be one is matched by nothing.
func HashPassword(password string) string {
	h := phc{memory: argonMemory, time: argonTime, threads: argonThreads, salt: make([]byte, argonSalt)}
	rand.Read(h.salt) // never fails (crypto/rand)
	normal, _ := normalizePassword(password)
	h.key = h.derive(normal, argonKey)
	return h.String()
}

// nobodysHash is what the password of somebody who has none is compared with, so that it
// takes as long to be wrong.
const nobodysHash = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

// MatchPassword reports whether hash is of the password. With an empty hash, of somebody who
// has no password, it takes as long and says no. Call it outside of transactions.
func MatchPassword(hash, password string) bool {
	if strings.HasPrefix(hash, importedPrefix) {
		return matchImported(hash, password)
	}
	none := hash == ""
	if none {
		hash = nobodysHash
	}
	h, err := parseHash(hash)
	normal, ok := normalizePassword(password)
	if err != nil || !ok || normal == "" {
		return false
	}
	got := h.derive(normal, uint32(len(h.key)))
	return subtle.ConstantTimeCompare(got, h.key) == 1 && !none
}

// Outdated reports whether a hash was made at another cost than [HashPassword]'s, so that
// the password is to be hashed anew when it is typed next.
func Outdated(hash string) bool {
	h, err := parseHash(hash)
	return err != nil || h.memory != argonMemory || h.time != argonTime || h.threads != argonThreads || len(h.key) != argonKey
}

// A phc is an argon2id hash.
type phc struct {
	memory, time uint32 // memory in KiB
	threads      uint8
	salt, key    []byte
}

func (h phc) derive(password string, length uint32) []byte {
	return argon2.IDKey([]byte(password), h.salt, h.time, h.memory, h.threads, length)
}

// String returns the hash in PHC form.
func (h phc) String() string {
	b := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.memory, h.time, h.threads, b.EncodeToString(h.salt), b.EncodeToString(h.key))
}

var errNotHash = errors.New("not an argon2id hash in PHC form")

// parseHash reads a hash in PHC form, exactly as String writes it and within bounds: a row
// can't have us take all memory, or an hour.
func parseHash(s string) (phc, error) {
	parts := strings.Split(s, "$")
	if len(s) > 512 || len(parts) != 6 {
		return phc{}, errNotHash
	}
	var h phc
	costs := strings.Split(parts[3], ",")
	if len(costs) != 3 {
		return phc{}, errNotHash
	}
	var n [3]uint64
	for i, name := range []string{"m=", "t=", "p="} {
		digits, ok := strings.CutPrefix(costs[i], name)
		var err error
		if n[i], err = strconv.ParseUint(digits, 10, 32); err != nil || !ok {
			return phc{}, errNotHash
		}
	}
	if n[0] < 8*n[2] || n[0] > 256<<10 || n[1] < 1 || n[1] > 16 || n[2] < 1 || n[2] > 16 {
		return phc{}, errors.New("argon2id hash of a cost that is not ours")
	}
	h.memory, h.time, h.threads = uint32(n[0]), uint32(n[1]), uint8(n[2])
	var err, err2 error
	h.salt, err = base64.RawStdEncoding.DecodeString(parts[4])
	h.key, err2 = base64.RawStdEncoding.DecodeString(parts[5])
	if err != nil || err2 != nil || len(h.salt) < 8 || len(h.salt) > 64 || len(h.key) < 16 || len(h.key) > 64 || h.String() != s {
		return phc{}, errNotHash
	}
	return h, nil
}

// SetPassword sets the user's password to one of that hash, of [HashPassword] or [ImportPassword]. The other
// sessions of the user are for the caller to end.
func SetPassword(tx Tx, user tenancy.UserID, hash string, by audit.Actor, now time.Time) error {
	if err := checkHash(hash); err != nil {
		return err // such as the password itself
	}
	if err := checkUser(tx, user); err != nil {
		return err
	}
	event := audit.FactorChanged
	p, err := tx.Password(user)
	if errors.Is(err, tenancy.ErrNotFound) {
		event, err = audit.FactorEnrolled, nil
		p = Password{User: user, CreatedAt: now.UTC()}
	}
	if err != nil {
		return err
	}
	p.Hash, p.UpdatedAt = hash, now.UTC()
	if err := tx.PutPassword(p); err != nil {
		return err
	}
	return record(tx, event, user, "password", "", by, now)
}
