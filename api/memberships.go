package api

import (
	"cmp"
	"errors"
	"iter"
	"net/http"
	"slices"

	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// A membershipObject is a membership with its user.
type membershipObject struct {
	tenancy.MembershipObject
	OrganizationName string             `json:"organization_name"`
	UserObject       tenancy.UserObject `json:"user"`
}

func (c *call) showMembership(tx store.Tx, m tenancy.Membership) (membershipObject, error) {
	o, err := tx.Organization(m.Organization)
	if err != nil {
		return membershipObject{}, err
	}
	u, err := tx.User(m.User)
	if c.key.Organization != "" && m.Status == policy.Pending { // see call.user
		u = tenancy.User{ID: u.ID, Email: u.Email, CreatedAt: m.CreatedAt, UpdatedAt: m.UpdatedAt}
	}
	return membershipObject{tenancy.ShowMembership(m), o.Name, tenancy.ShowUser(u)}, err
}

// membership returns the membership of the id in the path, if it is there for the key.
func (c *call) membership(tx store.Tx) (tenancy.Membership, error) {
	return c.membershipByID(tx, cmp.Or(c.r.PathValue("id"), c.r.PathValue("omId"), c.r.PathValue("organization_membership_id")))
}

func (c *call) membershipByID(tx store.Tx, id string) (tenancy.Membership, error) {
	m, err := tx.MembershipByID(tenancy.MembershipID(id))
	if err == nil {
		_, err = c.organization(tx, m.Organization)
	}
	if errors.Is(err, tenancy.ErrNotFound) || isNotFound(err) {
		return tenancy.Membership{}, notFound("Organization membership", id)
	}
	return m, err
}

func (a *API) listMemberships(c *call) error {
	q := c.query()
	p := q.page("om", descending)
	user, byUser := q.text("user_id")
	org, byOrg := q.text("organization_id")
	statuses := q.texts("statuses")
	if len(statuses) == 0 {
		statuses = []string{"active"}
	}
	for _, s := range statuses {
		if s != "active" && s != "inactive" && s != "pending" {
			q.fault("invalid", "statuses", "statuses must be of active, inactive, pending")
			break
		}
	}
	if err := q.done(); err != nil {
		return err
	}
	if !byUser && !byOrg {
		return badRequest("missing_user_id_or_organization_id", "One of user_id and organization_id is required.")
	}
	var e envelope[membershipObject]
	return c.viewed(&e, func(tx store.Tx) (err error) {
		s := source[tenancy.Membership]{
			id: func(m tenancy.Membership) string { return string(m.ID) },
			keep: func(m tenancy.Membership) (bool, error) {
				if !slices.Contains(statuses, m.Status.String()) || byUser && string(m.User) != user {
					return false, nil
				}
				_, err := c.organization(tx, m.Organization)
				if isNotFound(err) {
					return false, nil
				}
				return err == nil, err
			},
		}
		if byOrg {
			if _, err := c.organization(tx, tenancy.OrgID(org)); err != nil {
				return err
			}
		}
		if byUser {
			if _, err := c.user(tx, tenancy.UserID(user)); err != nil {
				return err
			}
		}
		switch {
		case byOrg && byUser:
			s.from = func(at tenancy.Place) iter.Seq2[tenancy.Membership, error] {
				m, err := tx.Membership(tenancy.OrgID(org), tenancy.UserID(user))
				if err != nil && !errors.Is(err, tenancy.ErrNotFound) {
					return func(yield func(tenancy.Membership, error) bool) { yield(m, err) }
				}
				return oneOf(tx.MembershipByID, m.ID)(at)
			}
		case byOrg:
			s.from = func(at tenancy.Place) iter.Seq2[tenancy.Membership, error] {
				return tx.MembershipsIn(tenancy.OrgID(org), at)
			}
		default:
			s.from = func(at tenancy.Place) iter.Seq2[tenancy.Membership, error] {
				return tx.MembershipsOf(tenancy.UserID(user), at)
			}
		}
		e, err = listPage(p, s, func(m tenancy.Membership) (membershipObject, error) { return c.showMembership(tx, m) })
		return err
	})
}

// grant reads the roles of a membership. Without any it is the zero Grant.
func grant(b body) tenancy.Grant {
	one, several := b.text("role_slug"), b.texts("role_slugs")
	switch {
	case one != nil && several != nil:
		b.fault("invalid", "role_slugs", "can't be given with role_slug")
	case several != nil && len(several) == 0:
		b.fault("required", "role_slugs", "must not be empty")
	case one != nil && *one == "":
		b.fault("required", "role_slug", "must not be empty")
	case one != nil:
		return tenancy.Grant{Roles: []string{*one}}
	}
	var roles []string
	for _, r := range several {
		if !slices.Contains(roles, r) {
			roles = append(roles, r)
		}
	}
	return tenancy.Grant{Roles: roles}
}

// membershipError says what went wrong with a membership, in the words of the reference.
func membershipError(err error, pending string) error {
	switch {
	case errors.Is(err, tenancy.ErrState):
		return &Error{Status: http.StatusBadRequest, Code: pending, Message: "The membership is pending: an invitation is open.", Err: err}
	case errors.Is(err, tenancy.ErrTaken):
		return &Error{Status: http.StatusConflict, Code: "organization_membership_already_exists", Message: "The user is an active member of the organization already.", Err: err}
	case errors.Is(err, tenancy.ErrNoRole):
		return &Error{Status: http.StatusUnprocessableEntity, Code: "invalid_role", Message: "There is no such role in this organization.", Err: err}
	}
	return err
}

const (
	pendingReactivate = "cannot_reactivate_pending_organization_membership"
	pendingDeactivate = "cannot_deactivate_pending_organization_membership"
)

func (a *API) createMembership(c *call) error {
	b, err := c.body()
	if err != nil {
		return err
	}
	user, org, g := b.required("user_id"), b.required("organization_id"), grant(b)
	if err := errors.Join(c.noQuery(), b.done()); err != nil {
		return err
	}
	return c.post(http.StatusCreated, func(tx store.Tx) (any, error) {
		o, err := c.organization(tx, tenancy.OrgID(org))
		if err != nil {
			return nil, err
		}
		if _, err := c.user(tx, tenancy.UserID(user)); err != nil {
			return nil, err
		}
		m, err := tenancy.CreateMembership(tx, a.Rules(), o.ID, tenancy.UserID(user), g, c.by, c.now)
		if err != nil {
			return nil, membershipError(err, pendingReactivate)
		}
		return c.showMembership(tx, m)
	})
}

func (a *API) getMembership(c *call) error {
	if err := c.noQuery(); err != nil {
		return err
	}
	var shown membershipObject
	return c.viewed(&shown, func(tx store.Tx) error {
		m, err := c.membership(tx)
		if err == nil {
			shown, err = c.showMembership(tx, m)
		}
		return err
	})
}

// changeMembership does f to the membership of the path, and answers with what became of it.
func (c *call) changeMembership(f func(store.Tx, tenancy.Membership) error) error {
	if err := c.noQuery(); err != nil {
		return err
	}
	var shown membershipObject
	return c.changed(&shown, func(tx store.Tx) error {
		m, err := c.membership(tx)
		if err != nil {
			return err
		}
		if err := c.mayEndAdmin(tx, []tenancy.Membership{m}, func() error { return f(tx, m) }); err != nil {
			return err
		}
		if m, err = tx.Membership(m.Organization, m.User); err != nil {
			return err
		}
		shown, err = c.showMembership(tx, m)
		return err
	})
}

func (a *API) updateMembership(c *call) error {
	b, err := c.body()
	if err != nil {
		return err
	}
	g := grant(b)
	if err := b.done(); err != nil {
		return err
	}
	return c.changeMembership(func(tx store.Tx, m tenancy.Membership) error {
		if len(g.Roles) == 0 {
			return nil
		}
		if err := directoryOwns(m); err != nil {
			return err
		}
		_, err := tenancy.SetRoles(tx, a.Rules(), m.Organization, m.User, g, c.by, c.now)
		return membershipError(err, pendingReactivate)
	})
}

func (a *API) deactivateMembership(c *call) error {
	return c.changeMembership(func(tx store.Tx, m tenancy.Membership) error {
		return membershipError(session.Deactivate(tx, m.Organization, m.User, c.by, c.now), pendingDeactivate)
	})
}

func (a *API) reactivateMembership(c *call) error {
	return c.changeMembership(func(tx store.Tx, m tenancy.Membership) error {
		return membershipError(tenancy.ReactivateMembership(tx, a.Rules(), m.Organization, m.User, c.by, c.now), pendingReactivate)
	})
}

func (a *API) deleteMembership(c *call) error {
	if err := c.noQuery(); err != nil {
		return err
	}
	err := c.update(func(tx store.Tx) error {
		m, err := c.membership(tx)
		if err != nil {
			return err
		}
		return c.mayEndAdmin(tx, []tenancy.Membership{m}, func() error { return session.Remove(tx, m.Organization, m.User, c.by, c.now) })
	})
	if err != nil {
		return err
	}
	return c.nothing(http.StatusOK)
}
