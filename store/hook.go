package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"time"

	"github.com/orgate/orgate/audit/hook"
	"github.com/orgate/orgate/tenancy"
)

// What webhooks have beside their endpoints and deliveries, by the first field of the key.
const (
	hookHealth   = "health"
	hookReplay   = "replay"
	hookPosition = "position"
	hookLease    = "lease"
)

func webhookEndpoints() table[hook.Endpoint] {
	return table[hook.Endpoint]{
		kind: kindWebhook, name: "webhook endpoint",
		fields: func(e hook.Endpoint) []string { return []string{string(e.ID)} },
		indexes: func(e hook.Endpoint) []index {
			if e.Deleted {
				return nil
			}
			return []index{{kindWebhookURL, []string{e.URL}, true}}
		},
	}
}

func webhookDeliveries() table[hook.Delivery] {
	return table[hook.Delivery]{
		kind: kindWebhookDelivery, name: "webhook delivery",
		fields: func(d hook.Delivery) []string { return []string{string(d.Endpoint), position(d.Position)} },
		indexes: func(d hook.Delivery) []index {
			return []index{{kindWebhookDue, []string{string(d.Endpoint), sortable(d.Due), position(d.Position)}, false}}
		},
		expires: func(d hook.Delivery) time.Time { return d.At.Add(EventLife) },
	}
}

func webhookHealths() table[hook.Health] {
	return table[hook.Health]{
		kind: kindWebhookState, name: "health of a webhook endpoint",
		fields: func(h hook.Health) []string { return []string{hookHealth, string(h.Endpoint)} },
	}
}

func webhookReplays() table[hook.Replay] {
	return table[hook.Replay]{
		kind: kindWebhookState, name: "redelivery of webhooks",
		fields: func(r hook.Replay) []string { return []string{hookReplay, string(r.Endpoint)} },
	}
}

func webhookLease() table[hook.Lease] {
	return table[hook.Lease]{
		kind: kindWebhookState, name: "lease of webhooks",
		fields: func(hook.Lease) []string { return []string{hookLease} },
	}
}

func webhookPosition() table[uint64] {
	return table[uint64]{
		kind: kindWebhookState, name: "position of webhooks",
		fields: func(uint64) []string { return []string{hookPosition} },
	}
}

// position writes a position so that texts sort as positions do.
func position(n uint64) string { return fmt.Sprintf("%020s", strconv.FormatUint(n, 10)) }

func (t *tx) WebhookEndpoint(id hook.ID) (hook.Endpoint, error) {
	return get(t, webhookEndpoints(), string(id))
}

func (t *tx) WebhookEndpoints() iter.Seq2[hook.Endpoint, error] { return all(t, webhookEndpoints()) }

func (t *tx) PutWebhookEndpoint(e hook.Endpoint) error { return put(t, webhookEndpoints(), e) }

func (t *tx) DeleteWebhookEndpoint(id hook.ID) error {
	return remove(t, webhookEndpoints(), string(id))
}

func (t *tx) WebhookDelivery(e hook.ID, pos uint64) (hook.Delivery, error) {
	return get(t, webhookDeliveries(), string(e), position(pos))
}

func (t *tx) WebhookDeliveries(e hook.ID) iter.Seq2[hook.Delivery, error] {
	return all(t, webhookDeliveries(), string(e))
}

func (t *tx) DueWebhookDeliveries(e hook.ID, now time.Time) iter.Seq2[hook.Delivery, error] {
	return func(yield func(hook.Delivery, error) bool) {
		for d, err := range findAll(t, webhookDeliveries(), kindWebhookDue, string(e)) {
			if err == nil && d.Due.After(now) || !yield(d, err) {
				return
			}
		}
	}
}

func (t *tx) PutWebhookDelivery(d hook.Delivery) error { return put(t, webhookDeliveries(), d) }

func (t *tx) DeleteWebhookDelivery(e hook.ID, pos uint64) error {
	return remove(t, webhookDeliveries(), string(e), position(pos))
}

func (t *tx) WebhookHealth(e hook.ID) (hook.Health, error) {
	return get(t, webhookHealths(), hookHealth, string(e))
}

func (t *tx) PutWebhookHealth(h hook.Health) error { return put(t, webhookHealths(), h) }

func (t *tx) DeleteWebhookHealth(e hook.ID) error {
	return remove(t, webhookHealths(), hookHealth, string(e))
}

func (t *tx) WebhookReplays() iter.Seq2[hook.Replay, error] {
	return all(t, webhookReplays(), hookReplay)
}

func (t *tx) PutWebhookReplay(r hook.Replay) error { return put(t, webhookReplays(), r) }

func (t *tx) DeleteWebhookReplay(e hook.ID) error {
	return remove(t, webhookReplays(), hookReplay, string(e))
}

func (t *tx) WebhookPosition() (uint64, error) {
	pos, err := get(t, webhookPosition(), hookPosition)
	if errors.Is(err, tenancy.ErrNotFound) {
		return 0, nil
	}
	return pos, err
}

func (t *tx) PutWebhookPosition(pos uint64) error { return put(t, webhookPosition(), pos) }

func (t *tx) WebhookLease() (hook.Lease, error) { return get(t, webhookLease(), hookLease) }

func (t *tx) PutWebhookLease(l hook.Lease) error { return put(t, webhookLease(), l) }

func (t *tx) EventsAfter(pos uint64, limit int) ([]hook.Entry, error) {
	found, err := t.kv.Entries(pos, limit)
	if err != nil {
		return nil, fmt.Errorf("feed: %w", err)
	}
	entries := make([]hook.Entry, len(found))
	for i, en := range found {
		entries[i].Position = en.Position
		if err := json.Unmarshal(en.Data, &entries[i].Event); err != nil {
			return nil, fmt.Errorf("feed: %w: entry %d is not an event", ErrCorrupt, en.Position)
		}
	}
	return entries, nil
}

func (t *tx) LastEvent() (uint64, error) { return t.kv.Last() }
