package oidc

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"time"

	"github.com/orgate/orgate/sso/idp"
)

// A LogoutRequest says how to come back from the provider's sign-out.
type LogoutRequest struct {
	// IDToken is the assertion's; may be empty.
	IDToken string
	// RedirectURI is where the browser is to come back, as registered there; may be empty.
	RedirectURI string
	// State comes back with it; may be empty.
	State string
}

// maxHint is how long an ID token may be to be put into a URL; beyond it the provider asks
// the person instead.
const maxHint = 4 << 10

// LogoutURL returns where to send the browser to sign out at the provider too; empty if the
// provider offers no such place.
func (ps *Providers) LogoutURL(ctx context.Context, c Connection, r LogoutRequest) (string, error) {
	p, err := ps.provider(c)
	if err != nil {
		return "", err
	}
	m, err := p.meta.get(ctx)
	if err != nil || m.EndSession == "" {
		return "", err
	}
	if err := ps.egress.CheckURL(m.EndSession); err != nil {
		return "", fail(CodeForbidden, err, "end_session_endpoint: "+err.Error())
	}
	u, err := url.Parse(m.EndSession)
	if err != nil {
		return "", fail(CodeForbidden, nil, "end_session_endpoint")
	}
	q := u.Query()
	q.Set("client_id", c.ClientID)
	if r.IDToken != "" && len(r.IDToken) <= maxHint {
		q.Set("id_token_hint", r.IDToken)
	}
	if r.RedirectURI != "" {
		q.Set("post_logout_redirect_uri", r.RedirectURI)
		if r.State != "" {
			q.Set("state", r.State)
		}
	}
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// A Logout is the provider's word that a session there has ended.
type Logout struct {
	// Subject or SID, or both: whose session, and which one; without SID all of them.
	Subject, SID string
	// JTI names the token. The caller remembers it until ExpiresAt, and does not heed
	// the same one twice.
	JTI       string
	ExpiresAt time.Time
}

// backChannelEvent is the one event that makes a token a logout token.
const backChannelEvent = "http://schemas.openid.net/event/backchannel-logout"

// VerifyLogout reads a logout token that somebody posted to the back-channel logout URI of
// the connection. Anybody can: what it costs to refuse one is bounded. The error is an [*Error].
func (ps *Providers) VerifyLogout(ctx context.Context, c Connection, raw string, now time.Time) (Logout, error) {
	ctx, cancel := context.WithTimeout(ctx, idp.FinishLimit)
	defer cancel()
	p, err := ps.provider(c)
	if err != nil {
		return Logout{}, err
	}
	m, err := p.meta.get(ctx)
	if err != nil {
		return Logout{}, err
	}
	if err := precheck(raw, m.Algorithms, "logout+jwt", "jwt"); err != nil {
		return Logout{}, err
	}
	verifier, v := p.verifier(m, c, fromAnyone, now)
	_, err = verifier.VerifyLogout(ctx, raw)
	if v.err != nil {
		return Logout{}, v.err
	}
	if v.payload == nil {
		return Logout{}, fail(CodeTokenMalformed, nil, "")
	}
	cs, cerr := parseClaims(v.payload)
	if cerr != nil {
		return Logout{}, fail(CodeLogoutToken, nil, cerr.Error())
	}
	if err := cs.check(c, now); err != nil {
		return Logout{}, err
	}
	out, reason := cs.logout(now)
	if reason != "" {
		return Logout{}, fail(CodeLogoutToken, nil, reason)
	}
	if err != nil {
		return Logout{}, fail(CodeLogoutToken, nil, err.Error())
	}
	return out, nil
}

// logout reads what is particular to a logout token, or says why it is none.
func (cs claims) logout(now time.Time) (out Logout, reason string) {
	var events map[string]json.RawMessage
	var members map[string]json.RawMessage
	if !cs.has("events") || json.Unmarshal(cs["events"], &events) != nil || json.Unmarshal(events[backChannelEvent], &members) != nil || members == nil {
		return Logout{}, "no back-channel logout event"
	}
	// With a nonce it is an ID token that somebody dressed up, null or not.
	if _, ok := cs["nonce"]; ok {
		return Logout{}, "has a nonce"
	}
	var err error
	if cs.has("sub") {
		if out.Subject, err = cs.subject(); err != nil {
			return Logout{}, err.Error()
		}
	}
	if out.SID, err = cs.text("sid"); err != nil || len(out.SID) > maxSubject || !idp.Plain(out.SID) {
		return Logout{}, "sid is not plain text of at most 255 bytes"
	}
	if out.Subject == "" && out.SID == "" {
		return Logout{}, "neither sub nor sid"
	}
	if out.JTI, err = cs.text("jti"); err != nil || out.JTI == "" || len(out.JTI) > maxSubject || !idp.Plain(out.JTI) {
		return Logout{}, "jti is not plain text of 1 to 255 bytes"
	}
	// An old one may have been replayed since before we remember.
	iat, _, _ := cs.instant("iat")
	if age := now.Sub(iat); age > logoutLife+skew {
		return Logout{}, fmt.Sprintf("issued %s ago", age.Round(time.Second))
	}
	// It is refused by its age at the latest when it could be forgotten.
	out.ExpiresAt = iat.Add(logoutLife + 2*skew)
	return out, ""
}
