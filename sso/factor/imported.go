package factor

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/sha1" //nolint:gosec // what others have hashed with it; it is hashed again before it is kept
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"hash"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/crypto/scrypt"
)

// What is wrong with a hash that another system made. Neither quotes it.
var (
	// ErrHashType: it is of a kind that is not read.
	ErrHashType = errors.New("password hash of a type that is not supported")
	// ErrHash: it is not of the kind that it is said to be, or costs too much to check.
	ErrHash = errors.New("password hash is not of its type, or costs more than it may")
)

// How much the check of an imported hash may cost: each is about a second of a core, or less, and as much memory
// as it says. Whoever may import hashes must not be able to stop the sign-in of everybody.
const (
	maxImported      = 1024 // bytes
	maxBcryptCost    = 14
	maxScryptMemory  = 128 << 20 // bytes, of which N and r make 128 each
	maxScryptWork    = 1 << 21   // N times r times p
	maxScryptSpread  = 1 << 10   // r times p, which takes memory too, and time that N says nothing of
	maxPBKDF2Rounds  = 2_000_000
	maxArgonMemory   = 256 << 10 // KiB
	maxArgonWork     = 1 << 20   // KiB times passes
	maxImportedSalt  = 256
	minImportedKey   = 16
	maxImportedKey   = 128
	importedPrefix   = "imported "
	saltBehind       = "suffix"
	saltInFront      = "prefix"
	firebaseKeyBytes = 32
)

// ImportPassword returns what is kept of a password that another system has hashed: it is read by [MatchPassword], and
// [Outdated] says that it is to be hashed anew when it is typed next. kind and salt position are those of the API
// (password_hash_type, password_salt_position); the latter may be empty. It is slow where the hash is a
// fast one, which is hashed again: call it outside of transactions.
//
// The error is [ErrHashType] or [ErrHash].
func ImportPassword(kind, saltPosition, hash string) (string, error) {
	position := saltBehind
	switch saltPosition {
	case "", saltBehind:
	case saltInFront:
		position = saltInFront
	default:
		return "", ErrHash
	}
	if position == saltInFront && kind != "ssha256" || len(hash) > maxImported || strings.ContainsFunc(hash, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", ErrHash
	}
	i := imported{kind: kind, position: position, hash: hash}
	if kind == "ssha" || kind == "ssha256" {
		salt, digest, err := i.salted()
		if err != nil {
			return "", err
		}
		// Stolen, a fast hash is guessed in hours: the digest is a password, hashed as ours are.
		i.hash = base64.RawStdEncoding.EncodeToString(salt) + " " + HashPassword(base64.RawStdEncoding.EncodeToString(digest))
	}
	kept := i.String()
	again, err := parseImported(kept)
	if err != nil {
		return "", err
	}
	if again != i {
		return "", ErrHash
	}
	return kept, nil
}

// An imported is a hash that another system made.
type imported struct{ kind, position, hash string }

// String returns it as it is kept.
func (i imported) String() string { return importedPrefix + i.kind + " " + i.position + " " + i.hash }

// parseImported reads what String wrote, if it can be checked within bounds.
func parseImported(s string) (imported, error) {
	rest, ok := strings.CutPrefix(s, importedPrefix)
	kind, rest, ok2 := strings.Cut(rest, " ")
	position, hash, ok3 := strings.Cut(rest, " ")
	if !ok || !ok2 || !ok3 || len(s) > 2*maxImported {
		return imported{}, ErrHash
	}
	i := imported{kind, position, hash}
	_, err := i.matcher()
	return i, err
}

// matcher returns what checks a password against the hash.
func (i imported) matcher() (func(password string) bool, error) {
	switch i.kind {
	case "bcrypt":
		return i.bcrypt()
	case "scrypt":
		return i.scrypt()
	case "firebase-scrypt":
		return i.firebase()
	case "pbkdf2":
		return i.pbkdf2()
	case "argon2":
		return i.argon2()
	case "ssha", "ssha256":
		return i.rehashed()
	default:
		return nil, ErrHashType
	}
}

func (i imported) bcrypt() (func(string) bool, error) {
	cost, err := bcrypt.Cost([]byte(i.hash))
	if err != nil || cost > maxBcryptCost || len(i.hash) != 60 {
		return nil, ErrHash
	}
	return func(password string) bool {
		return bcrypt.CompareHashAndPassword([]byte(i.hash), []byte(password)) == nil
	}, nil
}

// scrypt is of the form $scrypt$…n=16384,r=8,p=1$salt$hash, or ln=14 for n.
func (i imported) scrypt() (func(string) bool, error) {
	f, ok := parseForm(i.hash, "scrypt", "v", "n", "ln", "r", "p", "l", "kl", "keylen")
	n := f.number("n")
	if ln := f.number("ln"); ln > 0 && ln < 31 && n == 0 {
		n = 1 << ln
	}
	r, p := f.number("r"), f.number("p")
	if !ok || len(f.bare) != 2 || n < 2 || n&(n-1) != 0 || r < 1 || p < 1 || r > maxScryptSpread || p > maxScryptSpread/r || n > maxScryptMemory/128/r || n*r > maxScryptWork/p {
		return nil, ErrHash
	}
	salt, key, ok := saltAndKey(f.bare[0], f.bare[1])
	if !ok {
		return nil, ErrHash
	}
	return func(password string) bool {
		got, err := scrypt.Key([]byte(password), salt, n, r, p, len(key))
		return err == nil && subtle.ConstantTimeCompare(got, key) == 1
	}, nil
}

// firebase is of the form $firebase-scrypt$hash=…$salt=…$sk=…$ss=…$r=8$m=14: scrypt makes a key, and that enciphers
// the key of the project.
func (i imported) firebase() (func(string) bool, error) {
	f, ok := parseForm(i.hash, "firebase-scrypt", "hash", "salt", "sk", "ss", "r", "m")
	r, m := f.number("r"), f.number("m")
	if !ok || len(f.bare) != 0 || m < 1 || m > 20 || r < 1 || r > maxScryptSpread || 1<<m > maxScryptMemory/128/r {
		return nil, ErrHash
	}
	salt, key, ok := saltAndKey(f.named["salt"], f.named["hash"])
	signer, ok2 := decode64(f.named["sk"])
	separator, ok3 := decode64(f.named["ss"])
	if !ok || !ok2 || !ok3 || len(signer) != len(key) || len(separator) > maxImportedSalt {
		return nil, ErrHash
	}
	salt = slices.Concat(salt, separator)
	return func(password string) bool {
		derived, err := scrypt.Key([]byte(password), salt, 1<<m, r, 1, 2*firebaseKeyBytes)
		if err != nil {
			return false
		}
		block, err := aes.NewCipher(derived[:firebaseKeyBytes])
		if err != nil {
			return false
		}
		got := make([]byte, len(signer))
		cipher.NewCTR(block, make([]byte, aes.BlockSize)).XORKeyStream(got, signer)
		return subtle.ConstantTimeCompare(got, key) == 1
	}, nil
}

// pbkdf2 is of the form $pbkdf2-sha256$i=600000$salt$hash, or $pbkdf2$i=600000,d=sha256$salt$hash.
func (i imported) pbkdf2() (func(string) bool, error) {
	name := strings.TrimPrefix(i.hash, "$")
	name, _, _ = strings.Cut(name, "$")
	f, ok := parseForm(i.hash, name, "i", "d", "l")
	digest, dashed := strings.CutPrefix(name, "pbkdf2-")
	if !dashed {
		digest = f.named["d"]
		ok = ok && name == "pbkdf2"
	}
	h, known := map[string]func() hash.Hash{"sha1": sha1.New, "sha256": sha256.New, "sha512": sha512.New}[digest]
	rounds := f.number("i")
	if !ok || !known || len(f.bare) != 2 || rounds < 1 || rounds > maxPBKDF2Rounds {
		return nil, ErrHash
	}
	salt, key, ok := saltAndKey(f.bare[0], f.bare[1])
	if !ok || len(key) > h().Size() { // more would cost more, and prove nothing
		return nil, ErrHash
	}
	return func(password string) bool {
		got, err := pbkdf2.Key(h, password, salt, rounds, len(key))
		return err == nil && subtle.ConstantTimeCompare(got, key) == 1
	}, nil
}

// argon2 is a PHC string of argon2id or argon2i; argon2d is not for passwords.
func (i imported) argon2() (func(string) bool, error) {
	name, derive := "argon2id", argon2.IDKey
	if strings.HasPrefix(i.hash, "$argon2i$") {
		name, derive = "argon2i", argon2.Key
	}
	if strings.HasPrefix(i.hash, "$argon2d$") {
		return nil, ErrHashType
	}
	f, ok := parseForm(i.hash, name, "v", "m", "t", "p")
	m, t, p := f.number("m"), f.number("t"), f.number("p")
	if !ok || len(f.bare) != 2 || f.number("v") != argon2.Version || p < 1 || p > 16 || m < 8*p || m > maxArgonMemory || t < 1 || t > maxArgonWork/m {
		return nil, ErrHash
	}
	salt, key, ok := saltAndKey(f.bare[0], f.bare[1])
	if !ok {
		return nil, ErrHash
	}
	return func(password string) bool {
		got := derive([]byte(password), salt, uint32(t), uint32(m), uint8(p), uint32(len(key)))
		return subtle.ConstantTimeCompare(got, key) == 1
	}, nil
}

// salted reads {SSHA}base64, of a digest and the salt behind it. The scheme may be left out.
func (i imported) salted() (salt, digest []byte, err error) {
	size, schemes := sha1.Size, []string{"{SSHA}"}
	if i.kind == "ssha256" {
		size, schemes = sha256.Size, []string{"{SSHA256}"}
	}
	s := i.hash
	for _, scheme := range schemes {
		if len(s) > len(scheme) && strings.EqualFold(s[:len(scheme)], scheme) {
			s = s[len(scheme):]
		}
	}
	b, ok := decode64(s)
	if !ok || len(b) <= size || len(b) > size+maxImportedSalt {
		return nil, nil, ErrHash
	}
	return b[size:], b[:size], nil
}

// rehashed is for a salt and a hash of ours, of the digest that there was.
func (i imported) rehashed() (func(string) bool, error) {
	encoded, outer, _ := strings.Cut(i.hash, " ")
	salt, ok := decode64(encoded)
	if _, err := parseHash(outer); err != nil || !ok {
		return nil, ErrHash
	}
	return func(password string) bool {
		text := slices.Concat([]byte(password), salt)
		if i.position == saltInFront {
			text = slices.Concat(salt, []byte(password))
		}
		var digest []byte
		if i.kind == "ssha" {
			sum := sha1.Sum(text) //nolint:gosec // as above
			digest = sum[:]
		} else {
			sum := sha256.Sum256(text)
			digest = sum[:]
		}
		return MatchPassword(outer, base64.RawStdEncoding.EncodeToString(digest))
	}, nil
}

// A form is a hash of the form $name$a=1,b=2$salt$hash: what has a name that is known, and the rest in its order.
type form struct {
	named map[string]string
	bare  []string
}

func parseForm(s, name string, known ...string) (f form, ok bool) {
	s, ok = strings.CutPrefix(s, "$"+name+"$")
	f.named = map[string]string{}
	for part := range strings.SplitSeq(s, "$") {
		// What is in base64 may end in =, and has no comma.
		for field := range strings.SplitSeq(part, ",") {
			key, value, named := strings.Cut(field, "=")
			key = strings.ToLower(key)
			switch {
			case !named || !slices.Contains(known, key):
				f.bare = append(f.bare, field)
			case f.named[key] != "":
				return f, false // given twice
			default:
				f.named[key] = value
			}
		}
	}
	return f, ok
}

// number returns a number of the form; 0: it is not there, or is none.
func (f form) number(name string) int {
	n, err := strconv.ParseUint(f.named[name], 10, 31)
	if err != nil {
		return 0
	}
	return int(n)
}

func saltAndKey(salt, key string) (s, k []byte, ok bool) {
	s, ok = decode64(salt)
	k, ok2 := decode64(key)
	return s, k, ok && ok2 && len(s) <= maxImportedSalt && len(k) >= minImportedKey && len(k) <= maxImportedKey
}

// decode64 reads base64 in the ways that systems write it: padded or not, of the URL's letters or not.
func decode64(s string) ([]byte, bool) {
	s = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(s, "="))
	b, err := base64.RawStdEncoding.DecodeString(s)
	return b, err == nil && len(b) > 0
}

// checkHash returns an error unless s is a hash that can be kept of a password.
func checkHash(s string) error {
	if strings.HasPrefix(s, importedPrefix) {
		_, err := parseImported(s)
		return err
	}
	_, err := parseHash(s)
	return err
}

// matchImported reports whether an imported hash is of the password, as it was typed: other systems know nothing of its
// normal form.
func matchImported(kept, password string) bool {
	i, err := parseImported(kept)
	if err != nil || password == "" || len(password) > MaxPassword {
		return false
	}
	match, err := i.matcher()
	return err == nil && match(password)
}
