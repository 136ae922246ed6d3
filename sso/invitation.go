package sso

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/orgate/orgate/internal/endpoint"
	"github.com/orgate/orgate/internal/page"
	"github.com/orgate/orgate/internal/signedin"
	"github.com/orgate/orgate/internal/text"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

const (
	paramInvitation   = "invitation"
	fieldAnother      = "another"
	invitationPurpose = "invitation"
	// clickLife is how long somebody may take to prove what is asked for before they have to click
	// again.
	clickLife = time.Hour
)

// A click is that somebody wants to accept an invitation.
type click struct {
	Invitation tenancy.InvitationID `json:"invitation"`
	ExpiresAt  time.Time            `json:"expires_at"`
}

// clicked returns the aim of accepting an invitation. It goes from page to page sealed for the
// browser in which the person has clicked: a link that somebody else has made accepts nothing, and
// the token of the invitation is in no address but the one that was mailed.
func (s *Server) clicked(d device, a aim, i tenancy.Invitation) (aim, error) {
	plain, err := json.Marshal(click{i.ID, s.now().Add(clickLife)})
	if err != nil {
		return aim{}, err
	}
	a.Clicked = base64.RawURLEncoding.EncodeToString(s.box.Seal(invitationPurpose, d.Token, plain))
	if a.Organization != i.Organization {
		a.Request = session.SignInRequest{} // it leads to the home of the one that is joined
	}
	if a.App != nil {
		req := *a.App
		req.Organization = i.Organization
		a.App = &req
	}
	a.Invitation, a.Organization, a.Request.LoginHint = i.ID, i.Organization, i.Email
	return a, nil
}

// withInvitation completes an aim that says that an invitation was accepted.
func (s *Server) withInvitation(r *http.Request, a aim) (aim, error) {
	if a.Clicked == "" {
		return a, nil
	}
	c, ok := s.openClick(r, a.Clicked)
	if !ok {
		e := s.tooOld()
		e.Hint = text.T("Open the link in the invitation once more.")
		return aim{}, e
	}
	return a, s.viewInvitation(r.Context(), func(tx store.Tx) error {
		i, err := tx.Invitation(c.Invitation)
		if err != nil {
			return err
		}
		if a.Organization != "" && a.Organization != i.Organization {
			return badRequest(errors.New("invitation of another organization"))
		}
		a.Invitation, a.Organization, a.Request.LoginHint = i.ID, i.Organization, i.Email
		return nil
	})
}

func (s *Server) openClick(r *http.Request, value string) (c click, ok bool) {
	d, ok := s.device(r)
	if !ok || len(value) > maxStep {
		return click{}, false
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(value)
	if err != nil {
		return click{}, false
	}
	plain, err := s.box.Open(invitationPurpose, d.Token, sealed)
	if err != nil || json.Unmarshal(plain, &c) != nil || !s.now().Before(c.ExpiresAt) {
		return click{}, false
	}
	return c, true
}

// viewInvitation runs f in a view, and turns what it finds wrong with an invitation into the page
// for that.
func (s *Server) viewInvitation(ctx context.Context, f func(tx store.Tx) error) error {
	err := s.store.View(ctx, f)
	if notGood(err) {
		s.count("invitation_over")
		return s.invitationOver(err)
	}
	return unavailable(err)
}

// notGood reports whether err says that an invitation can't be accepted by anybody.
func notGood(err error) bool {
	return errors.Is(err, tenancy.ErrNotFound) || errors.Is(err, tenancy.ErrInviteNotPending) || errors.Is(err, tenancy.ErrInviterGone)
}

// An offer is an invitation as its page shows it.
type offer struct {
	tenancy.Invitation
	organization tenancy.Organization
	inviter      string
}

// offeredBy reads the invitation of the token in the path.
func (s *Server) offeredBy(r *http.Request) (o offer, err error) {
	token, ok := tenancy.ParseInvitationToken(r.PathValue("token"))
	if !ok {
		s.count("invitation_over")
		return offer{}, s.invitationOver(errors.New("no token of ours"))
	}
	err = s.viewInvitation(r.Context(), func(tx store.Tx) error {
		i, err := tenancy.LookUpInvitation(tx, token, s.now())
		if err != nil {
			return err
		}
		o, err = offerOf(tx, i)
		return err
	})
	return o, err
}

func offerOf(tx store.Tx, i tenancy.Invitation) (o offer, err error) {
	o.Invitation = i
	if i.Organization != "" {
		if o.organization, err = tx.Organization(i.Organization); err != nil {
			return offer{}, err
		}
	}
	if i.Inviter == "" {
		return o, nil
	}
	u, err := tx.User(i.Inviter)
	if errors.Is(err, tenancy.ErrNotFound) {
		return o, nil
	}
	if o.inviter = u.Name; o.inviter == "" {
		o.inviter = u.Email
	}
	return o, err
}

// invitation is GET /invitations/{token}. It shows, and uses nothing up: programs that read mail
// open links.
func (s *Server) invitation(w http.ResponseWriter, r *http.Request) error {
	o, err := s.offeredBy(r)
	if err != nil {
		return err
	}
	as, _, err := s.addressOf(r)
	if err != nil {
		return err
	}
	return s.showInvitation(w, r, o, as)
}

// addressOf returns the address of whoever is signed in; empty: nobody is.
func (s *Server) addressOf(r *http.Request) (email string, who session.Session, err error) {
	err = s.store.View(r.Context(), func(tx store.Tx) error {
		var live bool
		var err error
		email = ""
		if who, live, err = s.liveIn(tx, r); err != nil || !live {
			return err
		}
		u, err := tx.User(who.User)
		email = u.Email
		return err
	})
	return email, who, unavailable(err)
}

func (s *Server) showInvitation(w http.ResponseWriter, r *http.Request, o offer, as string) error {
	s.count("invitation_shown")
	p := page.Invitation{
		Brand: s.brand(o.organization), To: o.organization.Name, Inviter: o.inviter, Email: o.Email, Until: text.Moment(o.ExpiresAt),
		Action: s.url(pathInvitations + "/" + r.PathValue("token")),
	}
	if v := r.URL.Query().Get(paramAuthorization); v != "" {
		p.Action += "?" + url.Values{paramAuthorization: {v}}.Encode()
	}
	if o.Organization == "" {
		p.To = s.publicURL.Host
	}
	if as != "" && as != o.Email {
		p.As, p.Stay, p.Hidden = as, s.url(pathOrganizations), map[string]string{fieldAnother: "1"}
	}
	return p.Render(w, r, http.StatusOK)
}

// acceptInvitation is POST /invitations/{token}: the click. It is accepted at once if the person
// has proved all that the organization asks for, and in the transaction of the last proof
// otherwise.
func (s *Server) acceptInvitation(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(w, r, fieldAnother)
	if err != nil {
		return err
	}
	o, err := s.offeredBy(r)
	if err != nil {
		return err
	}
	as, who, err := s.addressOf(r)
	if err != nil {
		return err
	}
	a, err := s.withAuthorization(aim{}, r.URL.Query().Get(paramAuthorization))
	if err != nil {
		return err
	}
	switch {
	case as == "" || as == o.Email:
	case form.Get(fieldAnother) == "1":
		who, a.Another = session.Session{}, true
	default:
		return s.showInvitation(w, r, o, as) // they have signed in as somebody else since
	}
	return s.accepting(w, r, a, who, o.Invitation)
}

func (s *Server) accepting(w http.ResponseWriter, r *http.Request, a aim, who session.Session, i tenancy.Invitation) error {
	d, err := s.ensureDevice(w, r)
	if err != nil {
		return err
	}
	r = d.in(r)
	if a, err = s.clicked(d, a, i); err != nil {
		return err
	}
	t, err := s.turn(r.Context(), a, who, i.Email)
	if err != nil {
		return err
	}
	return s.follow(w, r, a, t)
}

// waiting are the invitations that a person can accept without the link in the mail, because they
// have proved that they read it: this session has the proof of the address, or the address is on
// nobody's domain, who could have given it to somebody else.
func (s *Server) waiting(tx store.Tx, who session.Session, now time.Time) ([]page.InvitationEntry, error) {
	v, _, err := s.judge(tx, "", who, "", 0, now)
	if err != nil || who.ID == "" || v.Facts.ConfinedTo != "" || !v.AddressProved && v.DomainOrganization != "" {
		return nil, err
	}
	open, err := tenancy.OpenInvitations(tx, v.User, now)
	if err != nil {
		return nil, err
	}
	var entries []page.InvitationEntry
	for _, i := range open[:min(len(open), maxEntries)] {
		o, err := offerOf(tx, i)
		if err != nil {
			return nil, err
		}
		entries = append(entries, page.InvitationEntry{ID: string(i.ID), Name: o.organization.Name, Inviter: o.inviter, Until: text.Moment(i.ExpiresAt)})
	}
	return entries, nil
}

// invitations is GET /invitations: those of whoever is signed in.
func (s *Server) invitations(w http.ResponseWriter, r *http.Request) error {
	who, ok := signedin.From(r.Context())
	if !ok {
		return errors.New("invitations: no guard stood before it")
	}
	var u tenancy.User
	var entries []page.InvitationEntry
	err := s.store.View(r.Context(), func(tx store.Tx) (err error) {
		if u, err = tx.User(who.User); err != nil {
			return err
		}
		entries, err = s.waiting(tx, who, s.now())
		return err
	})
	if err != nil {
		return unavailable(err)
	}
	return s.showInvitations(w, r, aim{}, tenancy.Organization{}, u.Email, entries, http.StatusOK)
}

func (s *Server) showInvitations(w http.ResponseWriter, r *http.Request, a aim, org tenancy.Organization, email string, entries []page.InvitationEntry, status int) error {
	if a.Invitation, a.Clicked = "", ""; a.Request.Host == "" && a.App == nil {
		a.Organization = ""
	}
	p := page.Invitations{Email: email, Entries: entries, Action: s.at(pathInvitations, a, ""), Another: s.again(a, true)}
	if org.ID != "" {
		p.Brand = s.brand(org)
	}
	return p.Render(w, r, status)
}

// acceptListed is POST /invitations: a click on one of those that wait.
func (s *Server) acceptListed(w http.ResponseWriter, r *http.Request) error {
	a, err := s.aimOf(r)
	if err != nil {
		return err
	}
	form, err := readForm(w, r, paramInvitation)
	if err != nil {
		return err
	}
	who, live, err := s.current(r)
	if err != nil {
		return err
	}
	if !live {
		a.Invitation, a.Clicked = "", ""
		http.Redirect(w, r, s.at(pathSignIn, a, ""), http.StatusSeeOther)
		return nil
	}
	var i tenancy.Invitation
	err = s.viewInvitation(r.Context(), func(tx store.Tx) error {
		entries, err := s.waiting(tx, who, s.now())
		if err != nil {
			return err
		}
		for _, e := range entries {
			if e.ID == form.Get(paramInvitation) {
				i, err = tx.Invitation(tenancy.InvitationID(e.ID))
				return err
			}
		}
		return tenancy.ErrNotFound // as good as one that is not there
	})
	if err != nil {
		return err
	}
	a.Another = false
	return s.accepting(w, r, a, who, i)
}

// nextInvited is next for somebody who has clicked to accept an invitation. It asks for what the
// policies of the organization ask for, and for a proof of the address; when there is all of it, and
// the address is the one that was invited, it accepts.
func (s *Server) nextInvited(tx store.Tx, a aim, who session.Session, email string, now time.Time) (turn, error) {
	i, err := tx.Invitation(a.Invitation)
	if err != nil && !errors.Is(err, tenancy.ErrNotFound) {
		return turn{}, err
	}
	if err == nil && who.ID != "" {
		u, err := tx.User(who.User)
		if err != nil {
			return turn{}, err
		}
		if u.Email != i.Email {
			return refusedTurn(s.notInvited(a, u.Email, tenancy.ErrNotInvited)), nil
		}
		if i.AcceptedUser == u.ID {
			// Just now, such as by the provider's word in this transaction; or by a click before.
			return s.welcome(tx, a, who, now)
		}
	}
	if err == nil {
		err = tenancy.CheckInvitation(tx, i, now)
	}
	if notGood(err) {
		return refusedTurn(s.invitationOver(err)), nil
	}
	if err != nil {
		return turn{}, err
	}

	v, d, err := s.judge(tx, i.Organization, who, email, a.fresh(now), now)
	if err != nil {
		return turn{}, err
	}
	org, proved := v.Organization, who.ID != "" && v.User.EmailVerified && v.Facts.ConfinedTo == ""
	waits := d.Reason == policy.InvitationOpen || d.Verdict == policy.Allow && i.Organization == ""
	if !proved && (waits || d.Methods == policy.MethodsOf(policy.SSO) && d.Organization != string(v.DomainOrganization)) {
		// An organization's provider does not prove the address of a guest, and its word is good
		// there alone: the address first, as everybody proves it who comes to the login host.
		waits = false
		if v, d, err = s.judge(tx, "", who, email, a.fresh(now), now); err != nil {
			return turn{}, err
		}
		if d.Verdict == policy.Allow {
			return refusedTurn(s.notInvited(a, i.Email, tenancy.ErrNotInvited)), nil
		}
	}
	if i.Organization != "" && (d.Verdict == policy.Allow || d.Verdict == policy.Join) {
		return s.welcome(tx, a, who, now) // there is nothing to accept
	}
	if !waits {
		t, err := s.turnOf(tx, a, who, v, d, email, now)
		t.Organization, t.Waiting = org, nil
		return t, err
	}
	_, _, err = tenancy.AcceptInvitation(tx, s.rules, i.ID, who.User, now)
	switch {
	case errors.Is(err, tenancy.ErrSingleWorkspace):
		// An answer, and no reason to undo the proof of this transaction. So are the others.
		return refusedTurn(s.singleWorkspace(a, org, err)), nil
	case errors.Is(err, tenancy.ErrNotInvited):
		return refusedTurn(s.notInvited(a, v.User.Email, err)), nil
	case notGood(err), errors.Is(err, tenancy.ErrDeactivated):
		return refusedTurn(s.invitationOver(err)), nil
	case err != nil:
		return turn{}, err
	}
	return s.welcome(tx, a, who, now)
}

// welcome leads on who has accepted: back to the tenant host that asked, or to the organization's
// home.
func (s *Server) welcome(tx store.Tx, a aim, who session.Session, now time.Time) (turn, error) {
	org := a.Organization
	a.Invitation, a.Clicked = "", ""
	if org != "" && a.App != nil {
		return s.next(tx, a, who, "", now)
	}
	if org != "" && a.Request.Host == "" {
		a.Organization = ""
		if home := s.tenants.Home(org); home != "" {
			return turn{To: home, Outcome: "accepted"}, nil
		}
	}
	t, err := s.next(tx, a, who, "", now)
	if err == nil && org == "" && t.Refused != nil && t.Refused.Code == "no_organization" && len(t.Waiting) == 0 {
		return turn{To: s.url(pathAccount), Outcome: "accepted"}, nil
	}
	return t, err
}

func refusedTurn(e *endpoint.Error) turn { return turn{Refused: e, Outcome: e.Code} }

// invitationOver is the page for every link that is no good, whatever the reason: whoever has found
// one must not learn anything from it, and whom it was for learns what to do.
func (s *Server) invitationOver(cause error) *endpoint.Error {
	return &endpoint.Error{
		Status: http.StatusNotFound, Code: "invitation_over", Title: text.T("This invitation can't be used"),
		Text: text.T("It was used or taken back, it is too old, a newer one was sent, or the link is not complete."),
		Hint: text.T("If you have accepted it before, sign in. If not, ask whoever invited you for a new one."), ActionURL: s.url(pathSignIn), ActionText: text.T("Sign in"), Err: cause,
	}
}

// notInvited is the page for somebody who has proved an address that is not the invited one.
func (s *Server) notInvited(a aim, email string, cause error) *endpoint.Error {
	return &endpoint.Error{
		Status: http.StatusForbidden, Code: "not_invited", Title: text.T("This invitation is for another address"),
		Text: text.T("You are signed in as %s.", email), Hint: text.T("Use the account with the address that the invitation was sent to."),
		ActionURL: s.again(a, true), ActionText: text.T("Use another account"), Err: cause,
	}
}
