package e2e

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// fastRequests is the metric that counts those which took the fast path.
const fastRequests = "orgate_fast_path_requests_total"

// TestTheFastPathIsTakenAsTheFileSays: from the start on, and from a reload on, when it is turned off also on a connection that was there before.
func TestTheFastPathIsTakenAsTheFileSays(t *testing.T) {
	t.Parallel()
	s := siteAt(t, "http://127.0.0.1:1", freePort(t))
	yaml := func(line string) string {
		head, rest, _ := strings.Cut(s.head(s.badger()), "data_plane:")
		_, rest, found := strings.Cut(rest, "\n")
		if !found {
			t.Fatal("the file says nothing of it")
		}
		return head + line + rest + s.globex()
	}
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, s.Listen)
	}}}
	visit := func() {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.at("globex", "/public"), nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.Copy(io.Discard, resp.Body)
		if resp.Body.Close(); err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s %v", resp.Status, err)
		}
	}
	fast := func() float64 {
		t.Helper()
		// A request is counted after it is answered, and before the next one on its connection is served.
		visit()
		before := s.metric(fastRequests)
		for range 10 {
			visit()
		}
		return s.metric(fastRequests) - before
	}
	const on, off = "data_plane: { fast_path: on }\n", "data_plane: { fast_path: off }\n"
	for _, first := range []struct {
		line  string
		taken bool
	}{{"", true}, {on, true}, {off, false}} {
		s.write(yaml(first.line))
		s.start()
		if n := fast(); (n > 0) != first.taken || !first.taken && s.metric(fastRequests) != 0 {
			t.Errorf("started with %q: %v of 10 requests took the fast path", first.line, n)
		}
		other := map[bool]string{true: off, false: on}[first.taken]
		s.change(yaml(other))
		if !first.taken {
			client.CloseIdleConnections() // what net/http has once got of the slow path it keeps
		}
		if n := fast(); (n > 0) == first.taken {
			t.Errorf("started with %q, and %q since: %v of 10 requests took the fast path", first.line, other, n)
		}
		s.stop()
	}
}
