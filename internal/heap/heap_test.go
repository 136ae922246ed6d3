package heap

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"testing"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

var sink []byte

// collections is how many there were.
func collections() uint32 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.NumGC
}

func gogc() uint64 {
	s := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

func begin(t *testing.T, floor uint64) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); run(ctx, floor) }()
	t.Cleanup(func() {
		cancel()
		<-done
		if p := gogc(); p != usual {
			t.Errorf("left at %d %%", p)
		}
	})
}

func TestGarbageWaitsUntilThereIsMuchOfIt(t *testing.T) {
	const floor, each, n = 32 << 20, 64 << 10, 16 << 10 // 1 GiB
	begin(t, floor)
	settles(t, func(p uint64) bool { return p > usual })
	before := collections()
	for range n {
		sink = make([]byte, each)
	}
	most := uint32(n*each/floor) * 2
	if got := collections() - before; got == 0 || got > most {
		t.Errorf("%d collections for %d MiB of garbage, want 1 to %d", got, n*each>>20, most)
	}
}

// A process that has much in use has as much garbage at the most.
func TestWhatIsInUseIsTheMeasureOfALargeProcess(t *testing.T) {
	large := make([]*[1 << 20]byte, 64)
	for i := range large {
		large[i] = new([1 << 20]byte)
	}
	runtime.GC()
	begin(t, 16<<20)
	settles(t, func(p uint64) bool { return p == usual })
	runtime.KeepAlive(large)
	settles(t, func(p uint64) bool { return p > usual })
}

// settles collects until the percentage is as it should be.
func settles(t *testing.T, as func(uint64) bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for p := gogc(); !as(p); p = gogc() {
		if time.Now().After(deadline) {
			t.Fatalf("it stays at %d %%", p)
		}
		runtime.GC()
	}
}

func TestTheLimitOfAContainerIsKept(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(before)
	var log bytes.Buffer
	set := func(p memlimit.Provider) int64 {
		log.Reset()
		debug.SetMemoryLimit(math.MaxInt64)
		limit(slog.New(slog.NewTextHandler(&log, nil)), p)
		return debug.SetMemoryLimit(-1)
	}
	if got := set(memlimit.Limit(1 << 30)); got != 858993459 || !strings.Contains(log.String(), "limited") {
		t.Errorf("%d, %s", got, &log)
	}
	none := func() (uint64, error) { return 0, memlimit.ErrNoLimit }
	if got := set(none); got != math.MaxInt64 || log.Len() > 0 {
		t.Errorf("no limit: %d, %s", got, &log)
	}
	odd := func() (uint64, error) { return 0, errors.New("odd file") }
	if got := set(odd); got != math.MaxInt64 || !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), "odd file") {
		t.Errorf("a limit that can't be read: %d, %s", got, &log)
	}
	t.Setenv("GOMEMLIMIT", "1GiB")
	debug.SetMemoryLimit(7 << 30)
	if Limit(slog.New(slog.DiscardHandler)); debug.SetMemoryLimit(-1) != 7<<30 {
		t.Error("who sets GOMEMLIMIT does not have it")
	}
}

func TestWhoSetsGOGCHasIt(t *testing.T) {
	t.Setenv("GOGC", "100")
	Run(t.Context()) // returns
}

func TestThePercentageForWhatIsInUse(t *testing.T) {
	for _, c := range []struct{ inUse, want uint64 }{{0, 1600}, {16 << 20, 400}, {64 << 20, 100}, {1 << 30, 100}} {
		if got := percent(c.inUse, 64<<20); got != c.want {
			t.Errorf("%d bytes in use: %d %%, want %d", c.inUse, got, c.want)
		}
	}
}
