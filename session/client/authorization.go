package client

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/orgate/orgate/tenancy"
)

// An Authorization is what a client asks of the login host, by way of a person's browser: that they sign in, and
// are sent back to RedirectURI with a code.
type Authorization struct {
	Client      string `json:"client_id"`
	RedirectURI string `json:"redirect_uri"`
	State       string `json:"state,omitzero"`
	HasState    bool   `json:"has_state,omitzero"` // it is sent back even if it is empty
	Challenge   string `json:"code_challenge,omitzero"`
	// Profile: the client wants to know what an identity provider says, and no session (/sso/authorize).
	Profile bool `json:"profile,omitzero"`

	Organization tenancy.OrgID        `json:"organization,omitzero"`
	Connection   tenancy.ConnectionID `json:"connection,omitzero"`
	// Provider is that of sign_in.social, as the reference calls it, such as GoogleOAuth; empty: none is named.
	Provider string `json:"provider,omitzero"`
	// Domain is an e-mail domain whose connection is meant.
	Domain    string `json:"domain,omitzero"`
	LoginHint string `json:"login_hint,omitzero"`
	// Scopes and Asking are what the identity provider that the client names is asked for and with besides; see [Askable].
	Scopes []string          `json:"scopes,omitzero"`
	Asking map[string]string `json:"asking,omitzero"`
	// Invitation is the token of one, and is not carried from page to page.
	Invitation string `json:"-"`
	// Anew: what was proved before At, less MaxAge, does not count.
	Anew   bool          `json:"anew,omitzero"`
	MaxAge time.Duration `json:"max_age,omitzero"`
	At     time.Time     `json:"at"`
}

// A Fault is why an authorization can't be: Code is for the client, which is told of it where people are sent
// back to.
type Fault struct{ Code, Text string }

func (f *Fault) Error() string { return f.Code + ": " + f.Text }

// ErrStranger says that a request names no client, or an address that the client does not have. Nobody is sent anywhere.
var ErrStranger = errors.New("no client with that address")

// maxState is how long a state may be, as JSON has it: a cookie holds it.
const maxState = 1024

// maxDomain is how long a domain may be.
const maxDomain = 253

const providerPages = "authkit"

// ReadAuthorization reads the query of /user_management/authorize or, for a profile, of /sso/authorize. The error
// wraps [ErrStranger] until it is known that people may be sent back; from then on it is a [*Fault], and what is
// returned with it says where to.
//
// Whatever is not known is a fault: what a client means by it would be left out.
func ReadAuthorization(cs Clients, q url.Values, profile bool, now time.Time) (Authorization, error) {
	for _, name := range []string{"client_id", "redirect_uri"} {
		if len(q[name]) != 1 {
			return Authorization{}, fmt.Errorf("%w: %s is given %d times", ErrStranger, name, len(q[name]))
		}
	}
	c, ok := cs.Find(q.Get("client_id"))
	if !ok {
		return Authorization{}, fmt.Errorf("%w: no such client_id", ErrStranger)
	}
	if !c.MayRedirect(q.Get("redirect_uri")) {
		return Authorization{}, fmt.Errorf("%w: redirect_uri is not one that %s has", ErrStranger, c.ID)
	}
	a := Authorization{Client: c.ID, RedirectURI: q.Get("redirect_uri"), Profile: profile, At: now.UTC()}
	if v := q["state"]; len(v) == 1 {
		if b, err := json.Marshal(v[0]); err != nil || len(b) > maxState+2 {
			return a, &Fault{"invalid_request", fmt.Sprintf("state is longer than %d characters", maxState)}
		}
		a.State, a.HasState = v[0], true
	}
	r := reader{q: q, of: &a}
	r.read(c)
	if r.fault != nil {
		return a, r.fault
	}
	return a, nil
}

// A reader reads the rest of a query.
type reader struct {
	q     url.Values
	of    *Authorization
	fault *Fault // the first
}

func (r *reader) wrong(code, format string, args ...any) {
	if r.fault == nil {
		r.fault = &Fault{code, fmt.Sprintf(format, args...)}
	}
}

func (r *reader) text(name string) string { return r.q.Get(name) }

func (r *reader) read(c Client) {
	a := r.of
	known := []string{"client_id", "redirect_uri", "state", "response_type", "code_challenge", "code_challenge_method", "provider", "domain_hint", "login_hint", "prompt"}
	if a.Profile {
		known = append(known, "connection", "organization", "domain", "nonce")
	} else {
		known = append(known, "connection_id", "organization_id", "invitation_token", "screen_hint", "max_age")
	}
	for name, values := range r.q {
		switch {
		case name == paramScopes: // once or several times
		case !slices.Contains(known, name) && !strings.HasPrefix(name, paramAsking):
			r.wrong("invalid_request", "unknown parameter")
		case len(values) != 1 && !slices.Contains(known, name):
			// Its name is whatever a link has: the app, and the log, are not told a stranger's text.
			r.wrong("invalid_request", "%s has one that is given %d times", paramAsking, len(values))
		case len(values) != 1:
			r.wrong("invalid_request", "%s is given %d times", name, len(values))
		}
	}
	if r.text("response_type") != "code" {
		r.wrong("unsupported_response_type", "response_type must be code")
	}
	r.pkce(c)
	r.whom()
	r.scopes(c)
	r.asking()
	a.LoginHint, _ = tenancy.ParseEmail(r.text("login_hint")) // one that is no address is no hint
	a.Invitation = r.text("invitation_token")
	switch r.text("screen_hint") {
	case "", "sign-in", "sign-up": // there is one page for both
	default:
		r.wrong("invalid_request", "screen_hint must be sign-in or sign-up")
	}
	switch r.text("prompt") {
	case "":
	case "login":
		a.Anew = true
	default:
		r.wrong("invalid_request", "prompt must be login, or not be given")
	}
	if s := r.text("max_age"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 0 || n > 1<<30 {
			r.wrong("invalid_request", "max_age must be a number of seconds")
			return
		}
		a.Anew, a.MaxAge = true, max(a.MaxAge, time.Duration(n)*time.Second)
		if r.text("prompt") == "login" {
			a.MaxAge = 0
		}
	}
	if r.text("nonce") != "" {
		r.wrong("invalid_request", "nonce is not supported: bind the answer to the browser with state, and to the client with PKCE")
	}
}

func (r *reader) pkce(c Client) {
	method := r.text("code_challenge_method")
	r.of.Challenge = r.text("code_challenge")
	switch {
	case r.of.Challenge == "" && method == "" && !c.Public:
	case r.of.Challenge == "":
		r.wrong("invalid_request", "code_challenge is missing")
	case method != "S256":
		r.wrong("invalid_request", "code_challenge_method must be S256")
	case !isChallenge(r.of.Challenge):
		r.wrong("invalid_request", "code_challenge is not the SHA-256 of a verifier in base64url")
	}
}

// whom reads whom to ask.
func (r *reader) whom() {
	a, suffix := r.of, "_id"
	if a.Profile {
		suffix = ""
	}
	a.Connection = tenancy.ConnectionID(r.text("connection" + suffix))
	a.Organization = tenancy.OrgID(r.text("organization" + suffix))
	a.Domain = strings.ToLower(cmp.Or(r.text("domain"), r.text("domain_hint")))
	if a.Provider = r.text("provider"); a.Provider == providerPages && !a.Profile {
		a.Provider = ""
	}
	if len(a.Domain) > maxDomain || strings.Trim(a.Domain, ".-_0123456789abcdefghijklmnopqrstuvwxyz") != "" {
		// What else is in it would be longer in a cookie than it is here.
		r.wrong("invalid_request", "domain_hint and domain have letters, digits and . - _, %d at the most: of a domain with others, the form that begins with xn--", maxDomain)
	}
	for _, s := range []string{string(a.Connection), string(a.Organization), a.Provider} {
		if len(s) > 255 {
			r.wrong("invalid_request", "a parameter is too long")
		}
	}
	n := 0
	for _, s := range []string{string(a.Connection), string(a.Organization), a.Provider} {
		if s != "" {
			n++
		}
	}
	switch {
	case a.Profile && n == 0 && a.Domain == "":
		r.wrong("invalid_connection_selector", "one of connection, organization, provider and domain_hint must be given")
	case a.Profile && n > 1, a.Connection != "" && a.Provider != "":
		r.wrong("ambiguous_connection_selector", "more than one of connection, organization and provider is given")
	}
}

// Again is the query by which whoever asked for a profile of a social provider is sent to it anew, to say who they are.
func (a Authorization) Again() url.Values {
	q := url.Values{"client_id": {a.Client}, "redirect_uri": {a.RedirectURI}, "response_type": {"code"}, "provider": {a.Provider}, "prompt": {"login"}}
	if a.HasState {
		q.Set("state", a.State)
	}
	if a.Challenge != "" {
		q.Set("code_challenge", a.Challenge)
		q.Set("code_challenge_method", "S256")
	}
	if a.Domain != "" {
		q.Set("domain_hint", a.Domain)
	}
	a.setAsked(q)
	return q
}

// Return is where the person is sent back to, with a code.
func (a Authorization) Return(code string) string { return a.back(url.Values{"code": {code}}) }

// Refuse is where the person is sent back to if there is none.
func (a Authorization) Refuse(f Fault) string {
	return a.back(url.Values{"error": {f.Code}, "error_description": {f.Text}})
}

// back adds to the query of the redirect URI; what is there stays as it is.
func (a Authorization) back(q url.Values) string {
	if a.HasState {
		q.Set("state", a.State)
	}
	sep := "?"
	if strings.Contains(a.RedirectURI, "?") {
		sep = "&"
	}
	return a.RedirectURI + sep + q.Encode()
}
