// Package heap has Go's collector work for a process that has little in use and makes much garbage.
//
// By itself the collector begins when there is as much garbage as there is in use. Of a proxy under load that is many times a second, and
// whoever sends a request just then waits for it.
//
// It owns how much garbage may be there, and that a container's limit on memory is heard of. What is given back by a process
// that rests is package quiet's.
package heap

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

const (
	// floor is how many bytes of garbage are not worth a collection.
	floor = 32 << 20
	// usual is what the runtime's percentage is by itself.
	usual = 100
	// least is how large a heap the runtime does not look at, times the percentage.
	least = 4 << 20
	// share is how much of a container's memory is for the heap: there are also pages of the store's files, and the kernel's buffers.
	share = 0.8
)

// Limit has the collector keep what Go has of memory below four fifths of what the container may have (a cgroup's limit), at the cost
// of CPU. It does nothing where GOMEMLIMIT is set, or where there is no such limit.
func Limit(log *slog.Logger) {
	if os.Getenv("GOMEMLIMIT") == "" {
		limit(log, memlimit.FromCgroup)
	}
}

func limit(log *slog.Logger, container memlimit.Provider) {
	bytes, err := memlimit.ApplyRatio(container, share)()
	switch {
	case errors.Is(err, memlimit.ErrNoLimit), errors.Is(err, memlimit.ErrNoCgroup), errors.Is(err, memlimit.ErrCgroupsNotSupported):
	case err != nil:
		log.Warn("the container's limit on memory could not be read, and is not kept: set GOMEMLIMIT", "cause", err)
	case bytes < math.MaxInt64:
		debug.SetMemoryLimit(int64(bytes))
		log.Info("memory is limited, as the container's is", "bytes", bytes)
	}
}

// Run lets there be 32 MiB of garbage before it is collected, or as much as is in use, if that is more, until ctx is done. (When what
// is in use grows manifold between two collections, once it may be more.) It does nothing where GOGC is set. A limit on memory is kept all the same.
func Run(ctx context.Context) {
	if os.Getenv("GOGC") == "" {
		run(ctx, floor)
	}
}

func run(ctx context.Context, floor uint64) {
	defer debug.SetGCPercent(usual)
	now := uint64(usual)
	for {
		collected := afterCollection()
		// To set it stops everything for a moment.
		if p := percent(basis(), floor); p*8 > now*9 || p*9 < now*8 || p == usual && now != usual {
			now = p
			debug.SetGCPercent(int(now))
		}
		select {
		case <-ctx.Done():
			return
		case <-collected:
		}
	}
}

// percent is how much garbage there may be for so many bytes that are in use.
func percent(inUse, floor uint64) uint64 {
	return max(usual, floor*100/max(inUse, least))
}

// basis is what the runtime takes a percentage of: what the last collection has found to be in use, and what it looked through for that.
func basis() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}, {Name: "/gc/scan/globals:bytes"}}
	metrics.Read(s)
	n := uint64(0)
	for _, v := range s {
		n += v.Value.Uint64()
	}
	return n
}

// afterCollection returns a channel that is closed when the next collection has ended.
func afterCollection() <-chan struct{} {
	c := make(chan struct{})
	// The collector finds that nobody has it. It is large enough to lie by itself.
	runtime.AddCleanup(new([64]byte), func(c chan struct{}) { close(c) }, c)
	return c
}
