package tenancy

import (
	"strings"
	"time"
	"unicode"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/id"
)

// What all ways to arrive have in common: by an organization's identity provider ([SignIn]), by
// a proved address ([SignInByAddress]), by a social provider ([SocialSignIn]).

// newUser is a person who has just proved an address.
func newUser(email, name string, now time.Time) User {
	return User{
		ID: UserID(id.New("user", now)), Email: email, EmailVerified: true, Name: cleanName(name),
		LastSignInAt: now, CreatedAt: now, UpdatedAt: now,
	}
}

// vouchedElsewhere reports whether the provider of another organization than org has spoken for
// the user: the domain was that organization's then. Whoever got it since must not get its
// people too, and what they can enter elsewhere (a domain that lapsed and was bought).
func vouchedElsewhere(tx Tx, org OrgID, user UserID) (bool, error) {
	for i, err := range tx.Identities(user) {
		if err != nil {
			return false, err
		}
		if i.Vouched && i.Organization != org {
			return true, nil
		}
	}
	return false, nil
}

// claim is for the person who has proved the address of an account. If nobody had before, a
// stranger may have made it (attack 76): the identities there are, but for the one that the
// person comes by, are removed, and the caller throws out the rest: see [SignedIn].Cleanse.
func claim(tx Tx, u *User, by Identity, now time.Time) (cleanse bool, err error) {
	if u.EmailVerified {
		return false, nil
	}
	var strangers []Identity
	for i, err := range tx.Identities(u.ID) {
		if err != nil {
			return false, err
		}
		if i.Connection != by.Connection || i.Subject != by.Subject {
			strangers = append(strangers, i)
		}
	}
	for _, i := range strangers {
		if err := removeIdentity(tx, i, audit.System, now); err != nil {
			return false, err
		}
	}
	u.EmailVerified = true
	return true, nil
}

func removeIdentity(tx Tx, i Identity, by audit.Actor, now time.Time) error {
	if err := tx.DeleteIdentity(i.Connection, i.Subject); err != nil {
		return err
	}
	return recordIdentity(tx, audit.IdentityRemoved, i, by, now)
}

// keepArrived writes the user who has just arrived.
func keepArrived(tx Tx, u *User, isNew bool, now time.Time) error {
	event, first := audit.UserCreated, u.EmailVerified
	if !isNew {
		old, err := tx.User(u.ID)
		if err != nil {
			return err
		}
		event, first = audit.UserUpdated, u.EmailVerified && !old.EmailVerified
		if same(*u, old) {
			event = "" // that somebody signed in is an event of its own
		} else {
			u.UpdatedAt = now
		}
		u.LastSignInAt = now
	}
	if err := tx.PutUser(*u); err != nil {
		return err
	}
	if event != "" {
		if err := recordUser(tx, event, *u, personally(u.ID), now); err != nil {
			return err
		}
	}
	if !first {
		return nil
	}
	return acceptOpen(tx, u.ID, "", personally(u.ID), now) // who has an account is what the app invites to
}

// keepIdentity writes the identity that somebody arrived by, and what the provider says the
// address is, if it says.
func keepIdentity(tx Tx, i Identity, email string, now time.Time) error {
	linked := i.CreatedAt.IsZero()
	if linked {
		i.CreatedAt = now
	}
	if email != "" {
		i.Email = email
	}
	i.LastUsedAt = now
	if err := tx.PutIdentity(i); err != nil {
		return err
	}
	if linked {
		return recordIdentity(tx, audit.IdentityLinked, i, personally(i.User), now)
	}
	return nil
}

// maxName of a person, in bytes.
const maxPersonName = 256

// cleanName returns what a provider says that a person is called as one line of text.
func cleanName(s string) string {
	s = strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) { // also U+FFFD's cause, and bidi controls
			return -1
		}
		return c
	}, strings.ToValidUTF8(s[:min(len(s), maxPersonName)], ""))
	return strings.TrimSpace(s)
}
