package api

import (
	"math"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"

	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/sso/factor"
)

// How much a key may ask, on each replica: what the reference allows.
const (
	window          = 10 * time.Second
	readsInWindow   = 1000
	writesInWindow  = 500
	deletionsMinute = 50   // of organizations
	refusedMinute   = 6000 // without a good key, all together
	heardMinute     = 60   // failed sign-ins
	publicMinute    = 300  // by public clients, from one network address
	maxPublic       = 1 << 14
)

// rates count requests. There is one entry for each key that was used, and none for what is no key:
// whoever has none can't fill the memory.
type rates struct {
	mu      sync.Mutex
	keys    map[session.APIKeyID]*keyRates
	without *rate.Limiter
	// heard are the failed sign-ins that become events.
	heard *rate.Limiter
	// publicly are those of public clients, by the network address that they come from.
	publicly *lru.Cache[string, *rate.Limiter]
}

type keyRates struct{ reads, writes, deletions *rate.Limiter }

func newRates() *rates {
	publicly, err := lru.New[string, *rate.Limiter](maxPublic)
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	return &rates{keys: map[session.APIKeyID]*keyRates{}, without: perWindow(refusedMinute, time.Minute), heard: perWindow(heardMinute, time.Minute), publicly: publicly}
}

func perWindow(n int, w time.Duration) *rate.Limiter {
	return rate.NewLimiter(rate.Limit(float64(n)/w.Seconds()), n)
}

func (s *rates) of(key session.APIKeyID) *keyRates {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.keys[key]
	if k == nil {
		k = &keyRates{perWindow(readsInWindow, window), perWindow(writesInWindow, window), perWindow(deletionsMinute, time.Minute)}
		s.keys[key] = k
	}
	return k
}

// take counts a request. ok is false, with the seconds to wait, if there were too many.
func (s *rates) take(key session.APIKeyID, r *http.Request, now time.Time) (wait int, ok bool) {
	k := s.of(key)
	if r.Method == http.MethodDelete && strings.HasPrefix(r.URL.Path, "/organizations/") && !k.deletions.AllowN(now, 1) {
		return seconds(k.deletions, now), false
	}
	l := k.reads
	if isWrite(r) {
		l = k.writes
	}
	if !l.AllowN(now, 1) {
		return seconds(l, now), false
	}
	return 0, true
}

// refused counts a request without a good key.
func (s *rates) refused(now time.Time) (wait int, ok bool) {
	if !s.without.AllowN(now, 1) {
		return seconds(s.without, now), false
	}
	return 0, true
}

// public counts a request of a public client.
func (s *rates) public(r *http.Request, now time.Time) (wait int, ok bool) {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	if a, err := netip.ParseAddr(host); err == nil {
		host = factor.Network(a).String()
	}
	fresh := perWindow(publicMinute, time.Minute)
	l, there, _ := s.publicly.PeekOrAdd(host, fresh)
	if !there {
		l = fresh
	}
	if !l.AllowN(now, 1) {
		return seconds(l, now), false
	}
	return 0, true
}

// header says how much the key may ask yet.
func (s *rates) header(h http.Header, key session.APIKeyID, write bool, now time.Time) {
	k, l := s.of(key), (*rate.Limiter)(nil)
	if l = k.reads; write {
		l = k.writes
	}
	left := max(0, int(l.TokensAt(now)))
	h.Set("X-RateLimit-Limit", strconv.Itoa(l.Burst()))
	h.Set("X-RateLimit-Remaining", strconv.Itoa(left))
	full := time.Duration(float64(l.Burst()-left) / float64(l.Limit()) * float64(time.Second))
	h.Set("X-RateLimit-Reset", strconv.FormatInt(now.Add(full).Unix(), 10))
}

// seconds is how long until there is room for one again.
func seconds(l *rate.Limiter, now time.Time) int {
	missing := 1 - l.TokensAt(now)
	return max(1, int(math.Ceil(missing/float64(l.Limit()))))
}
