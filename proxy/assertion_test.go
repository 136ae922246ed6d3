package proxy

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
)

// claims are those of an assertion.
type claims struct {
	commonClaims
	ownClaims
}

// verify checks an assertion as an app does, with the keys that a host publishes.
func (w *world) verify(token, host string) claims {
	w.t.Helper()
	res := w.do("GET", host, jwksPath)
	var set jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(res.body), &set); err != nil {
		w.t.Fatalf("%d %s: %v", res.StatusCode, res.body, err)
	}
	if strings.Contains(res.body, `"d"`) {
		w.t.Fatal("a private key is published")
	}
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		w.t.Fatal(err)
	}
	var c claims
	if err := parsed.Claims(set, &c); err != nil {
		w.t.Fatal(err)
	}
	return c
}

func (w *world) assertion(c string) string {
	w.t.Helper()
	return w.do("GET", acmeHost, "/", "Cookie", c).echo(w.t).Header.Get("X-Orgate-Jwt-Assertion")
}

func TestAnAssertionSaysWhatTheHeadersSay(t *testing.T) {
	w := newWorld(t)
	p, cookie := w.jo("admin")
	for _, host := range []string{acmeHost, globexHost, loginHost} {
		c := w.verify(w.assertion(cookie), host)
		if c.Issuer != "https://login.example.com" || !slices.Equal(c.Audience, []string{"app", acmeHost}) || c.Subject != string(p.user.ID) || c.Email != "jo@acme.com" ||
			c.OrgID != string(w.acme.ID) || c.OrgSlug != "acme" || c.Role != "admin" || !slices.Equal(c.Roles, []string{"admin"}) || len(c.Permissions) != 2 || c.SessionID == "" {
			t.Errorf("%+v", c)
		}
		if life := c.Expiry.Time().Sub(c.IssuedAt.Time()); life <= 0 || life > 5*time.Minute {
			t.Errorf("good for %v", life)
		}
	}
}

// kept returns the assertion that is kept of the session with that cookie, signed if there is none.
func (w *world) kept(c string) (*grant, *assertion) {
	w.t.Helper()
	_, value, _ := strings.Cut(c, "=")
	token, ok := session.ParseToken(value)
	if !ok {
		w.t.Fatalf("%q is no token", value)
	}
	st := w.proxy.state.Load()
	pl, _ := st.place(acmeHost)
	g, _, err := w.proxy.grant(w.t.Context(), st, &pl, token.Hash(), w.now())
	if err != nil || g.nobody() {
		w.t.Fatal(err)
	}
	a, err := w.proxy.assertionOf(g, st, &pl, w.now())
	if err != nil {
		w.t.Fatal(err)
	}
	return g, a
}

func TestAssertionsShareWhatTheySayAlikeAndNothingElse(t *testing.T) {
	w := newWorld(t)
	ann := w.person("ann@acme.com", w.acme.ID, "admin")
	bob := w.person("bob@acme.com", w.acme.ID, "admin")
	eve := w.person("eve@acme.com", w.acme.ID)
	_, a := w.kept(ann.at(acmeHost, w.acme.ID))
	_, b := w.kept(bob.at(acmeHost, w.acme.ID))
	_, e := w.kept(eve.at(acmeHost, w.acme.ID))
	// Else their memory could not be given back without that of what lies between.
	if unsafe.StringData(b.rest) != (*byte)(unsafe.Add(unsafe.Pointer(unsafe.StringData(a.rest)), len(a.rest))) {
		t.Error("two that were signed one after the other do not lie side by side")
	}
	if a.opening != b.opening {
		t.Error("two of the same roles share nothing")
	}
	if a.opening == e.opening {
		t.Error("one of another role shares the roles")
	}
	for who, a := range map[*person]*assertion{ann: a, bob: b, eve: e} {
		c := w.verify(a.opening.text+a.rest, acmeHost)
		if c.Subject != string(who.user.ID) || c.Email != who.user.Email || (c.Role == "admin") != (who != eve) {
			t.Errorf("%s: %+v", who.user.Email, c)
		}
		if n := len(a.rest); n > 340 {
			t.Errorf("%d bytes of it are not shared", n)
		}
	}
}

func TestTextsOnASheetStayWhatTheyAre(t *testing.T) {
	var s sheets
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			var want, got []string
			for n := range 500 {
				text := strings.Repeat(string(rune('a'+i)), n*n%700)
				if n == 250 {
					text = strings.Repeat(text, sheetSize/len(text)+1) // longer than a sheet
				}
				want, got = append(want, text), append(got, s.keep(text))
			}
			if !slices.Equal(got, want) {
				t.Error("another's letters are among them")
			}
		})
	}
	wg.Wait()
}

func TestAStreamKeepsNoAssertion(t *testing.T) {
	s := newStage(t)
	app := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "text/event-stream")
		http.NewResponseController(rw).Flush()
		<-r.Context().Done()
	}))
	t.Cleanup(app.Close)
	o := s.acme
	o.Upstreams = map[string]string{"app": app.URL}
	s.update(func(tx tx) error { return save(tx, o, s.world) })
	for way, addr := range map[string]string{"slow": s.slow, "fast": s.fast} {
		p := s.person(way+"@acme.com", s.acme.ID)
		c := p.at(acmeHost, s.acme.ID)
		conn := s.call(addr)
		conn.say(request("GET", "/stream", c))
		if res, err := http.ReadResponse(conn.br, nil); err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("%s: %v %v", way, res, err)
		}
		g, _ := s.kept(c)
		s.proxy.LetGo()
		g.mu.Lock()
		x := g.flights.one.x
		g.mu.Unlock()
		if x.said != nil || g.assertion.Load() != nil {
			t.Errorf("%s: it keeps one", way)
		}
		if g, _ = s.kept(c); g.assertion.Load() == nil {
			t.Fatal("none is signed")
		}
		s.proxy.grants.invalidate(scope{kind: everything})
		if g.assertion.Load() != nil {
			t.Errorf("%s: a grant that was dropped keeps one", way)
		}
		conn.Close()
	}
}

func TestASessionThatRestsKeepsNoAssertion(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Staleness = 1000 * time.Hour })
	_, c := w.jo()
	g, first := w.kept(c)
	w.pass(time.Minute)
	w.proxy.grants.thin(w.now())
	if g.assertion.Load() != first {
		t.Error("one that is good still is gone")
	}
	w.pass(assertionLife - assertionRest)
	w.proxy.grants.thin(w.now())
	if g.assertion.Load() != nil {
		t.Error("one that is not sent any more is kept")
	}
	same, second := w.kept(c)
	if same != g || second == first || second.opening != first.opening {
		t.Error("it is not signed anew for the same grant")
	}
	w.verify(second.opening.text+second.rest, acmeHost)

	w.proxy.LetGo()
	if g.assertion.Load() != nil {
		t.Error("a process that has nothing to do keeps one")
	}
	if again, third := w.kept(c); again != g || third == second {
		t.Error("it is not signed anew")
	}
}

func TestAnAssertionIsSignedNowAndThenOnly(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Staleness = 1000 * time.Hour })
	_, c := w.jo()
	first := w.assertion(c)
	w.pass(3*time.Minute + 50*time.Second)
	if w.assertion(c) != first {
		t.Error("signed anew with more than a minute left")
	}
	w.pass(15 * time.Second)
	second := w.assertion(c)
	if second == first {
		t.Error("an assertion with less than a minute left was sent")
	}
	if left := w.verify(second, acmeHost).Expiry.Time().Sub(w.now()); left < time.Minute {
		t.Errorf("%v left", left)
	}
}

func TestAnAssertionOutlivesNoSession(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Limits.Absolute = 2 * time.Minute })
	p, c := w.jo()
	if got := w.verify(w.assertion(c), acmeHost).Expiry.Time(); got.After(p.parent.ExpiresAt.Add(time.Second)) {
		t.Errorf("good until %v, the session until %v", got, p.parent.ExpiresAt)
	}
}

func TestKeysRotateWithoutAGap(t *testing.T) {
	w := newWorld(t, func(o *Options) {
		o.Staleness = 10000 * time.Hour
		o.Limits = session.Limits{Idle: 10000 * time.Hour, Absolute: 10000 * time.Hour}
	})
	_, c := w.jo()
	old := w.proxy.keys.current.Load().kid
	w.assertion(c)
	w.pass(session.KeyLife - 2*time.Minute)
	before := w.assertion(c)
	w.pass(3 * time.Minute)
	// Another replica rotates; this one has not heard of it yet.
	other := &keyring{store: w.store, box: w.options.Box, now: w.now, log: w.options.Logger, wake: make(chan struct{}, 1)}
	if err := other.rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	fresh := other.current.Load().kid
	if fresh == old {
		t.Fatal("no new key")
	}
	w.eventually("the new key signs here too", func() bool { return w.proxy.keys.current.Load().kid == fresh })
	w.verify(before, acmeHost) // the old one is published still
	w.verify(w.assertion(c), acmeHost)
	w.pass(2 * session.KeyOverlap)
	if err := w.proxy.keys.rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(w.do("GET", acmeHost, jwksPath).body, old) {
		t.Error("a key is published after its last token has expired")
	}
}

func TestThePrivateKeyIsSealed(t *testing.T) {
	w := newWorld(t)
	w.store.View(context.Background(), func(tx store.Tx) error {
		for k, err := range tx.SigningKeys(session.ForAssertions) {
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.options.Box.Open(keyPurpose, k.ID, k.Private); err != nil {
				t.Error(err)
			}
			if _, err := w.options.Box.Open(keyPurpose, "another", k.Private); err == nil {
				t.Error("it opens as another key's")
			}
		}
		return nil
	})
}

func TestTheLastKnownKeysArePublishedWhenTheStoreIsSilent(t *testing.T) {
	w := newWorld(t)
	w.engine.down.Store(true)
	w.pass(5 * time.Second)
	if res := w.do("GET", loginHost, jwksPath); res.StatusCode != 200 || !strings.Contains(res.body, `"alg":"ES256"`) {
		t.Errorf("%d %s", res.StatusCode, res.body)
	}
}

func TestWhatIsNoJWTIsNoAssertion(t *testing.T) {
	for s, want := range map[string]bool{"aZ.0-_.9": true, "": false, "a.b\r\nX-Org-Role: admin": false, "a b": false, "\x00": false, "a.b.é": false} {
		if isJWT(s) != want {
			t.Errorf("%q: %v", s, !want)
		}
	}
}
