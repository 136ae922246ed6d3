package factor

import (
	"bytes"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"fmt"
	"image/png"
	"net/url"
	"strings"
	"time"

	"github.com/boombuler/barcode"
	"github.com/boombuler/barcode/qr"
	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/tenancy"
)

const (
	totpPurpose = "totp secret"
	totpPeriod  = 30
	totpWindow  = 1 // steps before and after, for clocks that differ
	// minTOTPSecret is in bytes: the least that RFC 4226 allows.
	minTOTPSecret = 16
	maxTOTPSecret = 64
)

// totpEncoding is how authenticator apps take a secret.
var totpEncoding = base32.StdEncoding.WithPadding(base32.NoPadding)

// NewTOTPSecret returns a fresh secret in base32, as authenticator apps take it: 160 bits,
// the length that RFC 4226 recommends.
func NewTOTPSecret() string {
	var b [20]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return totpEncoding.EncodeToString(b[:])
}

// TOTPURL returns the URL that a QR code holds for an authenticator app (the Key URI Format).
func TOTPURL(secret, issuer, account string) string {
	issuer = strings.ReplaceAll(issuer, ":", "") // it ends the issuer
	q := url.Values{"secret": {secret}, "issuer": {issuer}, "algorithm": {"SHA1"}, "digits": {"6"}, "period": {"30"}}
	// Some apps show a + for what it is, and others for a space.
	label := strings.ReplaceAll(url.PathEscape(issuer+":"+account), "+", "%2B")
	return "otpauth://totp/" + label + "?" + strings.ReplaceAll(q.Encode(), "+", "%20")
}

// QRCode returns a QR code of s, such as of [TOTPURL], as the data URL of a PNG.
func QRCode(s string) (string, error) {
	code, err := qr.Encode(s, qr.M, qr.Auto)
	if err != nil {
		return "", err
	}
	if code, err = barcode.Scale(code, 240, 240); err != nil {
		return "", err
	}
	var b bytes.Buffer
	if err := png.Encode(&b, code); err != nil {
		return "", err
	}
	return "data:image/png;base64," + base64.StdEncoding.EncodeToString(b.Bytes()), nil
}

// matchTOTP returns the time step that a code is of, later than last, within the window.
func matchTOTP(secret, code string, last int64, now time.Time) (step int64, ok bool) {
	code = normalizeCode(code)
	at := now.Unix() / totpPeriod
	for s := at - totpWindow; s <= at+totpWindow; s++ {
		want, err := totp.GenerateCodeCustom(secret, time.Unix(s*totpPeriod, 0), totp.ValidateOpts{Period: totpPeriod, Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
		if err != nil {
			return 0, false
		}
		if subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 && s > last {
			step, ok = s, true
		}
	}
	return step, ok
}

// EnrollTOTP keeps the secret as the user's authenticator app, if the code shows that the
// app has it. It returns an error wrapping [ErrExists] if the user has one, and [ErrWrong].
func EnrollTOTP(tx Tx, box Sealer, user tenancy.UserID, secret, code string, by audit.Actor, now time.Time) error {
	if err := checkUser(tx, user); err != nil {
		return err
	}
	if err := noTOTP(tx, user); err != nil {
		return err
	}
	if b, err := totpEncoding.DecodeString(secret); err != nil || len(b) < minTOTPSecret {
		return errors.New("authenticator app: not a secret of NewTOTPSecret")
	}
	step, ok := matchTOTP(secret, code, 0, now)
	if !ok {
		return ErrWrong
	}
	t := TOTP{User: user, ID: newFactorID(now), Secret: box.Seal(totpPurpose, string(user), []byte(secret)), Step: step, CreatedAt: now.UTC(), LastUsedAt: now.UTC()}
	if err := tx.PutTOTP(t); err != nil {
		return err
	}
	// What the API has set up and nobody has used is not theirs beside it.
	if err := dropUnconfirmed(tx, user, by, now); err != nil {
		return err
	}
	return record(tx, audit.FactorEnrolled, user, "totp", "", by, now)
}

// UseTOTP judges a code of the user's authenticator app; each code is accepted once. The
// error wraps [ErrNone] or [ErrWrong]. Attempts are counted by the caller before, or by
// [Backoff.Try].
func UseTOTP(tx Tx, box Sealer, user tenancy.UserID, code string, now time.Time) error {
	t, err := tx.TOTP(user)
	if errors.Is(err, tenancy.ErrNotFound) {
		return ErrNone
	}
	if err != nil {
		return err
	}
	secret, err := box.Open(totpPurpose, string(user), t.Secret)
	if err != nil {
		return fmt.Errorf("authenticator app: %w", err)
	}
	step, ok := matchTOTP(string(secret), code, t.Step, now)
	if !ok {
		return ErrWrong
	}
	t.Step, t.LastUsedAt = step, now.UTC()
	t.Secret = box.Seal(totpPurpose, string(user), secret) // under the key that seals now
	return tx.PutTOTP(t)
}

// SpentBy returns t as it is when every code that anybody can have used until now is used.
// It is for a restored copy, which does not know which ones were.
func (t TOTP) SpentBy(now time.Time) TOTP {
	t.Step = max(t.Step, now.Unix()/totpPeriod+totpWindow)
	return t
}

// RemoveTOTP removes the authenticator app. Removing what is not there is nothing.
func RemoveTOTP(tx Tx, user tenancy.UserID, by audit.Actor, now time.Time) error {
	switch _, err := tx.TOTP(user); {
	case errors.Is(err, tenancy.ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	if err := tx.DeleteTOTP(user); err != nil {
		return err
	}
	if err := record(tx, audit.FactorRemoved, user, "totp", "", by, now); err != nil {
		return err
	}
	return dropOrphanedCodes(tx, user, by, now)
}
