package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/tenancy"
)

func (g *reading) checkApps(login tenancy.Host) {
	c := g.config
	c.Apps = slices.DeleteFunc(c.Apps, func(a *App) bool { return a == nil })
	if len(c.Apps) == 0 {
		g.fault(g.at("apps"), "there is no app", `such as - { name: app, host: "{org}.example.com", upstream: "http://127.0.0.1:3000" }`)
	}
	for i, a := range c.Apps {
		at := g.at("apps", i)
		for j, b := range c.Apps[:i] {
			if a.Name == b.Name && a.Name != "" {
				g.fault(at.at("name"), "the app "+a.Name+" is there twice", "each app has its own name; the other is at "+g.where(g.at("apps", j)))
			}
			if host, ok := a.Host.overlaps(b.Host); ok && a.Host != (HostPattern{}) && b.Host != (HostPattern{}) {
				g.fault(at.at("host"), fmt.Sprintf("%s could be a host of %s and of %s", host, a.Name, b.Name), "give each app hosts that no other has")
			}
		}
		g.checkHost(at.at("host"), a.Host.after)
		g.checkUpstream(at, a)
		g.checkHeaders(at.at("headers"), a.Headers)
		g.checkRoutes(at.at("routes"), a)
	}
}

// checkHost notes a host that plain HTTP was not allowed for.
func (g *reading) checkHost(at place, host string) {
	u := g.config.PublicURL
	if u.URL == nil || u.Scheme != "http" || g.config.InsecurePlainHTTP || host == "" || !isLocalhost(u.Hostname()) {
		return
	}
	if !isLocalhost(strings.TrimPrefix(host, ".")) {
		g.fault(at, "public_url is plain http, which is for localhost and names under it, and this host is not", "such as {org}.localhost, or set insecure_plain_http: true")
	}
}

func (g *reading) checkUpstream(at place, a *App) {
	if a.Upstream.URL == nil {
		return
	}
	secure := a.Upstream.Scheme == "https"
	if a.Protocol == "h2c" && secure {
		g.fault(at.at("protocol"), "h2c is HTTP/2 without TLS, and upstream is https", "take protocol out: auto speaks HTTP/2 over TLS where the app does")
	}
	if t := a.UpstreamTLS; t != nil {
		if !secure {
			g.fault(at.at("upstream_tls"), "upstream_tls is given, and upstream is http", "use https")
		}
		g.checkCA(at.at("upstream_tls", "ca_file"), t.CAFile)
	}
}

// taken are header names that mean something to HTTP or to orgate itself, and beginnings
// of such.
func taken() []string {
	return []string{
		"host", "connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "proxy-", "expect",
		"content-", "cookie", "set-cookie", "authorization", "forwarded", "x-forwarded-", "x-real-ip", "via", "date", "origin",
		"referer", "sec-", "accept", "range", "if-", "x-request-id", "x-original-", "x-rewrite-url", "x-http-method",
	}
}

func isTaken(name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc(taken(), func(t string) bool { return name == t || strings.HasSuffix(t, "-") && strings.HasPrefix(name, t) })
}

func (g *reading) checkHeaders(at place, h Headers) {
	fields := map[string]string{}
	names := h.Names()
	for _, f := range g.layouts.layout(reflect.TypeFor[Headers]()).keys {
		name := strings.ToLower(names[f])
		if name == "" {
			continue
		}
		if isTaken(name) {
			g.fault(at.at(f), "the header "+names[f]+" has a meaning of its own", "a name that nothing else uses, such as X-User-Id")
		}
		if other, ok := fields[name]; ok {
			g.fault(at.at(f), fmt.Sprintf("%s and %s have the same header", other, f), "give each a name of its own")
		}
		fields[name] = f
	}
}

func (g *reading) checkRoutes(at place, a *App) {
	for i, r := range a.Routes {
		if r.Path == "" {
			continue // a fault was noted
		}
		rule, err := policy.RuleSpec{Path: r.Path, Methods: r.Methods, Access: r.Access, Role: r.Role, Permission: r.Permission, When: r.When}.Compile()
		for _, e := range ruleErrors(err) {
			g.fault(at.at(i, e.Field), e.Err.Error(), "")
		}
		a.Rules = append(a.Rules, rule)
		g.checkRole(at.at(i, "role"), r.Role)
		if r.Permission != "" && !slices.ContainsFunc(g.config.Roles, func(o Role) bool { return slices.Contains(o.Permissions, r.Permission) }) {
			var known []string
			for _, o := range g.config.Roles {
				known = append(known, o.Permissions...)
			}
			slices.Sort(known)
			g.warn(at.at(i, "permission"), "no role here has the permission "+r.Permission, didYouMean(r.Permission, slices.Compact(known), "roles give: "))
		}
	}
}

// ruleErrors takes apart what policy says of a rule.
func ruleErrors(err error) []*policy.RuleError {
	if err == nil {
		return nil
	}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		var out []*policy.RuleError
		for _, e := range many.Unwrap() {
			out = append(out, ruleErrors(e)...)
		}
		return out
	}
	if e, ok := errors.AsType[*policy.RuleError](err); ok {
		return []*policy.RuleError{e}
	}
	return []*policy.RuleError{{Field: "path", Err: err}}
}
