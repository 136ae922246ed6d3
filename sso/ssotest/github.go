package ssotest

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// A GitHubAccount is somebody that a GitHub knows.
type GitHubAccount struct {
	ID          int64
	Login, Name string
	// Type is "User" if it is empty.
	Type   string
	Emails []GitHubEmail
}

// A GitHubEmail is an address of an account.
type GitHubEmail struct {
	Email    string `json:"email"`
	Primary  bool   `json:"primary"`
	Verified bool   `json:"verified"`
}

// GitHubOptions configure a GitHub.
type GitHubOptions struct {
	ClientID, ClientSecret string
	RedirectURIs           []string
	Accounts               []GitHubAccount
	// Says: it says in its answers whose they are (RFC 9207).
	Says bool
	// Scopeless: its tokens may not read addresses.
	Scopeless bool
}

// A GitHub is what there is of GitHub to sign in at: the pages of OAuth, which show a button
// for each account, and the API, laid out as by a GitHub Enterprise Server.
type GitHub struct {
	Site    string
	options GitHubOptions

	mu     sync.Mutex
	codes  map[string]githubCode
	tokens map[string]GitHubAccount
	hits   map[string]int
	faults map[string]http.Handler
}

type githubCode struct {
	account                 GitHubAccount
	redirectURI, challenge  string
	challengeMethod, client string
}

// StartGitHub serves a GitHub on a free port of loopback until the test ends.
func StartGitHub(t TB, o GitHubOptions) *GitHub {
	t.Helper()
	ln, at := listen(t)
	g := &GitHub{Site: at, options: o, codes: map[string]githubCode{}, tokens: map[string]GitHubAccount{}, hits: map[string]int{}}
	mux := http.NewServeMux()
	for _, e := range []struct {
		name, pattern string
		handle        http.HandlerFunc
	}{
		{"authorize", "GET /login/oauth/authorize", g.authorize},
		{"choose", "POST /login/oauth/authorize", g.choose},
		{"access_token", "POST /login/oauth/access_token", g.accessToken},
		{"user", "GET /api/v3/user", g.user},
		{"emails", "GET /api/v3/user/emails", g.emails},
	} {
		mux.HandleFunc(e.pattern, func(w http.ResponseWriter, r *http.Request) {
			g.mu.Lock()
			g.hits[e.name]++
			instead := g.faults[e.name]
			g.mu.Unlock()
			if instead != nil {
				instead.ServeHTTP(w, r)
				return
			}
			e.handle(w, r)
		})
	}
	serve(t, ln, mux)
	return g
}

// Misbehave has handlers take the place of endpoints from now on: of authorize, choose,
// access_token, user, emails.
func (g *GitHub) Misbehave(endpoints map[string]http.Handler) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.faults = endpoints
}

// Hits returns how often an endpoint was called.
func (g *GitHub) Hits(endpoint string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.hits[endpoint]
}

// Rename gives an account another login name and another primary address, as its owner may.
func (g *GitHub) Rename(id int64, login string, emails ...GitHubEmail) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := range g.options.Accounts {
		if g.options.Accounts[i].ID == id {
			g.options.Accounts[i].Login, g.options.Accounts[i].Emails = login, emails
		}
	}
}

func (g *GitHub) registered(uri string) bool {
	return slices.Contains(g.options.RedirectURIs, uri)
}

const githubPage = `<!doctype html><html lang="en"><title>Sign in to GitHub</title><h1>Sign in to GitHub</h1>
<form method="post" action="/login/oauth/authorize?{{.Query}}">{{range .Accounts}}<button name="login" value="{{.Login}}">{{.Login}}</button>
{{end}}<button name="login" value="">Cancel</button></form></html>`

func (g *GitHub) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Get("client_id") != g.options.ClientID || !g.registered(q.Get("redirect_uri")) {
		http.Error(w, "The client id or the redirect_uri is not registered.", http.StatusNotFound)
		return
	}
	g.mu.Lock()
	accounts := append([]GitHubAccount{}, g.options.Accounts...)
	g.mu.Unlock()
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	page := template.Must(template.New("").Parse(githubPage))
	_ = page.Execute(w, map[string]any{"Query": template.URL(r.URL.RawQuery), "Accounts": accounts}) // a test reads it
}

func (g *GitHub) choose(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	to, err := url.Parse(q.Get("redirect_uri"))
	if err != nil || !g.registered(q.Get("redirect_uri")) {
		http.Error(w, "The redirect_uri is not registered.", http.StatusNotFound)
		return
	}
	back := to.Query()
	back.Set("state", q.Get("state"))
	if g.options.Says {
		back.Set("iss", g.Site+"/login/oauth")
	}
	g.mu.Lock()
	found := false
	for _, a := range g.options.Accounts {
		if a.Login == r.PostFormValue("login") {
			code := random()
			g.codes[code] = githubCode{a, q.Get("redirect_uri"), q.Get("code_challenge"), q.Get("code_challenge_method"), q.Get("client_id")}
			back.Set("code", code)
			found = true
		}
	}
	g.mu.Unlock()
	if !found {
		back.Set("error", "access_denied")
		back.Set("error_description", "The user has denied your application access.")
	}
	to.RawQuery = back.Encode()
	http.Redirect(w, r, to.String(), http.StatusFound)
}

// accessToken swaps a code for a token. As GitHub does, it refuses with status 200.
func (g *GitHub) accessToken(w http.ResponseWriter, r *http.Request) {
	refuse := func(code string) {
		writeJSON(w, http.StatusOK, map[string]string{"error": code, "error_description": "It was refused.", "error_uri": "https://docs.github.com/"})
	}
	if r.Header.Get("Accept") != "application/json" {
		http.Error(w, "error=form", http.StatusOK) // GitHub's answer would be a form
		return
	}
	if r.PostFormValue("client_id") != g.options.ClientID || subtle.ConstantTimeCompare([]byte(r.PostFormValue("client_secret")), []byte(g.options.ClientSecret)) != 1 {
		refuse("incorrect_client_credentials")
		return
	}
	g.mu.Lock()
	c, ok := g.codes[r.PostFormValue("code")]
	delete(g.codes, r.PostFormValue("code"))
	g.mu.Unlock()
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	switch {
	case !ok, c.client != r.PostFormValue("client_id"), c.challengeMethod != "S256", base64.RawURLEncoding.EncodeToString(sum[:]) != c.challenge:
		refuse("bad_verification_code")
		return
	case c.redirectURI != r.PostFormValue("redirect_uri"):
		refuse("redirect_uri_mismatch")
		return
	}
	token := "gho_" + random()
	g.mu.Lock()
	g.tokens[token] = c.account
	g.mu.Unlock()
	scope := "user:email"
	if g.options.Scopeless {
		scope = ""
	}
	writeJSON(w, http.StatusOK, map[string]string{"access_token": token, "token_type": "bearer", "scope": scope})
}

// caller is whose token a call to the API comes with.
func (g *GitHub) caller(w http.ResponseWriter, r *http.Request) (GitHubAccount, bool) {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	g.mu.Lock()
	a, ok := g.tokens[token]
	g.mu.Unlock()
	switch {
	case r.UserAgent() == "" || strings.HasPrefix(r.UserAgent(), "Go-http-client"):
		writeJSON(w, http.StatusForbidden, map[string]string{"message": "Request forbidden by administrative rules."})
	case r.Header.Get("X-GitHub-Api-Version") != "2022-11-28":
		writeJSON(w, http.StatusBadRequest, map[string]string{"message": "Not an API version that is supported."})
	case !ok:
		writeJSON(w, http.StatusUnauthorized, map[string]string{"message": "Bad credentials"})
	default:
		return a, true
	}
	return a, false
}

func (g *GitHub) user(w http.ResponseWriter, r *http.Request) {
	a, ok := g.caller(w, r)
	if !ok {
		return
	}
	kind := a.Type
	if kind == "" {
		kind = "User"
	}
	answer := map[string]any{"login": a.Login, "id": a.ID, "node_id": "x", "type": kind, "site_admin": false, "name": nil, "email": "shown@public.test"}
	if a.Name != "" {
		answer["name"] = a.Name
	}
	writeJSON(w, http.StatusOK, answer)
}

func (g *GitHub) emails(w http.ResponseWriter, r *http.Request) {
	a, ok := g.caller(w, r)
	switch {
	case !ok:
	case g.options.Scopeless:
		writeJSON(w, http.StatusNotFound, map[string]string{"message": "Not Found"})
	default:
		writeJSON(w, http.StatusOK, append([]GitHubEmail{}, a.Emails...))
	}
}
