package main

import (
	"context"
	"fmt"
)

// organizations measures what 10,000 organizations cost a request that ten do not. The ratio
// to reach is so near to 1 that there are twice as many rounds.
func organizations(ctx context.Context, b *bench) error {
	return b.inYard(func(y *yard) error {
		upstream, err := y.upstream(ctx, batch()...)
		if err != nil {
			return err
		}
		var subjects []*subject
		for _, n := range []int{10, 10_000} {
			g, err := y.gate(ctx, setup{binary: b.orgate, organizations: n}, upstream)
			if err != nil {
				return err
			}
			cookie, err := g.signIn(ctx)
			if err != nil {
				return err
			}
			if _, err := g.process.settled(ctx); err != nil {
				return err
			}
			subjects = append(subjects, &subject{endpoint: g.endpoint, name: fmt.Sprintf("orgate with %d organizations, signed in", n), path: "/1k", host: g.host("acme"), cookie: cookie, load: wrk(b.connections)})
		}
		if err := interleave(ctx, subjects, 2*b.rounds, b.seconds); err != nil {
			return err
		}
		few, many := subjects[0], subjects[1]
		ratio := many.series(cpu).over(few.series(cpu))
		table("Organizations", fmt.Sprintf("%d rounds of %d s, answers of 1 KiB, wrk with %d connections; medians, ratios round by round (min–max).", 2*b.rounds, b.seconds, b.connections), subjects, reference{"that with 10", few})
		fmt.Printf("\nRound by round: %s; of all rounds together %.2f.\n", ratio.each("%.2f"), sum(many)/sum(few))
		b.figures[costOfMany] = ratio.show("%.2f")
		return nil
	})
}

// sum is the CPU per request of all rounds together, up to a factor that is the same for all.
func sum(s *subject) float64 {
	var cpu, requests float64
	for _, m := range s.samples {
		cpu += m.cpu * m.requests
		requests += m.requests
	}
	return cpu / requests
}
