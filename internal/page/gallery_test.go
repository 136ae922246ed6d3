package page_test

import (
	"bytes"
	"encoding/base64"
	"html/template"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/orgate/orgate/internal/endpoint"
	"github.com/orgate/orgate/internal/page"
	"github.com/orgate/orgate/internal/text"
)

// A picture is one page in one state.
type picture struct {
	name string
	show func(w http.ResponseWriter, r *http.Request) error
}

var (
	acme   = page.Brand{Organization: "Acme Inc."}
	globex = page.Brand{Organization: "Globex Corporation", Colour: "#ffd21f", Logo: wordmark()}
)

// What people could type to get out of their place.
const (
	hostileName = `"><svg onload=alert(1)>'--!></title><script>alert(2)</script>`
	bidiName    = "Acme \u202egro.live\u202c\u2066\u2069 Ltd"
)

// What a server asks of a browser that has passkeys.
const (
	getOptions    = `{"publicKey":{"challenge":"dGhlIGNoYWxsZW5nZSBvZiB0aGUgdGVzdA","rpId":"localhost","timeout":60000,"userVerification":"required","allowCredentials":[]}}`
	createOptions = `{"publicKey":{"challenge":"dGhlIGNoYWxsZW5nZSBvZiB0aGUgdGVzdA","rp":{"id":"localhost","name":"Acme"},"user":{"id":"dXNlcl8x","name":"jo@acme.com","displayName":"Jo"},"pubKeyCredParams":[{"type":"public-key","alg":-7},{"type":"public-key","alg":-257}],"authenticatorSelection":{"residentKey":"required","userVerification":"required"}}}`
)

var (
	moment = time.Date(2026, 11, 24, 9, 12, 0, 0, time.UTC)
	qr     = picturedCode()
)

// picturedCode looks like a QR code and is none.
func picturedCode() template.URL {
	const side = 33
	img := image.NewGray(image.Rect(0, 0, side+8, side+8))
	dice := rand.New(rand.NewPCG(1, 2))
	for y := range side + 8 {
		for x := range side + 8 {
			inside := x >= 4 && x < side+4 && y >= 4 && y < side+4
			if !inside || dice.IntN(2) == 0 {
				img.SetGray(x, y, color.Gray{Y: 255})
			}
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		panic(err)
	}
	return template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(b.Bytes()))
}

// wordmark is the logo of globex: wide, dark, and without a ground.
func wordmark() string {
	img := image.NewNRGBA(image.Rect(0, 0, 480, 120))
	for y := range 120 {
		for x := range 480 {
			if dx, dy := x-60, y-60; dx*dx+dy*dy < 50*50 && dx*dx+dy*dy > 22*22 {
				img.SetNRGBA(x, y, color.NRGBA{R: 0xff, G: 0xb3, A: 255})
			}
			if x > 140 && y > 40 && y < 80 && x%52 < 38 {
				img.SetNRGBA(x, y, color.NRGBA{R: 0x1c, G: 0x1c, B: 0x1e, A: 255})
			}
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		panic(err)
	}
	logo, err := page.ParseLogo(b.Bytes())
	if err != nil {
		panic(err)
	}
	return logo
}

// request is that of a browser whose person reads l.
func request(l text.Locale) *http.Request {
	return &http.Request{Header: http.Header{"Accept": {browserAccept}, "Accept-Language": {string(l)}}}
}

var longName = strings.Repeat("Incorporated", 850) // 10 kB

// gallery returns every page in every state that looks different.
func gallery() []picture {
	hidden := map[string]string{"flow": "flow_01JD0", "csrf": "6NFVAY7A"}
	choices := []page.Choice{
		{Name: "connection", Value: "conn_1", Label: "Acme Okta", Kind: "sso"},
		{Name: "connection", Value: "conn_2", Label: "Acme Entra ID", Kind: "sso"},
		{Name: "method", Value: "email_code", Kind: "email_code"},
	}
	entries := []page.OrganizationEntry{
		{Name: "Acme Inc.", Host: "acme.example.com", URL: "https://acme.example.com/", Role: "Admin", Current: true},
		{Name: "Globex Corporation", Host: "globex.example.com", URL: "https://globex.example.com/", Role: "Member", Note: text.T("Asks you to sign in with %s", "Globex Entra ID")},
		{Name: "Initech", Host: "initech.example.com", URL: "https://initech.example.com/", Role: "Billing manager"},
	}
	sessions := []page.AccountSession{
		{ID: "session_1", Browser: text.T("%s on %s", "Chrome", "Linux"), Place: "192.0.2.7", Since: text.Moment(moment), LastUsed: text.Moment(moment.Add(time.Hour)), Organizations: "Acme Inc., Globex Corporation", Current: true},
		{ID: "session_2", Browser: text.T("%s on %s", "Safari", "iPhone"), Place: "198.51.100.7", Since: text.Moment(moment.Add(-84 * time.Hour)), LastUsed: text.Moment(moment.Add(-11 * time.Hour)), Organizations: "Acme Inc."},
		{ID: "session_3", Browser: text.T("A browser"), Since: text.Moment(moment.Add(-120 * time.Hour))},
	}
	return []picture{
		{"sign-in", func(w http.ResponseWriter, r *http.Request) error {
			return page.SignIn{Brand: acme, Action: "/sign-in", Hidden: hidden}.Render(w, r, 200)
		}},
		{"sign-in-unbranded", func(w http.ResponseWriter, r *http.Request) error {
			return page.SignIn{Action: "/sign-in"}.Render(w, r, 200)
		}},
		{"sign-in-fault", func(w http.ResponseWriter, r *http.Request) error {
			return page.SignIn{Brand: acme, Action: "/sign-in", Hidden: hidden, Email: "jo@acme", Fault: text.T("Enter your e-mail address, such as jo@example.com.")}.Render(w, r, 422)
		}},
		{"choose", func(w http.ResponseWriter, r *http.Request) error {
			return page.Choose{Brand: acme, Action: "/sign-in", Hidden: hidden, Email: "jo@acme.com", Reason: text.T("Your organization asks for more than you have proved so far."), Choices: choices, Change: "/sign-in?again"}.Render(w, r, 200)
		}},
		{"choose-plain", func(w http.ResponseWriter, r *http.Request) error {
			return page.Choose{Action: "/sign-in", Choices: choices[:2]}.Render(w, r, 200)
		}},
		{"organizations", func(w http.ResponseWriter, r *http.Request) error {
			return page.Organizations{Email: "jo@acme.com", Entries: entries, SignOut: "/sign-out", SignOutAll: "/sign-out/everywhere", Account: "/account", Hidden: hidden}.Render(w, r, 200)
		}},
		{"organizations-none", func(w http.ResponseWriter, r *http.Request) error {
			return page.Organizations{Email: "jo@acme.com", SignOut: "/sign-out", SignOutAll: "/sign-out/everywhere"}.Render(w, r, 200)
		}},
		{"organizations-invited", func(w http.ResponseWriter, r *http.Request) error {
			return page.Organizations{Email: "jo@acme.com", SignOut: "/sign-out", Invitations: "/invitations"}.Render(w, r, 200)
		}},
		{"invitation", func(w http.ResponseWriter, r *http.Request) error {
			return page.Invitation{Brand: acme, To: "Acme Inc.", Inviter: "Jo Doe", Email: "jo@acme.com", Until: text.Moment(moment), Action: "/invitations/token"}.Render(w, r, 200)
		}},
		{"invitation-branded", func(w http.ResponseWriter, r *http.Request) error {
			return page.Invitation{Brand: globex, To: "Globex Corporation", Email: "jo@acme.com", As: "jo@globex.com", Stay: "/organizations", Until: text.Moment(moment), Action: "/invitations/token", Hidden: map[string]string{"another": "1"}}.Render(w, r, 200)
		}},
		{"invitation-app", func(w http.ResponseWriter, r *http.Request) error {
			return page.Invitation{To: "login.example.com", Email: "jo@acme.com", Action: "/invitations/token"}.Render(w, r, 200)
		}},
		{"invitations", func(w http.ResponseWriter, r *http.Request) error {
			return page.Invitations{Email: "jo@acme.com", Action: "/invitations", Hidden: hidden, Another: "/sign-in?another=1", Entries: []page.InvitationEntry{
				{ID: "invitation_1", Name: "Acme Inc.", Inviter: "Jo Doe", Until: text.Moment(moment)}, {ID: "invitation_2", Name: "Globex Corporation", Until: text.Moment(moment)},
			}}.Render(w, r, 403)
		}},
		{"invitations-none", func(w http.ResponseWriter, r *http.Request) error {
			return page.Invitations{Brand: acme, Email: "jo@acme.com", Action: "/invitations"}.Render(w, r, 200)
		}},
		{"portal", func(w http.ResponseWriter, r *http.Request) error {
			return page.Portal{Brand: acme, Organization: "Acme Inc.", Intent: "sso", Until: text.Moment(moment), Back: "https://app.example.com/settings"}.Render(w, r, 200)
		}},
		{"portal-plain", func(w http.ResponseWriter, r *http.Request) error {
			return page.Portal{Brand: globex, Organization: "Globex Corporation", Until: text.Moment(moment)}.Render(w, r, 200)
		}},
		{"account", func(w http.ResponseWriter, r *http.Request) error {
			return page.Account{Name: "Jo Doe", Email: "jo@acme.com", Sessions: sessions, Revoke: "/account/sessions", SignOutAll: "/sign-out/everywhere", Picker: "/organizations", Hidden: hidden}.Render(w, r, 200)
		}},
		{"account-nameless", func(w http.ResponseWriter, r *http.Request) error {
			return page.Account{Email: "jo@acme.com", Sessions: sessions[:1], Revoke: "/account/sessions", SignOutAll: "/sign-out/everywhere"}.Render(w, r, 200)
		}},
		{"sign-in-branded", func(w http.ResponseWriter, r *http.Request) error {
			return page.SignIn{Brand: globex, Action: "/sign-in", Hidden: hidden, Passkey: &page.PasskeyRequest{Options: getOptions}}.Render(w, r, 200)
		}},
		{"choose-branded", func(w http.ResponseWriter, r *http.Request) error {
			return page.Choose{Brand: page.Brand{Organization: "Globex Corporation", Colour: "#0b1a3c"}, Action: "/sign-in", Hidden: hidden, Email: "jo@globex.com", Change: "/sign-in?again", Choices: choices}.Render(w, r, 200)
		}},
		{"confirm-branded", func(w http.ResponseWriter, r *http.Request) error {
			return page.Continue{Brand: page.Brand{Organization: "Initech", Colour: "#ffffff", Logo: "https://initech.example/logo.svg"}, Title: text.T("Sign out?"), Action: "/sign-out"}.Render(w, r, 200)
		}},
		{"sign-in-all", func(w http.ResponseWriter, r *http.Request) error {
			return page.SignIn{Brand: acme, Action: "/sign-in", Hidden: hidden, Passkey: &page.PasskeyRequest{Options: getOptions}, Social: []page.Choice{
				{Name: "social", Value: "google", Label: "Google", Kind: "social"}, {Name: "social", Value: "github", Label: "GitHub", Kind: "social"},
			}}.Render(w, r, 200)
		}},
		{"choose-kinds", func(w http.ResponseWriter, r *http.Request) error {
			return page.Choose{Brand: acme, Action: "/sign-in", Hidden: hidden, Email: "jo@acme.com", Change: "/sign-in?again", Choices: []page.Choice{
				{Name: "connection", Value: "conn_1", Label: "Acme Okta", Kind: "sso"}, {Name: "method", Value: "passkey", Kind: "passkey"}, {Name: "method", Value: "email_code", Kind: "email_code"},
				{Name: "method", Value: "password", Kind: "password"}, {Name: "social", Value: "github", Label: "GitHub", Kind: "social"},
				{Name: "connection", Value: "conn_2", Label: "Acme Entra ID"},
			}}.Render(w, r, 200)
		}},
		{"enter-code", func(w http.ResponseWriter, r *http.Request) error {
			return page.EnterCode{Brand: acme, Action: "/sign-in/code", Hidden: hidden, Email: "jo@acme.com", Resend: "/sign-in/code/resend", ResendAfter: 30 * time.Second, Change: "/sign-in?again", Other: "/sign-in/other"}.Render(w, r, 200)
		}},
		{"enter-code-fault", func(w http.ResponseWriter, r *http.Request) error {
			return page.EnterCode{Action: "/sign-in/code", Email: "jo@acme.com", Lead: text.T("We sent a code to %s.", "jo@acme.com"), Fault: text.T("Something went wrong"), Resend: "/sign-in/code/resend"}.Render(w, r, 422)
		}},
		{"enter-code-wait", func(w http.ResponseWriter, r *http.Request) error {
			return page.EnterCode{Action: "/sign-in/code", Email: "jo@acme.com", Resend: "/sign-in/code/resend", ResendAfter: 10 * time.Minute}.Render(w, r, 200)
		}},
		{"enter-password", func(w http.ResponseWriter, r *http.Request) error {
			return page.EnterPassword{Brand: acme, Action: "/sign-in/password", Hidden: hidden, Email: "jo@acme.com", Forgot: "/sign-in/password/reset", Change: "/sign-in?again", Other: "/sign-in/other"}.Render(w, r, 200)
		}},
		{"enter-password-fault", func(w http.ResponseWriter, r *http.Request) error {
			return page.EnterPassword{Action: "/sign-in/password", Email: "jo@acme.com", Fault: text.T("Something went wrong")}.Render(w, r, 422)
		}},
		{"use-passkey", func(w http.ResponseWriter, r *http.Request) error {
			return page.UsePasskey{Brand: acme, Action: "/sign-in/passkey", Hidden: hidden, Email: "jo@acme.com", Request: page.PasskeyRequest{Options: getOptions}, Other: "/sign-in/other"}.Render(w, r, 200)
		}},
		{"use-passkey-fault", func(w http.ResponseWriter, r *http.Request) error {
			return page.UsePasskey{Action: "/sign-in/passkey", Request: page.PasskeyRequest{Options: getOptions}, Fault: text.T("Something went wrong")}.Render(w, r, 422)
		}},
		{"second-factor-totp", func(w http.ResponseWriter, r *http.Request) error {
			return page.SecondFactor{Brand: acme, Action: "/sign-in/second", Hidden: hidden, Email: "jo@acme.com", Kind: "totp", Passkey: "/sign-in/second/passkey", Recovery: "/sign-in/second/recovery"}.Render(w, r, 200)
		}},
		{"second-factor-recovery", func(w http.ResponseWriter, r *http.Request) error {
			return page.SecondFactor{Action: "/sign-in/second", Email: "jo@acme.com", Kind: "recovery_code", App: "/sign-in/second/app", Fault: text.T("Something went wrong")}.Render(w, r, 422)
		}},
		{"new-password", func(w http.ResponseWriter, r *http.Request) error {
			return page.NewPassword{Brand: acme, Action: "/account/password", Hidden: hidden, Email: "jo@acme.com", MinLength: 15}.Render(w, r, 200)
		}},
		{"new-password-change", func(w http.ResponseWriter, r *http.Request) error {
			return page.NewPassword{Action: "/account/password", Email: "jo@acme.com", Title: text.T("Change password"), MinLength: 8, Current: true, CurrentFault: text.T("Something went wrong"), Fault: text.T("Something went wrong"), Back: "/account"}.Render(w, r, 422)
		}},
		{"create-passkey", func(w http.ResponseWriter, r *http.Request) error {
			return page.CreatePasskey{Brand: acme, Action: "/account/passkeys", Hidden: hidden, Request: page.PasskeyRequest{Options: createOptions}, Name: text.T("%s on %s", "Firefox", "Linux"), Skip: "/account"}.Render(w, r, 200)
		}},
		{"enroll-choice", func(w http.ResponseWriter, r *http.Request) error {
			return page.EnrollChoice{Brand: acme, Email: "jo@acme.com", Reason: text.T("%s asks for a second factor", "Acme Inc."), App: "/enroll/app", Passkey: "/enroll/passkey"}.Render(w, r, 200)
		}},
		{"enroll-totp", func(w http.ResponseWriter, r *http.Request) error {
			return page.EnrollTOTP{Brand: acme, Action: "/enroll/app", Hidden: hidden, QR: qr, Secret: "JBSW Y3DP EHPK 3PXP JBSW Y3DP EHPK 3PXP", Passkey: "/enroll/passkey"}.Render(w, r, 200)
		}},
		{"enroll-totp-fault", func(w http.ResponseWriter, r *http.Request) error {
			return page.EnrollTOTP{Action: "/enroll/app", QR: qr, Secret: "JBSW Y3DP EHPK 3PXP JBSW Y3DP EHPK 3PXP", Fault: text.T("Something went wrong")}.Render(w, r, 422)
		}},
		{"recovery-codes", func(w http.ResponseWriter, r *http.Request) error {
			return page.RecoveryCodes{Brand: acme, Codes: []string{"k7wd-9xqp", "m2fh-8rtz", "p4bn-3vkc", "r9jd-6wmq", "t5xz-2hfp", "v8kc-7nbr", "w3mq-4jdt", "x6fp-9zhv", "z2br-5ckw", "b7dt-8qmx"}, Done: "/enroll/done", Hidden: hidden}.Render(w, r, 200)
		}},
		{"account-all", func(w http.ResponseWriter, r *http.Request) error {
			return page.Account{
				Notice: text.T("This device has a passkey for your account already."), Picker: "/organizations", Hidden: hidden, Name: "Jo Doe", Email: "jo@acme.com", NameAction: "/account/name", EmailAction: "/account/email",
				Password: &page.AccountPassword{Set: true}, PasswordAction: "/account/password",
				Passkeys: []page.AccountPasskey{
					{ID: "pk_1", Name: "Jo’s laptop", Added: text.Moment(moment), LastUsed: text.Moment(moment.Add(48 * time.Hour))},
					{ID: "pk_2", Name: "Phone", Added: text.Moment(moment)},
				}, AddPasskey: "/account/passkeys/new", RenamePasskey: "/account/passkeys/rename", RemovePasskey: "/account/passkeys/remove",
				TOTP: &page.AccountTOTP{On: true, Since: text.Moment(moment)}, TOTPOff: "/account/totp/remove",
				Recovery: &page.AccountRecovery{Left: 7, Renew: "/account/recovery"},
				Sessions: sessions, Revoke: "/account/sessions", SignOutAll: "/sign-out/everywhere",
				Organizations:     []page.AccountOrganization{{ID: "org_1", Name: "Acme Inc.", Role: "Admin", URL: "https://acme.example.com/"}, {ID: "org_2", Name: "Globex Corporation", Role: "Member", URL: "https://globex.example.com/", Leave: true}},
				LeaveOrganization: "/account/organizations/leave",
				Linkable:          []page.Choice{{Name: "provider", Value: "google", Label: "Google", Kind: "link"}}, LinkIdentity: "https://login.example.com/account/identities/link",
				Identities:     []page.AccountIdentity{{Label: "Acme Okta", Email: "jo@acme.com", Since: text.Moment(moment)}, {Label: "GitHub", Email: "jo@users.example.net", Since: text.Moment(moment), LastUsed: text.Moment(moment), Unlink: "identity_2"}},
				UnlinkIdentity: "/account/identities/unlink",
			}.Render(w, r, 200)
		}},
		{"account-new", func(w http.ResponseWriter, r *http.Request) error {
			return page.Account{
				Email: "jo@acme.com", NameAction: "/account/name", NameFault: text.T("Something went wrong"), Password: &page.AccountPassword{}, PasswordAction: "/account/password",
				AddPasskey: "/account/passkeys/new", TOTP: &page.AccountTOTP{}, TOTPOn: "/account/totp", Recovery: &page.AccountRecovery{}, Sessions: sessions[:1],
			}.Render(w, r, 422)
		}},
		{"change-email", func(w http.ResponseWriter, r *http.Request) error {
			return page.ChangeEmail{Action: "/account/email", Hidden: hidden, Back: "/account"}.Render(w, r, 200)
		}},
		{"change-email-fault", func(w http.ResponseWriter, r *http.Request) error {
			return page.ChangeEmail{Action: "/account/email", Email: "jo@acme", Fault: text.T("Enter your e-mail address, such as jo@example.com.")}.Render(w, r, 422)
		}},
		{"confirm", func(w http.ResponseWriter, r *http.Request) error {
			return page.Confirm{Title: text.T("Sign out?"), Text: text.T("You are signed in as %s.", "jo@acme.com"), Action: "/account/leave", Hidden: hidden, Button: text.T("Sign out"), Danger: true, Back: "/account"}.Render(w, r, 200)
		}},
		{"signed-out", func(w http.ResponseWriter, r *http.Request) error {
			return page.SignedOut{Brand: acme, SignIn: "/sign-in"}.Render(w, r, 200)
		}},
		{"signed-out-everywhere", func(w http.ResponseWriter, r *http.Request) error {
			return page.SignedOut{Brand: acme, Everywhere: true, SignIn: "/sign-in", Upstream: "https://idp.example.net/logout?id_token_hint=x&a=b"}.Render(w, r, 200)
		}},
		{"sign-out", func(w http.ResponseWriter, r *http.Request) error {
			return page.SignOut{Brand: acme, Email: "jo@acme.com", Action: "/.orgate/sign-out", Stay: "/"}.Render(w, r, 200)
		}},
		{"continue", func(w http.ResponseWriter, r *http.Request) error {
			return page.Continue{Brand: acme, Title: text.T("Please sign in again"), Text: text.T("Your organization asks for more than you have proved so far."), Action: "/sso/continue", Hidden: hidden}.Render(w, r, 200)
		}},
		{"continue-idp", func(w http.ResponseWriter, r *http.Request) error {
			return page.Continue{
				Brand: globex, Title: text.T("Sign in to %s?", "Globex Corporation"),
				Text:   text.T("The identity provider of %s says that you are %s. If you did not just come from there, close this page.", "Globex Corporation", "jo@a-subsidiary-with-quite-a-long-name.globex-corporation.example"),
				Action: "/sso/saml/globex.adfs/finish", Hidden: hidden, Button: text.T("Sign in"),
			}.Render(w, r, 200)
		}},
		{"notice-test", func(w http.ResponseWriter, r *http.Request) error {
			return page.Notice{Brand: acme, Title: text.T("The test is finished"), Text: text.T("Nobody was signed in by it. What came of it is where you started it.")}.Render(w, r, 200)
		}},
		{"notice", func(w http.ResponseWriter, r *http.Request) error {
			return page.Notice{Brand: acme, Title: text.T("Your invitation is waiting"), Text: text.T("You were invited to %s, and have not accepted yet.", "Acme Inc."), Hint: text.T("Open the link in the invitation that was sent to you. If you can't find it, ask for a new one."), ActionURL: "/organizations", ActionText: text.T("Your organizations")}.Render(w, r, 200)
		}},
		{"error-unknown-host", fail(endpoint.Error{
			Status: 404, Code: "unknown_host", Title: text.T("There is nothing at this address"), Text: text.T("Nothing here has this name."), Hint: text.T("Check the address for typing errors."),
		})},
		{"error-no-access", fail(endpoint.Error{
			Status: 403, Code: "not_a_member", Title: text.T("You are not a member of %s", "Acme Inc."), Text: text.T("You are signed in as %s, and %s has no member with that address.", "jo@gmail.com", "Acme Inc."),
			Hint: text.T("Ask somebody who looks after %s to invite you, or use another account.", "Acme Inc."), Organization: "Acme Inc.", ActionURL: "https://login.example.com/organizations", ActionText: text.T("Your organizations"),
		})},
		{"error-expired-link", fail(endpoint.Error{
			Status: 410, Code: "expired", Title: text.T("This sign-in can't be finished"), Text: text.T("The link has expired or was used already."), Hint: text.T("Sign in again: it takes no longer than the first time."), Organization: "Acme Inc.", ActionURL: "/sign-in", ActionText: text.T("Sign in again"),
		})},
		{"error-idp-setup", fail(endpoint.Error{
			Status: 403, Code: "signature_wrong", Title: text.T("Signing in did not work"), Text: text.T("Your identity provider's answer could not be accepted."),
			Hint: text.T("Tell the people who look after your sign-in the id below."), Organization: "Acme Inc.", ActionURL: "/sign-in", ActionText: text.T("Try again"),
		})},
		{"error-idp", fail(endpoint.Error{
			Status: 502, Code: "idp_error", Title: text.T("Signing in did not work"), Text: text.T("Your identity provider did not let you in, or you cancelled."),
			Hint: text.T("Try again. If it goes on, tell the people who look after your sign-in the id below."), Organization: "Acme Inc.", ActionURL: "/sign-in", ActionText: text.T("Try again"),
		})},
		{"error-upstream-down", fail(endpoint.Error{
			Status: 503, Code: "upstream_down", Title: text.T("The app takes too long"), Text: text.T("The app did not answer in time."), Hint: text.T("Try again in a moment."), Organization: "Acme Inc.", Header: http.Header{"Retry-After": {"60"}},
		})},
		{"error-too-many", fail(endpoint.Error{Status: 429, Code: "too_many", Title: text.T("Too many attempts"), Text: text.T("There were too many attempts in a short time."), Hint: text.T("Wait a little, then try again.")})},
		{"error-500", fail(*endpoint.AsError(http.ErrAbortHandler))},
		{"error-bare", fail(endpoint.Error{Status: 400})},

		{"hostile-sign-in", func(w http.ResponseWriter, r *http.Request) error {
			return page.SignIn{Brand: page.Brand{Organization: hostileName}, Action: "/sign-in", Email: hostileName, Fault: text.Verbatim(hostileName), Hidden: map[string]string{`"><b>`: hostileName}}.Render(w, r, 422)
		}},
		{"hostile-organizations", func(w http.ResponseWriter, r *http.Request) error {
			return page.Organizations{Email: hostileName, SignOut: "/sign-out", Entries: []page.OrganizationEntry{
				{Name: hostileName, Host: hostileName, URL: `https://a.example/"><svg onload=alert(1)>`, Role: hostileName, Note: text.Verbatim(hostileName)},
				{Name: bidiName, Host: "b.example", URL: "https://b.example/", Role: bidiName, Note: text.Verbatim(bidiName)},
				{Name: "شركة أكمي", Host: "c.example", URL: "https://c.example/", Role: "عضو"},
			}}.Render(w, r, 200)
		}},
		{"hostile-invitation", func(w http.ResponseWriter, r *http.Request) error {
			return page.Invitation{Brand: page.Brand{Organization: hostileName}, To: hostileName, Inviter: bidiName, Email: hostileName, As: hostileName, Until: text.Verbatim(hostileName), Action: "/invitations/token", Stay: "/"}.Render(w, r, 200)
		}},
		{"hostile-invitations", func(w http.ResponseWriter, r *http.Request) error {
			return page.Invitations{Email: hostileName, Action: "/invitations", Entries: []page.InvitationEntry{{ID: hostileName, Name: hostileName, Inviter: hostileName, Until: text.Verbatim(hostileName)}, {ID: "b", Name: bidiName, Inviter: bidiName}}}.Render(w, r, 200)
		}},
		{"hostile-error", fail(endpoint.Error{Status: 403, Title: text.Verbatim(hostileName), Text: text.Verbatim(hostileName), Hint: text.Verbatim(bidiName), Organization: hostileName, ActionURL: "javascript:alert(1)", ActionText: text.Verbatim(hostileName)})},
		{"long-sign-in", func(w http.ResponseWriter, r *http.Request) error {
			return page.SignIn{Brand: page.Brand{Organization: longName}, Action: "/sign-in", Email: longName}.Render(w, r, 200)
		}},
		{"long-organizations", func(w http.ResponseWriter, r *http.Request) error {
			return page.Organizations{Email: longName, SignOut: "/sign-out", Entries: []page.OrganizationEntry{{Name: longName, Host: longName, URL: "https://a.example/", Role: longName, Note: text.Verbatim(longName), Current: true}}}.Render(w, r, 200)
		}},
		{"long-invitation", func(w http.ResponseWriter, r *http.Request) error {
			return page.Invitation{Brand: page.Brand{Organization: longName}, To: longName, Inviter: longName, Email: longName, As: longName, Action: "/invitations/token"}.Render(w, r, 200)
		}},
		{"long-invitations", func(w http.ResponseWriter, r *http.Request) error {
			return page.Invitations{Email: longName, Action: "/invitations", Entries: []page.InvitationEntry{{ID: "i", Name: longName, Inviter: longName, Until: text.Verbatim(longName)}}}.Render(w, r, 200)
		}},
		{"long-account", func(w http.ResponseWriter, r *http.Request) error {
			return page.Account{Name: longName, Email: longName, Revoke: "/account/sessions", Sessions: []page.AccountSession{{ID: "s", Browser: text.Verbatim(longName), Place: longName, Since: text.Verbatim(longName), LastUsed: text.Verbatim(longName), Organizations: longName}}}.Render(w, r, 200)
		}},
		{"long-error", fail(endpoint.Error{Status: 500, Title: text.Verbatim(longName), Text: text.Verbatim(longName), Hint: text.Verbatim(longName), Organization: longName, ActionURL: "/", ActionText: text.Verbatim(longName)})},
	}
}

// fail shows e as a browser gets it.
func fail(e endpoint.Error) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		r.Header.Set("Accept", browserAccept)
		page.Errors{}.RenderError(w, r, &e, "TLO7Q2MZ4KVGYQ5XQH3JW6BRNA")
		return nil
	}
}

const browserAccept = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
