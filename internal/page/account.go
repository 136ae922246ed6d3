package page

import (
	"net/http"

	"github.com/orgate/orgate/internal/text"
)

// Account shows the person, what they sign in with, and where. A section whose data is
// nil or empty is not there.
type Account struct {
	Brand       Brand
	Notice      text.Message      // what was just done; may be zero
	Picker      string            // link to the organizations; may be empty
	Hidden      map[string]string // carried along by the forms
	FormAction  []string
	Name, Email string
	NameAction  string // action of the form that posts "name"; empty: it can't be changed
	NameFault   text.Message
	EmailAction string // link to change the address; may be empty

	Password       *AccountPassword
	PasswordAction string // link to set or change it

	Passkeys      []AccountPasskey
	AddPasskey    string // link; empty: none can be added
	RenamePasskey string // action of the forms that post "passkey", an id, and "name"
	RemovePasskey string // action of the forms that post "passkey"

	TOTP    *AccountTOTP
	TOTPOn  string // link to set it up
	TOTPOff string // action of the form that ends it

	Recovery *AccountRecovery

	Sessions   []AccountSession
	Revoke     string // action of the forms that end one session, with its id as "session"
	SignOutAll string // action of the form that ends all; may be empty

	Organizations     []AccountOrganization
	LeaveOrganization string // action of the forms that post "organization", an id

	Identities     []AccountIdentity
	UnlinkIdentity string // action of the forms that post "identity", an id
	// Linkable are the providers of which an account can be linked; the field of the one that
	// was chosen is posted to LinkIdentity.
	Linkable     []Choice
	LinkIdentity string
}

// AccountPassword says whether the person has a password.
type AccountPassword struct{ Set bool }

// An AccountPasskey is one passkey of the person.
type AccountPasskey struct {
	ID, Name        string
	Added, LastUsed text.Message
}

// AccountTOTP says whether an authenticator app is set up.
type AccountTOTP struct {
	On    bool
	Since text.Message
}

// AccountRecovery says how many recovery codes are left.
type AccountRecovery struct {
	Left  int
	Renew string // action of the form that makes new ones; empty: it can't be done now
}

// An AccountSession is one browser where the person is signed in.
type AccountSession struct {
	ID              string
	Browser         text.Message
	Place           string
	Since, LastUsed text.Message
	Organizations   string
	Current         bool
}

// An AccountOrganization is one organization that the person is a member of.
type AccountOrganization struct {
	ID, Name, Role, URL string
	Leave               bool // the person may leave it
}

// An AccountIdentity is the person at one identity provider.
type AccountIdentity struct {
	Label           string // what the provider is called
	Email           string // as the provider knows them
	Since, LastUsed text.Message
	Unlink          string // the id that is posted to unlink it; empty: that is not for them to do
}

// ChangeEmail asks for the address to have from now on, which is posted as "email".
type ChangeEmail struct {
	Brand  Brand
	Action string
	Hidden map[string]string
	Email  string // as typed, when something is wrong with it
	Fault  text.Message
	Back   string // link for whoever would rather not; may be empty
}

// Render writes the page.
func (p Account) Render(w http.ResponseWriter, r *http.Request, status int) error {
	return account.render(w, r, status, p, needs{brand: p.Brand, formAction: p.FormAction})
}

// Render writes the page.
func (p ChangeEmail) Render(w http.ResponseWriter, r *http.Request, status int) error {
	return changeEmail.render(w, r, status, p, needs{brand: p.Brand})
}
