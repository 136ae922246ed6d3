package outbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/outbox"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/store/storetest"
	"github.com/orgate/orgate/tenancy"
)

const lease = time.Minute

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// A world is a store and a clock.
type world struct {
	*testing.T
	s     *store.Store
	clock *storetest.Clock
}

func newWorld(t *testing.T) *world {
	clock := storetest.NewClock(noon)
	return &world{t, storetest.OpenAt(t, clock.Now), clock}
}

func (w *world) do(f func(tx store.Tx) error) {
	w.Helper()
	if err := w.s.Update(w.Context(), f); err != nil {
		w.Fatal(err)
	}
}

// mail is a message that waits for ten minutes.
func (w *world) mail(to string) outbox.Message {
	return outbox.Message{To: to, About: "sign_in_code", Sealed: []byte("sealed"), ExpiresAt: w.clock.Now().Add(10 * time.Minute)}
}

func (w *world) put(ms ...outbox.Message) {
	w.Helper()
	w.do(func(tx store.Tx) error {
		for _, m := range ms {
			if err := outbox.Enqueue(tx, m, w.clock.Now()); err != nil {
				return err
			}
		}
		return nil
	})
}

func (w *world) claim(limit int) (c outbox.Claimed) {
	w.Helper()
	w.do(func(tx store.Tx) (err error) {
		c, err = outbox.Claim(tx, lease, limit, w.clock.Now())
		return err
	})
	return c
}

// one claims the only message that is due.
func (w *world) one() outbox.Message {
	w.Helper()
	c := w.claim(9)
	if len(c.Messages) != 1 || len(c.Expired) != 0 {
		w.Fatalf("claimed %d, expired %d; want one message", len(c.Messages), len(c.Expired))
	}
	return c.Messages[0]
}

func (w *world) none() {
	w.Helper()
	if c := w.claim(9); len(c.Messages)+len(c.Expired) != 0 {
		w.Fatalf("at %s claimed %v, expired %v; want nothing", w.clock.Now().Sub(noon), c.Messages, c.Expired)
	}
}

func (w *world) failed(m outbox.Message, temporary bool, why string) (o outbox.Outcome) {
	w.Helper()
	w.do(func(tx store.Tx) (err error) {
		o, err = outbox.Failed(tx, m, temporary, why, w.clock.Now())
		return err
	})
	return o
}

// failures returns the data of the events of failed mail.
func (w *world) failures() []string {
	w.Helper()
	changes, err := w.s.Feed(w.Context(), 0, 100)
	if err != nil {
		w.Fatal(err)
	}
	var data []string
	for _, c := range changes {
		if c.Event.Name == audit.MailFailed {
			data = append(data, string(c.Event.Data))
		}
	}
	return data
}

func TestAMessageIsClaimedOnceAndGoneWhenDelivered(t *testing.T) {
	w := newWorld(t)
	w.put(w.mail("jo@acme.test"))
	m := w.one()
	if m.To != "jo@acme.test" || m.About != "sign_in_code" || string(m.Sealed) != "sealed" || m.ID == "" || !m.CreatedAt.Equal(noon) {
		t.Errorf("claimed %+v", m)
	}
	w.none()
	w.do(func(tx store.Tx) error { return outbox.Delivered(tx, m) })
	w.clock.Advance(time.Hour)
	w.none()
	if f := w.failures(); len(f) != 0 {
		t.Errorf("a mail that was delivered failed: %v", f)
	}
}

func TestNothingIsSentOfWhatWasNotCommitted(t *testing.T) {
	w := newWorld(t)
	boom := errors.New("boom")
	err := w.s.Update(t.Context(), func(tx store.Tx) error {
		if err := outbox.Enqueue(tx, w.mail("jo@acme.test"), noon); err != nil {
			return err
		}
		return boom
	})
	if !errors.Is(err, boom) {
		t.Fatal(err)
	}
	w.none()
}

func TestWhatACrashLeavesBehindIsTakenUpWhenTheLeaseEnds(t *testing.T) {
	w := newWorld(t)
	w.put(w.mail("jo@acme.test"))
	first := w.one()
	w.clock.Advance(lease - time.Microsecond)
	w.none()
	w.clock.Advance(time.Microsecond)
	second := w.one()
	if second.ID != first.ID || second.Tries != 0 {
		t.Errorf("taken up: %+v, was %+v", second, first)
	}
	// Whoever had it before has no say any more, but in that it was delivered.
	if o := w.failed(first, false, "550"); o != outbox.Waiting {
		t.Errorf("whose lease has ended fails it: %v", o)
	}
	w.do(func(tx store.Tx) error { return outbox.Release(tx, first, "") })
	w.none()
	w.do(func(tx store.Tx) error { return outbox.Delivered(tx, first) })
	w.clock.Advance(lease)
	w.none()
	w.do(func(tx store.Tx) error { return outbox.Delivered(tx, second) })
}

func TestATemporaryFailureIsTriedAgainInGrowingPausesUntilItExpires(t *testing.T) {
	w := newWorld(t)
	w.put(w.mail("jo@acme.test"))
	for i, want := range []time.Duration{10 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute} {
		m := w.one()
		if m.Tries != i {
			t.Errorf("try %d: %d have failed", i, m.Tries)
		}
		if o := w.failed(m, true, "451 later"); o != outbox.Waiting {
			t.Fatalf("try %d: %v", i, o)
		}
		w.clock.Advance(want - time.Microsecond)
		w.none()
		w.clock.Advance(time.Microsecond)
	}
	// 8 min 40 s have gone; another ten do not fit.
	if o := w.failed(w.one(), true, "451 later"); o != outbox.Expired {
		t.Errorf("the last try: %v", o)
	}
	w.clock.Advance(time.Hour)
	w.none()
	if f := w.failures(); len(f) != 1 || !strings.Contains(f[0], `"tries":6,"expired":true,"reason":"451 later"`) {
		t.Errorf("events: %v", f)
	}
}

func TestARefusedMailIsGivenUpWithAnEventThatHasNothingOfItsContent(t *testing.T) {
	w := newWorld(t)
	m := w.mail("jo@acme.test")
	m.Sealed = []byte("the code is 123456")
	w.put(m)
	if o := w.failed(w.one(), false, "550 5.1.1\r\nno such\x1b[31m user\u202e"+strings.Repeat("x", 1000)); o != outbox.Refused {
		t.Errorf("outcome: %v", o)
	}
	w.clock.Advance(time.Hour)
	w.none()
	f := w.failures()
	if len(f) != 1 {
		t.Fatalf("events: %v", f)
	}
	var data map[string]any
	if err := json.Unmarshal([]byte(f[0]), &data); err != nil {
		t.Fatal(err)
	}
	reason, _ := data["reason"].(string)
	if data["email"] != "jo@acme.test" || data["about"] != "sign_in_code" || data["expired"] != false || data["tries"] != 1.0 {
		t.Errorf("event: %s", f[0])
	}
	if !strings.HasPrefix(reason, "550 5.1.1  no such [31m user ") || len(reason) > 250 {
		t.Errorf("reason: %q", reason)
	}
	if strings.Contains(f[0], "123456") || strings.Contains(f[0], "sealed") {
		t.Errorf("content in the event: %s", f[0])
	}
}

func TestAMailDoesNotOutliveItsCode(t *testing.T) {
	w := newWorld(t)
	w.put(w.mail("jo@acme.test"))
	w.clock.Advance(10 * time.Minute)
	c := w.claim(9)
	if len(c.Messages) != 0 || len(c.Expired) != 1 || c.Expired[0].To != "jo@acme.test" {
		t.Fatalf("claimed %v, expired %v", c.Messages, c.Expired)
	}
	w.none()
	if f := w.failures(); len(f) != 1 || !strings.Contains(f[0], `"expired":true`) {
		t.Errorf("events: %v", f)
	}
	// Where nobody ever looks, it goes by itself.
	w.put(w.mail("al@acme.test"))
	w.clock.Advance(10*time.Minute + store.MailRecordLife)
	w.none()
}

func TestAReleasedMessageIsDueAtOnceAndCountsNoTry(t *testing.T) {
	w := newWorld(t)
	w.put(w.mail("jo@acme.test"))
	m := w.one()
	w.do(func(tx store.Tx) error { return outbox.Release(tx, m, "connection refused") })
	again := w.one()
	if again.Tries != 0 || again.LastError != "connection refused" {
		t.Errorf("released: %+v", again)
	}
	w.clock.Advance(10 * time.Minute)
	if c := w.claim(9); len(c.Expired) != 1 {
		t.Errorf("expired: %v", c.Expired)
	}
	if f := w.failures(); len(f) != 1 || !strings.Contains(f[0], `"reason":"connection refused"`) {
		t.Errorf("events: %v", f)
	}
}

func TestWhatIsDueFirstIsClaimedFirst(t *testing.T) {
	w := newWorld(t)
	late := w.mail("late@acme.test")
	late.NotBefore = noon.Add(time.Minute)
	w.put(late, w.mail("first@acme.test"))
	w.clock.Advance(time.Second)
	w.put(w.mail("second@acme.test"))
	if m := w.claim(1).Messages; len(m) != 1 || m[0].To != "first@acme.test" {
		t.Errorf("first: %v", m)
	}
	if m := w.one(); m.To != "second@acme.test" {
		t.Errorf("second: %v", m)
	}
	w.clock.Advance(time.Minute)
	var got []string
	for _, m := range w.claim(9).Messages {
		got = append(got, m.To)
	}
	if fmt.Sprint(got) != "[late@acme.test first@acme.test second@acme.test]" { // these by the end of their leases
		t.Errorf("at last: %v", got)
	}
}

func TestAFullOutboxRefusesAndEmptiesAgain(t *testing.T) {
	w := newWorld(t)
	n, full := 0, false
	for !full {
		batch := 0
		err := w.s.Update(t.Context(), func(tx store.Tx) error {
			batch, full = 0, false
			for range 500 {
				switch err := outbox.Enqueue(tx, w.mail("jo@acme.test"), noon); {
				case errors.Is(err, outbox.ErrFull):
					full = true
					return nil
				case err != nil:
					return err
				}
				batch++
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if n += batch; n > outbox.Places {
			t.Fatalf("%d messages wait", n)
		}
	}
	if n < outbox.Places*7/10 {
		t.Errorf("full with %d of %d", n, outbox.Places)
	}
	// Every place is taken: one too many is refused, however often it is tried.
	for i := 0; i < outbox.Places; {
		w.do(func(tx store.Tx) error {
			for last := i + 1000; i < last; i++ {
				m := w.mail("al@acme.test")
				m.ID, m.Place, m.CreatedAt, m.NotBefore = outbox.NewID(noon), i, noon, noon
				if err := tx.PutOutboxMessage(m); err != nil && !errors.Is(err, tenancy.ErrTaken) {
					return err
				}
			}
			return nil
		})
	}
	for range 20 {
		err := w.s.Update(t.Context(), func(tx store.Tx) error { return outbox.Enqueue(tx, w.mail("jo@acme.test"), noon) })
		if !errors.Is(err, outbox.ErrFull) {
			t.Fatalf("one more than there are places: %v", err)
		}
	}
	// What expired makes room, with no more than a transaction's worth at a time.
	w.clock.Advance(10 * time.Minute)
	gone := 0
	for {
		c := w.claim(9)
		if len(c.Messages) > 0 {
			t.Fatalf("expired and claimed: %v", c.Messages)
		}
		if len(c.Expired) == 0 {
			break
		}
		gone += len(c.Expired)
	}
	if gone != outbox.Places {
		t.Errorf("%d were given up, want %d", gone, outbox.Places)
	}
	w.put(w.mail("jo@acme.test"))
	w.one()
}

func TestAMailThatMakesNoSenseIsRefused(t *testing.T) {
	w := newWorld(t)
	for name, change := range map[string]func(*outbox.Message){
		"no address":      func(m *outbox.Message) { m.To = "" },
		"no subject":      func(m *outbox.Message) { m.About = "" },
		"no content":      func(m *outbox.Message) { m.Sealed = nil },
		"long content":    func(m *outbox.Message) { m.Sealed = make([]byte, outbox.MaxSealed+1) },
		"no expiry":       func(m *outbox.Message) { m.ExpiresAt = time.Time{} },
		"expired":         func(m *outbox.Message) { m.ExpiresAt = noon },
		"due too late":    func(m *outbox.Message) { m.NotBefore = m.ExpiresAt },
		"waits for years": func(m *outbox.Message) { m.ExpiresAt = noon.Add(outbox.MaxLife + time.Second) },
	} {
		m := w.mail("jo@acme.test")
		change(&m)
		if err := w.s.Update(t.Context(), func(tx store.Tx) error { return outbox.Enqueue(tx, m, noon) }); err == nil || errors.Is(err, outbox.ErrFull) {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.none()
}

// Many put in and many take out, all at once: each message is claimed by one.
func TestManyWorkersShareTheMessages(t *testing.T) {
	w := newWorld(t)
	const n = 200
	got := make(chan outbox.ID, 2*n)
	done := make(chan error)
	for i := range 4 {
		go func() {
			done <- func() error {
				for j := range n / 4 {
					err := w.s.Update(context.WithoutCancel(t.Context()), func(tx store.Tx) error {
						return outbox.Enqueue(tx, w.mail(fmt.Sprintf("p%d-%d@acme.test", i, j)), noon)
					})
					if err != nil {
						return err
					}
				}
				return nil
			}()
		}()
		go func() {
			done <- func() error {
				for range n {
					var c outbox.Claimed
					err := w.s.Update(context.WithoutCancel(t.Context()), func(tx store.Tx) (err error) {
						c, err = outbox.Claim(tx, lease, 3, noon)
						return err
					})
					if err != nil {
						return err
					}
					for _, m := range c.Messages {
						got <- m.ID
					}
				}
				return nil
			}()
		}()
	}
	for range 8 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	for c := w.claim(9); len(c.Messages) > 0; c = w.claim(9) { // what came last
		for _, m := range c.Messages {
			got <- m.ID
		}
	}
	close(got)
	seen := map[outbox.ID]bool{}
	for id := range got {
		if seen[id] {
			t.Errorf("%s was claimed twice", id)
		}
		seen[id] = true
	}
	if len(seen) != n {
		t.Errorf("%d were claimed, want %d", len(seen), n)
	}
}
