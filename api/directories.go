package api

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"strings"

	"github.com/orgate/orgate/directory"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// directoryStep is how much of a directory is deleted in one transaction.
const directoryStep = 200

// directory returns the directory of that id, if it is there for the key.
func (c *call) directory(tx store.Tx, id string) (directory.Directory, tenancy.Organization, error) {
	d, err := tx.DirectoryByID(directory.ID(id))
	if err == nil && !d.Deleting {
		var o tenancy.Organization
		if o, err = c.organization(tx, d.Organization); err == nil {
			return d, o, nil
		}
	}
	if err == nil || errors.Is(err, tenancy.ErrNotFound) || isNotFound(err) {
		err = notFound("Directory", id)
	}
	return directory.Directory{}, tenancy.Organization{}, err
}

// hides reports whether what is of the directory is not there for the key.
func (c *call) hides(tx store.Tx, id directory.ID) (bool, error) {
	_, _, err := c.directory(tx, string(id))
	if isNotFound(err) {
		return true, nil
	}
	return false, err
}

func (a *API) listDirectories(c *call) error {
	q := c.query()
	p := q.page("directory", descending)
	asked, isAsked := q.text("organization_id")
	domain, byDomain := q.text("domain")
	search, _ := q.text("search")
	if err := q.done(); err != nil {
		return err
	}
	org, byOrg := c.narrowed(asked, isAsked)
	search = strings.ToLower(search)
	var e envelope[directory.Object]
	return c.viewed(&e, func(tx store.Tx) (err error) {
		s := source[directory.Directory]{from: tx.DirectoriesFrom, id: func(d directory.Directory) string { return string(d.ID) }}
		if byOrg {
			s.from = func(at tenancy.Place) iter.Seq2[directory.Directory, error] {
				return tx.DirectoriesIn(org, at)
			}
		}
		s.keep = func(d directory.Directory) (bool, error) {
			if search != "" && !strings.Contains(strings.ToLower(d.Name), search) {
				return false, nil
			}
			if hidden, err := c.hides(tx, d.ID); err != nil || hidden {
				return false, err
			}
			if byDomain { // its directories are those of whose domain it is
				return hasDomain(tx, d.Organization, []string{domain})
			}
			return true, nil
		}
		e, err = listPage(p, s, func(d directory.Directory) (directory.Object, error) { return directory.Show(d), nil })
		return err
	})
}

func (a *API) getDirectory(c *call) error {
	if err := c.noQuery(); err != nil {
		return err
	}
	var shown directory.Object
	return c.viewed(&shown, func(tx store.Tx) error {
		d, _, err := c.directory(tx, c.r.PathValue("id"))
		shown = directory.Show(d)
		return err
	})
}

// deleteDirectory deletes a directory with what is in it. From the first transaction on it is not there. Where the others don't come
// to their end, [FinishRemovals] brings them there.
func (a *API) deleteDirectory(c *call) error {
	if err := c.noQuery(); err != nil {
		return err
	}
	var d directory.Directory
	err := c.update(func(tx store.Tx) (err error) {
		var o tenancy.Organization
		if d, o, err = c.directory(tx, c.r.PathValue("id")); err != nil {
			return err
		}
		if err := tenancy.CheckManaged(o, tenancy.SectionDirectory); err != nil {
			return err
		}
		return directory.BeginRemoval(tx, d.Organization, d.ID, c.by, c.now)
	})
	if err != nil {
		return err
	}
	if err := removeDirectory(context.WithoutCancel(c.ctx), a.Store, d); err != nil {
		return err
	}
	return c.answer(http.StatusAccepted, struct{}{})
}

// removeDirectory deletes a directory, part by part.
func removeDirectory(ctx context.Context, s *store.Store, d directory.Directory) error {
	for done := false; !done; {
		err := s.Update(ctx, func(tx store.Tx) (err error) {
			done, err = directory.FinishRemoval(tx, d.Organization, d.ID, directoryStep)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// A directoryUserObject is a user of a directory with the groups that they are in.
type directoryUserObject struct {
	directory.UserObject
	Groups []directory.GroupObject `json:"groups"`
}

func showDirectoryUser(tx store.Tx, u directory.User) (directoryUserObject, error) {
	groups, err := directory.GroupsOf(tx, u)
	o := directoryUserObject{directory.ShowUser(u), []directory.GroupObject{}}
	for _, g := range groups {
		o.Groups = append(o.Groups, directory.ShowGroup(g))
	}
	return o, err
}

func (c *call) directoryUser(tx store.Tx, id string) (directory.User, error) {
	u, err := tx.DirectoryUserByID(directory.UserID(id))
	if err == nil {
		_, _, err = c.directory(tx, string(u.Directory))
	}
	if errors.Is(err, tenancy.ErrNotFound) || isNotFound(err) {
		err = notFound("Directory User", id)
	}
	return u, err
}

func (c *call) directoryGroup(tx store.Tx, id string) (directory.Group, error) {
	g, err := tx.DirectoryGroupByID(directory.GroupID(id))
	if err == nil {
		_, _, err = c.directory(tx, string(g.Directory))
	}
	if errors.Is(err, tenancy.ErrNotFound) || isNotFound(err) {
		err = notFound("Directory Group", id)
	}
	return g, err
}

func (a *API) getDirectoryUser(c *call) error {
	if err := c.noQuery(); err != nil {
		return err
	}
	var shown directoryUserObject
	return c.viewed(&shown, func(tx store.Tx) error {
		u, err := c.directoryUser(tx, c.r.PathValue("id"))
		if err == nil {
			shown, err = showDirectoryUser(tx, u)
		}
		return err
	})
}

func (a *API) getDirectoryGroup(c *call) error {
	if err := c.noQuery(); err != nil {
		return err
	}
	var shown directory.GroupObject
	return c.viewed(&shown, func(tx store.Tx) error {
		g, err := c.directoryGroup(tx, c.r.PathValue("id"))
		shown = directory.ShowGroup(g)
		return err
	})
}

func (a *API) listDirectoryUsers(c *call) error {
	q := c.query()
	p := q.page("directory_user", descending)
	dir, byDir := q.text("directory")
	group, byGroup := q.text("group")
	idp, byIDP := q.text("idp_id")
	email, byEmail := q.text("email")
	for name, given := range map[string]bool{"idp_id": byIDP, "email": byEmail} {
		if given && !byDir {
			q.fault("required", "directory", "directory is required with "+name)
		}
	}
	if err := q.done(); err != nil {
		return err
	}
	email = strings.ToLower(email)
	var e envelope[directoryUserObject]
	return c.viewed(&e, func(tx store.Tx) error {
		var d directory.Directory
		var g directory.Group
		var err error
		if byDir {
			if d, _, err = c.directory(tx, dir); err != nil {
				return err
			}
		}
		if byGroup {
			if g, err = c.directoryGroup(tx, group); err != nil {
				return err
			}
		}
		s := source[directory.User]{id: func(u directory.User) string { return string(u.ID) }}
		s.keep = func(u directory.User) (bool, error) {
			if byDir && u.Directory != d.ID || byEmail && u.Email != email || byIDP && u.IDPID != idp {
				return false, nil
			}
			hidden, err := c.hides(tx, u.Directory)
			if err != nil || hidden || !byGroup {
				return !hidden && err == nil, err
			}
			_, err = tx.DirectoryMember(g.Organization, g.Directory, g.ID, u.ID)
			if errors.Is(err, tenancy.ErrNotFound) {
				return false, nil
			}
			return err == nil, err
		}
		switch {
		case byIDP:
			u, err := tx.DirectoryUserAt(d.Organization, d.ID, idp)
			if err != nil && !errors.Is(err, tenancy.ErrNotFound) {
				return err
			}
			s.from = oneOf(tx.DirectoryUserByID, u.ID)
		case byEmail:
			s.from = func(at tenancy.Place) iter.Seq2[directory.User, error] {
				return tx.DirectoryUsersNamed(d.Organization, d.ID, email, at)
			}
		case byGroup:
			s.from = func(at tenancy.Place) iter.Seq2[directory.User, error] {
				return joined(tx.DirectoryMembers(g.Organization, g.Directory, g.ID, at), func(m directory.Member) (directory.User, error) {
					return tx.DirectoryUser(m.Organization, m.Directory, m.User)
				})
			}
		case byDir:
			s.from = func(at tenancy.Place) iter.Seq2[directory.User, error] {
				return tx.DirectoryUsers(d.Organization, d.ID, at)
			}
		case c.key.Organization != "":
			s.from = func(at tenancy.Place) iter.Seq2[directory.User, error] {
				return tx.DirectoryUsersIn(c.key.Organization, at)
			}
		default:
			s.from = tx.DirectoryUsersFrom
		}
		e, err = listPage(p, s, func(u directory.User) (directoryUserObject, error) { return showDirectoryUser(tx, u) })
		return err
	})
}

func (a *API) listDirectoryGroups(c *call) error {
	q := c.query()
	p := q.page("directory_group", descending)
	dir, byDir := q.text("directory")
	user, byUser := q.text("user")
	if err := q.done(); err != nil {
		return err
	}
	var e envelope[directory.GroupObject]
	return c.viewed(&e, func(tx store.Tx) error {
		var d directory.Directory
		var u directory.User
		var err error
		if byDir {
			if d, _, err = c.directory(tx, dir); err != nil {
				return err
			}
		}
		if byUser {
			if u, err = c.directoryUser(tx, user); err != nil {
				return err
			}
		}
		s := source[directory.Group]{id: func(g directory.Group) string { return string(g.ID) }}
		s.keep = func(g directory.Group) (bool, error) {
			if byDir && g.Directory != d.ID {
				return false, nil
			}
			hidden, err := c.hides(tx, g.Directory)
			return !hidden && err == nil, err
		}
		switch {
		case byUser:
			s.from = func(at tenancy.Place) iter.Seq2[directory.Group, error] {
				return joined(tx.DirectoryGroupsOfUser(u.Organization, u.Directory, u.ID, at), func(m directory.Member) (directory.Group, error) {
					return tx.DirectoryGroup(m.Organization, m.Directory, m.Group)
				})
			}
		case byDir:
			s.from = func(at tenancy.Place) iter.Seq2[directory.Group, error] {
				return tx.DirectoryGroups(d.Organization, d.ID, at)
			}
		case c.key.Organization != "":
			s.from = func(at tenancy.Place) iter.Seq2[directory.Group, error] {
				return tx.DirectoryGroupsIn(c.key.Organization, at)
			}
		default:
			s.from = tx.DirectoryGroupsFrom
		}
		e, err = listPage(p, s, func(g directory.Group) (directory.GroupObject, error) { return directory.ShowGroup(g), nil })
		return err
	})
}

// joined yields what get makes of what seq yields.
func joined[T, O any](seq iter.Seq2[T, error], get func(T) (O, error)) iter.Seq2[O, error] {
	return func(yield func(O, error) bool) {
		for x, err := range seq {
			var o O
			if err == nil {
				o, err = get(x)
			}
			if !yield(o, err) || err != nil {
				return
			}
		}
	}
}
