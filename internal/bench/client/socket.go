package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// message is what is echoed: short enough for a frame with a head of two bytes (RFC 6455, 5.2).
const message = 100

// sockets opens WebSockets, which stay. While it is measured, each sends a message when the one
// before has come back.
func sockets(v *visit) error {
	t := newTally()
	failed := make(chan error, v.connections)
	conns := make([]*conn, v.connections)
	err := each(len(conns), 64, func(i int) error {
		c, err := v.dial(i)
		if err != nil {
			return err
		}
		conns[i] = c
		if err := c.send(v, "GET", "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"); err != nil {
			return err
		}
		if _, err := c.head(http.StatusSwitchingProtocols); err != nil {
			return err
		}
		return c.echo()
	})
	if err != nil {
		return err
	}
	return stay(len(conns), func() (result, error) {
		until := time.Now().Add(time.Duration(v.seconds) * time.Second)
		for i, c := range conns {
			go func() {
				for n := i; time.Now().Before(until); n++ {
					sent := time.Now()
					if err := c.echo(); err != nil {
						failed <- errors.Join(errors.New("a WebSocket ended"), err)
						return
					}
					t.note(n, sent)
				}
			}()
		}
		return t.measure(v, failed)
	})
}

// echo sends a message and reads the same again. Its mask is all zeros, which nobody can tell
// from any other.
func (c *conn) echo() error {
	var frame [6 + message]byte
	frame[0], frame[1] = 0x82, 0x80|message // one binary frame, masked
	if _, err := c.Write(frame[:]); err != nil {
		return err
	}
	var back [2 + message]byte
	if _, err := io.ReadFull(c.in, back[:]); err != nil {
		return err
	}
	if back[0] != 0x82 || back[1] != message {
		return fmt.Errorf("no echo: a frame that begins with %x", back[:2])
	}
	return nil
}
