package store

import (
	"slices"
	"time"

	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/session/client"
	"github.com/orgate/orgate/tenancy"
)

// How long records outlive what they are about.
const (
	// SessionRecordLife is how long the record of a session is kept after the
	// session's absolute limit: that it ended is a fact worth a day.
	SessionRecordLife = 24 * time.Hour
	// HandoverRecordLife is how long a one-time code is remembered after it expired,
	// so that presenting it again is noticed.
	HandoverRecordLife = 10 * time.Minute
	// CodeRecordLife is the same of the authorization codes of clients, which keep what they have
	// exchanged longer in histories and logs.
	CodeRecordLife = 24 * time.Hour
	// EventLife is how long an event stays in the feed. Who follows the feed from a
	// position older than this misses what has gone.
	EventLife = 90 * 24 * time.Hour
)

// sortable writes a time so that texts sort as times do.
func sortable(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }

func organizations() table[tenancy.Organization] {
	return table[tenancy.Organization]{
		kind: kindOrganization, name: "organization",
		fields: func(o tenancy.Organization) []string { return []string{string(o.ID)} },
		indexes: func(o tenancy.Organization) []index {
			ixs := []index{{kindSlug, []string{string(o.Slug)}, true}}
			for _, h := range o.Hosts {
				ixs = append(ixs, index{kindHost, []string{h}, true})
			}
			if o.ExternalID != "" {
				ixs = append(ixs, index{kindOrganizationByExternalID, []string{o.ExternalID}, true})
			}
			return ixs
		},
	}
}

func domains() table[tenancy.Domain] {
	return table[tenancy.Domain]{
		kind: kindDomain, name: "domain",
		fields: func(d tenancy.Domain) []string { return []string{string(d.Organization), d.Name} },
		indexes: func(d tenancy.Domain) []index {
			ixs := []index{{kindDomainByName, []string{d.Name, string(d.Organization)}, false}}
			if d.ID != "" {
				ixs = append(ixs, index{kindDomainByID, []string{string(d.ID)}, false})
			}
			if d.State == tenancy.DomainVerified {
				ixs = append(ixs, index{kindVerifiedDomain, []string{d.Name}, true})
			}
			if next := d.Checks.Next; !next.IsZero() {
				ixs = append(ixs, index{kindDomainDue, []string{sortable(next), string(d.Organization), d.Name}, false})
			}
			return ixs
		},
	}
}

func connections() table[tenancy.Connection] {
	return table[tenancy.Connection]{
		kind: kindConnection, name: "connection",
		fields: func(c tenancy.Connection) []string { return []string{string(c.Organization), string(c.ID)} },
		indexes: func(c tenancy.Connection) []index {
			return []index{{kindConnectionName, []string{string(c.Organization), c.Name}, true}, {kindConnectionByID, []string{string(c.ID)}, false}}
		},
	}
}

func samlStates() table[tenancy.SAMLState] {
	return table[tenancy.SAMLState]{
		kind: kindSAMLState, name: "state of a SAML connection",
		fields: func(s tenancy.SAMLState) []string { return []string{string(s.Organization), string(s.Connection)} },
		indexes: func(s tenancy.SAMLState) []index {
			return []index{{kindSAMLDue, []string{sortable(s.Next), string(s.Organization), string(s.Connection)}, false}}
		},
	}
}

func users() table[tenancy.User] {
	return table[tenancy.User]{
		kind: kindUser, name: "user",
		fields: func(u tenancy.User) []string { return []string{string(u.ID)} },
		indexes: func(u tenancy.User) []index {
			ixs := []index{{kindEmail, []string{u.Email}, true}}
			if u.ExternalID != "" {
				ixs = append(ixs, index{kindUserByExternalID, []string{u.ExternalID}, true})
			}
			return ixs
		},
	}
}

func identities() table[tenancy.Identity] {
	return table[tenancy.Identity]{
		kind: kindIdentity, name: "identity",
		fields: func(i tenancy.Identity) []string { return []string{string(i.Connection), i.Subject} },
		indexes: func(i tenancy.Identity) []index {
			return []index{{kindIdentityByUser, []string{string(i.User), string(i.Connection), i.Subject}, false}}
		},
	}
}

func memberships() table[tenancy.Membership] {
	return table[tenancy.Membership]{
		kind: kindMembership, name: "membership",
		fields: func(m tenancy.Membership) []string { return []string{string(m.Organization), string(m.User)} },
		indexes: func(m tenancy.Membership) []index {
			ixs := []index{{kindMembershipByUser, []string{string(m.User), string(m.Organization)}, false}}
			if m.Status == policy.Active && slices.Contains(m.Roles, tenancy.AdminRole) { // and of no other role: it would be an entry for every member
				ixs = append(ixs, index{kindInOrganization, []string{string(m.Organization), "admin", string(m.User)}, false})
			}
			if m.ID != "" {
				ixs = append(ixs, index{kindMembershipByID, []string{string(m.ID)}, false},
					index{kindMembershipInOrganization, []string{string(m.Organization), string(m.ID)}, false},
					index{kindMembershipOfUser, []string{string(m.User), string(m.ID)}, false})
			}
			return ixs
		},
	}
}

// rolesOf returns the table of an organization's roles, and the leading fields of its
// keys. The roles of the installation (org is empty) are a kind of their own, so that
// no organization's id, not even an empty one, leads to another's.
func rolesOf(org tenancy.OrgID) (t table[tenancy.Role], lead []string) {
	if org == "" {
		return table[tenancy.Role]{
			kind: kindInstallationRole, name: "role",
			fields: func(r tenancy.Role) []string { return []string{r.Slug} },
		}, nil
	}
	return table[tenancy.Role]{
		kind: kindRole, name: "role",
		fields: func(r tenancy.Role) []string { return []string{string(r.Organization), r.Slug} },
	}, []string{string(org)}
}

func sessions() table[session.Session] {
	return table[session.Session]{
		kind: kindSession, name: "session",
		fields: func(s session.Session) []string { return []string{string(s.ID)} },
		indexes: func(s session.Session) []index {
			id := string(s.ID)
			ixs := []index{{kindSessionByToken, []string{s.Token.String()}, true}}
			if !s.EndedAt.IsZero() {
				return ixs // in no list, so that lists are no longer than what they are of
			}
			ixs = append(ixs, index{kindSessionByUser, []string{string(s.User), id}, false})
			if s.Parent != "" {
				ixs = append(ixs, index{kindSessionByParent, []string{string(s.Parent), id}, false})
			}
			for _, up := range s.Upstream {
				ixs = append(ixs, index{kindSessionByUpstream, []string{string(up.Connection), up.Subject, up.SID, id}, false})
				if up.SID != "" {
					ixs = append(ixs, index{kindSessionByUpstreamSID, []string{string(up.Connection), up.SID, id}, false})
				}
			}
			return ixs
		},
		expires: func(s session.Session) time.Time { return s.ExpiresAt.Add(SessionRecordLife) },
	}
}

func answers() table[session.Answer] {
	return table[session.Answer]{
		kind: kindAnswer, name: "answer",
		fields: func(a session.Answer) []string { return []string{a.ID.String()} },
		indexes: func(a session.Answer) []index {
			if a.Subject == "" {
				return nil
			}
			return []index{{kindAnswerBySubject, []string{string(a.Connection), a.Subject, a.ID.String()}, false}}
		},
		expires: func(a session.Answer) time.Time { return a.ExpiresAt },
	}
}

func handovers() table[session.Handover] {
	return table[session.Handover]{
		kind: kindHandover, name: "hand-over",
		fields:  func(h session.Handover) []string { return []string{h.Code.String()} },
		expires: func(h session.Handover) time.Time { return h.ExpiresAt.Add(HandoverRecordLife) },
	}
}

func authorizationCodes() table[client.Code] {
	return table[client.Code]{
		kind: kindAuthorizationCode, name: "authorization code",
		fields:  func(c client.Code) []string { return []string{c.Hash.String()} },
		expires: func(c client.Code) time.Time { return c.ExpiresAt.Add(CodeRecordLife) },
	}
}

func refreshTokens() table[client.Refresh] {
	return table[client.Refresh]{
		kind: kindRefreshToken, name: "refresh token",
		fields:  func(t client.Refresh) []string { return []string{t.Hash.String()} },
		expires: func(t client.Refresh) time.Time { return t.ExpiresAt },
	}
}

func pendingAuthentications() table[client.Pending] {
	return table[client.Pending]{
		kind: kindPending, name: "pending authentication",
		fields:  func(p client.Pending) []string { return []string{p.Hash.String()} },
		expires: func(p client.Pending) time.Time { return p.ExpiresAt },
	}
}

func profileTokens() table[client.ProfileToken] {
	return table[client.ProfileToken]{
		kind: kindProfileToken, name: "profile",
		fields:  func(p client.ProfileToken) []string { return []string{p.Hash.String()} },
		expires: func(p client.ProfileToken) time.Time { return p.ExpiresAt },
	}
}

func signingKeys() table[session.SigningKey] {
	return table[session.SigningKey]{
		kind: kindSigningKey, name: "signing key",
		fields: func(k session.SigningKey) []string { return []string{k.ID} },
	}
}

func apiKeys() table[session.APIKey] {
	return table[session.APIKey]{
		kind: kindAPIKey, name: "API key",
		fields:  func(k session.APIKey) []string { return []string{string(k.ID)} },
		indexes: func(k session.APIKey) []index { return []index{{kindAPIKeyByHash, []string{k.Hash.String()}, true}} },
	}
}

func replays() table[session.Replay] {
	return table[session.Replay]{
		kind: kindReplay, name: "kept answer",
		fields:  func(r session.Replay) []string { return []string{string(r.Key), r.Name.String()} },
		expires: func(r session.Replay) time.Time { return r.ExpiresAt },
	}
}

func permissions() table[tenancy.Permission] {
	return table[tenancy.Permission]{
		kind: kindPermission, name: "permission",
		fields: func(p tenancy.Permission) []string { return []string{p.Slug} },
	}
}
