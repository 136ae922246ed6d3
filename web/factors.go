package web

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/endpoint"
	"github.com/orgate/orgate/internal/mail"
	"github.com/orgate/orgate/internal/page"
	"github.com/orgate/orgate/internal/signedin"
	"github.com/orgate/orgate/internal/text"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// factors shows what the person signs in with. What is not on offer here, and what they do
// not have, is not shown.
func (s *Server) factors(tx store.Tx, who session.Session, p *page.Account) error {
	have, err := tx.Enrolled(who.User)
	if err != nil {
		return err
	}
	const back = "?next=account"
	u, err := tx.User(who.User)
	if err != nil {
		return err
	}
	switch err := tenancy.MayChangeEmail(tx, u, u.Email); {
	case err == nil && s.mails:
		p.EmailAction = s.base + "/account/email"
	case err != nil && !errors.Is(err, tenancy.ErrDomainOwned):
		return err
	}
	if s.offered.Has(policy.Password) || have.Has(policy.Password) {
		p.Password = &page.AccountPassword{Set: have.Has(policy.Password)}
		if s.offered.Has(policy.Password) {
			p.PasswordAction = s.base + "/sign-in/password/new" + back
		}
	}
	if s.offered.Has(policy.Passkey) {
		p.AddPasskey = s.base + "/sign-in/passkey/new" + back
	}
	for k, err := range tx.Passkeys(who.User) {
		if err != nil {
			return err
		}
		p.Passkeys = append(p.Passkeys, page.AccountPasskey{ID: k.ID, Name: k.Name, Added: text.Moment(k.CreatedAt), LastUsed: text.Moment(k.LastUsedAt)})
	}
	slices.SortFunc(p.Passkeys, func(a, b page.AccountPasskey) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.ID, b.ID))
	})
	p.RenamePasskey, p.RemovePasskey = s.base+"/account/passkeys/rename", s.base+"/account/passkeys/remove"
	if s.offered.Has(policy.TOTP) || have.Has(policy.TOTP) {
		p.TOTP = &page.AccountTOTP{On: have.Has(policy.TOTP)}
		p.TOTPOff = s.base + "/account/app/remove"
		if s.offered.Has(policy.TOTP) {
			p.TOTPOn = s.base + "/sign-in/app/new" + back
		}
	}
	if t, err := tx.TOTP(who.User); err == nil {
		p.TOTP.Since = text.Moment(t.CreatedAt)
	} else if !errors.Is(err, tenancy.ErrNotFound) {
		return err
	}
	if have.Has(policy.TOTP) || have.Has(policy.Passkey) {
		codes, err := tx.RecoveryCodes(who.User)
		if err != nil && !errors.Is(err, tenancy.ErrNotFound) {
			return err
		}
		p.Recovery = &page.AccountRecovery{Left: len(codes.Hashes), Renew: s.base + "/sign-in/recovery-codes" + back}
	}
	return nil
}

// change is a POST that changes something of the person of the session, and leads back to
// the account. A notice, if there is one, is mailed to them.
func (s *Server) change(fields []string, f func(tx store.Tx, who session.Session, field func(string) string, now time.Time) (mail.Composer, error)) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		who, ok := signedin.From(r.Context())
		if !ok {
			return errNoGuard
		}
		if who.ConfinedTo != "" {
			return errConfined()
		}
		form, err := readForm(w, r, fields...)
		if err != nil {
			return err
		}
		err = s.store.Update(r.Context(), func(tx store.Tx) error {
			now := s.now()
			if err := s.still(tx, who, now); err != nil {
				return err
			}
			notice, err := f(tx, who, form.Get, now)
			if err != nil || notice == nil || !s.mails {
				return err
			}
			u, err := tx.User(who.User)
			if err != nil {
				return err
			}
			return s.mail.Put(tx, u.Email, notice, text.Negotiate(r.Header.Get("Accept-Language")), now.Add(noticeLife), now)
		})
		if err != nil {
			return err
		}
		http.Redirect(w, r, "/account", http.StatusSeeOther)
		return nil
	}
}

// still returns an error unless the session that the guard let in is there: who was signed out
// since, perhaps by the person themselves in another browser, changes nothing.
func (s *Server) still(tx store.Tx, who session.Session, now time.Time) error {
	x, err := tx.Session(who.ID)
	if err != nil && !errors.Is(err, tenancy.ErrNotFound) {
		return err
	}
	if err == nil {
		err = x.Alive(s.limits, now)
	}
	if err == nil {
		return nil
	}
	return &endpoint.Error{
		Status: http.StatusUnauthorized, Code: "not_signed_in", Title: text.T("You are not signed in"),
		Text: text.T("This page is about you, so it needs to know who you are."), ActionURL: s.base + "/sign-in", ActionText: text.T("Sign in"), Err: err,
	}
}

// noticeLife is how long a mail that only tells is worth sending.
const noticeLife = 72 * time.Hour

func by(who session.Session) audit.Actor { return audit.Actor{Type: "user", ID: string(who.User)} }

func (s *Server) renamePasskey(tx store.Tx, who session.Session, field func(string) string, now time.Time) (mail.Composer, error) {
	err := factor.RenamePasskey(tx, who.User, field("passkey"), field("name"), now)
	if errors.Is(err, factor.ErrNone) {
		err = nil // as good as one that is not there
	}
	return nil, err
}

func (s *Server) removePasskey(tx store.Tx, who session.Session, field func(string) string, now time.Time) (mail.Composer, error) {
	p, err := tx.Passkey(field("passkey"))
	if errors.Is(err, tenancy.ErrNotFound) || err == nil && p.User != who.User {
		return nil, nil //nolint:nilnil // nothing to do, and nobody to tell
	}
	if err != nil {
		return nil, err
	}
	if err := factor.RemovePasskey(tx, who.User, p.ID, by(who), now); err != nil {
		return nil, err
	}
	return mail.FactorRemoved{Host: s.host, Factor: mail.Passkey}, session.EndProvedBy(tx, who.User, policy.Passkey, who.ID, by(who), now)
}

func (s *Server) removeApp(tx store.Tx, who session.Session, _ func(string) string, now time.Time) (mail.Composer, error) {
	if _, err := tx.TOTP(who.User); errors.Is(err, tenancy.ErrNotFound) {
		return nil, nil //nolint:nilnil // nothing to do, and nobody to tell
	} else if err != nil {
		return nil, err
	}
	if err := factor.RemoveTOTP(tx, who.User, by(who), now); err != nil {
		return nil, err
	}
	return mail.FactorRemoved{Host: s.host, Factor: mail.AuthenticatorApp}, session.EndProvedBy(tx, who.User, policy.TOTP, who.ID, by(who), now)
}

func (s *Server) rename(tx store.Tx, who session.Session, field func(string) string, now time.Time) (mail.Composer, error) {
	_, err := tenancy.RenameUser(tx, who.User, field("name"), by(who), now)
	return nil, err
}
