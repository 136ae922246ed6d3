package sso

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/orgate/orgate/internal/endpoint"
	"github.com/orgate/orgate/internal/page"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/session/client"
	"github.com/orgate/orgate/sso/github"
	"github.com/orgate/orgate/sso/idp"
	"github.com/orgate/orgate/sso/oidc"
	"github.com/orgate/orgate/tenancy"
)

// The paths of the login host that are about social providers.
const (
	// pathSocialCallback and the provider's name are where a provider sends the browser back to.
	pathSocialCallback = "/sso/social/callback"
	pathSocialCode     = "/sign-in/social/code"
	pathSocialResend   = "/sign-in/social/code/resend"
	pathSocialLink     = "/account/identities/link"
	// pathProfileCode is for an app that is told of a person, and signs nobody in.
	pathProfileCode   = "/sign-in/social/profile"
	pathProfileResend = "/sign-in/social/profile/resend"
)

func (s *Server) socialRoutes() []endpoint.Route {
	return []endpoint.Route{
		{Side: endpoint.Login, Pattern: "GET " + pathSocialCallback + "/{provider}", Access: endpoint.Public, Handle: s.polite(s.strangers, s.socialCallback)},
		{Side: endpoint.Login, Pattern: "GET " + pathSocialCode, Access: endpoint.Public, Handle: s.polite(s.visits, s.linkCode)},
		{Side: endpoint.Login, Pattern: "POST " + pathSocialCode, Access: endpoint.Public, Handle: s.polite(s.strangers, s.linkCode)},
		{Side: endpoint.Login, Pattern: "POST " + pathSocialResend, Access: endpoint.Public, Handle: s.polite(s.strangers, s.resendLink)},
		{Side: endpoint.Login, Pattern: "GET " + pathProfileCode, Access: endpoint.Public, Handle: s.polite(s.visits, s.profileCode)},
		{Side: endpoint.Login, Pattern: "POST " + pathProfileCode, Access: endpoint.Public, Handle: s.polite(s.strangers, s.profileCode)},
		{Side: endpoint.Login, Pattern: "POST " + pathProfileResend, Access: endpoint.Public, Handle: s.polite(s.strangers, s.resendProfile)},
		{Side: endpoint.Login, Pattern: "POST " + pathSocialLink, Access: endpoint.Confirmed, Handle: s.polite(s.strangers, s.linkIdentity)},
	}
}

// GitHub speaks to GitHub; [github.Client] does.
type GitHub interface {
	Start(a github.App, r github.StartRequest, now time.Time) (string, github.Flow, error)
	Finish(ctx context.Context, a github.App, f github.Flow, callback url.Values, now time.Time) (github.Assertion, error)
}

// A SocialProvider is a provider that anybody may sign in with. It belongs to no organization,
// and shares nothing with an organization's connection, even to the same issuer: neither
// flows nor redirect URIs nor keys nor identities.
type SocialProvider struct {
	// Name is unique among them, and in the redirect URI.
	Name string
	// Label is what people call it.
	Label string
	// GitHub: it is a GitHub, at Site; empty: github.com. Else it is an OpenID provider.
	GitHub bool
	Site   string
	Issuer string

	ClientID     string
	ClientSecret idp.Secret
	// TrustEmail: that it says it has verified an address is a proof of the address, where
	// [tenancy.SocialSignIn] lets it be.
	TrustEmail bool
}

// where is what the provider is, beside its name: another issuer is another provider.
func (p SocialProvider) where() string {
	if p.GitHub {
		return "github " + cmp.Or(strings.TrimSuffix(p.Site, "/"), github.Site)
	}
	return "oidc " + p.Issuer
}

// id is the provider's name in identities. The subjects of the issuer that has the name now
// must not be taken for those of the one that had it before.
func (p SocialProvider) id() string {
	sum := sha256.Sum256([]byte(p.where()))
	return p.Name + "." + hex.EncodeToString(sum[:8])
}

// Connection is what stands for the provider in identities and proofs.
func (p SocialProvider) Connection() tenancy.ConnectionID { return tenancy.SocialConnection(p.id()) }

// connectionID is what an app is told in place of the id of a connection: of this provider, and of no other that has
// its name.
func (p SocialProvider) connectionID() tenancy.ConnectionID {
	sum := sha256.Sum256([]byte("social connection " + p.id()))
	var id ulid.ULID
	copy(id[:], sum[:])
	return tenancy.ConnectionID("conn_" + id.String())
}

// byIssuer reports whether the reference's name is for what a provider is, however it is called here: an app that asks for
// Google, or is told of it, means Google.
func byIssuer(reference string) bool {
	return reference == "GoogleOAuth" || reference == "MicrosoftOAuth" || reference == "GitHubOAuth"
}

// reference is what the reference calls the provider, such as GoogleOAuth; empty: it has no name for it.
func (p SocialProvider) reference() string {
	switch {
	case p.GitHub:
		return "GitHubOAuth"
	case p.Issuer == "https://accounts.google.com":
		return "GoogleOAuth"
	case strings.HasPrefix(p.Issuer, "https://login.microsoftonline.com/"):
		return "MicrosoftOAuth"
	}
	named := [...]string{
		"AppleOAuth", "BitbucketOAuth", "DiscordOAuth", "GitLabOAuth", "GrokOAuth", "IntuitOAuth", "LinkedInOAuth", "SalesforceOAuth",
		"SlackOAuth", "VercelMarketplaceOAuth", "VercelOAuth", "XOAuth", "XeroOAuth",
	}
	if i := slices.IndexFunc(named[:], func(n string) bool { return strings.EqualFold(n, p.Name+"OAuth") }); i >= 0 {
		return named[i]
	}
	return ""
}

// configured is a digest of what makes the provider the one that it is, for flows.
func (p SocialProvider) configured() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q", p.where(), p.ClientID))
	return hex.EncodeToString(sum[:16])
}

// prompt is how the provider is asked to have the person say who they are.
func (p SocialProvider) prompt() string {
	if p.Issuer == "https://accounts.google.com" {
		return "select_account" // it knows no login, and refuses what it does not know
	}
	return "login"
}

func (p SocialProvider) oidc() oidc.Connection {
	return oidc.Connection{ID: string(p.Connection()), Issuer: p.Issuer, ClientID: p.ClientID, ClientSecret: p.ClientSecret}
}

func (p SocialProvider) app() github.App {
	return github.App{ID: string(p.Connection()), Site: p.Site, ClientID: p.ClientID, ClientSecret: p.ClientSecret}
}

// redirectURI is where the provider sends the browser back to, and no other provider or
// connection does.
func (s *Server) redirectURI(p SocialProvider) string {
	return s.url(pathSocialCallback + "/" + url.PathEscape(p.Name))
}

// socialNamed returns the provider of that name.
func (s *Server) socialNamed(name string) (SocialProvider, bool) {
	i := slices.IndexFunc(s.social, func(p SocialProvider) bool { return p.Name == name })
	if i < 0 {
		return SocialProvider{}, false
	}
	return s.social[i], true
}

// socials are the providers that can give a proof no older than age; 0: of any age. GitHub
// never says when somebody signed in there, and can't be asked to have them do it anew.
func (s *Server) socials(age time.Duration) []SocialProvider {
	if age <= 0 {
		return s.social
	}
	return slices.DeleteFunc(slices.Clone(s.social), func(p SocialProvider) bool { return p.GitHub })
}

// waySocial, and the name of a provider, is the value of a button.
const waySocial = "social:"

func (b way) choice() page.Choice {
	return page.Choice{Name: fieldWay, Value: waySocial + b.provider.Name, Kind: policy.Social.String(), Label: b.provider.Label}
}

// offerSocial puts the providers on the page that asks for the address, where one may do: it
// says whose it is.
func (s *Server) offerSocial(ctx context.Context, a aim, p *page.SignIn) error {
	if len(s.social) == 0 {
		return nil
	}
	t, err := s.turn(ctx, a, session.Session{}, "")
	if err != nil {
		return err
	}
	for _, by := range s.ways(t) {
		if by.method == policy.Social {
			p.Social = append(p.Social, by.choice())
		}
	}
	return nil
}

// leaveSocial sends the browser to a social provider, for a proof that is asked for or, with
// link, for that person to have an account there linked.
func (s *Server) leaveSocial(w http.ResponseWriter, r *http.Request, a aim, t turn, p SocialProvider, link tenancy.UserID) error {
	now := s.now()
	scopes, asking := s.askedBesides(a, p)
	f := socialFlow{Aim: a, Provider: p.Name, Configured: p.configured(), Link: link, MaxAge: t.MaxAge, ExpiresAt: now.Add(flowLife)}
	var to string
	var err error
	if p.GitHub {
		var started github.Flow
		to, started, err = s.github.Start(p.app(), github.StartRequest{RedirectURI: s.redirectURI(p), Scopes: scopes, SelectAccount: a.Another}, now)
		f.GitHub = &started
	} else {
		var started oidc.Flow
		to, started, err = s.oidc.Start(r.Context(), p.oidc(), oidc.StartRequest{RedirectURI: s.redirectURI(p), LoginHint: t.Email, MaxAge: t.MaxAge, Scopes: scopes}, now)
		f.OIDC = &started
	}
	if err != nil {
		e, hint := s.providerRefused(a, t.Organization, err)
		s.logSocial(r, p, e.Code, hint, err)
		s.count(e.Code)
		return e
	}
	if a.Another && !p.GitHub {
		// Else whoever is signed in there would be signed in here, at once and without a word.
		if to, err = withPrompt(to, p.prompt()); err != nil {
			return err
		}
	}
	if to, err = withMore(to, asking); err != nil {
		return err
	}
	if err := s.socialFlows.keep(w, r, f, now); err != nil {
		return err
	}
	s.count("sent_to_provider")
	return s.sendTo(w, r, to, t.Organization, p.Label)
}

// askedBesides is what a client wants a social provider asked for and with: the one that it named, whatever else the
// person may choose on the way.
func (s *Server) askedBesides(a aim, p SocialProvider) (scopes []string, asking map[string]string) {
	if a.App == nil || a.App.Provider == "" {
		return nil, nil
	}
	if named, ok := s.socialCalled(a.App.Provider); !ok || named.Name != p.Name {
		return nil, nil
	}
	scopes = s.stillAsked(a.App)
	if p.GitHub {
		// It has none of OpenID Connect.
		scopes = slices.DeleteFunc(scopes, func(s string) bool { return s == "openid" || s == "profile" || s == "email" })
	}
	return scopes, a.App.ForProvider(p.reference() == "MicrosoftOAuth")
}

// stillAsked returns the scopes that an app asked for and may still ask for: what it asked is carried for an hour, and the operator
// may have taken one back.
func (s *Server) stillAsked(app *client.Authorization) []string {
	c, ok := s.clients.Find(app.Client)
	if !ok {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(app.Scopes), func(scope string) bool { return !c.MayAsk(scope) })
}

// withMore adds parameters to an authorization request, but none that is there.
func withMore(to string, more map[string]string) (string, error) {
	if len(more) == 0 {
		return to, nil
	}
	u, err := url.Parse(to)
	if err != nil {
		return "", err
	}
	for _, name := range slices.Sorted(maps.Keys(more)) {
		if !slices.ContainsFunc(strings.Split(u.RawQuery, "&"), isPair(name)) {
			u.RawQuery = appended(u.RawQuery, name, more[name])
		}
	}
	return u.String(), nil
}

// isPair reports whether a part of a query is of that name.
func isPair(name string) func(string) bool {
	return func(pair string) bool {
		key, _, _ := strings.Cut(pair, "=")
		if k, err := url.QueryUnescape(key); err == nil {
			key = k
		}
		return key == name
	}
}

// appended adds a pair to a query. All that is there stays, byte for byte: the address that a provider publishes may have a
// query of its own, and not all that providers read is a pair to net/url, which would drop it.
func appended(query, name, value string) string {
	if query != "" {
		query += "&"
	}
	return query + url.Values{name: {value}}.Encode()
}
