package main

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// upload sends a body, and has the app say how long it was.
func upload(v *visit) error {
	c, err := v.dial(0)
	if err != nil {
		return err
	}
	began := time.Now()
	if err := c.send(v, "PUT", fmt.Sprintf("Content-Length: %d\r\n", v.bytes)); err != nil {
		return err
	}
	buf := make([]byte, 256<<10)
	for left := v.bytes; left > 0; {
		n, err := c.Write(buf[:min(left, int64(len(buf)))])
		if err != nil {
			return err
		}
		left -= int64(n)
	}
	r, err := c.head(http.StatusOK)
	if err != nil {
		return err
	}
	said, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	if n, err := strconv.ParseInt(strings.TrimSpace(string(said)), 10, 64); err != nil || n != v.bytes {
		return fmt.Errorf("the app got %q of %d bytes", said, v.bytes)
	}
	return say(result{Seconds: time.Since(began).Seconds()})
}

// download receives a body, and looks how long it is.
func download(v *visit) error {
	c, err := v.dial(0)
	if err != nil {
		return err
	}
	began := time.Now()
	if err := c.send(v, "GET", ""); err != nil {
		return err
	}
	r, err := c.head(http.StatusOK)
	if err != nil {
		return err
	}
	n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, r.Body, make([]byte, 256<<10))
	if err == nil && n != v.bytes {
		err = fmt.Errorf("%d bytes came of %d", n, v.bytes)
	}
	if err != nil {
		return err
	}
	return say(result{Seconds: time.Since(began).Seconds()})
}
