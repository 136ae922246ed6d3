package factor

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/orgate/orgate/internal/id"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/tenancy"
)

const (
	// EmailCodeLife is how long an e-mail code may be used.
	EmailCodeLife = 10 * time.Minute
	// EmailCodeTries is how many wrong codes end it.
	EmailCodeTries = 5
	codeDigits     = 6
)

// NewEmailCode makes a code for an address, good in the browser that has the secret. It
// returns the code itself too, which is for the mail and nothing else. The code that this
// browser had for the same is used up: who asks ten times has one code, not ten.
//
// How many may be made is for [Bucket] to say: a new code has new tries.
func NewEmailCode(tx Tx, p Purpose, email, about string, browser session.Token, now time.Time) (c EmailCode, code string, err error) {
	if browser == (session.Token{}) {
		return EmailCode{}, "", errors.New("e-mail code for no browser")
	}
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
	if err != nil {
		return EmailCode{}, "", err
	}
	if err := endEmailCode(tx, p, email, browser, now); err != nil {
		return EmailCode{}, "", err
	}
	code = fmt.Sprintf("%0*d", codeDigits, n)
	c = EmailCode{
		ID: id.New(p.prefix(), now), Purpose: p, Email: email, About: about, Browser: browser.Hash(),
		CreatedAt: now.UTC(), ExpiresAt: now.UTC().Add(EmailCodeLife),
	}
	c.Sum = c.sum(browser, code)
	if err := tx.PutEmailCode(c); err != nil {
		return EmailCode{}, "", err
	}
	return c, code, nil
}

// prefix is that of the ids of codes: what the API has a name for is called so.
func (p Purpose) prefix() string {
	switch p {
	case ForSignIn, ForMagicAuth, ForSocialLink, ForProfile:
		return "magic_auth"
	case ForPasswordReset:
		return resetPrefix
	case ForVerification, ForEmailChange:
		return string(p)
	default:
		return "email_code"
	}
}

// endEmailCode uses up the code that is live, if there is one.
func endEmailCode(tx Tx, p Purpose, email string, browser session.Token, now time.Time) error {
	c, err := tx.LiveEmailCode(browser.Hash(), p, email)
	if errors.Is(err, tenancy.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	c.UsedAt = now.UTC()
	return tx.PutEmailCode(c)
}

// Live reports whether the code is not used up; it may be too old all the same.
func (c EmailCode) Live() bool { return c.UsedAt.IsZero() && c.Tries < EmailCodeTries }

// sum is the hash of a code under the secret of a browser. The rest of the row is hashed
// too: a sum is good for its own row only.
func (c EmailCode) sum(browser session.Token, code string) (h session.Hash) {
	mac := hmac.New(sha256.New, []byte(browser.Reveal()))
	fmt.Fprintf(mac, "%q %q %q %q %q", c.ID, c.Purpose, c.Email, c.About, code)
	mac.Sum(h[:0])
	return h
}

// A Judged is what became of a code. Refused is nil if it is right, and wraps [ErrWrong] or
// [ErrSpent] otherwise; it is no error of the transaction, which must be committed all the
// same, since the try is counted in it.
type Judged struct {
	Code    EmailCode
	Refused error
}

// UseEmailCode judges what somebody typed for the code of that id, in the browser that
// asked, once. For another purpose, and in another browser, there is no such code: nothing
// is counted and nothing told, or whoever got to know an id could use up its tries.
func UseEmailCode(tx Tx, id string, p Purpose, browser session.Token, typed string, now time.Time) (Judged, error) {
	c, err := tx.EmailCode(id)
	if errors.Is(err, tenancy.ErrNotFound) {
		return Judged{Refused: ErrSpent}, nil
	}
	if err != nil {
		return Judged{}, err
	}
	asked := browser.Hash()
	if c.Purpose != p || !hmac.Equal(c.Browser[:], asked[:]) || !c.Live() || !now.Before(c.ExpiresAt) {
		return Judged{Refused: ErrSpent}, nil
	}
	c.Tries++
	want, got := c.Sum, c.sum(browser, normalizeCode(typed))
	right := hmac.Equal(want[:], got[:])
	if right {
		c.UsedAt = now.UTC()
	}
	if err := tx.PutEmailCode(c); err != nil {
		return Judged{}, err
	}
	switch {
	case right:
		return Judged{Code: c}, nil
	case !c.Live():
		return Judged{Refused: fmt.Errorf("%w: that was the last try", ErrSpent)}, nil
	default:
		return Judged{Refused: ErrWrong}, nil
	}
}

// maxTyped is how much of what is typed for a code is looked at, in bytes.
const maxTyped = 64

// normalizeCode drops what people and their mail programs put between the characters of a
// code, and reads full-width ones, as some keyboards type them.
func normalizeCode(s string) string {
	if len(s) > maxTyped {
		return ""
	}
	return strings.Map(func(c rune) rune {
		if unicode.In(c, unicode.White_Space, unicode.Pd, unicode.Cf) {
			return -1
		}
		return c
	}, norm.NFKC.String(s))
}
