package main

import (
	"errors"
	"fmt"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

func userCreateCommand() *cobra.Command {
	var file, email, name string
	var verified bool
	c := &cobra.Command{
		Use: "create --config FILE --email ADDRESS [--name NAME]", Short: "Make a user, and print its id", Args: cobra.NoArgs,
		Long: "Makes a user, who is a member of nothing yet, and prints its id. --verified says that the address is known to be\n" +
			"theirs; otherwise they prove it when they first sign in.",
		RunE: func(c *cobra.Command, _ []string) error {
			args := url.Values{"name": {name}}
			if verified {
				args.Set("verified", "true")
			}
			return operateFor(c, file, "user create", email, args)
		},
	}
	configFlag(c, &file)
	emailFlag(c, &email)
	c.Flags().StringVar(&name, "name", "", "the person's name")
	c.Flags().BoolVar(&verified, "verified", false, "the address is known to be theirs")
	return c
}

func userListCommand() *cobra.Command {
	var file string
	var l listing
	c := &cobra.Command{
		Use: "list --config FILE", Short: "List the users", Long: "Lists the users, oldest first: id, address, whether that is proved, and name.", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return operateOn(c, file, "user list", l.args(url.Values{}))
		},
	}
	configFlag(c, &file)
	l.flags(c)
	return c
}

func userUpdateCommand() *cobra.Command {
	var file, email, name, address string
	var verified bool
	c := &cobra.Command{
		Use: "update --config FILE --email ADDRESS [--name NAME] [--new-email ADDRESS] [--verified]", Short: "Change a user's name or address", Args: cobra.NoArgs,
		Long: "Changes a user. Another address ends their sessions, and is not proved unless --verified says so. --verified of\n" +
			"an address that was not removes password and second factors: whoever set them up had not proved it.",
		RunE: func(c *cobra.Command, _ []string) error {
			args := url.Values{}
			if c.Flags().Changed("name") {
				args["name"] = []string{name}
			}
			if c.Flags().Changed("verified") {
				args["verified"] = []string{fmt.Sprint(verified)}
			}
			if address != "" {
				parsed, err := tenancy.ParseEmail(address)
				if err != nil {
					return fmt.Errorf("--new-email: %w", err)
				}
				args.Set("new_email", parsed)
			}
			if len(args) == 0 {
				return errors.New("nothing to change: say --name, --new-email or --verified")
			}
			return operateFor(c, file, "user update", email, args)
		},
	}
	configFlag(c, &file)
	emailFlag(c, &email)
	c.Flags().StringVar(&name, "name", "", "the person's name")
	c.Flags().StringVar(&address, "new-email", "", "another address")
	c.Flags().BoolVar(&verified, "verified", false, "the address is known to be theirs")
	return c
}

func createUser(tx store.Tx, o operating, args url.Values) (string, error) {
	if len(args.Get("name")) > 256 {
		return "", checkName(args.Get("name"))
	}
	u, err := tenancy.NewUser(tx, tenancy.User{Email: args.Get("email"), Name: args.Get("name"), EmailVerified: args.Get("verified") == "true"}, o.by, o.now)
	if errors.Is(err, tenancy.ErrTaken) {
		return "", fmt.Errorf("somebody has the address %s", args.Get("email"))
	}
	return string(u.ID) + "\n", err
}

func listUsers(tx store.Tx, _ operating, args url.Values) (string, error) {
	p, err := newPrinter(args)
	if err != nil {
		return "", err
	}
	for u, err := range tx.UsersFrom(p.from) {
		if err != nil {
			return "", err
		}
		if p.full() {
			break
		}
		proved := "unverified"
		if u.EmailVerified {
			proved = "verified"
		}
		p.add(tenancy.ShowUser(u), string(u.ID), u.Email, proved, u.Name)
	}
	return p.done()
}

func updateUser(tx store.Tx, o operating, args url.Values) (string, error) {
	u, err := personOf(tx, args)
	if err != nil {
		return "", err
	}
	var e tenancy.UserEdit
	if name, ok := args["name"]; ok {
		if len(name[0]) > 256 {
			return "", checkName(name[0])
		}
		e.Name = &name[0]
	}
	if address := args.Get("new_email"); address != "" {
		e.Email = &address
	}
	if verified := args.Get("verified"); verified != "" {
		e.EmailVerified = new(verified == "true")
	}
	u, err = factor.EditUser(tx, u.ID, e, o.by, o.now)
	if errors.Is(err, tenancy.ErrTaken) {
		return "", fmt.Errorf("--new-email: somebody has the address %s", args.Get("new_email"))
	}
	return string(u.ID) + "\n", err
}

func deleteUser(tx store.Tx, o operating, args url.Values) (string, error) {
	u, err := personOf(tx, args)
	if err != nil {
		return "", err
	}
	if err := factor.Wipe(tx, u.ID, o.by, o.now); err != nil {
		return "", err
	}
	var members []tenancy.Membership
	for m, err := range tx.Memberships(u.ID) {
		if err != nil {
			return "", err
		}
		members = append(members, m)
	}
	warning, err := warnOfLastAdmin(tx, o, members, func() error { return session.RemoveUser(tx, u.ID, o.by, o.now) })
	return string(u.ID) + "\n" + warning, err
}
