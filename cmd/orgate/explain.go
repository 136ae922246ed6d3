package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/orgate/orgate/config"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

func explainCommand() *cobra.Command {
	var x explaining
	var configFile, dryRunFile string
	var at string
	var noStore, fail bool
	cmd := &cobra.Command{
		Use:   "explain --config FILE (--org SLUG --email ADDRESS | --dry-run NEW)",
		Short: "Print what would be asked of a person, and which rule says so",
		Long: "Prints, step by step, what would be asked of the person with this address who wants to enter the\n" +
			"organization, and which rule says so; with --path, also whether that request would be let through, from\n" +
			"an address (--ip), a country (--country) and at a time (--at). The first way in is told in full, all\n" +
			"others briefly.\n\n" +
			"The settings are those of the configuration, whether they are in force yet or not. Who the person is\n" +
			"(memberships, factors that are set up), and the settings that are not from the configuration, are looked\n" +
			"up in the store; a running orgate is asked by the socket in the store's directory. --no-store judges the\n" +
			"configuration alone, as for somebody who comes for the first time.\n\n" +
			"With --dry-run, it compares another configuration with what is in force, for everybody who is known:\n" +
			"who would be locked out, let in, asked for more and asked for less. Nothing is changed.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := readConfig(configFile, c.ErrOrStderr())
			if err != nil {
				return err
			}
			knows := knowledgeOf(cfg)
			if noStore {
				knows = knowsNothing
			}
			if dryRunFile == "" {
				x.cfg, x.offered, x.now = cfg, cfg.Offered(), time.Now()
				if at != "" {
					if x.now, err = time.Parse(time.RFC3339, at); err != nil {
						return errors.New("--at: want a time such as 2026-03-30T08:00:00Z")
					}
				}
				return x.explain(c.Context(), c.OutOrStdout(), knows)
			}
			next, err := readConfig(dryRunFile, c.ErrOrStderr())
			if err != nil {
				return err
			}
			locked, err := dryRun(c.Context(), c.OutOrStdout(), knows, cfg, next, time.Now())
			if err == nil && fail && locked > 0 {
				err = errSilent
			}
			return err
		},
	}
	configFlag(cmd, &configFile)
	cmd.Flags().StringVar(&x.org, "org", "", "the organization's slug")
	cmd.Flags().StringVar(&x.email, "email", "", "the person's e-mail address")
	cmd.Flags().StringVar(&x.path, "path", "", "also judge a request for this path")
	cmd.Flags().StringVar(&x.method, "method", "GET", "the method of that request")
	cmd.Flags().StringVar(&x.ip, "ip", "", "the address that it comes from")
	cmd.Flags().StringVar(&x.country, "country", "", "the country that a trusted proxy says, such as DE")
	cmd.Flags().StringVar(&at, "at", "", "the time of it, such as 2026-03-30T08:00:00Z (default now)")
	cmd.Flags().BoolVar(&noStore, "no-store", false, "judge the configuration alone")
	cmd.Flags().StringVar(&dryRunFile, "dry-run", "", "compare this configuration with what is in force")
	cmd.Flags().BoolVar(&fail, "fail", false, "with --dry-run: exit with status 1 if somebody would be locked out")
	cmd.MarkFlagsOneRequired("org", "dry-run")
	cmd.MarkFlagsRequiredTogether("org", "email")
	for _, flag := range []string{"org", "email", "path", "no-store", "ip", "country", "at"} {
		cmd.MarkFlagsMutuallyExclusive(flag, "dry-run")
	}
	cmd.MarkFlagsMutuallyExclusive("org", "fail") // which would be about nothing
	return cmd
}

// explaining is what explain is asked.
type explaining struct {
	cfg                      *config.Config
	offered                  policy.Methods
	org, email, path, method string
	ip, country              string
	now                      time.Time
}

// maxOthers is how many ways beside the first are shown.
const maxOthers = 40

// explain takes the person in by every way, in a store that is thrown away, and tells of it.
func (x explaining) explain(ctx context.Context, w io.Writer, knows knowledge) (err error) {
	if x.email, err = tenancy.ParseEmail(x.email); err != nil {
		return fmt.Errorf("--email: %w", err)
	}
	if x.path != "" {
		if _, err := policy.CanonicalPath(x.path); err != nil {
			return fmt.Errorf("--path: %w", err)
		}
	}
	if x.ip != "" {
		if _, err := netip.ParseAddr(x.ip); err != nil {
			return fmt.Errorf("--ip: %q is no address", x.ip)
		}
	}
	said, ok := policy.Country(x.country)
	if x.country != "" && !ok {
		return fmt.Errorf("--country: want two letters, such as DE")
	}
	if x.path == "" && (x.ip != "" || x.country != "") {
		return errors.New("--ip and --country are of a request: --path says which")
	}
	x.country = said
	scratch, err := openScratch(ctx, knows, x.email)
	if err != nil {
		return fmt.Errorf("%w (--no-store judges the configuration alone)", err)
	}
	defer func() { err = errors.Join(err, scratch.Close()) }()
	if err := applyTo(ctx, scratch, x.cfg, x.now); err != nil {
		return err
	}

	var b strings.Builder
	err = scratch.View(ctx, func(tx store.Tx) error {
		who, err := x.describe(tx)
		b.Reset()
		b.WriteString(who)
		return err
	})
	if err != nil {
		return err
	}
	first, err := x.rehearse(ctx, scratch, nil)
	if err != nil {
		return err
	}
	for i, s := range first.said {
		fmt.Fprintf(&b, "%d. %s: %s\n", i+1, s.what, s.why)
	}
	others, left, err := x.others(ctx, scratch, first)
	if err != nil {
		return err
	}
	if len(others) > 0 {
		b.WriteString("Other ways:\n")
	}
	for _, o := range others {
		fmt.Fprintf(&b, "- %s\n", o)
	}
	if left {
		b.WriteString("- and more\n")
	}
	_, err = io.WriteString(w, b.String())
	return err
}

// others tells of all ways but the first, each in a line: each choice is made otherwise in turn,
// from the last one on.
func (x explaining) others(ctx context.Context, scratch *store.Store, first rehearsal) (lines []string, left bool, err error) {
	var branch func(from rehearsal, settled int) error
	branch = func(from rehearsal, settled int) error {
		for i := len(from.choices) - 1; i >= settled; i-- {
			for alternative := 1; alternative < from.choices[i].of; alternative++ {
				if len(lines) == maxOthers {
					left = true
					return nil
				}
				picks := make([]int, 0, i+1)
				for _, c := range from.choices[:i] {
					picks = append(picks, c.picked)
				}
				r, err := x.rehearse(ctx, scratch, append(picks, alternative))
				if err != nil {
					return err
				}
				lines = append(lines, r.brief())
				if err := branch(r, i+1); err != nil {
					return err
				}
			}
		}
		return nil
	}
	return lines, left, branch(first, 0)
}

// describe says who the person is to the organization.
func (x explaining) describe(tx store.Tx) (string, error) {
	o, err := x.organization(tx)
	if err != nil {
		return "", err
	}
	text := x.email + ": "
	u, err := tx.UserByEmail(x.email)
	known := err == nil
	if err != nil && !errors.Is(err, tenancy.ErrNotFound) {
		return "", err
	}
	m, err := tx.Membership(o.ID, u.ID)
	if err != nil && !errors.Is(err, tenancy.ErrNotFound) {
		return "", err
	}
	d, err := tx.VerifiedDomain(tenancy.EmailDomain(x.email))
	if err != nil && !errors.Is(err, tenancy.ErrNotFound) {
		return "", err
	}
	owner, err := tx.Organization(d.Organization)
	if err != nil && !errors.Is(err, tenancy.ErrNotFound) {
		return "", err
	}

	switch {
	case !known:
		text += "no account"
	case m.Status == policy.NoMember:
		text += "no member of " + x.org
	default:
		text += m.Status.String() + " member of " + x.org
		if d.Organization != o.ID {
			text += ", as a guest"
		}
		text += fmt.Sprintf(" (%s)", strings.Join(m.Roles, ", "))
	}
	if owner.ID != "" {
		text += fmt.Sprintf("; %s is a verified domain of %s", d.Name, owner.Slug)
	} else {
		text += fmt.Sprintf("; %s is nobody's verified domain", tenancy.EmailDomain(x.email))
	}
	if known {
		has, err := tx.Enrolled(u.ID)
		if err != nil {
			return "", err
		}
		text += "; has set up " + orNothing(has)
	}
	return text + ".\n", nil
}

func orNothing(ms policy.Methods) string {
	if ms == 0 {
		return "no factor"
	}
	return ms.String()
}

func (x explaining) organization(tx store.Tx) (tenancy.Organization, error) {
	o, err := tx.OrganizationBySlug(tenancy.Slug(x.org))
	if errors.Is(err, tenancy.ErrNotFound) {
		return o, fmt.Errorf("--org: there is no organization %q in the configuration", x.org)
	}
	return o, err
}
