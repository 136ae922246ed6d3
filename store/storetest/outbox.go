package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/orgate/orgate/internal/outbox"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

func message(id outbox.ID, place int, notBefore time.Time) outbox.Message {
	return outbox.Message{ID: id, Place: place, To: string(id) + "@acme.com", About: "test", Sealed: []byte{0, 1, 255}, NotBefore: notBefore, ExpiresAt: noon.Add(time.Hour)}
}

func dueNames(t testing.TB, tx store.Tx, now time.Time) []string {
	t.Helper()
	return list(t, tx.DueOutboxMessages(now), func(m outbox.Message) string { return string(m.ID) })
}

// mailDue: messages come in the order in which they are due, by the later of their two
// times, and no earlier.
func mailDue(t *testing.T, h Harness) {
	clock := NewClock(noon)
	s := open(t, h, clock.Now)
	c := message("c", 3, noon.Add(time.Second))
	put(t, s, message("a", 1, noon.Add(2*time.Second)), message("b", 2, noon.Add(time.Second).Add(time.Microsecond)), c)
	check := func(at time.Duration, want ...string) {
		t.Helper()
		look(t, s, func(tx store.Tx) {
			if got := dueNames(t, tx, noon.Add(at)); !slices.Equal(got, want) {
				t.Errorf("due after %v: %v, want %v", at, got, want)
			}
		})
	}
	check(time.Second - time.Microsecond)
	check(time.Second, "c")
	check(time.Hour, "c", "b", "a")
	c.LeasedUntil = noon.Add(3 * time.Second)
	put(t, s, c)
	check(3*time.Second-time.Microsecond, "b", "a")
	check(3*time.Second, "b", "a", "c")
	look(t, s, func(tx store.Tx) {
		if m, err := tx.OutboxMessageAt(3); err != nil || m.ID != "c" || !m.LeasedUntil.Equal(c.LeasedUntil) || string(m.Sealed) != "\x00\x01\xff" {
			t.Errorf("at place 3: %+v, %v", m, err)
		}
		if _, err := tx.OutboxMessageAt(4); !errors.Is(err, tenancy.ErrNotFound) {
			t.Errorf("at place 4: %v", err)
		}
	})
	// The loop may delete and move what it is given.
	do(t, s, func(tx store.Tx) error {
		for m, err := range tx.DueOutboxMessages(noon.Add(time.Hour)) {
			if err != nil {
				return err
			}
			if m.ID == "b" {
				err = tx.DeleteOutboxMessage(m.ID)
			} else {
				m.NotBefore = noon.Add(30 * time.Minute)
				err = tx.PutOutboxMessage(m)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	check(30*time.Minute - time.Microsecond)
	check(30*time.Minute, "a", "c")
	// It goes some time after it has expired, from every list.
	clock.Advance(time.Hour + store.MailRecordLife - time.Second)
	check(time.Hour, "a", "c")
	clock.Advance(time.Second)
	check(time.Hour)
	put(t, s, message("d", 3, noon))
}

// mailPlaces: of many who take a place at once one has it.
func mailPlaces(t *testing.T, h Harness) {
	s := open(t, h, func() time.Time { return noon })
	var mu sync.Mutex
	won := 0
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			err := s.Update(context.WithoutCancel(t.Context()), func(tx store.Tx) error {
				return tx.PutOutboxMessage(message(outbox.ID(fmt.Sprint("mail_", i)), 7, noon))
			})
			switch {
			case err == nil:
				mu.Lock()
				won++
				mu.Unlock()
			case !errors.Is(err, tenancy.ErrTaken):
				t.Errorf("%d: %v", i, err)
			}
		})
	}
	wg.Wait()
	look(t, s, func(tx store.Tx) {
		if got := dueNames(t, tx, noon); len(got) != 1 || won != 1 {
			t.Errorf("%d were told that they have the place, %v have it; want 1", won, got)
		}
	})
}

// mailShared: whoever claims at once, on one replica or another, claims something else.
func mailShared(t *testing.T, h Harness) {
	e := h.Open(t, nil)
	replicas := []*store.Store{store.New(e, store.Options{})}
	if h.Join != nil {
		replicas = append(replicas, store.New(h.Join(t, e), store.Options{}))
	}
	const n = 60
	now := time.Now()
	var mu sync.Mutex
	claimed := map[outbox.ID]int{}
	var wg sync.WaitGroup
	for i := range 4 {
		s := replicas[i%len(replicas)]
		wg.Go(func() {
			for j := range n / 4 {
				err := s.Update(context.WithoutCancel(t.Context()), func(tx store.Tx) error {
					return outbox.Enqueue(tx, outbox.Message{To: fmt.Sprintf("p%d-%d@acme.com", i, j), About: "test", Sealed: []byte("x"), ExpiresAt: now.Add(time.Hour)}, now)
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			for {
				var c outbox.Claimed
				err := s.Update(context.WithoutCancel(t.Context()), func(tx store.Tx) (err error) {
					c, err = outbox.Claim(tx, time.Hour/2, 3, now)
					return err
				})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				for _, m := range c.Messages {
					claimed[m.ID]++
				}
				all := len(claimed) == n
				mu.Unlock()
				if all || t.Failed() {
					return
				}
			}
		})
	}
	wg.Wait()
	for id, times := range claimed {
		if times != 1 {
			t.Errorf("%s was claimed %d times", id, times)
		}
	}
}

// mailRestored: a backup has the mail that waited, and restoring it sends none of it again.
func mailRestored(t *testing.T, h Harness) {
	clock := NewClock(noon)
	from := open(t, h, clock.Now)
	put(t, from, message("mail_1", 1, noon))
	b := backup(t, from)
	to := open(t, h, clock.Now)
	if _, err := to.Restore(t.Context(), bytes.NewReader(b)); err != nil {
		t.Fatal(err)
	}
	look(t, to, func(tx store.Tx) {
		if got := dueNames(t, tx, noon.Add(time.Hour)); len(got) != 0 {
			t.Errorf("restored: %v", got)
		}
		if _, err := tx.OutboxMessageAt(1); !errors.Is(err, tenancy.ErrNotFound) {
			t.Errorf("a place is taken: %v", err)
		}
	})
}
