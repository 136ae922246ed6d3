package main

import (
	"fmt"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

func memberCommand() *cobra.Command {
	var file, org, email, role string
	add := &cobra.Command{
		Use:   "add --config FILE --org SLUG --email ADDRESS [--role ROLE]",
		Short: "Make a person an active member of an organization",
		Long: "Makes the person with this address an active member of an organization, making the user if there is\n" +
			"none. The policies still decide how the person must sign in.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return operateFor(c, file, "member add", email, url.Values{"org": {org}, "role": {role}})
		},
	}
	configFlag(add, &file)
	emailFlag(add, &email)
	add.Flags().StringVar(&org, "org", "", "the organization's slug")
	add.Flags().StringVar(&role, "role", "", "the role; none given: the default")
	_ = add.MarkFlagRequired("org")
	return commandsBelow("member", "Memberships", add)
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

// addMember makes the person an active member; with an empty role, with the default one.
func addMember(tx store.Tx, o operating, args url.Values) (string, error) {
	org, err := organizationOf(tx, args.Get("org"))
	if err != nil {
		return "", err
	}
	u, err := tenancy.EnsureUser(tx, args.Get("email"), o.by, o.now)
	if err != nil {
		return "", err
	}
	var g tenancy.Grant
	if role := args.Get("role"); role != "" {
		g.Roles = []string{role}
	}
	_, err = tenancy.CreateMembership(tx, o.rules, org.ID, u.ID, g, o.by, o.now)
	return "", err
}
