package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/config"
	"github.com/orgate/orgate/domain"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

func domainCommand() *cobra.Command {
	c := commandsBelow("domain", "E-mail domains")
	var file, org, name string
	list := &cobra.Command{
		Use:   "list --config FILE --org SLUG",
		Short: "Show an organization's domains, and the DNS records that prove them",
		Long: "Shows the domains of an organization, how far the proof of each has come, and the record to set in the\n" +
			"DNS for those that are to be proved by it. It works while orgate runs or not.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			lines, err := askDomains(c.Context(), file, c.ErrOrStderr(), domainQuery{org: org})
			if err != nil {
				return err
			}
			return printDomains(c.OutOrStdout(), org, lines)
		},
	}
	verify := &cobra.Command{
		Use:   "verify --config FILE --org SLUG [--domain DOMAIN]",
		Short: "Look for the DNS records of an organization's domains now",
		Long: "Looks for the record of a domain now, or for those of all of the organization's domains that are to be\n" +
			"proved by DNS. One whose verification has failed begins anew. The exit status is 0 if all of them are\n" +
			"verified then. It works while orgate runs or not.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			lines, err := askDomains(c.Context(), file, c.ErrOrStderr(), domainQuery{org: org, domain: name, verify: true})
			if err != nil {
				return err
			}
			if err := printDomains(c.OutOrStdout(), org, lines); err != nil {
				return err
			}
			for _, l := range lines {
				if l.State != tenancy.DomainVerified {
					return errSilent
				}
			}
			return nil
		},
	}
	for _, below := range []*cobra.Command{list, verify} {
		configFlag(below, &file)
		below.Flags().StringVar(&org, "org", "", "the organization's slug")
		_ = below.MarkFlagRequired("org")
		c.AddCommand(below)
	}
	verify.Flags().StringVar(&name, "domain", "", "the domain; none given: all that are to be proved by DNS")
	return c
}

// A domainQuery is what is asked of an organization's domains.
type domainQuery struct {
	org    string
	domain string // empty: all
	verify bool
}

// A domainLine is a domain as it is shown.
type domainLine struct {
	Domain   string              `json:"domain"`
	State    tenancy.DomainState `json:"state"`
	Strategy string              `json:"strategy"`
	Record   string              `json:"record,omitzero"`
	Value    string              `json:"value,omitzero"`
	Checks   tenancy.Checks      `json:"checks,omitzero"`
	// Seen is what a look just now came to, in words.
	Seen string `json:"seen,omitzero"`
}

func lineOf(d tenancy.Domain) domainLine {
	l := domainLine{Domain: d.Name, State: d.State, Strategy: d.Strategy, Checks: d.Checks}
	if record, value, ok := d.Challenge(); ok && (d.State != tenancy.DomainVerified || d.Strategy == tenancy.StrategyDNS) {
		l.Record, l.Value = record, value
	}
	return l
}

// askDomains asks the store, or the process that has it.
func askDomains(ctx context.Context, file string, stderr io.Writer, q domainQuery) (lines []domainLine, err error) {
	cfg, err := readConfig(file, stderr)
	if err != nil {
		return nil, err
	}
	if q.domain != "" {
		if q.domain, err = tenancy.ParseDomain(q.domain); err != nil {
			return nil, fmt.Errorf("--domain: %w", err)
		}
	}
	err = withStore(ctx, cfg, func(s *store.Store) (err error) {
		lines, err = domainsOf(ctx, s, checker(s, cfg), q)
		return err
	})
	if !errors.Is(err, store.ErrLocked) {
		return lines, err
	}
	method, path := http.MethodGet, "/domains?"
	if q.verify {
		method, path = http.MethodPost, "/domains/verify?"
	}
	path += url.Values{"org": {q.org}, "domain": {q.domain}}.Encode()
	err = askRunning(ctx, string(cfg.Store.Badger.Dir), method, path, nil, func(body io.Reader) error {
		return json.NewDecoder(body).Decode(&lines)
	})
	return lines, err
}

// checker looks once, for a command.
func checker(s *store.Store, cfg *config.Config) *domain.Checker {
	return domain.New(domain.Options{Store: s, Look: prover(cfg).Look, Logger: slog.New(slog.DiscardHandler)})
}

// domainsHandler answers the command of another process. With a checker it looks.
func domainsHandler(s *store.Store, c *domain.Checker) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		q := domainQuery{org: r.URL.Query().Get("org"), domain: r.URL.Query().Get("domain"), verify: c != nil}
		lines, err := domainsOf(r.Context(), s, c, q)
		if err != nil {
			http.Error(w, err.Error(), http.StatusConflict) // to whom the store belongs
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(lines) // the other process has gone, if this fails
	}
}

// domainsOf answers q.
func domainsOf(ctx context.Context, s *store.Store, c *domain.Checker, q domainQuery) ([]domainLine, error) {
	var org tenancy.Organization
	var domains []tenancy.Domain
	err := s.View(ctx, func(tx store.Tx) (err error) {
		domains = nil
		org, err = tx.OrganizationBySlug(tenancy.Slug(q.org))
		if errors.Is(err, tenancy.ErrNotFound) {
			return fmt.Errorf("there is no organization %q in the store; serve writes those of the configuration to it at its start", q.org)
		}
		if err != nil {
			return err
		}
		if q.domain == "" {
			for d, err := range tx.Domains(org.ID) {
				if err != nil {
					return err
				}
				domains = append(domains, d)
			}
			return nil
		}
		d, err := tx.Domain(org.ID, q.domain)
		if errors.Is(err, tenancy.ErrNotFound) {
			return fmt.Errorf("%s has no domain %s: add it to the configuration first", q.org, q.domain)
		}
		domains = append(domains, d)
		return err
	})
	if err != nil {
		return nil, err
	}
	lines := make([]domainLine, 0, len(domains))
	for _, d := range domains {
		switch said := d.State == tenancy.DomainVerified && d.Strategy != tenancy.StrategyDNS; {
		case !q.verify, said && q.domain != "":
			lines = append(lines, lineOf(d))
		case said: // there is nothing to look for
		default:
			l, err := lookFor(ctx, c, org.ID, d.Name)
			if err != nil {
				return nil, err
			}
			lines = append(lines, l)
		}
	}
	return lines, nil
}

func lookFor(ctx context.Context, c *domain.Checker, org tenancy.OrgID, name string) (domainLine, error) {
	d, seen, err := c.Verify(ctx, org, name, audit.Actor{Type: "system", Name: "orgate domain verify"})
	if err != nil {
		return domainLine{}, fmt.Errorf("%s: %w", name, err)
	}
	l := lineOf(d)
	l.Seen = string(seen.Reason)
	if seen.Err != nil {
		l.Seen = strings.ReplaceAll(seen.Err.Error(), "\n", "; ")
	}
	return l, nil
}

// printDomains shows domains, and for each of them what there is to do.
func printDomains(w io.Writer, org string, lines []domainLine) error {
	if len(lines) == 0 {
		_, err := fmt.Fprintf(w, "%s has no domains to show\n", org)
		return err
	}
	for _, l := range lines {
		how := ""
		if l.State == tenancy.DomainVerified {
			how = map[string]string{tenancy.StrategyDNS: " by DNS", tenancy.StrategyManual: " by configuration"}[l.Strategy]
		}
		if _, err := fmt.Fprintf(w, "%s: %s%s\n", l.Domain, l.State, how); err != nil {
			return err
		}
		for _, row := range l.rows() {
			if row[1] == "" {
				continue
			}
			if _, err := fmt.Fprintf(w, "  %-12s%s\n", row[0], row[1]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l domainLine) rows() [][2]string {
	last := cmp.Or(l.Seen, l.Checks.LastReason)
	if at := stamp(l.Checks.LastAt); at != "" {
		last = at + ": " + last
	}
	rows := [][2]string{{"TXT record", l.Record}, {"value", l.Value}, {"last check", last}, {"next check", stamp(l.Checks.Next)}}
	if at := stamp(l.Checks.LapsesAt()); at != "" {
		rows = append(rows, [2]string{"lapses", at + ", unless the record is set again"})
	}
	if l.State == tenancy.DomainFailed {
		rows = append(rows, [2]string{"to go on", "set the record, then: orgate domain verify"})
	}
	return rows
}

// stamp writes a time; empty for none.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
