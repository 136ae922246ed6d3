package hook

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/tenancy"
)

// maxRows is how many deliveries one transaction writes or clears, more or less: every engine takes
// twice as many keys.
const maxRows = 200

// Pauses are those between the tries of a delivery; each is up to a tenth shorter, so
// that what failed at one time does not come back at one time.
func Pauses() []time.Duration {
	return []time.Duration{
		10 * time.Second, time.Minute, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 6 * time.Hour,
		12 * time.Hour, 24 * time.Hour, 24 * time.Hour,
	}
}

// Start returns the position from which there is something to queue: where the queue has come
// to, or where the oldest endpoint begins. ok is false if nobody is sent anything.
func Start(tx Tx) (pos uint64, ok bool, err error) {
	es, err := live(tx)
	if err != nil || len(es) == 0 {
		return 0, false, err
	}
	pos, err = tx.WebhookPosition()
	oldest := es[0].After
	for _, e := range es {
		oldest = min(oldest, e.After)
	}
	return max(pos, oldest), true, err
}

// Wanted reports whether any of the entries is for anybody.
func Wanted(tx Tx, entries []Entry) (bool, error) {
	es, err := live(tx)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(entries, func(en Entry) bool {
		return slices.ContainsFunc(es, func(e Endpoint) bool { return e.wants(en) })
	}), nil
}

// wants reports whether e is to be sent an entry.
func (e Endpoint) wants(en Entry) bool {
	return en.Position > max(e.After, e.Added[en.Event.Name]) && e.Subscribed(en.Event.Name) && !about(en.Event, e.ID)
}

// Queue has entries, which follow each other in the feed, sent to whom they are for. start is
// what [Start] said before they were read, and there is nothing for anybody between it and the
// first of them. It takes as many as one transaction can, and returns the position that it has
// come to; moved is false if somebody else has taken them.
func Queue(tx Tx, start uint64, entries []Entry, now time.Time) (pos uint64, moved bool, err error) {
	at, ok, err := Start(tx)
	if err != nil || !ok || at != start || len(entries) == 0 {
		return at, false, err
	}
	es, err := live(tx)
	if err != nil {
		return at, false, err
	}
	rows := 0
	for _, en := range entries {
		if rows >= maxRows {
			break
		}
		pos = en.Position
		for _, e := range es {
			if !e.wants(en) {
				continue
			}
			if err := tx.PutWebhookDelivery(deliveryOf(e.ID, en, now)); err != nil {
				return at, false, err
			}
			rows++
		}
	}
	return pos, true, tx.PutWebhookPosition(pos)
}

func live(tx Tx) (es []Endpoint, err error) {
	for e, err := range tx.WebhookEndpoints() {
		if err != nil {
			return nil, err
		}
		if e.live() {
			es = append(es, e)
		}
	}
	return es, nil
}

// aboutWebhooks reports whether an event tells of webhooks themselves.
func aboutWebhooks(name string) bool {
	return strings.HasPrefix(name, "orgate.webhook.") || strings.HasPrefix(name, "orgate.webhook_endpoint.")
}

// about reports whether an event tells of the endpoint e: it hears nothing of itself, as what
// it is told may be that it can't be told anything.
func about(ev audit.Event, e ID) bool {
	return aboutWebhooks(ev.Name) && strings.Contains(string(ev.Data), `"`+string(e)+`"`)
}

func deliveryOf(e ID, en Entry, now time.Time) Delivery {
	now = now.UTC().Truncate(time.Microsecond)
	return Delivery{Endpoint: e, Position: en.Position, Event: en.Event.ID, Name: en.Event.Name, At: en.Event.At.UTC(), QueuedAt: now, Due: now}
}

// requeue queues what may wait already, in a new round.
func requeue(tx Tx, d Delivery) error {
	switch old, err := tx.WebhookDelivery(d.Endpoint, d.Position); {
	case err == nil:
		d.Round, d.Asked = old.Round+1, d.Asked || old.Asked
	case !errors.Is(err, tenancy.ErrNotFound):
		return err
	}
	return tx.PutWebhookDelivery(d)
}

// current returns the delivery as it is now; ok is false if it is gone, or in another round.
func current(tx Tx, d Delivery) (now Delivery, ok bool, err error) {
	now, err = tx.WebhookDelivery(d.Endpoint, d.Position)
	if errors.Is(err, tenancy.ErrNotFound) {
		return d, false, nil
	}
	return now, err == nil && now.Round == d.Round, err
}

// Delivered removes a delivery that a receiver has taken.
func Delivered(tx Tx, d Delivery) error {
	if _, err := tx.WebhookHealth(d.Endpoint); err == nil {
		if err := tx.DeleteWebhookHealth(d.Endpoint); err != nil {
			return err
		}
	} else if !errors.Is(err, tenancy.ErrNotFound) {
		return err
	}
	return Drop(tx, d)
}

// Drop removes a delivery that there is nothing to send for any more: its event is gone, or its
// endpoint is not subscribed to it.
func Drop(tx Tx, d Delivery) error {
	if _, ok, err := current(tx, d); err != nil || !ok {
		return err
	}
	return tx.DeleteWebhookDelivery(d.Endpoint, d.Position)
}

// An Outcome is what became of a delivery that failed.
type Outcome struct {
	// GivenUp: it is not tried again.
	GivenUp bool
	// Disabled: it was the last straw for its endpoint.
	Disabled bool
}

// Failed says that a try of d failed. It is tried again after a pause, or given up with an event; and
// an endpoint that has done nothing but fail is disabled, with an event.
func Failed(tx Tx, d Delivery, a Attempt, now time.Time) (o Outcome, err error) {
	now = now.UTC().Truncate(time.Microsecond)
	e, err := Get(tx, d.Endpoint)
	if errors.Is(err, tenancy.ErrNotFound) {
		return Outcome{}, nil // it is swept away
	}
	if err != nil {
		return Outcome{}, err
	}
	d, ok, err := current(tx, d)
	if err != nil || !ok {
		return Outcome{}, err
	}
	d.Attempts = append(d.Attempts, a)
	pauses := Pauses()
	if n := len(d.Attempts); n > len(pauses) || now.Sub(d.QueuedAt) >= GiveUpAfter {
		o.GivenUp = true
		if err := giveUp(tx, d, now); err != nil {
			return o, err
		}
	} else {
		p := pauses[n-1]
		d.Due = now.Add(p - rand.N(p/10)).Truncate(time.Microsecond)
		if err := tx.PutWebhookDelivery(d); err != nil {
			return o, err
		}
	}
	o.Disabled, err = fails(tx, e, d, now)
	return o, err
}

func giveUp(tx Tx, d Delivery, now time.Time) error {
	if err := tx.DeleteWebhookDelivery(d.Endpoint, d.Position); err != nil || aboutWebhooks(d.Name) {
		return err
	}
	last := d.Attempts[len(d.Attempts)-1]
	return audit.Record(tx, audit.New(audit.WebhookFailed, audit.System, now), struct {
		Object   string `json:"object"`
		Endpoint ID     `json:"webhook_endpoint_id"`
		Event    string `json:"event_id"`
		Name     string `json:"event"`
		Attempts int    `json:"attempts"`
		Status   int    `json:"status,omitzero"`
		Error    string `json:"error"`
	}{"orgate.webhook", d.Endpoint, d.Event, d.Name, len(d.Attempts), last.Status, last.Error})
}

// fails notes that e failed, and disables it if it has done nothing else for long.
func fails(tx Tx, e Endpoint, d Delivery, now time.Time) (disabled bool, err error) {
	h, err := tx.WebhookHealth(e.ID)
	if errors.Is(err, tenancy.ErrNotFound) {
		return false, tx.PutWebhookHealth(Health{Endpoint: e.ID, FailingSince: now, Events: []string{d.Event}})
	}
	if err != nil {
		return false, err
	}
	changed := false
	if len(h.Events) < disableEvents && !slices.Contains(h.Events, d.Event) {
		h.Events, changed = append(h.Events, d.Event), true
	}
	if !e.Disabled && len(h.Events) == disableEvents && now.Sub(h.FailingSince) >= DisableAfter {
		e.Disabled, e.UpdatedAt = true, now
		if err := tx.PutWebhookEndpoint(e); err != nil {
			return false, err
		}
		return true, e.record(tx, audit.WebhookEndpointDisabled, audit.System, now)
	}
	if changed {
		err = tx.PutWebhookHealth(h)
	}
	return false, err
}

// Sweep clears away what waits for deleted endpoints, and then these. more: there may be more
// of it.
func Sweep(tx Tx) (more bool, err error) {
	rows := 0
	for e, err := range tx.WebhookEndpoints() {
		if err != nil {
			return false, err
		}
		if !e.Deleted {
			continue
		}
		for d, err := range tx.WebhookDeliveries(e.ID) {
			if err != nil {
				return false, err
			}
			if rows++; rows > maxRows {
				return true, nil
			}
			if err := tx.DeleteWebhookDelivery(d.Endpoint, d.Position); err != nil {
				return false, err
			}
		}
		if err := errors.Join(tx.DeleteWebhookHealth(e.ID), tx.DeleteWebhookReplay(e.ID), tx.DeleteWebhookEndpoint(e.ID)); err != nil {
			return false, err
		}
	}
	return false, nil
}

// Hold takes or renews the lease of who delivers, and reports whether holder has it.
func Hold(tx Tx, holder string, life time.Duration, now time.Time) (bool, error) {
	now = now.UTC()
	l, err := tx.WebhookLease()
	if err != nil && !errors.Is(err, tenancy.ErrNotFound) {
		return false, err
	}
	if err == nil && l.Holder != holder && l.Holder != "" && now.Before(l.Until) {
		return false, nil
	}
	return true, tx.PutWebhookLease(Lease{Holder: holder, Until: now.Add(life)})
}

// Release gives the lease back, if holder has it.
func Release(tx Tx, holder string) error {
	l, err := tx.WebhookLease()
	if errors.Is(err, tenancy.ErrNotFound) || err == nil && l.Holder != holder {
		return nil
	}
	if err != nil {
		return err
	}
	return tx.PutWebhookLease(Lease{})
}
