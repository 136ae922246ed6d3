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
	// apart is how long it is at the least from when files are given back until they are given back again.
	apart = 2 * time.Minute
	// worth is from how many bytes of mapped files, the program's own among them, some are given back: of a small store
	// all stays, and nobody waits for the disk.
	worth = 64 << 20
	// some is how many bytes of files may come to be in memory from one look to the next while nobody reads them to speak of.
	some = 1 << 20
)

// A process is what is asked of it, and done to it.
type process struct {
	spent  func() time.Duration // CPU time so far
	held   func() uint64        // bytes of the system's memory
	mapped func() uint64        // bytes of files that are mapped and in memory
	letGo  func()               // of what is kept for the sake of speed
	free   func()               // has held be less
	drop   func()               // has mapped be less
}

// Run gives memory back whenever the process is quiet, for as long as that finds some, until ctx is done. letGo is called
// before, once in a quiet time, to drop what is kept for the sake of speed alone. Where the system does not say what CPU time the process took, Run does nothing.
func Run(ctx context.Context, letGo func()) {
	if _, ok := spent(); ok {
		this(letGo).run(ctx)
	}
}

// this is the process that we are.
func this(letGo func()) process {
	return process{
		spent: func() time.Duration { d, _ := spent(); return d },
		held:  held, mapped: mapped, letGo: letGo, free: debug.FreeOSMemory, drop: pageOut,
	}
}

func (p process) run(ctx context.Context) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	calm, before := 0, p.spent()
	heap, files := heap{process: p}, files{process: p}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if calm++; p.spent()-before > little {
			calm, heap.worked = 0, true
		}
		files.look()
		if calm >= patience {
			heap.giveBack()
			files.giveBack()
		}
		before = p.spent() // what this took is no work
	}
}

// A heap is what is given back of the runtime's memory.
type heap struct {
	process
	worked bool // since the last time
	done   bool // nothing was found
	last   time.Time
}

func (h *heap) giveBack() {
	if first := h.worked || time.Since(h.last) >= again; first {
		h.letGo()
	} else if h.done {
		return
	}
	had := h.held()
	h.free()
	// A collection halves a stack that has grown; so there may be more to find the next time.
	h.worked, h.done, h.last = false, h.held() > had-had/50, time.Now()
}

// A files is what is given back of mapped files: seldom, and not while somebody reads them. Who asks first afterwards waits for the
// disk, and for how long says a little of what is in the store, so nobody must be able to have it given back time and again.
type files struct {
	process
	now, before uint64 // what was mapped, and the time before
	last        time.Time
}

func (f *files) look() { f.before, f.now = f.now, f.mapped() }

func (f *files) giveBack() {
	if f.now > worth && f.now <= f.before+some && time.Since(f.last) >= apart {
		f.drop()
		f.last = time.Now()
	}
}

// held is what the runtime has of the system's memory.
func held() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64() - s[1].Value.Uint64()
}
