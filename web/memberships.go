package web

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/orgate/orgate/internal/endpoint"
	"github.com/orgate/orgate/internal/mail"
	"github.com/orgate/orgate/internal/page"
	"github.com/orgate/orgate/internal/signedin"
	"github.com/orgate/orgate/internal/text"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// maxRows is how many organizations and identities the page shows.
const maxRows = 100

// organizations shows where the person is an active member. A membership that was deactivated
// is not there: who could leave it could come back by joining anew.
func (s *Server) organizations(tx store.Tx, who session.Session, p *page.Account) error {
	for m, err := range tx.Memberships(who.User) {
		if err != nil {
			return err
		}
		if m.Status != policy.Active {
			continue
		}
		o, err := tx.Organization(m.Organization)
		if errors.Is(err, tenancy.ErrNotFound) || err == nil && o.Suspended {
			continue
		}
		if err != nil {
			return err
		}
		row := page.AccountOrganization{ID: string(o.ID), Name: o.Name, URL: s.home(o.ID), Leave: m.RoleSource != tenancy.RoleDirectory}
		if len(m.Roles) > 0 {
			row.Role = m.Roles[0]
		}
		if p.Organizations = append(p.Organizations, row); len(p.Organizations) == maxRows {
			break
		}
	}
	slices.SortFunc(p.Organizations, func(a, b page.AccountOrganization) int {
		return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name))
	})
	p.LeaveOrganization = s.base + "/account/organizations/leave"
	return nil
}

// leave is POST /account/organizations/leave: it asks once more, as nobody comes back by
// themselves, and then ends the membership.
func (s *Server) leave(w http.ResponseWriter, r *http.Request) error {
	who, ok := signedin.From(r.Context())
	if !ok {
		return errNoGuard
	}
	if who.ConfinedTo != "" {
		return errConfined()
	}
	form, err := readForm(w, r, "organization")
	if err != nil {
		return err
	}
	id := tenancy.OrgID(form.Get("organization"))
	var name string
	var last bool // nobody else is an administrator
	confirmed := form.Get("confirmed") == "1"
	transact := s.store.View // nobody waits for a question
	if confirmed {
		transact = s.store.Update
	}
	err = transact(r.Context(), func(tx store.Tx) error {
		name, last = "", false
		if err := s.still(tx, who, s.now()); err != nil {
			return err
		}
		m, err := tx.Membership(id, who.User)
		if id == "" || errors.Is(err, tenancy.ErrNotFound) || err == nil && (m.Status != policy.Active || m.RoleSource == tenancy.RoleDirectory) {
			return nil // as good as one that is not there
		}
		if err != nil {
			return err
		}
		if confirmed {
			if err := tenancy.LeaveOrganization(tx, id, who.User, s.now()); err != nil {
				return err
			}
			return session.EndIn(tx, id, who.User, by(who), s.now())
		}
		if last, err = tenancy.IsLastAdmin(tx, m); err != nil {
			return err
		}
		o, err := tx.Organization(id)
		name = o.Name
		return err
	})
	if err != nil {
		return err
	}
	if name == "" {
		http.Redirect(w, r, "/account", http.StatusSeeOther)
		return nil
	}
	what := text.T("You lose your access at once. To come back, you need to be let in again.")
	if last {
		what = text.T("Nobody but you administers this organization. You lose your access at once. To come back, you need to be let in again.")
	}
	return page.Confirm{
		Title: text.T("Leave %s?", name), Text: what, Danger: true,
		Action: s.base + "/account/organizations/leave", Hidden: map[string]string{"organization": string(id), "confirmed": "1"},
		Button: text.T("Leave"), Back: s.base + "/account",
	}.Render(w, r, http.StatusOK)
}

// identities shows as whom identity providers know the person. Those of organizations are
// theirs; those of social providers may be unlinked.
func (s *Server) identities(tx store.Tx, who session.Session, p *page.Account) error {
	var linked []tenancy.ConnectionID
	for i, err := range tx.Identities(who.User) {
		if err != nil {
			return err
		}
		row := page.AccountIdentity{Email: i.Email, Since: text.Moment(i.CreatedAt), LastUsed: text.Moment(i.LastUsedAt)}
		if strings.HasPrefix(string(i.Connection), "social:") {
			row.Label, row.Unlink = s.socialLabel(i.Connection), string(i.Connection)
			linked = append(linked, i.Connection)
		} else {
			o, err := tx.Organization(i.Organization)
			if errors.Is(err, tenancy.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			row.Label = o.Name
		}
		if p.Identities = append(p.Identities, row); len(p.Identities) == maxRows {
			break
		}
	}
	p.UnlinkIdentity, p.LinkIdentity = s.base+"/account/identities/unlink", s.base+"/account/identities/link"
	for _, x := range s.social {
		if !slices.Contains(linked, x.Connection) {
			p.Linkable = append(p.Linkable, page.Choice{Name: "provider", Value: x.Name, Label: x.Label, Kind: "link"})
		}
	}
	return nil
}

// socialLabel is what people call a social provider; one that is not configured any more, or
// was another then, has its name only.
func (s *Server) socialLabel(c tenancy.ConnectionID) string {
	for _, x := range s.social {
		if x.Connection == c {
			return x.Label
		}
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(string(c), "social:"), ".")
	return name
}

// unlink forgets as whom a social provider knows the person.
func (s *Server) unlink(tx store.Tx, who session.Session, field func(string) string, now time.Time) (mail.Composer, error) {
	conn := field("identity")
	if !strings.HasPrefix(conn, "social:") {
		return nil, nil //nolint:nilnil // nothing to do, and nobody to tell
	}
	return nil, tenancy.UnlinkFrom(tx, who.User, tenancy.ConnectionID(conn), by(who), now)
}

// errConfined: the word of one organization's provider changes nothing that is good elsewhere.
func errConfined() error {
	return &endpoint.Error{
		Status: http.StatusForbidden, Code: "confined", Title: text.T("This can't be changed from here"),
		Text: text.T("The way you signed in is good for one organization only."),
	}
}
