package apply

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/orgate/orgate/config"
	"github.com/orgate/orgate/internal/seal"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// secretPurpose is what client secrets are sealed for; they are about the id of their connection.
const secretPurpose = "client secret"

// save writes the organizations that changed.
func (r *run) save() error {
	for part := range slices.Chunk(r.changed, batch) {
		created := 0
		err := r.store.Update(r.ctx, func(tx store.Tx) error {
			created = 0 // an earlier run of the transaction was never committed
			for _, c := range part {
				made, err := r.saveOne(tx, c)
				if err != nil {
					return err
				}
				if made {
					created++
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		r.report.Created += created
		r.report.Updated += len(part) - created
	}
	return nil
}

// saveOne makes one organization what the YAML says, in the sections that it gives.
func (r *run) saveOne(tx store.Tx, c change) (created bool, err error) {
	o, err := tx.OrganizationBySlug(c.Slug)
	if created, err = missing(err); err != nil {
		return false, err
	}
	o.Slug, o.Name = c.Slug, c.Name
	o.Hosts, o.Upstreams = nil, nil
	for _, h := range c.Hosts {
		o.Hosts = append(o.Hosts, string(h))
	}
	for app, u := range c.Upstreams {
		if o.Upstreams == nil {
			o.Upstreams = map[string]string{}
		}
		o.Upstreams[app] = u.String()
	}
	o.Quota = nil
	if q := c.Limits; q != nil {
		o.Quota = new(tenancy.Quota(*q))
	}
	o.Managed = maps.Clone(c.Managed)
	given := func(s tenancy.Section) bool { _, ok := c.Managed[s]; return ok }

	if created {
		// Its id is needed by what belongs to it. The rest comes below; nobody sees the
		// organization without it, as this is one transaction.
		if o, err = tenancy.SaveOrganization(tx, o, actor, r.now); err != nil {
			return false, at(c.Organization, tenancy.SectionSettings, err)
		}
	}
	if given(tenancy.SectionDomains) {
		if err := tenancy.SetDomains(tx, o.ID, claims(c.Domains), actor, r.now); err != nil {
			return false, at(c.Organization, tenancy.SectionDomains, err)
		}
	}
	ids := map[string]tenancy.ConnectionID{}
	if given(tenancy.SectionConnections) {
		if ids, err = r.connections(tx, o.ID, c.Connections); err != nil {
			return false, at(c.Organization, tenancy.SectionConnections, err)
		}
	}
	if given(tenancy.SectionPolicies) {
		if err := setPolicies(&o, c.Organization, ids); err != nil {
			return false, at(c.Organization, tenancy.SectionPolicies, err)
		}
	}
	if given(tenancy.SectionRoles) {
		o.DefaultRole, o.GroupRoles = c.Roles.Default, nil
		for _, g := range c.Roles.Groups {
			o.GroupRoles = append(o.GroupRoles, tenancy.GroupRole{Group: g.Group, Role: g.Role})
		}
	}
	o.ConfigDigest = c.digest
	if created {
		return true, tx.PutOrganization(o) // its event is there
	}
	if o, err = tenancy.SaveOrganization(tx, o, actor, r.now); err != nil {
		return false, at(c.Organization, tenancy.SectionSettings, err)
	}
	if o.Suspended {
		err = tenancy.Resume(tx, o.ID, actor, r.now)
	}
	return false, err
}

func claims(domains []config.Domain) []tenancy.DomainClaim {
	var cs []tenancy.DomainClaim
	for _, d := range domains {
		cs = append(cs, tenancy.DomainClaim{Name: d.Name, Verified: d.Verified})
	}
	return cs
}

func setPolicies(o *tenancy.Organization, c *config.Organization, ids map[string]tenancy.ConnectionID) error {
	o.DomainPolicy, o.OrganizationPolicy = nil, nil
	o.AutoJoin, o.JITSSO = false, c.JIT != nil && c.JIT.SSO
	convert := func(p config.Policy) (*policy.Policy, error) {
		out := &policy.Policy{Methods: policy.MethodsOf(p.Methods...), MFA: p.MFA == "required", MaxAge: p.MaxAge}
		if p.Connection != "" {
			id, ok := ids[p.Connection]
			if !ok {
				// A policy without its connection would be met by any: config refuses it.
				return nil, fmt.Errorf("no connection %q", p.Connection)
			}
			out.Connection = string(id)
		}
		return out, nil
	}
	var err error
	if p := c.DomainPolicy; p != nil {
		o.AutoJoin = p.AutoJoin
		if o.DomainPolicy, err = convert(p.Policy); err != nil {
			return err
		}
	}
	if p := c.OrganizationPolicy; p != nil {
		o.OrganizationPolicy, err = convert(*p)
	}
	return err
}

// connections makes the connections of an organization those of the YAML, and returns their
// ids by name.
//
// One that left is disabled, not removed: the people who came by it are found again when it comes
// back. One whose issuer or entity id changed is another: the subjects of the new
// provider are not those of the old one, and must not be taken for them.
func (r *run) connections(tx store.Tx, org tenancy.OrgID, want []config.Connection) (map[string]tenancy.ConnectionID, error) {
	have := map[string]tenancy.Connection{}
	for c, err := range tx.Connections(org) {
		if err != nil {
			return nil, err
		}
		have[c.Name] = c
	}
	for _, name := range slices.Sorted(maps.Keys(have)) {
		c := have[name]
		i := slices.IndexFunc(want, func(w config.Connection) bool { return w.Name == name })
		switch {
		case i < 0:
			c.Disabled = true
			if _, err := tenancy.SaveConnection(tx, c, actor, r.now); err != nil {
				return nil, err
			}
		default:
			same, err := sameProvider(tx, c, want[i])
			if err != nil {
				return nil, err
			}
			if same {
				continue
			}
			if err := tenancy.RemoveConnection(tx, org, c.ID, actor, r.now); err != nil {
				return nil, err
			}
			delete(have, name)
		}
	}
	ids := make(map[string]tenancy.ConnectionID, len(want))
	for _, w := range want {
		c, err := r.connection(tx, org, have[w.Name], w)
		if err != nil {
			return nil, err
		}
		ids[w.Name] = c.ID
	}
	return ids, nil
}

// sameProvider reports whether a connection stays one to the provider that it was to.
func sameProvider(tx store.Tx, c tenancy.Connection, w config.Connection) (bool, error) {
	switch {
	case c.Type != w.Type:
		return false, nil
	case c.OIDC != nil:
		return c.OIDC.Issuer == string(w.Issuer), nil
	case c.SAML != nil:
		s, err := tx.SAMLState(c.Organization, c.ID)
		if err != nil && !errors.Is(err, tenancy.ErrNotFound) {
			return false, err
		}
		return tenancy.SameSAMLProvider(*c.SAML, s, *w.SAML()), nil
	}
	return false, nil
}

// connection makes c, which is zero if it is new, what the YAML says.
func (r *run) connection(tx store.Tx, org tenancy.OrgID, c tenancy.Connection, w config.Connection) (tenancy.Connection, error) {
	c.Organization, c.Name, c.Type, c.Disabled = org, w.Name, w.Type, w.Disabled
	if w.Type == "saml" {
		c.OIDC, c.SAML = nil, w.SAML()
		return tenancy.SaveConnection(tx, c, actor, r.now)
	}
	var sealed []byte
	if c.OIDC != nil {
		sealed = c.OIDC.ClientSecret
	}
	secret := []byte(w.ClientSecret.Reveal())
	same := r.sealsSame(c.ID, sealed, secret)
	c.OIDC = &tenancy.OIDCConnection{Issuer: string(w.Issuer), ClientID: w.ClientID, ClientSecret: sealed, Scopes: w.Scopes, GroupsClaim: w.GroupsClaim}
	if !same && c.ID != "" {
		c.OIDC.ClientSecret = r.seal(c.ID, secret)
	}
	c, err := tenancy.SaveConnection(tx, c, actor, r.now)
	if err != nil {
		return c, err
	}
	// What follows is no change of the connection, and so has no event: a new one has the id
	// that its secret is sealed for, or the key that secrets are sealed under is another.
	if len(secret) > 0 && !r.box.Current(secretPurpose, string(c.ID), c.OIDC.ClientSecret) {
		c.OIDC.ClientSecret = r.seal(c.ID, secret)
		return c, tx.PutConnection(c)
	}
	return c, nil
}

// sealsSame reports whether sealed holds the secret already, under any key that is known.
func (r *run) sealsSame(id tenancy.ConnectionID, sealed, secret []byte) bool {
	if len(sealed) == 0 || len(secret) == 0 {
		return len(sealed) == len(secret)
	}
	plain, err := r.box.Open(secretPurpose, string(id), sealed)
	return err == nil && bytes.Equal(plain, secret)
}

// SealClientSecret seals the secret of a connection's client as those of the YAML are.
func SealClientSecret(box *seal.Box, id tenancy.ConnectionID, secret string) []byte {
	return box.Seal(secretPurpose, string(id), []byte(secret))
}

func (r *run) seal(id tenancy.ConnectionID, secret []byte) []byte {
	if len(secret) == 0 {
		return nil
	}
	return r.box.Seal(secretPurpose, string(id), secret)
}
