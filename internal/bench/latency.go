package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// offered is the load at which latencies are compared: so much of the slower one's maximum.
const offered = 0.7

// Subjects take turns of this length. The host takes the cores away now and then, for milliseconds: the shorter the turns, the more of
// them are without that, and the more alike is what the subjects get of it. A turn must have many requests above the p99, and some.
const turn = 200 * time.Millisecond

// longer is how many times as long as elsewhere each is measured in all of its turns: what comes of one pair of turns says next
// to nothing of the subjects, and it takes hundreds until the median is good to a tenth.
const longer = 12

// unmeasured is how long of a turn comes before it is measured, as the first requests find new connections.
const unmeasured = 50 * time.Millisecond

// latency measures how long answers take at the same constant rate of requests for all. What each
// can do at the most is found out just before.
func latency(ctx context.Context, b *bench) error {
	turns := int(time.Duration(b.rounds*b.seconds*longer) * time.Second / turn)
	return b.inYard(func(y *yard) (err error) {
		upstream, err := free(ctx)
		if err != nil {
			return err
		}
		load, err := y.pacer(ctx, upstream)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, load.end()) }()
		ngx, err := y.nginxProxy(ctx, "nginx", upstream, "")
		if err != nil {
			return err
		}
		subjects := []*subject{{endpoint: ngx, name: "nginx `proxy_pass`", path: "/1k"}}
		way, err := y.routes(ctx, b, setup{name: "orgate", binary: b.orgate, organizations: b.organizations}, upstream, "/1k", []route{{"public route", "/public", false}, {"signed in", "", true}})
		if err != nil {
			return err
		}
		subjects = append(subjects, way...)
		results, order, rates := make([]turned, len(subjects)), []int{}, series{}
		for i, s := range subjects {
			order = append(order, i)
			if results[i].before, err = s.own(ctx); err != nil {
				return err
			}
		}
		for range turns {
			// The machine is now faster and now slower, and with it what they can do at the most.
			slowest := math.Inf(1)
			for i, s := range subjects {
				v, err := load.pace(s, 0, b.connections, unmeasured, turn)
				if err != nil {
					return fmt.Errorf("%s: %w", s.name, err)
				}
				most := float64(len(v.Took)) / turn.Seconds()
				results[i].most = append(results[i].most, most)
				slowest = min(slowest, most)
			}
			rates = append(rates, offered*slowest)
			// Now this way and now that: what one leaves behind is not always the same one's.
			slices.Reverse(order)
			for _, i := range order {
				s := subjects[i]
				before := s.process.cpu()
				v, err := load.pace(s, offered*slowest, b.connections, unmeasured, turn)
				if err != nil {
					return fmt.Errorf("%s: %w", s.name, err)
				}
				results[i].add(v, s.process.cpu()-before)
			}
		}
		var late series
		for i, s := range subjects {
			after, err := s.own(ctx)
			if err == nil {
				err = after.strayed(results[i].before)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			late = append(late, results[i].late...)
			slices.Sort(results[i].took)
		}
		fmt.Printf("\n## Latency at the same load\n\n%d turns of %v each, %s requests a second, which is %.0f %% of what the slowest could do just before, over %d connections, measured from when each was to be sent; p99 of how much later the generator sent them: %s ms; medians of the turns (quartiles; of the ratios, turn by turn, 95 %% confidence), and of the requests of all turns together.\n\n"+
			"| subject | at the most, req/s | p50 | p99 | p99 ÷ nginx | p99 of all | ÷ nginx | p99.9 of all | ÷ nginx | core in use |\n|---|---|---|---|---|---|---|---|---|---|\n",
			turns, turn, rates.quartiles("%.0f"), offered*100, b.connections, late.quartiles("%.2f"))
		ngx99, ngx999 := millis(results[0].took, 0.99), millis(results[0].took, 0.999)
		for i, s := range subjects {
			r := &results[i]
			ratio, all := r.p99.over(results[0].p99).confident("%.2f"), millis(r.took, 0.99)
			fmt.Printf("| %s | %.0f | %.2f ms | %s ms | %s | %.2f ms | %.2f | %.2f ms | %.2f | %.0f %% |\n", s.name, r.most.median(), millis(r.took, 0.5), r.p99.quartiles("%.2f"), ratio,
				all, all/ngx99, millis(r.took, 0.999), millis(r.took, 0.999)/ngx999, r.busy.Seconds()/(time.Duration(turns)*(turn+unmeasured)).Seconds()*100)
			if s.cookie != "" {
				b.figures[p99ToNginx] = fmt.Sprintf("%s with 95 %% confidence; of all turns together %.2f", ratio, all/ngx99)
			}
		}
		return nil
	})
}

// A turned is what came of all turns of a subject.
type turned struct {
	most      series // requests a second, turn by turn
	took      []time.Duration
	p99, late series // turn by turn, in milliseconds
	busy      time.Duration
	before    own // as of the beginning
}

func (t *turned) add(v paced, cpu time.Duration) {
	t.took = append(t.took, v.Took...)
	t.p99 = append(t.p99, millis(v.Took, 0.99))
	if len(v.Late) > 0 { // else there was never a free connection
		t.late = append(t.late, millis(v.Late, 0.99))
	}
	t.busy += cpu
}
