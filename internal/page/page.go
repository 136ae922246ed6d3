// Package page renders every page that a person sees: templates, one stylesheet,
// and the typed data of each page. It is below the edges, so that any of them can show
// a page or an error without knowing another edge.
//
// It owns what pages look like and how they are escaped. It does not own what happens on
// them: it reads no request but its Accept header, and no store.
//
// A page is written whole or not at all, needs no JavaScript, and carries a policy under
// which a browser would run none: whatever a person managed to type stays text.
package page

import (
	"net/http"
	"strings"
)

// Brand is whose page it is. The zero Brand is the installation's own.
type Brand struct {
	// Organization is its name; empty on pages that are no organization's.
	Organization string
}

// The fields named Hidden are sent back as they are, save for characters that change
// the direction of text, which no page of ours has.
//
// The fields named FormAction list where else, beside our own host, the form of the page
// may lead, as URLs; what counts is scheme and host. A browser holds the whole chain of
// redirects that follows a POST against this list (Chromium does), other people's
// redirects too. So prefer to answer a POST that leads elsewhere with [Leaving], which
// ends the chain. The one entry that is not a URL is "https:", for any host at all.

// SignIn asks for the e-mail address, which is posted as "email".
type SignIn struct {
	Brand      Brand
	Action     string            // where the form is posted
	Hidden     map[string]string // carried along
	Email      string            // as typed, when something is wrong with it
	Fault      string            // shown beside the field; empty: nothing is wrong
	FormAction []string
}

// Choose offers the identity providers that would do, when there are several.
type Choose struct {
	Brand      Brand
	Action     string
	Hidden     map[string]string
	Email      string
	Reason     string // why this is asked (again), in words; may be empty
	Choices    []Choice
	Change     string // link to use another address; may be empty
	FormAction []string
}

// A Choice is one button: Name and Value of the field it submits, and its Label.
type Choice struct{ Name, Value, Label string }

// Organizations is the picker: the organizations that a person can enter.
type Organizations struct {
	Email string
	// Entries in the order to show them.
	Entries    []OrganizationEntry
	SignOut    string            // action of the form that signs out here
	SignOutAll string            // action of the form that signs out everywhere
	Account    string            // link to the account page; may be empty
	Hidden     map[string]string // carried along by the forms
	FormAction []string
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
	Revoke      string // action of the forms that end one session, with its id as "session"
	SignOutAll  string
	Picker      string
	Hidden      map[string]string // carried along by the forms
	FormAction  []string
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
	Brand      Brand
	Email      string
	Action     string
	Hidden     map[string]string
	Stay       string // link for whoever would rather not; may be empty
	FormAction []string
}

// Continue asks for a click before something that was interrupted goes on.
type Continue struct {
	Brand               Brand
	Title, Text, Action string
	Hidden              map[string]string
	Button              string // "Continue" if empty
	FormAction          []string
}

// Leaving sends the browser on to a page of somebody else's, such as the identity
// provider's. It is the answer to a POST where a redirect would do for a GET: the
// policy of the page that held the form does not reach beyond it.
type Leaving struct {
	Brand Brand
	To    string // an http or https URL
	Name  string // what is there, such as "Acme Okta"; its host if empty
}

// Notice says something that is no error, such as that a mail is on its way.
type Notice struct {
	Brand                 Brand
	Title, Text, Hint     string
	ActionURL, ActionText string // a link; may be empty
}

// The Render methods write the whole page or, if the template fails, nothing but an
// error. A client that went away is no error: there is nobody to tell.

// Render writes the page.
func (p SignIn) Render(w http.ResponseWriter, status int) error {
	return signIn.render(w, status, p, p.FormAction...)
}

// Render writes the page.
func (p Choose) Render(w http.ResponseWriter, status int) error {
	return choose.render(w, status, p, p.FormAction...)
}

// Render writes the page.
func (p Organizations) Render(w http.ResponseWriter, status int) error {
	return organizations.render(w, status, p, p.FormAction...)
}

// Render writes the page.
func (p Account) Render(w http.ResponseWriter, status int) error {
	return account.render(w, status, p, p.FormAction...)
}

// Render writes the page.
func (p SignedOut) Render(w http.ResponseWriter, status int) error {
	return signedOut.render(w, status, p)
}

// Render writes the page.
func (p SignOut) Render(w http.ResponseWriter, status int) error {
	return signOut.render(w, status, p, p.FormAction...)
}

// Render writes the page. An Action on another host needs no entry in FormAction.
func (p Continue) Render(w http.ResponseWriter, status int) error {
	allowed := p.FormAction
	if o, err := origin(p.Action); err == nil {
		allowed = append([]string{o}, allowed...)
	}
	return proceed.render(w, status, p, allowed...)
}

// Render writes the page.
func (p Leaving) Render(w http.ResponseWriter, status int) error {
	o, err := origin(p.To)
	if err != nil {
		return err
	}
	if p.Name == "" {
		_, p.Name, _ = strings.Cut(o, "://")
	}
	return leaving.render(w, status, p)
}

// Render writes the page.
func (p Notice) Render(w http.ResponseWriter, status int) error {
	return notice.render(w, status, p)
}
