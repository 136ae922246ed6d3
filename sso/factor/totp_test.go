package factor_test

import (
	"bytes"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/seal"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

func (w *world) useTOTP(u tenancy.UserID, code string) error {
	w.t.Helper()
	return w.try(func(tx store.Tx) error { return factor.UseTOTP(tx, w.box, u, code, w.now()) })
}

const step = 30 * time.Second

func TestATOTPCodeIsGoodOnceAndNoEarlierOneAfterIt(t *testing.T) {
	w := newWorld(t)
	secret := w.enrolTOTP(jo)
	codes := map[time.Duration]string{}
	for _, d := range []time.Duration{-2 * step, -step, 0, step, 2 * step} {
		codes[d] = totpOf(t, secret, w.now().Add(d))
	}
	for _, d := range []time.Duration{-2 * step, 2 * step, -step} { // too old, too young, and the one that enrolled
		if err := w.useTOTP(jo, codes[d]); !errors.Is(err, factor.ErrWrong) {
			t.Errorf("the code of %v: %v", d, err)
		}
	}
	for _, tt := range []struct {
		of   time.Duration
		want error
	}{{0, nil}, {0, factor.ErrWrong}, {step, nil}, {step, factor.ErrWrong}, {0, factor.ErrWrong}, {-step, factor.ErrWrong}} {
		if err := w.useTOTP(jo, codes[tt.of]); !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
			t.Errorf("the code of %v: %v, want %v", tt.of, err, tt.want)
		}
	}
	w.clock.Advance(step)
	if err := w.useTOTP(jo, codes[2*step]); err != nil {
		t.Errorf("the next one: %v", err)
	}
	// A clock that goes back makes nothing good again.
	w.clock.Advance(-3 * step)
	for d, code := range codes {
		if err := w.useTOTP(jo, code); err == nil {
			t.Errorf("the code of %v, after the clock went back: accepted", d)
		}
	}
}

func TestATOTPCodeIsItsOwnersAlone(t *testing.T) {
	w := newWorld(t)
	if err := w.useTOTP(jo, "123456"); !errors.Is(err, factor.ErrNone) {
		t.Errorf("without an app: %v", err)
	}
	secret := w.enrolTOTP(jo)
	w.enrolTOTP(flo)
	if err := w.useTOTP(flo, totpOf(t, secret, w.now())); !errors.Is(err, factor.ErrWrong) {
		t.Errorf("Jo's code for Flo: %v", err)
	}
	// Nor does the row open for another.
	err := w.try(func(tx store.Tx) error {
		row, err := tx.TOTP(jo)
		if err != nil {
			return err
		}
		row.User = flo
		if err := tx.PutTOTP(row); err != nil {
			return err
		}
		return factor.UseTOTP(tx, w.box, flo, totpOf(t, secret, w.now()), w.now())
	})
	if err == nil || errors.Is(err, factor.ErrWrong) {
		t.Errorf("Jo's row as Flo's: %v", err)
	}
	for _, typed := range []string{"", " ", "0", "1234567", strings.Repeat("1", 5000), "\xff\xfe"} {
		if err := w.useTOTP(jo, typed); !errors.Is(err, factor.ErrWrong) {
			t.Errorf("%.10q: %v", typed, err)
		}
	}
	code := totpOf(t, secret, w.now())
	if err := w.useTOTP(jo, " "+code[:3]+" "+code[3:]+"\n"); err != nil {
		t.Errorf("with spaces: %v", err)
	}
}

func TestAnAppIsEnrolledByItsCodeAndReplacesNone(t *testing.T) {
	w := newWorld(t)
	enrol := func(u tenancy.UserID, secret, code string) error {
		return w.try(func(tx store.Tx) error {
			return factor.EnrollTOTP(tx, w.box, u, secret, code, self(u), w.now())
		})
	}
	secret := factor.NewTOTPSecret()
	right := totpOf(t, secret, w.now())
	for what, err := range map[string]error{
		"a wrong code": enrol(jo, secret, wrong(right)), "no code": enrol(jo, secret, ""), "an old code": enrol(jo, secret, totpOf(t, secret, w.now().Add(-2*step))),
	} {
		if !errors.Is(err, factor.ErrWrong) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, bad := range []string{"", "AAAA", strings.Repeat("A", 24), "not base32!", strings.ToLower(secret)} {
		if err := enrol(jo, bad, right); err == nil || errors.Is(err, factor.ErrWrong) {
			t.Errorf("the secret %q: %v", bad, err)
		}
	}
	if err := enrol("user_nobody", secret, right); !errors.Is(err, tenancy.ErrNotFound) {
		t.Errorf("for nobody: %v", err)
	}
	w.wantEnrolled(jo)
	w.wantEvents()

	if err := enrol(jo, secret, right); err != nil {
		t.Fatal(err)
	}
	w.wantEnrolled(jo, policy.TOTP)
	w.wantEvents(audit.FactorEnrolled)
	if err := w.useTOTP(jo, right); !errors.Is(err, factor.ErrWrong) {
		t.Errorf("the code that enrolled it proves too: %v", err)
	}
	other := factor.NewTOTPSecret()
	if err := enrol(jo, other, totpOf(t, other, w.now())); !errors.Is(err, factor.ErrExists) {
		t.Errorf("a second one: %v", err)
	}
	if err := w.useTOTP(jo, totpOf(t, secret, w.now().Add(step))); err != nil {
		t.Errorf("the first, afterwards: %v", err)
	}
}

func TestASecretIsSealedAndMovesToTheNewKey(t *testing.T) {
	w := newWorld(t)
	old := seal.NewKey()
	box, err := seal.NewBox(old)
	if err != nil {
		t.Fatal(err)
	}
	w.box = box
	secret := w.enrolTOTP(jo)
	row := func() (r factor.TOTP) {
		w.must(func(tx store.Tx) (err error) { r, err = tx.TOTP(jo); return err })
		return r
	}
	if bytes.Contains(row().Secret, []byte(secret)) {
		t.Error("the secret is in the row")
	}
	if w.box, err = seal.NewBox(seal.NewKey(), old); err != nil {
		t.Fatal(err)
	}
	if err := w.useTOTP(jo, totpOf(t, secret, w.now())); err != nil {
		t.Fatal(err)
	}
	if !w.box.Current("totp secret", string(jo), row().Secret) {
		t.Error("the secret is sealed under the old key after it was used under the new one")
	}
}

func TestTheURLIsReadByAuthenticatorApps(t *testing.T) {
	secret := factor.NewTOTPSecret()
	if len(secret) != 32 {
		t.Errorf("the secret has %d characters, want 32 for 160 bits", len(secret))
	}
	for _, issuer := range []string{"Acme", "Acme & Söhne: 100%?#/", "=HYPERLINK()"} {
		raw := factor.TOTPURL(secret, issuer, "jo+x@acme.com")
		key, err := otp.NewKeyFromURL(raw)
		if err != nil {
			t.Fatal(err)
		}
		if key.Secret() != secret || key.Issuer() != strings.ReplaceAll(issuer, ":", "") || key.Period() != 30 || key.Digits() != otp.DigitsSix || key.Algorithm() != otp.AlgorithmSHA1 {
			t.Errorf("%s is read as %q, %q, %d", raw, key.Secret(), key.Issuer(), key.Period())
		}
		if strings.Contains(raw, "+") {
			t.Errorf("%s has a +, which some apps show", raw)
		}
		u, err := url.Parse(raw)
		if err != nil || !strings.HasSuffix(u.Path, ":jo+x@acme.com") {
			t.Errorf("path is %q, %v", u.Path, err)
		}
	}
}
