// Package factor owns the local factors of people: passwords, e-mail codes, passkeys, TOTP
// and recovery codes; how one is enrolled, proved once, and removed, and how often
// anybody may try.
//
// It does not own what a factor is good for (package policy), the session that a proof goes
// into (session), the WebAuthn ceremonies (sso/passkey), or the pages and mails (sso, web,
// internal/mail). Like all packages below the line it has no I/O, no clock and no goroutine;
// hashing a password is slow, so it is a function for outside of a transaction.
//
// The invariants: an attempt is counted before it is judged, in a transaction that commits
// whatever the judgement; whatever works once works once; a factor is its own user's and no
// other's; nobody has recovery codes without a second factor that they stand in for; nothing
// that is kept here can be turned back into what a person typed.
package factor

import (
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/tenancy"
)

// What goes wrong with factors. A wrong code or password is one error, whatever was wrong
// with it, so that the words can't tell more.
var (
	// ErrWrong: the code, password or assertion is not the right one.
	ErrWrong = errors.New("wrong code or password")
	// ErrSpent: the code was used, had too many wrong tries, or is too old.
	ErrSpent = errors.New("code is used up or too old")
	// ErrExists: the person has such a factor, and it is not replaced.
	ErrExists = errors.New("there is one already")
	// ErrNone: the person has no such factor.
	ErrNone = errors.New("no such factor")
	// ErrTooMany: the person has as many passkeys as anybody may.
	ErrTooMany = errors.New("too many passkeys")

	// Why a code or token is spent: each wraps ErrSpent. Only an app is told, which asked for it.

	ErrCodeUsed    = fmt.Errorf("%w: it was used", ErrSpent)
	ErrCodeExpired = fmt.Errorf("%w: it is too old", ErrSpent)
	ErrCodeTries   = fmt.Errorf("%w: it had too many wrong tries", ErrSpent)
)

// A Sealer seals secrets at rest; [seal.Box] is one.
type Sealer interface {
	Seal(purpose, about string, plain []byte) []byte
	Open(purpose, about string, sealed []byte) ([]byte, error)
}

// A Password is what is kept of a password.
type Password struct {
	User tenancy.UserID `json:"user_id"`
	// Hash is argon2id in PHC form, or what another system made; see [HashPassword] and [ImportPassword].
	Hash      string    `json:"hash"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// A TOTP is an authenticator app (RFC 6238: SHA-1, 6 digits, 30 s).
type TOTP struct {
	User tenancy.UserID `json:"user_id"`
	// ID is auth_factor_…; empty in rows of older versions: see [TOTP.FactorID].
	ID string `json:"id,omitzero"`
	// Issuer and Account are what the app shows, where the API said so.
	Issuer  string `json:"issuer,omitzero"`
	Account string `json:"account,omitzero"`
	// Secret is sealed.
	Secret []byte `json:"secret"`
	// Step is the time step of the code that was accepted last: neither that one nor an
	// earlier one is accepted again.
	Step       int64     `json:"step"`
	CreatedAt  time.Time `json:"created_at"`
	LastUsedAt time.Time `json:"last_used_at,omitzero"`
}

// RecoveryCodes are the codes that stand in for a second factor that is lost, each once.
type RecoveryCodes struct {
	User tenancy.UserID `json:"user_id"`
	// Hashes are of those that are not used yet.
	Hashes    []session.Hash `json:"hashes"`
	CreatedAt time.Time      `json:"created_at"`
}

// A Passkey is a WebAuthn credential of a person.
type Passkey struct {
	// ID is the credential id in base64url; unique in the installation.
	ID   string         `json:"id"`
	User tenancy.UserID `json:"user_id"`
	Name string         `json:"name"`
	// Credential is what package sso/passkey keeps of it: public key, counter, flags.
	Credential []byte    `json:"credential"`
	CreatedAt  time.Time `json:"created_at"`
	LastUsedAt time.Time `json:"last_used_at,omitzero"`
}

// A Purpose is what an e-mail code is for; a code for one is no good for another.
type Purpose string

// The purposes.
const (
	ForSignIn        Purpose = "sign_in"
	ForPasswordReset Purpose = "password_reset"
	ForOldAddress    Purpose = "old_address" // the address that is to be given up
	ForNewAddress    Purpose = "new_address" // the address that is to be taken
	ForSocialLink    Purpose = "social_link" // the address that a social provider named
	ForProfile       Purpose = "profile"     // the same, for an app that is told of the person: it signs nobody in

	// Those of codes that an app asks for by the API; see [NewAppCode].

	ForMagicAuth    Purpose = "magic_auth"         // to sign in
	ForVerification Purpose = "email_verification" // the address that nobody has proved yet
	ForEmailChange  Purpose = "email_change"       // the address that is to be taken
)

// An EmailCode is a code that was sent to an address. It lives for [EmailCodeLife].
type EmailCode struct {
	// ID names it in what the browser carries; it is no secret.
	ID      string  `json:"id"`
	Purpose Purpose `json:"purpose"`
	Email   string  `json:"email"`
	// About is what the code is for besides, such as the user whose address changes.
	About string `json:"about,omitzero"`
	// Browser is the hash of the secret of the browser that asked. Of one browser, purpose
	// and address, one code is live.
	Browser session.Hash `json:"browser"`
	// Sum is the code's hash under the secret of the browser that asked, which is not kept:
	// whoever reads the store can't try the million codes.
	Sum       session.Hash `json:"sum"`
	Tries     int          `json:"tries,omitzero"`
	CreatedAt time.Time    `json:"created_at"`
	ExpiresAt time.Time    `json:"expires_at"`
	UsedAt    time.Time    `json:"used_at,omitzero"`

	// App says that an app asked for it by the API, for User; then Browser stands for no browser,
	// there is no Sum, and Sealed is the code, as long as it may be used.
	App    bool           `json:"app,omitzero"`
	User   tenancy.UserID `json:"user_id,omitzero"`
	Sealed []byte         `json:"sealed,omitzero"`
}

// A Counter counts attempts; see [Backoff] and [Bucket].
type Counter struct {
	// Scope is what is counted, such as "password"; Name is whose, such as a user.
	Scope string `json:"scope"`
	Name  string `json:"name"`
	// Level is how many there are; a bucket's leaks.
	Level     float64   `json:"level"`
	At        time.Time `json:"at"` // of the last one
	ExpiresAt time.Time `json:"expires_at"`
}

// Tx is the part of a transaction that this package needs. Getters return an error
// wrapping [tenancy.ErrNotFound] for what is not there.
type Tx interface {
	tenancy.Tx

	Password(tenancy.UserID) (Password, error)
	PutPassword(Password) error
	DeletePassword(tenancy.UserID) error

	TOTP(tenancy.UserID) (TOTP, error)
	PutTOTP(TOTP) error
	DeleteTOTP(tenancy.UserID) error

	RecoveryCodes(tenancy.UserID) (RecoveryCodes, error)
	PutRecoveryCodes(RecoveryCodes) error
	DeleteRecoveryCodes(tenancy.UserID) error

	Passkey(id string) (Passkey, error)
	Passkeys(tenancy.UserID) iter.Seq2[Passkey, error] // by id
	PutPasskey(Passkey) error
	DeletePasskey(id string) error

	EmailCode(id string) (EmailCode, error)
	// LiveEmailCode returns the one that is not used up, by [EmailCode.Live].
	LiveEmailCode(browser session.Hash, p Purpose, email string) (EmailCode, error)
	PutEmailCode(EmailCode) error // expires with ExpiresAt, an app's later; ErrTaken: another one is live
	// AppCode returns the last one that an app asked for, live or not.
	AppCode(Purpose, tenancy.UserID) (EmailCode, error)
	DeleteEmailCode(id string) error

	// APIFactor and APIFactorsOf, by id, find what [EnrollByAPI] made.
	APIFactor(id string) (APIFactor, error)
	APIFactorsOf(tenancy.UserID) iter.Seq2[APIFactor, error]
	PutAPIFactor(APIFactor) error
	DeleteAPIFactor(APIFactor) error
	// TOTPByID and PasskeyByFactorID find factors by their ids in the API.
	TOTPByID(string) (TOTP, error)
	PasskeyByFactorID(string) (Passkey, error)

	Challenge(id string) (Challenge, error)
	PutChallenge(Challenge) error // expires an hour after ExpiresAt

	Reset(id string) (Reset, error)
	PutReset(Reset) error // expires an hour after ExpiresAt

	Counter(scope, name string) (Counter, error)
	PutCounter(Counter) error // expires with ExpiresAt
	DeleteCounter(scope, name string) error
}

// checkUser returns an error wrapping [tenancy.ErrNotFound] if there is no such user: nobody's
// factors would be the first thing that whoever gets that id next has.
func checkUser(tx Tx, user tenancy.UserID) error {
	_, err := tx.User(user)
	return err
}

// Enrolled returns the factors that the user has set up: of password, passkey, TOTP and
// recovery code.
func Enrolled(tx Tx, user tenancy.UserID) (ms policy.Methods, err error) {
	found := func(m policy.Method, err error) error {
		switch {
		case err == nil:
			ms |= policy.MethodsOf(m)
		case errors.Is(err, tenancy.ErrNotFound):
		default:
			return err
		}
		return nil
	}
	_, err = tx.Password(user)
	if err := found(policy.Password, err); err != nil {
		return 0, err
	}
	_, err = tx.TOTP(user)
	if err := found(policy.TOTP, err); err != nil {
		return 0, err
	}
	codes, err := tx.RecoveryCodes(user)
	if err == nil && len(codes.Hashes) == 0 {
		err = tenancy.ErrNotFound
	}
	if err := found(policy.RecoveryCode, err); err != nil {
		return 0, err
	}
	for _, err := range tx.Passkeys(user) {
		if err != nil {
			return 0, err
		}
		ms |= policy.MethodsOf(policy.Passkey)
		break
	}
	return ms, nil
}
