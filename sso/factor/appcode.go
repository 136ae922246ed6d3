package factor

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/id"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/tenancy"
)

const appCodePurpose = "e-mail code of an app"

// NewAppCode makes a code that an app asks for by the API, to be mailed to email, for the user. The
// person types it in the app, which passes it on: so there is no browser that it is bound to, and
// whoever asks must be trusted with all users. About is what it is for besides.
//
// The one that the user had for the same is gone: of one user and purpose, one is live. How many may be made
// is for [MaySend] to say, which the caller asks before. The code is returned too, and is in no event.
func NewAppCode(tx Tx, box Sealer, p Purpose, user tenancy.UserID, email, about string, by audit.Actor, now time.Time) (c EmailCode, code string, err error) {
	if err := checkUser(tx, user); err != nil {
		return EmailCode{}, "", err
	}
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
	if err != nil {
		return EmailCode{}, "", err
	}
	if err := endAppCode(tx, p, user); err != nil {
		return EmailCode{}, "", err
	}
	code = fmt.Sprintf("%0*d", codeDigits, n)
	c = EmailCode{
		ID: id.New(p.prefix(), now), Purpose: p, Email: email, About: about, Browser: NoBrowser(),
		CreatedAt: now.UTC(), ExpiresAt: now.UTC().Add(EmailCodeLife), App: true, User: user,
	}
	c.Sealed = box.Seal(appCodePurpose, c.sealedAbout(), []byte(code))
	if err := tx.PutEmailCode(c); err != nil {
		return EmailCode{}, "", err
	}
	return c, code, RecordCode(tx, c, user, by, now)
}

// NoBrowser is in the place of a browser's hash.
func NoBrowser() session.Hash { return sha256.Sum256([]byte("a code that an app asked for")) }

// sealedAbout binds the sealed code to its row.
func (c EmailCode) sealedAbout() string {
	return fmt.Sprintf("%q %q %q %q %q", c.ID, c.Purpose, c.User, c.Email, c.About)
}

// endAppCode deletes the code of an app, if there is one.
func endAppCode(tx Tx, p Purpose, user tenancy.UserID) error {
	c, err := tx.AppCode(p, user)
	if errors.Is(err, tenancy.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return tx.DeleteEmailCode(c.ID)
}

// EndAppCodes deletes all codes that apps have asked for, for a user who is to be deleted: they hold the address.
func EndAppCodes(tx Tx, user tenancy.UserID) error {
	for _, p := range []Purpose{ForMagicAuth, ForVerification, ForEmailChange} {
		if err := endAppCode(tx, p, user); err != nil {
			return err
		}
	}
	return nil
}

// spent says why a code of an app can't be used; nil: it can.
func (c EmailCode) spent(now time.Time) error {
	switch {
	case !c.UsedAt.IsZero():
		return ErrCodeUsed
	case c.Tries >= EmailCodeTries:
		return ErrCodeTries
	case !now.Before(c.ExpiresAt):
		return ErrCodeExpired
	default:
		return nil
	}
}

// UseAppCode judges what a person typed in an app as the code of that purpose, once. Refused wraps
// [ErrNone] if no code was asked for, [ErrWrong], or one of those that wrap [ErrSpent]; or it is a
// [*WaitError], and then nothing was judged. The transaction must be committed whatever it is.
//
// It proves that the person reads the mail to Code.Email. What that is good for, and that what strangers
// planted in an account is thrown out when its address is first proved ([tenancy.SignInByAddress], [Cleanse]),
// is for the caller.
func UseAppCode(tx Tx, box Sealer, p Purpose, u tenancy.User, typed string, now time.Time) (Judged, error) {
	refused := func(why error) (Judged, error) { return Judged{Refused: why}, nil }
	if wait, err := triesByAPI(string(p)).Take(tx, string(u.ID), now); err != nil {
		return Judged{}, err
	} else if wait > 0 {
		return refused(&WaitError{wait})
	}
	if wait, err := GuessesByStrangers().Take(tx, u.Email, now); err != nil {
		return Judged{}, err
	} else if wait > 0 {
		return refused(&WaitError{wait})
	}
	c, err := tx.AppCode(p, u.ID)
	if errors.Is(err, tenancy.ErrNotFound) {
		return refused(ErrNone)
	}
	if err != nil {
		return Judged{}, err
	}
	if why := c.spent(now); why != nil {
		return Judged{Code: c, Refused: why}, nil //nolint:nilerr // an answer, and no error of the transaction
	}
	if p != ForEmailChange && c.Email != u.Email { // it is another's address by now, or nobody's
		return Judged{Code: c, Refused: ErrSpent}, nil
	}
	want, err := box.Open(appCodePurpose, c.sealedAbout(), c.Sealed)
	if err != nil {
		return Judged{}, fmt.Errorf("%s: %w", c.ID, err)
	}
	c.Tries++
	right := subtle.ConstantTimeCompare(want, []byte(normalizeCode(typed))) == 1
	if right {
		c.UsedAt = now.UTC()
	}
	if !c.Live() {
		c.Sealed = nil
	}
	if err := tx.PutEmailCode(c); err != nil {
		return Judged{}, err
	}
	switch {
	case right:
		return Judged{Code: c}, nil
	case !c.Live():
		return Judged{Code: c, Refused: ErrCodeTries}, nil
	default:
		return Judged{Code: c, Refused: ErrWrong}, nil
	}
}

// RevealAppCode returns the code of an app, as long as it may be used, and "" after that. It is for an app that
// mails codes itself, after it has heard of one by its event.
func RevealAppCode(box Sealer, c EmailCode, now time.Time) (string, error) {
	if !c.App || c.spent(now) != nil {
		return "", nil //nolint:nilerr // that it is spent is no error here
	}
	code, err := box.Open(appCodePurpose, c.sealedAbout(), c.Sealed)
	if err != nil {
		return "", fmt.Errorf("%s: %w", c.ID, err)
	}
	return string(code), nil
}

// A CodeObject is a code as the API shows it, without the code itself. Events have it as their data.
type CodeObject struct {
	Object    string         `json:"object"`
	ID        string         `json:"id"`
	User      tenancy.UserID `json:"user_id,omitzero"`
	Email     string         `json:"email"`
	ExpiresAt time.Time      `json:"expires_at"`
	CreatedAt time.Time      `json:"created_at"`
	UpdatedAt time.Time      `json:"updated_at"`
}

// ShowCode shows a code that was asked for, of the pages or of an app; user is whose address it went to.
func ShowCode(c EmailCode, user tenancy.UserID) CodeObject {
	o := CodeObject{Object: c.Purpose.prefix(), ID: c.ID, User: user, Email: c.Email, ExpiresAt: c.ExpiresAt, CreatedAt: c.CreatedAt, UpdatedAt: c.CreatedAt}
	if !c.UsedAt.IsZero() {
		o.UpdatedAt = c.UsedAt
	}
	return o
}

// AsReset returns what a code of [ForPasswordReset] lets the person do who typed it.
func (c EmailCode) AsReset(user tenancy.UserID) Reset {
	return Reset{ID: c.ID, User: user, Email: c.Email, CreatedAt: c.CreatedAt, ExpiresAt: c.ExpiresAt, UsedAt: c.UsedAt}
}

// RecordCode tells that a code was made for the address of the user; without a user, under the name that is for
// addresses of nobody.
func RecordCode(tx audit.Tx, c EmailCode, user tenancy.UserID, by audit.Actor, now time.Time) error {
	var name string
	var data any = ShowCode(c, user)
	switch c.Purpose {
	case ForSignIn, ForMagicAuth, ForSocialLink:
		if name = audit.MagicAuthCreated; user == "" {
			name = audit.MagicAuthForNobody
		}
	case ForProfile: // whoever has an account with the address is no part of it
		name, user = audit.MagicAuthForNobody, ""
		data = ShowCode(c, "")
	case ForPasswordReset:
		if name = audit.PasswordResetCreated; user == "" {
			name = audit.PasswordResetForNobody
		}
		data = ShowReset(c.AsReset(user))
	case ForVerification:
		name = audit.EmailVerificationCreated
	case ForEmailChange:
		name = audit.EmailChangeCreated
	default:
		return fmt.Errorf("code for %q: there is no event of it", c.Purpose)
	}
	e := audit.New(name, by, now)
	e.User = string(user)
	return audit.Record(tx, e, data)
}
