package main

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

func memberCommand() *cobra.Command {
	var file, org, email string
	var roles, statuses []string
	var l listing
	command := func(use, short, long string) *cobra.Command {
		verb, _, _ := strings.Cut(use, " ")
		c := &cobra.Command{
			Use: use, Short: short, Long: long, Args: cobra.NoArgs,
			RunE: func(c *cobra.Command, _ []string) error {
				return operateFor(c, file, "member "+verb, email, url.Values{"org": {org}, "role": roles})
			},
		}
		configFlag(c, &file)
		c.Flags().StringVar(&org, "org", "", "the organization's slug")
		_ = c.MarkFlagRequired("org")
		return c
	}
	add := command("add --config FILE --org SLUG --email ADDRESS [--role ROLE]", "Make a person an active member of an organization",
		"Makes the person with this address an active member of an organization, making the user if there is\n"+
			"none, and prints the membership's id. The policies still decide how the person must sign in.")
	add.Flags().StringSliceVar(&roles, "role", nil, "a role, can be given several times; none given: the default")
	role := command("role --config FILE --org SLUG --email ADDRESS --role ROLE", "Give a member other roles",
		"Gives the member these roles in place of those of before. What is open ends, or goes on as who they are now.")
	role.Flags().StringSliceVar(&roles, "role", nil, "a role, can be given several times")
	_ = role.MarkFlagRequired("role")
	deactivate := command("deactivate --config FILE --org SLUG --email ADDRESS", "Lock a member out, keeping the membership",
		"Ends the member's sessions in the organization and whatever is open. Only orgate member reactivate, the API or a\n"+
			"directory brings them back, with the roles that they had.")
	reactivate := command("reactivate --config FILE --org SLUG --email ADDRESS", "Let a deactivated member in again", "Lets a deactivated member in again, with the roles of before.")
	remove := command("remove --config FILE --org SLUG --email ADDRESS", "End a membership for good",
		"Deletes the membership and ends the member's sessions in the organization and whatever is open. It can't be undone.\n"+
			"Where the organization's domain rules make members, the person may become one again: deactivate keeps them out.")
	for _, c := range []*cobra.Command{add, role, deactivate, reactivate, remove} {
		emailFlag(c, &email)
	}
	list := command("list --config FILE --org SLUG", "List the members of an organization",
		"Lists the members of an organization, oldest first: the membership's id, address, status and roles.")
	list.RunE = func(c *cobra.Command, _ []string) error {
		return operateOn(c, file, "member list", l.args(url.Values{"org": {org}, "status": statuses}))
	}
	list.Flags().StringSliceVar(&statuses, "status", []string{"active", "inactive", "pending"}, "of which status")
	l.flags(list)
	return commandsBelow("member", "Memberships", add, list, role, deactivate, reactivate, remove)
}

func emailFlag(c *cobra.Command, email *string) {
	c.Flags().StringVar(email, "email", "", "the person's e-mail address")
	_ = c.MarkFlagRequired("email")
}

// operateFor carries out an operation about the person with an address.
func operateFor(c *cobra.Command, file, name, email string, args url.Values) error {
	address, err := tenancy.ParseEmail(email)
	if err != nil {
		return fmt.Errorf("--email: %w", err)
	}
	args.Set("email", address)
	return operateOn(c, file, name, args)
}

// addMember makes the person an active member; with no role, with the default one.
func addMember(tx store.Tx, o operating, args url.Values) (string, error) {
	org, err := organizationOf(tx, args.Get("org"))
	if err != nil {
		return "", err
	}
	u, err := tenancy.EnsureUser(tx, args.Get("email"), o.by, o.now)
	if err != nil {
		return "", err
	}
	m, err := tenancy.CreateMembership(tx, o.rules, org.ID, u.ID, rolesOf(args), o.by, o.now)
	return string(m.ID) + "\n", err
}

func rolesOf(args url.Values) (g tenancy.Grant) {
	for _, r := range args["role"] {
		if r != "" && !slices.Contains(g.Roles, r) {
			g.Roles = append(g.Roles, r)
		}
	}
	return g
}

// memberOf returns the membership of the person, and its organization.
func memberOf(tx store.Tx, args url.Values) (tenancy.Membership, error) {
	org, err := organizationOf(tx, args.Get("org"))
	if err != nil {
		return tenancy.Membership{}, err
	}
	u, err := personOf(tx, args)
	if err != nil {
		return tenancy.Membership{}, err
	}
	m, err := tx.Membership(org.ID, u.ID)
	if errors.Is(err, tenancy.ErrNotFound) {
		err = fmt.Errorf("%s is no member of %s", u.Email, org.Slug)
	}
	return m, err
}

// changeMember does f to the membership of the person, and says its id.
func changeMember(f func(store.Tx, operating, tenancy.Membership, url.Values) error) operation {
	return func(tx store.Tx, o operating, args url.Values) (string, error) {
		m, err := memberOf(tx, args)
		if err != nil {
			return "", err
		}
		warning, err := warnOfLastAdmin(tx, o, []tenancy.Membership{m}, func() error { return f(tx, o, m, args) })
		if err != nil {
			return "", err
		}
		return string(m.ID) + "\n" + warning, nil
	}
}

// warnOfLastAdmin makes a change to memberships, which are as they were before it, and says which organizations have no
// administrator any more. Where it can't know, it says nothing.
func warnOfLastAdmin(tx store.Tx, o operating, was []tenancy.Membership, change func() error) (said string, err error) {
	if o.unindexed {
		return "", change()
	}
	lost, err := tenancy.LosesLastAdmin(tx, was, change)
	for _, id := range lost {
		org, err := tx.Organization(id)
		if err != nil {
			return "", err
		}
		said += fmt.Sprintf("warning: %s has no active member with the role %s any more\n", org.Slug, tenancy.AdminRole)
	}
	return said, err
}

func setMemberRole(tx store.Tx, o operating, m tenancy.Membership, args url.Values) error {
	if m.RoleSource == tenancy.RoleDirectory {
		return errors.New("the directory owns the roles of this membership: change them there")
	}
	g := rolesOf(args)
	if len(g.Roles) == 0 {
		return errors.New("--role: want at least one")
	}
	_, err := tenancy.SetRoles(tx, o.rules, m.Organization, m.User, g, o.by, o.now)
	return err
}

func deactivateMember(tx store.Tx, o operating, m tenancy.Membership, _ url.Values) error {
	return session.Deactivate(tx, m.Organization, m.User, o.by, o.now)
}

func reactivateMember(tx store.Tx, o operating, m tenancy.Membership, _ url.Values) error {
	return tenancy.ReactivateMembership(tx, o.rules, m.Organization, m.User, o.by, o.now)
}

func removeMember(tx store.Tx, o operating, m tenancy.Membership, _ url.Values) error {
	return session.Remove(tx, m.Organization, m.User, o.by, o.now)
}

func listMembers(tx store.Tx, _ operating, args url.Values) (string, error) {
	p, err := newPrinter(args)
	if err != nil {
		return "", err
	}
	for _, s := range args["status"] {
		if s != policy.Active.String() && s != policy.Inactive.String() && s != policy.Pending.String() {
			return "", fmt.Errorf("--status: unknown status %q: want active, inactive or pending", s)
		}
	}
	org, err := organizationOf(tx, args.Get("org"))
	if err != nil {
		return "", err
	}
	for m, err := range tx.MembershipsIn(org.ID, p.from) {
		if err != nil {
			return "", err
		}
		if !slices.Contains(args["status"], m.Status.String()) {
			continue
		}
		if p.full() {
			break
		}
		u, err := tx.User(m.User)
		if err != nil && !errors.Is(err, tenancy.ErrNotFound) {
			return "", err
		}
		p.add(tenancy.ShowMembership(m), string(m.ID), u.Email, m.Status.String(), strings.Join(m.Roles, ","))
	}
	return p.done()
}
