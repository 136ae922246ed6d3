package tenancy

import (
	"errors"
	"fmt"
	"time"

	"github.com/orgate/orgate/policy"
)

// Rules are the installation's settings that joining depends on.
type Rules struct {
	// SingleWorkspace: a user has at most one membership (sign_in.workspaces: single).
	SingleWorkspace bool
	// InvitationOnly: nobody is made a user but by invitation, directory, a verified
	// domain's auto-join or SSO JIT (sign_in.sign_up: invitation).
	InvitationOnly bool
	// DefaultRole of the installation.
	DefaultRole string
}

// An Assertion is what an identity provider said of a person, verified.
type Assertion struct {
	Connection ConnectionID
	// Organization that the connection belongs to.
	Organization OrgID
	Subject      string
	Email        string // as the provider wrote it; parsed here
	// EmailVerified is the provider's own word; nil: it says nothing.
	EmailVerified *bool
	Name          string
	Groups        []string
	// HasGroups: the provider sent a groups claim, even an empty one.
	HasGroups  bool
	Attributes map[string]any // for Membership.Attributes
	// Unasked: the provider began, by a connection that lets it, and the person has said yes.
	Unasked bool
}

// SignedIn is the outcome of [SignIn].
type SignedIn struct {
	User User
	// Membership in the connection's organization; zero: none.
	Membership Membership
	// ConfinedTo is set if the session is good in that organization only.
	ConfinedTo         OrgID
	NewUser, NewMember bool
	// Cleanse: nobody had proved this account's address before, so that a stranger
	// may have made the account and be signed in to it (attack 76). The
	// identities of others are gone; the caller ends all sessions of the user, in
	// the same transaction, before it begins this one.
	Cleanse bool
}

// SignIn finds or makes the user that an assertion is about, keeps the identity, and makes
// or updates the membership in the connection's own organization where its rules say so
// (SEMANTICS 1.3, 1.4). It returns an error wrapping one of ErrNotVouched,
// ErrEmailUnproved, ErrIdentityConflict, ErrSingleWorkspace, ErrNotMember (no account
// is made where sign-up is by invitation and nothing would make a member) and ErrNotFound
// (connection or organization gone, suspended or disabled). A deactivated or pending
// membership is no error here: policy.Decide says what it means.
//
// A known identity is judged anew each time. The provider is trusted, and speaks for the
// person everywhere, if the person's address is on a verified domain of its
// organization and what it says of the address now is too. Otherwise it speaks to its own
// organization alone, and only of somebody who was let in there.
func SignIn(tx Tx, r Rules, a Assertion, now time.Time) (SignedIn, error) {
	if a.Subject == "" {
		return SignedIn{}, errors.New("assertion without a subject")
	}
	org, err := openConnection(tx, a.Organization, a.Connection)
	if err != nil {
		return SignedIn{}, err
	}
	s := arrival{tx: tx, rules: r, a: a, org: org, now: now.UTC()}
	if err := s.readEmail(); err != nil {
		return SignedIn{}, err
	}

	identity, err := tx.Identity(a.Connection, a.Subject)
	switch {
	case errors.Is(err, ErrNotFound):
		err = s.meet()
	case err != nil:
	case identity.Organization != a.Organization:
		err = fmt.Errorf("identity: %w", ErrNotFound)
	default:
		s.identity = identity
		err = s.recognize()
	}
	if err != nil {
		return SignedIn{}, err
	}
	if s.trusted {
		err = s.trust()
	}
	if err == nil {
		err = s.keep()
	}
	if err == nil {
		err = s.admit()
	}
	if err != nil {
		return SignedIn{}, err
	}
	if !s.trusted {
		s.out.ConfinedTo = org.ID
	}
	return s.out, nil
}

// An arrival is one run of [SignIn].
type arrival struct {
	tx    Tx
	rules Rules
	a     Assertion
	org   Organization
	now   time.Time

	// email is the address that the provider says; empty: none, or none that can be read.
	email string
	// vouched: that address is on a verified domain of the organization, and the
	// provider does not say that it is unproved.
	vouched bool
	// owner is whose verified domain that address is on.
	owner OrgID
	// trusted: the provider speaks for this user everywhere.
	trusted  bool
	identity Identity // zero: a new one
	out      SignedIn
}

func (s *arrival) readEmail() (err error) {
	if email, err := ParseEmail(s.a.Email); err == nil {
		s.email = email // else no address that we know, and it proves nothing
	}
	owns, owner, err := ownsDomain(s.tx, s.org.ID, s.email)
	s.vouched, s.owner = owns && !s.unproved(), owner
	return err
}

func (s *arrival) unproved() bool { return s.a.EmailVerified != nil && !*s.a.EmailVerified }

// recognize is for a subject that is known: its user is found by it, whatever the
// address is now.
func (s *arrival) recognize() error {
	u, err := s.tx.User(s.identity.User)
	if err != nil {
		return err
	}
	s.out.User = u
	owns, owner, err := ownsDomain(s.tx, s.org.ID, u.Email)
	if err != nil {
		return err
	}
	// A provider that says no address at all, as some do after the first time, does
	// not take back what it said.
	s.trusted = owns && (s.vouched || s.a.Email == "" && !s.unproved())
	if s.trusted {
		elsewhere, err := vouchedElsewhere(s.tx, s.org.ID, u.ID)
		if err != nil || !elsewhere {
			return err
		}
		s.trusted = false
	}
	if owner != "" && owner != s.org.ID {
		// The address has become another organization's, and its word is theirs.
		return fmt.Errorf("address is on another organization's domain: %w", ErrNotVouched)
	}
	_, err = s.tx.Membership(s.org.ID, u.ID)
	if errors.Is(err, ErrNotFound) && !s.welcomes() {
		return ErrNotVouched
	}
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// welcomes reports whether the organization takes whomever its provider sends by itself, whatever
// their address is (SEMANTICS 1.3.2). They are in that organization alone.
func (s *arrival) welcomes() bool { return s.a.Unasked && s.org.JITSSO }

// meet is for a subject that is new: its user is found by the address, or made.
func (s *arrival) meet() error {
	switch {
	case s.email == "":
		return fmt.Errorf("identity provider sent no usable address: %w", ErrNotVouched)
	case s.unproved():
		return ErrEmailUnproved
	}
	u, err := s.tx.UserByEmail(s.email)
	known := err == nil
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	switch {
	case s.vouched:
		s.trusted = true
	case s.owner != "", !known && !s.welcomes():
		return ErrNotVouched
	case known:
		m, err := s.tx.Membership(s.org.ID, u.ID)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		open := m.Status == policy.Active || m.Status != policy.Inactive && s.welcomes()
		if m.Status == policy.Pending && !open {
			if open, err = invited(s.tx, s.email, s.org.ID, s.now); err != nil {
				return err
			}
		}
		if !open {
			return ErrNotVouched // nobody let this address in, or somebody put it out
		}
	}
	if known {
		s.out.User = u
		return s.checkRecycled(u)
	}
	if s.rules.InvitationOnly && !s.org.JITSSO && !s.org.AutoJoin {
		if ok, err := invited(s.tx, s.email, "", s.now); err != nil {
			return err
		} else if !ok {
			return ErrNotMember
		}
	}
	s.out.User, s.out.NewUser = newUser(s.email, s.a.Name, s.now), true
	// One whom an organization takes at its provider's word alone has proved their address to nobody
	// else: whose it is throws out, one day, what such a provider has made of it (attack 76).
	s.out.User.EmailVerified = s.trusted
	return nil
}

// checkRecycled returns ErrIdentityConflict if the user is known at this connection under
// another subject: the address was given to somebody else, and whether that is the same
// person is for an administrator to say.
func (s *arrival) checkRecycled(u User) error {
	for i, err := range s.tx.Identities(u.ID) {
		if err != nil {
			return err
		}
		if i.Connection == s.a.Connection {
			return ErrIdentityConflict
		}
	}
	if !s.trusted {
		return nil
	}
	elsewhere, err := vouchedElsewhere(s.tx, s.org.ID, u.ID)
	if err == nil && elsewhere {
		err = ErrIdentityConflict
	}
	return err
}

// trust takes the provider's word for the address, and throws out whoever came before it
// without a proof.
func (s *arrival) trust() error {
	u := &s.out.User
	var err error
	if s.out.Cleanse, err = claim(s.tx, u, s.identity, s.now); err != nil {
		return err
	}
	if name := cleanName(s.a.Name); name != "" {
		u.Name = name
	}
	if s.email == "" || s.email == u.Email {
		return nil
	}
	// Both the old address and the new are on the organization's own domains
	// (SEMANTICS 1.3.4), else we were not here.
	switch _, err := s.tx.UserByEmail(s.email); {
	case err == nil:
		return nil // another user's: recorded with the identity, and no more
	case !errors.Is(err, ErrNotFound):
		return err
	}
	u.Email = s.email
	return nil
}

// keep writes the user and the identity.
func (s *arrival) keep() error {
	if err := keepArrived(s.tx, &s.out.User, s.out.NewUser, s.now); err != nil {
		return err
	}
	i := s.identity
	if i.Connection == "" {
		i = Identity{Connection: s.a.Connection, Organization: s.org.ID, Subject: s.a.Subject, User: s.out.User.ID}
	}
	i.Vouched = i.Vouched || s.trusted
	return keepIdentity(s.tx, i, s.email, s.now)
}

// admit makes or updates the membership in the provider's own organization.
func (s *arrival) admit() error {
	u := s.out.User
	by := personally(u.ID)
	m, err := s.tx.Membership(s.org.ID, u.ID)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	jit := s.trusted && s.org.JITSSO || s.welcomes()
	switch m.Status {
	case policy.NoMember:
		if !jit {
			return nil
		}
		m = Membership{Organization: s.org.ID, User: u.ID, Roles: defaultRoles(s.rules, s.org), RoleSource: RoleDefault}
		s.applyClaims(&m)
		s.out.Membership, err = makeMembership(s.tx, s.rules, m, policy.Active, by, s.now)
		s.out.NewMember = err == nil
		return err
	case policy.Pending:
		// Whom JIT would let in without an invitation, it lets in with one, and
		// with the roles that they were invited to. For all others accepting is an act
		// of its own.
		if jit {
			s.applyClaims(&m)
			s.out.Membership, err = activate(s.tx, s.rules, m, by, s.now)
			s.out.NewMember = err == nil
			return err
		}
	case policy.Active:
		was := m
		s.applyClaims(&m)
		if !same(m, was) {
			m.UpdatedAt = s.now
			err = changeMembership(s.tx, m, by, s.now)
		}
		s.out.Membership = m
		return err
	case policy.Inactive:
		// It stays as it was, roles and all, for whoever brings it back.
	}
	s.out.Membership = m
	return nil
}
