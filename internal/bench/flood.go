package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// quota is how many requests a second an organization may make, where there is a limit.
	quota = 1000
	// modest is how many the other one makes.
	modest = 300
	// settling is how long the other one sends before it is measured: until then the flood has begun.
	settling = 500 * time.Millisecond
)

// flood measures what one organization's people wait while another's send as much as wrk can. Nginx,
// which knows no organizations, shows what of that is the machine's: one core for the subject, and
// one for both loads and the upstream.
func flood(ctx context.Context, b *bench) error {
	return b.inYard(func(y *yard) (err error) {
		upstream, err := y.upstream(ctx)
		if err != nil {
			return err
		}
		ngx, err := y.nginxProxy(ctx, "nginx", upstream, "")
		if err != nil {
			return err
		}
		type contest struct {
			name                string
			flooding, bystander *subject
			calm, flooded       series // p99 of the bystander
			served, refused     series // requests a second
			cpu                 series // of the subject, during the flood, per second
		}
		contests := []*contest{{name: "nginx `proxy_pass`", flooding: &subject{endpoint: ngx, path: "/1k"}, bystander: &subject{endpoint: ngx, path: "/1k"}}}
		for _, limit := range []int{0, quota} {
			g, err := y.gate(ctx, setup{binary: b.orgate, organizations: b.organizations, quota: limit, issuer: "http://127.0.0.1:1", signedIn: map[string]int{"acme": 1, "globex": 1}}, upstream)
			if err != nil {
				return err
			}
			c := &contest{name: "orgate, no limit"}
			if limit > 0 {
				c.name = fmt.Sprintf("orgate, %d requests a second for each organization", limit)
			}
			for organization, s := range map[string]**subject{"acme": &c.flooding, "globex": &c.bystander} {
				cookie, err := g.cookie(organization)
				if err != nil {
					return err
				}
				*s = &subject{endpoint: g.endpoint, path: "/1k", host: g.host(organization), cookie: cookie}
			}
			contests = append(contests, c)
		}
		load, err := y.pacer(ctx, "")
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, load.end()) }()
		for round := range b.rounds {
			for _, c := range contests {
				if err := c.bystander.probe(ctx); err != nil {
					return fmt.Errorf("%s: %w", c.name, err)
				}
				alone, err := load.pace(c.bystander, modest, 16, settling, time.Duration(b.seconds)*time.Second)
				if err != nil {
					return fmt.Errorf("%s: %w", c.name, err)
				}
				flooded := make(chan error, 1)
				var n counted
				before := c.flooding.process.cpu()
				go func() {
					var err error
					// It begins before the bystander and ends after it. With all that it can send it leaves the
					// core to the others that are there, which are not to be judged by how the kernel shares it.
					n, err = countByWrk(ctx, c.flooding, b.connections, b.seconds+2, 19, statusesLua+reportLua)
					flooded <- err
				}()
				beside, err := load.pace(c.bystander, modest, 16, settling, time.Duration(b.seconds)*time.Second)
				if e := <-flooded; e != nil || err != nil {
					return fmt.Errorf("%s: %w", c.name, errors.Join(err, e))
				}
				ok, limited := n.statuses[0], n.statuses[1]
				if ok+limited != n.requests || ok == 0 {
					return fmt.Errorf("%s: of %v answers %v had status 200 and %v 429", c.name, n.requests, ok, limited)
				}
				c.cpu = append(c.cpu, (c.flooding.process.cpu()-before).Seconds()/n.took.Seconds()*100)
				calm, flooding := millis(alone.Took, 0.99), millis(beside.Took, 0.99)
				c.calm, c.flooded = append(c.calm, calm), append(c.flooded, flooding)
				c.served, c.refused = append(c.served, ok/n.took.Seconds()), append(c.refused, limited/n.took.Seconds())
				progress("round %d  %-56s p99 %.2f ms, during the flood %.2f ms", round+1, c.name, calm, flooding)
			}
		}
		fmt.Printf("\n## One organization's flood\n\n%s\n\n| subject | flood, answered with 200 | with 429 | core in use | p99 of the other, without the flood | with it | ratio |\n|---|---|---|---|---|---|---|\n",
			b.form(fmt.Sprintf("one organization by wrk with %d connections at its full speed, another with %d requests a second over 16 connections at a constant rate", b.connections, modest)))
		for _, c := range contests {
			fmt.Printf("| %s | %.0f/s | %.0f/s | %.0f %% | %s ms | %s ms | %s |\n", c.name, c.served.median(), c.refused.median(), c.cpu.median(), c.calm.show("%.2f"), c.flooded.show("%.2f"), c.flooded.over(c.calm).show("%.1f"))
		}
		return nil
	})
}
