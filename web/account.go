package web

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/page"
	"github.com/orgate/orgate/internal/signedin"
	"github.com/orgate/orgate/internal/text"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// maxSessions is how many sessions the page shows, the latest used first.
const maxSessions = 50

var errNoGuard = errors.New("account: no guard stood before it")

// account is GET /account.
func (s *Server) account(w http.ResponseWriter, r *http.Request) error {
	who, ok := signedin.From(r.Context())
	if !ok {
		return errNoGuard
	}
	return s.show(w, r, who, text.Message{}, http.StatusOK)
}

// show shows the account of the person of who.
func (s *Server) show(w http.ResponseWriter, r *http.Request, who session.Session, nameFault text.Message, status int) error {
	var p page.Account
	err := s.store.View(r.Context(), func(tx store.Tx) error {
		u, err := tx.User(who.User)
		if err != nil {
			return err
		}
		p = page.Account{
			Name: u.Name, Email: u.Email, Picker: s.base + "/organizations", NameFault: nameFault,
			Revoke: s.base + "/account/sessions/revoke", SignOutAll: s.base + "/sign-out?everywhere=1",
		}
		if p.Sessions, err = s.sessions(tx, who); err != nil {
			return err
		}
		if who.ConfinedTo != "" {
			// One organization's word changes nothing that is good elsewhere.
			p.SignOutAll = ""
			return nil
		}
		p.NameAction = s.base + "/account/name"
		for _, fill := range []func(store.Tx, session.Session, *page.Account) error{s.factors, s.organizations, s.identities} {
			if err := fill(tx, who, &p); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return p.Render(w, r, status)
}

// sessions returns the browsers where the person of who is signed in: one row for each
// session of the login host, with the organizations that were entered from it.
func (s *Server) sessions(tx store.Tx, who session.Session) ([]page.AccountSession, error) {
	now := s.now()
	var parents []session.Session
	entered := map[session.ID][]tenancy.OrgID{}
	for x, err := range tx.SessionsOf(who.User) {
		if err != nil {
			return nil, err
		}
		switch {
		case x.Alive(s.limits, now) != nil:
		case x.Parent != "":
			if x.Organization != "" && !slices.Contains(entered[x.Parent], x.Organization) {
				entered[x.Parent] = append(entered[x.Parent], x.Organization)
			}
		case mayEnd(who, x):
			parents = append(parents, x)
		}
	}
	slices.SortFunc(parents, func(a, b session.Session) int {
		if a.ID == who.ID || b.ID == who.ID {
			return cmp.Compare(rank(a.ID == who.ID), rank(b.ID == who.ID))
		}
		return b.SeenAt.Compare(a.SeenAt)
	})
	var rows []page.AccountSession
	for _, x := range parents[:min(len(parents), maxSessions)] {
		names, err := organizationNames(tx, entered[x.ID])
		if err != nil {
			return nil, err
		}
		rows = append(rows, page.AccountSession{
			ID: string(x.ID), Browser: describeBrowser(x.UserAgent), Place: x.RemoteIP,
			Since: text.Moment(x.CreatedAt), LastUsed: text.Moment(x.SeenAt), Organizations: names, Current: x.ID == who.ID,
		})
	}
	return rows, nil
}

// mayEnd reports whether the person of who may see and end x, a session of the same user on
// the login host. One organization's word must not end what a person has elsewhere.
func mayEnd(who, x session.Session) bool {
	return x.User == who.User && x.Parent == "" && (who.ConfinedTo == "" || x.ConfinedTo == who.ConfinedTo)
}

func rank(first bool) int {
	if first {
		return 0
	}
	return 1
}

func organizationNames(tx store.Tx, ids []tenancy.OrgID) (string, error) {
	var names []string
	for _, id := range ids {
		org, err := tx.Organization(id)
		if errors.Is(err, tenancy.ErrNotFound) {
			continue
		}
		if err != nil {
			return "", err
		}
		names = append(names, org.Name)
	}
	slices.Sort(names)
	return strings.Join(names, ", "), nil
}

// revoke is POST /account/sessions/revoke: ends one session of the person's own, and what
// was handed over from it. A session that is not theirs is as good as one that is not there.
func (s *Server) revoke(w http.ResponseWriter, r *http.Request) error {
	who, ok := signedin.From(r.Context())
	if !ok {
		return errNoGuard
	}
	form, err := readForm(w, r, "session")
	if err != nil {
		return err
	}
	id := session.ID(form.Get("session"))
	if id == "" || len(id) > 64 {
		http.Redirect(w, r, "/account", http.StatusSeeOther)
		return nil
	}
	err = s.store.Update(r.Context(), func(tx store.Tx) error {
		if err := s.still(tx, who, s.now()); err != nil {
			return err
		}
		x, err := tx.Session(id)
		if errors.Is(err, tenancy.ErrNotFound) || err == nil && !mayEnd(who, x) {
			return nil
		}
		if err != nil {
			return err
		}
		return session.End(tx, x.ID, audit.Actor{Type: "user", ID: string(who.User)}, s.now())
	})
	if err != nil {
		return err
	}
	to := "/account"
	if id == who.ID {
		to = "/signed-out"
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}
