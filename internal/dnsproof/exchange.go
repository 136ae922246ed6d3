package dnsproof

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"time"
)

// exchange asks one server, by UDP and then, if that comes to nothing or not to all of it, by
// TCP. server was judged by the caller; nothing here looks a name up.
func (c *Client) exchange(ctx context.Context, server netip.AddrPort, q question, recursive bool) (reply, error) {
	for range udpTries {
		r, err := c.byUDP(ctx, server, q, recursive)
		switch {
		case ctx.Err() != nil:
			return reply{}, context.Cause(ctx)
		case err == nil && !r.truncated:
			return r, nil
		case errors.Is(err, errForeign), err == nil, reasonOf(err) == BadAnswer:
			// Who guesses at UDP can't be the server of a TCP connection.
			return c.byTCP(ctx, server, q, recursive)
		}
	}
	return c.byTCP(ctx, server, q, recursive)
}

// dial connects to exactly this address. A connected UDP socket has a port of its own, chosen
// by the system, and hears nobody else.
func (c *Client) dial(ctx context.Context, network string, server netip.AddrPort) (net.Conn, func(), error) {
	d := net.Dialer{Timeout: c.o.Try}
	conn, err := d.DialContext(ctx, network, server.String())
	if err != nil {
		return nil, nil, err
	}
	if err := conn.SetDeadline(time.Now().Add(c.o.Try)); err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	return conn, func() { stop(); _ = conn.Close() }, nil
}

func (c *Client) byUDP(ctx context.Context, server netip.AddrPort, q question, recursive bool) (reply, error) {
	conn, done, err := c.dial(ctx, "udp", server)
	if err != nil {
		return reply{}, err
	}
	defer done()
	id := newID()
	msg, err := q.pack(id, recursive)
	if err != nil {
		return reply{}, err
	}
	if _, err := conn.Write(msg); err != nil {
		return reply{}, err
	}
	buf := make([]byte, 4096)
	n, err := conn.Read(buf)
	if err != nil {
		return reply{}, err
	}
	if n == len(buf) {
		return reply{truncated: true}, nil
	}
	return parse(buf[:n], id, q)
}

func (c *Client) byTCP(ctx context.Context, server netip.AddrPort, q question, recursive bool) (reply, error) {
	conn, done, err := c.dial(ctx, "tcp", server)
	if err != nil {
		return reply{}, err
	}
	defer done()
	id := newID()
	msg, err := q.pack(id, recursive)
	if err != nil {
		return reply{}, err
	}
	if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...)); err != nil {
		return reply{}, err
	}
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return reply{}, err
	}
	n := int(binary.BigEndian.Uint16(length[:]))
	if n > maxMessage {
		return reply{}, errTooLong
	}
	buf := make([]byte, n)
	if _, err := io.ReadFull(conn, buf); err != nil {
		return reply{}, err
	}
	r, err := parse(buf, id, q)
	if errors.Is(err, errForeign) || r.truncated {
		return reply{}, errMalformed
	}
	return r, err
}

func newID() uint16 {
	var b [2]byte
	_, _ = rand.Read(b[:]) // it can't fail
	return binary.BigEndian.Uint16(b[:])
}
