package webhook_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/orgate/orgate/audit/hook"
	"github.com/orgate/orgate/audit/webhook"
	"github.com/orgate/orgate/internal/egress"
	"github.com/orgate/orgate/internal/need"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/store/badger"
	"github.com/orgate/orgate/store/storetest"
)

// fails checks that what r answers is no yes, and why.
func fails(t *testing.T, w *world, url, want string) {
	t.Helper()
	e := w.endpoint(url)
	w.start()
	w.happen("user.created", 1)
	w.outcome(webhook.Failed)
	ds := w.waiting(e.ID)
	if len(ds) != 1 || len(ds[0].Attempts) != 1 || ds[0].Attempts[0].Error != want {
		t.Errorf("it failed with %+v, want %s", ds, want)
	}
	if log := w.log.String(); !strings.Contains(log, want) {
		t.Errorf("the log does not say %s: %s", want, log)
	}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		var inside atomic.Int64
		w := newWorld(t)
		target := w.receiver(func(http.ResponseWriter, *http.Request) { inside.Add(1) })
		for _, to := range []string{"http://169.254.169.254/latest/meta-data/", target.URL} {
			w := newWorld(t)
			r := w.receiver(func(rw http.ResponseWriter, _ *http.Request) {
				rw.Header().Set("Location", to)
				rw.WriteHeader(status)
			})
			fails(t, w, r.URL, "redirect")
		}
		if inside.Load() != 0 {
			t.Errorf("%d was followed", status)
		}
	}
}

func TestAnAnswerWithoutEndIsCutOff(t *testing.T) {
	for name, head := range map[string]string{"announced": "10737418240", "not announced": ""} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			var sent atomic.Int64
			r := w.receiver(func(rw http.ResponseWriter, _ *http.Request) {
				if head != "" {
					rw.Header().Set("Content-Length", head)
				}
				block := []byte(strings.Repeat("hunter2 ", 4096))
				for sent.Load() < 10<<30 {
					n, err := rw.Write(block)
					if sent.Add(int64(n)); err != nil {
						return
					}
				}
			})
			fails(t, w, r.URL, "too_large")
			if n := sent.Load(); n > 64<<20 {
				t.Errorf("%d bytes were taken", n)
			}
			if strings.Contains(w.log.String(), "hunter2") {
				t.Error("the answer is in the log")
			}
		})
	}
}

func TestAReceiverThatResetsIsTriedAgain(t *testing.T) {
	w := newWorld(t)
	r := w.receiver(func(rw http.ResponseWriter, _ *http.Request) {
		c, _, err := rw.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_ = c.(*net.TCPConn).SetLinger(0)
		_ = c.Close()
	})
	fails(t, w, r.URL, "unreachable")
}

func TestNobodyListening(t *testing.T) {
	w := newWorld(t)
	r := w.receiver(nil)
	r.Close()
	fails(t, w, r.URL, "unreachable")
}

func TestAReceiverThatHangsIsGivenItsTimeAndNoMore(t *testing.T) {
	w := newWorld(t)
	w.out = egress.New(egress.Options{AllowLoopback: true, Timeout: 50 * time.Millisecond, MaxBody: webhook.MaxAnswer})
	r := w.receiver(func(rw http.ResponseWriter, req *http.Request) {
		rw.WriteHeader(http.StatusOK) // a yes that does not end is none
		_ = http.NewResponseController(rw).Flush()
		<-req.Context().Done()
	})
	fails(t, w, r.URL, "timeout")
}

func TestAnAddressInsideIsNotCalled(t *testing.T) {
	for _, url := range []string{
		"https://127.0.0.1/", "https://10.1.2.3/", "https://169.254.169.254/", "https://[::ffff:127.0.0.1]/", "https://192.168.1.1:8443/x",
		"https://[fd00:ec2::254]/", "https://100.100.100.200/", "https://[64:ff9b::7f00:1]/", "https://0.0.0.0/",
	} {
		w := newWorld(t)
		w.out = egress.New(egress.Options{})
		fails(t, w, url, "address")
	}
}

// A name is judged by what it resolves to when it is called, whatever it resolved to before.
func TestANameThatResolvesInsideIsNotCalled(t *testing.T) {
	w := newWorld(t)
	var inside atomic.Int64
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			inside.Add(1)
			_ = c.Close()
		}
	}()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	names, err := net.DefaultResolver.LookupHost(t.Context(), "localhost")
	if err != nil || len(names) == 0 || !netip.MustParseAddr(names[0]).IsLoopback() {
		need.Missing(t, "a resolver that says where localhost is", "a line 127.0.0.1 localhost in /etc/hosts")
	}
	// Without AllowLoopback "localhost" is a name like any other: the resolver says where it is.
	w.out = egress.New(egress.Options{Ports: []uint16{443, 8443}})
	fails(t, w, "https://localhost:"+port+"/", "address")
	if inside.Load() != 0 {
		t.Error("it was connected to")
	}
}

func TestOnlyURLsThatWouldBeCalledAreTaken(t *testing.T) {
	w := newWorld(t)
	strict := egress.New(egress.Options{})
	for _, url := range []string{
		"", "example.com", "http://example.com/", "ftp://example.com/", "https://", "https://user:pw@example.com/", "javascript:alert(1)",
		"https://example.com/\x00", "https://example.com /", "http://127.0.0.1:1/", "https://example.com/#x", "https://example.com/" + strings.Repeat("x", hook.MaxURL),
	} {
		err := w.s.Update(t.Context(), func(tx store.Tx) error {
			_, _, err := hook.Create(tx, hook.Rules{CheckURL: strict.CheckURL, Box: w.box}, hook.Wish{URL: &url}, system, noon)
			return err
		})
		if !errors.Is(err, hook.ErrURL) || url != "" && strings.Contains(err.Error(), url) {
			t.Errorf("%.50q: %v", url, err)
		}
	}
}

// Five receivers hang, one is quick: it does not notice.
func TestASlowEndpointSlowsNoOther(t *testing.T) {
	w := newWorld(t)
	release := make(chan struct{})
	var hanging []*receiver
	for range 8 {
		r := w.receiver(func(_ http.ResponseWriter, req *http.Request) {
			select {
			case <-release:
			case <-req.Context().Done():
			}
		})
		hanging = append(hanging, r)
		w.endpoint(r.URL)
	}
	quick := w.receiver(nil)
	w.endpoint(quick.URL)
	first := w.happen("user.created", 300)
	w.clock.Advance(time.Minute) // all are behind: each may have several under way
	w.start()
	seen := map[string]bool{}
	for range first {
		seen[w.next(quick).id] = true
	}
	if len(seen) != len(first) {
		t.Errorf("%d of %d came", len(seen), len(first))
	}
	w.happen("user.created", 100)
	for range 100 {
		w.next(quick)
	}
	// And what hangs has so many under way, and no more.
	all := 0
	for _, r := range hanging {
		if len(r.got) > 32 || len(r.got) == 0 {
			t.Errorf("a receiver that hangs was sent %d at a time", len(r.got))
		}
		all += len(r.got)
	}
	if all > 8+128 {
		t.Errorf("%d are under way in all", all)
	}
	close(release)
}

// A brokenEngine fails when it is told to.
type brokenEngine struct {
	store.Engine
	broken atomic.Bool
}

func (b *brokenEngine) Update(ctx context.Context, f func(store.KV) error) error {
	if b.broken.Load() {
		return fmt.Errorf("%w: the disk is full", store.ErrUnavailable)
	}
	return b.Engine.Update(ctx, f)
}

// breakable is a world with such a store.
func breakable(t *testing.T) (*world, *brokenEngine) {
	clock := storetest.NewClock(noon)
	e, err := badger.Open(badger.Options{InMemory: true, Now: clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	engine := &brokenEngine{Engine: e}
	s := store.New(engine, store.Options{Now: clock.Now})
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return worldOf(t, s, clock), engine
}

// The receiver has said yes, and then the process ends before that is written down.
func TestAnAnswerThatIsNotWrittenDownIsAskedForAgain(t *testing.T) {
	w, engine := breakable(t)
	r := w.receiver(func(http.ResponseWriter, *http.Request) { engine.broken.Store(true) })
	w.endpoint(r.URL)
	ids := w.happen("user.created", 1)
	d := w.deliverer()
	d.Grace = 0
	stop := w.run(d)
	w.gets(r, ids...)
	w.outcome(webhook.Sent)
	stop()
	engine.broken.Store(false)
	w.clock.Advance(time.Minute) // whoever is gone has not released the lease
	w.start()
	w.gets(r, ids...)
}

func TestAStoreThatFailsForAWhileLosesNothing(t *testing.T) {
	w, engine := breakable(t)
	var once sync.Once
	r := w.receiver(func(http.ResponseWriter, *http.Request) { once.Do(func() { engine.broken.Store(true) }) })
	ep := w.endpoint(r.URL)
	ids := w.happen("user.created", 20)
	stop := w.start()
	for range ids {
		w.next(r) // they are sent, and nobody can write that down
		w.outcome(webhook.Sent)
	}
	if n := len(w.waiting(ep.ID)); n != len(ids) {
		t.Errorf("%d wait, want %d", n, len(ids))
	}
	engine.broken.Store(false)
	more := w.happen("user.created", 1)
	w.gets(r, more...)
	stop()
	if n := len(w.waiting(ep.ID)); n != 0 {
		t.Errorf("%d still wait", n)
	}
}

func TestNoSecretIsInTheLogTheStoreOrAnEvent(t *testing.T) {
	w := newWorld(t)
	r := w.receiver(func(rw http.ResponseWriter, req *http.Request) {
		rw.WriteHeader(http.StatusInternalServerError)
		fmt.Fprint(rw, "hunter2", req.Header)
	})
	e := w.endpoint(r.URL + "/?token=tok-hunter2")
	w.do(func(tx store.Tx) error {
		_, secret, err := hook.Rotate(tx, w.rules(), e.ID, "", system, noon)
		w.secrets = append(w.secrets, secret)
		return err
	})
	w.start()
	w.happen("user.created", 2)
	w.outcome(webhook.Failed)
	w.outcome(webhook.Failed)
	var backup strings.Builder
	if _, err := w.s.Backup(t.Context(), &backup); err != nil {
		t.Fatal(err)
	}
	for _, s := range w.secrets {
		if len(s) != len("whsec_")+44 {
			t.Fatalf("secret of %d bytes", len(s))
		}
		for where, text := range map[string]string{"log": w.log.String(), "store": backup.String()} {
			if strings.Contains(text, s) || strings.Contains(text, s[len("whsec_"):]) {
				t.Errorf("a secret is in the %s", where)
			}
		}
	}
	if strings.Contains(w.log.String(), "hunter2") {
		t.Error("an answer, or a token of a URL, is in the log")
	}
	for _, data := range w.told("orgate.webhook_endpoint.created") {
		if strings.Contains(data, "hunter2") {
			t.Errorf("a token of a URL is in an event: %s", data)
		}
	}
}
