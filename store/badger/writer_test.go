package badger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	badgerdb "github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"

	"github.com/orgate/orgate/store"
)

func openTest(t testing.TB, o Options) *Engine {
	t.Helper()
	e, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	return e
}

// hold keeps the writer busy until release is called, so that what is updated meanwhile
// queues up.
func hold(t *testing.T, e *Engine) (release func()) {
	t.Helper()
	held, free := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := e.Update(context.WithoutCancel(t.Context()), func(store.KV) error {
			close(held)
			<-free
			return nil
		}); err != nil {
			t.Errorf("the function that held the writer: %v", err)
		}
	})
	<-held
	return func() { close(free); wg.Wait() }
}

// queued waits until so many updates wait for the writer.
func queued(t *testing.T, e *Engine, n int) {
	t.Helper()
	for len(e.requests) < n {
		if t.Context().Err() != nil {
			t.Fatal("they do not queue up")
		}
		time.Sleep(time.Millisecond)
	}
}

func TestWaitingUpdatesShareOneCommit(t *testing.T) {
	e := openTest(t, Options{Dir: t.TempDir()})
	release := hold(t, e)
	before := e.db.MaxVersion()
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			defer func() { _ = recover() }()
			err := e.Update(t.Context(), func(kv store.KV) error {
				if err := kv.Set(fmt.Appendf(nil, "%02d", i), []byte("v"), time.Time{}); err != nil {
					return err
				}
				switch i % 8 {
				case 3:
					return errors.New("refused")
				case 5:
					panic("in the middle of the group")
				}
				return kv.Append([]byte("e"), time.Time{})
			})
			if (err != nil) != (i%8 == 3) {
				t.Errorf("update %d: %v", i, err)
			}
		})
	}
	queued(t, e, 64)
	release()
	wg.Wait()
	if n := e.db.MaxVersion() - before; n != 1 {
		t.Errorf("64 updates took %d commits, want 1", n)
	}
	err := e.View(t.Context(), func(kv store.KV) error {
		for i := range 64 {
			_, err := kv.Get(fmt.Appendf(nil, "%02d", i))
			if there := err == nil; there != (i%8 != 3 && i%8 != 5) {
				t.Errorf("what update %d wrote is there: %v (%v)", i, there, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if head, err := e.Head(t.Context()); err != nil || head != 48 {
		t.Errorf("head is %d, %v; want 48: what was rolled back leaves no gap", head, err)
	}
}

func TestWhatAnEarlierFunctionOfTheGroupWroteExpiresToo(t *testing.T) {
	var mu sync.Mutex
	now := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	e := openTest(t, Options{InMemory: true, Now: clock})
	release := hold(t, e)
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := e.Update(t.Context(), func(kv store.KV) error {
			defer func() { mu.Lock(); defer mu.Unlock(); now = now.Add(time.Minute) }()
			return errors.Join(kv.Set([]byte("k"), nil, now.Add(time.Second)), kv.Append(nil, now.Add(time.Second)))
		}); err != nil {
			t.Error(err)
		}
	})
	queued(t, e, 1)
	wg.Go(func() {
		if err := e.Update(t.Context(), func(kv store.KV) error {
			if _, err := kv.Get([]byte("k")); !errors.Is(err, store.ErrNoKey) {
				t.Errorf("get: %v", err)
			}
			for p := range kv.Scan(nil, nil, false) {
				t.Errorf("scan finds %s", p.Key)
			}
			if es, err := kv.Entries(0, 10); err != nil || len(es) > 0 {
				t.Errorf("feed: %v, %v", es, err)
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
	})
	queued(t, e, 2)
	release()
	wg.Wait()
}

func TestAFunctionThatIsTooBigIsRefusedAlone(t *testing.T) {
	e := openTest(t, Options{InMemory: true})
	release := hold(t, e)
	value := bytes.Repeat([]byte("v"), 1000)
	write := func(name string, n int) error {
		return e.Update(t.Context(), func(kv store.KV) error {
			for i := range n {
				// An error that the function does not look at counts all the same.
				_ = kv.Set(fmt.Appendf(nil, "%s/%05d", name, i), value, time.Time{})
			}
			return kv.Append([]byte(name), time.Time{})
		})
	}
	var wg sync.WaitGroup
	for i := range 8 { // together more than a transaction of Badger takes
		wg.Go(func() {
			if err := write(fmt.Sprint("fits", i), 500); err != nil {
				t.Errorf("update %d: %v", i, err)
			}
		})
	}
	wg.Go(func() {
		if err := write("too big", 2000); !errors.Is(err, store.ErrTooBig) {
			t.Errorf("2 MB: %v, want ErrTooBig", err)
		}
	})
	wg.Go(func() {
		err := e.Update(t.Context(), func(kv store.KV) error {
			for i := range 100_000 {
				if err := kv.Delete(fmt.Appendf(nil, "many/%05d", i)); err != nil {
					return err
				}
			}
			return nil
		})
		if !errors.Is(err, store.ErrTooBig) {
			t.Errorf("100,000 keys: %v, want ErrTooBig", err)
		}
	})
	queued(t, e, 10)
	release()
	wg.Wait()
	err := e.View(t.Context(), func(kv store.KV) error {
		n := 0
		for p, err := range kv.Scan(nil, nil, false) {
			if err != nil {
				return err
			}
			if strings.HasPrefix(string(p.Key), "too big") {
				t.Fatalf("%s is there", p.Key)
			}
			n++
		}
		es, err := kv.Entries(0, 100)
		if n != 8*500 || len(es) != 8 {
			t.Errorf("%d keys and %d entries are there, want 4000 and 8", n, len(es))
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestAnUpdateWhoseCallerIsGoneDoesNotRun(t *testing.T) {
	e := openTest(t, Options{InMemory: true})
	release := hold(t, e)
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("the browser went away")
	var wg sync.WaitGroup
	wg.Go(func() {
		err := e.Update(ctx, func(store.KV) error { t.Error("it ran"); return nil })
		if !errors.Is(err, gone) {
			t.Errorf("got %v, want the cause", err)
		}
	})
	queued(t, e, 1)
	cancel(gone)
	wg.Wait() // while the writer is still busy
	release()
	if err := e.Update(t.Context(), func(store.KV) error { return nil }); err != nil {
		t.Error(err)
	}
}

func TestCloseWaitsForWhatIsRunning(t *testing.T) {
	e := openTest(t, Options{Dir: t.TempDir()})
	release := hold(t, e)
	var finished atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		err := e.Update(t.Context(), func(kv store.KV) error { return kv.Set([]byte("k"), nil, time.Time{}) })
		if err != nil {
			t.Errorf("an update that had begun before Close: %v", err)
		}
		finished.Store(true)
	})
	queued(t, e, 1)
	wg.Go(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		if !finished.Load() {
			t.Error("closed under an update")
		}
	})
	for e.View(t.Context(), func(store.KV) error { return nil }) == nil {
		time.Sleep(time.Millisecond)
	}
	if err := e.Update(t.Context(), func(store.KV) error { return nil }); !errors.Is(err, store.ErrClosed) {
		t.Errorf("an update after Close: %v", err)
	}
	release()
	wg.Wait()
}

// What a kill does not show: a commit is flushed, so that it survives the power too.
func TestCommitsAreFlushedAndReadsAreChecked(t *testing.T) {
	o := openTest(t, Options{Dir: t.TempDir()}).db.Opts()
	if !o.SyncWrites || !o.VerifyValueChecksum || o.ChecksumVerificationMode != options.OnBlockRead {
		t.Errorf("SyncWrites %v, VerifyValueChecksum %v, ChecksumVerificationMode %v", o.SyncWrites, o.VerifyValueChecksum, o.ChecksumVerificationMode)
	}
}

func TestAFullDiskRefusesUpdatesUntilThereIsRoom(t *testing.T) {
	e := openTest(t, Options{Dir: t.TempDir(), MinFree: 10 << 20})
	var free atomic.Uint64
	e.free = func() (uint64, error) { return free.Load(), nil }
	update := func() error {
		return e.Update(t.Context(), func(kv store.KV) error { return kv.Set([]byte("k"), nil, time.Time{}) })
	}
	for _, c := range []struct {
		free uint64
		ok   bool
	}{{10 << 20, true}, {10<<20 - 1, false}, {0, false}, {1 << 40, true}} {
		free.Store(c.free)
		for what, err := range map[string]error{"update": update(), "health": e.Health(t.Context())} {
			if (err == nil) != c.ok || err != nil && !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("%d bytes free: %s: %v", c.free, what, err)
			}
			if err != nil && !strings.Contains(err.Error(), "make room") {
				t.Errorf("%v does not say what to do", err)
			}
		}
		if err := e.View(t.Context(), func(store.KV) error { return nil }); err != nil {
			t.Errorf("%d bytes free: view: %v", c.free, err)
		}
	}
	dir := t.TempDir()
	if _, err := Open(Options{Dir: dir, MinFree: math.MaxUint64}); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("open on a full disk: %v", err)
	}
	if half, err := os.ReadDir(dir); err != nil || len(half) > 0 {
		t.Errorf("open on a full disk left %v behind: %v", half, err)
	}
}

// What Badger writes on closing, it writes to mapped files: on a full disk that would end the
// process with a fault. What was answered is in the log of the memory table already.
func TestAFullDiskIsNotWrittenToOnClosingAndNothingIsLost(t *testing.T) {
	dir := t.TempDir()
	e, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Update(t.Context(), func(kv store.KV) error { return kv.Set([]byte("k"), []byte("v"), time.Time{}) }); err != nil {
		t.Fatal(err)
	}
	e.free = func() (uint64, error) { return 0, nil }
	if err := e.Close(); !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "nothing is lost") {
		t.Errorf("closed with %v", err)
	}
	if tables, _ := filepath.Glob(filepath.Join(dir, "*.sst")); len(tables) > 0 {
		t.Errorf("it wrote %v", tables)
	}

	// As the next process finds it.
	left := t.TempDir()
	if err := os.CopyFS(left, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := e.db.Close(); err != nil {
		t.Fatal(err)
	}
	again := openTest(t, Options{Dir: left})
	err = again.View(t.Context(), func(kv store.KV) error {
		v, err := kv.Get([]byte("k"))
		if string(v) != "v" {
			t.Errorf("%q", v)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestNothingIsWrittenAfterAFailedWrite(t *testing.T) {
	var log bytes.Buffer
	e := openTest(t, Options{InMemory: true, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	commits := 0
	e.commit = func(*badgerdb.Txn) error {
		commits++
		return errors.New("input/output error\ndump: secret")
	}
	for i := range 2 {
		ran := false
		err := e.Update(t.Context(), func(kv store.KV) error {
			ran = true
			return kv.Set([]byte("k"), []byte("secret"), time.Time{})
		})
		if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "started again") || strings.Contains(err.Error(), "secret") {
			t.Errorf("update %d: %v", i, err)
		}
		if ran != (i == 0) {
			t.Errorf("update %d ran: %v", i, ran)
		}
	}
	if commits != 1 {
		t.Errorf("%d commits were tried, want 1", commits)
	}
	if err := e.View(t.Context(), func(store.KV) error { return nil }); err != nil {
		t.Errorf("view: %v", err)
	}
	if err := e.Health(t.Context()); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("health: %v", err)
	}
	if !strings.Contains(log.String(), "store can't write") || strings.Contains(log.String(), "secret") {
		t.Errorf("log: %s", log.String())
	}
}

func TestTheValueLogIsCollectedAndLosesNothing(t *testing.T) {
	e := openTest(t, Options{Dir: t.TempDir()})
	value := bytes.Repeat([]byte("v"), 900_000)
	for range 3 {
		for i := range 10 {
			if err := e.Update(t.Context(), func(kv store.KV) error {
				return kv.Set(fmt.Append(nil, "big", i), value, time.Time{})
			}); err != nil {
				t.Fatal(err)
			}
		}
		e.collectOnce()
	}
	err := e.View(t.Context(), func(kv store.KV) error {
		for i := range 10 {
			if b, err := kv.Get(fmt.Append(nil, "big", i)); err != nil || !bytes.Equal(b, value) {
				t.Errorf("value %d: %d bytes, %v", i, len(b), err)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestWhatHasExpiredIsFreedLaterAndNeverEarly(t *testing.T) {
	now := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	e := openTest(t, Options{InMemory: true, Now: func() time.Time { return now }})
	expires := map[string]time.Time{
		"soon": now.Add(time.Minute), "past": now.Add(-time.Hour), "never": {}, "2500": time.Date(2500, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	if err := e.Update(t.Context(), func(kv store.KV) error {
		for k, at := range expires {
			if err := kv.Set([]byte(k), nil, at); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	txn := e.db.NewTransaction(false)
	defer txn.Discard()
	for k, at := range expires {
		item, err := txn.Get(spaced([]byte(k)))
		if err != nil {
			t.Fatalf("%s: %v", k, err)
		}
		got := item.ExpiresAt()
		if at.IsZero() || at.Year() == 2500 {
			if got != 0 {
				t.Errorf("%s is freed at %d, want never", k, got)
			}
			continue
		}
		want := time.Now().Add(max(at.Sub(now), 0) + physicalGrace).Unix()
		if int64(got) < want-5 || int64(got) > want+5 {
			t.Errorf("%s is freed at %d, want about %d by the machine's clock", k, got, want)
		}
	}
}
