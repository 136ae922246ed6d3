package factor

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/id"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/tenancy"
)

const (
	// ResetLife is how long the token of a reset may be used.
	ResetLife = time.Hour
	// resetUse is how a reset is used up, whichever way it was asked for; a page may be open for a while.
	resetUse     = "password reset"
	resetUseLife = 2 * time.Hour
	resetPrefix  = "password_reset"
)

// A Reset lets a person who reads the mail to an address set a password. Its proof is a token that was mailed, or, for one
// that was asked for on the sign-in pages, a code of [ForPasswordReset]; that one has no row of its own.
type Reset struct {
	ID    string         `json:"id"`
	User  tenancy.UserID `json:"user_id"`
	Email string         `json:"email"`
	// Sum is of the secret in the token.
	Sum       session.Hash `json:"sum"`
	CreatedAt time.Time    `json:"created_at"`
	ExpiresAt time.Time    `json:"expires_at"`
	UsedAt    time.Time    `json:"used_at,omitzero"`
}

// A ResetToken is the secret in the link of a reset: 256 random bits, behind the id. Its String does not print it.
type ResetToken struct{ secret string }

// Reveal returns the secret, for a link or the answer to whoever asked for the reset.
func (t ResetToken) Reveal() string { return t.secret }

// String hides the secret.
func (ResetToken) String() string { return "[token]" }

// GoString hides it from %#v too.
func (ResetToken) GoString() string { return "[token]" }

// MarshalText hides it from whatever writes it down.
func (ResetToken) MarshalText() ([]byte, error) { return []byte("[token]"), nil }

// NewReset makes a reset that an app asks for by the API. How many may be made is for [MaySend] to say, and whether the
// user may reset their password for [MayReset].
func NewReset(tx Tx, user tenancy.UserID, by audit.Actor, now time.Time) (Reset, ResetToken, error) {
	u, err := tx.User(user)
	if err != nil {
		return Reset{}, ResetToken{}, err
	}
	var b [32]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	secret := base64.RawURLEncoding.EncodeToString(b[:])
	r := Reset{ID: id.New(resetPrefix, now), User: u.ID, Email: u.Email, Sum: sha256.Sum256([]byte(secret)), CreatedAt: now.UTC(), ExpiresAt: now.UTC().Add(ResetLife)}
	if err := tx.PutReset(r); err != nil {
		return Reset{}, ResetToken{}, err
	}
	token := ResetToken{strings.TrimPrefix(r.ID, resetPrefix+"_") + secret}
	return r, token, RecordReset(tx, audit.PasswordResetCreated, r, by, now)
}

// FindReset returns the reset whose token it is, if it can be used. The error wraps [ErrNone] if there is none, and
// [ErrCodeUsed], [ErrCodeExpired] or [ErrSpent]: it was made before the password that there is now, or for
// another address.
func FindReset(tx Tx, token string, now time.Time) (Reset, error) {
	const ulidLen, secretLen = 26, 43
	if len(token) != ulidLen+secretLen {
		return Reset{}, ErrNone
	}
	r, err := tx.Reset(resetPrefix + "_" + token[:ulidLen])
	if errors.Is(err, tenancy.ErrNotFound) {
		return Reset{}, ErrNone
	}
	if err != nil {
		return Reset{}, err
	}
	if sum := sha256.Sum256([]byte(token[ulidLen:])); subtle.ConstantTimeCompare(sum[:], r.Sum[:]) != 1 {
		return Reset{}, ErrNone
	}
	switch {
	case !r.UsedAt.IsZero():
		return r, ErrCodeUsed
	case !now.Before(r.ExpiresAt):
		return r, ErrCodeExpired
	}
	u, err := tx.User(r.User)
	if errors.Is(err, tenancy.ErrNotFound) {
		return r, ErrNone
	}
	if err != nil {
		return r, err
	}
	may, err := MayReset(tx, u.ID, r.CreatedAt)
	if err == nil && (!may || u.Email != r.Email) {
		err = ErrSpent
	}
	return r, err
}

// MayReset reports whether the user may set a password by a proof of their address that was asked for at that time. Not
// who has set one since; and who has a passkey and no password has forgotten none: a first one by mail would make
// the mailbox the key.
func MayReset(tx Tx, user tenancy.UserID, asked time.Time) (bool, error) {
	have, err := Enrolled(tx, user)
	if err != nil {
		return false, err
	}
	if !have.Has(policy.Password) {
		return !have.Has(policy.Passkey), nil
	}
	p, err := tx.Password(user)
	return err == nil && !p.UpdatedAt.After(asked), err
}

// An AccountTx is what changes of an account need, which end sessions.
type AccountTx interface {
	Tx
	session.Tx
}

// FinishReset sets the password by a reset whose proof was judged, once, to one of that hash, and ends all sessions of the user.
// An address that nobody had proved is proved by it. It is for all resets, of the pages and of the API.
//
// by is who is said to have done it; the zero Actor: the user. The error is [session.ErrUsed] if the reset was used, or
// one of [tenancy.SignInByAddress].
func FinishReset(tx AccountTx, rules tenancy.Rules, r Reset, hash string, by audit.Actor, now time.Time) (tenancy.User, error) {
	if err := tx.Use(resetUse, r.ID, now.Add(resetUseLife)); err != nil {
		return tenancy.User{}, err
	}
	in, err := tenancy.SignInByAddress(tx, rules, tenancy.Proven{Email: r.Email}, now)
	if err != nil {
		return tenancy.User{}, err
	}
	if err := Cleanse(tx, in, now); err != nil {
		return tenancy.User{}, err
	}
	u := in.User
	if by == (audit.Actor{}) {
		by = audit.Actor{Type: "user", ID: string(u.ID)}
	}
	if err := SetPassword(tx, u.ID, hash, by, now); err != nil {
		return tenancy.User{}, err
	}
	switch kept, err := tx.Reset(r.ID); {
	case err == nil:
		kept.UsedAt = now.UTC()
		if err := tx.PutReset(kept); err != nil {
			return tenancy.User{}, err
		}
		r = kept
	case !errors.Is(err, tenancy.ErrNotFound):
		return tenancy.User{}, err
	}
	r.User = u.ID
	if err := RecordReset(tx, audit.PasswordReset, r, by, now); err != nil {
		return tenancy.User{}, err
	}
	if err := session.EndAll(tx, u.ID, "", by, now); err != nil {
		return tenancy.User{}, err
	}
	// What others guessed at the old one does not slow down the new one.
	return u, Guesses(GuessPassword).Success(tx, u.Email)
}

// A ResetObject is a reset as the API shows it, without its token. Events have it as their data.
type ResetObject struct {
	Object    string         `json:"object"`
	ID        string         `json:"id"`
	User      tenancy.UserID `json:"user_id,omitzero"`
	Email     string         `json:"email"`
	ExpiresAt time.Time      `json:"expires_at"`
	CreatedAt time.Time      `json:"created_at"`
}

// ShowReset shows a reset.
func ShowReset(r Reset) ResetObject {
	return ResetObject{Object: "password_reset", ID: r.ID, User: r.User, Email: r.Email, ExpiresAt: r.ExpiresAt.UTC(), CreatedAt: r.CreatedAt.UTC()}
}

// RecordReset tells of a reset.
func RecordReset(tx audit.Tx, event string, r Reset, by audit.Actor, now time.Time) error {
	e := audit.New(event, by, now)
	e.User = string(r.User)
	return audit.Record(tx, e, ShowReset(r))
}
