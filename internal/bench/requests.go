package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// requests measures a request over HTTP/1.1: nginx, HAProxy, a bare ReverseProxy, and orgate in
// the ways in which it can be run.
func requests(ctx context.Context, b *bench) error {
	return b.inYard(func(y *yard) error {
		upstream, err := y.upstream(ctx, batch()...)
		if err != nil {
			return err
		}
		subjects, err := y.rivals(ctx, b, upstream, "/1k")
		if err != nil {
			return err
		}
		nginx, bare := subjects[0], subjects[1]
		var way []*subject
		for _, s := range []setup{{name: "orgate"}, {name: "orgate, access log", log: true}, {name: "orgate by net/http", slow: true}} {
			s.binary, s.organizations = b.orgate, b.organizations
			routes := []route{{"signed in", "", true}}
			if !s.log {
				routes = []route{{"public route", "/public", false}, routes[0]}
			}
			if !s.log && !s.slow {
				routes = append(routes, route{"signed in, role and CEL rule", "/rule", true})
			}
			if way, err = y.routes(ctx, b, s, upstream, "/1k", routes); err != nil {
				return err
			}
			subjects = append(subjects, way...)
		}
		if b.before != "" {
			for _, s := range []setup{{name: "orgate before"}, {name: "orgate before, by net/http", slow: true}} {
				s.binary, s.organizations = b.before, b.organizations
				if way, err = y.routes(ctx, b, s, upstream, "/1k", []route{{"public route", "/public", false}, {"signed in", "", true}}); err != nil {
					return err
				}
				subjects = append(subjects, way...)
			}
		}
		if err := interleave(ctx, subjects, b.rounds, b.seconds); err != nil {
			return err
		}
		table("A request", b.form(fmt.Sprintf("answers of 1 KiB, wrk with %d connections, %d organizations", b.connections, b.organizations)), subjects, reference{"nginx", nginx}, reference{"ReverseProxy", bare})
		for _, s := range subjects {
			switch s.name {
			case "orgate, signed in":
				b.figures[cpuToNginx] = s.series(cpu).over(nginx.series(cpu)).show("%.2f")
				fmt.Printf("\nA signed-in request takes %.1f allocations of %.0f bytes in all, by the process's own metrics.\n", s.series(objects).median(), s.series(bytesEach).median())
				b.figures[throughput] = s.series(perSecond).over(bare.series(perSecond)).times(5.5).show("%.1f")
			case "orgate by net/http, signed in":
				b.figures[cpuToReverseProxy] = s.series(cpu).over(bare.series(cpu)).show("%.2f")
			}
		}
		return b.profile(ctx, subjects)
	})
}

// answers is the same for answers that are longer, and for fewer.
func answers(ctx context.Context, b *bench) error {
	return b.inYard(func(y *yard) error {
		upstream, err := y.upstream(ctx, batch()...)
		if err != nil {
			return err
		}
		subjects, err := y.rivals(ctx, b, upstream, "/64k")
		if err != nil {
			return err
		}
		signedIn := []route{{"signed in", "", true}}
		for _, s := range []setup{{name: "orgate", binary: b.orgate}, {name: "orgate by net/http", binary: b.orgate, slow: true}, {name: "orgate before", binary: b.before}} {
			if s.organizations = b.organizations; s.binary == "" {
				continue
			}
			way, err := y.routes(ctx, b, s, upstream, "/64k", signedIn)
			if err != nil {
				return err
			}
			subjects = append(subjects, way...)
		}
		if err := interleave(ctx, subjects, b.rounds, b.seconds); err != nil {
			return err
		}
		table("Answers of 64 KiB", b.form(fmt.Sprintf("wrk with %d connections", b.connections)), subjects, reference{"nginx", subjects[0]}, reference{"ReverseProxy", subjects[1]})
		return b.profile(ctx, subjects)
	})
}

// rivals are nginx, a bare ReverseProxy, and HAProxy if it is here and wanted.
func (y *yard) rivals(ctx context.Context, b *bench, upstream, path string) ([]*subject, error) {
	ngx, err := y.nginxProxy(ctx, "nginx", upstream, "")
	if err != nil {
		return nil, err
	}
	bare, err := y.reverseProxy(ctx, upstream, certificate{})
	if err != nil {
		return nil, err
	}
	subjects := []*subject{{endpoint: ngx, name: "nginx `proxy_pass`"}, {endpoint: bare, name: "`httputil.ReverseProxy`, tuned, nothing else"}}
	wanted, err := regexp.Compile(b.subjects)
	if err != nil {
		return nil, err
	}
	if _, err := exec.LookPath("haproxy"); err != nil {
		progress("HAProxy is not here, and is left out")
	} else if wanted.MatchString("HAProxy") {
		ha, err := y.haproxy(ctx, upstream)
		if err != nil {
			return nil, err
		}
		subjects = append(subjects, &subject{endpoint: ha, name: "HAProxy"})
	}
	for _, s := range subjects {
		s.path, s.load = path, wrk(b.connections)
	}
	return subjects, nil
}

// A route of the app that requests take.
type route struct {
	name, prefix string
	signedIn     bool
}

// routes starts orgate if one of the routes is wanted, signs somebody in, and returns those.
func (y *yard) routes(ctx context.Context, b *bench, s setup, upstream, path string, routes []route) ([]*subject, error) {
	wanted, err := regexp.Compile(b.subjects)
	if err != nil {
		return nil, err
	}
	var g *gate
	var cookie string
	var subjects []*subject
	for _, r := range routes {
		name := s.name + ", " + r.name
		if !wanted.MatchString(name) {
			continue
		}
		if g == nil {
			if g, err = y.gate(ctx, s, upstream); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			if cookie, err = g.signIn(ctx); err != nil {
				return nil, fmt.Errorf("%s: %w", name, errors.Join(err, g.process.alive()))
			}
		}
		one := &subject{endpoint: g.endpoint, name: name, path: r.prefix + path, host: g.host("acme"), load: wrk(b.connections)}
		if r.signedIn {
			one.cookie = cookie
		}
		subjects = append(subjects, one)
	}
	return subjects, nil
}

// profile takes a profile of each orgate while it is under load, if that was asked for.
func (b *bench) profile(ctx context.Context, subjects []*subject) error {
	if b.profiles == "" {
		return nil
	}
	if err := os.MkdirAll(b.profiles, 0o755); err != nil {
		return err
	}
	for _, s := range subjects {
		if s.management == "" {
			continue
		}
		loaded := make(chan error, 1)
		go func() { _, err := s.measure(ctx, b.seconds+1); loaded <- err }()
		profile, err := fetch(ctx, fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", s.management, b.seconds))
		if err = errors.Join(err, <-loaded); err != nil {
			return err
		}
		name := strings.NewReplacer(" ", "-", ",", "", "/", "-").Replace(s.name + s.path)
		if err := os.WriteFile(filepath.Join(b.profiles, name+".pprof"), profile, 0o600); err != nil {
			return err
		}
	}
	return nil
}
