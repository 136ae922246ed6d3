package main

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

func apiKeyCommand() *cobra.Command {
	var file, name, org, key string
	var readOnly bool
	var expires time.Duration
	create := &cobra.Command{
		Use:   "create --config FILE --name NAME [--org SLUG] [--read-only] [--expires-in DURATION]",
		Short: "Make a key and print its secret, once",
		Long: "Makes a key for the management API and prints its secret. It is printed this once: orgate keeps a hash of\n" +
			"it and can't print it again. Without --org the key is good for everything.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if expires < 0 {
				return errors.New("--expires-in: want a time to come, such as 2160h")
			}
			args := url.Values{"name": {name}, "org": {org}}
			if readOnly {
				args.Set("read_only", "true")
			}
			if expires > 0 {
				args.Set("expires_in", expires.String())
			}
			return operateAndSay(c, file, "api-key create", args)
		},
	}
	create.Flags().StringVar(&name, "name", "", "who uses it, for the list and the events")
	create.Flags().StringVar(&org, "org", "", "the organization that it is good for, by slug; none given: all of them")
	create.Flags().BoolVar(&readOnly, "read-only", false, "it can look and change nothing")
	create.Flags().DurationVar(&expires, "expires-in", 0, "how long it is good, such as 2160h; none given: until it is revoked")
	_ = create.MarkFlagRequired("name")
	list := &cobra.Command{
		Use: "list --config FILE", Short: "List the keys, without their secrets", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return operateAndSay(c, file, "api-key list", url.Values{})
		},
	}
	revoke := &cobra.Command{
		Use: "revoke --config FILE --id ID", Short: "End a key at once and for good", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return operateAndSay(c, file, "api-key revoke", url.Values{"id": {key}})
		},
	}
	revoke.Flags().StringVar(&key, "id", "", "the key's id, api_key_…")
	_ = revoke.MarkFlagRequired("id")
	for _, c := range []*cobra.Command{create, list, revoke} {
		configFlag(c, &file)
	}
	return commandsBelow("api-key", "Keys for the management API", create, list, revoke)
}

// operateAndSay carries out an operation and prints what it says.
func operateAndSay(c *cobra.Command, file, name string, args url.Values) error {
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

func createAPIKey(tx store.Tx, o operating, args url.Values) (string, error) {
	k := session.APIKey{Name: args.Get("name"), ReadOnly: args.Get("read_only") == "true"}
	if slug := args.Get("org"); slug != "" {
		org, err := organizationOf(tx, slug)
		if err != nil {
			return "", err
		}
		k.Organization = org.ID
	}
	if s := args.Get("expires_in"); s != "" {
		d, err := time.ParseDuration(s)
		if err != nil {
			return "", err
		}
		k.ExpiresAt = o.now.Add(d).UTC()
	}
	k, secret, err := session.CreateAPIKey(tx, k, o.by, o.now)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s\n%s\n", k.ID, secret.Reveal()), nil
}

// organizationOf returns the organization of a slug that somebody typed.
func organizationOf(tx store.Tx, slug string) (tenancy.Organization, error) {
	org, err := tx.OrganizationBySlug(tenancy.Slug(slug))
	if errors.Is(err, tenancy.ErrNotFound) {
		err = fmt.Errorf("there is no organization %q in the store; serve writes those of the configuration to it at its start", slug)
	}
	return org, err
}

func listAPIKeys(tx store.Tx, o operating, _ url.Values) (string, error) {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tNAME\tFOR\tMAY\tCREATED\tEXPIRES\tLAST USED\tSTATE")
	for k, err := range tx.APIKeys() {
		if err != nil {
			return "", err
		}
		scope, may, state := "everything", "write", "good"
		if k.Organization != "" {
			scope = string(k.Organization)
			if org, err := tx.Organization(k.Organization); err == nil {
				scope = string(org.Slug)
			}
		}
		if k.ReadOnly {
			may = "read"
		}
		switch {
		case !k.RevokedAt.IsZero():
			state = "revoked"
		case k.Alive(o.now) != nil:
			state = "expired"
		case k.Configured:
			state = "good, by configuration"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", k.ID, k.Name, scope, may, day(k.CreatedAt), day(k.ExpiresAt), day(k.LastUsedAt), state)
	}
	err := w.Flush()
	return b.String(), err
}

func day(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format(time.DateOnly)
}

func revokeAPIKey(tx store.Tx, o operating, args url.Values) (string, error) {
	id := session.APIKeyID(args.Get("id"))
	if err := session.RevokeAPIKey(tx, id, o.by, o.now); errors.Is(err, tenancy.ErrNotFound) {
		return "", fmt.Errorf("there is no API key %q: orgate api-key list shows those there are", id)
	} else if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s: revoked\n", id), nil
}
