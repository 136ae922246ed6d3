package main

import (
	"context"
	"errors"
	"fmt"
)

// What is held for the figure to reach.
const (
	restingConnections = 10_000
	liveSessions       = 100_000
)

// sessions measures what 100,000 live sessions take of memory, with and without 10,000 connections
// that rest, and what it costs that each request comes by another of them.
func sessions(ctx context.Context, b *bench) error {
	return b.inYard(func(y *yard) error {
		upstream, err := y.upstream(ctx, batch()...)
		if err != nil {
			return err
		}
		progress("signing %d people in", liveSessions)
		many, err := y.gate(ctx, setup{binary: b.orgate, organizations: b.organizations, issuer: "http://127.0.0.1:1", signedIn: map[string]int{"acme": liveSessions}}, upstream)
		if err != nil {
			return err
		}
		// The store is put in order first, as it would have been bit by bit, and by another process.
		if _, err := many.process.settled(ctx); err != nil {
			return err
		}
		many.process.stop()
		if err := y.startGate(ctx, many); err != nil {
			return err
		}
		few, err := y.gate(ctx, setup{binary: b.orgate, organizations: b.organizations, issuer: "http://127.0.0.1:1", signedIn: map[string]int{"acme": 1}}, upstream)
		if err != nil {
			return err
		}
		ngx, err := y.nginxProxy(ctx, "nginx", upstream, "")
		if err != nil {
			return err
		}
		// For nginx it is a header that nobody reads.
		subjects := []*subject{{endpoint: ngx, name: "nginx `proxy_pass`", host: "acme.localhost", load: visitors(b.connections, many.cookies["acme"])}}
		for _, g := range []*gate{few, many} {
			subjects = append(subjects, &subject{endpoint: g.endpoint, name: fmt.Sprintf("orgate with %d live sessions", g.signedIn["acme"]), host: g.host("acme"), load: visitors(b.connections, g.cookies["acme"])})
			if subjects[len(subjects)-1].cookie, err = g.cookie("acme"); err != nil {
				return err
			}
		}
		for _, s := range subjects {
			s.path = "/1k"
		}
		if err := y.visitOnce(ctx, many); err != nil {
			return err
		}
		if _, err := many.process.settled(ctx); err != nil {
			return err
		}
		if err := interleave(ctx, subjects, b.rounds, b.seconds); err != nil {
			return err
		}
		table("Sessions", b.form(fmt.Sprintf("answers of 1 KiB, wrk with %d connections, each request by one of the sessions at random", b.connections)), subjects, reference{"nginx", subjects[0]}, reference{"that with 1", subjects[1]})
		many.process.stop()
		if err := y.startGate(ctx, many); err != nil {
			return err
		}
		return y.memory(ctx, b, many)
	})
}

// visitOnce has everybody of acme send one request, so that their sessions are kept ready.
func (y *yard) visitOnce(ctx context.Context, g *gate) error {
	_, err := y.visit(ctx, "once", "-connections", "16", "-address", g.address, "-host", g.host("acme"), "-path", "/1k", "-cookies", g.cookies["acme"])
	return errors.Join(g.process.alive(), err)
}

// memory measures what sessions that are kept ready and connections that rest take: of the same
// process before and after, and when it has had nothing to do for a while.
func (y *yard) memory(ctx context.Context, b *bench, g *gate) error {
	fmt.Print("\n## Memory\n\nPSS of one process when it has come to rest, and again when that has lasted, and nothing more has been given back for a minute. What is anonymous is orgate's own; the rest are pages of the program and of the store's files.\n\n" +
		"| what it holds | at rest | a while later | of that anonymous |\n|---|---|---|---|\n")
	rests := func(what string) (loaded, later int64, err error) {
		if loaded, err = g.process.settled(ctx); err != nil {
			return 0, 0, err
		}
		if later, err = g.process.rested(ctx); err != nil {
			return 0, 0, err
		}
		fmt.Printf("| %s | %s | %s | %s |\n", what, mib(loaded), mib(later), mib(g.process.anonymous()))
		progress("%s: %s, a while later %s", what, mib(loaded), mib(later))
		return loaded, later, nil
	}
	if _, _, err := rests("nothing yet, after its start"); err != nil {
		return err
	}
	if err := y.visitOnce(ctx, g); err != nil {
		return err
	}
	progress("all sessions are kept ready")
	if _, _, err := rests(fmt.Sprintf("%d sessions", liveSessions)); err != nil {
		return err
	}
	resting, err := y.hold(ctx, "idle", "-address", g.address, "-host", g.host("acme"), "-path", "/1k", "-cookies", g.cookies["acme"], "-connections", fmt.Sprint(restingConnections))
	if err != nil {
		return errors.Join(g.process.alive(), err)
	}
	_, later, err := rests(fmt.Sprintf("the same and %d connections that rest, each after a signed-in request", restingConnections))
	b.figures[memoryHeld] = fmt.Sprintf("%s, %s of them anonymous", megabytes(later), megabytes(g.process.anonymous()))
	if err == nil {
		_, err = resting.measure() // they are all there still
	}
	return errors.Join(err, resting.end())
}

func mib(n int64) string { return fmt.Sprintf("%d MiB", (n+1<<19)>>20) }

func megabytes(n int64) string { return fmt.Sprintf("%.0f MB", float64(n)/1e6) }
