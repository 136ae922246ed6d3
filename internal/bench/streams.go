package main

import (
	"context"
	"errors"
	"fmt"
)

// What streams are measured with.
const (
	heldStreams = 5_000
	moving      = 200 // connections over which messages go
	// Events come every so often on each of these, and so many a second on all of them.
	everyEvent = "20ms"
	atAPace    = moving * 50
)

// app starts the upstream of streams and bodies, on the core of the load.
func (y *yard) app(ctx context.Context) (string, error) {
	address, err := free(ctx)
	if err != nil {
		return "", err
	}
	binary, err := y.programs.path(ctx, "app")
	if err != nil {
		return "", err
	}
	_, err = y.start(ctx, loadCore, address, binary, "-listen", address)
	return address, err
}

// A stream is a kind of connection that stays open.
type stream struct {
	name, command string
	// Paths: nothing comes; as much as is taken; and at a pace, if it is not empty.
	resting, full, paced string
}

func streamKinds() []stream {
	return []stream{
		{"server-sent events", "events", "/events?every=1h", "/events?every=0s", "/events?every=" + everyEvent},
		{"WebSocket", "socket", "/socket", "/socket", ""},
	}
}

// A server is a subject that is started when it is needed.
type server struct {
	name  string
	start func(*yard) (*subject, error)
}

// A streamer is a subject of streams of one kind.
type streamer struct {
	server
	kind   stream
	number int       // of the server
	beside *streamer // what it is compared with; nil: it is that itself

	held            float64 // per GiB
	full, fullCost  series  // messages a second, and CPU seconds per 1000 of them
	pace, paceCost  series
	fullP99, paceMS series // milliseconds
}

// streams measures connections that stay open: how many a GiB of memory holds, and what messages
// over them cost.
func streams(ctx context.Context, b *bench) error {
	return b.inYard(func(y *yard) error {
		upstream, err := y.app(ctx)
		if err != nil {
			return err
		}
		servers := []server{
			{"nginx `proxy_pass`", func(y *yard) (*subject, error) {
				// The upgrade is asked for where the client asks for it.
				e, err := y.nginxProxy(ctx, "nginx", upstream, `proxy_buffering off; proxy_read_timeout 1h; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $http_connection;`)
				return &subject{endpoint: e}, err
			}},
			{"orgate, signed in", func(y *yard) (*subject, error) {
				g, err := y.gate(ctx, setup{binary: b.orgate, organizations: b.organizations}, upstream)
				if err != nil {
					return nil, err
				}
				cookie, err := g.signIn(ctx)
				return &subject{endpoint: g.endpoint, host: g.host("acme"), cookie: cookie}, err
			}},
		}
		var all []*streamer
		for _, k := range streamKinds() {
			first := &streamer{server: servers[0], kind: k}
			all = append(all, first)
			for i, s := range servers[1:] {
				all = append(all, &streamer{server: s, kind: k, number: i + 1, beside: first})
			}
		}
		for _, s := range all {
			if err := s.hold(ctx, b); err != nil {
				return fmt.Errorf("%s, %s: %w", s.kind.name, s.name, err)
			}
			progress("%s, %s: %.0f held per GiB", s.kind.name, s.name, s.held)
		}
		if err := messages(ctx, b, servers, all); err != nil {
			return err
		}
		fmt.Printf("\n## Streams\n\nHeld: %d connections, once, in a process that is new. %s\n\n| subject | held per GiB | messages a second | p99 | CPU s per 1000 | ÷ nginx |\n|---|---|---|---|---|---|\n", heldStreams,
			b.form(fmt.Sprintf("messages of some 100 bytes over %d connections; events at a pace one each %s on each; WebSockets by echo, one message under way on each, which counts once", moving, everyEvent)))
		for _, s := range all {
			p99 := fmt.Sprintf("%.2f ms", s.fullP99.median())
			if s.kind.paced != "" {
				p99 = "" // it is that of the buffers on the way
			}
			fmt.Printf("| %s, %s | %.0f | %.0f | %s | %.5f | %s |\n", s.kind.name, s.name, s.held, s.full.median(), p99, s.fullCost.median(), s.ratio(s.fullCost, func(s *streamer) series { return s.fullCost }))
			if s.kind.paced != "" {
				fmt.Printf("| %s at a pace, %s | | %.0f of %d | %.2f ms | %.5f | %s |\n", s.kind.name, s.name, s.pace.median(), atAPace, s.paceMS.median(), s.paceCost.median(), s.ratio(s.paceCost, func(s *streamer) series { return s.paceCost }))
			}
		}
		return nil
	})
}

func (s *streamer) ratio(cost series, of func(*streamer) series) string {
	if s.beside == nil {
		return "1.00"
	}
	return cost.over(of(s.beside)).show("%.2f")
}

// hold measures what connections take that rest, of a process of its own, as memory that was used
// once stays with it.
func (s *streamer) hold(ctx context.Context, b *bench) error {
	return b.inYard(func(y *yard) error {
		to, err := s.start(y)
		if err != nil {
			return err
		}
		before, err := to.process.settled(ctx)
		if err != nil {
			return err
		}
		c, err := s.connect(ctx, y, to, heldStreams, s.kind.resting, 1)
		if err != nil {
			return err
		}
		after, err := to.process.settled(ctx)
		s.held = heldStreams * (1 << 30) / float64(after-before)
		return errors.Join(err, c.end())
	})
}

func (s *streamer) connect(ctx context.Context, y *yard, to *subject, n int, path string, seconds int) (*crowd, error) {
	cookies, err := y.cookieFile(to.cookie)
	if err != nil {
		return nil, err
	}
	c, err := y.hold(ctx, s.kind.command, "-address", to.address, "-host", to.host, "-path", path, "-cookies", cookies, "-connections", fmt.Sprint(n), "-seconds", fmt.Sprint(seconds))
	if err != nil {
		return nil, errors.Join(to.process.alive(), err)
	}
	return c, nil
}

// messages measures messages over them, in turns.
func messages(ctx context.Context, b *bench, servers []server, all []*streamer) error {
	return b.inYard(func(y *yard) error {
		var subjects []*subject
		for _, s := range servers {
			to, err := s.start(y)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			subjects = append(subjects, to)
		}
		for round := range b.rounds {
			for _, s := range all {
				to := subjects[s.number]
				measure := func(path string) (v visited, cost float64, err error) {
					c, err := s.connect(ctx, y, to, moving, path, b.seconds)
					if err != nil {
						return v, 0, err
					}
					before := to.process.cpu()
					if v, err = c.measure(); err != nil {
						return v, 0, errors.Join(to.process.alive(), err)
					}
					cost = (to.process.cpu() - before).Seconds() / float64(v.Messages) * 1000
					return v, cost, c.end()
				}
				v, cost, err := measure(s.kind.full)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", s.kind.name, s.name, err)
				}
				s.full, s.fullCost, s.fullP99 = append(s.full, float64(v.Messages)/v.Seconds), append(s.fullCost, cost), append(s.fullP99, v.P99)
				progress("round %d  %s, %s: %.0f messages/s, %.4f CPU s per 1000", round+1, s.kind.name, s.name, float64(v.Messages)/v.Seconds, cost)
				if s.kind.paced == "" {
					continue
				}
				if v, cost, err = measure(s.kind.paced); err != nil {
					return fmt.Errorf("%s, %s: %w", s.kind.name, s.name, err)
				}
				s.pace, s.paceCost, s.paceMS = append(s.pace, float64(v.Messages)/v.Seconds), append(s.paceCost, cost), append(s.paceMS, v.P99)
				progress("round %d  %s at a pace, %s: %.0f messages/s, %.4f CPU s per 1000, p99 %.2f ms", round+1, s.kind.name, s.name, float64(v.Messages)/v.Seconds, cost, v.P99)
			}
		}
		return nil
	})
}
