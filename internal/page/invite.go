package page

import (
	"net/http"

	"github.com/orgate/orgate/internal/text"
)

// Invitation is what the link in an invitation leads to: who invites whom to what. It is for
// whoever has the link, and shows nothing of who else is there.
type Invitation struct {
	Brand Brand
	// To is the name of the organization or, where there is none, the login host.
	To      string
	Inviter string // may be empty
	Email   string // that was invited
	Until   text.Message
	// As is the address of whoever is signed in, if it is another than Email; Stay is then a link
	// for those who would rather not change that.
	As     string
	Stay   string
	Action string
	Hidden map[string]string
}

// Invitations are those that wait for somebody who has proved their address. The id of the one
// that is accepted is posted as "invitation".
type Invitations struct {
	Brand   Brand
	Email   string
	Entries []InvitationEntry
	Action  string
	Hidden  map[string]string
	Another string // link to use another account; may be empty
}

// An InvitationEntry is a row of [Invitations].
type InvitationEntry struct {
	ID, Name string
	Inviter  string // may be empty
	Until    text.Message
}

// Render writes the page.
func (p Invitation) Render(w http.ResponseWriter, r *http.Request, status int) error {
	return invitation.render(w, r, status, p, needs{brand: p.Brand})
}

// Render writes the page.
func (p Invitations) Render(w http.ResponseWriter, r *http.Request, status int) error {
	return invitations.render(w, r, status, p, needs{brand: p.Brand})
}
