package factor

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/tenancy"
)

// recoveryCodes is how many there are, each of 80 bits: 16 characters in groups of four.
const recoveryCodes = 10

// NewRecoveryCodes makes the user's recovery codes, in place of those that there were, and
// returns them as they are shown, once. The error wraps [ErrNone] if the user has no second
// factor that they could stand in for: alone they would be one.
func NewRecoveryCodes(tx Tx, user tenancy.UserID, by audit.Actor, now time.Time) ([]string, error) {
	has, err := Enrolled(tx, user)
	if err != nil {
		return nil, err
	}
	if !standsSecond(has) {
		return nil, fmt.Errorf("second factor: %w", ErrNone)
	}
	r := RecoveryCodes{User: user, CreatedAt: now.UTC()}
	var shown []string
	for range recoveryCodes {
		var b [10]byte
		rand.Read(b[:]) // never fails (crypto/rand)
		code := strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
		r.Hashes = append(r.Hashes, hashRecovery(user, code))
		shown = append(shown, code[:4]+"-"+code[4:8]+"-"+code[8:12]+"-"+code[12:])
	}
	if err := tx.PutRecoveryCodes(r); err != nil {
		return nil, err
	}
	return shown, record(tx, audit.RecoveryCodesCreated, user, "recovery_code", "", by, now)
}

// hashRecovery is a plain hash: 80 random bits can't be guessed. It is of the user too, so
// that a code is good for nobody else, wherever its hash may get to.
func hashRecovery(user tenancy.UserID, code string) session.Hash {
	return sha256.Sum256(fmt.Appendf(nil, "%q %q", user, strings.ToLower(normalizeCode(code))))
}

// UseRecoveryCode judges a recovery code of the user, once, and returns how many are left.
// The error wraps [ErrNone] or [ErrWrong]. Attempts are counted by the caller before, or by
// [Backoff.Try].
func UseRecoveryCode(tx Tx, user tenancy.UserID, typed string, now time.Time) (left int, err error) {
	r, err := tx.RecoveryCodes(user)
	if errors.Is(err, tenancy.ErrNotFound) {
		return 0, ErrNone
	}
	if err != nil {
		return 0, err
	}
	i := slices.Index(r.Hashes, hashRecovery(user, typed)) // of hashes, so time tells nothing
	if i < 0 {
		return len(r.Hashes), ErrWrong
	}
	r.Hashes = slices.Delete(slices.Clone(r.Hashes), i, i+1)
	return len(r.Hashes), tx.PutRecoveryCodes(r)
}

// dropOrphanedCodes removes the recovery codes of a user who has no second factor any more:
// there is nothing that they stand in for.
func dropOrphanedCodes(tx Tx, user tenancy.UserID, by audit.Actor, now time.Time) error {
	has, err := Enrolled(tx, user)
	if err != nil || standsSecond(has) {
		return err
	}
	return removeRecoveryCodes(tx, user, by, now)
}

// standsSecond reports whether there is a second factor among what a user has, recovery codes
// apart.
func standsSecond(has policy.Methods) bool { return has.Has(policy.TOTP) || has.Has(policy.Passkey) }

func removeRecoveryCodes(tx Tx, user tenancy.UserID, by audit.Actor, now time.Time) error {
	switch _, err := tx.RecoveryCodes(user); {
	case errors.Is(err, tenancy.ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	if err := tx.DeleteRecoveryCodes(user); err != nil {
		return err
	}
	return record(tx, audit.FactorRemoved, user, "recovery_code", "", by, now)
}
