package main

import (
	"context"
	"fmt"
)

// offered is the load at which latencies are compared: so much of the slower one's maximum.
const offered = 0.7

// longer is how many times as long as elsewhere each is measured: of one second, a hundredth in which the machine was not there is
// the p99.
const longer = 5

// latency measures how long answers take at the same constant rate of requests for all. What each
// can do at the most is found out first.
func latency(ctx context.Context, b *bench) error {
	seconds := longer * b.seconds
	return b.inYard(func(y *yard) error {
		upstream, err := y.upstream(ctx)
		if err != nil {
			return err
		}
		ngx, err := y.nginxProxy(ctx, "nginx", upstream, "")
		if err != nil {
			return err
		}
		subjects := []*subject{{endpoint: ngx, name: "nginx `proxy_pass`", path: "/1k", load: wrk(b.connections)}}
		way, err := y.routes(ctx, b, setup{name: "orgate", binary: b.orgate, organizations: b.organizations}, upstream, "/1k", []route{{"public route", "/public", false}, {"signed in", "", true}})
		if err != nil {
			return err
		}
		subjects = append(subjects, way...)
		if err := interleave(ctx, subjects, min(b.rounds, 3), b.seconds); err != nil {
			return err
		}
		slowest := subjects[0].series(perSecond).median()
		for _, s := range subjects[1:] {
			slowest = min(slowest, s.series(perSecond).median())
		}
		rate := offered * slowest
		p50, p99, p999, late := make([]series, len(subjects)), make([]series, len(subjects)), make([]series, len(subjects)), series{}
		busy := make([]series, len(subjects))
		for round := range b.rounds {
			for i, s := range subjects {
				if err := s.probe(ctx); err != nil {
					return fmt.Errorf("%s: %w", s.name, err)
				}
				before := s.process.cpu()
				v, err := y.pace(ctx, s, rate, b.connections, seconds)
				if err != nil {
					return fmt.Errorf("%s: %w", s.name, err)
				}
				busy[i] = append(busy[i], (s.process.cpu()-before).Seconds()/float64(seconds)*100)
				p50[i], p99[i], p999[i], late = append(p50[i], v.P50), append(p99[i], v.P99), append(p999[i], v.P999), append(late, v.Late99)
				progress("round %d  %-44s p50 %.2f ms, p99 %.2f ms", round+1, s.name, v.P50, v.P99)
			}
		}
		fmt.Printf("\n## Latency at the same load\n\n%s\n\n| subject | at the most, req/s | p50 | p99 | p99.9 | p99 ÷ nginx | core in use |\n|---|---|---|---|---|---|---|\n",
			rounds(b.rounds, seconds, fmt.Sprintf("%.0f requests a second, which is %.0f %% of what the slowest can do, over %d connections, measured from when each was to be sent; p99 of how much later the generator sent them: %s ms", rate, offered*100, b.connections, late.show("%.2f"))))
		for i, s := range subjects {
			ratio := p99[i].over(p99[0])
			fmt.Printf("| %s | %.0f | %.2f ms | %s ms | %.2f ms | %s | %.0f %% |\n", s.name, s.series(perSecond).median(), p50[i].median(), p99[i].show("%.2f"), p999[i].median(), ratio.show("%.2f"), busy[i].median())
			if s.cookie != "" {
				b.figures[p99ToNginx] = ratio.show("%.2f")
			}
		}
		return nil
	})
}
