package api

import (
	"cmp"
	"errors"
	"iter"
	"net/http"
	"strings"

	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// user returns the user, if they are there for the key: one for an organization knows its members,
// and those who were. Whom it has but invited it does not know: it could invite anybody to learn who they are.
func (c *call) user(tx store.Tx, id tenancy.UserID) (tenancy.User, error) {
	if ok, err := c.seesUser(tx, id); err != nil || !ok {
		return tenancy.User{}, errors.Join(err, notFound("User", string(id)))
	}
	u, err := tx.User(id)
	if errors.Is(err, tenancy.ErrNotFound) {
		err = notFound("User", string(id))
	}
	return u, err
}

func (c *call) seesUser(tx store.Tx, id tenancy.UserID) (bool, error) {
	if c.key.Organization == "" {
		return true, nil
	}
	m, err := tx.Membership(c.key.Organization, id)
	if errors.Is(err, tenancy.ErrNotFound) {
		return false, nil
	}
	return err == nil && m.Status != policy.Pending, err
}

// wholeUser is [call.user] for what changes a user everywhere: a key for one organization may not, as its members
// may be members of others, where their address says who they are.
func (c *call) wholeUser(tx store.Tx, id tenancy.UserID) (tenancy.User, error) {
	u, err := c.user(tx, id)
	if err != nil {
		return u, err
	}
	return u, c.everywhere()
}

func (a *API) listUsers(c *call) error {
	q := c.query()
	p := q.page("user", descending)
	email, byEmail := q.text("email")
	asked, isAsked := q.text("organization_id")
	if other, ok := q.text("organization"); ok { // its old name
		if isAsked {
			q.fault("invalid", "organization", "can't be given with organization_id")
		}
		asked, isAsked = other, true
	}
	if err := q.done(); err != nil {
		return err
	}
	org, byOrg := c.narrowed(asked, isAsked)
	var e envelope[tenancy.UserObject]
	return c.viewed(&e, func(tx store.Tx) (err error) {
		s := source[tenancy.User]{from: tx.UsersFrom, id: func(u tenancy.User) string { return string(u.ID) }}
		isMember := func(u tenancy.User) (bool, error) {
			_, err := tx.Membership(org, u.ID)
			if errors.Is(err, tenancy.ErrNotFound) {
				return false, nil
			}
			return err == nil, err
		}
		if byOrg {
			if _, err := c.organization(tx, org); isNotFound(err) {
				s.from = func(tenancy.Place) iter.Seq2[tenancy.User, error] { return func(func(tenancy.User, error) bool) {} }
				byEmail = false
			} else if err != nil {
				return err
			} else {
				s.from = membersOf(tx, org)
			}
		}
		if byEmail {
			address, err := tenancy.ParseEmail(email)
			if err != nil {
				address = "" // nobody's
			}
			u, err := tx.UserByEmail(address)
			if err != nil && !errors.Is(err, tenancy.ErrNotFound) {
				return err
			}
			s.from = oneOf(tx.User, u.ID)
			if byOrg {
				s.keep = isMember
			}
		}
		if c.key.Organization != "" {
			s.keep = func(u tenancy.User) (bool, error) { return c.seesUser(tx, u.ID) }
		}
		e, err = listPage(p, s, func(u tenancy.User) (tenancy.UserObject, error) { return tenancy.ShowUser(u), nil })
		return err
	})
}

// membersOf are the users who are in the organization, by their ids.
func membersOf(tx store.Tx, org tenancy.OrgID) func(tenancy.Place) iter.Seq2[tenancy.User, error] {
	return func(at tenancy.Place) iter.Seq2[tenancy.User, error] {
		return func(yield func(tenancy.User, error) bool) {
			for m, err := range tx.MembersFrom(org, at) {
				var u tenancy.User
				if err == nil {
					u, err = tx.User(m.User)
				}
				if !yield(u, err) || err != nil {
					return
				}
			}
		}
	}
}

func (c *call) showUser(get func(store.Tx) (tenancy.User, error)) error {
	if err := c.noQuery(); err != nil {
		return err
	}
	var shown tenancy.UserObject
	return c.viewed(&shown, func(tx store.Tx) error {
		u, err := get(tx)
		shown = tenancy.ShowUser(u)
		return err
	})
}

func (a *API) getUser(c *call) error {
	return c.showUser(func(tx store.Tx) (tenancy.User, error) { return c.user(tx, tenancy.UserID(c.r.PathValue("id"))) })
}

func (a *API) getUserByExternalID(c *call) error {
	id := c.r.PathValue("external_id")
	return c.showUser(func(tx store.Tx) (tenancy.User, error) {
		u, err := tx.UserByExternalID(id)
		if errors.Is(err, tenancy.ErrNotFound) {
			return u, notFound("User", id)
		}
		if err == nil {
			if _, err = c.user(tx, u.ID); isNotFound(err) {
				err = notFound("User", id)
			}
		}
		return u, err
	})
}

// userEdit reads the fields of a user.
func userEdit(b body) tenancy.UserEdit {
	e := tenancy.UserEdit{
		FirstName: b.clearable("first_name"), LastName: b.clearable("last_name"), Name: b.clearable("name"), ExternalID: b.clearable("external_id"),
		EmailVerified: b.flag("email_verified"),
	}
	e.Metadata, e.ClearMetadata = b.metadata()
	for name, s := range map[string]*string{"first_name": e.FirstName, "last_name": e.LastName, "name": e.Name} {
		if s != nil && len(*s) > maxName {
			b.fault("invalid", name, "must have no more than 256 bytes")
		}
	}
	return e
}

func checkEmail(b body, email string) {
	if _, err := tenancy.ParseEmail(email); err != nil && email != "" {
		b.fault("invalid", "email", "must be an e-mail address")
	}
}

func (a *API) createUser(c *call) error {
	if err := errors.Join(c.noQuery(), c.everywhere()); err != nil {
		return err
	}
	b, err := c.body()
	if err != nil {
		return err
	}
	email := b.required("email")
	checkEmail(b, email)
	e := userEdit(b)
	password, err := passwordIn(b)
	b.ignored("ip_address", "user_agent", "signals_id") // hints for what looks for bots
	if err := cmp.Or(b.done(), err); err != nil {
		return err
	}
	u := tenancy.User{Email: email, Metadata: tenancy.Metadata(nil).Merge(e.Metadata), EmailVerified: e.EmailVerified != nil && *e.EmailVerified}
	for _, x := range []struct{ to, from *string }{{&u.FirstName, e.FirstName}, {&u.LastName, e.LastName}, {&u.Name, e.Name}, {&u.ExternalID, e.ExternalID}} {
		if x.from != nil {
			*x.to = *x.from
		}
	}
	hash, err := c.kept(password, u)
	if err != nil {
		return err
	}
	return c.post(http.StatusCreated, func(tx store.Tx) (any, error) {
		made, err := tenancy.NewUser(tx, u, c.by, c.now)
		if err == nil && hash != "" {
			err = factor.SetPassword(tx, made.ID, hash, c.by, c.now)
		}
		return tenancy.ShowUser(made), emailTaken(err)
	})
}

func emailTaken(err error) error {
	if errors.Is(err, tenancy.ErrTaken) && !errors.Is(err, tenancy.ErrExternalIDTaken) {
		return &Error{
			Status: http.StatusBadRequest, Code: "user_creation_error", Message: "Could not create or change the user.", Err: err,
			Faults: []Fault{{"email_not_available", "email", "This email is not available."}},
		}
	}
	return err
}

func (a *API) updateUser(c *call) error {
	if err := c.noQuery(); err != nil {
		return err
	}
	b, err := c.body()
	if err != nil {
		return err
	}
	email, locale := b.text("email"), b.clearable("locale")
	e := userEdit(b)
	password, both := passwordIn(b)
	if e.Email, e.Locale = email, locale; email != nil {
		checkEmail(b, *email)
		if *email == "" {
			b.fault("required", "email", "must not be empty")
		}
	}
	if err := cmp.Or(b.done(), both); err != nil {
		return err
	}
	id := tenancy.UserID(c.r.PathValue("id"))
	var known tenancy.User
	err = c.view(func(tx store.Tx) (err error) {
		known, err = c.wholeUser(tx, id) // before anything is hashed for it
		return err
	})
	if err != nil {
		return err
	}
	hash, err := c.kept(password, known)
	if err != nil {
		return err
	}
	var shown tenancy.UserObject
	return c.changed(&shown, func(tx store.Tx) error {
		if _, err := c.wholeUser(tx, id); err != nil {
			return err
		}
		u, err := factor.EditUser(tx, id, e, c.by, c.now)
		if errors.Is(err, tenancy.ErrLocale) {
			return invalid(Fault{"invalid", "locale", "locale must be a language tag, such as de-CH"})
		}
		if err != nil {
			return emailTaken(err)
		}
		if hash != "" {
			if err := factor.SetPassword(tx, id, hash, c.by, c.now); err != nil {
				return err
			}
			// What was proved was proved by another password.
			if err := session.EndAll(tx, id, "", c.by, c.now); err != nil {
				return err
			}
		}
		shown = tenancy.ShowUser(u)
		return nil
	})
}

func (a *API) deleteUser(c *call) error {
	if err := c.noQuery(); err != nil {
		return err
	}
	id := tenancy.UserID(c.r.PathValue("id"))
	err := c.update(func(tx store.Tx) error {
		if _, err := c.wholeUser(tx, id); err != nil {
			return err
		}
		if err := errors.Join(factor.Wipe(tx, id, c.by, c.now), factor.EndAppCodes(tx, id)); err != nil {
			return err
		}
		var members []tenancy.Membership
		for m, err := range tx.Memberships(id) {
			if err != nil {
				return err
			}
			members = append(members, m)
		}
		return c.mayEndAdmin(tx, members, func() error { return session.RemoveUser(tx, id, c.by, c.now) })
	})
	if err != nil {
		return err
	}
	return c.nothing(http.StatusOK)
}

// An identityObject is an identity at a social provider: of those at an organization's, which the API knows as
// its connections, the reference lists none here.
type identityObject struct {
	Subject  string `json:"idp_id"`
	Type     string `json:"type"`
	Provider string `json:"provider"`
}

func (a *API) listIdentities(c *call) error {
	if err := c.noQuery(); err != nil {
		return err
	}
	id := tenancy.UserID(c.r.PathValue("id"))
	identities := []identityObject{}
	return c.viewed(&identities, func(tx store.Tx) error {
		identities = identities[:0]
		if _, err := c.wholeUser(tx, id); err != nil {
			return err
		}
		for i, err := range tx.Identities(id) {
			if err != nil {
				return err
			}
			if name, ok := tenancy.SocialProvider(i.Connection); ok && i.Organization == "" {
				identities = append(identities, identityObject{i.Subject, "OAuth", oauthProvider(name)})
			}
		}
		return nil
	})
}

// oauthProvider is the reference's word for a social provider. The operator gives them their names; the id of
// one has a digest behind the name.
func oauthProvider(id string) string {
	name, _, _ := strings.Cut(strings.ToLower(id), ".")
	for _, known := range []string{"Apple", "Bitbucket", "Discord", "Github", "GitLab", "Google", "LinkedIn", "Microsoft", "Salesforce", "Slack"} {
		if strings.HasPrefix(name, strings.ToLower(known)) {
			return known + "OAuth"
		}
	}
	return name + "OAuth"
}
