package page

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/orgate/orgate/internal/text"
)

// SignIn asks for the e-mail address, which is posted as "email".
type SignIn struct {
	Brand      Brand
	Action     string
	Hidden     map[string]string // carried along by every form of the page
	Email      string            // as typed, when something is wrong with it
	Fault      text.Message
	FormAction []string
	// Passkey offers to sign in with a passkey, by a button and by the browser's list of
	// suggestions for the address; nil: not on offer.
	Passkey *PasskeyRequest
	// Social are other providers to sign in with; the field of the one that was chosen is
	// posted to Action.
	Social []Choice
}

// A PasskeyRequest is what the browser is asked for: Options are the argument of
// navigator.credentials.get or create in the JSON form of WebAuthn Level 3, with or
// without the member publicKey around it. What the browser answers is posted as
// "credential", in the same form.
type PasskeyRequest struct {
	Options string
	// Action is where it is posted; empty: where the page's own form is.
	Action string
}

// Choose offers the ways to sign in that would do, when there are several. The field of
// the one that was chosen is posted.
type Choose struct {
	Brand      Brand
	Action     string
	Hidden     map[string]string
	Email      string
	Reason     text.Message // why this is asked (again); may be zero
	Choices    []Choice
	Change     string // link to use another address; may be empty
	FormAction []string
}

// A Choice is one button: Name and Value of the field that it submits, and what it is.
type Choice struct {
	Name, Value string
	// Label is what the connection or provider is called.
	Label string
	// Kind is "sso" or "social", which say "Continue with Label", "link", which says "Link
	// Label", "email_code", "password" or "passkey", which need no Label, or empty for a
	// button that says Label alone.
	Kind string
}

// Text returns what the button says.
func (c Choice) Text() text.Message {
	switch c.Kind {
	case "sso", "social":
		return text.T("Continue with %s", c.Label)
	case "link":
		return text.T("Link %s", c.Label)
	case "email_code":
		return text.T("E-mail me a code")
	case "password":
		return text.T("Use your password")
	case "passkey":
		return text.T("Use a passkey")
	case "first_passkey":
		return text.T("First time here? Set up a passkey")
	case "first_password":
		return text.T("First time here? Set a password")
	}
	return text.Verbatim(c.Label)
}

// EnterCode asks for the code that was sent to Email; it is posted as "code".
type EnterCode struct {
	Brand  Brand
	Action string
	Hidden map[string]string // carried along by both forms
	Email  string
	Lead   text.Message // what the code is for; zero: that it was sent to Email
	Fault  text.Message
	// Resend is the action of the form that has a new code sent; empty: there is none.
	Resend string
	// ResendAfter is how long until that is worth trying; 0: at once. It is for show: the
	// server decides.
	ResendAfter time.Duration
	Change      string // link to use another address; may be empty
	Other       string // link to another way to sign in; may be empty
}

// EnterPassword asks for the password of Email; it is posted as "password".
type EnterPassword struct {
	Brand  Brand
	Action string
	Hidden map[string]string
	Email  string
	Fault  text.Message
	Forgot string // link for whoever does not know it any more; may be empty
	Change string // link to use another address; may be empty
	Other  string // link to another way to sign in; may be empty
}

// UsePasskey asks for a passkey of the person; see [PasskeyRequest].
type UsePasskey struct {
	Brand   Brand
	Action  string
	Hidden  map[string]string
	Email   string
	Request PasskeyRequest
	Fault   text.Message
	Other   string // link to another way to sign in; may be empty
}

// SecondFactor asks for a code of an authenticator app, or for a recovery code; it is
// posted as "code".
type SecondFactor struct {
	Brand  Brand
	Action string
	Hidden map[string]string
	Email  string
	Kind   string // "totp" or "recovery_code"
	Fault  text.Message
	// Links to the other ways; empty: the person does not have it, or is there.
	Passkey, App, Recovery string
}

// Render writes the page.
func (p SignIn) Render(w http.ResponseWriter, r *http.Request, status int) error {
	if p.Passkey != nil {
		ask := p.Passkey.or(p.Action)
		p.Passkey = &ask
	}
	return signIn.render(w, r, status, p, needs{brand: p.Brand, formAction: p.FormAction, script: p.Passkey != nil})
}

// Render writes the page.
func (p Choose) Render(w http.ResponseWriter, r *http.Request, status int) error {
	return choose.render(w, r, status, p, needs{brand: p.Brand, formAction: p.FormAction})
}

// Render writes the page.
func (p EnterCode) Render(w http.ResponseWriter, r *http.Request, status int) error {
	return enterCode.render(w, r, status, p, needs{brand: p.Brand})
}

// Render writes the page.
func (p EnterPassword) Render(w http.ResponseWriter, r *http.Request, status int) error {
	return enterPassword.render(w, r, status, p, needs{brand: p.Brand})
}

// Render writes the page.
func (p UsePasskey) Render(w http.ResponseWriter, r *http.Request, status int) error {
	p.Request = p.Request.or(p.Action)
	return usePasskey.render(w, r, status, p, needs{brand: p.Brand, script: true})
}

// Render writes the page.
func (p SecondFactor) Render(w http.ResponseWriter, r *http.Request, status int) error {
	if p.Kind != "totp" && p.Kind != "recovery_code" {
		return fmt.Errorf("page second_factor: no kind %q", p.Kind)
	}
	return secondFactor.render(w, r, status, p, needs{brand: p.Brand})
}

// or fills in where the answer is posted.
func (q PasskeyRequest) or(action string) PasskeyRequest {
	if q.Action == "" {
		q.Action = action
	}
	return q
}

// seconds is how long the countdown before a new code runs: d, rounded up to what the
// stylesheet has a class for. 0: none is shown, as there is nothing or too much to wait.
func seconds(d time.Duration) int {
	for _, s := range [...]int{10, 20, 30, 45, 60, 90, 120} {
		if d > 0 && d <= time.Duration(s)*time.Second {
			return s
		}
	}
	return 0
}

// Icon returns the picture on the button, of those in static; empty: there is none.
func (c Choice) Icon() string {
	switch c.Kind {
	case "sso", "email_code", "password", "passkey":
		return c.Kind + ".svg"
	case "first_passkey", "first_password":
		return strings.TrimPrefix(c.Kind, "first_") + ".svg"
	}
	return ""
}
