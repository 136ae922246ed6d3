package proxy

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/quick"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// TestAMeterIsAsATokenBucketThatIsCounted: the meter's one number against a bucket that is filled by the clock.
func TestAMeterIsAsATokenBucketThatIsCounted(t *testing.T) {
	same := func(requests, burst uint8, pauses []uint16) bool {
		q := tenancy.Quota{Requests: 1 << (requests % 10), Burst: int(burst)} // a second is so many turns to the nanosecond
		turn := int64(time.Second) / int64(q.Requests)
		room := turn * int64(max(q.Burst, q.Requests))
		var m meter
		now, full := time.Unix(1_700_000_000, 0), int64(0) // of the bucket: what is in it, as time
		for _, p := range pauses {
			pause := time.Duration(p) * 100 * time.Microsecond
			now, full = now.Add(pause), max(full-int64(pause), 0)
			want := full+turn <= room
			wait, ok := m.admit(q, now)
			if ok != want {
				return false
			}
			if want {
				full += turn
			} else if wait != time.Duration(full+turn-room) {
				return false
			}
		}
		return true
	}
	if err := quick.Check(same, &quick.Config{MaxCount: 2000}); err != nil {
		t.Error(err)
	}
}

// TestAClockThatIsSetBackLocksNobodyOut for longer than the room of the bucket.
func TestAClockThatIsSetBackLocksNobodyOut(t *testing.T) {
	q := tenancy.Quota{Requests: 10, Burst: 20}
	var m meter
	now := time.Unix(1_700_000_000, 0)
	for range 20 {
		m.admit(q, now)
	}
	if wait, ok := m.admit(q, now.Add(-time.Hour)); ok || wait > time.Second {
		t.Errorf("an hour before: %v, wait %v", ok, wait)
	}
	if _, ok := m.admit(q, now.Add(-time.Hour+150*time.Millisecond)); !ok {
		t.Error("a turn later still not")
	}
}

func limited(q tenancy.Quota) change { return func(o *Options) { o.PerOrganization = q } }

// TestWhatIsTooManyForOneOrganizationIsNothingToAnother
func TestWhatIsTooManyForOneOrganizationIsNothingToAnother(t *testing.T) {
	w := newWorld(t, limited(tenancy.Quota{Requests: 1, Burst: 5}))
	_, acme := w.jo()
	globex := w.person("gil@globex.com", w.globex.ID).at(globexHost, w.globex.ID)
	refused := 0
	for range 20 {
		switch res := w.do("GET", acmeHost, "/x", "Cookie", acme, "Accept", "application/json"); res.StatusCode {
		case 200:
		case http.StatusTooManyRequests:
			refused++
			if res.Header.Get("Retry-After") == "" || !strings.Contains(res.body, "too_many_requests") || !strings.Contains(res.body, "Acme") {
				t.Errorf("%v %s", res.Header, res.body)
			}
		default:
			t.Errorf("status %d", res.StatusCode)
		}
	}
	if refused < 10 || refused > 15 {
		t.Errorf("%d of 20 were refused", refused)
	}
	// Also of those whom nobody knows: they are the organization's too.
	if res := w.do("GET", acmeHost, "/public/x"); res.StatusCode != http.StatusTooManyRequests {
		t.Errorf("on a public route: %d", res.StatusCode)
	}
	if res := w.do("GET", acmeHost, "/.orgate/me", "Cookie", acme); res.StatusCode != 200 {
		t.Errorf("a path of ours: %d", res.StatusCode)
	}
	if res := w.do("GET", globexHost, "/x", "Cookie", globex); res.StatusCode != 200 {
		t.Errorf("another organization: %d", res.StatusCode)
	}
	w.pass(3 * time.Second)
	if res := w.do("GET", acmeHost, "/x", "Cookie", acme); res.StatusCode != 200 {
		t.Errorf("later: %d", res.StatusCode)
	}
}

// TestAnOrganizationsOwnQuotaHoldsFromItsChange, and the meter goes on through changes.
func TestAnOrganizationsOwnQuotaHoldsFromItsChange(t *testing.T) {
	w := newWorld(t)
	_, c := w.jo()
	set := func(q *tenancy.Quota) {
		w.update(func(tx store.Tx) error {
			w.acme.Quota = q
			var err error
			w.acme, err = tenancy.SaveOrganization(tx, w.acme, audit.System, w.now())
			return err
		})
	}
	status := func() int { return w.do("GET", acmeHost, "/x", "Cookie", c).StatusCode }
	set(&tenancy.Quota{Requests: 1, Burst: 2})
	for i, want := range []int{200, 200, 429} {
		if got := status(); got != want {
			t.Errorf("request %d: %d, want %d", i, got, want)
		}
	}
	set(&tenancy.Quota{Requests: 1, Burst: 3})
	for i, want := range []int{200, 429} {
		if got := status(); got != want {
			t.Errorf("after the change, request %d: %d, want %d", i, got, want)
		}
	}
	set(nil)
	if got := status(); got != 200 {
		t.Errorf("without: %d", got)
	}
}

// TestSoManyRequestsAreOpenAndNoMore: streams and WebSockets too, and whoever leaves makes room.
func TestSoManyRequestsAreOpenAndNoMore(t *testing.T) {
	w := newWorld(t, limited(tenancy.Quota{Open: 3}))
	_, c := w.jo()
	release := make(chan struct{})
	var inside atomic.Int32
	app := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		inside.Add(1)
		defer inside.Add(-1)
		_ = http.NewResponseController(rw).Flush()
		<-release
		io.WriteString(rw, "done")
	})
	over := w.stream("websocket", acmeHost, "/x", "Cookie", c)
	w.app.Store(&app)
	answers := make(chan int, 2)
	for range 2 {
		go func() { answers <- w.do("GET", acmeHost, "/x", "Cookie", c).StatusCode }()
	}
	w.eventually("three are open", func() bool { return inside.Load() == 2 })
	if res := w.do("GET", acmeHost, "/x", "Cookie", c, "Accept", "application/json"); res.StatusCode != 429 || !strings.Contains(res.body, "too_many_open") {
		t.Errorf("a fourth: %d %s", res.StatusCode, res.body)
	}
	close(release)
	for range 2 {
		if got := <-answers; got != 200 {
			t.Errorf("one of the three: %d", got)
		}
	}
	m := w.proxy.meter(w.acme.ID)
	w.eventually("the others have left", func() bool { return m.open.Load() == 1 })
	select {
	case <-over:
		t.Error("the WebSocket was closed")
	default:
	}
	if got := w.do("GET", acmeHost, "/x", "Cookie", c).StatusCode; got != 200 {
		t.Errorf("when there is room again: %d", got)
	}
}

// TestWhoeverIsRefusedCannotAskAgainAtOnce: 20 that ask as fast as they can get a few answers a second each.
func TestWhoeverIsRefusedCannotAskAgainAtOnce(t *testing.T) {
	w := newWorld(t, limited(tenancy.Quota{Requests: 1, Burst: 1}))
	_, c := w.jo()
	var refused atomic.Int32
	var all sync.WaitGroup
	began := time.Now()
	for range 20 {
		all.Go(func() {
			for range 3 {
				if w.do("GET", acmeHost, "/x", "Cookie", c).StatusCode == 429 {
					refused.Add(1)
				}
			}
		})
	}
	all.Wait()
	if took := time.Since(began); refused.Load() < 40 || took < holdOff {
		t.Errorf("%d were refused in %v", refused.Load(), took)
	}
}

// BenchmarkMeter is what the look at the quota costs.
func BenchmarkMeter(b *testing.B) {
	var m meter
	q := tenancy.Quota{Requests: 1_000_000, Burst: 1_000_000}
	now := time.Unix(1_700_000_000, 0)
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(2 * time.Microsecond)
		if _, ok := m.admit(q, now); !ok || !m.enter(q) {
			b.Fatal("refused")
		}
		m.leave()
	}
}
