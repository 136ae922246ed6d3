package upstream

import "sync"

// A Cancel ends a [Call] from another goroutine. The zero value is ready. It belongs to one
// call and is not used for another, as whoever holds it may use it late: its memory may be made a zero value again, for
// another call, only where it is known that nobody holds it.
type Cancel struct {
	mu    sync.Mutex
	cause error
	what  aborter // what the call waits for, if for anything
}

// An aborter is something that a call waits for. Its abort is called at most once, and must not block.
type aborter interface{ abort() }

// End ends the call at once, wherever it is. The first cause counts; nil is none.
func (c *Cancel) End(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause != nil || cause == nil {
		return
	}
	c.cause = cause
	if c.what != nil {
		c.what.abort()
	}
}

// Cause returns why the call was ended; nil: it was not.
func (c *Cancel) Cause() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cause
}

// hold has a end with the call. It returns the cause if the call has ended; then a is not touched.
func (c *Cancel) hold(a aborter) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause == nil {
		c.what = a
	}
	return c.cause
}

// release undoes hold. After it, what was held is not aborted any more; it has been if there is a cause.
func (c *Cancel) release() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.what = nil
	return c.cause
}
