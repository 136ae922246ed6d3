package config

import (
	"net/url"
	"slices"
	"strings"

	"github.com/orgate/orgate/policy"
)

// checkSocial checks the providers that anybody may sign in with.
func (g *reading) checkSocial() {
	s := &g.config.SignIn
	silent := len(s.Social) > 0 // none of them ever says when somebody signed in there
	for i := range s.Social {
		p, at := &s.Social[i], g.at("sign_in", "social", i)
		if j := slices.IndexFunc(s.Social, func(q Social) bool { return q.Name == p.Name }); j < i && p.Name != "" {
			g.fault(at.at("name"), "the name "+p.Name+" is there twice", "each provider has its own")
		}
		switch p.Type {
		case "oidc":
			silent = false
			g.checkSocialOIDC(at, *p)
		case "github":
			g.checkGitHub(at, *p)
		}
		if p.Label == "" {
			p.Label = labelOf(*p)
		}
		if g.config.Mail == nil && !p.TrustEmail {
			g.fault(at, "an address that comes by "+p.Name+" is proved by a code, which needs mail",
				"add mail: { smtp: { host: smtp.example.com }, from: … }, or trust_email: true if the provider verifies addresses")
		}
	}
	local := slices.ContainsFunc(s.Methods, func(m policy.Method) bool {
		return m == policy.EmailCode || m == policy.Passkey || m == policy.Password
	})
	if silent && !local {
		g.warn(g.at("sign_in", "social"), "nobody who comes by GitHub can set up a second factor, or meet a max_age",
			"GitHub never says when somebody signed in there: add email_code or passkey to sign_in.methods")
	}
}

func (g *reading) checkSocialOIDC(at place, p Social) {
	if p.Issuer == "" {
		g.missing(at, "issuer", "an oidc provider has no issuer", "add issuer: https://accounts.google.com")
		return
	}
	if p.URL != "" {
		g.fault(at.at("url"), "url is for github, and this provider is oidc", "take it out, or say type: github")
	}
	u, err := url.Parse(string(p.Issuer))
	if err != nil {
		return // it has a fault already
	}
	first, _, _ := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	switch strings.ToLower(u.Hostname()) {
	case "github.com", "www.github.com":
		g.fault(at.at("issuer"), "GitHub is no OpenID provider", "take issuer out, and say type: github")
	case "appleid.apple.com", "account.apple.com":
		g.fault(at.at("issuer"), "Sign in with Apple can't be used", "Apple posts its answer from its own site, and wants a new client secret every half year")
	case "login.microsoftonline.com":
		switch strings.ToLower(first) {
		case "common", "organizations", "consumers":
			// Its discovery document names another issuer, or a template of one: whoever
			// has a tenant of their own could speak for everybody's addresses.
			g.fault(at.at("issuer"), first+" is not the issuer of any token", "name one tenant by its id: https://login.microsoftonline.com/TENANT-ID/v2.0; "+
				"personal accounts are in 9188040d-6c67-4c5b-b112-36a304b66dad")
		}
	}
}

func (g *reading) checkGitHub(at place, p Social) {
	if p.Issuer != "" {
		g.fault(at.at("issuer"), "GitHub has no issuer", "take it out; url says where a GitHub Enterprise Server is")
	}
	if p.ClientSecret.IsZero() {
		g.missing(at, "client_secret", "a github provider has no client_secret", `add client_secret: "${GITHUB_SECRET}"`)
	}
	if u, err := url.Parse(string(p.URL)); err == nil && strings.Trim(u.Path, "/") != "" {
		g.fault(at.at("url"), "the url of a GitHub has no path", "such as https://github.acme.com")
	}
}

// labelOf is what a provider is called that has no label.
func labelOf(p Social) string {
	switch {
	case p.Type == "github" && p.Name == "github":
		return "GitHub"
	case p.Name == "":
		return ""
	}
	return strings.ToUpper(p.Name[:1]) + p.Name[1:]
}
