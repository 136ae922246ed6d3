package upkeep_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/beevik/etree"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/egress"
	"github.com/orgate/orgate/internal/seal"
	"github.com/orgate/orgate/sso/ssotest"
	"github.com/orgate/orgate/sso/upkeep"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/store/storetest"
	"github.com/orgate/orgate/tenancy"
)

const (
	acme = tenancy.OrgID("org_acme")
	conn = tenancy.ConnectionID("conn_acme")
)

// A book keeps what was logged.
type book struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *book) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *book) count(parts ...string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.SplitSeq(l.b.String(), "\n") {
		all := true
		for _, p := range parts {
			all = all && strings.Contains(line, p)
		}
		if all {
			n++
		}
	}
	return n
}

// A world is one connection with its provider, on one store.
type world struct {
	t     *testing.T
	store *store.Store
	box   *seal.Box
	clock *storetest.Clock
	log   *book
	idp   *ssotest.SAMLProvider

	mu     sync.Mutex
	counts map[string]int
}

func newWorld(t *testing.T, edit func(*tenancy.SAMLConnection)) *world {
	t.Helper()
	box, err := seal.NewBox(bytes.Repeat([]byte{1}, 32))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, box: box, clock: storetest.NewClock(time.Now()), log: &book{}, counts: map[string]int{}}
	w.store = storetest.OpenAt(t, w.clock.Now)
	w.idp = ssotest.StartSAML(t, ssotest.SAMLOptions{Now: w.clock.Now})
	c := tenancy.SAMLConnection{MetadataURL: w.idp.EntityID() + "/metadata"}
	if edit != nil {
		edit(&c)
	}
	w.update(func(tx store.Tx) error {
		if err := tx.PutOrganization(tenancy.Organization{ID: acme, Slug: "acme"}); err != nil {
			return err
		}
		if err := tx.PutConnection(tenancy.Connection{ID: conn, Organization: acme, Name: "adfs", Type: "saml", SAML: &c}); err != nil {
			return err
		}
		return tx.PutSAMLState(tenancy.SAMLState{Organization: acme, Connection: conn, Next: w.clock.Now()})
	})
	return w
}

func (w *world) update(f func(store.Tx) error) {
	w.t.Helper()
	if err := w.store.Update(w.t.Context(), f); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) state() (s tenancy.SAMLState) {
	w.t.Helper()
	err := w.store.View(w.t.Context(), func(tx store.Tx) (err error) {
		s, err = tx.SAMLState(acme, conn)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

func (w *world) keeper(edit func(*upkeep.Options)) *upkeep.Keeper {
	o := upkeep.Options{
		Store: w.store, Box: w.box, Now: w.clock.Now, Logger: slog.New(slog.NewJSONHandler(w.log, nil)), Poll: time.Millisecond,
		Egress: egress.New(egress.Options{AllowLoopback: true, MaxBody: upkeep.MaxMetadata, Timeout: 300 * time.Millisecond}),
		Count: func(outcome string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.counts[outcome]++
		},
	}
	if edit != nil {
		edit(&o)
	}
	return upkeep.New(o)
}

func (w *world) counted(outcome string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.counts[outcome]
}

func (w *world) all() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for what, m := range w.counts {
		if what != "certificate_warning" {
			n += m
		}
	}
	return n
}

// until waits for what no one tells us.
func (w *world) until(what string, done func() bool) {
	w.t.Helper()
	give := time.After(20 * time.Second)
	for !done() {
		select {
		case <-give:
			w.t.Fatalf("never: %s; %v", what, w.counts)
		case <-time.After(time.Millisecond):
		}
	}
}

// look has the connection looked after once, when it is due.
func (w *world) look(keepers ...*upkeep.Keeper) {
	w.t.Helper()
	if len(keepers) == 0 {
		keepers = append(keepers, w.keeper(nil))
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	var runs sync.WaitGroup
	before := w.all()
	for _, k := range keepers {
		runs.Go(func() { k.Run(ctx) })
	}
	w.until("a look", func() bool { return w.all() > before })
	cancel()
	runs.Wait()
}

// later has the connection looked after when it is due next.
func (w *world) later() tenancy.SAMLState {
	w.t.Helper()
	w.clock.Advance(w.state().Next.Sub(w.clock.Now()) + time.Second)
	w.look()
	return w.state()
}

func (w *world) events(name string) (n int) {
	w.t.Helper()
	changes, err := w.store.Feed(w.t.Context(), 0, 10_000)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, c := range changes {
		if c.Event.Name == name {
			n++
		}
	}
	return n
}

func TestAConnectionIsReadyAfterOneLook(t *testing.T) {
	w := newWorld(t, nil)
	w.look()
	s := w.state()
	if s.Provider == nil || s.Provider.EntityID != w.idp.EntityID() || len(s.Provider.Certificates) != 1 || s.Fault != "" || len(s.Keys) != 1 {
		t.Errorf("the state is %+v", s)
	}
	if d := s.Next.Sub(w.clock.Now()); d != tenancy.SAMLRefresh {
		t.Errorf("looked after again in %s", d)
	}
	if bytes.Contains(s.Keys[0].Private, []byte("private")) {
		t.Error("the key is not sealed")
	}
	if w.events(audit.SAMLKeyCreated) != 1 {
		t.Errorf("%d events of a key", w.events(audit.SAMLKeyCreated))
	}
	// What has not changed is no event.
	changes := w.events(audit.SAMLMetadataChanged)
	w.later()
	if n := w.events(audit.SAMLMetadataChanged); n != changes || w.counted("unchanged") != 1 {
		t.Errorf("%d events of another document, %v", n-changes, w.counts)
	}
	if n := w.log.count(`"level":"WARN"`); n != 0 {
		t.Errorf("%d warnings", n)
	}
}

func TestTheLastGoodMetadataStaysInForce(t *testing.T) {
	stranger, err := ssotest.NewSAMLKey(2048)
	if err != nil {
		t.Fatal(err)
	}
	var other *ssotest.SAMLProvider
	instead := func(h http.Handler) ssotest.SAMLFaults {
		return ssotest.SAMLFaults{Endpoints: map[string]http.Handler{"metadata": h}}
	}
	edit := func(f func(*etree.Element)) ssotest.SAMLFaults { return ssotest.SAMLFaults{Metadata: f} }
	for name, fault := range map[string]func(w *world) ssotest.SAMLFaults{
		"HTML": func(*world) ssotest.SAMLFaults {
			return instead(ssotest.Says(200, "text/html", "<html><p>Sign in</html>"))
		},
		"nothing": func(*world) ssotest.SAMLFaults { return instead(ssotest.Says(200, "application/xml", "")) },
		"500":     func(*world) ssotest.SAMLFaults { return instead(ssotest.Says(500, "text/plain", "no")) },
		"404":     func(*world) ssotest.SAMLFaults { return instead(ssotest.Says(404, "text/plain", "no")) },
		"a redirect": func(*world) ssotest.SAMLFaults {
			return instead(http.RedirectHandler(other.EntityID()+"/metadata", http.StatusFound))
		},
		"another provider": func(*world) ssotest.SAMLFaults {
			return instead(ssotest.Says(200, "application/xml", string(other.Metadata())))
		},
		"another entity id": func(*world) ssotest.SAMLFaults {
			return edit(func(d *etree.Element) { d.CreateAttr("entityID", "https://evil.test") })
		},
		"another name and key": func(w *world) ssotest.SAMLFaults {
			return edit(func(d *etree.Element) {
				d.CreateAttr("entityID", "https://evil.test")
				d.FindElement(".//X509Certificate").SetText(encoded(stranger.Certificate))
			})
		},
		"no certificate": func(*world) ssotest.SAMLFaults {
			return edit(func(d *etree.Element) {
				for _, k := range d.FindElements(".//KeyDescriptor") {
					k.Parent().RemoveChild(k)
				}
			})
		},
		"no provider": func(*world) ssotest.SAMLFaults {
			return edit(func(d *etree.Element) { d.RemoveChild(d.SelectElement("IDPSSODescriptor")) })
		},
		"a script to sign in at": func(*world) ssotest.SAMLFaults {
			return edit(func(d *etree.Element) {
				for _, e := range d.FindElements(".//SingleSignOnService") {
					e.CreateAttr("Location", "javascript:alert(1)")
				}
			})
		},
		"a place to sign in at that anybody can listen to": func(*world) ssotest.SAMLFaults {
			return edit(func(d *etree.Element) {
				for _, e := range d.FindElements(".//SingleSignOnService") {
					e.CreateAttr("Location", "http://adfs.example.com/sso")
				}
			})
		},
		"a place to sign out at that anybody can listen to": func(*world) ssotest.SAMLFaults {
			return edit(func(d *etree.Element) {
				d.FindElement(".//SingleLogoutService").CreateAttr("ResponseLocation", "http://adfs.example.com/slo")
			})
		},
		"one that has ended": func(w *world) ssotest.SAMLFaults {
			return edit(func(d *etree.Element) { d.CreateAttr("validUntil", "2001-01-01T00:00:00Z") })
		},
		"a DOCTYPE": func(w *world) ssotest.SAMLFaults {
			return instead(ssotest.Says(200, "application/xml", `<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>`+string(w.idp.Metadata())))
		},
		"without end": func(*world) ssotest.SAMLFaults { return instead(ssotest.Endless()) },
		"three megabytes": func(*world) ssotest.SAMLFaults {
			return instead(ssotest.Says(200, "application/xml", strings.Repeat(" ", 3<<20)))
		},
		"slow": func(*world) ssotest.SAMLFaults {
			return instead(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
		},
	} {
		t.Run(name, func(t *testing.T) {
			other = ssotest.StartSAML(t, ssotest.SAMLOptions{})
			w := newWorld(t, nil)
			w.look()
			good := w.state()
			w.idp.Misbehave(fault(w))
			bad := w.later()
			if bad.Provider == nil || bad.Provider.EntityID != good.Provider.EntityID || !bytes.Equal(bad.Provider.Certificates[0].DER, good.Provider.Certificates[0].DER) || len(bad.Provider.Certificates) != 1 {
				t.Errorf("the provider is %+v", bad.Provider)
			}
			if bad.Fault == "" || bad.Faults != 1 || !bad.FetchedAt.Equal(good.FetchedAt) || len(bad.Fault) > 600 {
				t.Errorf("the state is %+v", bad)
			}
			if strings.ContainsAny(bad.Fault, "\n\r\x00") || strings.Contains(bad.Fault, "goroutine") {
				t.Errorf("the fault is %q", bad.Fault)
			}
			for n := 2; n < 5; n++ {
				was := bad.Next
				if bad = w.later(); bad.Faults != n || bad.Next.Before(was) {
					t.Errorf("after %d faults: %+v", n, bad)
				}
			}
			if w.events(audit.SAMLMetadataFailed) != 1 || w.log.count(`"level":"WARN"`) != 1 || w.log.count(`"level":"ERROR"`) != 0 {
				t.Errorf("%d events, %d warnings", w.events(audit.SAMLMetadataFailed), w.log.count(`"level":"WARN"`))
			}
			w.idp.Misbehave(ssotest.SAMLFaults{})
			if s := w.later(); s.Fault != "" || s.Faults != 0 || s.FetchedAt.Equal(good.FetchedAt) {
				t.Errorf("it does not recover: %+v", s)
			}
			// The next time is another.
			w.idp.Misbehave(fault(w))
			w.later()
			if n := w.events(audit.SAMLMetadataFailed); n != 2 {
				t.Errorf("%d events", n)
			}
		})
	}
}

func TestAnEntityIDThatTheOperatorNamedIsTheOnlyOne(t *testing.T) {
	w := newWorld(t, func(c *tenancy.SAMLConnection) { c.EntityID = "https://other.test" })
	w.look()
	if s := w.state(); s.Provider != nil || s.Fault == "" {
		t.Errorf("the state is %+v", s)
	}
}

func TestANewCertificateIsTakenOver(t *testing.T) {
	w := newWorld(t, nil)
	w.look()
	w.idp.RollOver()
	if s := w.later(); len(s.Provider.Certificates) != 2 {
		t.Errorf("%d certificates", len(s.Provider.Certificates))
	}
	w.idp.ForgetOldKeys()
	if s := w.later(); len(s.Provider.Certificates) != 1 || !bytes.Equal(s.Provider.Certificates[0].DER, w.idp.Certificate()) {
		t.Errorf("%d certificates", len(s.Provider.Certificates))
	}
}

func TestTwoKeepersLookOnce(t *testing.T) {
	w := newWorld(t, nil)
	// The document comes slowly enough for both to be there.
	there, on := make(chan struct{}, 8), make(chan struct{})
	document := string(w.idp.Metadata())
	w.idp.Misbehave(ssotest.SAMLFaults{Endpoints: map[string]http.Handler{"metadata": http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		there <- struct{}{}
		<-on
		_, _ = rw.Write([]byte(document))
	})}})
	patient := func(o *upkeep.Options) {
		o.Egress = egress.New(egress.Options{AllowLoopback: true, MaxBody: upkeep.MaxMetadata, Timeout: 20 * time.Second})
	}
	ctx, cancel := context.WithCancel(t.Context())
	var runs sync.WaitGroup
	polled := make(chan struct{})
	var once sync.Once
	n := 0
	for range 2 {
		k := w.keeper(func(o *upkeep.Options) {
			patient(o)
			now := o.Now
			o.Now = func() time.Time { // each poll asks the clock
				w.mu.Lock()
				defer w.mu.Unlock()
				if n++; n > 200 {
					once.Do(func() { close(polled) })
				}
				return now()
			}
		})
		runs.Go(func() { k.Run(ctx) })
	}
	<-there
	<-polled
	close(on)
	w.until("a look", func() bool { return w.all() > 0 })
	cancel()
	runs.Wait()
	if w.all() != 1 || w.idp.Hits("metadata") != 1 || len(w.state().Keys) != 1 {
		t.Errorf("%d looks, %d calls, %d keys", w.all(), w.idp.Hits("metadata"), len(w.state().Keys))
	}
}

func TestAKeeperThatDiedIsReplacedWhenItsLeaseEnds(t *testing.T) {
	w := newWorld(t, nil)
	var dead []tenancy.SAMLCare
	w.update(func(tx store.Tx) (err error) {
		dead, err = tenancy.DueSAML(tx, 8, w.clock.Now())
		return err
	})
	if len(dead) != 1 {
		t.Fatalf("%d are due", len(dead))
	}
	w.clock.Advance(tenancy.SAMLLease + time.Second)
	w.look()
	if w.state().Provider == nil {
		t.Error("nobody looked")
	}
	// What the dead one says when it wakes up again is not heard.
	err := w.store.Update(t.Context(), func(tx store.Tx) error {
		_, _, err := tenancy.ConcludeSAML(tx, dead[0], nil, "late", w.clock.Now())
		return err
	})
	if err == nil || w.state().Fault != "" {
		t.Errorf("%v, %q", err, w.state().Fault)
	}
}

func TestTheNextKeyIsMadeAheadAndOnce(t *testing.T) {
	w := newWorld(t, nil)
	w.look()
	first := w.state().Keys[0]
	w.clock.Advance(first.ExpiresAt.Sub(w.clock.Now()) - tenancy.SAMLKeyAhead - 24*time.Hour)
	w.look()
	if n := len(w.state().Keys); n != 1 {
		t.Fatalf("%d keys, a day too soon", n)
	}
	w.clock.Advance(25 * time.Hour)
	w.look()
	if n := len(w.state().Keys); n != 2 {
		t.Fatalf("%d keys", n)
	}
	for range 3 {
		w.later()
	}
	if n := len(w.state().Keys); n != 2 {
		t.Errorf("%d keys", n)
	}
	signs := func() string { return tenancy.SAMLKeys(w.state(), w.clock.Now())[0].ID }
	if signs() != first.ID {
		t.Error("the new key signs at once")
	}
	w.clock.Advance(tenancy.SAMLKeyNotice)
	if signs() == first.ID {
		t.Error("the new key does not sign")
	}
}

func TestNobodyLooksAfterWhatIsSwitchedOff(t *testing.T) {
	for name, off := range map[string]func(store.Tx) error{
		"connection": func(tx store.Tx) error {
			c, err := tx.Connection(acme, conn)
			c.Disabled = true
			if err != nil {
				return err
			}
			return tx.PutConnection(c)
		},
		"organization": func(tx store.Tx) error {
			return tx.PutOrganization(tenancy.Organization{ID: acme, Slug: "acme", Suspended: true})
		},
	} {
		w := newWorld(t, nil)
		w.update(off)
		ctx, cancel := context.WithCancel(t.Context())
		var run sync.WaitGroup
		k := w.keeper(nil)
		run.Go(func() { k.Run(ctx) })
		w.until("it is put off", func() bool { return w.state().Next.After(w.clock.Now()) })
		cancel()
		run.Wait()
		if w.idp.Hits("metadata") != 0 || len(w.state().Keys) != 0 {
			t.Errorf("%s: it was looked after", name)
		}
	}
}

func TestAChangedConnectionIsLookedAfterAtOnce(t *testing.T) {
	w := newWorld(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	k := w.keeper(func(o *upkeep.Options) { o.Poll = time.Hour })
	var run sync.WaitGroup
	run.Go(func() { k.Run(ctx) })
	w.until("the first look", func() bool { return w.all() == 1 })
	w.update(func(tx store.Tx) error {
		c, err := tx.Connection(acme, conn)
		if err != nil {
			return err
		}
		settings := *c.SAML
		settings.SignRequests = true
		c.SAML = &settings
		_, err = tenancy.SaveConnection(tx, c, audit.System, w.clock.Now())
		return err
	})
	w.until("another look", func() bool { return w.all() == 2 })
	cancel()
	run.Wait()
}

func TestWhatComesBackIsLookedAfterAtOnce(t *testing.T) {
	w := newWorld(t, nil)
	w.update(func(tx store.Tx) error { return tenancy.Suspend(tx, acme, audit.System, w.clock.Now()) })
	ctx, cancel := context.WithCancel(t.Context())
	k := w.keeper(func(o *upkeep.Options) { o.Poll = time.Hour })
	var run sync.WaitGroup
	run.Go(func() { k.Run(ctx) })
	w.until("it is put off", func() bool { return w.state().Next.After(w.clock.Now()) })
	w.update(func(tx store.Tx) error { return tenancy.Resume(tx, acme, audit.System, w.clock.Now()) })
	w.until("a look", func() bool { return w.all() == 1 })
	cancel()
	run.Wait()
	if w.state().Provider == nil {
		t.Error("the provider is not known")
	}
}

func encoded(b []byte) string { return base64.StdEncoding.EncodeToString(b) }
