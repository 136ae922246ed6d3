package factor_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// furnish gives a user one of everything, and two passkeys.
func (w *world) furnish(u tenancy.UserID) {
	w.t.Helper()
	w.must(func(tx store.Tx) error {
		return factor.SetPassword(tx, u, factor.HashCheaply("x"), self(u), w.now())
	})
	w.addPasskey(u, string(u)+"1")
	w.addPasskey(u, string(u)+"2")
	w.enrolTOTP(u)
	w.recoveryCodes(u)
	w.events()
}

var everything = []policy.Method{policy.Password, policy.Passkey, policy.TOTP, policy.RecoveryCode}

func TestResetRemovesSecondFactorsAndWipeAll(t *testing.T) {
	w := newWorld(t)
	w.furnish(jo)
	w.furnish(flo)
	w.must(func(tx store.Tx) error { return factor.ResetMFA(tx, jo, operator, w.now()) })
	w.wantEnrolled(jo, policy.Password)
	w.wantEvents(slices.Repeat([]string{audit.FactorRemoved}, 4)...)
	w.must(func(tx store.Tx) error { return factor.ResetMFA(tx, jo, operator, w.now()) })
	w.wantEvents()
	w.must(func(tx store.Tx) error { return factor.Wipe(tx, jo, audit.System, w.now()) })
	w.wantEnrolled(jo)
	w.wantEvents(audit.FactorRemoved)
	w.wantEnrolled(flo, everything...)

	w.must(func(tx store.Tx) error { return factor.Wipe(tx, flo, audit.System, w.now()) })
	w.wantEnrolled(flo)
	w.wantEvents(slices.Repeat([]string{audit.FactorRemoved}, 5)...)
	w.must(func(tx store.Tx) error { return factor.Wipe(tx, flo, audit.System, w.now()) })
	w.wantEvents()
	// What was wiped can be had anew.
	w.furnish(flo)
	w.wantEnrolled(flo, everything...)
}

func TestAnEventSaysWhoseFactorAndNothingSecret(t *testing.T) {
	w := newWorld(t)
	w.must(func(tx store.Tx) error {
		return factor.SetPassword(tx, jo, factor.HashCheaply("x"), operator, w.now())
	})
	changes, err := w.s.Feed(t.Context(), 0, 10)
	if err != nil || len(changes) != 1 {
		t.Fatal(changes, err)
	}
	e := changes[0].Event
	const data = `{"object":"authentication_factor","user_id":"user_jo","type":"password"}`
	if e.Name != audit.FactorEnrolled || e.User != string(jo) || e.Actor != operator || !e.At.Equal(w.now()) || string(e.Data) != data {
		t.Errorf("got %+v with %s", e, e.Data)
	}
}

// A transaction that fails after a factor was removed has removed nothing.
func TestNothingIsHalfRemoved(t *testing.T) {
	w := newWorld(t)
	w.furnish(jo)
	boom := errors.New("boom")
	if err := w.try(func(tx store.Tx) error { return errors.Join(factor.Wipe(tx, jo, operator, w.now()), boom) }); !errors.Is(err, boom) {
		t.Fatal(err)
	}
	w.wantEnrolled(jo, everything...)
	w.wantEvents()
}
