// Package page renders every page that a person sees: templates, one stylesheet,
// and the typed data of each page. It is below the edges, so that any of them can show
// a page or an error without knowing another edge.
//
// It owns what pages look like, in which language they are and how they are escaped. It
// does not own what happens on them: of a request it reads Accept and Accept-Language,
// and it reads no store.
//
// A page is written whole or not at all, and carries a policy under which a browser
// runs no script, or one of our two files on the pages that can't do without: passkey.js where
// a passkey is asked for, and carry.js where a form goes on by itself. Whatever a
// person managed to type stays text.
package page

import (
	"net/http"
	"strings"

	"github.com/orgate/orgate/internal/text"
)

// The fields named Hidden are sent back as they are, save for characters that change
// the direction of text, which no page of ours has.
//
// The fields named Action are where the form of the page is posted. The fields named
// Fault are what is wrong with what was typed, shown beside the field; zero: nothing is.
//
// The fields named FormAction list where else, beside our own host, the form of the page
// may lead, as URLs; what counts is scheme and host. A browser holds the whole chain of
// redirects that follows a POST against this list (Chromium does), other people's
// redirects too. So prefer to answer a POST that leads elsewhere with [Leaving], which
// ends the chain. The one entry that is not a URL is "https:", for any host at all.

// Organizations is the picker: the organizations that a person can enter.
type Organizations struct {
	Brand Brand
	Email string
	// Entries in the order to show them.
	Entries    []OrganizationEntry
	SignOut    string // action of the form that signs out here
	SignOutAll string // action of the form that signs out everywhere
	Account    string // link to the account page; may be empty
	// Invitations is a link to the invitations that wait; empty: none do.
	Invitations string
	Hidden      map[string]string // carried along by the forms
	FormAction  []string
}

// An OrganizationEntry is a row of the picker.
type OrganizationEntry struct {
	Name, Host, URL string
	Role            string
	Current         bool         // the one that the person came from
	Note            text.Message // such as "Asks you to sign in with Acme Okta"; may be zero
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
	Brand      Brand
	Email      string
	Action     string
	Hidden     map[string]string
	Stay       string // link for whoever would rather not; may be empty
	FormAction []string
}

// Continue asks for a click before something that was interrupted goes on.
type Continue struct {
	Brand       Brand
	Title, Text text.Message
	Action      string
	Hidden      map[string]string
	Button      text.Message // "Continue" if zero
	FormAction  []string
}

// Confirm asks before something that can't be undone.
type Confirm struct {
	Brand       Brand
	Title, Text text.Message
	Action      string
	Hidden      map[string]string
	Button      text.Message // what it does, such as "Remove the passkey"; "Continue" if zero
	Danger      bool         // something is lost
	Back        string       // link for whoever would rather not; may be empty
}

// Leaving sends the browser on to a page of somebody else's, such as the identity
// provider's. It is the answer to a POST where a redirect would do for a GET: the
// policy of the page that held the form does not reach beyond it.
type Leaving struct {
	Brand Brand
	To    string // an http or https URL
	Name  string // what is there, such as "Acme Okta"; its host if empty
}

// Carrying has the browser post a message to a page of somebody else's, as some identity
// providers want it (saml-bindings-2.0-os, 3.5). It does so by itself where scripts run, and by
// a click where they don't.
type Carrying struct {
	Brand  Brand
	Action string            // an http or https URL
	Hidden map[string]string // the message
	Name   string            // what is there, such as "Acme ADFS"
}

// Notice says something that is no error, such as that a mail is on its way.
type Notice struct {
	Brand             Brand
	Title, Text, Hint text.Message
	ActionURL         string       // a link; may be empty
	ActionText        text.Message // "Continue" if zero
}

// The Render methods write the whole page, in the language that r asks for, or, if the
// template fails, nothing but an error. A client that went away is no error: there is
// nobody to tell.

// Render writes the page.
func (p Organizations) Render(w http.ResponseWriter, r *http.Request, status int) error {
	return organizations.render(w, r, status, p, needs{brand: p.Brand, formAction: p.FormAction})
}

// Render writes the page.
func (p SignedOut) Render(w http.ResponseWriter, r *http.Request, status int) error {
	return signedOut.render(w, r, status, p, needs{brand: p.Brand})
}

// Render writes the page.
func (p SignOut) Render(w http.ResponseWriter, r *http.Request, status int) error {
	return signOut.render(w, r, status, p, needs{brand: p.Brand, formAction: p.FormAction})
}

// Render writes the page. An Action on another host needs no entry in FormAction.
func (p Continue) Render(w http.ResponseWriter, r *http.Request, status int) error {
	allowed := p.FormAction
	if o, err := origin(p.Action); err == nil {
		allowed = append([]string{o}, allowed...)
	}
	return proceed.render(w, r, status, p, needs{brand: p.Brand, formAction: allowed})
}

// Render writes the page.
func (p Confirm) Render(w http.ResponseWriter, r *http.Request, status int) error {
	return confirm.render(w, r, status, p, needs{brand: p.Brand})
}

// Render writes the page. What a provider answers the form with may redirect, to places that
// nobody here knows: any host will do that is asked by https.
func (p Carrying) Render(w http.ResponseWriter, r *http.Request, status int) error {
	return carrying.render(w, r, status, p, needs{brand: p.Brand, formAction: []string{p.Action, "https:"}, script: true})
}

// Render writes the page.
func (p Leaving) Render(w http.ResponseWriter, r *http.Request, status int) error {
	o, err := origin(p.To)
	if err != nil {
		return err
	}
	if p.Name == "" {
		_, p.Name, _ = strings.Cut(o, "://")
	}
	return leaving.render(w, r, status, p, needs{brand: p.Brand})
}

// Render writes the page.
func (p Notice) Render(w http.ResponseWriter, r *http.Request, status int) error {
	return notice.render(w, r, status, p, needs{brand: p.Brand})
}
