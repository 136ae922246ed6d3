package page_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/orgate/orgate/internal/endpoint"
	"github.com/orgate/orgate/internal/page"
)

// A picture is one page in one state.
type picture struct {
	name string
	show func(w http.ResponseWriter) error
}

var acme = page.Brand{Organization: "Acme Inc."}

// What people could type to get out of their place.
const (
	hostileName = `"><svg onload=alert(1)>'--!></title><script>alert(2)</script>`
	bidiName    = "Acme \u202egro.live\u202c\u2066\u2069 Ltd"
)

var longName = strings.Repeat("Incorporated", 850) // 10 kB

// gallery returns every page in every state that looks different.
func gallery() []picture {
	hidden := map[string]string{"flow": "flow_01JD0", "csrf": "6NFVAY7A"}
	choices := []page.Choice{
		{Name: "connection", Value: "conn_1", Label: "Continue with Acme Okta"},
		{Name: "connection", Value: "conn_2", Label: "Continue with Acme Entra ID"},
		{Name: "method", Value: "email_code", Label: "E-mail me a code"},
	}
	entries := []page.OrganizationEntry{
		{Name: "Acme Inc.", Host: "acme.example.com", URL: "https://acme.example.com/", Role: "Admin", Current: true},
		{Name: "Globex Corporation", Host: "globex.example.com", URL: "https://globex.example.com/", Role: "Member", Note: "Asks you to sign in with Globex Entra ID"},
		{Name: "Initech", Host: "initech.example.com", URL: "https://initech.example.com/", Role: "Billing manager"},
	}
	sessions := []page.AccountSession{
		{ID: "session_1", Browser: "Chrome on Linux", Place: "Berlin, Germany", Since: "24 November 2026, 09:12", LastUsed: "just now", Organizations: "Acme Inc., Globex Corporation", Current: true},
		{ID: "session_2", Browser: "Safari on iPhone", Place: "198.51.100.7", Since: "20 November 2026, 18:40", LastUsed: "yesterday, 22:01", Organizations: "Acme Inc."},
		{ID: "session_3", Browser: "Unknown browser", Since: "19 November 2026, 08:00"},
	}
	return []picture{
		{"sign-in", func(w http.ResponseWriter) error {
			return page.SignIn{Brand: acme, Action: "/sign-in", Hidden: hidden}.Render(w, 200)
		}},
		{"sign-in-unbranded", func(w http.ResponseWriter) error {
			return page.SignIn{Action: "/sign-in"}.Render(w, 200)
		}},
		{"sign-in-fault", func(w http.ResponseWriter) error {
			return page.SignIn{Brand: acme, Action: "/sign-in", Hidden: hidden, Email: "jo@acme", Fault: "This address is not complete: the part after the @ has no dot. An address looks like jo@example.com."}.Render(w, 422)
		}},
		{"choose", func(w http.ResponseWriter) error {
			return page.Choose{Brand: acme, Action: "/sign-in", Hidden: hidden, Email: "jo@acme.com", Reason: "Acme Inc. offers more than one way. Any of them will do.", Choices: choices, Change: "/sign-in?again"}.Render(w, 200)
		}},
		{"choose-plain", func(w http.ResponseWriter) error {
			return page.Choose{Action: "/sign-in", Choices: choices[:2]}.Render(w, 200)
		}},
		{"organizations", func(w http.ResponseWriter) error {
			return page.Organizations{Email: "jo@acme.com", Entries: entries, SignOut: "/sign-out", SignOutAll: "/sign-out/everywhere", Account: "/account", Hidden: hidden}.Render(w, 200)
		}},
		{"organizations-none", func(w http.ResponseWriter) error {
			return page.Organizations{Email: "jo@acme.com", SignOut: "/sign-out", SignOutAll: "/sign-out/everywhere"}.Render(w, 200)
		}},
		{"account", func(w http.ResponseWriter) error {
			return page.Account{Name: "Jo Doe", Email: "jo@acme.com", Sessions: sessions, Revoke: "/account/sessions", SignOutAll: "/sign-out/everywhere", Picker: "/organizations", Hidden: hidden}.Render(w, 200)
		}},
		{"account-nameless", func(w http.ResponseWriter) error {
			return page.Account{Email: "jo@acme.com", Sessions: sessions[:1], Revoke: "/account/sessions", SignOutAll: "/sign-out/everywhere"}.Render(w, 200)
		}},
		{"signed-out", func(w http.ResponseWriter) error {
			return page.SignedOut{Brand: acme, SignIn: "/sign-in"}.Render(w, 200)
		}},
		{"signed-out-everywhere", func(w http.ResponseWriter) error {
			return page.SignedOut{Brand: acme, Everywhere: true, SignIn: "/sign-in", Upstream: "https://idp.example.net/logout?id_token_hint=x&a=b"}.Render(w, 200)
		}},
		{"sign-out", func(w http.ResponseWriter) error {
			return page.SignOut{Brand: acme, Email: "jo@acme.com", Action: "/.orgate/sign-out", Stay: "/"}.Render(w, 200)
		}},
		{"continue", func(w http.ResponseWriter) error {
			return page.Continue{Brand: acme, Title: "Continue signing in?", Text: "Your sign-in was interrupted. For your safety it goes on only when you say so.", Action: "/sso/continue", Hidden: hidden}.Render(w, 200)
		}},
		{"notice", func(w http.ResponseWriter) error {
			return page.Notice{Brand: acme, Title: "Your request was sent", Text: "An administrator of Acme Inc. decides whether you can join.", Hint: "You can close this page. There will be an e-mail when there is an answer.", ActionURL: "/organizations", ActionText: "Your organizations"}.Render(w, 200)
		}},
		{"error-unknown-host", fail(endpoint.Error{
			Status: 404, Code: "unknown_host", Title: "There is nothing at this address", Text: "The address may be mistyped.", Hint: "Check it, or ask whoever gave it to you.",
		})},
		{"error-no-access", fail(endpoint.Error{
			Status: 403, Code: "not_a_member", Title: "You don’t have access", Text: "You are signed in as jo@gmail.com, who is not a member of Acme Inc.",
			Hint: "Ask an administrator of Acme Inc. to invite you, or use another account.", Organization: "Acme Inc.", ActionURL: "https://login.example.com/organizations", ActionText: "Your organizations",
		})},
		{"error-expired-link", fail(endpoint.Error{
			Status: 410, Code: "expired", Title: "This link has expired", Text: "Links like this work once, and for a short time.", Hint: "Sign in again to get a new one.", Organization: "Acme Inc.", ActionURL: "/sign-in", ActionText: "Sign in again",
		})},
		{"error-idp", fail(endpoint.Error{
			Status: 502, Code: "idp_error", Title: "Acme Okta could not sign you in", Text: "It answered with an error: your account is not assigned to this app.",
			Hint: "Ask your administrator to assign the app to you, then try again.", Organization: "Acme Inc.", ActionURL: "/sign-in", ActionText: "Try again",
		})},
		{"error-upstream-down", fail(endpoint.Error{
			Status: 503, Code: "upstream_down", Title: "The app is not answering", Text: "It may be restarting.", Hint: "Try again in a minute.", Organization: "Acme Inc.", Header: http.Header{"Retry-After": {"60"}},
		})},
		{"error-too-many", fail(endpoint.Error{Status: 429, Code: "too_many", Title: "Too many attempts", Text: "There were many attempts to sign in from your network.", Hint: "Wait ten minutes, then try again."})},
		{"error-500", fail(*endpoint.AsError(http.ErrAbortHandler))},
		{"error-bare", fail(endpoint.Error{Status: 400})},

		{"hostile-sign-in", func(w http.ResponseWriter) error {
			return page.SignIn{Brand: page.Brand{Organization: hostileName}, Action: "/sign-in", Email: hostileName, Fault: hostileName, Hidden: map[string]string{`"><b>`: hostileName}}.Render(w, 422)
		}},
		{"hostile-organizations", func(w http.ResponseWriter) error {
			return page.Organizations{Email: hostileName, SignOut: "/sign-out", Entries: []page.OrganizationEntry{
				{Name: hostileName, Host: hostileName, URL: `https://a.example/"><svg onload=alert(1)>`, Role: hostileName, Note: hostileName},
				{Name: bidiName, Host: "b.example", URL: "https://b.example/", Role: bidiName, Note: bidiName},
				{Name: "شركة أكمي", Host: "c.example", URL: "https://c.example/", Role: "عضو"},
			}}.Render(w, 200)
		}},
		{"hostile-error", fail(endpoint.Error{Status: 403, Title: hostileName, Text: hostileName, Hint: bidiName, Organization: hostileName, ActionURL: "javascript:alert(1)", ActionText: hostileName})},
		{"long-sign-in", func(w http.ResponseWriter) error {
			return page.SignIn{Brand: page.Brand{Organization: longName}, Action: "/sign-in", Email: longName}.Render(w, 200)
		}},
		{"long-organizations", func(w http.ResponseWriter) error {
			return page.Organizations{Email: longName, SignOut: "/sign-out", Entries: []page.OrganizationEntry{{Name: longName, Host: longName, URL: "https://a.example/", Role: longName, Note: longName, Current: true}}}.Render(w, 200)
		}},
		{"long-account", func(w http.ResponseWriter) error {
			return page.Account{Name: longName, Email: longName, Revoke: "/account/sessions", Sessions: []page.AccountSession{{ID: "s", Browser: longName, Place: longName, Since: longName, LastUsed: longName, Organizations: longName}}}.Render(w, 200)
		}},
		{"long-error", fail(endpoint.Error{Status: 500, Title: longName, Text: longName, Hint: longName, Organization: longName, ActionURL: "/", ActionText: longName})},
	}
}

// fail shows e as a browser gets it.
func fail(e endpoint.Error) func(http.ResponseWriter) error {
	return func(w http.ResponseWriter) error {
		r := httptest.NewRequestWithContext(context.Background(), "GET", "/", nil)
		r.Header.Set("Accept", browserAccept)
		page.Errors{}.RenderError(w, r, &e, "TLO7Q2MZ4KVGYQ5XQH3JW6BRNA")
		return nil
	}
}

const browserAccept = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
