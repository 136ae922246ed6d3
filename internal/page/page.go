// Package page renders every page that a person sees: templates, one stylesheet,
// and the typed data of each page. It is below the edges, so that any of them can show
// a page or an error without knowing another edge.
//
// It owns what pages look like and how they are escaped. It does not own what happens on
// them: it reads no request but its Accept header, and no store.
package page

import (
	"net/http"

	"github.com/orgate/orgate/internal/endpoint"
)

// Brand is whose page it is. The zero Brand is the installation's own.
type Brand struct {
	// Organization is its name; empty on pages that are no organization's.
	Organization string
}

// SignIn asks for the e-mail address.
type SignIn struct {
	Brand  Brand
	Action string            // where the form is posted
	Hidden map[string]string // carried along
	Email  string            // as typed, when something is wrong with it
	Fault  string            // shown beside the field; empty: nothing is wrong
}

// Choose offers the identity providers that would do, when there are several.
type Choose struct {
	Brand   Brand
	Action  string
	Hidden  map[string]string
	Email   string
	Reason  string // why this is asked (again), in words; may be empty
	Choices []Choice
}

// A Choice is one button: Name and Value of the field it submits, and its Label.
type Choice struct{ Name, Value, Label string }

// Organizations is the picker: the organizations that a person can enter.
type Organizations struct {
	Email string
	// Entries in the order to show them.
	Entries    []OrganizationEntry
	SignOut    string // action of the form that signs out here
	SignOutAll string // action of the form that signs out everywhere
}

// An OrganizationEntry is a row of the picker.
type OrganizationEntry struct {
	Name, Host, URL string
	Role            string
	Current         bool   // the one that the person came from
	Note            string // such as "Asks you to sign in with Acme Okta"; may be empty
}

// Account shows the person and where they are signed in.
type Account struct {
	Name, Email string
	Sessions    []AccountSession
	Revoke      string // action of the forms that end one session, with its id
	SignOutAll  string
	Picker      string
}

// An AccountSession is one browser where the person is signed in.
type AccountSession struct {
	ID, Browser, Place, Since, LastUsed, Organizations string
	Current                                            bool
}

// SignedOut is what remains after signing out.
type SignedOut struct {
	Brand Brand
	// Everywhere: every session was ended, not only this one.
	Everywhere bool
	SignIn     string // link to sign in again
	// Upstream is the identity provider's own logout page, if it offers one and it was
	// not visited; may be empty.
	Upstream string
}

// SignOut asks for the click that signs out (a GET must not).
type SignOut struct {
	Brand  Brand
	Email  string
	Action string
}

// Continue asks for a click before something that was interrupted goes on.
type Continue struct {
	Brand               Brand
	Title, Text, Action string
	Hidden              map[string]string
	Button              string
}

// Render methods write the whole page or, if the template fails, nothing but an error.

// Render writes the page.
func (p SignIn) Render(w http.ResponseWriter, status int) error { panic("") }

// Render writes the page.
func (p Choose) Render(w http.ResponseWriter, status int) error { panic("") }

// Render writes the page.
func (p Organizations) Render(w http.ResponseWriter, status int) error { panic("") }

// Render writes the page.
func (p Account) Render(w http.ResponseWriter, status int) error { panic("") }

// Render writes the page.
func (p SignedOut) Render(w http.ResponseWriter, status int) error { panic("") }

// Render writes the page.
func (p SignOut) Render(w http.ResponseWriter, status int) error { panic("") }

// Render writes the page.
func (p Continue) Render(w http.ResponseWriter, status int) error { panic("") }

// Errors renders errors: as a page for whoever accepts HTML, as JSON
// ({"code", "message", "hint", "request_id", "sign_in_url"?}) for everybody else.
type Errors struct{}

// RenderError implements [endpoint.Renderer].
func (Errors) RenderError(w http.ResponseWriter, r *http.Request, e *endpoint.Error, id string) {
	panic("")
}

// Static serves the stylesheet and icons under their content-hashed names. Prefix is the
// path that it is mounted at on the side in question; pages link to StaticPath.
func Static() http.Handler { panic("") }

// StaticPath is where pages find their stylesheet, on every host of ours.
const StaticPath = "/.orgate/static/"
