package sso

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/internal/cookie"
	"github.com/orgate/orgate/internal/seal"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/session/client"
	"github.com/orgate/orgate/sso/oidc"
)

func flowServer(t testing.TB) *Server {
	t.Helper()
	box, err := seal.NewBox(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return &Server{box: box, flows: newFlows(box, cookie.Jar{})}
}

func TestOnlyTheBrowserThatBeganAFlowHasIt(t *testing.T) {
	s := flowServer(t)
	now := time.Unix(1_700_000_000, 0).UTC()
	f := flow{OIDC: oidc.Flow{State: "state-1", Nonce: "n", Verifier: "v"}, Connection: "conn_1", Owner: "org_1", ExpiresAt: now.Add(flowLife)}
	w := httptest.NewRecorder()
	if err := s.flows.keep(w, httptest.NewRequestWithContext(t.Context(), "GET", "/sign-in", nil), f, now); err != nil {
		t.Fatal(err)
	}
	mine := w.Result().Cookies()
	if len(mine) != 1 || !mine[0].HttpOnly || !mine[0].Secure || mine[0].SameSite != http.SameSiteLaxMode || mine[0].Domain != "" {
		t.Fatalf("cookies %v", mine)
	}
	with := func(cookies ...*http.Cookie) *http.Request {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/sso/oidc/callback", nil)
		for _, c := range cookies {
			r.AddCookie(c)
		}
		return r
	}
	renamed := *mine[0]
	renamed.Name = s.jar.Name(s.flows.name("state-2"))
	changed := *mine[0]
	changed.Value = changed.Value[:len(changed.Value)-2] + "AA"

	if got, ok := s.flows.read(with(mine...), "state-1", now); !ok || got.Connection != f.Connection || got.OIDC != f.OIDC {
		t.Fatalf("my own flow: %+v, %v", got, ok)
	}
	for name, tt := range map[string]struct {
		r     *http.Request
		state string
		at    time.Time
	}{
		"another browser":       {with(), "state-1", now},
		"another state":         {with(mine...), "state-2", now},
		"no state":              {with(mine...), "", now},
		"cookie renamed":        {with(&renamed), "state-2", now},
		"cookie changed":        {with(&changed), "state-1", now},
		"cookie tossed beside":  {with(mine[0], mine[0]), "state-1", now},
		"ten minutes and later": {with(mine...), "state-1", now.Add(flowLife)},
	} {
		if _, ok := s.flows.read(tt.r, tt.state, tt.at); ok {
			t.Errorf("%s: has the flow", name)
		}
	}
}

func TestAFlowNeverOutgrowsACookie(t *testing.T) {
	s := flowServer(t)
	now := time.Unix(1_700_000_000, 0).UTC()
	f := flow{OIDC: oidc.Flow{State: "state"}, Aim: aim{Request: session.SignInRequest{ReturnTo: "/" + strings.Repeat("a", 5000)}}, ExpiresAt: now.Add(flowLife)}
	w := httptest.NewRecorder()
	if err := s.flows.keep(w, httptest.NewRequestWithContext(t.Context(), "GET", "/", nil), f, now); err != nil {
		t.Fatal(err)
	}
	c := w.Result().Cookies()[0]
	if len(c.String()) > 4096 {
		t.Errorf("a cookie of %d bytes: a browser drops it", len(c.String()))
	}
	r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
	r.AddCookie(c)
	if got, ok := s.flows.read(r, "state", now); !ok || got.Aim.Request.ReturnTo != "/" {
		t.Errorf("got %q, %v", got.Aim.Request.ReturnTo, ok)
	}
}

// TestNoFlowIsBegunThatNoCookieHolds: whoever was sent to a provider by it could not come back.
func TestNoFlowIsBegunThatNoCookieHolds(t *testing.T) {
	s := flowServer(t)
	s.socialFlows = newSocialFlows(s.box, cookie.Jar{})
	now := time.Unix(1_700_000_000, 0).UTC()
	for _, state := range []string{strings.Repeat("s", 1024), strings.Repeat("<", 1024)} {
		a := aim{App: &client.Authorization{State: state}}
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
		long := strings.HasPrefix(state, "<") // six characters each, in JSON
		err := s.flows.keep(w, r, flow{OIDC: oidc.Flow{State: "state"}, Aim: a, ExpiresAt: now.Add(flowLife)}, now)
		social := s.socialFlows.keep(w, r, socialFlow{OIDC: &oidc.Flow{State: "state"}, Aim: a, ExpiresAt: now.Add(flowLife)}, now)
		if errors.Is(err, errTooLong) != long || errors.Is(social, errTooLong) != long || (len(w.Result().Cookies()) == 0) != long {
			t.Errorf("%.3s: %v, %v, %v", state, err, social, w.Result().Cookies())
		}
	}
}

func TestABrowserKeepsTheLatestFlowsAndNoMore(t *testing.T) {
	s := flowServer(t)
	start := time.Unix(1_700_000_000, 0).UTC()
	jar := map[string]*http.Cookie{}
	jar["junk"] = &http.Cookie{Name: s.jar.Name(cookie.Flow + "_0123456789abcdef"), Value: "junk"}
	for i := range 8 {
		now := start.Add(time.Duration(i) * time.Second)
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/sign-in", nil)
		for _, c := range jar {
			r.AddCookie(c)
		}
		w := httptest.NewRecorder()
		f := flow{OIDC: oidc.Flow{State: fmt.Sprint("state-", i)}, ExpiresAt: now.Add(flowLife)}
		if err := s.flows.keep(w, r, f, now); err != nil {
			t.Fatal(err)
		}
		for _, c := range w.Result().Cookies() {
			if c.MaxAge < 0 {
				for k, have := range jar {
					if have.Name == c.Name {
						delete(jar, k)
					}
				}
			} else {
				jar[f.OIDC.State] = c
			}
		}
	}
	if len(jar) != maxFlows || jar["junk"] != nil {
		t.Errorf("%d cookies are left", len(jar))
	}
	for i := range 8 {
		if kept := jar[fmt.Sprint("state-", i)] != nil; kept != (i >= 8-maxFlows) {
			t.Errorf("flow %d kept: %v", i, kept)
		}
	}
}

// Whatever a stranger puts into a flow cookie, and however they change one of ours, it is no
// flow, and nothing panics.
func FuzzFlowCookieOpener(f *testing.F) {
	box, err := seal.NewBox(seal.NewKey())
	if err != nil {
		f.Fatal(err)
	}
	s := &Server{box: box, flows: newFlows(box, cookie.Jar{})}
	now := time.Unix(1_700_000_000, 0).UTC()
	good, err := s.flows.seal(s.flows.name("state"), flow{OIDC: oidc.Flow{State: "state"}, ExpiresAt: now.Add(time.Minute)})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("", "", uint(0), byte('A'))
	f.Add("AAAA", "state", uint(7), byte('B'))
	f.Add(strings.Repeat("A", 5000), "state", uint(40), byte(0))
	f.Add("{}", "s\x00", uint(100), byte('='))
	f.Fuzz(func(t *testing.T, value, state string, at uint, b byte) {
		changed := []byte(good)
		changed[at%uint(len(good))] = b
		if _, ok := s.flows.open(s.flows.name("state"), string(changed), now); ok != (string(changed) == good) {
			t.Errorf("byte %d as %q: %v", at, b, ok)
		}
		if _, ok := s.flows.open(s.flows.name(state), value, now); ok {
			t.Errorf("a flow that we never sealed: %q", value)
		}
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/sso/oidc/callback", nil)
		r.Header["Cookie"] = []string{s.jar.Name(s.flows.name(state)) + "=" + value}
		s.flows.read(r, state, now)
		s.flows.tidy(httptest.NewRecorder(), r, now)
	})
}
