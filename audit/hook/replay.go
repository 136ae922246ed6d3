package hook

import (
	"fmt"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/orgate/orgate/tenancy"
)

const (
	// slack is how far the time of an event may be from its place in the feed: transactions take
	// their time, and the clocks of replicas differ.
	slack = 5 * time.Minute
	// page is how many events are looked through at a time.
	page = 256
)

// Redeliver has one event sent again, whether it was delivered or not, and to an endpoint that is
// not subscribed to it, too. It returns an error wrapping [tenancy.ErrNotFound] if there is no
// such endpoint, or no such event any more.
func Redeliver(tx Tx, to ID, event string, now time.Time) error {
	if _, err := Get(tx, to); err != nil {
		return err
	}
	en, err := find(tx, event)
	if err != nil {
		return err
	}
	d := deliveryOf(to, en, now)
	d.Asked = true
	return requeue(tx, d)
}

// find returns the event with that id. Its id tells its time, and so about where it is.
func find(tx Tx, event string) (Entry, error) {
	missing := fmt.Errorf("event: %w", tenancy.ErrNotFound)
	if len(event) != len("event_")+ulid.EncodedSize || event[:len("event_")] != "event_" {
		return Entry{}, missing
	}
	u, err := ulid.ParseStrict(event[len("event_"):])
	if err != nil {
		return Entry{}, missing
	}
	at := ulid.Time(u.Time())
	pos, err := Before(tx, at.Add(-slack))
	if err != nil {
		return Entry{}, err
	}
	for {
		entries, err := tx.EventsAfter(pos, page)
		if err != nil {
			return Entry{}, err
		}
		for _, en := range entries {
			if en.Event.ID == event {
				return en, nil
			}
			if en.Event.At.After(at.Add(2 * slack)) {
				return Entry{}, missing
			}
			pos = en.Position
		}
		if len(entries) < page {
			return Entry{}, missing
		}
	}
}

// Before returns a position such that all events since that time come after it, as far as the
// times of events are in the order of the feed.
func Before(tx Tx, at time.Time) (uint64, error) {
	high, err := tx.LastEvent()
	if err != nil {
		return 0, err
	}
	low := uint64(0) // what is after high is not before at; what is up to low is
	for low < high {
		mid := low + (high-low)/2
		entries, err := tx.EventsAfter(mid, 1)
		if err != nil {
			return 0, err
		}
		if len(entries) == 0 || !entries[0].Event.At.Before(at) {
			high = mid
		} else {
			low = entries[0].Position
		}
	}
	return low, nil
}

// RedeliverSince has an endpoint sent again, in the order of the feed, what it is subscribed to
// and has happened since a time, up to now. It is queued little by little, by [Resume].
func RedeliverSince(tx Tx, to ID, since, now time.Time) error {
	if _, err := Get(tx, to); err != nil {
		return err
	}
	next, err := Before(tx, since.Add(-slack))
	if err != nil {
		return err
	}
	until, err := tx.LastEvent()
	if err != nil {
		return err
	}
	return tx.PutWebhookReplay(Replay{Endpoint: to, Since: since.UTC(), Next: next, Until: until})
}

// Resume queues a part of what was asked to be sent again. more: there may be more.
func Resume(tx Tx, now time.Time) (more bool, err error) {
	for r, err := range tx.WebhookReplays() {
		if err != nil {
			return false, err
		}
		e, err := tx.WebhookEndpoint(r.Endpoint)
		if err != nil || e.Deleted {
			return true, tx.DeleteWebhookReplay(r.Endpoint)
		}
		entries, err := tx.EventsAfter(r.Next, page)
		if err != nil {
			return false, err
		}
		for _, en := range entries {
			if r.Next = en.Position; en.Position > r.Until {
				break
			}
			if en.Event.At.Before(r.Since) || !e.Subscribed(en.Event.Name) || about(en.Event, e.ID) {
				continue
			}
			if err := requeue(tx, deliveryOf(e.ID, en, now)); err != nil {
				return false, err
			}
		}
		if len(entries) < page || r.Next >= r.Until {
			return true, tx.DeleteWebhookReplay(r.Endpoint)
		}
		return true, tx.PutWebhookReplay(r)
	}
	return false, nil
}
