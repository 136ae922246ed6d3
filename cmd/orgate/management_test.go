package main

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/orgate/orgate/config"
	"github.com/orgate/orgate/internal/telemetry"
)

// The management listener shows profiles only if asked to, is ready only while it serves and has
// a store, and answers to no name that a page elsewhere could give it.
func TestTheManagementListenerShowsWhatItIsAskedForToWhoMayAsk(t *testing.T) {
	for _, pprof := range []bool{false, true} {
		c, err := config.ReadBytes("orgate.yaml", fmt.Appendf(nil, `
version: 1
public_url: http://login.localhost:8080
management: { listen: "127.0.0.1:9090", pprof: %v }
store: { badger: { dir: %q } }
apps: [{ name: app, host: "{org}.localhost", upstream: "http://127.0.0.1:3000" }]
`, pprof, t.TempDir()), os.LookupEnv)
		if err != nil {
			t.Fatal(err)
		}
		g, err := open(t.Context(), c, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		s, err := g.managementServer()
		if err != nil {
			t.Fatal(err)
		}
		get := func(h http.Handler, host, path string) int {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
			r.Host = host
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			return w.Code
		}
		profiles := map[bool]int{false: 404, true: 200}[pprof]
		for path, want := range map[string]int{"/healthz": 200, "/metrics": 200, "/debug/pprof/": profiles, "/debug/pprof/cmdline": profiles, "/readyz": 503, "/events": 401, "/user_management/users": 401} {
			for _, host := range []string{"127.0.0.1:9090", "localhost:9090", "[::1]:9090"} {
				if got := get(s.Handler, host, path); got != want {
					t.Errorf("pprof: %v: %s%s: %d, want %d", pprof, host, path, got, want)
				}
			}
			if got := get(s.Handler, "", path); got != want { // a balancer's, by HTTP/1.0
				t.Errorf("%s by no name: %d, want %d", path, got, want)
			}
			if got := get(s.Handler, "rebound.evil.test:9090", path); want != 404 && got != http.StatusMisdirectedRequest {
				t.Errorf("%s by another name: %d", path, got)
			}
			// Nothing of it is on the public listener: there, a tenant's paths are the app's.
			for _, host := range []string{"login.localhost:8080", "nobody.localhost:8080", "127.0.0.1:9090"} {
				if got := get(g.publicServer(telemetry.Tracing{}).Handler, host, path); got != 404 && got != 400 {
					t.Errorf("the public listener answers %s%s with %d", host, path, got)
				}
			}
		}
		g.ready.Store(true)
		if got := get(s.Handler, "127.0.0.1:9090", "/readyz"); got != 200 {
			t.Errorf("serving: /readyz is %d", got)
		}
		if err := g.close(); err != nil {
			t.Fatal(err)
		}
		if got := get(s.Handler, "127.0.0.1:9090", "/readyz"); got != 503 {
			t.Errorf("without a store: /readyz is %d", got)
		}
	}
}
