// Command client is the many people of a benchmark, on one core: connections that rest, that
// receive events or that echo, and bodies that are sent and received.
//
//	client once      each cookie of a file in one request
//	client idle      so many connections, each with one request, which stay open
//	client events    so many streams of server-sent events
//	client socket    so many WebSockets
//	client upload    one body sent; client download: one received
//
// What stays open is said by a line {"held":N}. Then a line on standard input has it
// measured, once, for the time given, of which it prints what came of it, and the end of
// standard input ends it. Anything that is not answered as expected ends it with an error.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"strings"
	"sync"
	"time"
)

// A visit is what is to be done.
type visit struct {
	address, host, path string
	cookies             []string
	secure              bool
	connections         int
	seconds             int
	bytes               int64
}

// A result is what is said of it. What does not apply is left out.
type result struct {
	Held     int     `json:"held,omitzero"`
	Messages int     `json:"messages,omitzero"`
	Seconds  float64 `json:"seconds,omitzero"`
	// P50 and P99 are in milliseconds.
	P50 float64 `json:"p50,omitzero"`
	P99 float64 `json:"p99,omitzero"`
}

func main() {
	log.SetFlags(0)
	if len(os.Args) < 2 {
		log.Fatal("client: want a command")
	}
	v, file := visit{}, ""
	f := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	f.StringVar(&v.address, "address", "", "where to connect")
	f.StringVar(&v.host, "host", "", "the Host header; empty: the address")
	f.StringVar(&v.path, "path", "/", "what to ask for")
	f.StringVar(&file, "cookies", "", "a file of Cookie headers, one a line, that take turns")
	f.BoolVar(&v.secure, "tls", false, "over TLS, whatever the certificate")
	f.IntVar(&v.connections, "connections", 1, "how many connections")
	f.IntVar(&v.seconds, "seconds", 1, "how long what stays open is measured")
	f.Int64Var(&v.bytes, "bytes", 1<<30, "how long the body is")
	_ = f.Parse(os.Args[2:]) // it exits
	if v.host == "" {
		v.host = v.address
	}
	if err := run(os.Args[1], &v, file); err != nil {
		log.Fatalf("client %s: %v", os.Args[1], err)
	}
}

func run(command string, v *visit, file string) error {
	if file != "" {
		b, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		v.cookies = strings.Split(strings.TrimSpace(string(b)), "\n")
	}
	switch command {
	case "once":
		return once(v)
	case "idle":
		return idle(v)
	case "events":
		return events(v)
	case "socket":
		return sockets(v)
	case "upload":
		return upload(v)
	case "download":
		return download(v)
	}
	return errors.New("there is no such command")
}

func say(r result) error { return json.NewEncoder(os.Stdout).Encode(r) }

// stay says that n connections are open, and calls measure for each line that comes.
func stay(n int, measure func() (result, error)) error {
	if err := say(result{Held: n}); err != nil {
		return err
	}
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		r, err := measure()
		if err == nil {
			err = say(r)
		}
		if err != nil {
			return err
		}
	}
	return in.Err()
}

// each calls f for the numbers below n, so many at a time, until one fails.
func each(n, atOnce int, f func(int) error) error {
	next := make(chan int)
	failed := make(chan error, atOnce)
	var wg sync.WaitGroup
	for range atOnce {
		wg.Go(func() {
			for i := range next {
				if err := f(i); err != nil {
					failed <- fmt.Errorf("number %d: %w", i, err)
					return
				}
			}
		})
	}
	var err error
	for i := 0; i < n && err == nil; i++ {
		select {
		case next <- i:
		case err = <-failed:
		}
	}
	close(next)
	wg.Wait()
	select {
	case e := <-failed:
		err = errors.Join(err, e)
	default:
	}
	return err
}

// dial opens the i-th connection, from one of many addresses of loopback, since each has no more
// than some 28,000 ports.
func (v *visit) dial(i int) (*conn, error) {
	d := net.Dialer{Timeout: 10 * time.Second, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i/5000))}}
	nc, err := d.DialContext(context.Background(), "tcp4", v.address)
	if err != nil {
		return nil, err
	}
	return v.over(nc, i)
}

func (v *visit) cookie(i int) string {
	if len(v.cookies) == 0 {
		return ""
	}
	return "Cookie: " + v.cookies[i%len(v.cookies)] + "\r\n"
}
