package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
)

// bodyLength is how long a body is.
const bodyLength = 1 << 30

// bodies measures a long body each way.
func bodies(ctx context.Context, b *bench) error {
	return b.inYard(func(y *yard) error {
		upstream, err := y.app(ctx)
		if err != nil {
			return err
		}
		type carrier struct {
			*subject
			cookies           string
			speed, cost, peak []series // of each way
		}
		var carriers []*carrier
		add := func(name string, e endpoint, err error) error {
			carriers = append(carriers, &carrier{subject: &subject{endpoint: e, name: name}, speed: make([]series, 2), cost: make([]series, 2), peak: make([]series, 2)})
			return err
		}
		const long = `client_max_body_size 0; proxy_request_buffering off;`
		e, err := y.nginxProxy(ctx, "nginx", upstream, long)
		if err := add("nginx, proxy_request_buffering off", e, err); err != nil {
			return err
		}
		e, err = y.nginxProxy(ctx, "nginx-unbuffered", upstream, long+` proxy_buffering off;`)
		if err := add("nginx, proxy_buffering off too", e, err); err != nil {
			return err
		}
		e, err = y.reverseProxy(ctx, upstream, certificate{})
		if err := add("`httputil.ReverseProxy`, tuned, nothing else", e, err); err != nil {
			return err
		}
		for _, s := range []setup{{name: "orgate, signed in"}, {name: "orgate by net/http, signed in", slow: true}} {
			s.binary, s.organizations = b.orgate, b.organizations
			g, err := y.gate(ctx, s, upstream)
			if err != nil {
				return err
			}
			cookie, err := g.signIn(ctx)
			if err := add(s.name, g.endpoint, err); err != nil {
				return err
			}
			c := carriers[len(carriers)-1]
			c.host = g.host("acme")
			if c.cookies, err = y.cookieFile(cookie); err != nil {
				return err
			}
		}
		ways := []struct{ command, path string }{{"upload", "/body"}, {"download", "/body?bytes=" + strconv.Itoa(bodyLength)}}
		for round := range b.rounds {
			for _, c := range carriers {
				for i, way := range ways {
					if err := c.process.forgetPeak(); err != nil {
						return err
					}
					before := c.process.cpu()
					v, err := y.visit(ctx, way.command, "-address", c.address, "-host", c.host, "-path", way.path, "-cookies", c.cookies, "-bytes", strconv.Itoa(bodyLength))
					if err := errors.Join(c.process.alive(), err); err != nil {
						return fmt.Errorf("%s, %s: %w", c.name, way.command, err)
					}
					c.speed[i] = append(c.speed[i], bodyLength/1e6/v.Seconds)
					c.cost[i] = append(c.cost[i], (c.process.cpu() - before).Seconds())
					c.peak[i] = append(c.peak[i], float64(c.process.peak()>>20))
				}
			}
			progress("round %d of bodies", round+1)
		}
		fmt.Printf("\n## A body of 1 GiB\n\n%d rounds; medians, ratios round by round (min–max).\n\n| subject | upload | CPU s | ÷ nginx | peak RSS | download | CPU s | ÷ nginx | peak RSS |\n|---|---|---|---|---|---|---|---|---|\n", b.rounds)
		for _, c := range carriers {
			fmt.Printf("| %s |", c.name)
			for i := range ways {
				fmt.Printf(" %.0f MB/s | %.2f | %s | %.0f MiB |", c.speed[i].median(), c.cost[i].median(), c.cost[i].over(carriers[0].cost[i]).show("%.2f"), c.peak[i].median())
			}
			fmt.Println()
		}
		return nil
	})
}
