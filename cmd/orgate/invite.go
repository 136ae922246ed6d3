package main

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/orgate/orgate/internal/invite"
	"github.com/orgate/orgate/internal/text"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

func inviteCommand() *cobra.Command {
	return commandsBelow("invite", "Invitations", inviteCreateCommand(), inviteListCommand(), inviteByIDCommand("resend",
		"Send an open invitation again, with a new link",
		"Sends an open invitation again, with a new link and all of its time: the link of before is dead."),
		inviteByIDCommand("revoke", "Take an open invitation back",
			"Takes an open invitation back: its link is dead, and the pending membership is gone."))
}

func inviteCreateCommand() *cobra.Command {
	var file, email, org, inviter string
	var roles []string
	var days int
	var m mailing
	c := &cobra.Command{
		Use:   "create --config FILE --email ADDRESS [--org SLUG [--role ROLE]]",
		Short: "Invite somebody to an organization, or to have an account",
		Long: "Invites whoever has the address to be a member of an organization or, without --org, to have an account.\n" +
			"They are mailed a link, prove the address, and accept. The policies decide how they must sign in.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			args := url.Values{"org": {org}, "role": roles, "days": {strconv.Itoa(days)}}
			if inviter != "" {
				address, err := tenancy.ParseEmail(inviter)
				if err != nil {
					return fmt.Errorf("--inviter: %w", err)
				}
				args.Set("inviter", address)
			}
			m.set(args)
			return operateFor(c, file, "invite create", email, args)
		},
	}
	configFlag(c, &file)
	emailFlag(c, &email)
	c.Flags().StringVar(&org, "org", "", "the organization's slug; none given: an account alone")
	c.Flags().StringSliceVar(&roles, "role", nil, "a role, can be given several times; none given: the default")
	c.Flags().StringVar(&inviter, "inviter", "", "the address of whoever invites; the invitation is good while they are what they are in the organization")
	c.Flags().IntVar(&days, "days", tenancy.DefaultInvitationDays, fmt.Sprintf("for how many days it is open, 1 to %d", tenancy.MaxInvitationDays))
	m.flags(c)
	return c
}

// A mailing is how the link gets to whom it is for.
type mailing struct {
	none     bool
	language string
}

func (m *mailing) flags(c *cobra.Command) {
	c.Flags().BoolVar(&m.none, "no-mail", false, "mail nothing and print the link, once: whoever sends it must send it to that address only")
	c.Flags().StringVar(&m.language, "language", "en", "of the mail: en or de")
}

func (m *mailing) set(args url.Values) {
	args.Set("language", m.language)
	if m.none {
		args.Set("no_mail", "1")
	}
}

func inviteListCommand() *cobra.Command {
	var file, org string
	var all bool
	c := &cobra.Command{
		Use: "list --config FILE [--org SLUG] [--all]", Short: "Show invitations, the newest first",
		Long: "Shows the invitations that are open, the newest first: of an organization or, without --org, of all and those to have an account.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			args := url.Values{"org": {org}}
			if all {
				args.Set("all", "1")
			}
			return operateOn(c, file, "invite list", args)
		},
	}
	configFlag(c, &file)
	c.Flags().StringVar(&org, "org", "", "the organization's slug")
	c.Flags().BoolVar(&all, "all", false, "also those that were accepted or revoked, or have expired")
	return c
}

// inviteByIDCommand is a command "orgate invite NAME" about one invitation.
func inviteByIDCommand(name, short, long string) *cobra.Command {
	var file, id string
	var m mailing
	c := &cobra.Command{
		Use: name + " --config FILE --id INVITATION", Short: short, Long: long, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			args := url.Values{"id": {id}}
			m.set(args)
			return operateOn(c, file, "invite "+name, args)
		},
	}
	configFlag(c, &file)
	c.Flags().StringVar(&id, "id", "", "the invitation's id, as list shows it")
	_ = c.MarkFlagRequired("id")
	if name == "resend" {
		m.flags(c)
	}
	return c
}

// operateOn carries out an operation and prints what it says.
func operateOn(c *cobra.Command, file, name string, args url.Values) error {
	cfg, err := readConfig(file, c.ErrOrStderr())
	if err != nil {
		return err
	}
	said, err := operate(c.Context(), cfg, name, args)
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(c.OutOrStdout(), said)
	return err
}

func createInvitation(tx store.Tx, o operating, args url.Values) (string, error) {
	days, err := strconv.Atoi(args.Get("days"))
	if err != nil {
		return "", fmt.Errorf("--days: %q is no number", args.Get("days"))
	}
	n := tenancy.NewInvitation{Email: args.Get("email"), Roles: args["role"], ExpiresInDays: &days}
	if args.Get("org") != "" {
		org, err := organizationOf(tx, args.Get("org"))
		if err != nil {
			return "", err
		}
		n.Organization = org.ID
	}
	if args.Get("inviter") != "" {
		u, err := personOf(tx, url.Values{"email": args["inviter"]})
		if err != nil {
			return "", fmt.Errorf("--inviter: %w", err)
		}
		n.Inviter = u.ID
	}
	i, token, err := tenancy.Invite(tx, o.rules, n, o.by, o.now)
	if err != nil {
		return "", fmt.Errorf("%s: %w", n.Email, err)
	}
	return o.mailInvitation(tx, i, token, args)
}

// mailInvitation sends the link, or says it.
func (o operating) mailInvitation(tx store.Tx, i tenancy.Invitation, token tenancy.InvitationToken, args url.Values) (string, error) {
	said := fmt.Sprintf("%s: %s is invited until %s\n", i.ID, i.Email, i.ExpiresAt.Format(time.RFC3339))
	switch {
	case args.Get("no_mail") != "":
		return said + invite.Link(o.public, token) + "\n", nil
	case o.mail == nil:
		return "", errors.New("no mail can be sent, for the configuration has no mail section: send the link yourself with --no-mail")
	}
	return said, invite.Send(tx, o.mail, o.public, i, token, text.Negotiate(args.Get("language")), o.now)
}

func resendInvitation(tx store.Tx, o operating, args url.Values) (string, error) {
	i, token, err := tenancy.ResendInvitation(tx, tenancy.InvitationID(args.Get("id")), o.by, o.now)
	if err != nil {
		return "", noInvitation(err, args)
	}
	return o.mailInvitation(tx, i, token, args)
}

func revokeInvitation(tx store.Tx, o operating, args url.Values) (string, error) {
	i, err := tenancy.RevokeInvitation(tx, tenancy.InvitationID(args.Get("id")), o.by, o.now)
	if err != nil {
		return "", noInvitation(err, args)
	}
	return fmt.Sprintf("%s: the invitation of %s is revoked\n", i.ID, i.Email), nil
}

func noInvitation(err error, args url.Values) error {
	if errors.Is(err, tenancy.ErrNotFound) {
		return fmt.Errorf("there is no invitation %q: orgate invite list shows them", args.Get("id"))
	}
	return err
}

// maxListed is how many invitations are shown: more than anybody reads, and less than an answer of a
// running orgate holds.
const maxListed = 200

func listInvitations(tx store.Tx, o operating, args url.Values) (string, error) {
	seq, of := tx.Invitations(), "anybody"
	if args.Get("org") != "" {
		org, err := organizationOf(tx, args.Get("org"))
		if err != nil {
			return "", err
		}
		seq, of = tx.InvitationsOf(org.ID), string(org.Slug)
	}
	var found []tenancy.Invitation
	for i, err := range seq {
		if err != nil {
			return "", err
		}
		if args.Get("all") != "" || i.State(o.now) == tenancy.InvitationPending {
			found = append(found, i)
		}
	}
	if len(found) == 0 {
		return "no invitations of " + of + "\n", nil
	}
	slices.SortFunc(found, func(a, b tenancy.Invitation) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), strings.Compare(string(b.ID), string(a.ID)))
	})
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	slugs := map[tenancy.OrgID]string{"": "-"}
	for _, i := range found[:min(len(found), maxListed)] {
		if slugs[i.Organization] == "" {
			org, err := tx.Organization(i.Organization)
			if err != nil && !errors.Is(err, tenancy.ErrNotFound) {
				return "", err
			}
			slugs[i.Organization] = cmp.Or(string(org.Slug), string(i.Organization))
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", i.ID, i.Email, slugs[i.Organization], cmp.Or(strings.Join(i.Roles, ","), "-"), i.State(o.now), i.ExpiresAt.Format(time.RFC3339))
	}
	if err := w.Flush(); err != nil {
		return "", err
	}
	if len(found) > maxListed {
		fmt.Fprintf(&b, "and %s more\n", counted(len(found)-maxListed, "older one"))
	}
	return b.String(), nil
}
