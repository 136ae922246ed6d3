package main

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/audit/hook"
	"github.com/orgate/orgate/audit/webhook"
	"github.com/orgate/orgate/config"
	"github.com/orgate/orgate/internal/egress"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// webhooks is what delivers them, beside the proxy.
func (g *gateway) webhooks() *webhook.Deliverer {
	return &webhook.Deliverer{
		Store: g.store, Box: g.box, Client: g.hooks.HTTP, UserAgent: "orgate/" + version,
		Logger: g.log, Count: g.metrics.Webhook, Grace: g.config().Limits.DrainTimeout,
	}
}

// newWebhookClient returns the client that calls receivers: as guarded as every other.
func newWebhookClient(c *config.Config, roots *x509.CertPool) *egress.Client {
	o := egressOptions(c, roots)
	o.Timeout, o.MaxBody = webhook.Timeout, webhook.MaxAnswer
	return egress.New(o)
}

// webhooksWaiting is a gauge.
func (g *gateway) webhooksWaiting() float64 {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	n, err := webhook.Backlog(ctx, g.store, 10_000)
	if err != nil {
		return math.NaN()
	}
	return float64(n)
}

func webhookCommand() *cobra.Command {
	var file, to, id, event, since string
	var events []string
	var all, asJSON, verbose bool
	command := func(use, short, long string, args func() (url.Values, error)) *cobra.Command {
		name, _, _ := strings.Cut(use, " ")
		c := &cobra.Command{
			Use: use, Short: short, Long: long + "It works while orgate runs or not.", Args: cobra.NoArgs,
			RunE: func(c *cobra.Command, _ []string) error {
				values, err := args()
				if err != nil {
					return err
				}
				cfg, err := readConfig(file, c.ErrOrStderr())
				if err != nil {
					return err
				}
				said, err := operate(c.Context(), cfg, "webhook "+name, values)
				if err != nil {
					return err
				}
				_, err = fmt.Fprint(c.OutOrStdout(), said)
				return err
			},
		}
		configFlag(c, &file)
		return c
	}
	byID := func() (url.Values, error) { return url.Values{"id": {id}}, nil }

	create := command("create --config FILE --url URL --event NAME …", "Have events sent to a URL",
		"Makes an endpoint for what happens from now on, and shows the secret that it can verify webhooks by. The\nsecret is not shown again. See docs/events.md for the names of events.\n",
		func() (url.Values, error) {
			if all {
				events = audit.Subscribable()
			}
			if len(events) == 0 {
				return nil, errors.New("--event: name the events to be sent, or say --all-events")
			}
			return url.Values{"url": {to}, "event": events}, nil
		})
	create.Flags().StringVar(&to, "url", "", "the URL of the endpoint")
	create.Flags().StringSliceVar(&events, "event", nil, "the name of an event; may be repeated")
	create.Flags().BoolVar(&all, "all-events", false, "all events that there are now")
	_ = create.MarkFlagRequired("url")
	create.MarkFlagsMutuallyExclusive("event", "all-events")

	list := command("list --config FILE", "Show the endpoints, and what waits for them",
		"Shows the endpoints, how long each has been failing, and how many webhooks wait for it.\n",
		func() (url.Values, error) {
			v := url.Values{}
			if asJSON {
				v.Set("json", "true")
			}
			if verbose {
				v.Set("verbose", "true")
			}
			return v, nil
		})
	list.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	list.Flags().BoolVar(&verbose, "verbose", false, "and the first hundred webhooks that wait for each, with the tries that failed")
	list.MarkFlagsMutuallyExclusive("json", "verbose")

	enable := command("enable --config FILE --id ID", "Send to an endpoint again", "Has what waits sent, and what happens from now on.\n", byID)
	disable := command("disable --config FILE --id ID", "Send nothing to an endpoint", "Has nothing sent. What waits then waits until the endpoint is enabled; what happens meanwhile is not sent.\n", byID)
	rotate := command("rotate --config FILE --id ID", "Give an endpoint a new secret", "Shows the new secret. For a day, webhooks are signed with both.\n", byID)
	remove := command("delete --config FILE --id ID", "End an endpoint", "Ends it, and whatever waits for it.\n", byID)
	redeliver := command("redeliver --config FILE --id ID {--event EVENT | --since TIME}", "Send events to an endpoint again",
		"Sends one event again, or all that the endpoint is subscribed to since a time, as long as they are kept.\n",
		func() (url.Values, error) {
			if since != "" {
				if _, err := time.Parse(time.RFC3339, since); err != nil {
					return nil, fmt.Errorf("--since: %q is not a time such as 2026-05-01T00:00:00Z", since)
				}
			}
			return url.Values{"id": {id}, "event": {event}, "since": {since}}, nil
		})
	redeliver.Flags().StringVar(&event, "event", "", "the id of an event")
	redeliver.Flags().StringVar(&since, "since", "", "a time, such as 2026-05-01T00:00:00Z")
	redeliver.MarkFlagsMutuallyExclusive("event", "since")
	redeliver.MarkFlagsOneRequired("event", "since")
	for _, c := range []*cobra.Command{enable, disable, rotate, remove, redeliver} {
		c.Flags().StringVar(&id, "id", "", "the endpoint, we_…")
		_ = c.MarkFlagRequired("id")
	}
	return commandsBelow("webhook", "Webhooks: events that are sent to an app", create, list, enable, disable, rotate, remove, redeliver)
}

// explainWebhook says what to do about an error.
func explainWebhook(err error, args url.Values) error {
	switch {
	case errors.Is(err, tenancy.ErrNotFound):
		if args.Get("event") != "" {
			return fmt.Errorf("there is no endpoint %q, or no event %q any more", args.Get("id"), args.Get("event"))
		}
		return fmt.Errorf("there is no endpoint %q: see orgate webhook list", args.Get("id"))
	case errors.Is(err, hook.ErrURL):
		return fmt.Errorf("--url: %w; http, and addresses that are not public, only as egress in the configuration allows", err)
	case errors.Is(err, hook.ErrEvent):
		return fmt.Errorf("--event: %w", err)
	case errors.Is(err, hook.ErrDuplicate):
		return fmt.Errorf("--url: %w", err)
	default:
		return err
	}
}

func createWebhook(tx store.Tx, o operating, args url.Values) (string, error) {
	to := args.Get("url")
	e, secret, err := hook.Create(tx, o.webhooks, hook.Wish{URL: &to, Events: args["event"]}, o.by, o.now)
	if err != nil {
		return "", explainWebhook(err, args)
	}
	return fmt.Sprintf("%s\nsecret: %s\n", e.ID, secret), nil
}

func enableWebhook(tx store.Tx, o operating, args url.Values) (string, error) {
	return "", setWebhook(tx, o, args, false)
}

func disableWebhook(tx store.Tx, o operating, args url.Values) (string, error) {
	return "", setWebhook(tx, o, args, true)
}

func setWebhook(tx store.Tx, o operating, args url.Values, disabled bool) error {
	_, err := hook.Update(tx, o.webhooks, hook.ID(args.Get("id")), hook.Wish{Disabled: &disabled}, o.by, o.now)
	return explainWebhook(err, args)
}

func rotateWebhook(tx store.Tx, o operating, args url.Values) (string, error) {
	_, secret, err := hook.Rotate(tx, o.webhooks, hook.ID(args.Get("id")), "", o.by, o.now)
	if err != nil {
		return "", explainWebhook(err, args)
	}
	return fmt.Sprintf("secret: %s\n", secret), nil
}

func deleteWebhook(tx store.Tx, o operating, args url.Values) (string, error) {
	return "", explainWebhook(hook.Delete(tx, o.webhooks, hook.ID(args.Get("id")), o.by, o.now), args)
}

func redeliverWebhooks(tx store.Tx, o operating, args url.Values) (string, error) {
	id := hook.ID(args.Get("id"))
	if event := args.Get("event"); event != "" {
		return "", explainWebhook(hook.Redeliver(tx, id, event, o.now), args)
	}
	since, err := time.Parse(time.RFC3339, args.Get("since"))
	if err != nil {
		return "", fmt.Errorf("--since: %q is not a time", args.Get("since"))
	}
	return "", explainWebhook(hook.RedeliverSince(tx, id, since, o.now), args)
}

// A webhookLine is an endpoint as list shows it.
type webhookLine struct {
	hook.Object
	Managed bool `json:"managed_by_config"`
	// Waiting is how many webhooks wait, up to a thousand.
	Waiting      int       `json:"waiting"`
	FailingSince time.Time `json:"failing_since,omitzero"`
}

const (
	maxWaiting = 1000
	maxShown   = 100
)

func listWebhooks(tx store.Tx, _ operating, args url.Values) (string, error) {
	es, err := hook.List(tx)
	if err != nil {
		return "", err
	}
	lines := []webhookLine{}
	var out strings.Builder
	for _, e := range es {
		l := webhookLine{Object: e.Object(), Managed: e.Managed}
		if h, err := tx.WebhookHealth(e.ID); err == nil {
			l.FailingSince = h.FailingSince
		} else if !errors.Is(err, tenancy.ErrNotFound) {
			return "", err
		}
		var waiting strings.Builder
		for d, err := range tx.WebhookDeliveries(e.ID) {
			if err != nil {
				return "", err
			}
			if l.Waiting < maxShown {
				showDelivery(&waiting, d)
			}
			if l.Waiting++; l.Waiting == maxWaiting {
				break
			}
		}
		lines = append(lines, l)
		fmt.Fprintf(&out, "%s: %s\n  url      %s\n  events   %s\n  waiting  %d\n", l.ID, l.Status, l.URL, strings.Join(l.Events, " "), l.Waiting)
		if l.Managed {
			out.WriteString("  managed  by the configuration\n")
		}
		if !l.FailingSince.IsZero() {
			fmt.Fprintf(&out, "  failing  since %s\n", l.FailingSince.UTC().Format(time.RFC3339))
		}
		if args.Get("verbose") != "" {
			out.WriteString(waiting.String())
		}
	}
	if args.Get("json") != "" {
		b, err := json.MarshalIndent(lines, "", "  ")
		return string(b) + "\n", err
	}
	if len(es) == 0 {
		return "there are no webhook endpoints\n", nil
	}
	return out.String(), nil
}

func showDelivery(out *strings.Builder, d hook.Delivery) {
	fmt.Fprintf(out, "  %s %s, next try %s\n", d.Event, d.Name, d.Due.UTC().Format(time.RFC3339))
	for i, a := range d.Attempts {
		fmt.Fprintf(out, "    try %d  %s  %s", i+1, a.At.UTC().Format(time.RFC3339), a.Error)
		if a.Status != 0 {
			fmt.Fprintf(out, " %d", a.Status)
		}
		fmt.Fprintf(out, " after %s\n", a.Took.Round(time.Millisecond))
	}
}
