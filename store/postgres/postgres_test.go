package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/store/postgres"
	"github.com/orgate/orgate/store/postgres/pgtest"
)

func open(t *testing.T, url string) *postgres.Engine {
	t.Helper()
	e, err := postgres.Open(t.Context(), postgres.Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	return e
}

func set(key, value string) func(store.KV) error {
	return func(kv store.KV) error { return kv.Set([]byte(key), []byte(value), time.Time{}) }
}

func TestALostDatabaseIsAnErrorAndItsReturnIsSurvived(t *testing.T) {
	s := pgtest.Start(t)
	e := open(t, s.URL())
	if err := e.Update(t.Context(), set("a", "before")); err != nil {
		t.Fatal(err)
	}
	s.Down()
	for name, err := range map[string]error{
		"Update": e.Update(t.Context(), set("a", "meanwhile")),
		"View":   e.View(t.Context(), func(kv store.KV) error { _, err := kv.Get([]byte("a")); return err }),
		"Health": e.Health(t.Context()),
	} {
		if !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s without a database: %v, want ErrUnavailable", name, err)
		}
	}
	if _, err := e.Feed(t.Context(), 0, 1); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Feed without a database: %v, want ErrUnavailable", err)
	}
	s.Up()
	var got []byte
	if err := e.View(t.Context(), func(kv store.KV) (err error) { got, err = kv.Get([]byte("a")); return err }); err != nil {
		t.Fatalf("after the database came back: %v", err)
	}
	if string(got) != "before" {
		t.Errorf("a = %q, want what was acknowledged before", got)
	}
	if err := e.Update(t.Context(), set("a", "after")); err != nil {
		t.Fatal(err)
	}
}

func TestReplicasThatStartTogetherMigrateOnce(t *testing.T) {
	url := pgtest.Start(t).URL()
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			e, err := postgres.Open(t.Context(), postgres.Options{URL: url, MaxConns: 2})
			if err != nil {
				t.Error(err)
				return
			}
			defer e.Close()
			if err := e.Update(t.Context(), set("k", "v")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestAnotherReplicaIsWokenByACommit(t *testing.T) {
	url := pgtest.Start(t).URL()
	one, two := open(t, url), open(t, url)
	deadline, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for n := 0; ; n++ { // LISTEN may not be in force yet for the first
		woken := two.Wake()
		if err := one.Update(t.Context(), func(kv store.KV) error { return kv.Append(fmt.Append(nil, n), time.Time{}) }); err != nil {
			t.Fatal(err)
		}
		select {
		case <-woken:
			return
		case <-deadline.Done():
			t.Fatal("the other replica was never woken")
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// A failover to a replica that lagged, as the feed has it: its end is gone, and what is
// committed afterwards takes its place.
func TestAFeedThatWentBackIsStartedOver(t *testing.T) {
	url := pgtest.Start(t).URL()
	s := store.New(open(t, url), store.Options{})
	event := func(id string) {
		t.Helper()
		if err := s.Update(t.Context(), func(tx store.Tx) error { return tx.Append(audit.Event{ID: id, Name: "n", At: time.Now()}) }); err != nil {
			t.Fatal(err)
		}
	}
	heard, over := make(chan string, 10), make(chan struct{}, 10)
	f := s.NewFollower(0, func(cs []store.Change) error {
		for _, c := range cs {
			heard <- c.Event.ID
		}
		return nil
	})
	f.StartOver = func(context.Context) error { over <- struct{}{}; return nil }
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = f.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	hears := func(ids ...string) {
		t.Helper()
		for _, want := range ids {
			select {
			case id := <-heard:
				if id != want {
					t.Fatalf("heard %s, want %s", id, want)
				}
			case <-time.After(20 * time.Second):
				t.Fatalf("%s was not heard", want)
			}
		}
	}
	event("event_1")
	event("event_2")
	event("event_3")
	hears("event_1", "event_2", "event_3")

	db, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(context.Background())
	for name, instead := range map[string]string{
		"the end is gone": "",
		"and others are in its place": `
			INSERT INTO orgate_feed (data, expires_at) SELECT convert_to(replace(convert_from(data, 'UTF8'), 'event_1', 'event_' || n), 'UTF8'), expires_at
			FROM orgate_feed, generate_series(10, 13) AS n WHERE position = 1;`,
	} {
		if _, err := db.Exec(t.Context(), "BEGIN; DELETE FROM orgate_feed WHERE position > 1; UPDATE orgate_feed_head SET position = 1;"+instead+"COMMIT"); err != nil {
			t.Fatal(err)
		}
		select {
		case <-over:
		case <-time.After(20 * time.Second):
			t.Fatalf("%s: nothing was started over", name)
		}
		event("event_4")
		hears("event_4")
		event("event_5")
		hears("event_5")
	}
	if len(over) > 0 {
		t.Error("it was started over without a reason")
	}
}

func TestAPasswordIsInNoError(t *testing.T) {
	for _, url := range []string{"postgres://u:hunter2@127.0.0.1:1/db", "postgres://u:hunter2@[broken/db", "host=127.0.0.1 port=1 user=u password=hunter2 sslmode=banana"} {
		_, err := postgres.Open(t.Context(), postgres.Options{URL: url})
		if err == nil {
			t.Fatalf("opened %q", url)
		}
		if s := fmt.Sprintf("%v %+v", err, err); strings.Contains(s, "hunter2") {
			t.Errorf("the error tells the password: %s", s)
		}
	}
}
