package endpoint_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/orgate/orgate/internal/endpoint"
)

// plain renders errors as one line.
type plain struct{}

func (plain) RenderError(w http.ResponseWriter, _ *http.Request, e *endpoint.Error, id string) {
	w.WriteHeader(e.Status)
	fmt.Fprintf(w, "%s %s %s", e.Code, e.Text, id)
}

func fine(w http.ResponseWriter, _ *http.Request) error {
	_, err := w.Write([]byte("fine"))
	return err
}

func serve(t *testing.T, log *bytes.Buffer, guards map[endpoint.Access]endpoint.Guard, routes ...endpoint.Route) func(method, path string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	h, err := endpoint.New(routes, endpoint.Options{Guards: guards, Renderer: plain{}, Logger: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	return func(method, path string, header ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(endpoint.WithRequestID(t.Context()), method, "https://login.example.com"+path, nil)
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
}

func TestARouteThatDoesNotSayWhoMayCallItIsRefusedAtTheStart(t *testing.T) {
	_, err := endpoint.New([]endpoint.Route{
		{Side: endpoint.Login, Pattern: "GET /forgot", Handle: fine},
		{Side: endpoint.Login, Pattern: "GET /unguarded", Access: endpoint.SignedIn, Handle: fine},
		{Side: endpoint.Login, Pattern: "GET /nothing", Access: endpoint.Public},
		{Side: endpoint.Login, Pattern: "/any-method", Access: endpoint.Public, Handle: fine},
		{Pattern: "GET /nowhere", Access: endpoint.Public, Handle: fine},
		{Side: endpoint.Login, Pattern: "GET /fine", Access: endpoint.Public, Handle: fine},
	}, endpoint.Options{Renderer: plain{}, Logger: slog.New(slog.DiscardHandler)})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, path := range []string{"/forgot", "/unguarded", "/nothing", "/any-method", "/nowhere"} {
		if !strings.Contains(err.Error(), path) {
			t.Errorf("nothing is said of %s: %v", path, err)
		}
	}
	if strings.Contains(err.Error(), "/fine") {
		t.Errorf("a good route is refused: %v", err)
	}
}

func TestAGuardThatRefusesEndsTheRequest(t *testing.T) {
	called := false
	get := serve(t, &bytes.Buffer{}, map[endpoint.Access]endpoint.Guard{endpoint.SignedIn: func(*http.Request) (*http.Request, error) {
		return nil, &endpoint.Error{Status: http.StatusUnauthorized, Code: "not_signed_in"}
	}}, endpoint.Route{Side: endpoint.Login, Pattern: "GET /account", Access: endpoint.SignedIn, Handle: func(http.ResponseWriter, *http.Request) error { called = true; return nil }})
	if w := get("GET", "/account"); w.Code != http.StatusUnauthorized || called {
		t.Errorf("%d, handler called: %v", w.Code, called)
	}
}

func TestAPostNeedsTheWordOfTheBrowserThatItIsOurs(t *testing.T) {
	post := endpoint.Route{Side: endpoint.Login, Pattern: "POST /sign-out", Access: endpoint.Public, Handle: fine}
	protocol := endpoint.Route{Side: endpoint.Login, Pattern: "POST /acs", Access: endpoint.Public, CrossSite: true, Handle: fine}
	do := serve(t, &bytes.Buffer{}, nil, post, protocol)
	for _, tt := range []struct {
		path, name, value string
		want              int
	}{
		{"/sign-out", "Sec-Fetch-Site", "same-origin", 200},
		{"/sign-out", "Sec-Fetch-Site", "same-site", 403}, // a sibling tenant
		{"/sign-out", "Sec-Fetch-Site", "cross-site", 403},
		{"/sign-out", "Origin", "https://login.example.com", 200},
		{"/sign-out", "Origin", "https://evil.example.com", 403},
		{"/sign-out", "Origin", "null", 403},
		{"/acs", "Sec-Fetch-Site", "cross-site", 200},
	} {
		if w := do("POST", tt.path, tt.name, tt.value); w.Code != tt.want {
			t.Errorf("POST %s with %s: %s answers %d, want %d", tt.path, tt.name, tt.value, w.Code, tt.want)
		}
	}
}

func TestACauseIsInTheLogUnderTheIDThatIsShownAndNowhereElse(t *testing.T) {
	var log bytes.Buffer
	get := serve(t, &log, nil, endpoint.Route{Side: endpoint.Login, Pattern: "GET /broken", Access: endpoint.Public,
		Handle: func(http.ResponseWriter, *http.Request) error { return errors.New("the disk is on fire") }})
	w := get("GET", "/broken")
	if w.Code != 500 || strings.Contains(w.Body.String(), "fire") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	id := w.Body.String()[strings.LastIndex(w.Body.String(), " ")+1:]
	if len(id) < 20 || !strings.Contains(log.String(), id) || !strings.Contains(log.String(), "the disk is on fire") {
		t.Errorf("id %q, log %s", id, &log)
	}
}

func TestEveryAnswerKeepsCachesFramesAndReferrersOut(t *testing.T) {
	do := serve(t, &bytes.Buffer{}, nil, endpoint.Route{Side: endpoint.Login, Pattern: "GET /page", Access: endpoint.Public, Handle: fine})
	for _, path := range []string{"/page", "/no-such-page"} {
		w := do("GET", path)
		for name, want := range map[string]string{"Cache-Control": "no-store", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff"} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
	}
}

func TestAMethodThatARouteDoesNotHaveIsToldWhichItHas(t *testing.T) {
	do := serve(t, &bytes.Buffer{}, nil, endpoint.Route{Side: endpoint.Login, Pattern: "GET /page", Access: endpoint.Public, Handle: fine})
	if w := do("DELETE", "/page"); w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
		t.Errorf("%d, Allow %q", w.Code, w.Header().Get("Allow"))
	}
	if w := do("GET", "/other"); w.Code != http.StatusNotFound {
		t.Errorf("%d", w.Code)
	}
}

func TestRequestIDsAreOurOwnAndDiffer(t *testing.T) {
	a, b := endpoint.RequestID(endpoint.WithRequestID(t.Context())), endpoint.RequestID(endpoint.WithRequestID(t.Context()))
	if a == b || len(a) < 20 || endpoint.RequestID(t.Context()) != "" {
		t.Errorf("%q, %q", a, b)
	}
}

// Ids are drawn many at a time, on many goroutines at once.
func TestRequestIDsNeverRepeat(t *testing.T) {
	var wg sync.WaitGroup
	var seen sync.Map
	for range 8 {
		wg.Go(func() {
			for range 500 {
				id := endpoint.RequestID(endpoint.WithRequestID(t.Context()))
				if _, again := seen.LoadOrStore(id, true); again || len(id) != 26 || strings.Trim(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") != "" {
					t.Errorf("%q, seen before: %v", id, again)
				}
			}
		})
	}
	wg.Wait()
}
