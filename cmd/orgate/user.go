package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

func userCommand() *cobra.Command {
	var file, email string
	unlink := &cobra.Command{
		Use:   "unlink --config FILE --email ADDRESS",
		Short: "Forget by which identities a person is known at identity providers",
		Long: "Forgets by which identities the person with this address is known at identity providers, and ends\n" +
			"the person's sessions. The next sign-in that proves the address links anew.\n\n" +
			"It is the answer to identity_conflict in the log, if you know that it is the same person: the account\n" +
			"was made anew at the provider, or the domain went from one organization to another on purpose. With\n" +
			"the embedded store, stop orgate first.",
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
			var n int
			err = withStore(c.Context(), cfg, func(s *store.Store) error {
				return s.Update(c.Context(), func(tx store.Tx) (err error) {
					n, err = unlinkUser(tx, address, audit.Actor{Type: "system", Name: "orgate user unlink"}, time.Now())
					return err
				})
			})
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s: %s forgotten, all sessions ended\n", address, counted(n, "identity record"))
			return err
		},
	}
	configFlag(unlink, &file)
	unlink.Flags().StringVar(&email, "email", "", "the person's e-mail address")
	_ = unlink.MarkFlagRequired("email")
	return commandsBelow("user", "People", unlink)
}

func unlinkUser(tx store.Tx, email string, by audit.Actor, now time.Time) (int, error) {
	u, err := tx.UserByEmail(email)
	if errors.Is(err, tenancy.ErrNotFound) {
		return 0, fmt.Errorf("nobody has the address %s", email)
	} else if err != nil {
		return 0, err
	}
	n, err := tenancy.Unlink(tx, u.ID, by, now)
	if err != nil {
		return 0, err
	}
	return n, session.EndAll(tx, u.ID, "", by, now)
}
