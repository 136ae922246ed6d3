package upstream

import (
	"bytes"
	"errors"
	"io"
	"time"
)

// A bodyReader is how far the body of an answer was read.
type bodyReader struct {
	left   int64 // of a counted body, or of the chunk
	state  chunkState
	excess int64 // bytes of chunk extensions, less what is allowed by now
	over   bool  // it was read to its end
	err    error
}

// chunkState is what comes next in a body of chunks.
type chunkState uint8

const (
	chunkSize chunkState = iota
	chunkData
	chunkEnd // the line end after the data
	trailerSection
)

const (
	maxChunkLine   = 1 << 10
	maxTrailers    = 16 << 10
	maxExtensions  = 16 << 10 // bytes of chunk extensions beyond one for each byte of data
	maxChunkDigits = 15       // of what fits into an int64
)

// Over reports whether the body was read to its end. Then the connection is another call's already.
func (c *Call) Over() bool { return c.body.over }

// Buffered reports whether Next would return without waiting.
func (c *Call) Buffered() bool { return c.body.over || c.r < c.w }

// Taken reports whether the body of the request was read to its end by now.
func (c *Call) Taken() bool { return c.sender == nil || c.sender.taken.Load() }

// Next returns the next bytes of the body, good until it is called again, and io.EOF at its
// end. A body that ends before its end is io.ErrUnexpectedEOF or another error: what was
// returned before is no whole answer then.
func (c *Call) Next() ([]byte, error) {
	if err := c.Cancel.Cause(); err != nil {
		c.drop()
		return nil, err
	}
	if c.body.over {
		return nil, io.EOF
	}
	if c.body.err == nil {
		var b []byte
		if b, c.body.err = c.next(); c.body.err == nil || errors.Is(c.body.err, io.EOF) && c.body.over {
			if len(b) == 0 && c.body.over {
				return nil, io.EOF
			}
			return b, nil
		}
	}
	c.drop()
	if err := c.Cancel.Cause(); err != nil {
		return nil, err
	}
	if c.sender != nil {
		if err := c.sender.failure(); err != nil {
			return nil, err
		}
	}
	return nil, c.body.err
}

// begin gets the body ready. One that has no bytes is over with it.
func (c *Call) begin() error {
	switch c.Answer.framing {
	case bodiless:
		c.finish()
	case counted:
		c.body.left = c.Answer.Length
	case chunked:
		return c.ahead()
	case untilClose:
	}
	return nil
}

// finish ends the body. The connection goes back if nothing speaks against it.
func (c *Call) finish() {
	c.body.over = true
	sent := c.sender == nil || c.sender.sent.Load()
	if !c.Answer.keep || c.r < c.w || !sent {
		c.drop()
		return
	}
	n := c.conn
	c.conn = nil
	if c.Cancel.release() != nil {
		c.client.discard(n) // it was closed by whoever ended the call
		return
	}
	since := c.began
	if c.told { // that was long ago
		since = time.Now()
	}
	c.client.put(n, since)
}

// next returns bytes of the body, or nil and that it is over, or an error.
func (c *Call) next() ([]byte, error) {
	switch c.Answer.framing {
	case counted:
		return c.data()
	case untilClose:
		if c.r == c.w {
			if err := c.fill(); errors.Is(err, io.EOF) {
				c.finish()
				return nil, nil
			} else if err != nil {
				return nil, err
			}
		}
		b := c.in[c.r:c.w]
		c.r = c.w
		return b, nil
	case bodiless:
	case chunked:
		for {
			if err := c.control(true); err != nil || c.body.over {
				return nil, err
			}
			b, err := c.data()
			if err != nil {
				return nil, err
			}
			// What follows the data is looked at if it is here, so that the end is
			// known with the last of it.
			if err := c.ahead(); err != nil {
				return nil, err
			}
			if len(b) > 0 {
				return b, nil
			}
		}
	}
	return nil, io.EOF
}

// data returns what is here of the counted bytes, and reads if that is nothing.
func (c *Call) data() ([]byte, error) {
	if c.r == c.w {
		if err := c.fill(); err != nil {
			return nil, cut(err)
		}
	}
	b := c.in[c.r:c.w]
	if int64(len(b)) > c.body.left {
		b = b[:c.body.left]
	}
	c.r += len(b)
	c.body.left -= int64(len(b))
	if c.body.left == 0 {
		if c.Answer.framing == counted {
			c.finish()
		} else {
			c.body.state = chunkEnd
		}
	}
	return b, nil
}

// cut is the error of an answer that ends before its end.
func cut(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// fill reads once, when all that was read before has been taken. What is longer than the
// first buffer is read into a larger one.
func (c *Call) fill() error {
	if c.large == nil && (c.Answer.framing == counted && c.body.left > int64(len(c.in)-c.base) || c.w == len(c.in)) {
		c.large = buffers.Get().(*[largeBuffer]byte)
		c.in, c.base = c.large[:], 0
	}
	c.r, c.w = c.base, c.base
	return c.more()
}

// more reads once, after what is here.
func (c *Call) more() error {
	n, err := c.read(c.in[c.w:])
	c.w += n
	if n > 0 {
		return nil
	}
	if err == nil {
		return io.ErrNoProgress
	}
	return err
}

// ahead goes on to the next data or the end, as far as that is here.
func (c *Call) ahead() error { return c.control(false) }

// control goes through what is not data, up to the next data or the end. If it may wait it
// gets there, else as far as what was read goes.
func (c *Call) control(wait bool) error {
	for !c.body.over && c.body.state != chunkData {
		line, err := c.line(wait)
		if err != nil || line == nil {
			return err
		}
		switch c.body.state {
		case chunkEnd:
			if len(line) > len(crlf) {
				return malformed("a chunk is longer than it says")
			}
			c.body.state = chunkSize
		case chunkSize:
			if err := c.size(line[:len(line)-len(crlf)]); err != nil {
				return err
			}
		case trailerSection:
			if len(c.trailing)+len(line) > maxTrailers {
				return malformed("trailers are too long")
			}
			c.trailing = append(c.trailing, line...)
			if len(line) > len(crlf) {
				continue
			}
			if c.Trailers, err = parseFields(c.Trailers[:0], c.trailing); err != nil {
				return err
			}
			c.finish()
		case chunkData:
		}
	}
	return nil
}

// line returns a line with its end; nil: it is not all here, and wait is false.
func (c *Call) line(wait bool) ([]byte, error) {
	for {
		i := bytes.IndexByte(c.in[c.r:c.w], '\n')
		if i == 0 || i > 0 && c.in[c.r+i-1] != '\r' {
			return nil, errBareLF
		}
		if i > 0 {
			line := c.in[c.r : c.r+i+1]
			c.r += i + 1
			return line, nil
		}
		limit := maxChunkLine
		if c.body.state == trailerSection {
			limit = maxTrailers
		}
		if c.w-c.r > limit {
			return nil, malformed("a line between chunks is too long")
		}
		if !wait {
			return nil, nil
		}
		if c.r == c.w {
			if err := c.fill(); err != nil {
				return nil, cut(err)
			}
			continue
		}
		c.makeRoom()
		if err := c.more(); err != nil {
			return nil, cut(err)
		}
	}
}

// makeRoom moves what was read and not taken, so that the rest of the line has room.
func (c *Call) makeRoom() {
	if c.w < len(c.in) {
		return
	}
	rest := c.in[c.r:c.w]
	if c.large == nil {
		c.large = buffers.Get().(*[largeBuffer]byte)
		c.in, c.base = c.large[:], 0
	}
	c.r, c.w = c.base, c.base+copy(c.in[c.base:], rest)
}

// size reads the line before a chunk: its size in hexadecimal, and extensions, which mean
// nothing to anybody but have to be plain text, and few.
func (c *Call) size(line []byte) error {
	n, digits := int64(0), 0
	for digits < len(line) {
		d, ok := unhex(line[digits])
		if !ok {
			break
		}
		if digits++; digits > maxChunkDigits {
			return malformed("a chunk is too large")
		}
		n = n<<4 | int64(d)
	}
	if digits == 0 {
		return malformed("a chunk has no size")
	}
	if ext := line[digits:]; len(ext) > 0 {
		if t := trim(ext); len(t) == 0 || t[0] != ';' || !isText(ext) {
			return malformed("a chunk's size ends with %.20q", ext)
		}
		c.body.excess += int64(len(ext))
		if c.body.excess > maxExtensions {
			return malformed("there are more chunk extensions than data")
		}
	}
	c.body.excess = max(0, c.body.excess-n)
	c.body.left, c.body.state = n, chunkData
	if n == 0 {
		c.body.state = trailerSection
	}
	return nil
}

func unhex(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}
