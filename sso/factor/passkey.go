package factor

import (
	"encoding/base64"
	"errors"
	"strings"
	"time"
	"unicode"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/tenancy"
)

const (
	maxPasskeys    = 20
	maxPasskeyName = 64
	// maxCredentialID is in bytes (WebAuthn Level 3, 4: credential ID).
	maxCredentialID = 1023
)

// AddPasskey keeps a credential that was registered for the user. It returns an error
// wrapping [ErrExists] if the credential is known, and [ErrTooMany].
func AddPasskey(tx Tx, p Passkey, by audit.Actor, now time.Time) (Passkey, error) {
	if err := checkUser(tx, p.User); err != nil {
		return Passkey{}, err
	}
	if !canonicalID(p.ID) || len(p.Credential) == 0 {
		return Passkey{}, errors.New("passkey: not a credential with its id in base64url")
	}
	switch _, err := tx.Passkey(p.ID); {
	case err == nil:
		return Passkey{}, ErrExists // whosever it is
	case !errors.Is(err, tenancy.ErrNotFound):
		return Passkey{}, err
	}
	n := 0
	for _, err := range tx.Passkeys(p.User) {
		if err != nil {
			return Passkey{}, err
		}
		n++
	}
	if n >= maxPasskeys {
		return Passkey{}, ErrTooMany
	}
	p.Name, p.CreatedAt, p.LastUsedAt = passkeyName(p.Name), now.UTC(), now.UTC()
	if err := tx.PutPasskey(p); err != nil {
		return Passkey{}, err
	}
	return p, record(tx, audit.FactorEnrolled, p.User, "passkey", p.ID, by, now)
}

// canonicalID reports whether a credential id is written in the one way there is: of two
// that are the same bytes, each would be unique.
func canonicalID(id string) bool {
	// Package base64 skips line ends, strict or not.
	b, err := base64.RawURLEncoding.Strict().DecodeString(id)
	return err == nil && len(b) > 0 && len(b) <= maxCredentialID && base64.RawURLEncoding.EncodeToString(b) == id
}

// RenamePasskey gives a passkey of the user another name; the error wraps [ErrNone] if they
// have none of that id, whoever else may.
func RenamePasskey(tx Tx, user tenancy.UserID, id, name string, now time.Time) error {
	p, err := passkeyOf(tx, user, id)
	if err != nil {
		return err
	}
	if name = passkeyName(name); name == p.Name {
		return nil
	}
	p.Name = name
	if err := tx.PutPasskey(p); err != nil {
		return err
	}
	return record(tx, audit.FactorChanged, user, "passkey", p.ID, audit.Actor{Type: "user", ID: string(user)}, now)
}

// UsedPasskey keeps what a passkey of the user is after an assertion by it: the credential
// with its new counter. The error wraps [ErrNone] if it was removed meanwhile, and then it
// proves nothing. That the counter grew is for the caller to know, who read the credential in
// the same transaction.
func UsedPasskey(tx Tx, user tenancy.UserID, id string, credential []byte, now time.Time) error {
	p, err := passkeyOf(tx, user, id)
	if err != nil {
		return err
	}
	if len(credential) == 0 {
		return errors.New("passkey: no credential")
	}
	p.Credential, p.LastUsedAt = credential, now.UTC()
	return tx.PutPasskey(p)
}

// RemovePasskey removes a passkey of the user. Removing what is not theirs is nothing.
func RemovePasskey(tx Tx, user tenancy.UserID, id string, by audit.Actor, now time.Time) error {
	p, err := passkeyOf(tx, user, id)
	if errors.Is(err, ErrNone) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := tx.DeletePasskey(p.ID); err != nil {
		return err
	}
	if err := record(tx, audit.FactorRemoved, user, "passkey", p.ID, by, now); err != nil {
		return err
	}
	return dropOrphanedCodes(tx, user, by, now)
}

func passkeyOf(tx Tx, user tenancy.UserID, id string) (Passkey, error) {
	p, err := tx.Passkey(id)
	if errors.Is(err, tenancy.ErrNotFound) || err == nil && p.User != user {
		return Passkey{}, ErrNone
	}
	return p, err
}

// passkeyName is what a person calls a passkey, as one line of text.
func passkeyName(s string) string {
	s = strings.ToValidUTF8(s[:min(len(s), maxPasskeyName)], "")
	s = strings.TrimSpace(strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return -1
		}
		return c
	}, s))
	if s == "" {
		return "Passkey"
	}
	return s
}
