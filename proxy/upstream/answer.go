package upstream

import (
	"bytes"
	"errors"
	"fmt"
)

// A Field is a line of a head: its name and value as they came, without the white space
// around the value.
type Field struct{ Name, Value []byte }

// An Answer is the head of an answer. Its bytes are good until the [Call] is closed; those
// of an interim one, until the function it was given to returns.
type Answer struct {
	Status int
	Reason []byte
	Fields []Field
	// Length is that of the body; -1: as long as it goes on.
	Length int64

	framing framing
	keep    bool // the connection may carry another request, if all else is right
}

// framing is how the end of a body is known.
type framing uint8

const (
	bodiless framing = iota
	counted          // by its length
	chunked
	untilClose
)

// Chunked reports whether the body came in chunks, so that trailers may follow it.
func (a *Answer) Chunked() bool { return a.framing == chunked }

// Get returns the value of the first field of that name, which is written in lower case.
func (a *Answer) Get(name string) []byte {
	for i := range a.Fields {
		if fieldIs(a.Fields[i].Name, name) {
			return a.Fields[i].Value
		}
	}
	return nil
}

const (
	maxHead      = 256 << 10
	maxFields    = 1024
	maxLengthLen = 18 // digits, of what fits into an int64
)

// An AnswerError says what of an answer is not HTTP.
type AnswerError struct{ What string }

func (e *AnswerError) Error() string { return "answer of the app: " + e.What }

func malformed(format string, args ...any) error { return &AnswerError{fmt.Sprintf(format, args...)} }

var (
	errUnasked   = &AnswerError{"came before the request"}
	errTooLong   = &AnswerError{"head is too long"}
	errBareLF    = &AnswerError{"a line ends without CR"}
	errShortHead = errors.New("connection was closed within the head of the answer")
)

// parse reads a whole head, the empty line at its end included. RFC 9112, 4 and 5; where
// it lets a recipient be lenient, the answer is refused, but for the space after a status
// without a reason, which many leave out and nobody can misread.
func (a *Answer) parse(b []byte, method string) error {
	line, rest, _ := bytes.Cut(b, crlf)
	if err := a.parseStatusLine(line); err != nil {
		return err
	}
	minor := line[len("HTTP/1.")]
	var err error
	if a.Fields, err = parseFields(a.Fields[:0], rest); err != nil {
		return err
	}
	return a.frame(method, minor)
}

var crlf = []byte("\r\n")

// parseStatusLine reads "HTTP/1.1 200 OK".
func (a *Answer) parseStatusLine(line []byte) error {
	const version = "HTTP/1."
	if len(line) < len("HTTP/1.1 200") || string(line[:len(version)]) != version || line[len(version)] != '0' && line[len(version)] != '1' || line[len(version)+1] != ' ' {
		return malformed("status line %.40q is not of HTTP/1", line)
	}
	code := line[len("HTTP/1.1 "):]
	a.Status = 0
	for _, c := range code[:3] {
		if c < '0' || c > '9' {
			return malformed("status line %.40q has no status", line)
		}
		a.Status = a.Status*10 + int(c-'0')
	}
	if a.Status < 100 {
		return malformed("status %d is none", a.Status)
	}
	switch {
	case len(code) == 3:
		a.Reason = code[3:]
	case code[3] != ' ':
		return malformed("status line %.40q has no status", line)
	default:
		a.Reason = code[4:]
	}
	if !isText(a.Reason) {
		return malformed("reason %.40q has control bytes in it", a.Reason)
	}
	return nil
}

// parseFields appends the lines of a head, or of trailers, up to the empty one that must be
// at the end of b and nowhere else.
func parseFields(fields []Field, b []byte) ([]Field, error) {
	for {
		i := bytes.IndexByte(b, '\n')
		if i < 1 || b[i-1] != '\r' {
			return fields, errBareLF
		}
		line := b[:i-1]
		b = b[i+1:]
		if len(line) == 0 {
			if len(b) > 0 {
				return fields, malformed("head goes on after its end")
			}
			return fields, nil
		}
		if len(fields) == maxFields {
			return fields, malformed("head has too many fields")
		}
		n := 0
		for n < len(line) && isToken[line[n]] {
			n++
		}
		if n == 0 || n == len(line) || line[n] != ':' {
			// This also refuses a folded line, and a space before the colon.
			return fields, malformed("field %.40q has no name", line)
		}
		value := trim(line[n+1:])
		if !isText(value) {
			return fields, malformed("field %.40q has control bytes in it", line[:n])
		}
		fields = append(fields, Field{line[:n:n], value})
	}
}

// frame finds out how the body ends. Who reads it in another way than the app meant it
// takes a part of the body for an answer to somebody else: whatever is said twice, or in
// two ways, is refused.
func (a *Answer) frame(method string, minor byte) error {
	length, coding, trailer := int64(-1), false, true
	a.keep = minor == '1'
	for i := range a.Fields {
		f := &a.Fields[i]
		switch len(f.Name) {
		case len("trailer"):
			trailer = trailer && (!fieldIs(f.Name, "trailer") || mayTrail(f.Value))
		case len("connection"):
			if fieldIs(f.Name, "connection") && hasClose(f.Value) {
				a.keep = false
			}
		case len("content-length"):
			if !fieldIs(f.Name, "content-length") {
				continue
			}
			if length >= 0 {
				return malformed("it has two lengths")
			}
			var ok bool
			if length, ok = parseLength(f.Value); !ok {
				return malformed("length %.40q is none", f.Value)
			}
		case len("transfer-encoding"):
			if !fieldIs(f.Name, "transfer-encoding") {
				continue
			}
			if coding || minor != '1' || !fieldIs(f.Value, "chunked") {
				return malformed("transfer coding %.40q is not known here", f.Value)
			}
			coding = true
		}
	}
	if coding && !trailer {
		return malformed("it announces trailers that would frame it")
	}
	if coding && length >= 0 {
		return malformed("it has a length and a transfer coding")
	}
	a.Length = length
	switch {
	case a.Status < 200 || a.Status == 204:
		a.framing, a.Length = bodiless, 0
		// It must say neither (RFC 9110, 8.6); if it does, who knows what follows.
		if coding || length > 0 {
			a.keep = false
		}
	case method == "HEAD" || a.Status == 304:
		a.framing = bodiless
	case coding:
		a.framing = chunked
	case length == 0:
		a.framing = bodiless
	case length > 0:
		a.framing = counted
	default:
		a.framing, a.keep = untilClose, false
	}
	return nil
}

func parseLength(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > maxLengthLen {
		return 0, false
	}
	var n int64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// hasClose reports whether a Connection field holds the option "close".
func hasClose(v []byte) bool { return lists(v, "close") }

// mayTrail reports whether a Trailer field announces nothing that frames a message.
func mayTrail(v []byte) bool {
	return !lists(v, "transfer-encoding") && !lists(v, "content-length") && !lists(v, "trailer")
}

// lists reports whether the comma-separated v holds the token.
func lists(v []byte, token string) bool {
	for len(v) > 0 {
		item, rest, _ := bytes.Cut(v, []byte{','})
		if fieldIs(trim(item), token) {
			return true
		}
		v = rest
	}
	return false
}

// fieldIs reports whether b is name, which is in lower case, in any case.
func fieldIs(b []byte, name string) bool {
	if len(b) != len(name) {
		return false
	}
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != name[i] {
			return false
		}
	}
	return true
}

// trim cuts spaces and tabs off both ends.
func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b[:len(b):len(b)]
}

// isText reports whether b is made of what a field value may hold: no control bytes but tabs.
func isText(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// isToken are the bytes of a token (RFC 9110, 5.6.2).
var isToken = func() (t [256]bool) {
	for c := byte('0'); c <= '9'; c++ {
		t[c] = true
	}
	for c := byte('a'); c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = true, true
	}
	for _, c := range []byte("!#$%&'*+-.^_`|~") {
		t[c] = true
	}
	return t
}()
