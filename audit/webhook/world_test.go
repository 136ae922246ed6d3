package webhook_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/audit/hook"
	"github.com/orgate/orgate/audit/webhook"
	"github.com/orgate/orgate/internal/egress"
	"github.com/orgate/orgate/internal/seal"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/store/storetest"
)

// system is who does things in tests.
var system = audit.System

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// A world is a store, a clock, and whoever delivers.
type world struct {
	testing.TB
	s        *store.Store
	clock    *storetest.Clock
	box      *seal.Box
	out      *egress.Client
	secrets  []string
	log      *lockedBuffer
	outcomes chan string
	n        int
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newWorld(t testing.TB) *world {
	clock := storetest.NewClock(noon)
	return worldOf(t, storetest.OpenAt(t, clock.Now), clock)
}

func worldOf(t testing.TB, s *store.Store, clock *storetest.Clock) *world {
	box, err := seal.NewBox(seal.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	return &world{
		TB: t, s: s, clock: clock, box: box, log: &lockedBuffer{}, outcomes: make(chan string, 1<<16),
		out: egress.New(egress.Options{AllowLoopback: true, Timeout: webhook.Timeout, MaxBody: webhook.MaxAnswer}),
	}
}

func (w *world) rules() hook.Rules { return hook.Rules{CheckURL: w.out.CheckURL, Box: w.box} }

func (w *world) do(f func(tx store.Tx) error) {
	w.Helper()
	if err := w.s.Update(context.WithoutCancel(w.Context()), f); err != nil {
		w.Fatal(err)
	}
}

func (w *world) look(f func(tx store.Tx) error) {
	w.Helper()
	if err := w.s.View(context.WithoutCancel(w.Context()), f); err != nil {
		w.Fatal(err)
	}
}

// endpoint makes one for user.created and user.deleted.
func (w *world) endpoint(url string) hook.Endpoint {
	return w.endpointFor(url, "user.created", "user.deleted")
}

func (w *world) endpointFor(url string, events ...string) (e hook.Endpoint) {
	w.Helper()
	return w.endpointAt(w.clock.Now(), url, events...)
}

func (w *world) endpointAt(now time.Time, url string, events ...string) (e hook.Endpoint) {
	w.Helper()
	secret := ""
	w.do(func(tx store.Tx) (err error) {
		e, secret, err = hook.Create(tx, w.rules(), hook.Wish{URL: &url, Events: events}, audit.System, now)
		return err
	})
	w.secrets = append(w.secrets, secret)
	return e
}

func (w *world) update(e hook.ID, wish hook.Wish) {
	w.Helper()
	w.do(func(tx store.Tx) error {
		_, err := hook.Update(tx, w.rules(), e, wish, audit.System, w.clock.Now())
		return err
	})
}

// happen appends n events of that name, in one transaction, and returns their ids.
func (w *world) happen(name string, n int) (ids []string) {
	w.Helper()
	w.do(func(tx store.Tx) error {
		ids = nil
		for range n {
			w.n++
			e := audit.New(name, audit.System, w.clock.Now())
			e.User = fmt.Sprint("user_", w.n)
			ids = append(ids, e.ID)
			if err := audit.Record(tx, e, map[string]string{"object": "user", "id": e.User}); err != nil {
				return err
			}
		}
		return nil
	})
	return ids
}

// deliverer returns another one on the store.
func (w *world) deliverer() *webhook.Deliverer {
	return &webhook.Deliverer{
		Store: w.s, Box: w.box, Client: w.out.HTTP, Now: w.clock.Now, Poll: 5 * time.Millisecond, Grace: time.Second,
		Logger: slog.New(slog.NewJSONHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Count:  func(o string) { w.outcomes <- o },
	}
}

// run runs d until stop is called, or the test ends.
func (w *world) run(d *webhook.Deliverer) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.Context()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = d.Run(ctx)
	}()
	stop = func() {
		cancel()
		select {
		case <-done:
		case <-time.After(patience):
			w.Error("the deliverer does not end")
		}
	}
	w.Cleanup(stop)
	return stop
}

func (w *world) start() (stop func()) { return w.run(w.deliverer()) }

// outcome waits for the next thing that becomes of a webhook.
func (w *world) outcome(want string) {
	w.Helper()
	select {
	case got := <-w.outcomes:
		if got != want {
			w.Fatalf("a webhook was %s, want %s\n%s", got, want, w.log)
		}
	case <-time.After(patience):
		w.Fatalf("no webhook was %s\n%s", want, w.log)
	}
}

// waiting returns the deliveries that wait for e.
func (w *world) waiting(e hook.ID) (ds []hook.Delivery) {
	w.Helper()
	w.look(func(tx store.Tx) error {
		ds = nil
		for d, err := range tx.WebhookDeliveries(e) {
			if err != nil {
				return err
			}
			ds = append(ds, d)
		}
		return nil
	})
	return ds
}

// told returns the data of the events of a name.
func (w *world) told(name string) (data []string) {
	w.Helper()
	for pos := uint64(0); ; {
		changes, err := w.s.Feed(context.WithoutCancel(w.Context()), pos, 1000)
		if err != nil {
			w.Fatal(err)
		}
		if len(changes) == 0 {
			return data
		}
		for _, c := range changes {
			if pos = c.Position; c.Event.Name == name {
				data = append(data, string(c.Event.Data))
			}
		}
	}
}

// A got is what a receiver got.
type got struct {
	header http.Header
	body   []byte
	id     string // of the event
	name   string
}

// A receiver answers as it is told to.
type receiver struct {
	*httptest.Server
	got chan got
}

// receiver starts one. answer may be nil: yes.
func (w *world) receiver(answer http.HandlerFunc) *receiver {
	r := &receiver{got: make(chan got, 1<<16)}
	r.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		b, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		var e struct{ ID, Event string }
		if err := json.Unmarshal(b, &e); err != nil {
			w.Errorf("%s: %v", b, err)
		}
		r.got <- got{req.Header.Clone(), b, e.ID, e.Event}
		if answer != nil {
			answer(rw, req)
		}
	}))
	w.Cleanup(func() {
		r.CloseClientConnections()
		r.Close()
	})
	return r
}

func (w *world) next(r *receiver) got {
	w.Helper()
	select {
	case g := <-r.got:
		return g
	case <-time.After(patience):
		w.Fatalf("the receiver gets nothing\n%s", w.log)
		return got{}
	}
}

// gets waits until r got the events of these ids, in this order.
func (w *world) gets(r *receiver, ids ...string) {
	w.Helper()
	for i, id := range ids {
		if g := w.next(r); g.id != id {
			w.Fatalf("%d. event is %s, want %s", i+1, g.id, id)
		}
	}
}

func (w *world) getsNothing(r *receiver) {
	w.Helper()
	select {
	case g := <-r.got:
		w.Fatalf("the receiver got %s", g.body)
	default:
	}
}

// verify is how a receiver that knows nothing of this code would.
func verify(secret string, g got, now time.Time) error {
	id, at := g.header.Get("webhook-id"), g.header.Get("webhook-timestamp")
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		return err
	}
	seconds, err := strconv.ParseInt(at, 10, 64)
	if err != nil || now.Sub(time.Unix(seconds, 0)).Abs() > 5*time.Minute {
		return fmt.Errorf("timestamp %q: %w", at, errors.Join(err, errors.New("too old")))
	}
	m := hmac.New(sha256.New, key)
	fmt.Fprintf(m, "%s.%s.%s", id, at, g.body)
	if want := "v1," + base64.StdEncoding.EncodeToString(m.Sum(nil)); !slices.Contains(strings.Split(g.header.Get("webhook-signature"), " "), want) {
		return errors.New("webhook-signature does not match")
	}
	return nil
}

// verifyWorkOS is what the SDKs of the API do.
func verifyWorkOS(secret string, g got, now time.Time) error {
	t, v1, ok := strings.Cut(g.header.Get("WorkOS-Signature"), ", ")
	t, okT := strings.CutPrefix(t, "t=")
	v1, okV := strings.CutPrefix(v1, "v1=")
	ms, err := strconv.ParseInt(t, 10, 64)
	if !ok || !okT || !okV || err != nil || now.Sub(time.UnixMilli(ms)).Abs() > 3*time.Minute {
		return fmt.Errorf("header %q", g.header.Get("WorkOS-Signature"))
	}
	m := hmac.New(sha256.New, []byte(secret))
	m.Write([]byte(t + "." + string(g.body)))
	if hex.EncodeToString(m.Sum(nil)) != v1 {
		return errors.New("WorkOS-Signature does not match")
	}
	return nil
}
