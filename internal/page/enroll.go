package page

import (
	"errors"
	"html/template"
	"net/http"
	"strings"

	"github.com/orgate/orgate/internal/text"
)

// NewPassword asks for a password to have from now on; it is posted as "password", and
// the present one as "current".
type NewPassword struct {
	Brand  Brand
	Action string
	Hidden map[string]string
	Email  string
	Title  text.Message // "Choose a password" if zero
	Fault  text.Message
	// Current asks for the present password too; CurrentFault is what is wrong with that.
	Current      bool
	CurrentFault text.Message
	MinLength    int
	Back         string // link for whoever would rather not; may be empty
}

// CreatePasskey has the browser make a passkey; see [PasskeyRequest]. What to call it is
// posted as "name".
type CreatePasskey struct {
	Brand   Brand
	Action  string
	Hidden  map[string]string
	Request PasskeyRequest
	Name    text.Message // what to call it unless the person knows better, such as "Firefox on Linux"
	Fault   text.Message
	Skip    string // link for whoever would rather not; may be empty
}

// EnrollChoice says that a second factor is needed, and offers those that the person
// can set up.
type EnrollChoice struct {
	Brand  Brand
	Email  string
	Reason text.Message // which rule asks for it
	// Links to set one up; empty: not on offer.
	App, Passkey string
}

// EnrollTOTP shows the secret for an authenticator app and asks for the code that it
// makes of it, which is posted as "code".
type EnrollTOTP struct {
	Brand   Brand
	Action  string
	Hidden  map[string]string
	QR      template.URL // a data URL of a PNG
	Secret  string       // the same to type, in groups of four
	Fault   text.Message
	Passkey string // link to set up a passkey instead; may be empty
}

// RecoveryCodes shows the recovery codes, this once.
type RecoveryCodes struct {
	Brand  Brand
	Codes  []string
	Done   string // action of the form that says that they are kept
	Hidden map[string]string
}

// Render writes the page.
func (p NewPassword) Render(w http.ResponseWriter, r *http.Request, status int) error {
	p.Title = text.Or(p.Title, text.T("Choose a password"))
	return newPassword.render(w, r, status, p, needs{brand: p.Brand})
}

// Render writes the page.
func (p CreatePasskey) Render(w http.ResponseWriter, r *http.Request, status int) error {
	p.Request = p.Request.or(p.Action)
	return createPasskey.render(w, r, status, p, needs{brand: p.Brand, script: true})
}

// Render writes the page.
func (p EnrollChoice) Render(w http.ResponseWriter, r *http.Request, status int) error {
	return enrollChoice.render(w, r, status, p, needs{brand: p.Brand})
}

// Render writes the page.
func (p EnrollTOTP) Render(w http.ResponseWriter, r *http.Request, status int) error {
	if !strings.HasPrefix(string(p.QR), "data:image/png;base64,") {
		// It is not escaped as another URL would be.
		return errors.New("page enroll_totp: the picture is not a PNG in a data URL")
	}
	return enrollTOTP.render(w, r, status, p, needs{brand: p.Brand})
}

// Render writes the page.
func (p RecoveryCodes) Render(w http.ResponseWriter, r *http.Request, status int) error {
	return recoveryCodes.render(w, r, status, p, needs{brand: p.Brand})
}
