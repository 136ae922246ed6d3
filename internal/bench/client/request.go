package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// A conn is a connection of HTTP/1.1.
type conn struct {
	net.Conn
	in     *bufio.Reader
	cookie string
}

func (v *visit) over(nc net.Conn, i int) (*conn, error) {
	if v.secure {
		host, _, err := net.SplitHostPort(v.host)
		if err != nil {
			return nil, err
		}
		secure := tls.Client(nc, &tls.Config{InsecureSkipVerify: true, ServerName: host}) // a certificate of the harness
		if err := secure.HandshakeContext(context.Background()); err != nil {
			return nil, errors.Join(err, nc.Close())
		}
		nc = secure
	}
	return &conn{Conn: nc, in: bufio.NewReaderSize(nc, 4<<10), cookie: v.cookie(i)}, nil
}

// send sends the head of a request.
func (c *conn) send(v *visit, method, more string) error {
	_, err := fmt.Fprintf(c, "%s %s HTTP/1.1\r\nHost: %s\r\n%s%s\r\n", method, v.path, v.host, c.cookie, more)
	return err
}

// head reads the head of an answer.
func (c *conn) head(want int) (*http.Response, error) {
	if err := c.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return nil, err
	}
	r, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return nil, err
	}
	if r.StatusCode != want {
		return nil, fmt.Errorf("answered with %s, location %q", r.Status, r.Header.Get("Location"))
	}
	return r, c.SetReadDeadline(time.Time{})
}

// get sends a request and reads the answer.
func (c *conn) get(v *visit) error {
	if err := c.send(v, "GET", ""); err != nil {
		return err
	}
	r, err := c.head(http.StatusOK)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, r.Body)
	return err
}

// once sends one request with each of the cookies.
func once(v *visit) error {
	conns := make(chan *conn, v.connections)
	for i := range v.connections {
		c, err := v.dial(i)
		if err != nil {
			return err
		}
		conns <- c
	}
	return each(len(v.cookies), v.connections, func(i int) error {
		c := <-conns
		defer func() { conns <- c }()
		c.cookie = v.cookie(i)
		return c.get(v)
	})
}

// idle opens connections, sends a request on each, and keeps them. When it is told to measure it
// sends one more on each: those that are closed by then are an error.
func idle(v *visit) error {
	conns := make([]*conn, v.connections)
	err := each(len(conns), 64, func(i int) (err error) {
		if conns[i], err = v.dial(i); err != nil {
			return err
		}
		return conns[i].get(v)
	})
	if err != nil {
		return err
	}
	return stay(len(conns), func() (result, error) {
		began := time.Now()
		err := each(len(conns), 64, func(i int) error { return conns[i].get(v) })
		return result{Messages: len(conns), Seconds: time.Since(began).Seconds()}, err
	})
}
