package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/orgate/orgate/sso/ssotest"
)

// provider is an identity provider that signs in whoever comes.
func (y *yard) provider(ctx context.Context, login string) (issuer string, err error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	issuer, verified := "http://"+l.Addr().String(), true
	p, err := ssotest.New(ssotest.Options{Issuer: issuer, Clients: []ssotest.Client{{ID: "orgate", Secret: "bench", RedirectURIs: []string{login + "/sso/oidc/callback"}}},
		People: []ssotest.Person{{Subject: "1", Email: "jo@acme.test", EmailVerified: &verified, Name: "Jo", Groups: []string{"Admins"}}}})
	if err != nil {
		return "", err
	}
	s := &http.Server{Handler: p, ReadHeaderTimeout: 5 * time.Second}
	y.providers = append(y.providers, s)
	go func() {
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			slog.ErrorContext(ctx, "provider", "cause", err) //nolint:sloglint // a program of its own, for a person at a terminal
		}
	}()
	return issuer, nil
}

// signIn has somebody sign in to acme in a browser, and returns the value of the Cookie header
// of that session.
func (g *gate) signIn(ctx context.Context) (string, error) {
	b := ssotest.NewBrowser()
	u := &url.URL{Scheme: g.scheme(), Host: g.host("acme"), Path: "/1k"}
	page, err := b.Get(ctx, u.String())
	if err != nil {
		return "", err
	}
	page, err = b.Drive(ctx, page, map[string]string{"email": "jo@acme.test"}, func(p *ssotest.Page) bool { return p.URL.Host == u.Host && p.Status == http.StatusOK })
	if err != nil {
		return "", err
	}
	if page.URL.Host != u.Host || page.Status != http.StatusOK {
		return "", fmt.Errorf("sign-in ended at %s with %d: %s", page.URL, page.Status, page.Title)
	}
	var cookies []string
	for _, c := range b.Jar.Cookies(u) {
		cookies = append(cookies, c.Name+"="+c.Value)
	}
	return strings.Join(cookies, "; "), nil
}

// signIns measures whole sign-ins through a provider in this process: eight people at once,
// each with a fresh browser.
func signIns(ctx context.Context, b *bench) error {
	return b.inYard(func(y *yard) error {
		g, err := y.gate(ctx, setup{binary: b.orgate, organizations: b.organizations}, "127.0.0.1:1")
		if err != nil {
			return err
		}
		before, until := g.process.cpu(), time.Now().Add(time.Duration(b.seconds)*time.Second)
		var done atomic.Int64
		var failed atomic.Pointer[error]
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				for n := 0; time.Now().Before(until) && failed.Load() == nil; n++ {
					// Each from an address of its own: one address is not let sign in so often.
					from := net.IPv4(127, byte(1+i), byte(n>>8), byte(n))
					if err := signInOnly(ctx, "http://"+g.host("acme")+"/.orgate/me", from); err != nil {
						failed.Store(&err)
					}
					done.Add(1)
				}
			})
		}
		wg.Wait()
		if err := failed.Load(); err != nil {
			return errors.Join(*err, g.process.alive())
		}
		n := float64(done.Load())
		fmt.Printf("\n## Sign-ins\n\nThrough a local provider, 8 at a time: %.0f a second, %.1f ms of CPU each.\n", n/float64(b.seconds), (g.process.cpu()-before).Seconds()/n*1000)
		return nil
	})
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
