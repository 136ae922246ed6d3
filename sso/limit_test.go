package sso

import (
	"net/netip"
	"testing"
	"time"
)

func TestAMachineThatRotatesItsAddressIsStillOneStranger(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		same bool
	}{
		{"203.0.113.7", "203.0.113.7", true},
		{"203.0.113.7", "203.0.113.8", false},
		{"::ffff:203.0.113.7", "203.0.113.7", true},
		{"2001:db8:1:2::1", "2001:db8:1:2:ffff::1", true},
		{"2001:db8:1:2::1", "2001:db8:1:3::1", false},
		{"fe80::1%eth0", "fe80::1%eth1", true},
	} {
		a, b := network(netip.MustParseAddr(tt.a)), network(netip.MustParseAddr(tt.b))
		if same := a == b; same != tt.same {
			t.Errorf("network(%s) = %v and network(%s) = %v", tt.a, a, tt.b, b)
		}
	}
	if network(netip.Addr{}) != (netip.Prefix{}) {
		t.Error("no address has a network")
	}
}

func TestABucketRefillsAndSaysWhen(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	l := newLimiter(Rate{PerSecond: 2, Burst: 3}, func() time.Time { return now })
	for i := range 3 {
		if _, ok := l.take("a"); !ok {
			t.Fatalf("refused at %d of a burst of 3", i)
		}
	}
	wait, ok := l.take("a")
	if ok || wait != 500*time.Millisecond {
		t.Fatalf("over the burst: %v, %v", wait, ok)
	}
	if _, ok := l.take("b"); !ok {
		t.Error("one stranger pays for another")
	}
	if now = now.Add(wait); true {
		if _, ok := l.take("a"); !ok {
			t.Error("refused after the time that was said")
		}
	}
}

func TestStrangersCostBoundedMemory(t *testing.T) {
	l := newLimiter(Rate{PerSecond: 1, Burst: 1}, time.Now)
	for i := range maxBuckets + 1000 {
		l.take(i)
	}
	if n := l.buckets.Len(); n > maxBuckets {
		t.Errorf("%d buckets", n)
	}
}
