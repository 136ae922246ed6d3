package proxy

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/orgate/orgate/internal/endpoint"
	"github.com/orgate/orgate/tenancy"
)

// isAuth reports whether the path is that of forward-auth. Envoy appends the original
// path to it.
func isAuth(path string) bool {
	return path == authPath || strings.HasPrefix(path, authPath+"/")
}

// forwardAuth answers another proxy that asks about a request it has got: 200 with the
// identity, 401 or 302 where a proof is missing, 403 where none would help.
//
// Whoever may ask can ask about any host and path, and is told who is signed in. So
// the peer must be a trusted proxy, and all that is believed of the request comes from it.
func (x *exchange) forwardAuth(r *http.Request, host tenancy.Host, port string) {
	if !x.peerTrust {
		why := "the peer " + x.clientIP + " is not in trusted_proxies"
		if _, ok := x.st.place(host); !ok {
			x.refuse(r, unknownHost, "forward-auth: "+why)
			return
		}
		x.code = "forward_auth_untrusted"
		x.fail(r, &endpoint.Error{Status: http.StatusForbidden, Code: x.code, Title: "This is not for you",
			Text: "Only a proxy that is trusted may ask here.", Hint: "The operator lists proxies under trusted_proxies.", Err: errUntrusted(why)})
		return
	}
	o, err := original(r, x.target)
	if err == nil {
		host, port = o.host(host, port)
		x.method = o.method
		x.target, err = o.target()
	}
	if err != nil {
		x.code = "bad_original_request"
		x.fail(r, &endpoint.Error{Status: http.StatusForbidden, Code: x.code, Title: "This request can't be judged",
			Text: "What the proxy said of the request can't be read.", Err: err})
		return
	}
	pl, ok := x.st.place(host)
	if !ok || pl.login || pl.org.unread || !x.st.rightPort(port) && port != "" {
		// To a proxy that asks, 403 is the answer that lets nobody through: nginx takes
		// 404 for a fault of ours.
		e := unknownHostError()
		e.Status, x.code = http.StatusForbidden, e.Code
		x.fail(r, e)
		return
	}
	x.place = pl
	if x.ours() || x.target.ambiguous && !pl.app.AmbiguousPaths {
		x.code = string(ambiguousPath)
		x.fail(r, &endpoint.Error{Status: http.StatusForbidden, Code: x.code, Title: "This request can't be judged",
			Text: "The path is one of ours, or can be read in two ways."})
		return
	}
	if err := x.authorize(r); err != nil {
		x.fail(r, err)
		return
	}
	x.answerAuth(r, o)
}

// answerAuth says to the proxy what was decided.
func (x *exchange) answerAuth(r *http.Request, o originalRequest) {
	h := x.Header()
	h.Set("Cache-Control", "no-store")
	if !allows(x.decision) {
		if e := x.denial(); !helps(x.decision.Verdict) {
			x.fail(r, e)
			return
		}
		back := "/"
		if o.method == http.MethodGet || o.method == http.MethodHead {
			back = x.target.raw + x.target.query
		}
		h.Set("Location", x.signInURL(back))
		if o.redirect && (o.method == http.MethodGet || o.method == http.MethodHead) && navigates(r) {
			x.WriteHeader(http.StatusFound)
			return
		}
		x.fail(r, &endpoint.Error{Status: http.StatusUnauthorized, Code: "sign_in_required", Title: "Please sign in", Text: "You are not signed in here, or not any more.",
			Organization: x.place.org.name, ActionURL: x.signInURL(back), ActionText: "Sign in"})
		return
	}
	// Every header is there, empty if there is nothing to say: some proxies leave the
	// client's own copy in place where the answer has none (CVE-2026-30851).
	for _, n := range x.place.app.names {
		h[n.name] = []string{""}
	}
	if x.decision.Identified {
		token, err := x.p.assertionOf(x.grant, x.st, &x.place, x.began)
		if err != nil {
			for _, n := range x.place.app.names {
				delete(h, n.name)
			}
			x.fail(r, err)
			return
		}
		x.grant.set(h, token)
	}
	x.WriteHeader(http.StatusOK)
}

// errUntrusted is a cause for the log.
type errUntrusted string

func (e errUntrusted) Error() string { return string(e) }

// An originalRequest is the request that a proxy asks about, as it says.
type originalRequest struct {
	authority string // empty: that of the question
	method    string
	uri       string
	// redirect: the proxy says that it hands our answer to the browser, so that it may be
	// a redirect. nginx can't: it takes anything but 2xx, 401 and 403 for a fault.
	redirect bool
}

// original reads what the proxy says. The names are those that nginx's and ingress-nginx's
// examples, Traefik, Caddy and Envoy use. Each may come once.
func original(r *http.Request, asked target) (o originalRequest, err error) {
	one := func(name string) (string, bool) {
		v := r.Header[name]
		list := name == "X-Forwarded-Host" && len(v) == 1 && strings.Contains(v[0], ",")
		if len(v) > 1 || list {
			err = errUntrusted("forward-auth: more than one " + name)
		}
		if len(v) != 1 {
			return "", false
		}
		return v[0], true
	}
	// What can't be read of the query is no mode.
	q, _ := url.ParseQuery(strings.TrimPrefix(asked.query, "?"))
	o.method = r.Method
	if u, ok := one("X-Original-Url"); ok { // ingress-nginx: an absolute URL
		parsed, perr := url.Parse(u)
		if perr != nil || parsed.Host == "" {
			return o, errUntrusted("forward-auth: X-Original-URL is no URL")
		}
		o.authority = parsed.Host
		_, rest, _ := strings.Cut(u, "://")
		if i := strings.IndexAny(rest, "/?"); i >= 0 {
			o.uri = rest[i:]
		} else {
			o.uri = "/"
		}
	} else if u, ok := one("X-Original-Uri"); ok {
		o.uri = u
	} else if u, ok := one("X-Forwarded-Uri"); ok {
		o.uri = u
	} else if rest := strings.TrimPrefix(asked.raw, authPath); rest != "" { // Envoy
		o.uri, o.redirect = rest+asked.query, true
		q = nil
	} else {
		return o, errUntrusted("forward-auth: none of X-Forwarded-Uri, X-Original-URL and X-Original-URI is there")
	}
	if strings.HasPrefix(o.uri, "?") {
		o.uri = "/" + o.uri
	}
	if h, ok := one("X-Forwarded-Host"); ok {
		o.authority = h
	}
	for _, name := range [...]string{"X-Original-Method", "X-Forwarded-Method"} {
		if m, ok := one(name); ok {
			o.method = m
		}
	}
	switch mode := q["mode"]; {
	case len(mode) == 0:
	case slices.Equal(mode, []string{"redirect"}):
		o.redirect = true
	case slices.Equal(mode, []string{"status"}):
		o.redirect = false
	default:
		return o, errUntrusted(`forward-auth: mode is neither "redirect" nor "status"`)
	}
	if !checkMethod(o.method) {
		return o, errUntrusted("forward-auth: the original method is not one that is let through")
	}
	return o, err
}

// host returns the host that the original request was for.
func (o originalRequest) host(h tenancy.Host, port string) (tenancy.Host, string) {
	if o.authority == "" {
		return h, port
	}
	h, port, err := tenancy.ParseHost(o.authority)
	if err != nil {
		return "", ""
	}
	return h, port
}

// target reads the original path as that of a request of our own would be.
func (o originalRequest) target() (target, error) {
	t, bad := readTarget(&http.Request{RequestURI: o.uri})
	if bad != "" || len(o.uri) > 0 && o.uri[0] != '/' {
		return target{}, errUntrusted("forward-auth: the original request has a " + string(bad))
	}
	return t, nil
}
