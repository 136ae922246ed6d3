package proxy

import (
	"errors"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/orgate/orgate/internal/cookie"
	"github.com/orgate/orgate/internal/denial"
	"github.com/orgate/orgate/internal/endpoint"
	"github.com/orgate/orgate/internal/text"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/tenancy"
)

// unknownHost is the refusal of a host that is nothing here.
const unknownHost refusal = "unknown_host"

// allows reports whether the request may be forwarded. It is asked at the one place
// where requests are forwarded.
func allows(d policy.Decision) bool { return d.Verdict == policy.Allow }

// decide asks policy what the session of g may do with this request.
func (x *exchange) decide(g *grant, now time.Time) policy.Decision {
	d, by := x.judge(x.place.app.Rules, x.rule, g, now)
	x.deciding = by
	return d
}

// judge is decide by rules that may be newer than the request; rule is the one of them that
// matches its path. It also returns the rule that decided, if one did.
//
// The app may take the path for one in another case, an ambiguous path in one of several
// ways, and a method that it does not know for a GET. Then no rule that grants applies, and each that asks for more than membership does.
func (x *exchange) judge(rules policy.Rules, rule *policy.Rule, g *grant, now time.Time) (d policy.Decision, by *policy.Rule) {
	f := g.facts()
	f.Now = now
	f.Request = policy.Request{Method: x.method, Path: x.target.path, Host: string(x.place.host), RemoteIP: x.clientIP, Country: x.country}
	if !x.target.ambiguous {
		f.Rule = rule
		d = rules.Decide(&f)
		return d, f.Rule
	}
	d = policy.Decide(&f)
	for _, path := range readings(x.target.raw) {
		f.Request.Path = path
		d = d.AlsoBy(rules.Match(x.method, path), &f)
		d = d.AlsoBy(rules.MatchFold(x.method, path), &f)
		for _, other := range rules.Unnamed(x.method, path) {
			d = d.AlsoBy(other, &f)
		}
	}
	return d, f.Rule
}

// serveApp takes a request to the app, or answers why not.
func (x *exchange) serveApp(r *http.Request) {
	if x.target.ambiguous && !x.place.app.AmbiguousPaths {
		x.refuse(r, ambiguousPath, "")
		return
	}
	if err := x.withinRate(); err != nil {
		x.tooMany(r, err)
		return
	}
	if err := x.authorize(r); err != nil {
		x.fail(r, err)
		return
	}
	if !allows(x.decision) {
		x.challenge(r)
		return
	}
	if x.foreignWebSocket(r) {
		x.fail(r, crossOrigin())
		return
	}
	x.forward(r)
}

func crossOrigin() *endpoint.Error {
	return &endpoint.Error{Status: http.StatusForbidden, Code: "cross_origin", Title: text.T("This request came from another site"),
		Text: text.T("A page of another site tried to open a connection in your name. It was not opened.")}
}

// foreignWebSocket reports whether a page of another site opens a WebSocket with the
// session of this one. Browsers let them, and send the cookies along. (A proxy that asks
// about one does not hand its Upgrade on, but its key.)
func (x *exchange) foreignWebSocket(r *http.Request) bool {
	if !x.decision.Identified || r.Header["Upgrade"] == nil && r.Header["Sec-Websocket-Key"] == nil {
		return false
	}
	origins := r.Header["Origin"]
	switch len(origins) {
	case 0:
		return false // no browser
	case 1:
		u, err := url.Parse(origins[0])
		return err != nil || u.Scheme != x.st.public.Scheme || !strings.EqualFold(u.Host, x.place.authority)
	default:
		return true
	}
}

// challenge answers a request that may not be forwarded: by sending a person on to
// prove what is missing, by telling a program where that is done, or by saying no.
func (x *exchange) challenge(r *http.Request) {
	if !helps(x.decision.Verdict) {
		x.fail(r, x.denial())
		return
	}
	if navigates(r) && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		x.startSignIn(r, x.target.raw+x.target.query)
		return
	}
	back := "/"
	if r.Method == http.MethodGet {
		back = x.target.raw + x.target.query
	} else if from := x.refererPath(r); from != "" {
		back = from
	}
	e := &endpoint.Error{
		Status: http.StatusUnauthorized, Code: "sign_in_required", Title: text.T("Please sign in"),
		Text: text.T("You are not signed in here, or not any more. What you sent was not carried out."), Hint: text.T("Sign in, go back, and send it again."),
		Organization: x.place.org.name, ActionURL: x.signInURL(back), ActionText: text.T("Sign in"),
	}
	if x.grant != nil && !x.grant.nobody() {
		e.Code, e.Text = "more_proof_required", text.T("You are signed in, but this organization asks for more. What you sent was not carried out.")
	}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		e.Text, e.Hint = text.T("You are not signed in here, or not any more."), text.T("Sign in and try again.")
	}
	x.fail(r, e)
}

// navigates reports whether a browser asks for a page to show, as far as can be known:
// browsers say so; of older ones it is enough that they like HTML.
func navigates(r *http.Request) bool {
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" {
		return mode == "navigate"
	}
	return strings.Contains(strings.ToLower(r.Header.Get("Accept")), "text/html") && r.Header["Upgrade"] == nil
}

// refererPath is the page of this host that a form was sent from.
func (x *exchange) refererPath(r *http.Request) string {
	u, err := url.Parse(r.Referer())
	if err != nil || u.Host != x.place.authority {
		return ""
	}
	path, ok := session.ParseReturnPath(u.RequestURI())
	if !ok {
		return ""
	}
	return path
}

// signInURL is where on this host a sign-in begins.
func (x *exchange) signInURL(returnTo string) string {
	return x.st.url(x.place.authority, signInPath, url.Values{"return_to": {returnTo}})
}

const (
	// attemptLife is how long a person may take to sign in.
	attemptLife = 15 * time.Minute
	// maxAttempts is how many sign-ins a browser may have under way at one host: two
	// tabs work, and a page that is reloaded for ever does not fill the cookie jar.
	maxAttempts = 5
)

// startSignIn begins an attempt to sign in, and sends the browser to the login host.
func (x *exchange) startSignIn(r *http.Request, returnTo string) {
	path, ok := session.ParseReturnPath(returnTo)
	if !ok {
		path = "/"
	}
	x.clearSession()
	attempts := x.attempts(r)
	for len(attempts) >= maxAttempts { // browsers send the oldest first
		x.st.jar.Clear(x.w, attempts[0])
		attempts = attempts[1:]
	}
	attempt := session.NewToken()
	hash := attempt.Hash()
	x.st.jar.Set(x.w, cookie.Attempt+"_"+hash.String()[:6], attempt.Reveal(), attemptLife)
	q := session.SignInRequest{Host: x.place.authority, Attempt: hash, ReturnTo: path}
	if x.grant != nil && !x.grant.nobody() {
		q.LoginHint = x.grant.email()
	}
	h := x.w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	http.Redirect(x, r, x.st.loginURL("/sign-in", q.Values()), http.StatusFound)
}

// attempts are the names of the attempt cookies of the request.
func (x *exchange) attempts(r *http.Request) []string {
	return x.st.jar.Names(r.Header, cookie.Attempt+"_")
}

// denial is the answer to somebody who can prove nothing that would help. It names the
// organization, whose host this is, and nothing that only members know.
func (x *exchange) denial() *endpoint.Error {
	e := &endpoint.Error{
		Status: http.StatusForbidden, Code: x.decision.Reason.String(), Organization: x.place.org.name,
		Title: text.T("You have no access here"), ActionURL: switchPath, ActionText: text.T("Choose another organization"),
	}
	name := x.place.org.name
	switch x.decision.Reason {
	case policy.NotMember:
		e.Text, e.Hint = text.T("You are signed in, but you are not a member of %s.", name), text.T("Ask an administrator of %s to invite you, or sign in with another address.", name)
	case policy.InvitationOpen:
		e.Text, e.Hint = text.T("You were invited to %s, and have not accepted yet.", name), text.T("Open the link in the invitation.")
		e.ActionURL, e.ActionText = x.st.loginURL("/invitations", nil), text.T("Your invitations")
	case policy.Deactivated:
		e.Text, e.Hint = text.T("Your access to %s was switched off.", name), text.T("Ask an administrator of %s.", name)
	case policy.Confined:
		e.Text, e.Hint = text.T("The way you signed in is good for another organization only."), text.T("Sign out and sign in again in the way that %s asks for.", name)
	case policy.NoMethod:
		e.Text, e.Hint = text.T("%s asks for a way to sign in that is not available here.", name), text.T("Ask an administrator of %s.", name)
	case policy.RoleMissing, policy.PermissionMissing:
		e.Text, e.Hint = text.T("Your role in %s does not include this page.", name), text.T("Ask an administrator of %s for the role that does.", name)
		e.ActionURL, e.ActionText = "/", text.T("Go to the first page")
	case policy.ConditionFalse, policy.ConditionFailed:
		e.Text, e.Hint = text.T("This page is not for you under the rules of the app."), text.T("Ask an administrator of %s.", name)
		e.ActionURL, e.ActionText = "/", text.T("Go to the first page")
	case policy.Suspended:
		return unknownHostError()
	default:
		e.Text = text.T("You may not do this here.")
	}
	return e
}

// noteDenial has it taken down that the request was refused, if no proof would have helped.
func (x *exchange) noteDenial(r *http.Request) {
	if x.status != http.StatusForbidden || x.grant == nil || x.decision.Verdict != policy.Deny || x.place.org == nil {
		return
	}
	d := denial.Denial{
		Organization: x.place.org.id, App: x.place.app.Name, Method: clip(x.method, maxMethod), Source: x.decision.Source, Reason: x.decision.Reason,
		At: x.began, RemoteIP: x.clientIP, UserAgent: r.UserAgent(),
	}
	if x.deciding != nil && d.Source == policy.ByRoute {
		d.Rule = x.deciding.Name
	}
	if !x.grant.nobody() {
		// Copies: what is taken down outlives the grant, of whose text they are parts.
		d.User, d.Email = tenancy.UserID(strings.Clone(string(x.grant.user()))), strings.Clone(x.grant.email())
	}
	x.p.denials.Add(d)
}

func unknownHostError() *endpoint.Error {
	return &endpoint.Error{Status: http.StatusNotFound, Code: string(unknownHost), Title: text.T("There is nothing at this address"),
		Text: text.T("Nothing here has this name."), Hint: text.T("Check the address for typing errors.")}
}

// unavailable is the answer when the store can't be asked: nobody gets in.
func unavailable(err error) *endpoint.Error {
	return &endpoint.Error{Status: http.StatusServiceUnavailable, Code: "unavailable", Title: text.T("Sign-in can't be checked right now"),
		Text: text.T("The place where sessions are kept does not answer, so nobody is let in."), Hint: text.T("Try again in a moment."),
		Header: http.Header{"Retry-After": {"5"}}, Err: err}
}

// refuse answers a request that is refused for its shape or host. why is for the log.
func (x *exchange) refuse(r *http.Request, code refusal, why string) {
	e := &endpoint.Error{Status: http.StatusBadRequest, Code: string(code), Title: text.T("This request can't be read")}
	if why != "" {
		e.Err = errors.New(why)
	}
	switch code {
	case unknownHost:
		*e = *unknownHostError()
		e.Err = errors.New(why)
	case badMethod:
		e.Status, e.Title, e.Text = http.StatusMethodNotAllowed, text.T("This address does not work that way"), text.T("Requests of this method are not accepted.")
		e.Header = http.Header{"Allow": {"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"}}
	case badTarget:
		e.Text = text.T("The address of the request is not a path on the host that it was sent to.")
	case badPath:
		e.Text, e.Hint = text.T("The path has dot segments, control characters or broken escapes in it."), text.T("Write the path out plainly.")
	case ambiguousPath:
		e.Text, e.Hint = text.T("The path can be read in two ways (an encoded slash, a semicolon, an empty segment)."), text.T("Write the path out plainly.")
	case longQuery:
		e.Status, e.Title, e.Text = http.StatusRequestURITooLong, text.T("The address is too long"), text.T("The part after the question mark is too long.")
	case badHost:
		e.Text, e.Hint = text.T("The host name of the request is missing, doubled or no name."), text.T("Use the address that you were given, not a number.")
	case badConnection:
		e.Text = text.T("The Connection header names a header that it may not.")
	}
	x.code = string(code)
	x.fail(r, e)
}

// fail answers with an error. Its cause is for the line of the request in the log.
func (x *exchange) fail(r *http.Request, err error) {
	e := endpoint.AsError(err)
	x.cause = e.Err
	if x.code == "" && (x.grant == nil || allows(x.decision)) {
		x.code = e.Code
	}
	x.clearSession()
	maps.Copy(x.Header(), e.Header)
	x.p.renderer.RenderError(x, r, e, x.id)
}

// clearSession has the browser forget a session cookie that is none.
func (x *exchange) clearSession() {
	if x.clear && x.place.org != nil {
		x.st.jar.Clear(x.w, cookie.Session)
		x.clear = false
	}
}

// helps reports whether a proof would help.
func helps(v policy.Verdict) bool {
	return v == policy.Prove || v == policy.SecondFactor || v == policy.Enroll || v == policy.Join
}
