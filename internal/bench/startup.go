package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/orgate/orgate/sso/ssotest"
)

// startups measures how long orgate takes to be ready and how much memory it has then:
// the first start, which writes the organizations to the store, and the second.
func startups(ctx context.Context, o options, organizations ...int) error {
	fmt.Println("\n| organizations | first start, RSS | next start, RSS |\n|---|---|---|")
	for _, n := range organizations {
		dir, err := os.MkdirTemp("", "orgate-bench-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		yard := &yard{dir: dir}
		defer yard.close()
		o.organizations = n
		var took [2]time.Duration
		var rss [2]int64
		for i := range took {
			g, err := yard.gate(ctx, o, variant{binary: o.orgate}, dir, "127.0.0.1:1", "http://127.0.0.1:1")
			if err != nil {
				return err
			}
			took[i], rss[i] = g.took, g.process.rss()
			g.process.stop()
		}
		fmt.Printf("| %d | %.2f s, %d MiB | %.2f s, %d MiB |\n", n, took[0].Seconds(), rss[0]>>20, took[1].Seconds(), rss[1]>>20)
	}
	return nil
}

// A running is orgate, ready.
type running struct {
	process      *process
	scheme, port string
	management   string
	took         time.Duration // from its start until it was ready
}

// gate starts orgate on the first core, with its files in dir, and waits until it is ready.
func (y *yard) gate(ctx context.Context, o options, v variant, dir, upstream, issuer string) (*running, error) {
	address, err := o.listen, error(nil)
	if address == "" {
		if address, err = free(ctx); err != nil {
			return nil, err
		}
	}
	g := &running{scheme: "http"}
	if g.management, err = free(ctx); err != nil {
		return nil, err
	}
	_, g.port, _ = net.SplitHostPort(address)
	level, extra := "warn", ""
	if v.log {
		level = "info"
	}
	if v.tls {
		cert, key, err := certificate(dir)
		if err != nil {
			return nil, err
		}
		g.scheme, extra = "https", fmt.Sprintf("tls: { cert_file: %q, key_file: %q }", cert, key)
	}
	if o.grants > 0 {
		extra += fmt.Sprintf("\nlimits: { grants: %d }", o.grants)
	}
	if issuer == "" {
		if issuer, err = y.provider(ctx, g.scheme+"://login.localhost:"+g.port); err != nil {
			return nil, err
		}
	}
	file := filepath.Join(dir, "orgate.yaml")
	if err := os.WriteFile(file, []byte(configuration(o, g, level, extra, upstream, issuer, dir)), 0o600); err != nil {
		return nil, err
	}
	began := time.Now()
	if g.process, err = y.start(ctx, 0, g.management, v.binary, "serve", "--config", file); err != nil {
		return nil, err
	}
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+g.management+"/readyz", nil)
		if err != nil {
			return nil, err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return nil, err
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			g.took = time.Since(began)
			return g, nil
		}
	}
}

// signIns measures whole sign-ins through a provider in this process: eight people at once,
// each with a fresh browser, for the time given.
func signIns(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp("", "orgate-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	yard := &yard{dir: dir}
	defer yard.close()
	g, err := yard.gate(ctx, o, variant{binary: o.orgate}, dir, "127.0.0.1:1", "")
	if err != nil {
		return err
	}
	before, until := g.process.cpu(), time.Now().Add(time.Duration(o.seconds)*time.Second)
	var done atomic.Int64
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := 0; time.Now().Before(until) && failed.Load() == nil; n++ {
				// Each from an address of its own: one address is not let sign in so often.
				from := net.IPv4(127, byte(1+i), byte(n>>8), byte(n))
				if err := signInOnly(ctx, "http://acme.localhost:"+g.port+"/.orgate/me", from); err != nil {
					failed.Store(&err)
				}
				done.Add(1)
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	n := float64(done.Load())
	fmt.Printf("\nSign-ins through a local provider, 8 at a time: %.0f a second, %.1f ms of CPU each\n", n/float64(o.seconds), (g.process.cpu()-before).Seconds()/n*1000)
	return nil
}

// signInOnly signs in and asks who is there, without an app.
func signInOnly(ctx context.Context, me string, from net.IP) error {
	u, err := url.Parse(me)
	if err != nil {
		return err
	}
	b := ssotest.NewBrowser()
	b.From(from)
	page, err := b.Get(ctx, u.Scheme+"://"+u.Host+"/.orgate/sign-in?return_to=/.orgate/me")
	if err != nil {
		return err
	}
	page, err = b.Drive(ctx, page, nil, func(p *ssotest.Page) bool { return p.URL.Host == u.Host && p.Status == http.StatusOK })
	if err != nil {
		return err
	}
	if !strings.Contains(page.Body, "jo@acme.test") {
		return fmt.Errorf("sign-in ended at %s with %d: %s", page.URL, page.Status, page.Title)
	}
	return nil
}
