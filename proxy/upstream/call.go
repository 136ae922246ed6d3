package upstream

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// A Call is one request and its answer. It comes from [NewCall], and must be closed.
//
// Its owner fills in the first fields, has it done by a [Client], reads the [Answer] and then
// the body with [Call.Next].
type Call struct {
	Address string // host and port
	Method  string // as in Head; how an answer is framed depends on it
	// Head is the request line and the fields, each ended by CRLF. What frames the body, and the empty
	// line, are added by Do: they must not be in it, nor anything of Connection.
	Head []byte
	// Body is what is sent, Length bytes of it; with a Length of -1 all of it, in chunks.
	// Empty says that a body has no bytes, which some methods are better told; Body is nil then.
	Body   io.Reader
	Length int64
	Empty  bool
	// Duplex has the body sent by another goroutine while the answer is read: the app may
	// answer before it has all of it. Otherwise the answer is read when the body was sent.
	Duplex bool
	// Cancel ends the call from elsewhere; nil: nobody can.
	Cancel *Cancel
	// Caller hears of the call while it is under way; nil: nobody does.
	Caller Caller

	Answer Answer

	client *Client
	conn   *conn // nil: not any more
	sender *sender
	heard  bool      // a byte of an answer came
	told   bool      // the caller was told that it waits
	began  time.Time // when it was sent, unless its caller was told that it waits
	by     time.Time // when the head of the answer must be here; zero: any time

	small    *[smallBuffer]byte
	large    *[largeBuffer]byte // nil: not needed yet
	in       []byte             // what is read into: one of the two, or more for a long head
	r, w     int                // what of in is read and not yet taken
	base     int                // what of in before it belongs to the head
	body     bodyReader
	none     Cancel // for a nil Cancel
	trailing []byte
	Trailers []Field // of the answer, when its body was read to the end
}

// A Caller is told of what comes before an answer. It is called on the goroutine of the call.
type Caller interface {
	// Interim is told of interim answers (1xx), but not of 101, which is an error.
	Interim(*Answer)
	// Waiting is told, once at most, when the call has to wait longer than most do: from then on
	// it pays to watch whether there still is somebody to be answered.
	Waiting()
}

const (
	smallBuffer = 4 << 10
	largeBuffer = 32 << 10
	// primed is the longest body that is read before a connection is asked for. A client that
	// sends slowly holds no connection to the app by it.
	primed     = 16 << 10
	maxInterim = 100
)

var (
	calls   = sync.Pool{New: func() any { return &Call{small: new([smallBuffer]byte), Head: make([]byte, 0, 2<<10)} }}
	buffers = sync.Pool{New: func() any { return new([largeBuffer]byte) }}
)

// NewCall returns an empty call.
func NewCall() *Call { return calls.Get().(*Call) }

// Close ends the call. A connection on which not all was read that was to come is closed.
// The call, and what it gave out, must not be used any more.
func (c *Call) Close() {
	c.drop()
	if c.sender != nil {
		c.sender.stop()
	}
	if c.large != nil {
		buffers.Put(c.large)
	}
	head, fields, trailers, trailing, small := c.Head[:0], c.Answer.Fields[:0], c.Trailers[:0], c.trailing[:0], c.small
	if cap(head) > largeBuffer {
		head = make([]byte, 0, 2<<10)
	}
	if cap(fields) > 64 {
		fields = nil
	}
	*c = Call{Head: head, small: small, Trailers: trailers, trailing: trailing}
	c.Answer.Fields = fields
	calls.Put(c)
}

// drop closes the connection, if there still is one.
func (c *Call) drop() {
	if n := c.conn; n != nil {
		c.conn = nil
		_ = c.Cancel.release()
		c.client.discard(n)
	}
}

// Do sends the request and reads the head of the answer, into call.Answer. After an error the
// call can only be closed.
//
// A request is sent a second time only if it was sent on a connection that had been used
// before, not a byte of an answer came, it has no body, and its method may be repeated.
func (c *Client) Do(call *Call) error {
	call.client = c
	if call.Cancel == nil {
		call.Cancel = &call.none
	}
	if err := call.frame(); err != nil {
		return err
	}
	if call.conn != nil || call.in != nil {
		return errors.New("upstream: a call is done once")
	}
	for repeated := false; ; {
		n, err := c.get(call, repeated)
		if err != nil {
			return err
		}
		if err := call.Cancel.hold(n); err != nil {
			c.discard(n)
			return err
		}
		call.conn = n
		used := n.used
		err = call.try()
		if err == nil {
			return nil
		}
		call.drop()
		if cause := call.Cancel.Cause(); cause != nil {
			return cause
		}
		if call.sender != nil {
			if cause := call.sender.failure(); cause != nil {
				return cause
			}
		}
		switch {
		case used && (errors.Is(err, errStale) || errors.Is(err, errUnasked)):
			// Nothing was sent, and there may be a better one. (Some servers say 408 before
			// they close what is idle.)
		case used && !repeated && !call.heard && isGone(err) && call.Body == nil && repeatable(call.Method):
			repeated = true
		default:
			return err
		}
	}
}

// isGone reports whether the connection ended: it was not us who lost patience, nor what came was wrong.
func isGone(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// repeatable reports whether a request of that method may be sent twice (RFC 9110, 9.2.2).
func repeatable(method string) bool {
	switch method {
	case "GET", "HEAD", "OPTIONS", "PUT", "DELETE":
		return true
	}
	return false
}

// frame ends the head with what says where the body ends. A short body is added to it.
func (c *Call) frame() error {
	switch {
	case c.Body == nil && !c.Empty:
		c.Head = append(c.Head, '\r', '\n')
		return nil
	case c.Body == nil:
		c.Head = append(c.Head, "Content-Length: 0\r\n\r\n"...)
		return nil
	case c.Length < 0:
		c.Head = append(c.Head, "Transfer-Encoding: chunked\r\n\r\n"...)
		return nil
	}
	c.Head = append(c.Head, "Content-Length: "...)
	c.Head = strconv.AppendInt(c.Head, c.Length, 10)
	c.Head = append(c.Head, "\r\n\r\n"...)
	if c.Length > primed {
		return nil
	}
	from := len(c.Head)
	c.Head = append(c.Head, make([]byte, c.Length)...)
	if _, err := io.ReadFull(c.Body, c.Head[from:]); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return &BodyError{err}
	}
	return nil
}

// try sends the request on the connection and reads the head of the answer.
func (c *Call) try() error {
	n, l := c.conn, &c.client.limits
	c.in, c.r, c.w = c.small[:], 0, 0
	if c.Body == nil || c.Length >= 0 && c.Length <= primed {
		c.began = time.Now()
		if l.Answer > 0 {
			c.by = c.began.Add(l.Answer)
		}
		var err error
		if c.told {
			err = n.limit(c.by)
		} else {
			err = n.expect(c.began, c.by, l)
		}
		if err == nil {
			c.w, err = n.exchange(c.Head, c.in, l)
		}
		if errors.Is(err, errLate) && c.patient(err) {
			c.w, err = n.exchange(c.Head, c.in, l)
		}
		if err != nil && !c.patient(err) {
			return err
		}
		c.heard = c.w > 0
	} else if err := c.trySending(); err != nil {
		return err
	}
	if err := c.readHead(); err != nil {
		return err
	}
	if c.sender != nil {
		c.sender.heard()
	}
	c.by = time.Time{}
	if err := n.relax(); err != nil {
		return err
	}
	return c.begin()
}

// patient reports whether the call goes on waiting after err: it was but time to tell the caller.
func (c *Call) patient(err error) bool {
	if !isTimeout(err) || !c.conn.alarmed {
		return false
	}
	c.tell()
	return c.conn.limit(c.by) == nil
}

// tell tells the caller that the call waits.
func (c *Call) tell() {
	if !c.told && c.Caller != nil {
		c.Caller.Waiting()
	}
	c.told = true
}

// read reads once from the connection.
func (c *Call) read(b []byte) (int, error) {
	n, err := c.conn.net.Read(b)
	if n == 0 && err != nil && c.patient(err) {
		n, err = c.conn.net.Read(b)
	}
	return n, err
}

// trySending is try for a body that is sent piece by piece.
func (c *Call) trySending() error {
	n, l := c.conn, &c.client.limits
	if err := n.limit(time.Time{}); err != nil || n.used && !n.probe() {
		return errStale
	}
	c.tell()
	if err := n.write(c.Head, l); err != nil {
		return err
	}
	c.sender = newSender(c, n)
	if c.Duplex {
		go c.sender.run()
	} else if c.sender.run(); c.sender.failure() != nil {
		return c.sender.failure()
	} else if !c.sender.sent.Load() {
		// The app stopped listening. It may have said why.
		return n.limit(time.Now().Add(lastWord))
	}
	return nil
}

// lastWord is how long an app that does not take all of a request is listened to.
const lastWord = 2 * time.Second

// readHead reads the head of the answer, and of interim ones before it.
func (c *Call) readHead() error {
	for range maxInterim {
		end, err := c.findHead()
		if err != nil {
			return err
		}
		if err := c.Answer.parse(c.in[c.r:end], c.Method); err != nil {
			return err
		}
		c.r = end
		switch s := c.Answer.Status; {
		case s == 101:
			return malformed("it changes to a protocol that was not asked for")
		case s >= 200:
			c.base = end
			return nil
		case c.Caller != nil:
			c.Caller.Interim(&c.Answer)
		}
		// What an interim answer took is free again.
		c.w = copy(c.in, c.in[c.r:c.w])
		c.r = 0
	}
	return malformed("it has too many interim answers before it")
}

// findHead reads until there is a whole head at c.r, and returns where it ends.
func (c *Call) findHead() (end int, err error) {
	for seen := c.r; ; {
		// Lines are looked at as they come, so that a head without an end is not
		// searched again and again.
		for {
			i := bytes.IndexByte(c.in[seen:c.w], '\n')
			if i < 0 {
				break
			}
			i += seen
			if i == c.r || c.in[i-1] != '\r' {
				return 0, errBareLF
			}
			if i >= c.r+3 && c.in[i-2] == '\n' {
				return i + 1, nil
			}
			if i == c.r+1 {
				return 0, malformed("it begins with an empty line")
			}
			seen = i + 1
		}
		if c.w-c.r >= maxHead {
			return 0, errTooLong
		}
		if c.w == len(c.in) {
			more := make([]byte, min(2*len(c.in), maxHead+smallBuffer))
			c.w = copy(more, c.in[c.r:c.w])
			seen -= c.r
			c.in, c.r = more, 0
		}
		n, err := c.read(c.in[c.w:])
		c.w += n
		if n > 0 {
			c.heard = true
			continue
		}
		if err == nil || errors.Is(err, io.EOF) {
			if !c.heard {
				return 0, io.EOF
			}
			return 0, errShortHead
		}
		return 0, err
	}
}
