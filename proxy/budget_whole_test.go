//go:build !race

package proxy

import (
	"io"
	"testing"
)

// Under the race detector a sync.Pool drops what it is given now and then, so that this holds without it only. What else goes on in
// the process is counted too, but is not one more for each of so many.
func TestAWholeRequestAllocatesAsMuchAsItIsKnownTo(t *testing.T) {
	const times = 200
	t.Run("the fast path", func(t *testing.T) {
		s := newStage(t, quiet)
		_, c := s.jo("admin")
		o := s.acme
		o.Upstreams = map[string]string{"app": "http://" + still(t, stillAnswer)}
		s.update(func(tx tx) error { return save(tx, o, s.world) })
		conn := s.call(s.fast)
		ask := []byte(request("GET", "/admin/x?q=1", "theme=dark; "+c, "Accept: */*", "Accept-Encoding: gzip", "User-Agent: Mozilla/5.0", "Sec-Fetch-Mode: navigate"))
		answer := make([]byte, 4<<10)
		// Each is as long as the others: the Date has a length, and the id is not in it.
		conn.say(string(ask))
		n, err := conn.Read(answer)
		if err != nil {
			t.Fatal(err)
		}
		got := testing.AllocsPerRun(times, func() {
			if _, err := conn.Write(ask); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(conn.Conn, answer[:n]); err != nil {
				t.Fatal(err)
			}
		})
		s.expectFast(1 + 1 + times) // one to begin with, and one that is not counted
		// The head as text, and the id.
		if got > 2 {
			t.Errorf("%v allocations", got)
		}
	})
	t.Run("net/http", func(t *testing.T) {
		_, _, _, serve := measured(t)
		if got := testing.AllocsPerRun(times, serve); got > 8 {
			t.Errorf("%v allocations", got)
		}
	})
}
