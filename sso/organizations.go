package sso

import (
	"errors"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/orgate/orgate/internal/page"
	"github.com/orgate/orgate/internal/signedin"
	"github.com/orgate/orgate/internal/text"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/session/client"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// maxEntries is how many organizations the picker shows.
const maxEntries = 100

// organizations is GET /organizations: the picker, and the switcher of whoever comes from
// a tenant host. Going to another organization is a plain link to its tenant host, which
// asks for whatever proof its own policy still misses: nothing is switched here.
func (s *Server) organizations(w http.ResponseWriter, r *http.Request) error {
	who, ok := signedin.From(r.Context())
	if !ok {
		return errors.New("picker: no guard stood before it")
	}
	current, _ := s.organizationAt(r.URL.Query().Get("host"))
	from, err := s.withAuthorization(aim{}, r.URL.Query().Get(paramAuthorization))
	if err != nil {
		return err
	}
	var p page.Organizations
	err = s.store.View(r.Context(), func(tx store.Tx) error {
		p = page.Organizations{SignOut: s.url(pathSignOut), SignOutAll: s.url(pathSignOut) + "?everywhere=1", Account: s.url(pathAccount)}
		u, err := tx.User(who.User)
		if err != nil {
			return err
		}
		p.Email = u.Email
		if who.ConfinedTo != "" {
			p.SignOutAll, p.Account = "", ""
		}
		if waiting, err := s.waiting(tx, who, s.now()); err != nil {
			return err
		} else if len(waiting) > 0 {
			p.Invitations = s.url(pathInvitations)
		}
		for m, err := range tx.Memberships(who.User) {
			if err != nil {
				return err
			}
			if m.Status != policy.Active || who.ConfinedTo != "" && who.ConfinedTo != m.Organization {
				continue
			}
			e, ok, err := s.entry(tx, m.Organization, who, from.App)
			if err != nil {
				return err
			}
			if ok {
				e.Current = m.Organization == current
				p.Entries = append(p.Entries, e)
			}
			if len(p.Entries) == maxEntries {
				break
			}
		}
		return nil
	})
	if err != nil {
		return unavailable(err)
	}
	slices.SortFunc(p.Entries, func(a, b page.OrganizationEntry) int {
		return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name))
	})
	return p.Render(w, r, http.StatusOK)
}

// entry returns a row of the picker; ok is false for what can't be entered by anybody.
func (s *Server) entry(tx store.Tx, org tenancy.OrgID, who session.Session, app *client.Authorization) (e page.OrganizationEntry, ok bool, err error) {
	v, d, err := s.judge(tx, org, who, "", 0, s.now())
	if err != nil || !v.Facts.OrganizationActive {
		return e, false, err
	}
	home := s.tenants.Home(org)
	u, err := url.Parse(home)
	if home == "" && app == nil || err != nil {
		return e, false, nil //nolint:nilerr // an organization without an address is not shown
	}
	e = page.OrganizationEntry{Name: v.Organization.Name, Host: u.Host, URL: home}
	if app != nil {
		req := *app
		req.Organization = org
		e.URL = s.at(pathSignIn, aim{App: &req}, "")
	}
	if len(v.Roles) > 0 {
		e.Role = v.Roles[0]
	}
	switch d.Verdict {
	case policy.Allow:
	case policy.Prove:
		e.Note = text.T("Asks you to sign in again")
		if d.Connection != "" {
			c, err := tx.Connection(tenancy.OrgID(d.Organization), tenancy.ConnectionID(d.Connection))
			if err != nil && !errors.Is(err, tenancy.ErrNotFound) {
				return e, false, err
			}
			if c.Name != "" {
				e.Note = text.T("Asks you to sign in with %s", c.Name)
			}
		}
	case policy.SecondFactor, policy.Enroll:
		e.Note = text.T("Asks for a second factor")
	default:
		e.Note = text.T("Asks for a proof that can't be given here")
	}
	return e, true, nil
}

// within are the organizations that the person of the session is an active member of, and that it is good for. What is
// suspended is not among them.
func within(tx store.Tx, who session.Session) iter.Seq2[tenancy.Organization, error] {
	return func(yield func(tenancy.Organization, error) bool) {
		for m, err := range tx.Memberships(who.User) {
			if err == nil && (m.Status != policy.Active || who.ConfinedTo != "" && who.ConfinedTo != m.Organization) {
				continue
			}
			var org tenancy.Organization
			if err == nil {
				org, err = tx.Organization(m.Organization)
			}
			if errors.Is(err, tenancy.ErrNotFound) || err == nil && org.Suspended {
				continue
			}
			if !yield(org, err) || err != nil {
				return
			}
		}
	}
}
