package sso

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/orgate/orgate/internal/endpoint"
	"github.com/orgate/orgate/internal/page"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// A turn is what comes next in a sign-in. Refused, To, Second, Create, AskEmail are looked at
// in this order; the first that is set is what happens. Else one of Ask and Local is proved.
type turn struct {
	Refused *endpoint.Error
	// Denied is the decision by which User, who has proved who they are, is refused; nil: it is no such refusal.
	Denied *policy.Decision
	User   tenancy.UserID
	// Waiting are, of somebody who is refused, the invitations that they can accept.
	Waiting []page.InvitationEntry
	// To is where the browser goes: the sign-in is over.
	To string
	// Second are the second factors that would do; with Enroll, the person has none of
	// them yet and sets one up.
	Second policy.Methods
	Enroll bool
	// Create are the first factors of which the person, whose address was proved a moment
	// ago, has none and sets one up.
	Create policy.Methods
	// AskEmail: only the person's address can tell what to ask for.
	AskEmail bool
	// Ask are the connections that would do, and Local the other first proofs.
	Ask   []tenancy.Connection
	Local policy.Methods
	// FirstTime: only what has to be set up before is accepted; whoever has not, proves the
	// address by a code first.
	FirstTime bool
	// MaxAge is how fresh the proof must be; 0: it need not.
	MaxAge time.Duration

	Outcome      string
	Organization tenancy.Organization
	Email        string // of whoever is signed in, else as they say
	// Hint is what the connections that are asked are told of the address: it is none of the
	// business of an organization that does not know the person, and to whose host a link may
	// have brought them.
	Hint string
	// Open: the person's address, once known, may name another provider, or there are
	// other ways than a provider.
	Open bool
}

// next asks the policy what comes next for who (its zero value: nobody is signed in yet),
// and does what can be done at once: make a membership, hand over. It writes nothing for a
// stranger.
func (s *Server) next(tx store.Tx, a aim, who session.Session, email string, now time.Time) (turn, error) {
	if a.Invitation != "" {
		return s.nextInvited(tx, a, who, email, now)
	}
	v, d, err := s.judge(tx, a.Organization, who, email, a.fresh(now), now)
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
		if v, d, err = s.judge(tx, a.Organization, who, email, a.fresh(now), now); err != nil {
			return turn{}, err
		}
	}

	return s.turnOf(tx, a, who, v, d, email, now)
}

// turnOf is what comes next by a decision.
func (s *Server) turnOf(tx store.Tx, a aim, who session.Session, v session.View, d policy.Decision, email string, now time.Time) (turn, error) {
	t := turn{Organization: v.Organization, Email: email, MaxAge: d.MaxAge}
	if v.User.ID != "" {
		t.Email = v.User.Email
	}
	switch d.Verdict {
	case policy.Allow:
		if a.Organization == "" && a.Next != "" {
			t.To, t.Outcome = s.nextURL(a.Next), "sent_on"
			return t, nil
		}
		switch {
		case a.App != nil && a.Organization == "":
			return s.chooseFor(tx, a, who, t, now)
		case a.App != nil:
			return s.authorized(tx, a, who, t, now)
		case a.Organization == "":
			return s.arrive(tx, a, who, t, now)
		}
		return s.handOver(tx, a, who, t, now)
	case policy.Prove:
		if err := s.askable(tx, a, who, v, d, &t, now); err != nil {
			return turn{}, err
		}
	case policy.SecondFactor, policy.Enroll:
		t.Second, t.Enroll, t.Outcome = d.Methods, d.Verdict == policy.Enroll, "asked_second"
	default:
		switch {
		case d.Reason == policy.Suspended:
			t.Refused = unknownHost()
		case who.ID == "":
			t.Refused = s.noWay(a, v.Organization)
		case a.Organization == "" && who.ConfinedTo != "":
			return s.arrive(tx, a, who, t, now)
		default:
			t.Refused = s.refused(a, d, v.Organization, t.Email)
			t.Denied, t.User = &d, who.User
			t.Refused.Err = fmt.Errorf("policy: %v, reason %d of source %d", d.Verdict, d.Reason, d.Source)
			if d.Reason == policy.InvitationOpen {
				var err error
				if t.Waiting, err = s.waiting(tx, who, now); err != nil {
					return turn{}, err
				}
			}
		}
		t.Outcome = t.Refused.Code
	}
	return t, nil
}

// judge gathers the facts and decides.
func (s *Server) judge(tx store.Tx, org tenancy.OrgID, who session.Session, email string, fresh time.Duration, now time.Time) (session.View, policy.Decision, error) {
	q := session.Query{Organization: org, Session: who, Offered: s.offered, Fresh: fresh, Now: now}
	if who.ID == "" {
		q.Email = email
	}
	v, err := session.Gather(tx, q)
	if err != nil {
		return session.View{}, policy.Decision{}, err
	}
	return v, policy.Decide(&v.Facts), nil
}

// askable fills in how the missing proof can be had.
func (s *Server) askable(tx store.Tx, a aim, who session.Session, v session.View, d policy.Decision, t *turn, now time.Time) error {
	if d.Methods.Has(policy.SSO) && d.Organization != "" {
		conns, err := connections(tx, tenancy.OrgID(d.Organization), tenancy.ConnectionID(d.Connection))
		if err != nil {
			return err
		}
		t.Ask = conns
		if who.ID == "" || string(v.DomainOrganization) == d.Organization || string(v.Membership.Organization) == d.Organization {
			t.Hint = t.Email
		}
	}
	t.Local = d.Methods &^ policy.MethodsOf(policy.SSO)
	if len(s.socials(d.MaxAge)) == 0 {
		t.Local &^= policy.MethodsOf(policy.Social)
	}
	s.firstTime(v, d, t)
	own := v.Facts.Own
	t.Open = d.Methods != policy.MethodsOf(policy.SSO) || own == nil || own.Methods == 0 && own.Connection == ""
	switch {
	case t.Second != 0 || t.Create != 0:
	case who.ID == "" && t.Email == "" && t.Local != 0:
		t.AskEmail, t.Outcome = true, "asked_email"
	case len(t.Ask) > 0 || t.Local != 0:
		t.Outcome = "asked"
	case who.ID == "" && t.Email == "" && d.Methods.Has(policy.SSO) && d.Organization == "":
		t.AskEmail, t.Outcome = true, "asked_email"
	case who.ID == "":
		t.Refused = s.noWay(a, t.Organization)
		t.Outcome = t.Refused.Code
	case a.Organization == "" && who.ConfinedTo != "":
		var err error
		*t, err = s.arrive(tx, a, who, *t, now)
		return err
	default:
		d.Reason = policy.NoMethod
		t.Refused = s.refused(a, d, t.Organization, t.Email)
		t.Denied, t.User = &d, who.User
		t.Outcome = t.Refused.Code
	}
	return nil
}

// firstTime finds out whether what is asked for has to be set up first. It may be on the
// strength of a code by mail, if the policies accept nothing but a passkey or a password and
// the person has none that they or the policy of their own domain accept: then there is nothing
// that the mailbox would be a way around.
func (s *Server) firstTime(v session.View, d policy.Decision, t *turn) {
	f := &v.Facts
	made := policy.MethodsOf(policy.Passkey, policy.Password)
	if d.Methods == 0 || d.Methods&^made != 0 || s.mail == nil {
		return
	}
	// What is set up is good wherever the person goes. So their own domain must not have another
	// way for them, which the policy of an organization that they visit leaves out; nor have a
	// provider's, which was switched off, and is no reason to let them in by an easier one.
	home := *f
	home.Organization, home.OrganizationActive, home.Own = "", true, nil
	var ways policy.Methods // at home; none, if the code is enough there
	if h := policy.Decide(&home); h.Verdict == policy.Prove {
		ways = h.Methods
		if f.Domain != nil {
			ways |= f.Domain.Methods & policy.MethodsOf(policy.SSO)
		}
	}
	if !ways.Has(policy.EmailCode) && ways&^made != 0 {
		return
	}
	t.FirstTime = true
	if v.User.ID == "" || f.Enrolled&(d.Methods|ways) != 0 || f.ConfinedTo != "" || !freshly(f, policy.EmailCode) {
		return
	}
	seconds := f.Enrolled & policy.MethodsOf(policy.TOTP, policy.Passkey, policy.RecoveryCode)
	if seconds != 0 && !slices.ContainsFunc(seconds.List(), func(m policy.Method) bool { return freshly(f, m) }) {
		t.Second, t.Outcome = seconds, "asked_second"
		return
	}
	t.Create, t.Outcome = d.Methods, "asked_set_up"
}

// freshly reports whether there is a proof by m that a factor may be set up on.
func freshly(f *policy.Facts, m policy.Method) bool {
	return slices.ContainsFunc(f.Proofs, func(p policy.Proof) bool {
		return p.Method == m && f.Now.Sub(p.At) < policy.EnrollWithin && p.At.Sub(f.Now) < clockSkew
	})
}

// connections returns the active connections of an organization that is not
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
func (s *Server) arrive(tx store.Tx, a aim, who session.Session, t turn, now time.Time) (turn, error) {
	if a.App != nil {
		return s.chooseFor(tx, a, who, t, now)
	}
	t.Refused, t.Ask, t.Local, t.AskEmail = nil, nil, 0, false
	if home := s.tenants.Home(a.Home); a.Home != "" && home != "" {
		// Whether they may enter there is said there.
		t.To, t.Outcome = s.homePath(home, a.Path), "sent_home"
		return t, nil
	}
	var homes []string
	for org, err := range within(tx, who) {
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
		var err error
		if t.Waiting, err = s.waiting(tx, who, now); err != nil {
			return turn{}, err
		}
	case 1:
		t.To, t.Outcome = homes[0], "sent_home"
	default:
		t.To, t.Outcome = s.url(pathOrganizations), "to_picker"
	}
	return t, nil
}
