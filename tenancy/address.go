package tenancy

import (
	"errors"
	"time"

	"github.com/orgate/orgate/policy"
)

// Proven is a person who has proved an address: by a code that was sent to it, or by a factor
// of an account whose address was proved before. A factor of an account whose address never
// was proves nothing about it, and is no reason to call [SignInByAddress].
type Proven struct {
	Email string // parsed here
	// Name is what the person is called if the account does not say; may be empty.
	Name string
}

// SignInByAddress finds or makes the user of a proved address (SEMANTICS 1.3.5, 1.5.2). It
// makes no membership: that is for [Join] and [AcceptInvitation]. With Cleanse the caller
// ends all sessions of the user and wipes their factors, in the same transaction: a stranger
// may have set them up.
//
// The error wraps [ErrNotMember] where sign-up is by invitation and nobody has invited the
// address. So it does for an account that was made for it and never used, such as by an
// invitation that was taken back: it is as if there were none, and no page may tell the two
// apart. It wraps [ErrIdentityConflict] if an organization's provider has spoken for the user
// and the domain is not that organization's any more: whoever has it now, here or outside,
// reads its mail, and must not get its people too (attack 79). See [Unlink].
func SignInByAddress(tx Tx, r Rules, p Proven, now time.Time) (SignedIn, error) {
	email, err := ParseEmail(p.Email)
	if err != nil {
		return SignedIn{}, err
	}
	return arriveByAddress(tx, r, email, p.Name, now.UTC())
}

func arriveByAddress(tx Tx, r Rules, email, name string, now time.Time) (SignedIn, error) {
	_, owner, err := ownsDomain(tx, "", email)
	if err != nil {
		return SignedIn{}, err
	}
	u, err := tx.UserByEmail(email)
	known := err == nil
	if err != nil && !errors.Is(err, ErrNotFound) {
		return SignedIn{}, err
	}
	if known {
		elsewhere, err := vouchedElsewhere(tx, owner, u.ID)
		if err != nil {
			return SignedIn{}, err
		}
		if elsewhere {
			return SignedIn{}, ErrIdentityConflict
		}
	}
	if r.InvitationOnly && !u.EmailVerified {
		if ok, err := expected(tx, u.ID, email, owner, now); err != nil {
			return SignedIn{}, err
		} else if !ok {
			return SignedIn{}, ErrNotMember
		}
	}
	out := SignedIn{User: u, NewUser: !known}
	if !known {
		out.User = newUser(email, name, now)
	} else if out.Cleanse, err = claim(tx, &out.User, Identity{}, now); err != nil {
		return SignedIn{}, err
	}
	if name := cleanName(name); out.User.Name == "" || out.Cleanse && name != "" {
		out.User.Name = name
	}
	if err := keepArrived(tx, &out.User, out.NewUser, now); err != nil {
		return SignedIn{}, err
	}
	return out, nil
}

// Expected reports whether somebody who proves this address would have an account, or be
// given one. It is for choosing the words of a mail, which only the owner of the address
// reads; no page may depend on it.
func Expected(tx Tx, r Rules, email string, now time.Time) (bool, error) {
	u, err := tx.UserByEmail(email)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return false, err
	}
	if !r.InvitationOnly || u.EmailVerified {
		return true, nil
	}
	_, owner, err := ownsDomain(tx, "", email)
	if err != nil {
		return false, err
	}
	return expected(tx, u.ID, email, owner, now)
}

// expected reports whether somebody is awaited under an address that nobody has proved yet:
// the domain's owner lets its people join, an organization has made the user a member, or there is an
// invitation that can be accepted. A suspended organization awaits nobody.
func expected(tx Tx, user UserID, email string, owner OrgID, now time.Time) (bool, error) {
	if owner != "" {
		o, err := tx.Organization(owner)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return false, err
		}
		if err == nil {
			if may, err := MayJoin(tx, o, email); may || err != nil {
				return may, err
			}
		}
	}
	if may, err := invited(tx, email, "", now); may || err != nil || user == "" {
		return may, err
	}
	for m, err := range tx.Memberships(user) {
		if err != nil {
			return false, err
		}
		switch m.Status {
		case policy.Active:
		case policy.Pending:
			if may, err := invited(tx, email, m.Organization, now); may || err != nil {
				return may, err
			}
			continue
		default:
			continue
		}
		switch _, err := openOrganization(tx, m.Organization); {
		case err == nil:
			return true, nil
		case !errors.Is(err, ErrNotFound):
			return false, err
		}
	}
	return false, nil
}
