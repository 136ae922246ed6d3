package main

import (
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/orgate/orgate/internal/mail"
	"github.com/orgate/orgate/internal/text"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

func userCommand() *cobra.Command {
	return commandsBelow("user", "People", userCreateCommand(), userListCommand(), userUpdateCommand(),
		personCommand("delete", "Delete a person with all that is known of them, for good",
			"Deletes the user with this address: memberships, factors, identities, and sessions. It can't be undone."),
		personCommand("unlink", "Forget by which identities a person is known at identity providers",
			"Forgets by which identities the person with this address is known at identity providers, and ends\n"+
				"the person's sessions. The next sign-in that proves the address links anew.\n\n"+
				"It is the answer to identity_conflict in the log, if you know that it is the same person: the account\n"+
				"was made anew at the provider, or the domain went from one organization to another on purpose."),
		personCommand("reset-mfa", "Remove the second factors of a person who has lost them",
			"Removes the authenticator app, the passkeys and the recovery codes of the person with this address, ends\n"+
				"the person's sessions, and tells them by mail. Where a second factor is asked for, they set up a new one\n"+
				"at the next sign-in.\n\n"+
				"Make sure that it is the person who asks: call them back at a number that you know."),
	)
}

// personCommand is a command "orgate user NAME" about one person.
func personCommand(name, short, long string) *cobra.Command {
	var file, email string
	c := &cobra.Command{
		Use: name + " --config FILE --email ADDRESS", Short: short, Long: long, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return operateFor(c, file, "user "+name, email, url.Values{})
		},
	}
	configFlag(c, &file)
	emailFlag(c, &email)
	return c
}

func personOf(tx store.Tx, args url.Values) (tenancy.User, error) {
	u, err := tx.UserByEmail(args.Get("email"))
	if errors.Is(err, tenancy.ErrNotFound) {
		err = fmt.Errorf("nobody has the address %s", args.Get("email"))
	}
	return u, err
}

func unlinkUser(tx store.Tx, o operating, args url.Values) (string, error) {
	u, err := personOf(tx, args)
	if err != nil {
		return "", err
	}
	n, err := tenancy.Unlink(tx, u.ID, o.by, o.now)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s: %s forgotten, all sessions ended\n", u.Email, counted(n, "identity record")), session.EndAll(tx, u.ID, "", o.by, o.now)
}

// noticeLife is how long a mail that only tells is worth sending.
const noticeLife = 72 * time.Hour

func resetMFA(tx store.Tx, o operating, args url.Values) (string, error) {
	u, err := personOf(tx, args)
	if err != nil {
		return "", err
	}
	if err := factor.ResetMFA(tx, u.ID, o.by, o.now); err != nil {
		return "", err
	}
	if err := session.EndAll(tx, u.ID, "", o.by, o.now); err != nil {
		return "", err
	}
	told := "no mail can be sent, so tell them"
	if o.mail != nil {
		told = "they are told by mail"
		if err := o.mail.Put(tx, u.Email, mail.MFAReset{Host: o.host}, text.English, o.now.Add(noticeLife), o.now); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%s: second factors removed, all sessions ended; %s\n", u.Email, told), nil
}
