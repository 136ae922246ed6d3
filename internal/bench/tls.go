package main

import (
	"context"
	"fmt"
)

// overTLS measures a request over TLS, by HTTP/1.1 and by HTTP/2. All are loaded by h2load, so
// that like is compared with like.
func overTLS(ctx context.Context, b *bench) error {
	return b.inYard(func(y *yard) error {
		c, err := y.certificate()
		if err != nil {
			return err
		}
		upstream, err := y.upstream(ctx, batch()...)
		if err != nil {
			return err
		}
		ngx, err := y.nginxTLS(ctx, upstream, c)
		if err != nil {
			return err
		}
		bare, err := y.reverseProxy(ctx, upstream, c)
		if err != nil {
			return err
		}
		g, err := y.gate(ctx, setup{binary: b.orgate, organizations: b.organizations, certificate: c, signedIn: map[string]int{"acme": 1}, issuer: "http://127.0.0.1:1"}, upstream)
		if err != nil {
			return err
		}
		cookie, err := g.cookie("acme")
		if err != nil {
			return err
		}
		for _, protocol := range []struct {
			name string
			load load
			how  string
		}{
			{"HTTP/1.1", http1(64), "h2load with 64 connections"},
			{"HTTP/2", http2(8, 8), "h2load with 8 connections of 8 streams each"},
		} {
			subjects := []*subject{
				{endpoint: ngx, name: "nginx `proxy_pass`", path: "/1k"},
				{endpoint: bare, name: "`httputil.ReverseProxy`, tuned, nothing else", path: "/1k"},
				{endpoint: g.endpoint, name: "orgate, public route", path: "/public/1k", host: g.host("acme")},
				{endpoint: g.endpoint, name: "orgate, signed in", path: "/1k", host: g.host("acme"), cookie: cookie},
			}
			for _, s := range subjects {
				s.scheme, s.load, s.name = "https", protocol.load, s.name+", "+protocol.name
			}
			if err := interleave(ctx, subjects, b.rounds, b.seconds); err != nil {
				return err
			}
			table("A request over TLS by "+protocol.name, b.form(fmt.Sprintf("answers of 1 KiB, %s; HTTP/1.1 to the upstream", protocol.how)), subjects, reference{"nginx", subjects[0]}, reference{"ReverseProxy", subjects[1]})
			if err := b.profile(ctx, subjects); err != nil {
				return err
			}
		}
		return nil
	})
}
