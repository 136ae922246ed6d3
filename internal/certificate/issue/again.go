package issue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"sync"
	"time"
)

// How long it takes until an authority is asked again for a host that it refused: longer each time.
// Authorities close their doors to who asks for what fails five times in an hour; each visitor asks.
const (
	firstPause = 5 * time.Minute
	lastPause  = 12 * time.Hour
)

// shortPause is how long a replica believes what it last heard of a refusal: visitors who come meanwhile
// cost nothing, and what another replica is given is found soon.
const shortPause = time.Minute

// pauses are the hosts that an authority has refused a moment ago. There are no more of them than
// there are hosts.
type pauses struct {
	mu    sync.Mutex
	until map[string]time.Time
}

func (p *pauses) add(host string, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.until == nil {
		p.until = map[string]time.Time{}
	}
	maps.DeleteFunc(p.until, func(_ string, until time.Time) bool { return !now.Before(until) })
	p.until[host] = now.Add(shortPause)
}

func (p *pauses) is(host string, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return now.Before(p.until[host])
}

// A refusal is how often in a row an authority has refused a host, and until when it is not asked.
type refusal struct {
	Times int       `json:"times"`
	Until time.Time `json:"until"`
}

func refusalPath(host string) string { return "refusals/" + host }

func (s *storage) refusal(ctx context.Context, host string) (r refusal, err error) {
	b, err := s.Load(ctx, refusalPath(host))
	if errors.Is(err, fs.ErrNotExist) {
		return refusal{}, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	return r, err
}

// mayAsk returns why the authority is not asked for a host now.
func (s *storage) mayAsk(ctx context.Context, host string) error {
	r, err := s.refusal(ctx, host)
	if err != nil {
		return err // the store can't be asked, and nothing could be kept
	}
	if s.now().Before(r.Until) {
		return fmt.Errorf("refused %d times: not asked again before %s", r.Times, r.Until.UTC().Format(time.RFC3339))
	}
	return nil
}

// failed notes that a host was refused, and returns when it is asked for again.
func (s *storage) failed(ctx context.Context, host string) (again time.Time, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), unlockWithin) // it failed, perhaps, as its time was up
	defer cancel()
	r, err := s.refusal(ctx, host)
	if err != nil {
		return time.Time{}, err
	}
	pause := firstPause
	for range r.Times {
		pause = min(2*pause, lastPause)
	}
	r = refusal{Times: min(r.Times+1, 16), Until: s.now().Add(pause).UTC()}
	b, err := json.Marshal(r)
	if err != nil {
		return time.Time{}, err
	}
	return r.Until, s.Store(ctx, refusalPath(host), b)
}

// succeeded forgets that a host was ever refused.
func (s *storage) succeeded(ctx context.Context, host string) error {
	return s.Delete(ctx, refusalPath(host))
}
