package proxy

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"github.com/orgate/orgate/internal/endpoint"
	"github.com/orgate/orgate/internal/text"
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
//
// A trusted proxy also passes on what browsers send, and no question can be told from a
// request that a script sent here itself, on the page of a tenant, to read what apps alone are
// told: the same headers, from the same peer. So the operator says whether proxies ask.
func (x *exchange) forwardAuth(r *http.Request, host tenancy.Host, port string) {
	var why errUntrusted
	switch {
	case !x.peerTrust:
		x.code, why = "forward_auth_untrusted", errUntrusted("the peer "+x.clientIP+" is not in trusted_proxies")
	case !x.st.forwardAuth:
		x.code, why = "forward_auth_off", "no proxy is to ask: forward_auth is off"
	}
	if why != "" {
		if _, ok := x.st.place(host); !ok {
			x.refuse(r, unknownHost, "forward-auth: "+string(why))
			return
		}
		x.fail(r, &endpoint.Error{Status: http.StatusForbidden, Code: x.code, Title: text.T("This is not for you"),
			Text: text.T("Only a proxy that is trusted may ask here."), Hint: text.T("The operator lists proxies under trusted_proxies, and sets forward_auth."), Err: why})
		return
	}
	o, err := original(r, x.target)
	if err == nil {
		if host, port, err = o.host(host, port, x.st); err == nil {
			x.method = o.method
			x.target, err = o.target()
		}
	}
	if err != nil {
		x.code = "bad_original_request"
		x.fail(r, &endpoint.Error{Status: http.StatusForbidden, Code: x.code, Title: text.T("This request can't be judged"),
			Text: text.T("What the proxy said of the request can't be read."), Err: err})
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
		x.fail(r, &endpoint.Error{Status: http.StatusForbidden, Code: x.code, Title: text.T("This request can't be judged"),
			Text: text.T("The path is one of ours, or can be read in two ways.")})
		return
	}
	if pl.app.overridden(r.Header) {
		// The proxy that asks hands it on to the app: we can take nothing out.
		x.code = "bad_original_request"
		x.fail(r, &endpoint.Error{Status: http.StatusForbidden, Code: x.code, Title: text.T("This request can't be judged"),
			Err: errUntrusted("forward-auth: a header of the original request changes its method, and route rules are about methods")})
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
		x.fail(r, &endpoint.Error{Status: http.StatusUnauthorized, Code: "sign_in_required", Title: text.T("Please sign in"), Text: text.T("You are not signed in here, or not any more."),
			Organization: x.place.org.name, ActionURL: x.signInURL(back), ActionText: text.T("Sign in")})
		return
	}
	if x.foreignWebSocket(r) {
		x.fail(r, crossOrigin())
		return
	}
	// Every header is there, empty if there is nothing to say: some proxies leave the
	// client's own copy in place where the answer has none (CVE-2026-30851).
	for _, n := range x.place.app.names {
		h[n.name] = []string{""}
	}
	if x.decision.Identified {
		token, err := x.p.assertionOf(x.grant, x.st, &x.place, x.began)
		if err == nil && !x.grant.hasWire() {
			err = errUnguarded
		}
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
	authorities []string // what it was sent to; none: what the question was
	method      string
	uri         string
	// redirect: the proxy says that it hands our answer to the browser, so that it may be
	// a redirect. nginx can't: it takes anything but 2xx, 401 and 403 for a fault.
	redirect bool
}

// original reads what the proxy says. The names are those that nginx's and ingress-nginx's
// examples, Traefik, Caddy and Envoy use. Each may come once.
//
// A proxy sets those that it knows, and most hand the others on as the client sent them. We
// can't know which are whose, so all that are there must say the same.
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
	var uris, methods []string
	if u, ok := one("X-Original-Url"); ok { // ingress-nginx: an absolute URL
		_, rest, ok := strings.Cut(u, "://")
		if !ok {
			return o, errUntrusted("forward-auth: X-Original-URL is no URL")
		}
		i := strings.IndexAny(rest+"/", "/?")
		o.authorities = append(o.authorities, rest[:i])
		uris = append(uris, cmp.Or(rest[i:], "/"))
	}
	for _, name := range [...]string{"X-Original-Uri", "X-Forwarded-Uri"} {
		if u, ok := one(name); ok {
			uris = append(uris, u)
		}
	}
	if rest := strings.TrimPrefix(asked.raw, authPath); rest != "" { // Envoy
		o.redirect = true
		uris, methods = append(uris, rest+asked.query), append(methods, r.Method)
	} else if mode, ok := strings.CutPrefix(asked.query, "?mode="); ok {
		if mode != "redirect" && mode != "status" {
			return o, errUntrusted(`forward-auth: mode is neither "redirect" nor "status"`)
		}
		o.redirect = mode == "redirect"
	}
	if h, ok := one("X-Forwarded-Host"); ok {
		o.authorities = append(o.authorities, h)
	}
	for _, name := range [...]string{"X-Original-Method", "X-Forwarded-Method"} {
		if m, ok := one(name); ok {
			methods = append(methods, m)
		}
	}
	for i, u := range uris {
		if strings.HasPrefix(u, "?") {
			uris[i] = "/" + u
		}
	}
	if len(methods) == 0 {
		methods = []string{r.Method}
	}
	uris, methods = slices.Compact(uris), slices.Compact(methods)
	switch {
	case err != nil:
		return o, err
	case len(uris) == 0:
		return o, errUntrusted("forward-auth: none of X-Forwarded-Uri, X-Original-URL and X-Original-URI is there")
	case len(uris) > 1 || len(methods) > 1:
		return o, errUntrusted("forward-auth: headers disagree about the original request: the proxy must set or remove each that a client can send")
	}
	o.uri, o.method = uris[0], methods[0]
	if !checkMethod(o.method) {
		return o, errUntrusted("forward-auth: the original method is not one that is let through")
	}
	return o, nil
}

// host returns the host that the original request was for. asked is that of the question:
// where it is a tenant's, it has not been said to be another one's.
func (o originalRequest) host(asked tenancy.Host, port string, st *state) (tenancy.Host, string, error) {
	if len(o.authorities) == 0 {
		return asked, port, nil
	}
	var said tenancy.Host
	if pl, ok := st.place(asked); ok && !pl.login {
		said = asked
	}
	port = ""
	for _, authority := range o.authorities {
		h, p, err := tenancy.ParseHost(authority)
		switch {
		case err != nil:
			return "", "", errUntrusted("forward-auth: the original request has no host")
		case said != "" && h != said || port != "" && p != "" && p != port:
			return "", "", errUntrusted("forward-auth: headers disagree about the host of the original request")
		}
		said, port = h, cmp.Or(p, port)
	}
	return said, port, nil
}

// target reads the original path as that of a request of our own would be.
func (o originalRequest) target() (target, error) {
	t, bad := readTarget(&http.Request{RequestURI: o.uri})
	if bad != "" || len(o.uri) > 0 && o.uri[0] != '/' {
		return target{}, errUntrusted("forward-auth: the original request has a " + string(bad))
	}
	return t, nil
}
