// Package quiet gives memory back to the system when the process has little to do.
//
// Go's collector lets garbage grow to as much as what is in use, keeps stacks at the size that they needed last, and returns what it
// does not use slowly; and of the store's files, which are mapped, the kernel keeps what was read for as long as nobody else wants the memory. That is
// right under load; but most sidecars rest for most of the day, beside an app that could use it.
//
// It owns when that is. It does not own how much a busy process may take: that is GOMEMLIMIT's.
package quiet

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	every = 15 * time.Second
	// little is how much of one core a quiet process takes.
	little = every / 50
	// patience is how often in a row it must have been quiet.
	patience = 2
	// again is when it is looked anew at a process that has been quiet ever since: what comes slowly is no work to speak of, and may be much.
	again = 10 * time.Minute
	// worth is from how many bytes of mapped files, the program's own among them, some are given back: of a small store
	// all stays, and nobody waits for the disk.
	worth = 64 << 20
)

// A process is what is asked of it, and done to it.
type process struct {
	spent  func() time.Duration // CPU time so far
	held   func() uint64        // bytes of the system's memory
	mapped func() uint64        // bytes of files that are mapped and in memory
	free   func()               // has held be less
	drop   func()               // has mapped be less
}

// Run gives memory back whenever the process is quiet, for as long as that finds some, until ctx is done; letGo is called before, to
// drop what is kept for the sake of speed alone. Where the system does not say what CPU time the process took, Run does nothing.
func Run(ctx context.Context, letGo func()) {
	if _, ok := spent(); !ok {
		return
	}
	process{
		spent: func() time.Duration { d, _ := spent(); return d }, held: held, mapped: mapped,
		free: func() { letGo(); debug.FreeOSMemory() }, drop: pageOut,
	}.run(ctx)
}

func (p process) run(ctx context.Context) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	before, calm, done, kept, last := p.spent(), 0, false, uint64(0), time.Time{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := p.spent()
		if calm++; now-before > little {
			calm, done = 0, false
		}
		before = now
		if calm < patience {
			continue
		}
		had := p.held() + p.mapped()
		if done && (time.Since(last) < again || !more(had, kept)) {
			continue
		}
		p.free()
		if p.mapped() > worth {
			p.drop()
		}
		kept, last = p.held()+p.mapped(), time.Now()
		// A collection halves a stack that has grown; so there may be more to find the next time.
		done = !more(had, kept)
		before = p.spent() // what it took itself is no work
	}
}

// more reports whether a is more than b by what is worth the trouble.
func more(a, b uint64) bool { return a > b+a/50 }

// held is what the runtime has of the system's memory.
func held() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64() - s[1].Value.Uint64()
}
