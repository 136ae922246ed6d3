package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/tenancy"
)

// tx implements [Tx] over one transaction of an engine.
type tx struct {
	kv     KV
	events []audit.Event // appended so far
}

var errNoToken = errors.New("hash of no token")

func (t *tx) Append(e audit.Event) error {
	if e.ID == "" || e.Name == "" || e.At.IsZero() {
		return errors.New("event without id, name or time")
	}
	b, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("event: %w", err)
	}
	if err := t.kv.Append(b, e.At.Add(EventLife)); err != nil {
		return fmt.Errorf("event: %w", err)
	}
	t.events = append(t.events, e)
	return nil
}

func (t *tx) Organization(id tenancy.OrgID) (tenancy.Organization, error) {
	return get(t, organizations(), string(id))
}

func (t *tx) OrganizationBySlug(s tenancy.Slug) (tenancy.Organization, error) {
	return find(t, organizations(), kindSlug, string(s))
}

func (t *tx) OrganizationByHost(host string) (tenancy.Organization, error) {
	return find(t, organizations(), kindHost, host)
}

func (t *tx) Organizations() iter.Seq2[tenancy.Organization, error] { return all(t, organizations()) }

func (t *tx) PutOrganization(o tenancy.Organization) error { return put(t, organizations(), o) }

func (t *tx) Domain(org tenancy.OrgID, name string) (tenancy.Domain, error) {
	return get(t, domains(), string(org), name)
}

func (t *tx) Domains(org tenancy.OrgID) iter.Seq2[tenancy.Domain, error] {
	return all(t, domains(), string(org))
}

func (t *tx) VerifiedDomain(name string) (tenancy.Domain, error) {
	return find(t, domains(), kindVerifiedDomain, name)
}

func (t *tx) DueDomains(now time.Time) iter.Seq2[tenancy.Domain, error] {
	return func(yield func(tenancy.Domain, error) bool) {
		for d, err := range findAll(t, domains(), kindDomainDue) {
			if err == nil && d.Checks.Next.After(now) || !yield(d, err) {
				return
			}
		}
	}
}

func (t *tx) PutDomain(d tenancy.Domain) error { return put(t, domains(), d) }

func (t *tx) DeleteDomain(org tenancy.OrgID, name string) error {
	return remove(t, domains(), string(org), name)
}

func (t *tx) Connection(org tenancy.OrgID, id tenancy.ConnectionID) (tenancy.Connection, error) {
	return get(t, connections(), string(org), string(id))
}

func (t *tx) Connections(org tenancy.OrgID) iter.Seq2[tenancy.Connection, error] {
	return all(t, connections(), string(org))
}

func (t *tx) PutConnection(c tenancy.Connection) error { return put(t, connections(), c) }

func (t *tx) DeleteConnection(org tenancy.OrgID, id tenancy.ConnectionID) error {
	return remove(t, connections(), string(org), string(id))
}

func (t *tx) SAMLState(org tenancy.OrgID, id tenancy.ConnectionID) (tenancy.SAMLState, error) {
	return get(t, samlStates(), string(org), string(id))
}

func (t *tx) DueSAML(now time.Time) iter.Seq2[tenancy.SAMLState, error] {
	return func(yield func(tenancy.SAMLState, error) bool) {
		for s, err := range findAll(t, samlStates(), kindSAMLDue) {
			if err == nil && s.Next.After(now) || !yield(s, err) {
				return
			}
		}
	}
}

func (t *tx) PutSAMLState(s tenancy.SAMLState) error { return put(t, samlStates(), s) }

func (t *tx) DeleteSAMLState(org tenancy.OrgID, id tenancy.ConnectionID) error {
	return remove(t, samlStates(), string(org), string(id))
}

func (t *tx) User(id tenancy.UserID) (tenancy.User, error) { return get(t, users(), string(id)) }

func (t *tx) UserByEmail(email string) (tenancy.User, error) {
	return find(t, users(), kindEmail, email)
}

func (t *tx) Users() iter.Seq2[tenancy.User, error] { return all(t, users()) }

func (t *tx) PutUser(u tenancy.User) error { return put(t, users(), u) }

func (t *tx) Identity(conn tenancy.ConnectionID, subject string) (tenancy.Identity, error) {
	return get(t, identities(), string(conn), subject)
}

func (t *tx) Identities(user tenancy.UserID) iter.Seq2[tenancy.Identity, error] {
	return findAll(t, identities(), kindIdentityByUser, string(user))
}

func (t *tx) PutIdentity(i tenancy.Identity) error { return put(t, identities(), i) }

func (t *tx) DeleteIdentity(conn tenancy.ConnectionID, subject string) error {
	return remove(t, identities(), string(conn), subject)
}

func (t *tx) Membership(org tenancy.OrgID, user tenancy.UserID) (tenancy.Membership, error) {
	return get(t, memberships(), string(org), string(user))
}

func (t *tx) Members(org tenancy.OrgID) iter.Seq2[tenancy.Membership, error] {
	return all(t, memberships(), string(org))
}

func (t *tx) AdminsIn(org tenancy.OrgID) iter.Seq2[tenancy.Membership, error] {
	return findAll(t, memberships(), kindInOrganization, string(org), "admin")
}

func (t *tx) Memberships(user tenancy.UserID) iter.Seq2[tenancy.Membership, error] {
	return findAll(t, memberships(), kindMembershipByUser, string(user))
}

func (t *tx) PutMembership(m tenancy.Membership) error { return put(t, memberships(), m) }

func (t *tx) DeleteMembership(org tenancy.OrgID, user tenancy.UserID) error {
	return remove(t, memberships(), string(org), string(user))
}

func (t *tx) Role(org tenancy.OrgID, slug string) (tenancy.Role, error) {
	tab, lead := rolesOf(org)
	return get(t, tab, append(lead, slug)...)
}

func (t *tx) Roles(org tenancy.OrgID) iter.Seq2[tenancy.Role, error] {
	tab, lead := rolesOf(org)
	return all(t, tab, lead...)
}

func (t *tx) PutRole(r tenancy.Role) error {
	tab, _ := rolesOf(r.Organization)
	return put(t, tab, r)
}

func (t *tx) DeleteRole(org tenancy.OrgID, slug string) error {
	tab, lead := rolesOf(org)
	return remove(t, tab, append(lead, slug)...)
}

func (t *tx) Session(id session.ID) (session.Session, error) { return get(t, sessions(), string(id)) }

func (t *tx) SessionByToken(h session.Hash) (session.Session, error) {
	return find(t, sessions(), kindSessionByToken, h.String())
}

func (t *tx) Children(id session.ID) iter.Seq2[session.Session, error] {
	return findAll(t, sessions(), kindSessionByParent, string(id))
}

func (t *tx) SessionsOf(user tenancy.UserID) iter.Seq2[session.Session, error] {
	return findAll(t, sessions(), kindSessionByUser, string(user))
}

func (t *tx) SessionsByUpstream(conn tenancy.ConnectionID, subject, sid string) iter.Seq2[session.Session, error] {
	switch {
	case subject != "" && sid != "":
		return findAll(t, sessions(), kindSessionByUpstream, string(conn), subject, sid)
	case subject != "":
		return distinct(findAll(t, sessions(), kindSessionByUpstream, string(conn), subject))
	case sid != "":
		return findAll(t, sessions(), kindSessionByUpstreamSID, string(conn), sid)
	default: // neither is nobody, and not everybody
		return func(func(session.Session, error) bool) {}
	}
}

// distinct leaves out a session that comes a second time: one that has several of the
// provider's sessions behind it.
func distinct(in iter.Seq2[session.Session, error]) iter.Seq2[session.Session, error] {
	return func(yield func(session.Session, error) bool) {
		seen := map[session.ID]bool{}
		for s, err := range in {
			if err == nil && seen[s.ID] {
				continue
			}
			seen[s.ID] = true
			if !yield(s, err) {
				return
			}
		}
	}
}

func (t *tx) PutSession(s session.Session) error {
	if s.Token == (session.Hash{}) {
		return fmt.Errorf("session: %w", errNoToken)
	}
	return put(t, sessions(), s)
}

func (t *tx) Answer(id session.Hash) (session.Answer, error) {
	if id == (session.Hash{}) {
		return session.Answer{}, errNoToken
	}
	return get(t, answers(), id.String())
}

func (t *tx) AnswersOf(conn tenancy.ConnectionID, subject string) iter.Seq2[session.Answer, error] {
	return findAll(t, answers(), kindAnswerBySubject, string(conn), subject)
}

func (t *tx) DeleteAnswer(id session.Hash) error { return remove(t, answers(), id.String()) }

func (t *tx) PutAnswer(a session.Answer) error {
	if a.ID == (session.Hash{}) {
		return errNoToken
	}
	return put(t, answers(), a)
}

func (t *tx) Handover(code session.Hash) (session.Handover, error) {
	return get(t, handovers(), code.String())
}

func (t *tx) PutHandover(h session.Handover) error {
	if h.Code == (session.Hash{}) {
		return fmt.Errorf("hand-over: %w", errNoToken)
	}
	return put(t, handovers(), h)
}

func (t *tx) Use(kind, name string, until time.Time) error {
	if kind == "" || name == "" || until.IsZero() {
		return errors.New("use of a thing without kind, name or time")
	}
	key, err := kindUsed.key(kind, name)
	if err != nil {
		return err
	}
	switch _, err := t.kv.Get(key); {
	case err == nil:
		return fmt.Errorf("%s: %w", kind, session.ErrUsed)
	case !errors.Is(err, ErrNoKey):
		return err
	}
	return t.kv.Set(key, []byte("true"), until)
}

func (t *tx) Used(kind, name string) (bool, error) {
	key, err := kindUsed.key(kind, name)
	if err != nil {
		return false, err
	}
	_, err = t.kv.Get(key)
	if errors.Is(err, ErrNoKey) {
		return false, nil
	}
	return err == nil, err
}

func (t *tx) SigningKeys(use session.KeyUse) iter.Seq2[session.SigningKey, error] {
	return func(yield func(session.SigningKey, error) bool) {
		for k, err := range all(t, signingKeys()) {
			if err == nil && k.Use != use {
				continue
			}
			if !yield(k, err) {
				return
			}
		}
	}
}

func (t *tx) PutSigningKey(k session.SigningKey) error { return put(t, signingKeys(), k) }

func (t *tx) DeleteSigningKey(id string) error { return remove(t, signingKeys(), id) }
