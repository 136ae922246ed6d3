package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/orgate/orgate/api"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

func orgCommand() *cobra.Command {
	var file, slug, name string
	var l listing
	command := func(use, short, long string, args func(*cobra.Command) url.Values) *cobra.Command {
		verb, _, _ := strings.Cut(use, " ")
		c := &cobra.Command{
			Use: use, Short: short, Long: long + "It works while orgate runs or not.", Args: cobra.NoArgs,
			RunE: func(c *cobra.Command, _ []string) error {
				return operateOn(c, file, "org "+verb, args(c))
			},
		}
		configFlag(c, &file)
		return c
	}
	create := command("create --config FILE --name NAME [--slug SLUG]", "Make an organization, and print its id",
		"Makes an organization and prints its id. Without --slug, its host label is made of the name. Its domains,\npolicies and connections are the API's and the portal's, as it is not of the configuration.\n",
		func(*cobra.Command) url.Values { return url.Values{"name": {name}, "slug": {slug}} })
	list := command("list --config FILE", "List the organizations, by id", "Lists the organizations, those of the configuration and others, oldest first: id, slug, state and name.\n",
		func(*cobra.Command) url.Values { return l.args(url.Values{}) })
	l.flags(list)
	update := command("update --config FILE --org SLUG --name NAME", "Give an organization another name", "The name of one of the configuration is changed there.\n",
		func(*cobra.Command) url.Values { return url.Values{"org": {slug}, "name": {name}} })
	remove := command("delete --config FILE --org SLUG", "Delete an organization with all that it has, for good",
		"Locks everybody out at once, and deletes its members, sessions, domains, connections, roles and keys. It can't\nbe undone. One of the configuration is taken out there first.\n",
		func(*cobra.Command) url.Values { return url.Values{"org": {slug}} })
	create.Flags().StringVar(&slug, "slug", "", "its host label, such as acme")
	for _, c := range []*cobra.Command{create, update} {
		c.Flags().StringVar(&name, "name", "", "its name, for people")
		_ = c.MarkFlagRequired("name")
	}
	for _, c := range []*cobra.Command{update, remove} {
		c.Flags().StringVar(&slug, "org", "", "the organization's slug")
		_ = c.MarkFlagRequired("org")
	}
	return commandsBelow("org", "Organizations", create, list, update, remove)
}

func createOrganization(tx store.Tx, o operating, args url.Values) (string, error) {
	name := strings.TrimSpace(args.Get("name"))
	if err := checkName(name); err != nil {
		return "", err
	}
	slug := tenancy.Slug(args.Get("slug"))
	var err error
	if slug == "" {
		slug, err = tenancy.FreeSlug(tx, name)
	} else {
		slug, err = tenancy.ParseSlug(string(slug))
	}
	if err != nil {
		return "", fmt.Errorf("--slug: %w", err)
	}
	made, err := tenancy.SaveOrganization(tx, tenancy.Organization{Slug: slug, Name: name}, o.by, o.now)
	if errors.Is(err, tenancy.ErrTaken) {
		return "", fmt.Errorf("--slug: another organization is called %s: orgate org list shows it", slug)
	}
	return string(made.ID) + "\n", err
}

func checkName(name string) error {
	if name == "" || len(name) > 256 || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return errors.New("--name: want one line of up to 256 bytes")
	}
	return nil
}

func listOrganizations(tx store.Tx, _ operating, args url.Values) (string, error) {
	p, err := newPrinter(args)
	if err != nil {
		return "", err
	}
	for o, err := range tx.OrganizationsFrom(p.from) {
		if err != nil {
			return "", err
		}
		if o.Deleting {
			continue
		}
		if p.full() {
			break
		}
		shown, err := tenancy.ShowOrganization(tx, o)
		if err != nil {
			return "", err
		}
		state := "active"
		if o.Suspended {
			state = "suspended"
		}
		p.add(shown, string(o.ID), string(o.Slug), state, o.Name)
	}
	return p.done()
}

// editable returns the organization of a slug that somebody typed, unless the configuration owns it.
func editable(tx store.Tx, slug string) (tenancy.Organization, error) {
	o, err := organizationOf(tx, slug)
	if err != nil {
		return o, err
	}
	return o, tenancy.CheckManaged(o, tenancy.SectionSettings)
}

func updateOrganization(tx store.Tx, o operating, args url.Values) (string, error) {
	name := strings.TrimSpace(args.Get("name"))
	if err := checkName(name); err != nil {
		return "", err
	}
	org, err := editable(tx, args.Get("org"))
	if err != nil {
		return "", ownedByConfig(err, args.Get("org"))
	}
	org.Name = name
	org, err = tenancy.SaveOrganization(tx, org, o.by, o.now)
	return string(org.ID) + "\n", err
}

// ownedByConfig says what to do about what the configuration owns.
func ownedByConfig(err error, what string) error {
	if m, ok := errors.AsType[*tenancy.ManagedError](err); ok {
		return fmt.Errorf("%s: %w: change it there", what, m)
	}
	return err
}

func deleteOrganization(tx store.Tx, o operating, args url.Values) (string, error) {
	org, err := organizationOf(tx, args.Get("org"))
	if err != nil {
		return "", err
	}
	if err := tenancy.BeginRemoval(tx, org.ID, o.by, o.now); err != nil {
		return "", ownedByConfig(err, args.Get("org"))
	}
	*o.then = func(ctx context.Context, s *store.Store) error {
		return api.RemoveOrganization(ctx, s, org.ID, o.by, o.clock)
	}
	return fmt.Sprintf("%s: deleted\n", org.ID), nil
}
