package sso

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/orgate/orgate/internal/endpoint"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// A turn is what comes next in a sign-in. Refused, To, AskEmail and Ask are looked at in
// this order; the first that is set is what happens.
type turn struct {
	Refused *endpoint.Error
	// To is where the browser goes: the sign-in is over.
	To string
	// AskEmail: only the person's address can tell what to ask for.
	AskEmail bool
	// Ask are the connections that would do, one at least.
	Ask []tenancy.Connection
	// MaxAge is how fresh the proof must be; 0: it need not.
	MaxAge time.Duration

	Outcome      string
	Organization tenancy.Organization
	Email        string // of whoever is signed in, else as they say
	// Open: the person's address, once known, may name another provider, or there are
	// other ways than a provider.
	Open bool
}

// next asks the policy what comes next for who (its zero value: nobody is signed in yet),
// and does what can be done at once: make a membership, hand over. It writes nothing for a
// stranger.
func (s *Server) next(tx store.Tx, a aim, who session.Session, email string, now time.Time) (turn, error) {
	v, d, err := s.judge(tx, a.Organization, who, email, now)
	if err != nil {
		return turn{}, err
	}
	if d.Verdict == policy.Join {
		_, _, err := tenancy.Join(tx, s.rules, a.Organization, who.User, now)
		if errors.Is(err, tenancy.ErrSingleWorkspace) {
			// An answer, and no reason to undo the proof of this transaction.
			e := s.singleWorkspace(a, v.Organization, err)
			return turn{Refused: e, Outcome: e.Code}, nil
		}
		if err != nil {
			return turn{}, err
		}
		if v, d, err = s.judge(tx, a.Organization, who, email, now); err != nil {
			return turn{}, err
		}
	}

	t := turn{Organization: v.Organization, Email: email, MaxAge: d.MaxAge}
	if v.User.ID != "" {
		t.Email = v.User.Email
	}
	switch d.Verdict {
	case policy.Allow:
		if a.Organization == "" {
			return s.arrive(tx, a, who, t)
		}
		return s.handOver(tx, a, who, t, now)
	case policy.Prove:
		if err := s.askable(tx, a, who, v, d, &t); err != nil {
			return turn{}, err
		}
	default:
		switch {
		case d.Reason == policy.Suspended:
			t.Refused = unknownHost()
		case who.ID == "":
			t.Refused = s.noWay(a, v.Organization)
		case a.Organization == "" && who.ConfinedTo != "":
			return s.arrive(tx, a, who, t)
		default:
			t.Refused = s.refused(a, d, v.Organization, t.Email)
			t.Refused.Err = fmt.Errorf("policy: %v, reason %d of source %d", d.Verdict, d.Reason, d.Source)
		}
		t.Outcome = t.Refused.Code
	}
	return t, nil
}

// judge gathers the facts and decides.
func (s *Server) judge(tx store.Tx, org tenancy.OrgID, who session.Session, email string, now time.Time) (session.View, policy.Decision, error) {
	q := session.Query{Organization: org, Session: who, Offered: s.offered, Now: now}
	if who.ID == "" {
		q.Email = email
	}
	v, err := session.Gather(tx, q)
	if err != nil {
		return session.View{}, policy.Decision{}, err
	}
	return v, policy.Decide(&v.Facts), nil
}

// askable fills in by which connections the missing proof can be had.
func (s *Server) askable(tx store.Tx, a aim, who session.Session, v session.View, d policy.Decision, t *turn) error {
	if d.Methods.Has(policy.SSO) && d.Organization != "" {
		conns, err := connections(tx, tenancy.OrgID(d.Organization), tenancy.ConnectionID(d.Connection))
		if err != nil {
			return err
		}
		t.Ask = conns
	}
	own := v.Facts.Own
	t.Open = d.Methods != policy.MethodsOf(policy.SSO) || own == nil || own.Methods == 0 && own.Connection == ""
	switch {
	case len(t.Ask) > 0:
		t.Outcome = "asked"
	case who.ID == "" && t.Email == "" && d.Methods.Has(policy.SSO) && d.Organization == "":
		t.AskEmail, t.Outcome = true, "asked_email"
	case who.ID == "":
		t.Refused = s.noWay(a, t.Organization)
		t.Outcome = t.Refused.Code
	case a.Organization == "" && who.ConfinedTo != "":
		var err error
		*t, err = s.arrive(tx, a, who, *t)
		return err
	default:
		d.Reason = policy.NoMethod
		t.Refused = s.refused(a, d, t.Organization, t.Email)
		t.Outcome = t.Refused.Code
	}
	return nil
}

// connections returns the active OIDC connections of an organization that is not
// suspended, by name; only the one of id, if that is given.
func connections(tx store.Tx, org tenancy.OrgID, id tenancy.ConnectionID) ([]tenancy.Connection, error) {
	var found []tenancy.Connection
	for c, err := range tx.Connections(org) {
		if err != nil {
			return nil, err
		}
		if (id == "" || c.ID == id) && usable(c) {
			found = append(found, c)
		}
	}
	slices.SortFunc(found, func(x, y tenancy.Connection) int { return strings.Compare(x.Name, y.Name) })
	return found, nil
}

// handOver makes the one-time code with which the tenant host goes on.
func (s *Server) handOver(tx store.Tx, a aim, who session.Session, t turn, now time.Time) (turn, error) {
	code, err := session.IssueHandover(tx, session.Handover{
		Attempt: a.Request.Attempt, Host: a.Request.Host, Organization: a.Organization, Parent: who.ID, ReturnTo: a.Request.ReturnTo,
	}, now)
	if err != nil {
		return turn{}, err
	}
	t.To = s.publicURL.Scheme + "://" + a.Request.Host + pathHandover + "?code=" + code.Reveal()
	t.Outcome = "handed_over"
	return t, nil
}

// arrive ends a sign-in that no tenant host asked for: one organization is gone to, of
// several one is picked, and with none that is said. The tenant host has no attempt yet;
// it begins its own, and is handed over to at once.
func (s *Server) arrive(tx store.Tx, a aim, who session.Session, t turn) (turn, error) {
	t.Refused, t.Ask, t.AskEmail = nil, nil, false
	var homes []string
	for m, err := range tx.Memberships(who.User) {
		if err != nil {
			return turn{}, err
		}
		if m.Status != policy.Active || who.ConfinedTo != "" && who.ConfinedTo != m.Organization {
			continue
		}
		org, err := tx.Organization(m.Organization)
		if errors.Is(err, tenancy.ErrNotFound) || err == nil && org.Suspended {
			continue
		}
		if err != nil {
			return turn{}, err
		}
		if home := s.tenants.Home(org.ID); home != "" {
			homes = append(homes, home)
		}
		if len(homes) > 1 {
			break
		}
	}
	switch len(homes) {
	case 0:
		t.Refused = s.noOrganization(a, t.Email)
		t.Outcome = t.Refused.Code
	case 1:
		t.To, t.Outcome = homes[0], "sent_home"
	default:
		t.To, t.Outcome = s.url(pathOrganizations), "to_picker"
	}
	return t, nil
}
