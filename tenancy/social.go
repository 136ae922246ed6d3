package tenancy

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// A SocialAssertion is what a social provider said of a person, verified. A social provider is
// the installation's: it speaks for no organization, and its word on an address is worth what the
// operator says.
type SocialAssertion struct {
	Provider string // its name in sign_in.social
	Subject  string
	Email    string // as the provider wrote it; parsed here
	// EmailVerified is the provider's own word; nil: it says nothing.
	EmailVerified *bool
	Name          string
}

// SocialConnection is what stands for a social provider where a connection is named: in
// [Identity], in a session's proof, and in what is known of the provider's session. The
// organization beside it is empty. No organization's connection is called so.
func SocialConnection(provider string) ConnectionID { return ConnectionID("social:" + provider) }

// SocialProvider returns the provider that a connection stands for; ok is false for a connection
// of an organization.
func SocialProvider(c ConnectionID) (provider string, ok bool) {
	return strings.CutPrefix(string(c), string(SocialConnection("")))
}

// A SocialArrival is the outcome of [SocialSignIn].
type SocialArrival struct {
	SignedIn
	// NeedsAddressProof: nobody is known by this identity, and nothing was written. A code
	// sent to Email proves the address; then [SignInByAddress] and [LinkSocial] follow, in one
	// transaction. The code must be for this very identity (a factor.EmailCode's About), or
	// one proof would link whatever identity comes next.
	NeedsAddressProof bool
	Email             string
}

// SocialSignIn finds the user of a social provider's subject. An identity that nobody is known
// by leads to an account only by a proof of its address: a code, or the provider's
// word that it has verified it, if the operator trusts the provider and nobody else has a
// say in the address: it is not on a verified domain of any organization, no organization's
// provider has ever spoken for its user, and the user is not known there under another
// subject (a recycled address).
//
// The errors are those of [SignInByAddress], [ErrEmailUnproved] if the provider says itself that
// the address is not verified, and [ErrNotVouched] if it says none. Whether there is an account is no part
// of the answer until the address is proved.
func SocialSignIn(tx Tx, r Rules, a SocialAssertion, trusted bool, now time.Time) (SocialArrival, error) {
	now = now.UTC()
	if err := a.check(); err != nil {
		return SocialArrival{}, err
	}
	email, err := ParseEmail(a.Email)
	if err != nil {
		email = "" // no address that we know, and it proves nothing
	}
	switch i, err := tx.Identity(SocialConnection(a.Provider), a.Subject); {
	case err == nil:
		return recognizeSocial(tx, i, email, now)
	case !errors.Is(err, ErrNotFound):
		return SocialArrival{}, err
	case email == "":
		return SocialArrival{}, fmt.Errorf("social provider sent no usable address: %w", ErrNotVouched)
	case a.EmailVerified != nil && !*a.EmailVerified:
		return SocialArrival{}, ErrEmailUnproved
	}
	if trusted && a.EmailVerified != nil {
		free, err := freeAddress(tx, SocialConnection(a.Provider), email)
		if err != nil {
			return SocialArrival{}, err
		}
		if free {
			in, err := arriveByAddress(tx, r, email, a.Name, now)
			if err != nil {
				return SocialArrival{}, err
			}
			return SocialArrival{SignedIn: in, Email: email}, LinkSocial(tx, in.User.ID, a, now)
		}
	}
	return SocialArrival{NeedsAddressProof: true, Email: email}, nil
}

// SocialAddress returns the address that a social provider says that somebody has, and whether it is proved without a
// code: for an app that is told of the person and makes a user of nobody here. Nothing is written.
//
// It is proved to whoever has it verified here and is known by this very identity; but if it is on a verified domain,
// not by an identity that was linked before the domain was its owner's: the address may have been another person's then
// (attack 79). Or the operator trusts the provider, as for [SocialSignIn]. Else a code that is for this identity proves it.
// The errors are [ErrNotVouched] and [ErrEmailUnproved], and depend on no account.
func SocialAddress(tx Tx, a SocialAssertion, trusted bool) (email string, proved bool, err error) {
	if err := a.check(); err != nil {
		return "", false, err
	}
	if email, err = ParseEmail(a.Email); err != nil {
		return "", false, fmt.Errorf("social provider sent no usable address: %w", ErrNotVouched)
	}
	if a.EmailVerified != nil && !*a.EmailVerified {
		return "", false, ErrEmailUnproved
	}
	if proved, err = knownBy(tx, SocialConnection(a.Provider), a.Subject, email); err != nil || proved {
		return email, proved, err
	}
	if trusted && a.EmailVerified != nil {
		proved, err = freeAddress(tx, SocialConnection(a.Provider), email)
	}
	return email, proved, err
}

// knownBy reports whether the user of a social identity has proved the address that it comes with: see [SocialAddress].
func knownBy(tx Tx, conn ConnectionID, subject, email string) (bool, error) {
	i, err := tx.Identity(conn, subject)
	if errors.Is(err, ErrNotFound) || err == nil && i.Organization != "" {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	u, err := tx.User(i.User)
	if err != nil || !u.EmailVerified || u.Email != email {
		return false, err
	}
	d, err := tx.VerifiedDomain(EmailDomain(email))
	if errors.Is(err, ErrNotFound) {
		return true, nil
	}
	return err == nil && !i.CreatedAt.Before(d.VerifiedAt), err
}

// LinkSocial keeps a social provider's subject as an identity of the user, who has proved the
// address that the provider says in the same flow. Linking what is linked is nothing. The
// error wraps [ErrTaken] if the subject is another user's, and [ErrEmailUnproved] if the user's
// address never was proved, or is another one.
func LinkSocial(tx Tx, user UserID, a SocialAssertion, now time.Time) error {
	if err := a.check(); err != nil {
		return err
	}
	u, err := tx.User(user)
	if err != nil {
		return err
	}
	email, err := ParseEmail(a.Email)
	if err != nil || !u.EmailVerified || email != u.Email {
		return ErrEmailUnproved
	}
	i, err := tx.Identity(SocialConnection(a.Provider), a.Subject)
	switch {
	case errors.Is(err, ErrNotFound):
		i = Identity{Connection: SocialConnection(a.Provider), Subject: a.Subject, User: user}
	case err != nil:
		return err
	case i.User != user:
		return fmt.Errorf("identity: %w", ErrTaken)
	}
	return keepIdentity(tx, i, email, now.UTC())
}

func (a SocialAssertion) check() error {
	if a.Provider == "" || a.Subject == "" {
		return errors.New("social assertion without a provider or a subject")
	}
	return nil
}

// recognizeSocial is for a subject that is known: its user is found by it, whatever the
// address is now, and what the provider says of the address changes nothing.
func recognizeSocial(tx Tx, i Identity, email string, now time.Time) (SocialArrival, error) {
	if i.Organization != "" {
		return SocialArrival{}, fmt.Errorf("identity: %w", ErrNotFound)
	}
	u, err := tx.User(i.User)
	if err != nil {
		return SocialArrival{}, err
	}
	if !u.EmailVerified { // none is linked before
		return SocialArrival{}, ErrEmailUnproved
	}
	if err := keepArrived(tx, &u, false, now); err != nil {
		return SocialArrival{}, err
	}
	return SocialArrival{SignedIn: SignedIn{User: u}, Email: u.Email}, keepIdentity(tx, i, email, now)
}

// freeAddress reports whether a social provider's word may do for an address: see
// [SocialSignIn].
func freeAddress(tx Tx, conn ConnectionID, email string) (bool, error) {
	if _, owner, err := ownsDomain(tx, "", email); err != nil || owner != "" {
		return false, err
	}
	u, err := tx.UserByEmail(email)
	if errors.Is(err, ErrNotFound) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	if !u.EmailVerified {
		return true, nil // whatever is there is a stranger's, and thrown out
	}
	for i, err := range tx.Identities(u.ID) {
		if err != nil {
			return false, err
		}
		if i.Vouched || i.Connection == conn {
			return false, nil
		}
	}
	return true, nil
}
