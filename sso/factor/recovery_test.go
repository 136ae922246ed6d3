package factor_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

func (w *world) useRecovery(u tenancy.UserID, code string) (left int, err error) {
	w.t.Helper()
	err = w.try(func(tx store.Tx) (err error) {
		left, err = factor.UseRecoveryCode(tx, u, code, w.now())
		return err
	})
	return left, err
}

func TestEachRecoveryCodeIsGoodOnce(t *testing.T) {
	w := newWorld(t)
	w.enrolTOTP(jo)
	codes := w.recoveryCodes(jo)
	if len(codes) != 10 {
		t.Fatalf("%d codes", len(codes))
	}
	seen := map[string]bool{}
	for i, code := range codes {
		if len(code) != 19 || seen[code] || strings.ToLower(code) != code {
			t.Errorf("code %q", code)
		}
		seen[code] = true
		typed := []string{code, strings.ToUpper(code), strings.ReplaceAll(code, "-", ""), " " + strings.ReplaceAll(code, "-", " ") + "\n"}[i%4]
		if left, err := w.useRecovery(jo, typed); err != nil || left != 9-i {
			t.Errorf("code %d as %q: %d left, %v", i, typed, left, err)
		}
		if left, err := w.useRecovery(jo, typed); !errors.Is(err, factor.ErrWrong) || left != 9-i {
			t.Errorf("code %d again: %d left, %v", i, left, err)
		}
	}
	w.wantEnrolled(jo, policy.TOTP) // none is left
}

func TestARecoveryCodeIsItsOwnersAlone(t *testing.T) {
	w := newWorld(t)
	w.enrolTOTP(jo)
	w.enrolTOTP(flo)
	if _, err := w.useRecovery(flo, "aaaa-aaaa-aaaa-aaaa"); !errors.Is(err, factor.ErrNone) {
		t.Errorf("without codes: %v", err)
	}
	jos := w.recoveryCodes(jo)
	w.recoveryCodes(flo)
	if _, err := w.useRecovery(flo, jos[0]); !errors.Is(err, factor.ErrWrong) {
		t.Errorf("Jo's for Flo: %v", err)
	}
	// Not even where its hash has got among Flo's.
	w.must(func(tx store.Tx) error {
		r, err := tx.RecoveryCodes(jo)
		if err != nil {
			return err
		}
		r.User = flo
		return tx.PutRecoveryCodes(r)
	})
	if _, err := w.useRecovery(flo, jos[0]); !errors.Is(err, factor.ErrWrong) {
		t.Errorf("Jo's hash among Flo's: %v", err)
	}
	for _, typed := range []string{"", "-", jos[0][:18], jos[0] + "a", strings.Repeat("a", 5000), "\xff"} {
		if _, err := w.useRecovery(jo, typed); !errors.Is(err, factor.ErrWrong) {
			t.Errorf("%.20q: %v", typed, err)
		}
	}
	if _, err := w.useRecovery(jo, jos[0]); err != nil {
		t.Errorf("Jo's for Jo: %v", err)
	}
}

func TestNewRecoveryCodesEndTheOldOnes(t *testing.T) {
	w := newWorld(t)
	w.enrolTOTP(jo)
	old := w.recoveryCodes(jo)
	w.events()
	fresh := w.recoveryCodes(jo)
	w.wantEvents(audit.RecoveryCodesCreated)
	if _, err := w.useRecovery(jo, old[0]); !errors.Is(err, factor.ErrWrong) {
		t.Errorf("an old one: %v", err)
	}
	if _, err := w.useRecovery(jo, fresh[0]); err != nil {
		t.Errorf("a new one: %v", err)
	}
}

// Alone they would be a second factor on a piece of paper.
func TestRecoveryCodesStandInForASecondFactor(t *testing.T) {
	w := newWorld(t)
	create := func() error {
		return w.try(func(tx store.Tx) error {
			_, err := factor.NewRecoveryCodes(tx, jo, self(jo), w.now())
			return err
		})
	}
	w.must(func(tx store.Tx) error {
		return factor.SetPassword(tx, jo, factor.HashCheaply("x"), self(jo), w.now())
	})
	if err := create(); !errors.Is(err, factor.ErrNone) {
		t.Errorf("beside a password: %v", err)
	}
	w.addPasskey(jo, "a")
	if err := create(); err != nil {
		t.Errorf("beside a passkey: %v", err)
	}
	w.enrolTOTP(jo)
	w.must(func(tx store.Tx) error { return factor.RemovePasskey(tx, jo, passkeyID("a"), self(jo), w.now()) })
	w.wantEnrolled(jo, policy.Password, policy.TOTP, policy.RecoveryCode)
	w.events()
	w.must(func(tx store.Tx) error { return factor.RemoveTOTP(tx, jo, self(jo), w.now()) })
	w.wantEnrolled(jo, policy.Password)
	w.wantEvents(audit.FactorRemoved, audit.FactorRemoved)
}

func TestARecoveryCodeCanNotBeReadFromTheStore(t *testing.T) {
	w := newWorld(t)
	w.enrolTOTP(jo)
	codes := w.recoveryCodes(jo)
	var b strings.Builder
	if _, err := w.s.Backup(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	for _, code := range codes {
		for _, form := range []string{code, strings.ReplaceAll(code, "-", ""), strings.ToUpper(strings.ReplaceAll(code, "-", ""))} {
			if strings.Contains(b.String(), form) {
				t.Errorf("%s is in the store", form)
			}
		}
	}
}
