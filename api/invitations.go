package api

import (
	"errors"
	"iter"
	"math"
	"net/http"
	"regexp"
	"time"

	"github.com/orgate/orgate/internal/invite"
	"github.com/orgate/orgate/internal/text"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// An invitationObject is an invitation as the reference has it. Token and URL are known to whoever has just made them, or
// has asked by the token, and empty elsewhere: a hash is stored.
type invitationObject struct {
	Object       string                  `json:"object"`
	ID           tenancy.InvitationID    `json:"id"`
	Email        string                  `json:"email"`
	State        tenancy.InvitationState `json:"state"`
	AcceptedAt   *time.Time              `json:"accepted_at"`
	RevokedAt    *time.Time              `json:"revoked_at"`
	ExpiresAt    time.Time               `json:"expires_at"`
	Organization *tenancy.OrgID          `json:"organization_id"`
	Inviter      *tenancy.UserID         `json:"inviter_user_id"`
	AcceptedUser *tenancy.UserID         `json:"accepted_user_id"`
	Role         *string                 `json:"role_slug"`
	CreatedAt    time.Time               `json:"created_at"`
	UpdatedAt    time.Time               `json:"updated_at"`
	Token        string                  `json:"token"`
	URL          string                  `json:"accept_invitation_url"`
}

func given[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

// showInvitation shows an invitation without its token.
func (c *call) showInvitation(tx store.Tx, i tenancy.Invitation) (invitationObject, error) {
	o := invitationObject{
		Object: "invitation", ID: i.ID, Email: i.Email, State: i.State(c.now), AcceptedAt: given(i.AcceptedAt), RevokedAt: given(i.RevokedAt), ExpiresAt: i.ExpiresAt,
		Organization: given(i.Organization), Inviter: given(i.Inviter), AcceptedUser: given(i.AcceptedUser), CreatedAt: i.CreatedAt, UpdatedAt: i.UpdatedAt,
	}
	if i.Organization == "" {
		return o, nil
	}
	roles := i.Roles
	m, err := tx.Membership(i.Organization, i.User)
	if err != nil && !errors.Is(err, tenancy.ErrNotFound) {
		return o, err
	}
	if err == nil {
		roles = m.Roles // those that it is about now
	}
	if len(roles) > 0 {
		o.Role = &roles[0]
	}
	return o, nil
}

// showWithToken shows an invitation to whoever has the token.
func (c *call) showWithToken(tx store.Tx, i tenancy.Invitation, t tenancy.InvitationToken) (invitationObject, error) {
	o, err := c.showInvitation(tx, i)
	o.Token, o.URL = t.Reveal(), invite.Link(c.api.PublicURL(), t)
	return o, err
}

// seesInvitation reports whether the invitation is there for the key. Those to the app are not one organization's.
func (c *call) seesInvitation(tx store.Tx, i tenancy.Invitation) (bool, error) {
	if i.Organization == "" {
		return c.key.Organization == "", nil
	}
	_, err := c.organization(tx, i.Organization)
	if isNotFound(err) {
		return false, nil
	}
	return err == nil, err
}

// invitation returns the invitation of the id in the path, if it is there for the key.
func (c *call) invitation(tx store.Tx) (tenancy.Invitation, error) {
	id := c.r.PathValue("id")
	i, err := tx.Invitation(tenancy.InvitationID(id))
	ok := false
	if err == nil {
		ok, err = c.seesInvitation(tx, i)
	}
	if errors.Is(err, tenancy.ErrNotFound) || err == nil && !ok {
		return tenancy.Invitation{}, notFound("Invitation", id)
	}
	return i, err
}

func (a *API) listInvitations(c *call) error {
	q := c.query()
	p := q.page("invitation", descending)
	email, byEmail := q.text("email")
	asked, isAsked := q.text("organization_id")
	if err := q.done(); err != nil {
		return err
	}
	org, byOrg := c.narrowed(asked, isAsked)
	var e envelope[invitationObject]
	return c.viewed(&e, func(tx store.Tx) (err error) {
		s := source[tenancy.Invitation]{
			from: tx.InvitationsFrom,
			id:   func(i tenancy.Invitation) string { return string(i.ID) },
			keep: func(i tenancy.Invitation) (bool, error) {
				if byOrg && i.Organization != org {
					return false, nil
				}
				return c.seesInvitation(tx, i)
			},
		}
		switch {
		case byEmail:
			address, err := tenancy.ParseEmail(email)
			if err != nil {
				address = "" // nobody's
			}
			s.from = func(at tenancy.Place) iter.Seq2[tenancy.Invitation, error] { return tx.InvitationsAt(address, at) }
		case byOrg:
			s.from = func(at tenancy.Place) iter.Seq2[tenancy.Invitation, error] {
				return tx.InvitationsIn(org, at)
			}
		}
		e, err = listPage(p, s, func(i tenancy.Invitation) (invitationObject, error) { return c.showInvitation(tx, i) })
		return err
	})
}

// language is of a tag as the reference has them; [text.Negotiate] reads more.
var language = regexp.MustCompile(`^[a-z]{2,3}(-[A-Z0-9]{2,3})?$`)

// locale reads the language of a mail.
func locale(b body) text.Locale {
	s := b.text("locale")
	if s == nil {
		return text.English
	}
	if !language.MatchString(*s) {
		b.fault("invalid", "locale", "must be a locale such as de or en-GB")
	}
	return text.Negotiate(*s)
}

// invitationError says what went wrong with an invitation to org, in the words of the reference.
func invitationError(err error, org tenancy.OrgID) error {
	refused := func(code, message string) error {
		return &Error{Status: http.StatusBadRequest, Code: code, Message: message, Err: err}
	}
	if wait, ok := errors.AsType[*invite.WaitError](err); ok {
		return tooMany(int(math.Ceil(wait.Wait.Seconds())))
	}
	switch {
	case errors.Is(err, tenancy.ErrInvited) && org != "":
		return refused("email_already_invited_to_organization", "The address has an open invitation to the organization.")
	case errors.Is(err, tenancy.ErrInvited):
		return refused("email_already_invited", "The address has an open invitation.")
	case errors.Is(err, tenancy.ErrAlreadyMember), errors.Is(err, tenancy.ErrDeactivated):
		return refused("user_already_organization_member", "The user is a member of the organization, or was deactivated there.")
	case errors.Is(err, tenancy.ErrUserExists):
		return refused("user_already_exists", "The address has an account.")
	case errors.Is(err, tenancy.ErrNoRole):
		return refused("invalid_role", "There is no such role in this organization.")
	case errors.Is(err, tenancy.ErrExpiresTooSoon):
		return refused("expires_in_days_too_short", "An invitation is open for one day at the least.")
	case errors.Is(err, tenancy.ErrExpiresTooLate):
		return refused("expires_in_days_too_long", "An invitation is open for 30 days at the most.")
	}
	return err
}

// mayInvite returns an error if nobody is invited to the organization.
func (c *call) mayInvite(tx store.Tx, org tenancy.OrgID) error {
	o, err := c.organization(tx, org)
	if err == nil && o.Suspended {
		return badRequest("organization_blocked_from_sending_invites", "The organization is suspended.")
	}
	return err
}

func (a *API) createInvitation(c *call) error {
	b, err := c.body()
	if err != nil {
		return err
	}
	n := tenancy.NewInvitation{Email: b.required("email"), ExpiresInDays: b.whole("expires_in_days")}
	if n.Email != "" {
		if _, err := tenancy.ParseEmail(n.Email); err != nil {
			b.fault("invalid", "email", "must be an e-mail address")
		}
	}
	if s := b.text("organization_id"); s != nil {
		n.Organization = tenancy.OrgID(*s)
	}
	if s := b.text("role_slug"); s != nil {
		n.Roles = []string{*s}
	}
	if s := b.text("inviter_user_id"); s != nil {
		n.Inviter = tenancy.UserID(*s)
	}
	l := locale(b)
	if err := errors.Join(c.noQuery(), b.done()); err != nil {
		return err
	}
	if n.Organization == "" {
		if err := c.everywhere(); err != nil {
			return err
		}
	}
	return c.postSecret(http.StatusCreated, func(tx store.Tx) (any, error) {
		if n.Organization != "" {
			if err := c.mayInvite(tx, n.Organization); err != nil {
				return nil, err
			}
		}
		if n.Inviter != "" {
			if _, err := c.user(tx, n.Inviter); err != nil {
				return nil, err
			}
		}
		i, token, err := tenancy.Invite(tx, a.Rules(), n, c.by, c.now)
		if err != nil {
			return nil, invitationError(err, n.Organization)
		}
		return c.sendInvitation(tx, i, token, l)
	})
}

// sendInvitation mails the link, where mails can be sent, and shows it.
func (c *call) sendInvitation(tx store.Tx, i tenancy.Invitation, t tenancy.InvitationToken, l text.Locale) (any, error) {
	if m := c.api.Mail(); m != nil {
		if err := invite.Send(tx, m, c.api.PublicURL(), i, t, l, c.now); err != nil {
			return nil, invitationError(err, i.Organization)
		}
	}
	return c.showWithToken(tx, i, t)
}

func (a *API) getInvitation(c *call) error {
	return c.readInvitation(func(tx store.Tx) (invitationObject, error) {
		i, err := c.invitation(tx)
		if err != nil {
			return invitationObject{}, err
		}
		return c.showInvitation(tx, i)
	})
}

// getInvitationByToken finds what can be accepted, or has expired: what is settled has no token any more.
func (a *API) getInvitationByToken(c *call) error {
	return c.readInvitation(func(tx store.Tx) (invitationObject, error) {
		t, _ := tenancy.ParseInvitationToken(c.r.PathValue("token"))
		i, err := tx.InvitationByToken(t.Hash())
		ok := false
		if err == nil {
			ok, err = c.seesInvitation(tx, i)
		}
		if errors.Is(err, tenancy.ErrNotFound) || err == nil && !ok {
			return invitationObject{}, &Error{Status: http.StatusNotFound, Code: "entity_not_found", Message: "There is no invitation with this token."}
		}
		if err != nil {
			return invitationObject{}, err
		}
		return c.showWithToken(tx, i, t)
	})
}

func (c *call) readInvitation(get func(store.Tx) (invitationObject, error)) error {
	if err := c.noQuery(); err != nil {
		return err
	}
	var shown invitationObject
	return c.viewed(&shown, func(tx store.Tx) (err error) {
		shown, err = get(tx)
		return err
	})
}

// noBody returns an error if the body has fields, of which the operation has none.
func (c *call) noBody() error {
	b, err := c.body()
	if err != nil {
		return err
	}
	return errors.Join(c.noQuery(), b.done())
}

// acceptInvitation accepts for the user who has the address that was invited and has proved it, if there is one. It is
// for a key for everything: it speaks for a person, who is not the organization's yet.
func (a *API) acceptInvitation(c *call) error {
	if err := c.noBody(); err != nil {
		return err
	}
	return c.post(http.StatusOK, func(tx store.Tx) (any, error) {
		i, err := c.invitation(tx)
		if err != nil {
			return nil, err
		}
		if err := c.everywhere(); err != nil {
			return nil, err
		}
		var user tenancy.User
		if i.State(c.now) == tenancy.InvitationPending {
			if user, err = tx.UserByEmail(i.Email); err != nil && !errors.Is(err, tenancy.ErrNotFound) {
				return nil, err
			}
		}
		i, _, err = tenancy.AcceptInvitationFor(tx, a.Rules(), i.ID, user.ID, c.by, c.now)
		switch {
		case errors.Is(err, tenancy.ErrInviteNotPending):
			return nil, &Error{Status: http.StatusBadRequest, Code: "invite_not_pending", Message: "The invitation was accepted or revoked, or has expired.", Err: err}
		case errors.Is(err, tenancy.ErrNotInvited), errors.Is(err, tenancy.ErrNotFound):
			return nil, &Error{Status: http.StatusBadRequest, Code: "invalid_invite", Message: "It can be accepted when a user has proved the address that was invited, and the organization is open.", Err: err}
		case errors.Is(err, tenancy.ErrInviterGone), errors.Is(err, tenancy.ErrDeactivated):
			return nil, &Error{Status: http.StatusBadRequest, Code: "invalid_invite", Message: "The inviter may not invite any more, or the user was deactivated.", Err: err}
		case err != nil:
			return nil, err
		}
		return c.showInvitation(tx, i)
	})
}

func (a *API) resendInvitation(c *call) error {
	b, err := c.body()
	if err != nil {
		return err
	}
	l := locale(b)
	if err := errors.Join(c.noQuery(), b.done()); err != nil {
		return err
	}
	return c.postSecret(http.StatusOK, func(tx store.Tx) (any, error) {
		i, err := c.invitation(tx)
		if err != nil {
			return nil, err
		}
		if i.Organization != "" {
			if err := c.mayInvite(tx, i.Organization); err != nil {
				return nil, err
			}
		}
		i, token, err := tenancy.ResendInvitation(tx, i.ID, c.by, c.now)
		refused := func(code, message string) error {
			return &Error{Status: http.StatusBadRequest, Code: code, Message: message, Err: err}
		}
		switch {
		case errors.Is(err, tenancy.ErrInviteExpired):
			return nil, refused("invite_expired", "The invitation has expired.")
		case errors.Is(err, tenancy.ErrInviteRevoked):
			return nil, refused("invite_revoked", "The invitation was revoked.")
		case errors.Is(err, tenancy.ErrInviteAccepted):
			return nil, refused("invite_accepted", "The invitation was accepted.")
		case err != nil:
			return nil, err
		}
		return c.sendInvitation(tx, i, token, l)
	})
}

func (a *API) revokeInvitation(c *call) error {
	if err := c.noBody(); err != nil {
		return err
	}
	return c.post(http.StatusOK, func(tx store.Tx) (any, error) {
		i, err := c.invitation(tx)
		if err != nil {
			return nil, err
		}
		i, err = tenancy.RevokeInvitation(tx, i.ID, c.by, c.now)
		if errors.Is(err, tenancy.ErrInviteNotPending) {
			return nil, &Error{Status: http.StatusBadRequest, Code: "invite_not_pending", Message: "The invitation was accepted or revoked, or has expired.", Err: err}
		}
		if err != nil {
			return nil, err
		}
		return c.showInvitation(tx, i)
	})
}
