package config

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/orgate/orgate/tenancy"
)

// An owner is who has a slug, host or domain already.
type owner struct {
	organization *Organization
	at           place
}

// checkOrganizations checks each organization, and that no two have the same.
func (g *reading) checkOrganizations(login tenancy.Host) {
	slugs := make(map[tenancy.Slug]*Organization, len(g.config.Organizations))
	hosts := make(map[tenancy.Host]owner)
	domains := make(map[string]owner, len(g.config.Organizations))
	apps := map[string]bool{}
	for _, a := range g.config.Apps {
		apps[a.Name] = true
	}
	for _, o := range g.config.Organizations {
		if other, ok := slugs[o.Slug]; ok && o.Slug != "" {
			g.fault(o.place.at("slug"), fmt.Sprintf("the slug %s is there twice", o.Slug), "the other is at "+g.where(other.place))
		}
		slugs[o.Slug] = o
		g.checkTenantHosts(o, login, hosts)
		g.checkDomains(o, domains)
		g.checkConnections(o)
		if p := o.DomainPolicy; p != nil {
			g.checkPolicy(o, o.place.at("domain_policy"), p.Policy)
		}
		if p := o.OrganizationPolicy; p != nil {
			g.checkPolicy(o, o.place.at("organization_policy"), *p)
		}
		if r := o.Roles; r != nil {
			g.checkRole(o.place.at("roles", "default"), r.Default)
			for i, gr := range r.Groups {
				g.checkRole(o.place.at("roles", "groups", i, "role"), gr.Role)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(o.Upstreams)) {
			if !apps[name] {
				g.fault(o.place.at("upstreams", name), "there is no app "+quote(name), didYouMean(name, slices.Sorted(maps.Keys(apps)), "apps has: "))
			}
		}
	}
}

func (g *reading) checkTenantHosts(o *Organization, login tenancy.Host, hosts map[tenancy.Host]owner) {
	for _, a := range g.config.Apps {
		if o.Slug != "" && login != "" && a.Host != (HostPattern{}) && a.Host.Host(o.Slug) == login {
			g.fault(o.place.at("slug"), fmt.Sprintf("the host of %s would be the login host, %s", o.Slug, login), "choose another slug")
		}
	}
	for i, h := range o.Hosts {
		if h == "" {
			continue
		}
		at := o.place.at("hosts", i)
		g.checkHost(at, string(h))
		if h == login {
			g.fault(at, "this is the login host", "the host of public_url can't be a tenant's")
		}
		for _, a := range g.config.Apps {
			// Otherwise an organization could take the host of one that comes later.
			if slug, ok := a.Host.Match(h); ok {
				g.fault(at, fmt.Sprintf("this is the host of the slug %s at the app %s", slug, a.Name), "hosts are those that are not made from a slug")
			}
		}
		if other, ok := hosts[h]; ok {
			g.fault(at, fmt.Sprintf("the host %s is there twice", h), "the other is at "+g.where(other.at))
		}
		hosts[h] = owner{o, at}
	}
}

func (g *reading) checkDomains(o *Organization, verified map[string]owner) {
	for i, d := range o.Domains {
		if d.Name == "" {
			continue
		}
		at := o.place.at("domains", i, "name")
		if slices.ContainsFunc(o.Domains[:i], func(e Domain) bool { return e.Name == d.Name }) {
			g.fault(at, "the domain "+d.Name+" is there twice", "keep one of them")
			continue
		}
		if tenancy.PublicMailDomain(d.Name) {
			g.fault(at, "anybody can have an address at "+d.Name, "a public mail provider's domain is no organization's")
			continue
		}
		if !d.Verified {
			continue
		}
		if other, ok := verified[d.Name]; ok {
			g.fault(at, fmt.Sprintf("the domain %s is verified in %s too", d.Name, other.organization.Slug), "one of them only; the other is at "+g.where(other.at))
		}
		verified[d.Name] = owner{o, at}
	}
}

func (g *reading) checkConnections(o *Organization) {
	for i, c := range o.Connections {
		at := o.place.at("connections", i)
		if c.Name != "" && slices.ContainsFunc(o.Connections[:i], func(e Connection) bool { return e.Name == c.Name }) {
			g.fault(at.at("name"), "the connection "+c.Name+" is there twice", "each has its own name")
		}
		switch c.Type {
		case "oidc":
			g.checkOIDC(at, c)
		case "saml":
			g.checkSAML(at, o, &o.Connections[i])
		}
	}
}

func (g *reading) checkOIDC(at place, c Connection) {
	if c.Issuer == "" {
		g.missing(at, "issuer", "an oidc connection has no issuer", "add issuer: https://acme.okta.com")
	}
	if c.ClientID == "" {
		g.missing(at, "client_id", "an oidc connection has no client_id", "add client_id: with the client's id at the provider")
	}
	g.others(at, "saml", "oidc")
	g.checkProviderURL(at.at("issuer"), string(c.Issuer))
}

// missing notes that a key is not there, or has nothing in it. One that could not be read has a
// fault already, and gets no other.
func (g *reading) missing(at place, key, message, hint string) {
	if given := at.at(key); g.given(given) {
		at = given
	}
	g.fault(at, message, hint)
}

// keysOf are the keys of a connection that only one protocol has.
func keysOf(protocol string) []string {
	if protocol == "oidc" {
		return []string{"issuer", "client_id", "client_secret", "scopes", "groups_claim"}
	}
	return []string{
		"metadata_url", "metadata_file", "entity_id", "sso_url", "slo_url", "binding", "certificates", "sign_requests", "idp_initiated", "name_id",
		"email_attribute", "name_attribute", "first_name_attribute", "last_name_attribute", "groups_attribute",
	}
}

// others notes the keys of another protocol than the connection's.
func (g *reading) others(at place, other, own string) {
	for _, key := range keysOf(other) {
		if g.given(at.at(key)) {
			g.fault(at.at(key), key+" is for "+other+", and this connection is "+own, "take it out")
		}
	}
}

// checkProviderURL notes a provider that would be refused when it is asked.
func (g *reading) checkProviderURL(at place, raw string) {
	if message, hint := g.config.Egress.refuses(raw); message != "" {
		g.fault(at, message, hint)
	}
}

// refuses says why a provider would be refused when it is asked: one at localhost, or on a port that is not called. Where addresses
// are allowed by name, its own may be one of them. Empty: it would not be.
func (e Egress) refuses(raw string) (message, hint string) {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
	case isLoopback(u.Hostname()):
		if !e.AllowLoopback {
			return "this provider is at localhost, which is not called", "for development set egress: { allow_loopback: true }"
		}
	case u.Port() != "" && len(e.Allow) == 0:
		if n, err := strconv.ParseUint(u.Port(), 10, 16); err == nil && !slices.Contains(e.PublicPorts(), uint16(n)) {
			return "this provider is on port " + u.Port() + ", which is not called", "add it to the others: egress: { ports: [" + u.Port() + "] }"
		}
	}
	return "", ""
}

func (g *reading) checkPolicy(o *Organization, at place, p Policy) {
	g.checkMethods(at.at("methods"), p.Methods)
	if p.Connection == "" {
		return
	}
	var known []string
	for _, c := range o.Connections {
		if c.Name == p.Connection {
			return
		}
		known = append(known, c.Name)
	}
	hint := "a policy can name the connections that are given here; leave it out for the organization's only one"
	if len(known) > 0 {
		hint = didYouMean(p.Connection, known, "connections has: ")
	}
	g.fault(at.at("connection"), fmt.Sprintf("%s has no connection %s", o.Slug, p.Connection), hint)
}

func listed(names []string) string {
	const most = 12
	if len(names) > most {
		return strings.Join(names[:most], ", ") + ", …"
	}
	return strings.Join(names, ", ")
}
