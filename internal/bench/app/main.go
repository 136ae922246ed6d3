// Command app is the upstream of what is not a short answer: it sends server-sent events, echoes
// what comes by WebSocket, and takes and gives long bodies.
package main

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"time"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "where to serve")
	flag.Parse()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /events", events)
	mux.HandleFunc("GET /socket", socket)
	mux.HandleFunc("GET /body", give)
	mux.HandleFunc("PUT /body", take)
	mux.HandleFunc("GET /1k", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Repeat("x", 1<<10)) })
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	s := &http.Server{Addr: *listen, Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { _ = s.Close() })
	if err := s.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
}

// lead is how long a stream rests before it sends as fast as it can, so that it does not keep others
// from being let in.
const lead = time.Second

// events sends one at once, and then one each ?every=DURATION; with 0s as fast as they are taken.
// Each begins with the time at which it was sent.
func events(w http.ResponseWriter, r *http.Request) {
	every, err := time.ParseDuration(r.FormValue("every"))
	if err != nil {
		http.Error(w, "every: "+err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(w)
	var line []byte
	padding := strings.Repeat("x", 80)
	send := func() error {
		line = append(strconv.AppendInt(append(line[:0], "data: "...), time.Now().UnixNano(), 10), ' ')
		line = append(append(line, padding...), "\n\n"...)
		if _, err := w.Write(line); err != nil {
			return err
		}
		return out.Flush()
	}
	if send() != nil {
		return
	}
	rest := lead
	if every > 0 {
		rest = rand.N(every) // streams that began at once do not go on in step
	}
	select {
	case <-time.After(rest):
	case <-r.Context().Done():
		return
	}
	var tick <-chan time.Time
	if every > 0 {
		t := time.NewTicker(every)
		defer t.Stop()
		tick = t.C
	}
	for {
		if every > 0 {
			select {
			case <-tick:
			case <-r.Context().Done():
				return
			}
		}
		if send() != nil {
			return
		}
	}
}

// socket echoes frames. All that is known of RFC 6455 is what the other side of the benchmark
// makes use of: whole, short, masked frames.
func socket(w http.ResponseWriter, r *http.Request) {
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) // by RFC 6455
	c, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer c.Close()
	if _, err := fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", base64.StdEncoding.EncodeToString(sum[:])); err != nil {
		return
	}
	in, frame := bufio.NewReaderSize(buf, 256), make([]byte, 6+125)
	for {
		if _, err := io.ReadFull(in, frame[:6]); err != nil {
			return
		}
		n := int(frame[1] & 0x7f)
		if n > 125 || frame[1]&0x80 == 0 {
			return
		}
		if _, err := io.ReadFull(in, frame[6:6+n]); err != nil {
			return
		}
		for i := range n {
			frame[6+i] ^= frame[2+i%4]
		}
		frame[4], frame[5] = frame[0], byte(n)
		if _, err := c.Write(frame[4 : 6+n]); err != nil {
			return
		}
	}
}

// take reads a body and says how long it was.
func take(w http.ResponseWriter, r *http.Request) {
	n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, r.Body, make([]byte, 256<<10))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	fmt.Fprintln(w, n)
}

// give sends a body of ?bytes=N.
func give(w http.ResponseWriter, r *http.Request) {
	left, err := strconv.ParseInt(r.FormValue("bytes"), 10, 64)
	if err != nil {
		http.Error(w, "bytes: "+err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Length", strconv.FormatInt(left, 10))
	for buf := make([]byte, 256<<10); left > 0; {
		n, err := w.Write(buf[:min(left, int64(len(buf)))])
		if err != nil {
			return
		}
		left -= int64(n)
	}
}
