// Package github signs people in at GitHub, whose OAuth 2.0 is no OpenID Connect: there is
// no ID token, and who came is asked of its API. Plain values go in and out: an [App] and a
// [StartRequest] become a URL to send the browser to and a [Flow] to keep for it; the flow
// and what the browser came back with become an [Assertion] or an [Error].
//
// It owns the protocol and what is believed of GitHub's answers. It knows nothing of
// sessions, cookies, users or stores: the caller seals the flow in the browser's cookie, lets
// it be finished once, and decides what an assertion is worth.
//
// The invariants: the one address that is told is the primary one, and GitHub has verified
// it; a person is their number, never a login name, which others may have next; tokens live
// as long as [Client.Finish] runs; and a GitHub that is down, slow or not GitHub at all costs
// a bounded amount and signs nobody in.
package github

import (
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/orgate/orgate/internal/egress"
	"github.com/orgate/orgate/sso/idp"
)

// An App is an OAuth app, or a GitHub App, that is registered at a GitHub.
type App struct {
	// ID keeps flows of one app from being finished by another.
	ID string
	// Site is the URL of the GitHub, without a path; empty: [Site].
	Site         string
	ClientID     string
	ClientSecret Secret
}

// Site is the GitHub that everybody has.
const Site = "https://github.com"

// A Secret does not print itself.
type Secret = idp.Secret

// Limits of what may be sent to us, beside those of package egress, and of time.
const (
	// FlowLife is how long a person may take at GitHub, whose codes live as long.
	FlowLife = idp.FlowLife

	maxDocument = 256 << 10 // one answer
	maxText     = 255       // a name, an address
	maxToken    = 4 << 10
)

// A StartRequest says what to ask of GitHub.
type StartRequest struct {
	// RedirectURI is where the browser is to come back, as registered there. It is no
	// other provider's.
	RedirectURI string
	// Scopes are asked for besides that of reading addresses.
	Scopes []string
	// SelectAccount asks that the person says which account they mean.
	SelectAccount bool
}

// A Flow is one sign-in under way. The caller keeps it sealed in a cookie of the browser
// that started it, for no longer than [FlowLife], and clears it when it comes back.
type Flow struct {
	State       string    `json:"s"`
	Verifier    string    `json:"v"` // PKCE
	App         string    `json:"a"`
	Site        string    `json:"i"`
	ClientID    string    `json:"c"`
	RedirectURI string    `json:"r"` // the caller takes an answer there, and nowhere else
	StartedAt   time.Time `json:"t"`
}

// An Assertion is what GitHub says of a person. Whether it is to be believed is not
// decided here.
type Assertion struct {
	// Subject is the number of the account, in decimal. It stays when the person takes
	// another login name, and is never given to somebody else.
	Subject string
	// Email is the primary address, which GitHub has verified; never empty.
	Email string
	// Name is what the person is called; the login name, if they do not say.
	Name string
}

// A Client signs people in at any number of GitHubs. It is safe for concurrent use.
type Client struct{ egress *egress.Client }

// New returns a client that makes all its calls by e.
func New(e *egress.Client) *Client { return &Client{egress: e} }

// Start begins a sign-in: the URL to send the browser to, and the flow to keep for it. now
// is the time by the caller's clock. The error is an [*Error].
func (c *Client) Start(a App, r StartRequest, now time.Time) (string, Flow, error) {
	if a.ID == "" || a.ClientID == "" || len(a.ClientID) > maxText {
		return "", Flow{}, fail(CodeConnection, nil, "no id or client id")
	}
	to := a.site() + "/login/oauth/authorize"
	// A browser is sent there, and later the secret.
	if err := c.egress.CheckURL(to); err != nil {
		return "", Flow{}, fail(CodeForbidden, err, to+": "+err.Error())
	}
	f := Flow{
		State: idp.Random(), Verifier: oauth2.GenerateVerifier(), App: a.ID, Site: a.site(), ClientID: a.ClientID,
		RedirectURI: r.RedirectURI, StartedAt: now.UTC().Truncate(time.Second),
	}
	q := url.Values{
		"response_type": {"code"}, "client_id": {a.ClientID}, "redirect_uri": {r.RedirectURI}, "state": {f.State}, "scope": {strings.Join(append([]string{"user:email"}, r.Scopes...), " ")},
		"code_challenge": {oauth2.S256ChallengeFromVerifier(f.Verifier)}, "code_challenge_method": {"S256"},
	}
	if r.SelectAccount {
		q.Set("prompt", "select_account")
	}
	return to + "?" + q.Encode(), f, nil
}

func (a App) site() string {
	if a.Site == "" {
		return Site
	}
	return strings.TrimSuffix(a.Site, "/")
}

// api returns the URL of the API of a site: github.com and the sites under ghe.com have a
// host for it, and a GitHub Enterprise Server has a path.
func api(site string) string {
	u, err := url.Parse(site)
	switch {
	case err != nil:
		return site + "/api/v3"
	case u.Host == "github.com", strings.HasSuffix(u.Host, ".ghe.com"):
		return u.Scheme + "://api." + u.Host
	}
	return site + "/api/v3"
}
