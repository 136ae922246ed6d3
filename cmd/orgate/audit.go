package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/orgate/orgate/audit/reader"
	"github.com/orgate/orgate/audit/trail"
	"github.com/orgate/orgate/audit/writer"
	"github.com/orgate/orgate/config"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// auditLogs is what writes them, beside the proxy.
func (g *gateway) auditLogs() *writer.Writer {
	return &writer.Writer{Store: g.store, Logger: g.log, Days: func() int { return g.config().Audit.RetentionDays }}
}

// auditWhat are the things that can be asked of audit logs. None changes anything.
func auditWhat() map[string]func(context.Context, *store.Store, url.Values, io.Writer) error {
	return map[string]func(context.Context, *store.Store, url.Values, io.Writer) error{"list": listAudit, "export": exportAudit, "verify": verifyAudit}
}

// askAudit asks the store or, if it has it, the running orgate, and writes what comes to out.
func askAudit(ctx context.Context, c *config.Config, what string, args url.Values, out io.Writer) error {
	err := withStore(ctx, c, func(s *store.Store) error { return auditWhat()[what](ctx, s, args, out) })
	if errors.Is(err, store.ErrLocked) {
		return askRunning(ctx, string(c.Store.Badger.Dir), http.MethodPost, "/audit/"+what, args, func(body io.Reader) error {
			_, err := io.Copy(out, body)
			return err
		})
	}
	return err
}

// serveAudit answers what a command on this machine asks.
func (g *gateway) serveAudit(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxOperation)
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	ask, ok := auditWhat()[r.PathValue("what")]
	if !ok {
		http.Error(w, "no such thing", http.StatusNotFound)
		return
	}
	out := &begun{w: w}
	switch err := ask(r.Context(), g.store, r.PostForm, out); {
	case err == nil:
	case !out.written:
		http.Error(w, err.Error(), http.StatusConflict)
	default:
		g.log.ErrorContext(r.Context(), "audit log", "cause", err)
		panic(http.ErrAbortHandler) // cut off, so that it is not taken for whole
	}
}

// begun notes whether anything was written.
type begun struct {
	w       io.Writer
	written bool
}

// Write implements [io.Writer].
func (b *begun) Write(p []byte) (int, error) {
	b.written = b.written || len(p) > 0
	return b.w.Write(p)
}

// selection are the flags that say which entries are meant.
type selection struct {
	org, since, until                  string
	installation                       bool
	actions, actors, actorIDs, targets []string
}

func (s *selection) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&s.org, "org", "", "the organization, by slug")
	f.BoolVar(&s.installation, "installation", false, "what is of no organization: keys, roles of all, sign-in by a person")
	f.StringVar(&s.since, "since", "", "what happened at this time or later, such as 2026-05-01T00:00:00Z or 2026-05-01")
	f.StringVar(&s.until, "until", "", "what happened before this time")
	f.StringSliceVar(&s.actions, "action", nil, "an action, such as session.created; may be repeated")
	f.StringSliceVar(&s.actorIDs, "actor-id", nil, "the id of who did it; may be repeated")
	f.StringSliceVar(&s.actors, "actor", nil, "the name of who did it; may be repeated")
	f.StringSliceVar(&s.targets, "target", nil, "the type or id of what it was done to; may be repeated")
	c.MarkFlagsMutuallyExclusive("org", "installation")
	c.MarkFlagsOneRequired("org", "installation")
}

func (s *selection) values() (url.Values, error) {
	if s.org == "" && !s.installation { // of a variable that is empty, say
		return nil, errors.New("--org: want the slug of an organization")
	}
	v := url.Values{"org": {s.org}, "action": s.actions, "actor": s.actors, "actor_id": s.actorIDs, "target": s.targets}
	for name, text := range map[string]string{"since": s.since, "until": s.until} {
		if text == "" {
			continue
		}
		t, err := momentOf(text)
		if err != nil {
			return nil, fmt.Errorf("--%s: %w", name, err)
		}
		v.Set(name, t.Format(time.RFC3339Nano))
	}
	return v, nil
}

func momentOf(s string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time such as 2026-05-01T00:00:00Z or 2026-05-01", s)
}

func auditCommand() *cobra.Command {
	var file, format, out string
	var asJSON bool
	var limit int
	var chosen selection
	ask := func(c *cobra.Command, what string, args url.Values, to io.Writer) error {
		cfg, err := readConfig(file, c.ErrOrStderr())
		if err != nil {
			return err
		}
		return askAudit(c.Context(), cfg, what, args, to)
	}
	list := &cobra.Command{
		Use: "list --config FILE {--org SLUG | --installation}", Short: "Show what happened, the newest first", Args: cobra.NoArgs,
		Long: "Shows entries of an audit log, the newest first. It works while orgate runs or not.",
		RunE: func(c *cobra.Command, _ []string) error {
			args, err := chosen.values()
			if err != nil {
				return err
			}
			if limit < 1 {
				return errors.New("--limit: want 1 or more")
			}
			args.Set("limit", strconv.Itoa(limit))
			if asJSON {
				args.Set("json", "true")
			}
			return ask(c, "list", args, c.OutOrStdout())
		},
	}
	chosen.flags(list)
	list.Flags().IntVar(&limit, "limit", 50, "how many")
	list.Flags().BoolVar(&asJSON, "json", false, "as JSON, one entry on a line, with all that it says")

	export := &cobra.Command{
		Use: "export --config FILE {--org SLUG | --installation} [--format csv|json] [--out FILE]", Short: "Write a log, the oldest entry first", Args: cobra.NoArgs,
		Long: "Writes an audit log, the oldest entry first: as CSV with a header, in which what a spreadsheet would take\nfor a formula begins with an apostrophe, or as JSON, one entry on a line. It works while orgate runs or not.",
		RunE: func(c *cobra.Command, _ []string) error {
			args, err := chosen.values()
			if err != nil {
				return err
			}
			if format != "csv" && format != "json" {
				return fmt.Errorf("--format: %q is neither csv nor json", format)
			}
			args.Set("format", format)
			if out == "-" {
				return ask(c, "export", args, c.OutOrStdout())
			}
			return replaceFile(out, func(w io.Writer) error { return ask(c, "export", args, w) })
		},
	}
	chosen.flags(export)
	export.Flags().StringVar(&format, "format", "csv", "csv or json")
	export.Flags().StringVarP(&out, "out", "o", "-", "the file to write; - is standard output")

	var org string
	var heads []string
	verify := &cobra.Command{
		Use: "verify --config FILE [--org SLUG] [--head NUMBER:HASH]", Short: "Prove that no entry is missing or changed", Args: cobra.NoArgs,
		Long: "Reads the audit log of an organization, or all of them and the installation's, and checks that each entry is as it was\n" +
			"written and follows the one before it. It prints the head of each log, or the first entry that is wrong, and then exits with\n" +
			"status 1. Keep heads elsewhere and give them to --head later: so also an end that was cut off, or a log that was made\n" +
			"anew as a whole, is found. It works while orgate runs or not.",
		RunE: func(c *cobra.Command, _ []string) error {
			if len(heads) > 0 && org == "" {
				return errors.New("--head is of one log: name its organization with --org, or say --org installation")
			}
			for _, h := range heads {
				if _, err := parseHead(h); err != nil {
					return err
				}
			}
			var said strings.Builder
			if err := ask(c, "verify", url.Values{"org": {org}, "head": heads}, &said); err != nil {
				return err
			}
			return reportAudit(c.OutOrStdout(), said.String(), asJSON)
		},
	}
	verify.Flags().StringVar(&org, "org", "", "the organization, by slug, or installation; none given: all")
	verify.Flags().StringSliceVar(&heads, "head", nil, "an entry that was there, NUMBER:HASH as verify printed it; may be repeated")
	verify.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	for _, c := range []*cobra.Command{list, export, verify} {
		configFlag(c, &file)
	}
	return commandsBelow("audit", "Audit logs: who did what", list, export, verify)
}

func parseHead(s string) (trail.Anchor, error) {
	number, hash, _ := strings.Cut(s, ":")
	n, err := strconv.ParseUint(number, 10, 64)
	h, err2 := trail.ParseHash(hash)
	if err != nil || err2 != nil || n == 0 {
		return trail.Anchor{}, fmt.Errorf("--head: %q is not a head as orgate audit verify prints it: a number, a colon and 64 hexadecimal digits", s)
	}
	return trail.Anchor{Sequence: n, Hash: h}, nil
}

// logNamed returns the log of an organization; of none, the installation's.
func logNamed(ctx context.Context, s *store.Store, slug string) (l trail.Log, err error) {
	if slug == "" {
		return trail.Installation, nil
	}
	err = s.View(ctx, func(tx store.Tx) error {
		o, err := organizationOf(tx, slug)
		l = trail.LogOf(o.ID)
		return err
	})
	return l, err
}

// chosenEntries are the entries that args mean.
func chosenEntries(ctx context.Context, s *store.Store, args url.Values, newest bool) (iter.Seq2[trail.Entry, error], error) {
	l, err := logNamed(ctx, s, args.Get("org"))
	if err != nil {
		return nil, err
	}
	f := trail.Filter{Actions: args["action"], ActorIDs: args["actor_id"], ActorNames: args["actor"], Targets: args["target"]}
	for name, t := range map[string]*time.Time{"since": &f.Start, "until": &f.End} {
		if text := args.Get(name); text != "" {
			if *t, err = momentOf(text); err != nil {
				return nil, err
			}
		}
	}
	return reader.Entries(ctx, s, l, f, newest), nil
}

func listAudit(ctx context.Context, s *store.Store, args url.Values, out io.Writer) error {
	entries, err := chosenEntries(ctx, s, args, true)
	if err != nil {
		return err
	}
	limit, err := strconv.Atoi(args.Get("limit"))
	if err != nil {
		return err
	}
	some := func(yield func(trail.Entry, error) bool) {
		n := 0
		for e, err := range entries {
			if !yield(e, err) {
				return
			}
			if n++; n == limit {
				return
			}
		}
	}
	if args.Get("json") != "" {
		return reader.WriteJSON(out, some)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NUMBER\tTIME\tACTION\tWHO\tWHAT\tFROM")
	for e, err := range some {
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\n", e.Sequence, e.OccurredAt.UTC().Format(time.RFC3339), printable(e.Action), printable(whoDid(e)), printable(whatTo(e)), printable(e.Context.Location))
	}
	return w.Flush()
}

func whoDid(e trail.Entry) string {
	switch {
	case e.Actor.Name != "" && e.Actor.ID != e.Actor.Type:
		return e.Actor.Name + " (" + e.Actor.ID + ")"
	case e.Actor.Name != "":
		return e.Actor.Name
	}
	return e.Actor.ID
}

func whatTo(e trail.Entry) string {
	var all []string
	for _, t := range e.Targets {
		if t.Name != "" {
			all = append(all, t.Type+" "+t.Name)
		} else {
			all = append(all, t.Type+" "+t.ID)
		}
	}
	if rule := e.Metadata["rule"].String(); rule != "" {
		all = append(all, "rule "+rule)
	}
	return strings.Join(all, ", ")
}

// printable keeps what others have typed from moving the cursor, or the columns.
func printable(s string) string {
	quoted := strconv.Quote(s)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}

func exportAudit(ctx context.Context, s *store.Store, args url.Values, out io.Writer) error {
	entries, err := chosenEntries(ctx, s, args, false)
	if err != nil {
		return err
	}
	if args.Get("format") == "json" {
		return reader.WriteJSON(out, entries)
	}
	return reader.WriteCSV(out, entries)
}

// An auditReport is what verify found.
type auditReport struct {
	Logs []auditLine `json:"logs"`
	// Waiting is how many events are in no log yet, up to a thousand.
	Waiting int `json:"waiting"`
}

type auditLine struct {
	reader.Report
	Name string `json:"name"` // the organization's slug
}

const maxPending = 1000

func verifyAudit(ctx context.Context, s *store.Store, args url.Values, out io.Writer) error {
	var pins []trail.Anchor
	for _, h := range args["head"] {
		p, err := parseHead(h)
		if err != nil {
			return err
		}
		pins = append(pins, p)
	}
	logs, err := reader.Logs(ctx, s)
	if err != nil {
		return err
	}
	if slug := args.Get("org"); slug != "" {
		if slug == string(trail.Installation) { // an organization of that slug is among all of them
			slug = ""
		}
		l, err := logNamed(ctx, s, slug)
		if err != nil {
			return err
		}
		logs = []trail.Log{l}
	}
	report := auditReport{Logs: []auditLine{}}
	for _, l := range logs {
		r, err := reader.Verify(ctx, s, l, pins...)
		if err != nil {
			return err
		}
		line := auditLine{r, string(l)}
		err = s.View(ctx, func(tx store.Tx) error {
			o, err := tx.Organization(tenancy.OrgID(l))
			if err == nil {
				line.Name = string(o.Slug)
			} else if errors.Is(err, tenancy.ErrNotFound) {
				err = nil
			}
			return err
		})
		if err != nil {
			return err
		}
		report.Logs = append(report.Logs, line)
	}
	if report.Waiting, err = reader.Waiting(ctx, s, maxPending); err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(report)
}

// reportAudit prints what verify found. What is wrong is an error that has been said.
func reportAudit(out io.Writer, said string, asJSON bool) error {
	var report auditReport
	if err := json.Unmarshal([]byte(said), &report); err != nil {
		return fmt.Errorf("the running orgate is of another version: %w", err)
	}
	wrong := slices.ContainsFunc(report.Logs, func(l auditLine) bool { return l.Fault != "" })
	if asJSON {
		if _, err := io.WriteString(out, said); err != nil {
			return err
		}
	} else if err := printReport(out, report); err != nil {
		return err
	}
	if wrong {
		return errSilent
	}
	return nil
}

func printReport(out io.Writer, report auditReport) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, l := range report.Logs {
		switch {
		case l.Fault != "":
			fmt.Fprintf(w, "%s\tWRONG\tentry %d: %s\n", l.Name, l.At, l.Fault)
		case l.Entries == 0:
			fmt.Fprintf(w, "%s\tright\tno entries\n", l.Name)
		default:
			fmt.Fprintf(w, "%s\tright\tentries %d to %d\thead %s\n", l.Name, l.First, l.Head.Sequence, l.Head)
		}
		for _, n := range l.Unknown {
			fmt.Fprintf(w, "%s\t\tof entry %d, which --head names, nothing can be said: retention has removed it\n", l.Name, n)
		}
	}
	if report.Waiting > 0 {
		more := ""
		if report.Waiting >= maxPending {
			more = " or more"
		}
		fmt.Fprintf(w, "in no log yet: %s%s; orgate serve writes them\n", counted(report.Waiting, "event"), more)
	}
	return w.Flush()
}
