package factor

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/id"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/tenancy"
)

// An APIFactor is an authenticator app that was set up by the API and is nobody's second factor: that of a user of
// whom no code of it was seen yet, which is asked for nowhere, so that nobody is locked out by a secret that never
// got to their app; or, without a user, one that an app has for a person of its own.
type APIFactor struct {
	ID   string         `json:"id"`
	User tenancy.UserID `json:"user_id,omitzero"`
	// Secret is sealed.
	Secret  []byte `json:"secret"`
	Issuer  string `json:"issuer"`
	Account string `json:"account"`
	// Step is as in [TOTP].
	Step       int64     `json:"step,omitzero"`
	CreatedAt  time.Time `json:"created_at"`
	LastUsedAt time.Time `json:"last_used_at,omitzero"`
}

// A NewFactor is an authenticator app that is set up by the API.
type NewFactor struct {
	User tenancy.UserID // empty: of nobody
	// Issuer and Account are what the authenticator app shows.
	Issuer, Account string
	// Secret is one that the person's authenticator app has already, of [ParseTOTPSecret]; empty: a new one.
	Secret string
}

// EnrollByAPI sets up an authenticator app, and returns its id and its secret, which is to be shown this once.
//
// That of a user is theirs from the first right code on ([UseChallenge]); until then it is asked for nowhere, and another
// may take its place. With a secret that is given, it is theirs at once: whoever gives it says that the
// person has it. The error wraps [ErrExists] if the user has one: that is not replaced, only removed.
func EnrollByAPI(tx Tx, box Sealer, n NewFactor, by audit.Actor, now time.Time) (factorID, secret string, err error) {
	f := APIFactor{ID: newFactorID(now), User: n.User, Issuer: n.Issuer, Account: n.Account, CreatedAt: now.UTC()}
	if secret = n.Secret; secret == "" {
		secret = NewTOTPSecret()
	} else if secret, err = ParseTOTPSecret(secret); err != nil {
		return "", "", err
	}
	if n.User != "" {
		if err := checkUser(tx, n.User); err != nil {
			return "", "", err
		}
		if err := noTOTP(tx, n.User); err != nil {
			return "", "", err
		}
		if err := dropUnconfirmed(tx, n.User, by, now); err != nil {
			return "", "", err
		}
		if n.Secret != "" {
			t := TOTP{User: n.User, ID: f.ID, Issuer: f.Issuer, Account: f.Account, Secret: box.Seal(totpPurpose, string(n.User), []byte(secret)), CreatedAt: f.CreatedAt}
			if err := tx.PutTOTP(t); err != nil {
				return "", "", err
			}
			return f.ID, secret, record(tx, audit.FactorEnrolled, n.User, "totp", f.ID, by, now)
		}
	}
	f.Secret = box.Seal(totpPurpose, f.sealedAbout(), []byte(secret))
	if err := tx.PutAPIFactor(f); err != nil {
		return "", "", err
	}
	return f.ID, secret, record(tx, audit.FactorCreated, n.User, "totp", f.ID, by, now)
}

// ErrTOTPSecret says that a secret is none that an authenticator app and orgate both take.
var ErrTOTPSecret = fmt.Errorf("not a secret in base32 of %d to %d bytes", minTOTPSecret, maxTOTPSecret)

// ParseTOTPSecret returns a secret as [NewTOTPSecret] writes it; people and programs write them with
// spaces, in lower case and padded. The error is [ErrTOTPSecret].
func ParseTOTPSecret(s string) (string, error) {
	if len(s) > 4*maxTOTPSecret {
		return "", ErrTOTPSecret
	}
	s = strings.TrimRight(strings.ToUpper(strings.ReplaceAll(s, " ", "")), "=")
	b, err := totpEncoding.DecodeString(s)
	if err != nil || len(b) < minTOTPSecret || len(b) > maxTOTPSecret || totpEncoding.EncodeToString(b) != s {
		return "", ErrTOTPSecret
	}
	return s, nil
}

// sealedAbout binds the secret to its row.
func (f APIFactor) sealedAbout() string { return string(f.User) + " " + f.ID }

// SpentBy is [TOTP.SpentBy].
func (f APIFactor) SpentBy(now time.Time) APIFactor {
	f.Step = max(f.Step, now.Unix()/totpPeriod+totpWindow)
	return f
}

// newFactorID returns a fresh id of a factor in the API.
func newFactorID(now time.Time) string { return id.New("auth_factor", now) }

// derivedID is the id of a factor whose row has none: it is the same each time, and of another factor another.
func derivedID(made time.Time, kind, about string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q", kind, about))
	var u ulid.ULID
	if err := errors.Join(u.SetTime(ulid.Timestamp(made)), u.SetEntropy(sum[:10])); err != nil {
		return "auth_factor_" + ulid.Zero.String() // not before the year 10889
	}
	return "auth_factor_" + u.String()
}

// FactorID is the id of the authenticator app in the API.
func (t TOTP) FactorID() string {
	if t.ID != "" {
		return t.ID
	}
	return derivedID(t.CreatedAt, "totp", string(t.User))
}

// FactorID is the id of the passkey in the API, where [Passkey.ID] is the credential's.
func (p Passkey) FactorID() string { return derivedID(p.CreatedAt, "passkey", p.ID) }

// noTOTP returns an error wrapping [ErrExists] if the user has an authenticator app.
func noTOTP(tx Tx, user tenancy.UserID) error {
	switch _, err := tx.TOTP(user); {
	case err == nil:
		return fmt.Errorf("authenticator app: %w", ErrExists)
	case !errors.Is(err, tenancy.ErrNotFound):
		return err
	}
	return nil
}

// dropUnconfirmed removes what was set up by the API for a user, and no code of it was seen.
func dropUnconfirmed(tx Tx, user tenancy.UserID, by audit.Actor, now time.Time) error {
	var all []APIFactor
	for f, err := range tx.APIFactorsOf(user) {
		if err != nil {
			return err
		}
		all = append(all, f)
	}
	for _, f := range all {
		if err := removeAPIFactor(tx, f, by, now); err != nil {
			return err
		}
	}
	return nil
}

func removeAPIFactor(tx Tx, f APIFactor, by audit.Actor, now time.Time) error {
	if err := tx.DeleteAPIFactor(f); err != nil {
		return err
	}
	return record(tx, audit.FactorRemoved, f.User, "totp", f.ID, by, now)
}

// confirm makes an authenticator app that was set up by the API its user's second factor, once a code of it
// was seen, of that step.
func (f APIFactor) confirm(tx Tx, box Sealer, secret []byte, step int64, by audit.Actor, now time.Time) error {
	if err := noTOTP(tx, f.User); err != nil {
		return err
	}
	if err := tx.DeleteAPIFactor(f); err != nil {
		return err
	}
	t := TOTP{
		User: f.User, ID: f.ID, Issuer: f.Issuer, Account: f.Account, Secret: box.Seal(totpPurpose, string(f.User), secret),
		Step: step, CreatedAt: f.CreatedAt, LastUsedAt: now.UTC(),
	}
	if err := tx.PutTOTP(t); err != nil {
		return err
	}
	return record(tx, audit.FactorEnrolled, f.User, "totp", f.ID, by, now)
}

// A Shown is a factor as the API shows it, without its secret.
type Shown struct {
	ID   string
	User tenancy.UserID // empty: of nobody
	// Type is the API's: "totp" or "webauthn". Unconfirmed: no code of it was seen yet.
	Type        string
	Unconfirmed bool
	// Issuer and Account are of an authenticator app; empty where nobody said.
	Issuer, Account string
	CreatedAt       time.Time
	// Passkey is the credential's id; empty for others.
	Passkey string
}

func (t TOTP) shown() Shown {
	return Shown{ID: t.FactorID(), User: t.User, Type: "totp", Issuer: t.Issuer, Account: t.Account, CreatedAt: t.CreatedAt}
}

func (f APIFactor) shown() Shown {
	return Shown{ID: f.ID, User: f.User, Type: "totp", Unconfirmed: f.User != "", Issuer: f.Issuer, Account: f.Account, CreatedAt: f.CreatedAt}
}

func (p Passkey) shown() Shown {
	return Shown{ID: p.FactorID(), User: p.User, Type: "webauthn", CreatedAt: p.CreatedAt, Passkey: p.ID}
}

// ByID returns the factor of an id in the API; the error wraps [ErrNone] if there is none.
func ByID(tx Tx, factorID string) (Shown, error) {
	t, err := tx.TOTPByID(factorID)
	if err == nil {
		return t.shown(), nil
	}
	if !errors.Is(err, tenancy.ErrNotFound) {
		return Shown{}, err
	}
	f, err := tx.APIFactor(factorID)
	if err == nil {
		return f.shown(), nil
	}
	if !errors.Is(err, tenancy.ErrNotFound) {
		return Shown{}, err
	}
	p, err := tx.PasskeyByFactorID(factorID)
	if err == nil {
		return p.shown(), nil
	}
	if !errors.Is(err, tenancy.ErrNotFound) {
		return Shown{}, err
	}
	return Shown{}, ErrNone
}

// Of returns the factors of a user that the API shows, by no order.
func Of(tx Tx, user tenancy.UserID) ([]Shown, error) {
	var all []Shown
	t, err := tx.TOTP(user)
	if err == nil {
		all = append(all, t.shown())
	} else if !errors.Is(err, tenancy.ErrNotFound) {
		return nil, err
	}
	for f, err := range tx.APIFactorsOf(user) {
		if err != nil {
			return nil, err
		}
		all = append(all, f.shown())
	}
	for p, err := range tx.Passkeys(user) {
		if err != nil {
			return nil, err
		}
		all = append(all, p.shown())
	}
	return all, nil
}

// RemoveByID removes a factor by its id in the API, and ends the sessions that it was proved in, as the account page does.
// The error wraps [ErrNone] if there is none.
func RemoveByID(tx AccountTx, factorID string, by audit.Actor, now time.Time) (Shown, error) {
	f, err := ByID(tx, factorID)
	switch {
	case err != nil:
		return Shown{}, err
	case f.Passkey != "":
		if err := RemovePasskey(tx, f.User, f.Passkey, by, now); err != nil {
			return Shown{}, err
		}
		return f, session.EndProvedBy(tx, f.User, policy.Passkey, "", by, now)
	case f.Unconfirmed || f.User == "":
		a, err := tx.APIFactor(factorID)
		if err != nil {
			return Shown{}, err
		}
		return f, removeAPIFactor(tx, a, by, now)
	}
	if err := RemoveTOTP(tx, f.User, by, now); err != nil {
		return Shown{}, err
	}
	return f, session.EndProvedBy(tx, f.User, policy.TOTP, "", by, now)
}
