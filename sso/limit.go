package sso

import (
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"

	"github.com/orgate/orgate/internal/endpoint"
	"github.com/orgate/orgate/internal/text"
	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/tenancy"
)

// A Rate is a token bucket: Burst at once, and PerSecond in the long run.
type Rate struct {
	PerSecond float64
	Burst     int
}

// maxBuckets bounds the memory that strangers can have us use. A bucket that was pushed
// out begins full again, which a flood from so many networks would have anyway.
const maxBuckets = 1 << 14

// A limiter has one bucket for each key.
type limiter struct {
	rate    Rate
	now     func() time.Time
	buckets *lru.Cache[any, *rate.Limiter]
}

func newLimiter(r Rate, now func() time.Time) *limiter {
	buckets, err := lru.New[any, *rate.Limiter](maxBuckets)
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	return &limiter{rate: r, now: now, buckets: buckets}
}

// take takes one token from the bucket of key, or says after how long there is one.
func (l *limiter) take(key any) (wait time.Duration, ok bool) {
	b, found := l.buckets.Get(key)
	if !found {
		b = rate.NewLimiter(rate.Limit(l.rate.PerSecond), l.rate.Burst)
		if other, there, _ := l.buckets.PeekOrAdd(key, b); there {
			b = other
		}
	}
	now := l.now()
	res := b.ReserveN(now, 1)
	if !res.OK() {
		return time.Minute, false
	}
	if wait = res.DelayFrom(now); wait > 0 {
		res.CancelAt(now)
		return wait, false
	}
	return 0, true
}

// network is what one stranger is told from another by: an IPv4 address, or the /64 of
// an IPv6 address, within which a single machine may rotate freely.
func network(a netip.Addr) netip.Prefix { return factor.Network(a) }

// connectionIP returns the address of the peer.
func connectionIP(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}

// polite refuses who asks too often.
func (s *Server) polite(l *limiter, h endpoint.Handler) endpoint.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		wait, ok := l.take(network(s.clientIP(r)))
		if !ok {
			return s.tooMany(wait)
		}
		return h(w, r)
	}
}

// tooMany tells who asks too often when to ask again.
func (s *Server) tooMany(wait time.Duration) error {
	s.count("rate_limited")
	return &endpoint.Error{
		Status: http.StatusTooManyRequests, Code: "rate_limited", Title: text.T("Too many attempts"),
		Text: text.T("There were too many attempts in a short time."), Hint: text.T("Wait a little, then try again."),
		Header: http.Header{"Retry-After": {strconv.Itoa(max(1, int(math.Ceil(wait.Seconds()))))}},
	}
}

// A sender is one network that posts logout tokens to one connection: a stranger's flood
// must not keep the provider's own from being heard, nor one provider's another's.
type sender struct {
	network    netip.Prefix
	connection tenancy.ConnectionID
}
