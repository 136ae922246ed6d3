package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

func memberCommand() *cobra.Command {
	var file, org, email, role string
	add := &cobra.Command{
		Use:   "add --config FILE --org SLUG --email ADDRESS [--role ROLE]",
		Short: "Make a person an active member of an organization",
		Long: "Makes the person with this address an active member of an organization, making the user if there is\n" +
			"none. The policies still decide how the person must sign in.\n\n" +
			"With the embedded store, stop orgate first.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := readConfig(file, c.ErrOrStderr())
			if err != nil {
				return err
			}
			address, err := tenancy.ParseEmail(email)
			if err != nil {
				return fmt.Errorf("--email: %w", err)
			}
			return withStore(c.Context(), cfg, func(s *store.Store) error {
				return s.Update(c.Context(), func(tx store.Tx) error {
					return addMember(tx, cfg.Rules(), org, address, role, audit.Actor{Type: "system", Name: "orgate member add"}, time.Now())
				})
			})
		},
	}
	configFlag(add, &file)
	add.Flags().StringVar(&org, "org", "", "the organization's slug")
	add.Flags().StringVar(&email, "email", "", "the person's e-mail address")
	add.Flags().StringVar(&role, "role", "", "the role; none given: the default")
	_ = add.MarkFlagRequired("org")
	_ = add.MarkFlagRequired("email")
	return commandsBelow("member", "Memberships", add)
}

// addMember makes the person an active member; with an empty role, with the default one.
func addMember(tx store.Tx, r tenancy.Rules, org, email, role string, by audit.Actor, now time.Time) error {
	o, err := tx.OrganizationBySlug(tenancy.Slug(org))
	if errors.Is(err, tenancy.ErrNotFound) {
		return fmt.Errorf("there is no organization %q in the store; serve writes those of the configuration to it at its start", org)
	} else if err != nil {
		return err
	}
	u, err := tenancy.EnsureUser(tx, email, by, now)
	if err != nil {
		return err
	}
	var g tenancy.Grant
	if role != "" {
		g.Roles = []string{role}
	}
	_, err = tenancy.CreateMembership(tx, r, o.ID, u.ID, g, by, now)
	return err
}
