package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/sso"
	"github.com/orgate/orgate/sso/saml"
	"github.com/orgate/orgate/sso/upkeep"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

func samlCommand() *cobra.Command {
	c := commandsBelow("saml", "SAML connections")
	var file, org, conn string
	args := func() url.Values { return url.Values{"org": {org}, "connection": {conn}} }
	show := &cobra.Command{
		Use: "show --config FILE --org SLUG --connection NAME", Short: "Show what to type in at the provider, and what is known of it",
		Long: "Shows the addresses of a SAML connection that its provider's administrator needs, what is known of the\n" +
			"provider, and until when certificates are good. It works while orgate runs or not.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return sayOperation(c, file, "saml show", args()) },
	}
	test := &cobra.Command{
		Use: "test --config FILE --org SLUG --connection NAME", Short: "Try a SAML connection, and have each step explained",
		Long: "Prints an address to open in a browser, waits until the sign-in there has come to an end, and explains it\n" +
			"step by step: what was sent, what was received, what was accepted and why not. Nobody is signed in by it.\n" +
			"It asks the running orgate, on the same machine. The exit status is 0 if the sign-in would have worked.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return trySAML(c, file, args()) },
	}
	rotate := &cobra.Command{
		Use: "rotate-key --config FILE --org SLUG --connection NAME", Short: "Make another key pair for a connection",
		Long: "Makes another key pair with which orgate signs at a provider, and reads what is encrypted to it. It is in the\n" +
			"connection's metadata at once, and signs after 60 days, when the provider has had time to read it. The old\n" +
			"one is read and published until it ends. It works while orgate runs or not.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return rotateSAMLKey(c, file, args()) },
	}
	for _, below := range []*cobra.Command{show, test, rotate} {
		configFlag(below, &file)
		below.Flags().StringVar(&org, "org", "", "the organization's slug")
		below.Flags().StringVar(&conn, "connection", "", "the connection's name")
		_ = below.MarkFlagRequired("org")
		_ = below.MarkFlagRequired("connection")
		c.AddCommand(below)
	}
	return c
}

// sayOperation carries out an operation and prints what it says.
func sayOperation(c *cobra.Command, file, name string, args url.Values) error {
	cfg, err := readConfig(file, c.ErrOrStderr())
	if err != nil {
		return err
	}
	said, err := operate(c.Context(), cfg, name, args)
	if err != nil {
		return err
	}
	_, err = io.WriteString(c.OutOrStdout(), said)
	return err
}

// samlConnection returns the SAML connection that a command names, disabled or not.
func samlConnection(tx store.Tx, org, conn string) (tenancy.Organization, tenancy.Connection, error) {
	o, err := tx.OrganizationBySlug(tenancy.Slug(org))
	if errors.Is(err, tenancy.ErrNotFound) {
		return o, tenancy.Connection{}, fmt.Errorf("there is no organization %q", org)
	}
	if err != nil {
		return o, tenancy.Connection{}, err
	}
	for c, err := range tx.Connections(o.ID) {
		if err != nil {
			return o, c, err
		}
		if c.Name == conn && c.SAML != nil {
			return o, c, nil
		}
	}
	return o, tenancy.Connection{}, fmt.Errorf("%s has no SAML connection %q", org, conn)
}

func showSAML(tx store.Tx, o operating, args url.Values) (string, error) {
	org, c, err := samlConnection(tx, args.Get("org"), args.Get("connection"))
	if err != nil {
		return "", err
	}
	s, err := tx.SAMLState(c.Organization, c.ID)
	if err != nil && !errors.Is(err, tenancy.ErrNotFound) {
		return "", err
	}
	var b strings.Builder
	line := func(name, format string, a ...any) { fmt.Fprintf(&b, "%-22s %s\n", name, fmt.Sprintf(format, a...)) }
	if c.Disabled {
		line("state", "disabled")
	}
	b.WriteString("For the provider's administrator\n")
	line("  entity id", "%s", sso.SAMLAddress(o.public.String(), org, c, "metadata"))
	line("  ACS, POST", "%s", sso.SAMLAddress(o.public.String(), org, c, "acs"))
	line("  single logout", "%s", sso.SAMLAddress(o.public.String(), org, c, "slo"))
	line("  metadata", "%s", sso.SAMLAddress(o.public.String(), org, c, "metadata"))
	for i, k := range tenancy.SAMLKeys(s, o.now) {
		what := "published; encrypt to it or to the other"
		if i == 0 {
			what = "signs"
		}
		line("  our certificate", "%s, ends %s (%s)", fingerprint(k.Certificate), k.ExpiresAt.Format(time.DateOnly), what)
	}
	b.WriteString("The provider\n")
	p, ok := tenancy.KnownSAML(*c.SAML, s, o.now)
	if c.SAML.MetadataURL != "" {
		line("  metadata_url", "%s", c.SAML.MetadataURL)
		if !s.FetchedAt.IsZero() {
			line("  last good", "%s", s.FetchedAt.Format(time.RFC3339))
		}
		if s.Fault != "" {
			line("  FAULT", "%s, since %s", s.Fault, s.FaultSince.Format(time.RFC3339))
		}
	}
	if !ok {
		line("  not known", "nobody can sign in by this connection yet")
		return b.String(), nil
	}
	line("  entity id", "%s", p.EntityID)
	for _, e := range p.SSO {
		line("  sign-in, "+e.Binding, "%s", e.URL)
	}
	for _, e := range p.SLO {
		line("  logout, "+e.Binding, "%s", e.URL)
	}
	for _, cert := range p.Certificates {
		ends := "ends " + cert.NotAfter.Format(time.DateOnly)
		if cert.NotAfter.Before(o.now) {
			ends = "ENDED " + cert.NotAfter.Format(time.DateOnly) + ", its key is still accepted"
		}
		line("  certificate", "%s, %s", fingerprint(cert.DER), ends)
	}
	return b.String(), nil
}

// fingerprint is what people compare certificates by.
func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return fmt.Sprintf("SHA-256 %x…", sum[:8])
}

// rotateSAMLKey makes another key, at the running orgate or by itself.
func rotateSAMLKey(c *cobra.Command, file string, args url.Values) error {
	cfg, err := readConfig(file, c.ErrOrStderr())
	if err != nil {
		return err
	}
	ctx := c.Context()
	var said string
	err = withStore(ctx, cfg, func(s *store.Store) error {
		box, err := openBox(cfg)
		if err != nil {
			return err
		}
		said, err = newSAMLKey(ctx, s, upkeep.New(upkeep.Options{Store: s, Box: box}), args)
		return err
	})
	if errors.Is(err, store.ErrLocked) {
		err = askRunning(ctx, string(cfg.Store.Badger.Dir), http.MethodPost, "/saml/key", args, func(body io.Reader) error {
			b, err := io.ReadAll(io.LimitReader(body, maxOperation))
			said = string(b)
			return err
		})
	}
	if err != nil {
		return err
	}
	_, err = io.WriteString(c.OutOrStdout(), said)
	return err
}

func newSAMLKey(ctx context.Context, s *store.Store, k *upkeep.Keeper, args url.Values) (string, error) {
	var c tenancy.Connection
	err := s.View(ctx, func(tx store.Tx) (err error) {
		_, c, err = samlConnection(tx, args.Get("org"), args.Get("connection"))
		return err
	})
	if err != nil {
		return "", err
	}
	state, err := k.NewKey(ctx, c, true, audit.Actor{Type: "system", Name: "orgate saml rotate-key"})
	if errors.Is(err, tenancy.ErrState) {
		return "", errors.New("the key that was made last does not sign yet: another one now would have the provider miss it")
	}
	if err != nil {
		return "", err
	}
	newest := state.Keys[len(state.Keys)-1]
	return fmt.Sprintf("%s is published in the connection's metadata now, and signs from %s on\n",
		fingerprint(newest.Certificate), newest.CreatedAt.Add(tenancy.SAMLKeyNotice).Format(time.DateOnly)), nil
}

func (g *gateway) serveSAMLKey(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxOperation)
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	said, err := newSAMLKey(r.Context(), g.store, g.saml, r.PostForm)
	if err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	_, _ = io.WriteString(w, said) // who asked is gone, and it is done all the same
}

// A startedTrial is a test sign-in that was begun.
type startedTrial struct{ ID, URL string }

func (g *gateway) serveStartTrial(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxOperation)
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	id, to, err := g.front.Load().signIn.StartTrial(r.Context(), r.PostForm.Get("org"), r.PostForm.Get("connection"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	_ = json.NewEncoder(w).Encode(startedTrial{id, to}) // who asked is gone
}

func (g *gateway) serveTrial(w http.ResponseWriter, r *http.Request) {
	report, err := g.front.Load().signIn.Trial(r.PathValue("id"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	_ = json.NewEncoder(w).Encode(report) // who asked is gone
}

// trySAML begins a test sign-in and tells how it goes.
func trySAML(c *cobra.Command, file string, args url.Values) error {
	cfg, err := readConfig(file, c.ErrOrStderr())
	if err != nil {
		return err
	}
	if cfg.Store.Badger == nil {
		return errors.New("a test sign-in needs the embedded store: with PostgreSQL, which replica the browser comes to is not known")
	}
	ctx, dir := c.Context(), string(cfg.Store.Badger.Dir)
	var started startedTrial
	err = askRunning(ctx, dir, http.MethodPost, "/saml/test", args, func(body io.Reader) error { return json.NewDecoder(body).Decode(&started) })
	if err != nil {
		return err
	}
	out := c.OutOrStdout()
	if _, err := fmt.Fprintf(out, "Open this in a browser and sign in at the provider:\n\n  %s\n\n", started.URL); err != nil {
		return err
	}
	tick := time.NewTicker(time.Second / 2)
	defer tick.Stop()
	var last saml.Step
	for told := 0; ; {
		var report sso.TrialReport
		err := askRunning(ctx, dir, http.MethodGet, "/saml/test/"+url.PathEscape(started.ID), nil, func(body io.Reader) error { return json.NewDecoder(body).Decode(&report) })
		if err != nil {
			return err
		}
		for ; told < len(report.Steps); told++ {
			last = report.Steps[told]
			if _, err := fmt.Fprintln(out, last.String()); err != nil {
				return err
			}
		}
		if report.Done {
			break
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
	if !last.OK {
		return errSilent
	}
	_, err = fmt.Fprintln(out, "\nThe sign-in would have worked. Nobody was signed in by this test.")
	return err
}
