package tenancy

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/id"
)

// EnsureUser returns the user with this address, as ParseEmail returns it, making one whose
// address is not proved yet if there is none. Nobody gets in by that alone: what a stranger
// has planted under such an address is thrown out when its owner first signs in.
func EnsureUser(tx Tx, email string, by audit.Actor, now time.Time) (User, error) {
	u, err := tx.UserByEmail(email)
	if !errors.Is(err, ErrNotFound) {
		return u, err
	}
	u = User{ID: UserID(id.New("user", now)), Email: email, CreatedAt: now, UpdatedAt: now}
	if err := tx.PutUser(u); err != nil {
		return User{}, err
	}
	return u, recordUser(tx, audit.UserCreated, u, by, now)
}

// NewUser makes a user as an administrator says: with the address, which is another's if it returns
// an error wrapping [ErrTaken], and the names, ids and metadata of u.
func NewUser(tx Tx, u User, by audit.Actor, now time.Time) (User, error) {
	email, err := ParseEmail(u.Email)
	if err != nil {
		return User{}, err
	}
	u.ID, u.Email, u.LastSignInAt = UserID(id.New("user", now)), email, time.Time{}
	u.CreatedAt, u.UpdatedAt = now.UTC(), now.UTC()
	u.Name, u.FirstName, u.LastName = cleanName(u.Name), cleanName(u.FirstName), cleanName(u.LastName)
	if u.Name == "" {
		u.Name = u.joinedName()
	}
	if err := checkUserIDs(tx, u); err != nil {
		return User{}, err
	}
	if err := tx.PutUser(u); err != nil {
		return User{}, err
	}
	return u, recordUser(tx, audit.UserCreated, u, by, now)
}

// A UserEdit is what an administrator changes of a user; nil: nothing.
type UserEdit struct {
	Email, Name, FirstName, LastName, ExternalID, Locale *string
	EmailVerified                                        *bool
	// Metadata is merged (see [Metadata.Merge]); ClearMetadata takes all of it away before.
	Metadata      map[string]*string
	ClearMetadata bool
}

// EditUser changes a user as an administrator says. An address that is another one than before is not verified,
// unless it is said so. Nothing is written if nothing changes.
//
// The rules for who changes their own address ([ChangeEmail]) do not bind an administrator.
func EditUser(tx Tx, user UserID, e UserEdit, by audit.Actor, now time.Time) (User, error) {
	return changeUser(tx, user, by, now, func(u *User) error {
		was := *u
		if e.Email != nil {
			email, err := ParseEmail(*e.Email)
			if err != nil {
				return err
			}
			if u.Email = email; email != was.Email {
				u.EmailVerified = false
			}
		}
		if e.EmailVerified != nil {
			u.EmailVerified = *e.EmailVerified
		}
		for _, x := range []struct{ to, from *string }{{&u.FirstName, e.FirstName}, {&u.LastName, e.LastName}, {&u.Name, e.Name}} {
			if x.from != nil {
				*x.to = cleanName(*x.from)
			}
		}
		if e.Name == nil && (u.Name == "" || u.Name == was.joinedName()) {
			u.Name = u.joinedName() // it was made of the others
		}
		if e.ExternalID != nil {
			u.ExternalID = *e.ExternalID
		}
		if e.Locale != nil {
			u.Locale = *e.Locale
		}
		if e.ClearMetadata {
			u.Metadata = nil
		}
		u.Metadata = u.Metadata.Merge(e.Metadata)
		return checkUserIDs(tx, *u)
	})
}

func (u User) joinedName() string { return strings.TrimSpace(u.FirstName + " " + u.LastName) }

// maxLocale is how long a language tag may be.
const maxLocale = 35

// ErrLocale says that a locale is no language tag.
var ErrLocale = errors.New("bad locale")

// checkUserIDs checks what the app keeps at u for itself.
func checkUserIDs(tx Tx, u User) error {
	if strings.ContainsFunc(u.Locale, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	}) || len(u.Locale) > maxLocale {
		return ErrLocale
	}
	if err := errors.Join(u.Metadata.check(), checkExternalID(u.ExternalID)); err != nil || u.ExternalID == "" {
		return err
	}
	switch other, err := tx.UserByExternalID(u.ExternalID); {
	case err == nil && other.ID != u.ID:
		return ErrExternalIDTaken
	case err != nil && !errors.Is(err, ErrNotFound):
		return err
	}
	return nil
}

// RemoveUser deletes a user, who has no memberships any more, and by which identities they are known. Sessions
// and factors must go before: session.RemoveUser, which calls this, and factor.Wipe.
func RemoveUser(tx Tx, user UserID, by audit.Actor, now time.Time) error {
	u, err := tx.User(user)
	if err != nil {
		return err
	}
	for m, err := range tx.Memberships(user) {
		if err != nil {
			return err
		}
		return fmt.Errorf("user is in %s: %w", m.Organization, ErrState)
	}
	if _, err := Unlink(tx, user, by, now); err != nil {
		return err
	}
	if err := forgetInvited(tx, u.Email, by, now); err != nil {
		return err
	}
	if err := tx.DeleteUser(user); err != nil {
		return err
	}
	return recordUser(tx, audit.UserDeleted, u, by, now)
}

// forgetInvited deletes all invitations to an address, of whatever organization and state: with the user goes what
// holds the address, and the events say that they were invited. What is open is revoked before, as it can't be accepted any more.
func forgetInvited(tx Tx, email string, by audit.Actor, now time.Time) error {
	var all []Invitation
	for i, err := range tx.InvitationsAt(email, Place{}) {
		if err != nil {
			return err
		}
		all = append(all, i)
	}
	for _, i := range all {
		if i.State(now) == InvitationPending {
			if _, err := RevokeInvitation(tx, i.ID, by, now); err != nil {
				return err
			}
		}
		if err := tx.DeleteInvitation(i.ID); err != nil {
			return err
		}
	}
	return nil
}

// Unlink forgets by which identities the user is known at identity providers, and returns
// how many there were: the next sign-in that proves the address links anew. An operator
// says thereby that whoever has the address now is the same person.
func Unlink(tx Tx, user UserID, by audit.Actor, now time.Time) (int, error) {
	return unlinkWhere(tx, user, by, now, func(Identity) bool { return true })
}

// UnlinkFrom forgets as whom one provider knows the user.
func UnlinkFrom(tx Tx, user UserID, conn ConnectionID, by audit.Actor, now time.Time) error {
	_, err := unlinkWhere(tx, user, by, now, func(i Identity) bool { return i.Connection == conn })
	return err
}

func unlinkWhere(tx Tx, user UserID, by audit.Actor, now time.Time, which func(Identity) bool) (int, error) {
	var identities []Identity
	for i, err := range tx.Identities(user) {
		if err != nil {
			return 0, err
		}
		if which(i) {
			identities = append(identities, i)
		}
	}
	for _, i := range identities {
		if err := removeIdentity(tx, i, by, now); err != nil {
			return 0, err
		}
	}
	return len(identities), nil
}
