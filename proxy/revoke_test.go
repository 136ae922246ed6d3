package proxy

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/pquerna/otp/totp"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/cookie"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// An ending is a change, and what the person gets after it.
type ending struct {
	do   func(*world, *person, store.Tx) error
	want int
}

// endings are what ends or changes what a person may do at acme, and what they get then.
func endings() map[string]ending {
	return map[string]ending{
		"sign-out": {func(w *world, p *person, tx store.Tx) error {
			return session.End(tx, p.parent.ID, audit.System, w.now())
		}, 401},
		"sign-out everywhere": {func(w *world, p *person, tx store.Tx) error {
			return session.EndAll(tx, p.user.ID, "", audit.System, w.now())
		}, 401},
		"deactivation": {func(w *world, p *person, tx store.Tx) error {
			return session.Deactivate(tx, w.acme.ID, p.user.ID, audit.System, w.now())
		}, 401},
		"deactivation without an end of sessions": {func(w *world, p *person, tx store.Tx) error {
			return tenancy.DeactivateMembership(tx, w.acme.ID, p.user.ID, audit.System, w.now())
		}, 403},
		"removal": {func(w *world, p *person, tx store.Tx) error {
			return session.Remove(tx, w.acme.ID, p.user.ID, audit.System, w.now())
		}, 401},
		"another role": {func(w *world, p *person, tx store.Tx) error {
			_, err := tenancy.SetRoles(tx, tenancy.Rules{DefaultRole: "member"}, w.acme.ID, p.user.ID, tenancy.Grant{Roles: []string{"member"}}, audit.System, w.now())
			return err
		}, 403},
		"another meaning of the role": {func(w *world, _ *person, tx store.Tx) error {
			return tenancy.SaveRole(tx, tenancy.Role{Slug: "admin", Permissions: []string{"nothing"}}, audit.System, w.now())
		}, 200}, // but the app is told
		"a stricter policy": {func(w *world, _ *person, tx store.Tx) error {
			o := w.acme
			o.OrganizationPolicy = &policy.Policy{MFA: true}
			_, err := tenancy.SaveOrganization(tx, o, audit.System, w.now())
			return err
		}, 403}, // no second factor is offered in this world
		"an authenticator app of their own": {func(w *world, p *person, tx store.Tx) error {
			secret := factor.NewTOTPSecret()
			code, err := totp.GenerateCode(secret, w.now())
			if err != nil {
				return err
			}
			return factor.EnrollTOTP(tx, w.options.Box, p.user.ID, secret, code, audit.System, w.now())
		}, 403}, // it is asked for from then on, and not offered in this world
		"suspension": {func(w *world, _ *person, tx store.Tx) error {
			return tenancy.Suspend(tx, w.acme.ID, audit.System, w.now())
		}, 404},
		"a domain that another organization proves": {func(w *world, _ *person, tx store.Tx) error {
			return tenancy.SetDomains(tx, w.strict, []tenancy.DomainClaim{{Name: "acme.com", Verified: true}}, audit.System, w.now())
		}, 403}, // which asks for a password, and none is offered
		"a domain policy of another organization": {func(w *world, _ *person, tx store.Tx) error {
			o := w.globex
			o.DomainPolicy = &policy.Policy{Methods: policy.MethodsOf(policy.Password)}
			if _, err := tenancy.SaveOrganization(tx, o, audit.System, w.now()); err != nil {
				return err
			}
			return tenancy.SetDomains(tx, w.globex.ID, []tenancy.DomainClaim{{Name: "acme.com", Verified: true}}, audit.System, w.now())
		}, 403}, // a password is not offered
	}
}

// grouped makes a group with a role, and the person a member of it.
func (w *world) grouped(tx store.Tx, p *person, role string) (tenancy.Group, error) {
	g, err := tenancy.CreateGroup(tx, w.acme.ID, "g", "", audit.System, w.now())
	if err != nil {
		return g, err
	}
	if _, err := tenancy.AssignGroupRole(tx, w.acme.ID, g.ID, role, audit.System, w.now()); err != nil {
		return g, err
	}
	m, err := tx.Membership(w.acme.ID, p.user.ID)
	if err != nil {
		return g, err
	}
	return g, tenancy.JoinGroup(tx, w.acme.ID, g.ID, m.ID, audit.System, w.now())
}

// A role that a person has by a group is theirs from the next request, and gone from the next after whatever takes it away.
func TestARoleOfAGroupHoldsFromTheNextRequestAndEndsWithIt(t *testing.T) {
	for name, end := range map[string]func(*world, tenancy.Membership, tenancy.Group, store.Tx) error{
		"leaving": func(w *world, m tenancy.Membership, g tenancy.Group, tx store.Tx) error {
			return tenancy.LeaveGroup(tx, w.acme.ID, g.ID, m.ID, audit.System, w.now())
		},
		"the role is taken away": func(w *world, _ tenancy.Membership, g tenancy.Group, tx store.Tx) error {
			return tenancy.UnassignGroupRole(tx, w.acme.ID, g.ID, "admin", audit.System, w.now())
		},
		"the roles are replaced": func(w *world, _ tenancy.Membership, g tenancy.Group, tx store.Tx) error {
			_, err := tenancy.SetGroupRoles(tx, w.acme.ID, g.ID, []string{"member"}, audit.System, w.now())
			return err
		},
		"the group is deleted": func(w *world, _ tenancy.Membership, g tenancy.Group, tx store.Tx) error {
			return tenancy.RemoveGroup(tx, w.acme.ID, g.ID, audit.System, w.now())
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			p, c := w.jo("member")
			get := func() int { return w.do("GET", acmeHost, "/admin/x", "Cookie", c).StatusCode }
			if got := get(); got != 403 {
				t.Fatalf("without the group: %d", got)
			}
			var g tenancy.Group
			w.update(func(tx store.Tx) (err error) { g, err = w.grouped(tx, p, "admin"); return err })
			if got := get(); got != 200 {
				t.Fatalf("in the group: %d", got)
			}
			over := w.stream("websocket", acmeHost, "/admin/x", "Cookie", c)
			w.update(func(tx store.Tx) error {
				m, err := tx.Membership(w.acme.ID, p.user.ID)
				if err != nil {
					return err
				}
				return end(w, m, g, tx)
			})
			if got := get(); got != 403 {
				t.Errorf("after it: %d", got)
			}
			w.eventually("the WebSocket is closed", func() bool {
				select {
				case <-over:
					return true
				default:
					return false
				}
			})
		})
	}
}

// Promise 5, first half.
func TestARevocationHoldsFromTheNextRequest(t *testing.T) {
	for name, e := range endings() {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			p, c := w.jo("admin")
			before := w.do("GET", acmeHost, "/admin/x", "Cookie", c)
			if before.StatusCode != 200 {
				t.Fatal(before.StatusCode, before.body)
			}
			w.update(func(tx store.Tx) error { return e.do(w, p, tx) })
			after := w.do("GET", acmeHost, "/admin/x", "Cookie", c)
			if after.StatusCode != e.want {
				t.Errorf("%d, want %d: %.200s", after.StatusCode, e.want, after.body)
			}
			if after.StatusCode == 200 && after.echo(t).Header.Get("X-Org-Permissions") == before.echo(t).Header.Get("X-Org-Permissions") {
				t.Error("the app is told what was true before")
			}
		})
	}
}

// TestARevocationHoldsUnderLoad revokes while requests come on many connections: none that
// begins after the revocation was acknowledged gets through.
func TestARevocationHoldsUnderLoad(t *testing.T) {
	w := newWorld(t)
	p, c := w.jo("admin")
	revoked := make(chan struct{})
	var up atomic.Int32
	bad := make(chan string, 8)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan struct{}, 8)
	for range 8 {
		go func() {
			defer func() { done <- struct{}{} }()
			first := true
			for after := 0; after < 20 && ctx.Err() == nil; {
				late := false
				select {
				case <-revoked:
					late = true
					after++
				default:
				}
				r, _ := http.NewRequestWithContext(ctx, "GET", w.server.URL+"/admin/x", nil)
				r.Host = acmeHost
				r.Header.Set("Cookie", c)
				res, err := noRedirect(w.server.Client()).Do(r)
				if err != nil {
					continue
				}
				io.Copy(io.Discard, res.Body)
				res.Body.Close()
				if late && res.StatusCode == 200 {
					bad <- "a request that began after the revocation was let in"
					return
				}
				if first && res.StatusCode == 200 {
					first = false
					up.Add(1)
				}
			}
		}()
	}
	w.eventually("the load is up", func() bool { return up.Load() == 8 })
	w.update(func(tx store.Tx) error { return session.Deactivate(tx, w.acme.ID, p.user.ID, audit.System, w.now()) })
	close(revoked)
	for range 8 {
		<-done
	}
	select {
	case msg := <-bad:
		t.Error(msg)
	default:
	}
}

// streams opens a WebSocket, an event stream and a slow download, and returns a channel
// for each that is closed when it is over.
func (w *world) streams(host, path string, headers ...string) map[string]chan struct{} {
	w.t.Helper()
	over := map[string]chan struct{}{}
	for _, kind := range []string{"websocket", "events", "download"} {
		over[kind] = w.stream(kind, host, path, headers...)
	}
	return over
}

// stream opens one of them. Nothing is said by the WebSocket.
func (w *world) stream(kind, host, path string, headers ...string) chan struct{} {
	w.t.Helper()
	app := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch r.URL.Query().Get("kind") {
		case "websocket":
			conn, err := websocket.Accept(rw, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
			if err != nil {
				return
			}
			defer conn.CloseNow()
			for {
				typ, b, err := conn.Read(r.Context())
				if err != nil || conn.Write(r.Context(), typ, b) != nil {
					return
				}
			}
		case "events":
			rw.Header().Set("Content-Type", "text/event-stream")
		case "download":
			rw.Header().Set("Content-Type", "application/octet-stream")
		}
		flow(rw, r, 5*time.Millisecond, "data: x\n\n")
	})
	w.app.Store(&app)
	h := http.Header{}
	for i := 0; i < len(headers); i += 2 {
		h.Set(headers[i], headers[i+1])
	}
	url := w.server.URL + path + "?kind=" + kind
	if kind == "websocket" {
		return w.socket(url, host, h)
	}
	over := make(chan struct{})
	r, _ := http.NewRequestWithContext(w.t.Context(), "GET", url, http.NoBody)
	r.Host, r.Header = host, h
	res, err := w.server.Client().Do(r)
	if err != nil || res.StatusCode != 200 {
		w.t.Fatal(kind, res, err)
	}
	w.t.Cleanup(func() { res.Body.Close() })
	if _, err := bufio.NewReader(res.Body).ReadString('\n'); err != nil {
		w.t.Fatal(err)
	}
	go func() {
		defer close(over)
		io.Copy(io.Discard, res.Body)
	}()
	return over
}

func (w *world) socket(url, host string, h http.Header) chan struct{} {
	w.t.Helper()
	conn, _, err := websocket.Dial(w.t.Context(), url, &websocket.DialOptions{Host: host, HTTPHeader: h})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { conn.CloseNow() })
	if err := conn.Write(w.t.Context(), websocket.MessageText, []byte("hello")); err != nil {
		w.t.Fatal(err)
	}
	if _, b, err := conn.Read(w.t.Context()); err != nil || string(b) != "hello" {
		w.t.Fatalf("%q, %v", b, err)
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		for {
			if _, _, err := conn.Read(w.t.Context()); err != nil {
				return
			}
		}
	}()
	return over
}

// Promise 5, second half.
func TestWhatIsOpenEndsWithinASecondOfItsSession(t *testing.T) {
	for name, e := range endings() {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			p, c := w.jo("admin")
			over := w.streams(acmeHost, "/admin/x", "Cookie", c)
			began := time.Now()
			w.update(func(tx store.Tx) error { return e.do(w, p, tx) })
			for kind, ch := range over {
				if e.want == 200 && kind == "download" {
					continue // still allowed, and said what was true when it was asked for
				}
				select {
				case <-ch:
				case <-time.After(time.Until(began.Add(time.Second))):
					t.Errorf("%s is still open after a second", kind)
				}
			}
			w.eventually("no request is under way any more", func() bool { return w.proxy.grants.flying() == 0 || e.want == 200 })
		})
	}
}

func TestAHostThatMovesToAnotherOrganizationTakesNoSessionAlong(t *testing.T) {
	w := newWorld(t)
	p := w.person("jo@acme.com", w.acme.ID)
	w.update(func(tx store.Tx) error { return join(tx, w, w.globex.ID, p.user.ID) })
	c := p.at("portal.acme.com", w.acme.ID)
	if got := w.do("GET", "portal.acme.com", "/", "Cookie", c).StatusCode; got != 200 {
		t.Fatal(got)
	}
	w.update(func(tx store.Tx) error {
		acme, globex := w.acme, w.globex
		acme.Hosts, globex.Hosts = nil, []string{"portal.acme.com"}
		if err := save(tx, acme, w); err != nil {
			return err
		}
		return save(tx, globex, w)
	})
	if res := w.do("GET", "portal.acme.com", "/healthz", "Cookie", c); res.StatusCode != 200 || res.echo(t).Header["X-User-Id"] != nil {
		t.Errorf("%d %s", res.StatusCode, res.body)
	}
	if got := w.do("GET", "portal.acme.com", "/", "Cookie", c).StatusCode; got != 401 {
		t.Errorf("%d", got)
	}
}

// flow writes a chunk now and at each tick, until the request has ended.
func flow(rw http.ResponseWriter, r *http.Request, every time.Duration, chunk string) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		io.WriteString(rw, chunk)
		http.NewResponseController(rw).Flush()
		select {
		case <-r.Context().Done():
			return
		case <-tick.C:
		}
	}
}

func TestASessionThatIsUsedKeepsItsStreams(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Limits = session.Limits{Idle: time.Second, Absolute: time.Hour} })
	_, c := w.jo()
	over := w.stream("websocket", acmeHost, "/x", "Cookie", c)
	app := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	w.app.Store(&app)
	// Many others come by, and the grant of the streams has to make room.
	w.proxy.grants.mu.Lock()
	w.proxy.grants.lru.Purge()
	w.proxy.grants.mu.Unlock()
	used := time.NewTicker(100 * time.Millisecond)
	defer used.Stop()
	for range 15 { // past the second after which it would be over
		select {
		case <-over:
			t.Fatal("closed, though the session is in use")
		case <-used.C:
			w.do("GET", acmeHost, "/", "Cookie", c)
		}
	}
	select { // and when it is used no more, its time still comes
	case <-over:
	case <-time.After(4 * time.Second):
		t.Error("the WebSocket outlives its session")
	}
	w.eventually("nothing is remembered of it", func() bool { return w.proxy.grants.flying() == 0 })
}

func TestARevocationHoldsThoughTheFeedIsSilent(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Staleness = time.Second })
	p, c := w.jo()
	get := func() int { return w.do("GET", acmeHost, "/", "Cookie", c).StatusCode }
	if got := get(); got != 200 {
		t.Fatal(got)
	}
	w.engine.mute.Store(true)
	w.eventually("grants are believed no more", func() bool { return !w.proxy.trusted(w.now()) })
	w.eventually("what was known is dropped, so that what follows is read anew", func() bool { return w.proxy.grants.lru.Len() == 0 })
	if got := get(); got != 200 {
		t.Errorf("the store answers, and yet: %d", got)
	}
	other := store.New(w.engine, store.Options{Now: w.now})
	if err := other.Update(t.Context(), func(tx store.Tx) error { return end(tx, w, p) }); err != nil {
		t.Fatal(err)
	}
	if got := get(); got != 401 {
		t.Errorf("%d", got)
	}
}

func TestWhatIsOpenGoesOnWhenNothingOfItChanged(t *testing.T) {
	w := newWorld(t)
	p, c := w.jo("admin")
	over := w.streams(acmeHost, "/x", "Cookie", c)
	other := w.person("ann@acme.com", w.acme.ID)
	w.update(func(tx store.Tx) error { return session.End(tx, other.parent.ID, audit.System, w.now()) })
	// Something about the person themselves, of which apps are told nothing.
	w.update(func(tx store.Tx) error {
		e := audit.New(audit.IdentityLinked, audit.System, w.now())
		e.User = string(p.user.ID)
		return audit.Record(tx, e, nil)
	})
	select {
	case <-over["websocket"]:
		t.Error("the WebSocket was closed")
	case <-over["events"]:
		t.Error("the event stream was closed")
	case <-over["download"]:
		t.Error("the download was cut off")
	case <-time.After(300 * time.Millisecond): // as long as an end would take, and more
	}
	// And it is still found when its time comes.
	w.update(func(tx store.Tx) error { return session.End(tx, p.parent.ID, audit.System, w.now()) })
	for kind, ch := range over {
		select {
		case <-ch:
		case <-time.After(time.Second):
			t.Errorf("%s is still open", kind)
		}
	}
}

// TestAStreamEndsWhenItsSessionIsTooOld has each alone: what flows has all judged that is open
// in the session.
func TestAStreamEndsWhenItsSessionIsTooOld(t *testing.T) {
	for _, kind := range []string{"websocket", "events"} {
		t.Run(kind, func(t *testing.T) {
			w := newWorld(t, func(o *Options) { o.Limits = session.Limits{Idle: 700 * time.Millisecond, Absolute: time.Hour} })
			_, c := w.jo()
			select {
			case <-w.stream(kind, acmeHost, "/x", "Cookie", c):
			case <-time.After(3 * time.Second):
				t.Error("outlives its session")
			}
		})
	}
}

func TestADownloadEndsWhenItsSessionIsTooOld(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Limits = session.Limits{Idle: time.Second, Absolute: time.Hour} })
	_, c := w.jo()
	app := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		flow(rw, r, 20*time.Millisecond, strings.Repeat("x", 1000))
	})
	w.app.Store(&app)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	r, _ := http.NewRequestWithContext(ctx, "GET", w.server.URL+"/file", http.NoBody)
	r.Host = acmeHost
	r.Header.Set("Cookie", c)
	began := time.Now()
	res, err := w.server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if n, err := io.Copy(io.Discard, res.Body); err == nil || n == 0 || time.Since(began) > 3*time.Second {
		t.Errorf("%d bytes, %v, after %v", n, err, time.Since(began))
	}
}

func TestAStreamOfAPublicPathEndsWithTheOrganization(t *testing.T) {
	w := newWorld(t)
	over := w.streams(acmeHost, "/public/x")
	w.update(func(tx store.Tx) error { return suspend(tx, w.acme.ID, w) })
	for kind, ch := range over {
		select {
		case <-ch:
		case <-time.After(time.Second):
			t.Errorf("%s is still open", kind)
		}
	}
}

func TestAStreamOfAPublicPathEndsWhenItsHostMovesToAnotherOrganization(t *testing.T) {
	w := newWorld(t)
	over := w.streams("portal.acme.com", "/public/x")
	w.update(func(tx store.Tx) error {
		acme, globex := w.acme, w.globex
		acme.Hosts, globex.Hosts = nil, []string{"portal.acme.com"}
		if err := save(tx, acme, w); err != nil {
			return err
		}
		return save(tx, globex, w)
	})
	for kind, ch := range over {
		select {
		case <-ch:
		case <-time.After(time.Second):
			t.Errorf("%s is still open", kind)
		}
	}
}

// Somebody who came before the host moved may read after it, and others wait for that.
func TestAReadingForOneOrganizationIsNotWaitedForByAnother(t *testing.T) {
	w := newWorld(t)
	p := w.person("jo@acme.com", w.acme.ID)
	value, _ := strings.CutPrefix(p.at("portal.acme.com", w.acme.ID), "__Host-orgate_session=")
	token, _ := session.ParseToken(value)
	st := w.proxy.state.Load()
	before := place{host: "portal.acme.com", authority: "portal.acme.com", app: st.apps[0], org: st.byID.get(string(w.acme.ID))}
	after := before
	after.org = st.byID.get(string(w.globex.ID))

	reading, goOn := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		key := grantKey{token: token.Hash(), authority: before.authority, organization: w.acme.ID, generation: st.generation}
		w.proxy.grants.load(t.Context(), key, func(ctx context.Context) (*grant, error) {
			close(reading)
			<-goOn
			return w.proxy.build(ctx, st, &before, token.Hash())
		})
	})
	<-reading
	time.AfterFunc(200*time.Millisecond, func() { close(goOn) })
	g, _, err := w.proxy.grant(t.Context(), st, &after, token.Hash(), w.now())
	if err != nil || !g.nobody() || g.common.organization != w.globex.ID {
		t.Errorf("at Globex's host: %v of %s, %v", g.user(), g.common.organization, err)
	}
	wg.Wait()
}

func TestARequestMayBeAnsweredThoughItEndedItsOwnSession(t *testing.T) {
	w := newWorld(t)
	p, c := w.jo()
	app := http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		w.update(func(tx store.Tx) error { return session.Remove(tx, w.acme.ID, p.user.ID, audit.System, w.now()) })
		fmt.Fprint(rw, "goodbye")
	})
	w.app.Store(&app)
	if res := w.send("POST", acmeHost, "/leave", strings.NewReader("x"), "Cookie", c); res.StatusCode != 200 || res.body != "goodbye" {
		t.Errorf("%d %s", res.StatusCode, res.body)
	}
}

func TestASlowRequestIsCutOffWhenItsSessionEnds(t *testing.T) {
	w := newWorld(t)
	p, c := w.jo()
	arrived, gone := make(chan struct{}), make(chan struct{})
	app := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
		close(gone)
	})
	w.app.Store(&app)
	go func() {
		<-arrived
		w.update(func(tx store.Tx) error { return session.End(tx, p.parent.ID, audit.System, w.now()) })
	}()
	began := time.Now()
	if res := w.do("GET", acmeHost, "/slow", "Cookie", c); res.StatusCode != 401 || time.Since(began) > 2*time.Second {
		t.Errorf("%d after %v: %s", res.StatusCode, time.Since(began), res.body)
	}
	<-gone
}

func TestSessionLimitsHoldWithoutTheStore(t *testing.T) {
	w := newWorld(t, func(o *Options) {
		o.Limits = session.Limits{Idle: time.Hour, Absolute: 3 * time.Hour}
		o.Staleness = 1000 * time.Hour // so that the clock of this test is not a silence of the store
	})
	_, c := w.jo()
	get := func() int { return w.do("GET", acmeHost, "/", "Cookie", c).StatusCode }
	for i := range 5 { // used every half an hour: alive beyond the idle limit
		if got := get(); got != 200 {
			t.Fatalf("after %d half hours: %d", i, got)
		}
		w.eventually("its use is recorded", func() bool { return w.proxy.touches.idle() })
		w.pass(30 * time.Minute)
	}
	w.pass(31 * time.Minute) // three hours and one minute
	if got := get(); got != 401 {
		t.Errorf("beyond the absolute limit: %d", got)
	}
	p := w.person("ann@acme.com", w.acme.ID)
	c = p.at(acmeHost, w.acme.ID)
	if got := get(); got != 200 {
		t.Fatal(got)
	}
	w.eventually("its use is recorded", func() bool { return w.proxy.touches.idle() })
	w.pass(61 * time.Minute)
	if got := get(); got != 401 {
		t.Errorf("beyond the idle limit: %d", got)
	}
}

func TestUseIsWrittenNowAndThenOnly(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Staleness = 1000 * time.Hour })
	_, c := w.jo()
	before, _ := w.seen(c)
	for range 50 {
		w.do("GET", acmeHost, "/", "Cookie", c)
	}
	w.eventually("nothing waits", func() bool { return w.proxy.touches.idle() })
	if after, _ := w.seen(c); !after.Equal(before) {
		t.Error("a session that was just made was recorded as used")
	}
	w.pass(6 * time.Minute)
	w.do("GET", acmeHost, "/", "Cookie", c)
	w.eventually("its use is recorded", func() bool { after, parent := w.seen(c); return after.After(before) && parent.After(before) })
}

// seen is when a session and its parent were used last.
func (w *world) seen(c string) (child, parent time.Time) {
	tok, _ := session.ParseToken(strings.TrimPrefix(c, cookie.Jar{}.Name(cookie.Session)+"="))
	w.store.View(context.Background(), func(tx store.Tx) error {
		s, err := tx.SessionByToken(tok.Hash())
		if err != nil {
			return err
		}
		p, err := tx.Session(s.Parent)
		child, parent = s.SeenAt, p.SeenAt
		return err
	})
	return child, parent
}

// Promise 8.
func TestNobodyGetsInWhenTheStoreIsSilent(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Staleness = 2 * time.Second })
	_, c := w.jo()
	if got := w.do("GET", acmeHost, "/", "Cookie", c).StatusCode; got != 200 {
		t.Fatal(got)
	}
	over := w.streams(acmeHost, "/x", "Cookie", c)
	w.app.Store(nil)
	w.engine.down.Store(true)
	// What is known is believed for a bounded time; what is not known is not let in.
	if got := w.do("GET", acmeHost, "/", "Cookie", c).StatusCode; got != 200 {
		t.Errorf("a moment later: %d", got)
	}
	if res := w.do("GET", acmeHost, "/", "Cookie", "__Host-orgate_session="+session.NewToken().Reveal()); res.StatusCode != 503 || res.Header.Get("Retry-After") == "" {
		t.Errorf("a session that is not known: %d", res.StatusCode)
	}
	w.eventually("nobody gets in", func() bool { return w.do("GET", acmeHost, "/", "Cookie", c).StatusCode == 503 })
	for kind, ch := range over {
		select {
		case <-ch:
		case <-time.After(3 * time.Second):
			t.Errorf("%s is still open", kind)
		}
	}
	if got := w.do("GET", acmeHost, "/healthz").StatusCode; got != 503 {
		t.Errorf("a public path, of an organization that may be suspended: %d", got)
	}
	w.engine.down.Store(false)
	w.eventually("they get in again", func() bool { return w.do("GET", acmeHost, "/", "Cookie", c).StatusCode == 200 })
}

func TestARevocationOnAnotherReplicaHoldsWithinASecond(t *testing.T) {
	w := newWorld(t)
	p, c := w.jo("admin")
	over := w.streams(acmeHost, "/admin/x", "Cookie", c)
	// Another Store on the same engine: its commits come by the feed alone.
	other := store.New(w.engine, store.Options{Now: w.now})
	began := time.Now()
	if err := other.Update(t.Context(), func(tx store.Tx) error { return session.Deactivate(tx, w.acme.ID, p.user.ID, audit.System, w.now()) }); err != nil {
		t.Fatal(err)
	}
	for kind, ch := range over {
		select {
		case <-ch:
		case <-time.After(time.Until(began.Add(time.Second))):
			t.Errorf("%s is still open", kind)
		}
	}
	if got := w.do("GET", acmeHost, "/", "Cookie", c).StatusCode; got != 401 {
		t.Errorf("%d", got)
	}
}

// The database fails over to a replica that lagged: what was granted last never happened.
func TestWhatAStoreLostIsNotBelievedOnceItFailedOver(t *testing.T) {
	w := newWorld(t)
	p, c := w.jo("member")
	lagging := w.replica()

	w.update(func(tx store.Tx) error {
		if err := addOrganization(tx, w, "initech"); err != nil {
			return err
		}
		_, err := tenancy.SetRoles(tx, tenancy.Rules{DefaultRole: "member"}, w.acme.ID, p.user.ID, tenancy.Grant{Roles: []string{"admin"}}, audit.System, w.now())
		return err
	})
	w.app.Store(nil)
	for host, path := range map[string]string{acmeHost: "/admin/x", "initech.example.com": "/healthz"} {
		if got := w.do("GET", host, path, "Cookie", c).StatusCode; got != 200 {
			t.Fatalf("before: %s%s: %d", host, path, got)
		}
	}
	over := w.streams(acmeHost, "/admin/x", "Cookie", c)
	w.app.Store(nil)
	head, _ := w.store.Head(t.Context())
	w.eventually("the proxy has heard of it all", func() bool { return w.proxy.follower.Position() == head })

	w.engine.standby.Store(&lagging)
	began := time.Now()
	for kind, ch := range over {
		select {
		case <-ch:
		case <-time.After(time.Until(began.Add(2 * time.Second))):
			t.Errorf("%s is still open", kind)
		}
	}
	w.eventually("the organization is gone", func() bool { return w.do("GET", "initech.example.com", "/healthz").StatusCode == 404 })
	if got := w.do("GET", acmeHost, "/admin/x", "Cookie", c).StatusCode; got != 403 {
		t.Errorf("what only the lost changes allowed: %d", got)
	}
	if got := w.do("GET", acmeHost, "/x", "Cookie", c); got.StatusCode != 200 || got.echo(t).Header.Get("X-Org-Role") != "member" {
		t.Errorf("what was there before: %d", got.StatusCode)
	}
	w.eventually("it is trusted again", func() bool { return w.proxy.trusted(w.now()) })
	// And what is committed from now on is heard of.
	other := store.New(lagging, store.Options{Now: w.now})
	if err := other.Update(t.Context(), func(tx store.Tx) error { return end(tx, w, p) }); err != nil {
		t.Fatal(err)
	}
	w.eventually("the session has ended", func() bool { return w.do("GET", acmeHost, "/x", "Cookie", c).StatusCode == 401 })
}

func TestAnOrganizationThatCannotBeReadIsClosedUntilItCan(t *testing.T) {
	w := newWorld(t)
	_, c := w.jo()
	w.engine.down.Store(true)
	w.proxy.refresh(t.Context(), w.acme.ID)
	if got := w.do("GET", acmeHost, "/", "Cookie", c).StatusCode; got != 503 {
		t.Errorf("%d", got)
	}
	w.engine.down.Store(false)
	if got := w.do("GET", acmeHost, "/", "Cookie", c).StatusCode; got != 200 {
		t.Errorf("%d", got)
	}
}

// Whoever opens it, somebody whose request ends at the same moment must not close it again:
// a stranger who keeps going away would keep it closed.
func TestAnOrganizationThatIsOpenAgainIsNotClosedByAClientThatGoesAway(t *testing.T) {
	w := newWorld(t)
	_, c := w.jo()
	w.engine.down.Store(true)
	w.proxy.refresh(t.Context(), w.acme.ID)
	w.engine.down.Store(false)
	w.proxy.reopen(t.Context(), w.acme.ID)
	gone, goAway := context.WithCancel(t.Context())
	goAway()
	w.proxy.reopen(gone, w.acme.ID)
	if o := w.proxy.state.Load().byID.get(string(w.acme.ID)); o == nil || o.unread {
		t.Errorf("closed again: %+v", o)
	}
	if got := w.do("GET", acmeHost, "/", "Cookie", c).StatusCode; got != 200 {
		t.Errorf("%d", got)
	}
}

func TestAChangedOrganizationIsFoundByItsNewNamesOnly(t *testing.T) {
	w := newWorld(t)
	o := w.acme
	o.Slug, o.Hosts = "acmecorp", []string{"sso.acme.com"}
	w.update(func(tx store.Tx) error { _, err := tenancy.SaveOrganization(tx, o, audit.System, w.now()); return err })
	for host, want := range map[string]int{acmeHost: 404, "portal.acme.com": 404, "acmecorp.example.com": 200, "sso.acme.com": 200, globexHost: 200} {
		if got := w.do("GET", host, "/healthz").StatusCode; got != want {
			t.Errorf("%s: %d, want %d", host, got, want)
		}
	}
}
