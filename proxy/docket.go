package proxy

import (
	"context"
	"sync"
	"time"
)

const (
	// judges is how many grants are judged anew at a time. Each asks the store: one change
	// that concerns everybody must not have as many requests ask at once as are open.
	judges = 64
	// judgement is how long a grant may wait to be judged and be judged. What is open ends
	// within a second of its session; whoever was not heard in time ends too.
	judgement = 900 * time.Millisecond
)

// A docket is the grants that wait to be judged anew, first come, first served.
type docket struct {
	judge func(context.Context, *grant, *flight)

	mu      sync.Mutex
	waiting []hearing
	sitting int // judges at work
}

// A hearing is what one grant waits for.
type hearing struct {
	g  *grant
	f  *flight // of g, if it is about this one alone
	by time.Time
}

// add has grants judged, and returns at once.
func (d *docket) add(grants ...*grant) {
	by := time.Now().Add(judgement)
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, g := range grants {
		d.wait(hearing{g: g, by: by})
	}
}

// addOne has a request judged whose time has come: the others under its grant have a time of
// their own, and one session may have very many open.
func (d *docket) addOne(f *flight) {
	f.seen.Store(true)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.wait(hearing{g: f.grant.Load(), f: f, by: time.Now().Add(judgement)})
}

func (d *docket) wait(h hearing) {
	d.waiting = append(d.waiting, h)
	if d.sitting < judges {
		d.sitting++
		go d.sit()
	}
}

// sit judges until nothing waits any more.
func (d *docket) sit() {
	for {
		d.mu.Lock()
		if len(d.waiting) == 0 {
			d.waiting = nil // what was taken from the front is kept by the array
			d.sitting--
			d.mu.Unlock()
			return
		}
		h := d.waiting[0]
		d.waiting[0] = hearing{}
		d.waiting = d.waiting[1:]
		d.mu.Unlock()
		d.hear(h.g, h.f, h.by)
	}
}

// hear has one grant judged now, or one request of it, on the caller's own time.
func (d *docket) hear(g *grant, f *flight, by time.Time) {
	ctx, cancel := context.WithDeadline(context.Background(), by)
	defer cancel()
	d.judge(ctx, g, f)
}
