package store

import (
	"errors"
	"fmt"
	"iter"

	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/tenancy"
)

// listed yields, from a place on, the rows whose keys begin with the fields; the id of the
// place is the next field of the key.
func listed[T any](tx *tx, t table[T], at tenancy.Place, fields ...string) iter.Seq2[T, error] {
	return scanFrom(tx, t, t.kind, at, fields, func(p Pair) (T, error) { return decode(t, p.Value) })
}

// listedBy is [listed] by an index.
func listedBy[T any](tx *tx, t table[T], k kind, at tenancy.Place, fields ...string) iter.Seq2[T, error] {
	return scanFrom(tx, t, k, at, fields, func(p Pair) (T, error) { return follow(tx, t, p.Key, p.Value) })
}

func scanFrom[T any](tx *tx, t table[T], k kind, at tenancy.Place, fields []string, row func(Pair) (T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		prefix, ok, err := lookupKey(k, fields)
		if err != nil {
			yield(none, fmt.Errorf("%s: %w", t.name, err))
			return
		}
		if !ok {
			return
		}
		var from, past []byte
		if at.Past != "" {
			if past, ok, err = lookupKey(k, append(fields[:len(fields):len(fields)], at.Past)); err != nil {
				yield(none, fmt.Errorf("%s: %w", t.name, err))
				return
			}
			if !ok {
				return // no id is like that
			}
			from = past[len(prefix):]
		}
		for p, err := range tx.kv.Scan(prefix, from, at.Backward) {
			if err != nil {
				yield(none, fmt.Errorf("%s: %w", t.name, err))
				return
			}
			if past != nil && string(p.Key) == string(past) {
				continue
			}
			v, err := row(p)
			if errors.Is(err, tenancy.ErrNotFound) {
				continue
			}
			if !yield(v, err) || err != nil {
				return
			}
		}
	}
}

func (t *tx) OrganizationsFrom(at tenancy.Place) iter.Seq2[tenancy.Organization, error] {
	return listed(t, organizations(), at)
}

func (t *tx) OrganizationByExternalID(id string) (tenancy.Organization, error) {
	return find(t, organizations(), kindOrganizationByExternalID, id)
}

func (t *tx) DeleteOrganization(id tenancy.OrgID) error {
	return remove(t, organizations(), string(id))
}

func (t *tx) DomainByID(id tenancy.DomainID) (tenancy.Domain, error) {
	return find(t, domains(), kindDomainByID, string(id))
}

func (t *tx) DomainsNamed(name string, at tenancy.Place) iter.Seq2[tenancy.Domain, error] {
	return listedBy(t, domains(), kindDomainByName, at, name)
}

func (t *tx) ConnectionByID(id tenancy.ConnectionID) (tenancy.Connection, error) {
	return find(t, connections(), kindConnectionByID, string(id))
}

func (t *tx) ConnectionsFrom(at tenancy.Place) iter.Seq2[tenancy.Connection, error] {
	return listedBy(t, connections(), kindConnectionByID, at)
}

func (t *tx) ConnectionsIn(org tenancy.OrgID, at tenancy.Place) iter.Seq2[tenancy.Connection, error] {
	return listed(t, connections(), at, string(org))
}

func (t *tx) UsersFrom(at tenancy.Place) iter.Seq2[tenancy.User, error] {
	return listed(t, users(), at)
}

func (t *tx) UserByExternalID(id string) (tenancy.User, error) {
	return find(t, users(), kindUserByExternalID, id)
}

func (t *tx) DeleteUser(id tenancy.UserID) error { return remove(t, users(), string(id)) }

func (t *tx) IdentitiesAt(conn tenancy.ConnectionID) iter.Seq2[tenancy.Identity, error] {
	if conn == "" { // nobody's, and not everybody's
		return func(func(tenancy.Identity, error) bool) {}
	}
	return all(t, identities(), string(conn))
}

func (t *tx) MembershipByID(id tenancy.MembershipID) (tenancy.Membership, error) {
	return find(t, memberships(), kindMembershipByID, string(id))
}

func (t *tx) MembersFrom(org tenancy.OrgID, at tenancy.Place) iter.Seq2[tenancy.Membership, error] {
	return listed(t, memberships(), at, string(org))
}

func (t *tx) MembershipsIn(org tenancy.OrgID, at tenancy.Place) iter.Seq2[tenancy.Membership, error] {
	return listedBy(t, memberships(), kindMembershipInOrganization, at, string(org))
}

func (t *tx) MembershipsOf(user tenancy.UserID, at tenancy.Place) iter.Seq2[tenancy.Membership, error] {
	return listedBy(t, memberships(), kindMembershipOfUser, at, string(user))
}

func (t *tx) InvitationsFrom(at tenancy.Place) iter.Seq2[tenancy.Invitation, error] {
	return listed(t, invitations(), at)
}

func (t *tx) InvitationsIn(org tenancy.OrgID, at tenancy.Place) iter.Seq2[tenancy.Invitation, error] {
	return listedBy(t, invitations(), kindInvitationInOrganization, at, string(org))
}

func (t *tx) InvitationsAt(email string, at tenancy.Place) iter.Seq2[tenancy.Invitation, error] {
	return listedBy(t, invitations(), kindInvitationAtAddress, at, email)
}

func (t *tx) SessionsFrom(user tenancy.UserID, at tenancy.Place) iter.Seq2[session.Session, error] {
	return listedBy(t, sessions(), kindSessionByUser, at, string(user))
}

func (t *tx) APIKey(id session.APIKeyID) (session.APIKey, error) {
	return get(t, apiKeys(), string(id))
}

func (t *tx) APIKeyByHash(h session.Hash) (session.APIKey, error) {
	return find(t, apiKeys(), kindAPIKeyByHash, h.String())
}

func (t *tx) APIKeys() iter.Seq2[session.APIKey, error] { return all(t, apiKeys()) }

func (t *tx) PutAPIKey(k session.APIKey) error {
	if k.Hash == (session.Hash{}) {
		return fmt.Errorf("API key: %w", errNoToken)
	}
	return put(t, apiKeys(), k)
}

func (t *tx) Replay(key session.APIKeyID, name session.Hash) (session.Replay, error) {
	return get(t, replays(), string(key), name.String())
}

func (t *tx) PutReplay(r session.Replay) error {
	if r.Name == (session.Hash{}) || r.ExpiresAt.IsZero() {
		return errors.New("kept answer without a name or an end")
	}
	return put(t, replays(), r)
}

func (t *tx) Permissions() iter.Seq2[tenancy.Permission, error] { return all(t, permissions()) }

func (t *tx) PutPermission(p tenancy.Permission) error { return put(t, permissions(), p) }

func (t *tx) DeletePermission(slug string) error { return remove(t, permissions(), slug) }

func (t *tx) RolesOfAll() iter.Seq2[tenancy.Role, error] {
	return func(yield func(tenancy.Role, error) bool) {
		for p, err := range t.kv.Scan([]byte{byte(kindRole)}, nil, false) {
			var r tenancy.Role
			if err == nil {
				r, err = decode(table[tenancy.Role]{name: "role"}, p.Value)
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}
