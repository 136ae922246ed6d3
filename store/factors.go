package store

import (
	"fmt"
	"iter"
	"time"

	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/tenancy"
)

func passwords() table[factor.Password] {
	return table[factor.Password]{
		kind: kindPassword, name: "password",
		fields: func(p factor.Password) []string { return []string{string(p.User)} },
	}
}

func totps() table[factor.TOTP] {
	return table[factor.TOTP]{
		kind: kindTOTP, name: "authenticator app",
		fields:  func(t factor.TOTP) []string { return []string{string(t.User)} },
		indexes: func(t factor.TOTP) []index { return []index{{kindFactorByID, []string{t.FactorID()}, false}} },
	}
}

func recoveryCodes() table[factor.RecoveryCodes] {
	return table[factor.RecoveryCodes]{
		kind: kindRecoveryCodes, name: "recovery codes",
		fields: func(r factor.RecoveryCodes) []string { return []string{string(r.User)} },
	}
}

func passkeys() table[factor.Passkey] {
	return table[factor.Passkey]{
		kind: kindPasskey, name: "passkey",
		fields: func(p factor.Passkey) []string { return []string{p.ID} },
		indexes: func(p factor.Passkey) []index {
			return []index{{kindPasskeyByUser, []string{string(p.User), p.ID}, false}, {kindFactorByID, []string{p.FactorID()}, false}}
		},
	}
}

func emailCodes() table[factor.EmailCode] {
	return table[factor.EmailCode]{
		kind: kindEmailCode, name: "e-mail code",
		fields: func(c factor.EmailCode) []string { return []string{c.ID} },
		indexes: func(c factor.EmailCode) []index {
			if c.App {
				return []index{{kindLiveEmailCode, []string{c.Browser.String(), string(c.Purpose), string(c.User)}, true}}
			}
			if !c.Live() {
				return nil
			}
			return []index{{kindLiveEmailCode, []string{c.Browser.String(), string(c.Purpose), c.Email}, true}}
		},
		expires: func(c factor.EmailCode) time.Time {
			if c.App {
				return c.ExpiresAt.Add(afterlife)
			}
			return c.ExpiresAt
		},
	}
}

func counters() table[factor.Counter] {
	return table[factor.Counter]{
		kind: kindCounter, name: "counter",
		fields:  func(c factor.Counter) []string { return []string{c.Scope, c.Name} },
		expires: func(c factor.Counter) time.Time { return c.ExpiresAt },
	}
}

func (t *tx) Enrolled(user tenancy.UserID) (policy.Methods, error) { return factor.Enrolled(t, user) }

func (t *tx) Password(user tenancy.UserID) (factor.Password, error) {
	return get(t, passwords(), string(user))
}

func (t *tx) PutPassword(p factor.Password) error { return put(t, passwords(), p) }

func (t *tx) DeletePassword(user tenancy.UserID) error { return remove(t, passwords(), string(user)) }

func (t *tx) TOTP(user tenancy.UserID) (factor.TOTP, error) { return get(t, totps(), string(user)) }

func (t *tx) PutTOTP(v factor.TOTP) error { return put(t, totps(), v) }

func (t *tx) DeleteTOTP(user tenancy.UserID) error { return remove(t, totps(), string(user)) }

func (t *tx) RecoveryCodes(user tenancy.UserID) (factor.RecoveryCodes, error) {
	return get(t, recoveryCodes(), string(user))
}

func (t *tx) PutRecoveryCodes(r factor.RecoveryCodes) error { return put(t, recoveryCodes(), r) }

func (t *tx) DeleteRecoveryCodes(user tenancy.UserID) error {
	return remove(t, recoveryCodes(), string(user))
}

func (t *tx) Passkey(id string) (factor.Passkey, error) { return get(t, passkeys(), id) }

func (t *tx) Passkeys(user tenancy.UserID) iter.Seq2[factor.Passkey, error] {
	return findAll(t, passkeys(), kindPasskeyByUser, string(user))
}

func (t *tx) PutPasskey(p factor.Passkey) error { return put(t, passkeys(), p) }

func (t *tx) DeletePasskey(id string) error { return remove(t, passkeys(), id) }

func (t *tx) EmailCode(id string) (factor.EmailCode, error) { return get(t, emailCodes(), id) }

func (t *tx) LiveEmailCode(browser session.Hash, p factor.Purpose, email string) (factor.EmailCode, error) {
	return find(t, emailCodes(), kindLiveEmailCode, browser.String(), string(p), email)
}

func (t *tx) PutEmailCode(c factor.EmailCode) error {
	if c.Browser == (session.Hash{}) || c.Sum == (session.Hash{}) && !c.App {
		return fmt.Errorf("e-mail code: %w", errNoToken)
	}
	return put(t, emailCodes(), c)
}

func (t *tx) Counter(scope, name string) (factor.Counter, error) {
	return get(t, counters(), scope, name)
}

func (t *tx) PutCounter(c factor.Counter) error { return put(t, counters(), c) }

func (t *tx) DeleteCounter(scope, name string) error { return remove(t, counters(), scope, name) }
