package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/tenancy"
)

// A plain engine: a map, for what needs no real one. Every Update runs twice.
type plain struct {
	Engine
	rows    map[string]Pair
	mu      sync.Mutex // for feed, which followers read meanwhile
	feed    []Entry
	failing atomic.Pointer[error] // of Feed
	slow    time.Duration         // how long Feed takes to answer
	skipped atomic.Uint64         // positions whose entries are gone: the feed begins after them
	wake    chan struct{}
}

func newPlain() *plain { return &plain{rows: map[string]Pair{}, wake: make(chan struct{})} }

func (p *plain) View(_ context.Context, f func(KV) error) error { return f(p) }

func (p *plain) Update(_ context.Context, f func(KV) error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	rows, feed := map[string]Pair{}, slices.Clone(p.feed)
	maps.Copy(rows, p.rows)
	err := f(p)
	p.rows, p.feed = rows, feed // a conflict: what the first run did is gone
	if err != nil {
		return err
	}
	return f(p)
}

func (p *plain) Feed(_ context.Context, pos uint64, limit int) ([]Entry, error) {
	if err := p.failing.Load(); err != nil {
		return nil, *err
	}
	p.mu.Lock()
	es, err := p.Entries(pos, limit)
	p.mu.Unlock()
	time.Sleep(p.slow)
	return es, err
}

func (p *plain) Head(context.Context) (uint64, error) {
	if err := p.failing.Load(); err != nil {
		return 0, *err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	last, err := p.Last()
	return max(last, p.skipped.Load()), err
}

func (p *plain) Wake() <-chan struct{} { return p.wake }

func (p *plain) Get(key []byte) ([]byte, error) {
	if v, ok := p.rows[string(key)]; ok {
		return bytes.Clone(v.Value), nil
	}
	return nil, ErrNoKey
}

func (p *plain) Set(key, value []byte, expires time.Time) error {
	p.rows[string(key)] = Pair{bytes.Clone(key), bytes.Clone(value), expires}
	return nil
}

func (p *plain) Delete(key []byte) error { delete(p.rows, string(key)); return nil }

func (p *plain) Scan(prefix, _ []byte, _ bool) iter.Seq2[Pair, error] {
	var ps []Pair
	for k, v := range p.rows {
		if strings.HasPrefix(k, string(prefix)) {
			ps = append(ps, v)
		}
	}
	slices.SortFunc(ps, func(a, b Pair) int { return bytes.Compare(a.Key, b.Key) })
	return func(yield func(Pair, error) bool) {
		for _, v := range ps {
			if !yield(v, nil) {
				return
			}
		}
	}
}

func (p *plain) Append(data []byte, expires time.Time) error {
	last, _ := p.Last()
	p.feed = append(p.feed, Entry{last + 1, bytes.Clone(data), expires})
	return nil
}

func (p *plain) Last() (uint64, error) { return uint64(len(p.feed)), nil }

func (p *plain) Advance(uint64) error { return nil }

func (p *plain) Entries(pos uint64, limit int) ([]Entry, error) {
	rest := p.feed[min(pos, uint64(len(p.feed))):]
	return rest[:min(limit, len(rest))], nil
}

func TestOnlyTheRunThatCommittedIsAnnounced(t *testing.T) {
	s := New(newPlain(), Options{})
	var heard []string
	s.OnCommit(func(es []audit.Event) {
		for _, e := range es {
			heard = append(heard, e.ID)
		}
	})
	runs := 0
	err := s.Update(t.Context(), func(tx Tx) error {
		runs++
		return tx.Append(audit.Event{ID: strings.Repeat("I", runs), Name: "n", At: time.Now()})
	})
	if err != nil || runs != 2 || !slices.Equal(heard, []string{"II"}) {
		t.Errorf("of %d runs, events %q were announced, %v; want those of the last", runs, heard, err)
	}
}

// An entry of an index that should be gone and is not: what a faulty disk or engine may
// bring back.
func TestAStaleIndexEntryOpensNoDoor(t *testing.T) {
	p := newPlain()
	s := New(p, Options{})
	old, current := session.Hash{1}, session.Hash{2}
	later := time.Now().Add(time.Hour)
	must(t, s.Update(t.Context(), func(tx Tx) error {
		return errors.Join(
			tx.PutUser(tenancy.User{ID: "user_1", Email: "old@acme.com"}),
			tx.PutDomain(tenancy.Domain{Organization: "org_a", Name: "acme.com", State: tenancy.DomainVerified}),
			tx.PutMembership(tenancy.Membership{Organization: "org_a", User: "user_1"}),
			tx.PutSession(session.Session{ID: "session_1", User: "user_1", Token: old, ExpiresAt: later}))
	}))
	before := map[string]Pair{}
	maps.Copy(before, p.rows)
	must(t, s.Update(t.Context(), func(tx Tx) error {
		return errors.Join(
			tx.PutUser(tenancy.User{ID: "user_1", Email: "new@acme.com"}),
			tx.PutDomain(tenancy.Domain{Organization: "org_a", Name: "acme.com", State: tenancy.DomainFailed}),
			tx.DeleteMembership("org_a", "user_1"),
			tx.PutSession(session.Session{ID: "session_1", User: "user_1", Token: current, ExpiresAt: later}))
	}))
	back := 0
	for k, v := range before {
		if _, ok := p.rows[k]; !ok && kind(k[0]) != kindMembership {
			p.rows[k] = v
			back++
		}
	}
	if back != 4 {
		t.Fatalf("%d entries came back, want 4", back)
	}
	must(t, s.View(t.Context(), func(tx Tx) error {
		_, token := tx.SessionByToken(old)
		_, email := tx.UserByEmail("old@acme.com")
		_, domain := tx.VerifiedDomain("acme.com")
		for what, err := range map[string]error{"token": token, "address": email, "domain": domain} {
			if !errors.Is(err, tenancy.ErrNotFound) {
				t.Errorf("the old %s still finds: %v", what, err)
			}
		}
		for m, err := range tx.Memberships("user_1") {
			t.Errorf("the deleted membership is listed: %v, %v", m, err)
		}
		return nil
	}))
	// And it does not stand in the way of who has the right to it.
	must(t, s.Update(t.Context(), func(tx Tx) error {
		return tx.PutUser(tenancy.User{ID: "user_2", Email: "old@acme.com"})
	}))
}

func TestARowThatIsNotOursIsDamageAndIsNotQuoted(t *testing.T) {
	p := newPlain()
	s := New(p, Options{})
	must(t, p.Set(encodeKey(byte(kindUser), "user_1"), []byte(`{"id": hunter2`), time.Time{}))
	must(t, p.Set(encodeKey(byte(kindEmail), "jo@acme.com"), []byte(`hunter2`), time.Time{}))
	must(t, p.Append([]byte("hunter2"), time.Time{}))
	must(t, s.View(t.Context(), func(tx Tx) error {
		_, row := tx.User("user_1")
		_, index := tx.UserByEmail("jo@acme.com")
		_, feed := s.Feed(t.Context(), 0, 1)
		for _, err := range []error{row, index, feed} {
			if !errors.Is(err, ErrCorrupt) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%v, want ErrCorrupt without what was found", err)
			}
		}
		return nil
	}))
}

func TestAFollowerThatCanNotReadIsNotSynced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlain()
		s := New(p, Options{})
		must(t, s.Update(t.Context(), func(tx Tx) error {
			return tx.Append(audit.Event{ID: "event_1", Name: "n", At: time.Now()})
		}))
		ctx, cancel := context.WithCancel(t.Context())
		var got atomic.Int64
		f := s.NewFollower(0, func(cs []Change) error { got.Add(int64(len(cs))); return nil })
		go func() {
			if err := f.Run(ctx); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}()
		synctest.Wait()
		if got.Load() != 1 || time.Since(f.Synced()) > 0 {
			t.Fatalf("got %d changes, synced %v ago", got.Load(), time.Since(f.Synced()))
		}
		// Nothing happens, and it knows that nothing does.
		time.Sleep(time.Hour)
		synctest.Wait()
		if age := time.Since(f.Synced()); age > followPoll {
			t.Errorf("in a quiet hour, synced grew old: %v", age)
		}
		p.failing.Store(new(ErrUnavailable))
		broke := time.Now()
		time.Sleep(time.Minute)
		synctest.Wait()
		if f.Synced().After(broke) {
			t.Errorf("synced at %v, though the feed was lost at %v", f.Synced(), broke)
		}
		p.failing.Store(nil)
		time.Sleep(lastBackoff)
		synctest.Wait()
		if age := time.Since(f.Synced()); age > followPoll || got.Load() != 1 {
			t.Errorf("after the feed is back, synced %v ago, got %d changes", age, got.Load())
		}
		cancel()
		synctest.Wait()
	})
}

func TestAnAnswerThatTookLongVouchesForWhenItWasAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlain()
		p.slow = 10 * time.Second
		ctx, cancel := context.WithCancel(t.Context())
		f := New(p, Options{}).NewFollower(0, func([]Change) error { return nil })
		began := time.Now()
		go func() { _ = f.Run(ctx) }()
		time.Sleep(p.slow)
		synctest.Wait()
		if !f.Synced().Equal(began) {
			t.Errorf("synced %v after the question, which is when others may have committed", f.Synced().Sub(began))
		}
		cancel()
		time.Sleep(p.slow)
	})
}

func TestAFollowerOffersAgainWhatWasRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlain()
		s := New(p, Options{})
		must(t, s.Update(t.Context(), func(tx Tx) error {
			return tx.Append(audit.Event{ID: "event_1", Name: "n", At: time.Now()})
		}))
		ctx, cancel := context.WithCancel(t.Context())
		var tries atomic.Int64
		f := s.NewFollower(0, func([]Change) error {
			if tries.Add(1) < 4 {
				return errors.New("not now")
			}
			return nil
		})
		go func() { _ = f.Run(ctx) }()
		synctest.Wait()
		if tries.Load() != 1 || f.Position() != 0 || !f.Synced().IsZero() {
			t.Errorf("after a refusal: %d tries, position %d, synced %v", tries.Load(), f.Position(), f.Synced())
		}
		time.Sleep(firstBackoff * 7) // 100, 200, 400 ms
		synctest.Wait()
		if tries.Load() != 4 || f.Position() != 1 || f.Synced().IsZero() {
			t.Errorf("in the end: %d tries, position %d, synced %v", tries.Load(), f.Position(), f.Synced())
		}
		cancel()
		synctest.Wait()
	})
}

// A database fails over to a replica that had not got everything: what the follower was told
// last has never happened, and others may have committed in its place.
func TestAFollowerOfAStoreThatWentBackStartsOver(t *testing.T) {
	for name, since := range map[string]int{"behind": 0, "as far again": 2, "further": 5} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPlain()
				s := New(p, Options{})
				appended := 0
				commit := func(n int) {
					for range n {
						appended++
						id := fmt.Sprint("event_", appended)
						must(t, s.Update(t.Context(), func(tx Tx) error { return tx.Append(audit.Event{ID: id, Name: "n", At: time.Now()}) }))
					}
				}
				commit(3)
				heard := make(chan string, 10)
				f := s.NewFollower(3, func(cs []Change) error {
					for _, c := range cs {
						heard <- c.Event.ID
					}
					return nil
				})
				got := func() (ids []string) {
					for len(heard) > 0 {
						ids = append(ids, <-heard)
					}
					return ids
				}
				var over atomic.Int64
				var refuse atomic.Bool
				f.StartOver = func(context.Context) error {
					if over.Add(1); !f.Synced().IsZero() {
						t.Error("it says that it is synced while it starts over")
					}
					if refuse.Load() {
						return errors.New("not now")
					}
					return nil
				}
				ctx, cancel := context.WithCancel(t.Context())
				go func() { _ = f.Run(ctx) }()
				synctest.Wait()
				commit(2)
				time.Sleep(time.Minute)
				synctest.Wait()
				if ids := got(); over.Load() != 0 || f.Position() != 5 || !slices.Equal(ids, []string{"event_4", "event_5"}) {
					t.Fatalf("before: started over %d times, position %d, got %q", over.Load(), f.Position(), ids)
				}

				refuse.Store(true)
				p.mu.Lock()
				p.feed = p.feed[:3]
				p.mu.Unlock()
				commit(since) // event_6 and on, where 4 and 5 were
				time.Sleep(time.Minute)
				synctest.Wait()
				if ids := got(); over.Load() < 2 || !f.Synced().IsZero() || ids != nil {
					t.Errorf("while it can't start over: tried %d times, synced at %v, got %q", over.Load(), f.Synced(), ids)
				}
				refuse.Store(false)
				over.Store(0)
				time.Sleep(time.Minute)
				synctest.Wait()
				if age, ids := time.Since(f.Synced()), got(); over.Load() != 1 || f.Position() != 3+uint64(since) || age > followPoll || ids != nil {
					t.Errorf("then: started over %d times, position %d, synced %v ago, got %q", over.Load(), f.Position(), age, ids)
				}
				commit(1)
				time.Sleep(time.Minute)
				synctest.Wait()
				if ids, want := got(), fmt.Sprint("event_", appended); over.Load() != 1 || !slices.Equal(ids, []string{want}) {
					t.Errorf("after: started over %d times, got %q, want %s", over.Load(), ids, want)
				}
				cancel()
				synctest.Wait()
			})
		})
	}
}

func TestAFollowerFromAPositionThatIsEmptyStartsOverOnlyWhenTheHeadIsBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlain()
		s := New(p, Options{})
		f := s.NewFollower(7, func([]Change) error { return nil }) // as a restart, while the feed's only entries have grown too old
		var over atomic.Int64
		f.StartOver = func(context.Context) error { over.Add(1); return nil }
		p.skipped.Store(7)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _ = f.Run(ctx) }()
		time.Sleep(time.Minute)
		synctest.Wait()
		if age := time.Since(f.Synced()); over.Load() != 0 || age > followPoll {
			t.Errorf("started over %d times, synced %v ago", over.Load(), age)
		}
		p.skipped.Store(6)
		time.Sleep(time.Minute)
		synctest.Wait()
		if over.Load() != 1 || f.Position() != 6 {
			t.Errorf("behind: started over %d times, position %d", over.Load(), f.Position())
		}
		cancel()
		synctest.Wait()
	})
}

func TestABackupThatCanNotBeWrittenIsAnError(t *testing.T) {
	s := New(newPlain(), Options{})
	r, w := io.Pipe()
	must(t, r.Close())
	if n, err := s.Backup(t.Context(), w); !errors.Is(err, io.ErrClosedPipe) || n != (Copied{}) {
		t.Errorf("%v, %v", n, err)
	}
}

// Whatever the bytes: no panic, and what is accepted is whole, in order and of our kinds.
func FuzzBackup(f *testing.F) {
	p := newPlain()
	s := New(p, Options{})
	must(f, s.Update(context.Background(), func(tx Tx) error {
		return errors.Join(
			tx.PutUser(tenancy.User{ID: "user_1", Email: "jo@acme.com"}),
			tx.PutSession(session.Session{ID: "session_1", User: "user_1", Token: session.Hash{1}, ExpiresAt: time.Now().Add(time.Hour)}),
			tx.Append(audit.Event{ID: "event_1", Name: "n", At: time.Now()}))
	}))
	var good bytes.Buffer
	if _, err := s.Backup(context.Background(), &good); err != nil {
		f.Fatal(err)
	}
	f.Add(good.Bytes())
	f.Add([]byte("{\"orgate_backup\":1,\"created_at\":\"2026-01-01T00:00:00Z\",\"head\":0}\n{\"rows\":0,\"events\":0,\"sha256\":\"\"}\n"))
	f.Add([]byte("{}\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := newBackupReader(bytes.NewReader(b))
		if err != nil {
			return
		}
		var last []byte
		for {
			l, err := r.read()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return
			}
			if l.Position != 0 {
				continue
			}
			key, err := l.encodedKey()
			if err != nil || bytes.Compare(key, last) <= 0 {
				t.Fatalf("a bad or misplaced key was taken: %q, %v", l.Key, err)
			}
			last = key
		}
		// Accepted: then it can be restored, and what was restored can be backed up.
		to := New(newPlain(), Options{})
		if _, err := to.Restore(t.Context(), bytes.NewReader(b)); err != nil {
			t.Fatalf("a backup that is whole can't be restored: %v", err)
		}
	})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
