package api

import (
	"cmp"
	"errors"
	"iter"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/orgate/orgate/internal/mail"
	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// A factorObject is a factor as the reference has it.
type factorObject struct {
	Object    string         `json:"object"`
	ID        string         `json:"id"`
	Type      string         `json:"type"`
	User      tenancy.UserID `json:"user_id,omitzero"`
	TOTP      *totpObject    `json:"totp,omitzero"`
	CreatedAt time.Time      `json:"created_at"`
	UpdatedAt time.Time      `json:"updated_at"`
}

// A totpObject is an authenticator app. Secret, QRCode and URI are there in the answer to setting it up, and never
// again.
type totpObject struct {
	Issuer string `json:"issuer"`
	User   string `json:"user"`
	Secret string `json:"secret,omitzero"`
	QRCode string `json:"qr_code,omitzero"`
	URI    string `json:"uri,omitzero"`
}

type challengeObject struct {
	Object    string    `json:"object"`
	ID        string    `json:"id"`
	ExpiresAt time.Time `json:"expires_at"`
	Factor    string    `json:"authentication_factor_id"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

func showChallenge(x factor.Challenge) challengeObject {
	return challengeObject{"authentication_challenge", x.ID, x.ExpiresAt, x.Factor, x.CreatedAt, x.UpdatedAt}
}

// showFactor shows a factor. What an authenticator app that was set up on the pages shows is known: the login host, and the address.
func (c *call) showFactor(tx store.Tx, f factor.Shown) (factorObject, error) {
	o := factorObject{Object: "authentication_factor", ID: f.ID, Type: f.Type, User: f.User, CreatedAt: f.CreatedAt, UpdatedAt: f.CreatedAt}
	if f.Type != "totp" {
		return o, nil
	}
	account := f.Account
	if account == "" {
		u, err := tx.User(f.User)
		if err != nil {
			return o, err
		}
		account = u.Email
	}
	o.TOTP = &totpObject{Issuer: cmp.Or(f.Issuer, c.api.PublicURL().Hostname()), User: account}
	return o, nil
}

// showWithSecret shows a factor that was just set up.
func (c *call) showWithSecret(tx store.Tx, id, secret string) (factorObject, error) {
	f, err := factor.ByID(tx, id)
	if err != nil {
		return factorObject{}, err
	}
	o, err := c.showFactor(tx, f)
	if err != nil {
		return o, err
	}
	o.TOTP.Secret, o.TOTP.URI = secret, factor.TOTPURL(secret, o.TOTP.Issuer, o.TOTP.User)
	o.TOTP.QRCode, err = factor.QRCode(o.TOTP.URI)
	return o, err
}

// factorError says what went wrong with a factor.
func factorError(err error, id string) error {
	if w, ok := errors.AsType[*factor.WaitError](err); ok {
		return tooMany(max(1, int(math.Ceil(w.Wait.Seconds()))))
	}
	switch {
	case errors.Is(err, factor.ErrNone):
		return notFound("Authentication factor", id)
	case errors.Is(err, factor.ErrExists):
		return &Error{
			Status: http.StatusConflict, Code: "authentication_factor_already_exists", Err: err,
			Message: "The user has an authenticator app, and it is not replaced. Delete that factor first, or have the user do so on the account page.",
		}
	case errors.Is(err, factor.ErrNotByAPI):
		return invalid(Fault{"not_supported", "id", "a passkey is proved in the browser, on the sign-in pages, and can't be challenged here"})
	}
	return err
}

// maxLabel is how long what an authenticator app shows may be, in bytes.
const maxLabel = 128

// label reads what an authenticator app is to show.
func label(b body, name string, needed bool) string {
	s := ""
	if needed {
		s = b.required(name)
	} else if t := b.text(name); t != nil {
		s = *t
	}
	if len(s) > maxLabel || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		b.fault("invalid", name, "must be one line of up to 128 bytes")
	}
	return s
}

// onlyTOTP reads the type of a factor.
func onlyTOTP(b body) {
	switch kind := b.required("type"); kind {
	case "", "totp":
	case "sms", "generic_otp":
		b.fault("not_supported", "type", "is not offered: only totp is, as codes by SMS are intercepted")
	default:
		b.fault("invalid", "type", "must be totp")
	}
}

func (a *API) enrollFactor(c *call) error {
	if err := errors.Join(c.noQuery(), c.everywhere()); err != nil {
		return err
	}
	b, err := c.body()
	if err != nil {
		return err
	}
	onlyTOTP(b)
	n := factor.NewFactor{Issuer: label(b, "totp_issuer", true), Account: label(b, "totp_user", true)}
	if s := b.text("user_id"); s != nil {
		n.User = tenancy.UserID(*s)
	}
	b.unsupported("phone_number")
	if err := b.done(); err != nil {
		return err
	}
	return c.postSecret(http.StatusCreated, func(tx store.Tx) (any, error) {
		if n.User != "" {
			if _, err := c.wholeUser(tx, n.User); err != nil {
				return nil, err
			}
		}
		id, secret, err := factor.EnrollByAPI(tx, c.box(), n, c.by, c.now)
		if err != nil {
			return nil, factorError(err, "")
		}
		return c.showWithSecret(tx, id, secret)
	})
}

func (a *API) enrollFactorOfUser(c *call) error {
	if err := c.noQuery(); err != nil {
		return err
	}
	b, err := c.body()
	if err != nil {
		return err
	}
	onlyTOTP(b)
	n := factor.NewFactor{User: tenancy.UserID(c.r.PathValue("userlandUserId")), Issuer: label(b, "totp_issuer", false), Account: label(b, "totp_user", false)}
	if s := b.text("totp_secret"); s != nil {
		if n.Secret, err = factor.ParseTOTPSecret(*s); err != nil {
			b.fault("invalid", "totp_secret", "must be a secret in base32 of 16 to 64 bytes")
		}
	}
	if err := b.done(); err != nil {
		return err
	}
	return c.postSecret(http.StatusCreated, func(tx store.Tx) (any, error) {
		u, err := c.wholeUser(tx, n.User)
		if err != nil {
			return nil, err
		}
		id, secret, err := factor.EnrollByAPI(tx, c.box(), n, c.by, c.now)
		if err != nil {
			return nil, factorError(err, "")
		}
		var answer struct {
			Factor    factorObject    `json:"authentication_factor"`
			Challenge challengeObject `json:"authentication_challenge"`
		}
		if answer.Factor, err = c.showWithSecret(tx, id, secret); err != nil {
			return nil, err
		}
		x, err := factor.NewChallenge(tx, id, c.now)
		if err != nil {
			return nil, err
		}
		answer.Challenge = showChallenge(x)
		if n.Secret != "" {
			return answer, c.notify(tx, u, mail.FactorAdded{Host: c.api.PublicURL().Host, Factor: mail.AuthenticatorApp})
		}
		return answer, nil
	})
}

func (a *API) listFactors(c *call) error {
	q := c.query()
	p := q.page("auth_factor", descending)
	if err := q.done(); err != nil {
		return err
	}
	user := tenancy.UserID(c.r.PathValue("userlandUserId"))
	var e envelope[factorObject]
	return c.viewed(&e, func(tx store.Tx) error {
		if _, err := c.wholeUser(tx, user); err != nil {
			return err
		}
		all, err := factor.Of(tx, user)
		if err != nil {
			return err
		}
		e, err = listPage(p, source[factor.Shown]{from: sorted(all, func(f factor.Shown) string { return f.ID }), id: func(f factor.Shown) string { return f.ID }},
			func(f factor.Shown) (factorObject, error) { return c.showFactor(tx, f) })
		return err
	})
}

// sorted is a short list that is read as a long one is, by its ids.
func sorted[T any](all []T, id func(T) string) func(tenancy.Place) iter.Seq2[T, error] {
	slices.SortFunc(all, func(x, y T) int { return strings.Compare(id(x), id(y)) })
	return func(at tenancy.Place) iter.Seq2[T, error] {
		return func(yield func(T, error) bool) {
			list := all
			if at.Backward {
				list = slices.Clone(all)
				slices.Reverse(list)
			}
			for _, x := range list {
				beyond := at.Past == "" || !at.Backward && id(x) > at.Past || at.Backward && id(x) < at.Past
				if beyond && !yield(x, nil) {
					return
				}
			}
		}
	}
}

func (a *API) getFactor(c *call) error {
	if err := errors.Join(c.noQuery(), c.everywhere()); err != nil {
		return err
	}
	id := c.r.PathValue("id")
	var shown factorObject
	return c.viewed(&shown, func(tx store.Tx) error {
		f, err := factor.ByID(tx, id)
		if err != nil {
			return factorError(err, id)
		}
		shown, err = c.showFactor(tx, f)
		return err
	})
}

func (a *API) deleteFactor(c *call) error {
	if err := errors.Join(c.noQuery(), c.everywhere()); err != nil {
		return err
	}
	id := c.r.PathValue("id")
	return c.dropped(func(tx store.Tx) error {
		f, err := factor.RemoveByID(tx, id, c.by, c.now)
		if err != nil {
			return factorError(err, id)
		}
		if f.User == "" || f.Unconfirmed {
			return nil
		}
		u, err := tx.User(f.User)
		if err != nil {
			return err
		}
		kind := mail.AuthenticatorApp
		if f.Passkey != "" {
			kind = mail.Passkey
		}
		return c.notify(tx, u, mail.FactorRemoved{Host: c.api.PublicURL().Host, Factor: kind})
	})
}

func (a *API) challengeFactor(c *call) error {
	if err := errors.Join(c.noQuery(), c.everywhere()); err != nil {
		return err
	}
	b, err := c.body()
	if err != nil {
		return err
	}
	b.unsupported("sms_template")
	if err := b.done(); err != nil {
		return err
	}
	id := c.r.PathValue("id")
	return c.post(http.StatusCreated, func(tx store.Tx) (any, error) {
		x, err := factor.NewChallenge(tx, id, c.now)
		if err != nil {
			return nil, factorError(err, id)
		}
		return showChallenge(x), nil
	})
}
