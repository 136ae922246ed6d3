package ssotest

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// token swaps a code for tokens.
func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	refuse := func(status int, code, description string) {
		if status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", `Basic realm="token"`)
		}
		writeJSON(w, status, map[string]string{"error": code, "error_description": description})
	}
	c, ok := p.authenticate(r)
	if !ok {
		refuse(http.StatusUnauthorized, "invalid_client", "wrong client id or secret")
		return
	}
	if r.PostFormValue("grant_type") != "authorization_code" {
		refuse(http.StatusBadRequest, "unsupported_grant_type", "")
		return
	}
	p.mu.Lock()
	g := p.codes[r.PostFormValue("code")]
	delete(p.codes, r.PostFormValue("code")) // good once, even if the rest is wrong
	p.mu.Unlock()
	challenge := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	switch {
	case g == nil, g.client.ID != c.ID, g.redirectURI != r.PostFormValue("redirect_uri"), g.expires.Before(p.options.Now()):
		refuse(http.StatusBadRequest, "invalid_grant", "the code was used, is old, or is another's")
		return
	case base64.RawURLEncoding.EncodeToString(challenge[:]) != g.pkce:
		refuse(http.StatusBadRequest, "invalid_grant", "the PKCE verifier does not match")
		return
	}

	access := random()
	answer := map[string]any{"access_token": access, "token_type": "Bearer", "expires_in": int(tokenLife / time.Second), "scope": g.scope}
	id := p.idToken(c, g, access)
	answer["id_token"] = id
	after := *g
	after.expires = p.options.Now().Add(tokenLife)
	p.mu.Lock()
	keep(p.access, access, &after, func(x *grant) bool { return x.expires.Before(p.options.Now()) })
	g.session.clients[c.ID] = true
	if len(g.session.hints) >= maxHints {
		clear(g.session.hints)
	}
	g.session.hints[id] = true
	p.mu.Unlock()
	p.edit(func(f Faults) func(map[string]any) { return f.TokenAnswer }, answer)
	writeJSON(w, http.StatusOK, answer)
}

// authenticate returns the client that a token request is from, by client_secret_basic
// or client_secret_post.
func (p *Provider) authenticate(r *http.Request) (Client, bool) {
	id, secret, basic := r.BasicAuth()
	if basic {
		var err1, err2 error
		id, err1 = url.QueryUnescape(id) // RFC 6749, 2.3.1
		secret, err2 = url.QueryUnescape(secret)
		if err1 != nil || err2 != nil || r.PostFormValue("client_secret") != "" {
			return Client{}, false
		}
	} else {
		id, secret = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
	}
	c, ok := p.client(id)
	return c, ok && subtle.ConstantTimeCompare([]byte(c.Secret), []byte(secret)) == 1
}

// idToken makes the ID token of a grant.
func (p *Provider) idToken(c Client, g *grant, access string) string {
	now := p.options.Now()
	half := sha256.Sum256([]byte(access))
	cs := map[string]any{
		"iss": p.options.Issuer, "sub": g.person.Subject, "aud": c.ID, "iat": now.Unix(), "exp": now.Add(tokenLife).Unix(),
		"auth_time": g.session.at.Unix(), "sid": g.session.sid, "at_hash": base64.RawURLEncoding.EncodeToString(half[:16]),
	}
	if g.nonce != "" {
		cs["nonce"] = g.nonce
	}
	if !p.options.Lean {
		maps.Copy(cs, personClaims(g.person, g.scope))
	}
	p.edit(func(f Faults) func(map[string]any) { return f.Claims }, cs)
	p.mu.Lock()
	faults := p.faults
	p.mu.Unlock()
	raw := p.keys.sign(c.Algorithm, "", cs, faults)
	if faults.IDToken != nil {
		raw = faults.IDToken(raw)
	}
	return raw
}

// personClaims are what the scopes open.
func personClaims(x Person, scope string) map[string]any {
	cs := map[string]any{}
	scopes := strings.Fields(scope)
	if slices.Contains(scopes, "email") && x.Email != "" {
		cs["email"] = x.Email
		if x.EmailVerified != nil {
			cs["email_verified"] = *x.EmailVerified
		}
	}
	if slices.Contains(scopes, "profile") && x.Name != "" {
		cs["name"] = x.Name
	}
	if x.Groups != nil {
		cs["groups"] = x.Groups
	}
	maps.Copy(cs, x.Claims)
	return cs
}

// userinfo answers who an access token is about.
func (p *Provider) userinfo(w http.ResponseWriter, r *http.Request) {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	p.mu.Lock()
	g := p.access[token]
	p.mu.Unlock()
	if g == nil || g.expires.Before(p.options.Now()) {
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		writeJSON(w, http.StatusUnauthorized, map[string]string{"error": "invalid_token"})
		return
	}
	cs := personClaims(g.person, g.scope)
	cs["sub"] = g.person.Subject
	p.edit(func(f Faults) func(map[string]any) { return f.Userinfo }, cs)
	writeJSON(w, http.StatusOK, cs)
}
