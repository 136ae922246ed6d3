package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/cookie"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/store/badger"
	"github.com/orgate/orgate/tenancy"
)

// memory measures what orgate takes for sessions that are kept ready and for connections that rest.
func memory(ctx context.Context, o options) (err error) {
	const sessions, connections = 100_000, 10_000
	dir, err := os.MkdirTemp("", "orgate-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	yard := &yard{dir: dir}
	defer yard.close()
	upstream, err := yard.upstream(ctx)
	if err != nil {
		return err
	}
	if o.listen, err = free(ctx); err != nil { // a session is for one host and port
		return err
	}
	o.grants = 2 * sessions
	start := func() (*running, error) {
		return yard.gate(ctx, o, variant{binary: o.orgate}, dir, upstream, "http://127.0.0.1:1")
	}
	g, err := start()
	if err != nil {
		return err
	}
	fmt.Println("\n| what is there | anonymous memory | PSS |\n|---|---|---|")
	// Without the files of the store that are mapped: the kernel takes those pages back whenever it likes.
	say := func(what string) {
		own, all := g.process.memory("smaps_rollup", "Pss_Anon:"), g.process.pss()
		fmt.Printf("| %s | %d MiB | %d MiB |\n", what, own>>20, all>>20)
	}
	say("orgate, just started")
	g.process.stop()
	host := "acme.localhost:" + g.port
	cookies, err := crowd(ctx, filepath.Join(dir, "data"), host, sessions)
	if err != nil {
		return err
	}
	// What was written is taken note of first, as on any day it is bit by bit.
	if g, err = start(); err != nil {
		return err
	}
	if err := pause(ctx, time.Minute); err != nil {
		return err
	}
	g.process.stop()
	if g, err = start(); err != nil {
		return err
	}
	say("the same with the sessions in its store")
	c, err := dial(ctx, g.port)
	if err != nil {
		return err
	}
	defer c.Close()
	for i, cookie := range cookies {
		if err := c.get(host, "/1k", cookie); err != nil {
			return fmt.Errorf("request %d: %w", i, err)
		}
	}
	say(fmt.Sprintf("%d sessions, each used just now", sessions))
	for range connections {
		c, err := dial(ctx, g.port)
		if err != nil {
			return err
		}
		defer c.Close()
		if err := c.get(host, "/1k", cookies[0]); err != nil {
			return err
		}
	}
	say(fmt.Sprintf("and %d connections at rest", connections))
	if err := pause(ctx, time.Minute); err != nil {
		return err
	}
	say("a minute later")
	if err := pause(ctx, 5*time.Minute); err != nil {
		return err
	}
	say("five minutes after that: the sessions rest, the connections were closed")
	return nil
}

// pause waits for d.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// A client is one connection to orgate.
type client struct {
	net.Conn
	r *bufio.Reader
}

func dial(ctx context.Context, port string) (*client, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		return nil, err
	}
	return &client{c, bufio.NewReaderSize(c, 16)}, nil
}

// get asks for a path that is answered with 200.
func (c *client) get(host, path, cookie string) error {
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\nCookie: %s\r\n\r\n", path, host, cookie); err != nil {
		return err
	}
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	_ = resp.Body.Close() // it was read to its end
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s", host, path, resp.Status)
	}
	return nil
}

// crowd writes people of acme into the store, each with a session at the host, and returns their cookies.
func crowd(ctx context.Context, dir, host string, n int) (cookies []string, err error) {
	e, err := badger.Open(badger.Options{Dir: dir})
	if err != nil {
		return nil, err
	}
	s := store.New(e, store.Options{})
	defer func() { err = errors.Join(err, s.Close()) }()
	limits := session.Limits{Idle: 12 * time.Hour, Absolute: 168 * time.Hour}
	var org tenancy.Organization
	var conn tenancy.Connection
	err = s.View(ctx, func(tx store.Tx) (err error) {
		if org, err = tx.OrganizationBySlug("acme"); err != nil {
			return err
		}
		for c, err := range tx.Connections(org.ID) {
			if err != nil {
				return err
			}
			conn = c
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	const atOnce = 50
	for from := 0; from < n; from += atOnce {
		var some []string
		err := s.Update(ctx, func(tx store.Tx) error {
			some = some[:0]
			for i := from; i < min(from+atOnce, n); i++ {
				token, err := member(tx, org.ID, conn.ID, i, host, limits)
				if err != nil {
					return err
				}
				some = append(some, cookie.Jar{}.Name(cookie.Session)+"="+token.Reveal())
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		cookies = append(cookies, some...)
	}
	return cookies, nil
}

// member makes a member with a session at the host.
func member(tx store.Tx, org tenancy.OrgID, conn tenancy.ConnectionID, i int, host string, limits session.Limits) (token session.Token, err error) {
	now := time.Now()
	u := tenancy.User{ID: tenancy.UserID(fmt.Sprintf("user_%026d", i)), Email: fmt.Sprintf("first.last-%d@acme.test", i), EmailVerified: true, Name: "First Last", CreatedAt: now, UpdatedAt: now}
	if err := tx.PutUser(u); err != nil {
		return token, err
	}
	if _, err := tenancy.CreateMembership(tx, tenancy.Rules{DefaultRole: "member"}, org, u.ID, tenancy.Grant{Source: tenancy.RoleManual}, audit.System, now); err != nil {
		return token, err
	}
	proof := policy.Proof{Method: policy.SSO, Connection: string(conn), Organization: string(org), At: now}
	parent, _, err := session.Begin(tx, u.ID, proof, nil, "", session.Browser{}, limits, now)
	if err != nil {
		return token, err
	}
	attempt := session.NewToken().Hash()
	code, err := session.IssueHandover(tx, session.Handover{Attempt: attempt, Host: host, Organization: org, Parent: parent.ID, ReturnTo: "/"}, now)
	if err != nil {
		return token, err
	}
	r, err := session.Redeem(tx, code.Hash(), attempt, host, org, session.Browser{}, limits, now)
	if err == nil {
		err = r.Refused
	}
	return r.Token, err
}
