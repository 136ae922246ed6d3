package config

import (
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/tenancy"
)

// check finds what is wrong between values that are each right by themselves, and fills
// in the defaults that depend on others. A value that is zero was not given, or has a
// fault already.
func (g *reading) check() {
	c := g.config
	login := g.checkSite()
	g.checkStore()
	g.checkListeners()
	g.checkTLS()
	g.checkSignIn()
	g.checkRoles()
	g.checkAPIKeys()
	g.checkEgress()
	g.checkWebhooks()
	g.checkClients()
	if c.Session.Idle > c.Session.Absolute {
		g.fault(g.at("session", "idle"), fmt.Sprintf("idle, %s, is longer than absolute, %s", c.Session.Idle, c.Session.Absolute), "a session that is not used ends before one that is")
	}
	g.checkMail(login)
	g.checkApps(login)
	g.checkOrganizations(login)
}

// at returns a place in the main file.
func (g *reading) at(steps ...any) place { return place{file: g.path}.at(steps...) }

// checkSite returns the canonical login host; empty if there is none.
func (g *reading) checkSite() tenancy.Host {
	c, at := g.config, g.at("public_url")
	if c.PublicURL.URL == nil {
		return ""
	}
	h, port, err := tenancy.ParseHost(c.PublicURL.Host)
	switch {
	case err != nil:
		g.fault(at, "the host of public_url is no host name", "https://login.example.com; for development http://login.localhost:8080")
		return ""
	case string(h) != c.PublicURL.Hostname() || port != c.PublicURL.Port():
		g.fault(at, "the host of public_url is not written as hosts are compared: write "+string(h), "")
		return ""
	}
	if c.PublicURL.Scheme == "http" && !isLocalhost(c.PublicURL.Hostname()) && !c.InsecurePlainHTTP {
		g.fault(at, "public_url is plain http: cookies and identities would cross the network in the clear",
			"use https; only localhost and names under it do without, or set insecure_plain_http: true")
	}
	if c.PublicURL.Scheme == "http" && c.TLS != nil {
		g.fault(at, "public_url is http, and yet tls is given", "use https")
	}
	return h
}

func (g *reading) checkStore() {
	s := &g.config.Store
	switch {
	case s.Badger != nil && s.Postgres != nil:
		g.fault(g.at("store"), "store has badger and postgres", "keep one of them")
	case s.Badger == nil && s.Postgres == nil:
		s.Badger = &Badger{}
	}
	if s.Badger != nil && (s.Badger.Dir == "" || s.Badger.Dir == "data") {
		s.Badger.Dir = Path(inDir(g.dir(), "data"))
	}
	if s.Postgres != nil && len(g.config.SecretsKey) == 0 {
		g.fault(g.at("store", "postgres"), "postgres needs a secrets_key: all replicas must have the same", `add secrets_key: "${ORGATE_SECRETS_KEY}", made with: openssl rand -base64 32`)
	}
}

func (g *reading) checkListeners() {
	c := g.config
	if c.Listen != "" && c.Management.Listen != "" && sameListener(c.Listen, c.Management.Listen) {
		g.fault(g.at("management", "listen"), "management listens where the public listener does", "give it a port of its own, such as 127.0.0.1:9090")
	}
	if c.ForwardAuth && !g.given(g.at("trusted_proxies")) {
		g.fault(g.at("forward_auth"), "nobody may ask: there are no trusted_proxies", "add trusted_proxies: with the addresses of the proxies that ask")
	}
	if c.CountryHeader != "" {
		if !g.given(g.at("trusted_proxies")) {
			g.fault(g.at("country_header"), "nobody may say it: there are no trusted_proxies", "add trusted_proxies: with the addresses of the proxies that set it")
		}
		if isTaken(c.CountryHeader) {
			g.fault(g.at("country_header"), "the header "+c.CountryHeader+" has a meaning of its own", "name the one that the proxy sets, such as CF-IPCountry")
		}
	}
	for i, p := range c.TrustedProxies {
		if p.IsValid() && p.Bits() == 0 {
			g.warn(g.at("trusted_proxies", i), "every address is trusted: anybody can claim to be any address", "name the addresses of the proxies")
		}
	}
}

// sameListener reports whether two addresses can't both be listened on.
func sameListener(a, b string) bool {
	ha, pa, _ := net.SplitHostPort(a)
	hb, pb, _ := net.SplitHostPort(b)
	any := func(h string) bool {
		addr, err := netip.ParseAddr(h)
		return h == "" || err == nil && addr.IsUnspecified()
	}
	return pa == pb && pa != "0" && (ha == hb || any(ha) || any(hb))
}

func (g *reading) checkSignIn() {
	s := &g.config.SignIn
	for i, m := range s.Methods {
		at := g.at("sign_in", "methods", i)
		switch {
		case slices.Index(s.Methods, m) < i:
			g.fault(at, m.String()+" is there twice", "keep one of them")
		case m == policy.EmailCode && g.config.Mail == nil:
			g.fault(at, "a code by mail needs mail", "add mail: { smtp: { host: smtp.example.com }, from: … }")
		case m == policy.Password && g.config.Mail == nil:
			g.fault(at, "a password needs mail: it is set and reset by a code", "add mail: { smtp: { host: smtp.example.com }, from: … }")
		case m == policy.Passkey && g.config.PublicURL.URL != nil && net.ParseIP(g.config.PublicURL.Hostname()) != nil:
			g.fault(at, "passkeys need a login host with a name", "browsers keep none for an address such as "+g.config.PublicURL.Hostname())
		case m == policy.Passkey && g.config.PublicURL.URL != nil && g.config.PublicURL.Scheme == "http" && !isLocalhost(g.config.PublicURL.Hostname()):
			g.fault(at, "passkeys need https", "browsers keep none for a host that is reached by http, but for localhost")
		case m == policy.Passkey && g.config.Mail == nil:
			g.warn(at, "without mail, nobody can set up a first passkey", "add mail, so that a code can show whose address it is")
		}
	}
	g.checkSocial()
}

func (g *reading) checkAPIKeys() {
	keys := g.config.Management.APIKeys
	for i, k := range keys {
		if j := slices.IndexFunc(keys, func(o APIKey) bool { return o.Name == k.Name }); j < i && k.Name != "" {
			g.fault(g.at("management", "api_keys", i, "name"), "the name "+k.Name+" is there twice", "each key has its own, so that the log says who it was")
		}
		if j := slices.IndexFunc(keys, func(o APIKey) bool { return o.Hash == k.Hash }); j < i && k.Hash != "" {
			g.fault(g.at("management", "api_keys", i, "hash"), "this key is there twice", "each has its own")
		}
	}
}

func (g *reading) checkRoles() {
	c := g.config
	if len(c.Roles) > 0 {
		c.RolesAt.File = g.path
		if f := g.file(g.path); f != nil {
			c.RolesAt.Line = find(f.root, []any{"roles"}).Line
		}
	}
	for i, r := range c.Roles {
		if j := slices.IndexFunc(c.Roles, func(o Role) bool { return o.Slug == r.Slug }); j < i && r.Slug != "" {
			g.fault(g.at("roles", i, "slug"), "the role "+r.Slug+" is there twice", "each role has its own slug")
		}
	}
	if !g.hasRole("member") {
		c.Roles = append(slices.Clip(c.Roles), Role{Slug: "member"})
	}
	g.checkRole(g.at("default_role"), c.DefaultRole)
}

func (g *reading) hasRole(slug string) bool {
	return slices.ContainsFunc(g.config.Roles, func(r Role) bool { return r.Slug == slug })
}

// checkRole notes a fault if a role is named that is not defined.
func (g *reading) checkRole(at place, slug string) {
	if slug == "" || g.hasRole(slug) {
		return
	}
	var known []string
	for _, r := range g.config.Roles {
		if !slices.Contains(known, r.Slug) {
			known = append(known, r.Slug)
		}
	}
	g.fault(at, "the role "+slug+" is not defined", didYouMean(slug, known, "roles has: "))
}

func (g *reading) checkEgress() {
	e := &g.config.Egress
	if u := g.config.PublicURL.URL; u != nil && isLocalhost(u.Hostname()) {
		e.AllowLoopback = true
	}
	g.checkCA(g.at("egress", "ca_file"), e.CAFile)
	for i, p := range g.config.SignIn.Social {
		g.checkProviderURL(g.at("sign_in", "social", i, "issuer"), string(p.Issuer))
		g.checkProviderURL(g.at("sign_in", "social", i, "url"), string(p.URL))
	}
}

func (g *reading) checkCA(at place, file Path) {
	if file == "" {
		return
	}
	data, err := g.readFile(string(file), maxIncluded)
	switch {
	case err != nil:
		g.fault(at, "the file "+string(file)+" "+because(err), "")
	case !x509.NewCertPool().AppendCertsFromPEM(data):
		g.fault(at, "the file "+string(file)+" has no certificate in PEM", "")
	}
}

// checkMethods notes methods that a policy asks for and nobody is ever offered.
func (g *reading) checkMethods(at place, methods []policy.Method) {
	offered := append(slices.Clip(g.config.SignIn.Methods), policy.SSO)
	if len(g.config.SignIn.Social) > 0 {
		offered = append(offered, policy.Social)
	}
	for i, m := range methods {
		switch {
		case m == 0:
		case slices.Index(methods, m) < i:
			g.fault(at.at(i), m.String()+" is there twice", "keep one of them")
		case !slices.Contains(offered, m):
			g.warn(at.at(i), "nobody is offered "+m.String(), "sign_in does not have it")
		}
	}
}

// didYouMean is a hint at what is near, or at all there is.
func didYouMean(s string, known []string, intro string) string {
	if near := nearest(s, known); near != "" {
		return "did you mean " + near + "?"
	}
	return intro + listed(known)
}
