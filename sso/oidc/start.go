package oidc

import (
	"context"
	"strconv"
	"time"

	"golang.org/x/oauth2"

	"github.com/orgate/orgate/sso/idp"
)

// A StartRequest says what to ask of the provider.
type StartRequest struct {
	// RedirectURI is where the browser is to come back, as registered there. Connections
	// may share it: it is used if the provider says in its answers whose they are (RFC 9207).
	RedirectURI string
	// OwnRedirectURI is no other connection's, and is used if the provider does not: else
	// a hostile provider could have another one's answer brought to itself (RFC 9700,
	// 4.4). Empty: RedirectURI is no other's.
	OwnRedirectURI string
	// LoginHint is who it probably is; optional, and only a hint.
	LoginHint string
	// MaxAge asks that the person signed in at the provider no longer ago; 0: whenever.
	MaxAge time.Duration
	// Scopes are asked for besides those of the connection.
	Scopes []string
	// ForceLogin asks that the person signs in now, whatever session is there.
	ForceLogin bool
}

// A Flow is one sign-in under way. The caller keeps it sealed in a cookie of the browser
// that started it, for no longer than [FlowLife], and clears it when it comes back.
type Flow struct {
	State        string `json:"s"`
	Nonce        string `json:"n"`
	Verifier     string `json:"v"` // PKCE
	ConnectionID string `json:"c"`
	Issuer       string `json:"i"`
	RedirectURI  string `json:"r"` // the caller takes an answer there, and nowhere else
	// ResponseIssuer: the answer must say whose it is, whatever discovery says by then.
	ResponseIssuer bool          `json:"e,omitzero"`
	MaxAge         time.Duration `json:"a,omitzero"`
	ForceLogin     bool          `json:"f,omitzero"`
	StartedAt      time.Time     `json:"t"`
}

// Start begins a sign-in: the URL to send the browser to, and the flow to keep for it.
// now is the time by the caller's clock. The error is an [*Error].
func (ps *Providers) Start(ctx context.Context, c Connection, r StartRequest, now time.Time) (string, Flow, error) {
	p, err := ps.provider(c)
	if err != nil {
		return "", Flow{}, err
	}
	m, err := p.meta.get(ctx)
	if err != nil {
		return "", Flow{}, err
	}
	// Checked when it was discovered, and here, where a browser is sent there.
	if err := ps.egress.CheckURL(m.Authorization); err != nil {
		return "", Flow{}, fail(CodeForbidden, err, "authorization_endpoint: "+err.Error())
	}
	if r.OwnRedirectURI != "" && !m.ResponseIssuer {
		r.RedirectURI = r.OwnRedirectURI
	}
	f := Flow{
		State: idp.Random(), Nonce: idp.Random(), Verifier: oauth2.GenerateVerifier(),
		ConnectionID: c.ID, Issuer: c.Issuer, RedirectURI: r.RedirectURI, ResponseIssuer: m.ResponseIssuer,
		MaxAge: r.MaxAge, ForceLogin: r.ForceLogin, StartedAt: now.UTC().Truncate(time.Second),
	}
	options := []oauth2.AuthCodeOption{
		oauth2.SetAuthURLParam("nonce", f.Nonce),
		oauth2.S256ChallengeOption(f.Verifier), // whatever discovery says of it: who does not know PKCE ignores it
	}
	if r.LoginHint != "" && len(r.LoginHint) <= maxSubject && idp.Plain(r.LoginHint) {
		options = append(options, oauth2.SetAuthURLParam("login_hint", r.LoginHint))
	}
	switch {
	case r.ForceLogin:
		// prompt alone may be ignored unseen; with max_age the answer must prove it.
		options = append(options, oauth2.SetAuthURLParam("prompt", "login"), oauth2.SetAuthURLParam("max_age", "0"))
	case r.MaxAge > 0:
		options = append(options, oauth2.SetAuthURLParam("max_age", strconv.Itoa(int(r.MaxAge/time.Second))))
	}
	asking := c.oauth2(m, r.RedirectURI)
	asking.Scopes = c.scopes(r.Scopes...)
	return asking.AuthCodeURL(f.State, options...), f, nil
}

// Check asks the connection's provider for its discovery document and keys, as a sign-in
// would, and returns what is wrong with them: for whoever sets the connection up.
func (ps *Providers) Check(ctx context.Context, c Connection) error {
	p, err := ps.provider(c)
	if err != nil {
		return err
	}
	if _, err := p.meta.get(ctx); err != nil {
		return err
	}
	_, err = p.keys.set.get(ctx)
	return err
}

func (c Connection) oauth2(m metadata, redirectURI string) *oauth2.Config {
	style := m.AuthStyle
	if c.ClientSecret == "" {
		// A public client says who it is, and proves nothing: in a header, that would be a
		// proof by an empty secret, which providers refuse.
		style = oauth2.AuthStyleInParams
	}
	return &oauth2.Config{
		ClientID: c.ClientID, ClientSecret: string(c.ClientSecret), RedirectURL: redirectURI, Scopes: c.scopes(),
		Endpoint: oauth2.Endpoint{AuthURL: m.Authorization, TokenURL: m.Token, AuthStyle: style},
	}
}
