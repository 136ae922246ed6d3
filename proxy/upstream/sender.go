package upstream

import (
	"errors"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// A BodyError is that of reading the body of a request: it is the client's, not the app's.
type BodyError struct{ Err error }

func (e *BodyError) Error() string { return "body of the request: " + e.Err.Error() }

// Unwrap returns the cause.
func (e *BodyError) Unwrap() error { return e.Err }

// A sender sends the body of a request. It shares nothing with its [Call] that is used
// again: it may be held up by a client that sends nothing, and end long after the call.
type sender struct {
	body   io.Reader
	length int64
	conn   *conn
	limits *Limits

	taken   atomic.Bool // the body was read to its end
	sent    atomic.Bool // and all of it sent
	stopped atomic.Bool
	failed  atomic.Pointer[error]

	mu     sync.Mutex
	hasten bool // the answer is waited for, with a deadline
	quiet  bool // its head is here
}

func newSender(c *Call, n *conn) *sender {
	return &sender{body: c.Body, length: c.Length, conn: n, limits: &c.client.limits}
}

// failure returns why the body could not be sent. That the app does not take any more of it
// is none: it may have answered.
func (s *sender) failure() error {
	if p := s.failed.Load(); p != nil {
		return *p
	}
	return nil
}

// stop has it end as soon as it is not held up any more.
func (s *sender) stop() { s.stopped.Store(true) }

// run sends the body. If that fails, the connection is closed, so that nobody waits for an
// answer to half a request; the end of it is never said then.
func (s *sender) run() {
	buf := buffers.Get().(*[largeBuffer]byte)
	defer buffers.Put(buf)
	var err error
	if s.length < 0 {
		err = s.chunks(buf[:])
	} else {
		err = s.bytes(buf[:])
	}
	switch {
	case err == nil:
		s.sent.Store(true)
		s.await()
	case s.stopped.Load():
	default:
		if _, ours := errors.AsType[*BodyError](err); ours || isTimeout(err) {
			s.failed.Store(&err)
			s.conn.close()
		}
	}
}

// await begins the time that the head of the answer may take, unless it is here by now.
func (s *sender) await() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.limits.Answer > 0 && !s.quiet {
		s.hasten = s.conn.net.SetReadDeadline(time.Now().Add(s.limits.Answer)) == nil
	}
}

// heard ends that time.
func (s *sender) heard() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.quiet = true
	if s.hasten {
		s.conn.at = time.Now() // whenever it is: relax takes it away
	}
}

func isTimeout(err error) bool {
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Timeout()
}

// bytes sends as many as were announced, no more and no fewer.
func (s *sender) bytes(buf []byte) error {
	for left := s.length; left > 0; {
		n, err := s.read(buf[:min(int64(len(buf)), left)])
		left -= int64(n)
		if left == 0 {
			s.taken.Store(true)
		}
		if n > 0 {
			if err := s.conn.write(buf[:n], s.limits); err != nil {
				return err
			}
		}
		if left > 0 && err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return &BodyError{err}
		}
	}
	return nil
}

// chunks sends what there is as it comes, a chunk for each piece.
func (s *sender) chunks(buf []byte) error {
	const room = len("7ff0\r\n") // before the data, and 2 bytes after it
	for {
		n, err := s.read(buf[room : len(buf)-2])
		end := errors.Is(err, io.EOF)
		if end {
			s.taken.Store(true)
		}
		if n > 0 {
			var size [room]byte
			head := append(strconv.AppendInt(size[:0], int64(n), 16), '\r', '\n')
			from := room - len(head)
			copy(buf[from:], head)
			copy(buf[room+n:], crlf)
			if err := s.conn.write(buf[from:room+n+2], s.limits); err != nil {
				return err
			}
		}
		if end {
			return s.conn.write([]byte("0\r\n\r\n"), s.limits)
		}
		if err != nil {
			return &BodyError{err}
		}
	}
}

// errStopped: the call is over.
var errStopped = errors.New("call is over")

// read reads once. A reader that returns nothing and no error is asked again, as often as a
// careful caller does.
func (s *sender) read(b []byte) (int, error) {
	for range 100 {
		if s.stopped.Load() {
			return 0, errStopped
		}
		if n, err := s.body.Read(b); n > 0 || err != nil {
			return n, err
		}
	}
	return 0, io.ErrNoProgress
}
