package issue_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/orgate/orgate/internal/certificate/acmetest"
	"github.com/orgate/orgate/internal/certificate/issue"
	"github.com/orgate/orgate/internal/seal"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/store/badger"
)

// A counted engine counts what is written.
type counted struct {
	store.Engine
	writes atomic.Int64
}

func (c *counted) Update(ctx context.Context, f func(store.KV) error) error {
	c.writes.Add(1)
	return c.Engine.Update(ctx, f)
}

// A world is an authority, a store, and hosts. Each test has hosts of its own: certmagic knows in the whole process which names are
// being seen to, and whoever asks for one of them waits for whoever began.
type world struct {
	t         *testing.T
	authority *acmetest.Authority
	listener  net.Listener // where the authority looks
	engine    *counted
	store     *store.Store
	box       *seal.Box
	roots     *x509.CertPool // of the authority's own address

	mu    sync.Mutex
	hosts map[string]bool
	now   time.Duration // beside the real time
	came  []string
}

func newWorld(t *testing.T, life time.Duration) *world {
	t.Helper()
	engine, err := badger.Open(badger.Options{InMemory: true})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, engine: &counted{Engine: engine}, hosts: map[string]bool{}, roots: x509.NewCertPool()}
	w.store = store.New(w.engine, store.Options{})
	t.Cleanup(func() {
		if err := w.store.Close(); err != nil {
			t.Error(err)
		}
	})
	if w.box, err = seal.NewBox(seal.NewKey()); err != nil {
		t.Fatal(err)
	}
	w.listener = w.listen()
	w.authority = acmetest.New(t, w.listener.Addr().(*net.TCPAddr).AddrPort(), life)
	w.roots.AppendCertsFromPEM(w.authority.CA)
	return w
}

func (w *world) listen() net.Listener {
	w.t.Helper()
	l, err := (&net.ListenConfig{}).Listen(w.t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	return l
}

func (w *world) serves(host string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.hosts[host]
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Add(w.now)
}

func (w *world) outcomes() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.came, " ")
}

// replica serves at l with certificates of its own issuer.
func (w *world) replica(l net.Listener) *issue.Issuer {
	w.t.Helper()
	i, err := issue.New(issue.Options{
		Store: w.store, Box: w.box, Logger: slog.New(slog.DiscardHandler), Directory: w.authority.Directory, Email: "ops@example.com",
		Roots: w.roots, Serves: w.serves, Listen: l.Addr(), Now: w.clock,
		Count: func(outcome string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.came = append(w.came, outcome)
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	server := &http.Server{
		Handler:   http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { fmt.Fprint(rw, r.Host) }),
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1", issue.Protocol}, GetCertificate: i.Get},
		ErrorLog:  slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo), ReadHeaderTimeout: time.Minute,
	}
	var done sync.WaitGroup
	done.Go(func() {
		if err := server.ServeTLS(l, "", ""); !errors.Is(err, http.ErrServerClosed) {
			w.t.Error(err)
		}
	})
	w.t.Cleanup(func() {
		if err := server.Close(); err != nil {
			w.t.Error(err)
		}
		done.Wait()
		i.Close()
	})
	return i
}

// visit asks for a host at l, and returns the certificate that was shown.
func (w *world) visit(l net.Listener, host string) (*x509.Certificate, error) {
	dialer := &tls.Dialer{NetDialer: &net.Dialer{Timeout: 2 * time.Minute}, Config: &tls.Config{RootCAs: w.authority.Issued, ServerName: host, MinVersion: tls.VersionTLS12}}
	conn, err := dialer.DialContext(w.t.Context(), "tcp", l.Addr().String())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", host); err != nil {
		return nil, err
	}
	if b, err := io.ReadAll(conn); err != nil || !strings.HasSuffix(string(b), host) {
		return nil, fmt.Errorf("%q, %w", b, err)
	}
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0], nil
}

func TestACertificateIsIssuedForAHostWhenItIsFirstAskedFor(t *testing.T) {
	w := newWorld(t, 90*24*time.Hour)
	w.replica(w.listener)
	w.hosts["portal1.acme.com"] = true
	if n := w.authority.Orders(); n != 0 {
		t.Fatalf("%d orders before anybody asked", n)
	}
	first, err := w.visit(w.listener, "portal1.acme.com")
	if err != nil {
		t.Fatal(err)
	}
	if len(first.DNSNames) != 1 || first.DNSNames[0] != "portal1.acme.com" {
		t.Errorf("for %v", first.DNSNames)
	}
	again, err := w.visit(w.listener, "portal1.acme.com")
	if err != nil || !again.Equal(first) || w.authority.Orders() != 1 || w.outcomes() != "issued" {
		t.Errorf("the next visitor: %v, %d orders, %s", err, w.authority.Orders(), w.outcomes())
	}
}

func TestNothingIsIssuedForAHostThatIsNobodys(t *testing.T) {
	w := newWorld(t, 90*24*time.Hour)
	w.replica(w.listener)
	w.hosts["portal2.acme.com"] = true
	for _, host := range []string{"evil.test", "acme.com", "x.portal2.acme.com", "portal2.acme.com.evil.test", "127.0.0.1", ""} {
		dialer := &tls.Dialer{Config: &tls.Config{ServerName: host, InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}}
		if conn, err := dialer.DialContext(t.Context(), "tcp", w.listener.Addr().String()); err == nil {
			t.Errorf("%q is shown a certificate: %v", host, conn.Close())
		}
	}
	if w.authority.Orders() != 0 || w.outcomes() != "" {
		t.Errorf("%d orders, %q", w.authority.Orders(), w.outcomes())
	}
	if _, err := w.visit(w.listener, "portal2.acme.com"); err != nil {
		t.Fatal(err)
	}
	// What was somebody's, and is not any more, is refused at once, whatever is still at hand.
	w.mu.Lock()
	w.hosts["portal2.acme.com"] = false
	w.mu.Unlock()
	if _, err := w.visit(w.listener, "portal2.acme.com"); err == nil {
		t.Error("a host that is nobody's any more is shown its certificate")
	}
}

func TestWhatIsIssuedIsEveryReplicasAndOutlivesThem(t *testing.T) {
	w := newWorld(t, 90*24*time.Hour)
	w.replica(w.listener)
	w.hosts["portal3.acme.com"] = true
	first, err := w.visit(w.listener, "portal3.acme.com")
	if err != nil {
		t.Fatal(err)
	}
	other := w.listen()
	w.replica(other)
	again, err := w.visit(other, "portal3.acme.com")
	if err != nil || !again.Equal(first) || w.authority.Orders() != 1 {
		t.Errorf("the other replica: %v, %d orders", err, w.authority.Orders())
	}
}

// A backup, or whoever reads the store, learns no key; without the secrets_key all is made anew.
func TestWhatIsIssuedIsSealed(t *testing.T) {
	w := newWorld(t, 90*24*time.Hour)
	w.replica(w.listener)
	w.hosts["portal5.acme.com"] = true
	first, err := w.visit(w.listener, "portal5.acme.com")
	if err != nil {
		t.Fatal(err)
	}
	files := 0
	err = w.store.View(t.Context(), func(tx store.Tx) error {
		for f, err := range tx.CertificateFiles("") {
			if err != nil {
				return err
			}
			files++
			if strings.Contains(string(f.Sealed), "-----BEGIN") || strings.Contains(string(f.Sealed), "{") && strings.Contains(string(f.Sealed), "portal5.acme.com") {
				t.Errorf("%s can be read", f.Path)
			}
		}
		return nil
	})
	if err != nil || files < 4 { // certificate, key, what is known of it, account
		t.Fatalf("%d files, %v", files, err)
	}
	if w.box, err = seal.NewBox(seal.NewKey()); err != nil {
		t.Fatal(err)
	}
	// The authority looks for who asks where the first one is, which knows the answer, too.
	other := w.listen()
	w.replica(other)
	again, err := w.visit(other, "portal5.acme.com")
	if err != nil || again.Equal(first) || w.authority.Orders() != 2 {
		t.Errorf("under another key: %v, %d orders", err, w.authority.Orders())
	}
}

// Visitors of a host that is refused don't have the authority asked each time, at any replica, and do not wait.
func TestAnAuthorityThatRefusesIsAskedEverMoreRarely(t *testing.T) {
	w := newWorld(t, 90*24*time.Hour)
	w.replica(w.listener)
	other := w.listen()
	w.replica(other)
	w.hosts["portal7.acme.com"] = true
	w.authority.Refuse("portal7.acme.com")
	began := time.Now()
	refused := func(want int) {
		t.Helper()
		for _, l := range []net.Listener{w.listener, other, w.listener, other} {
			if _, err := w.visit(l, "portal7.acme.com"); err == nil {
				t.Fatal("a certificate")
			}
		}
		if got := w.authority.Orders(); got != want {
			t.Errorf("%d orders, want %d", got, want)
		}
	}
	pass := func(d time.Duration) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.now += d
	}
	refused(1)
	before := w.engine.writes.Load()
	refused(1)
	if n := w.engine.writes.Load() - before; n > 0 {
		t.Errorf("visitors who come a moment later have %d things written", n)
	}
	pass(4 * time.Minute)
	refused(1)
	pass(2 * time.Minute)
	refused(2)
	pass(6 * time.Minute)
	refused(2)
	pass(5 * time.Minute)
	refused(3)
	pass(13 * time.Hour)
	refused(4)
	if took := time.Since(began); took > 40*time.Second {
		t.Errorf("visitors waited for %s", took)
	}
	if w.outcomes() != "failed failed failed failed" {
		t.Error(w.outcomes())
	}
}

func TestACertificateIsRenewedWhileItIsAskedFor(t *testing.T) {
	w := newWorld(t, 9*time.Second)
	w.replica(w.listener)
	w.hosts["portal8.acme.com"] = true
	first, err := w.visit(w.listener, "portal8.acme.com")
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(2 * time.Minute); ; {
		c, err := w.visit(w.listener, "portal8.acme.com")
		if err != nil {
			t.Fatalf("a visitor in the meantime: %v", err)
		}
		if !c.Equal(first) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("it is not renewed")
		}
	}
	if got := w.outcomes(); !strings.HasPrefix(got, "issued renewed") {
		t.Error(got)
	}
}

func TestAHostIsPreparedBeforeAnybodyAsks(t *testing.T) {
	w := newWorld(t, 90*24*time.Hour)
	i := w.replica(w.listener)
	w.hosts["login.example.com"] = true
	if err := i.Prepare(t.Context(), "login.example.com"); err != nil || w.authority.Orders() != 1 {
		t.Fatalf("%v, %d orders", err, w.authority.Orders())
	}
	if _, err := w.visit(w.listener, "login.example.com"); err != nil || w.authority.Orders() != 1 {
		t.Errorf("%v, %d orders", err, w.authority.Orders())
	}
	if err := i.Prepare(t.Context(), "evil.test"); err == nil || w.authority.Orders() != 1 {
		t.Errorf("for a host that is nobody's: %v, %d orders", err, w.authority.Orders())
	}
}
