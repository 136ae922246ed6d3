package e2e

import (
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/orgate/orgate/sso/ssotest"
)

// hold begins a request that the app answers once release is closed. body gets what came of it.
func (s *site) hold() (release chan struct{}, body <-chan string) {
	s.t.Helper()
	got := make(chan string, 1)
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.at("acme", "/public/held"), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	client := http.Client{Transport: &http.Transport{DialContext: ssotest.DialLocalhost, DisableKeepAlives: true}}
	go func() {
		resp, err := client.Do(req)
		if err != nil {
			got <- err.Error()
			return
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			b = append(b, err.Error()...)
		}
		got <- string(b)
	}()
	select {
	case release = <-s.app.held:
	case <-time.After(10 * time.Second):
		s.t.Fatal("the request did not reach the app")
	}
	return release, got
}

// TestWhatIsUnderWayIsFinishedWhenItIsToldToStop, and nothing new begins.
func TestWhatIsUnderWayIsFinishedWhenItIsToldToStop(t *testing.T) {
	t.Parallel()
	s := standard(t)
	release, body := s.hold()
	s.signal(syscall.SIGTERM)
	until(t, "not ready", 5*time.Second, func() bool { return !s.ready() })
	until(t, "closed to new requests", 5*time.Second, func() bool {
		_, err := ssotest.NewBrowser().Get(t.Context(), s.at("acme", "/public"))
		return err != nil
	})
	select {
	case <-s.process.done:
		t.Fatal("it did not wait for what is under way")
	default:
	}
	close(release)
	if got := <-body; got != "begun, and done" {
		t.Errorf("the request that was under way got %q", got)
	}
	s.stop()
}

// TestWhoIsToldToStopStillServesWhileTheBalancerLooks: not ready any more, and open to requests for as long as was asked.
func TestWhoIsToldToStopStillServesWhileTheBalancerLooks(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.write("limits: { drain_delay: 3s }\n" + s.head(s.badger()) + s.acme() + s.globex())
	s.start()
	s.signal(syscall.SIGTERM)
	until(t, "not ready", 2*time.Second, func() bool { return !s.ready() })
	if pg, err := ssotest.NewBrowser().Get(t.Context(), s.at("acme", "/public")); err != nil || pg.Status != http.StatusOK {
		t.Errorf("a request that comes meanwhile: %v %v", pg, err)
	}
	s.stop()
}

// TestWhatDoesNotEndIsCutOffAtTheEndOfTheDrain, so that a forgotten stream keeps nothing from ending.
func TestWhatDoesNotEndIsCutOffAtTheEndOfTheDrain(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.write("limits: { drain_timeout: 1s }\n" + s.head(s.badger()) + s.acme() + s.globex())
	s.start()
	_, body := s.hold()
	s.stop()
	if got := <-body; !strings.HasPrefix(got, "begun, ") || strings.Contains(got, "done") {
		t.Errorf("the request that was under way got %q", got)
	}
	if len(s.lines(func(l line) bool { return strings.Contains(l.get("msg"), "limits.drain_timeout") })) != 1 {
		t.Errorf("the log does not say so: %s", s.tail())
	}
}
