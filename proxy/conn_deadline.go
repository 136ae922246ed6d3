package proxy

import (
	"errors"
	"time"
)

// The deadlines that net/http sets: ten for a request, of which hardly one is ever waited for. One for reading is told to the
// connection when something is read indeed, and one for writing when that which it was told is not good any more.

// wait has the deadline hold for a read that begins.
func (c *conn) wait() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reads.waits++
	return c.hold()
}

// waited notes that the read is over.
func (c *conn) waited() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reads.waits--
}

// hold tells the connection of the deadline. mu is held.
func (c *conn) hold() error {
	if c.reads.held.Equal(c.reads.due) {
		return nil
	}
	c.reads.held = c.reads.due
	return c.Conn.SetReadDeadline(c.reads.due)
}

// unhurried has a read take as long as it takes.
func (c *conn) unhurried() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reads.due = time.Time{}
	return c.hold()
}

// SetReadDeadline implements [net.Conn].
func (c *conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.notice(t)
	if c.reads.due = t; c.reads.waits == 0 {
		return nil
	}
	return c.hold()
}

// SetWriteDeadline implements [net.Conn]. What was told does if it is some seconds nearer and still far: with what exchange.extend leaves
// as it is, a write has two thirds of stall at the least. That there is to be no deadline, as net/http says after each request, is seen to when a write comes upon the old one. (Not with TLS, whose
// writes can't be gone on with.)
func (c *conn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.raw != nil && !c.writeBy.IsZero() {
		if c.lax = t.IsZero(); c.lax {
			return nil
		}
		if soon := c.l.clock().Add(stall*3/4 + slow); c.writeBy.After(soon) && !c.writeBy.After(t) && t.Sub(c.writeBy) < stall/12 {
			return nil
		}
	}
	c.writeBy = t
	return c.Conn.SetWriteDeadline(t)
}

// forgive takes away a deadline that nobody wants any more, and reports whether there was one.
func (c *conn) forgive() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.lax || c.doing != elsewhere { // a cut is meant
		return false
	}
	c.lax, c.writeBy = false, time.Time{}
	return c.Conn.SetWriteDeadline(time.Time{}) == nil
}

// SetDeadline implements [net.Conn].
func (c *conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// notice hears of a deadline for reading. mu is held.
func (c *conn) notice(t time.Time) {
	now := c.l.clock() // it is late
	c.reads.past = !t.IsZero() && !t.After(now)
	if !t.IsZero() && !c.reads.past && t.Before(now.Add(10*slow)) {
		c.reads.past = !t.After(time.Now())
	}
	if c.reads.past {
		c.changed.Broadcast()
	}
}
