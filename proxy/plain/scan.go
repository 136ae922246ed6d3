package plain

import "bytes"

// A Verdict says whose a request is, as far as its head has come. The zero Verdict is
// [NotPlain], so that a forgotten case goes to net/http.
type Verdict uint8

// The verdicts.
const (
	NotPlain Verdict = iota
	More             // what is there may become a plain head
	Plain
)

// Scan looks for the end of a head in b. from is 0 at first, and then what the last call
// returned as next, with more bytes behind the same ones. If v is [Plain], the head is the
// first n bytes of b, and [Head.Parse] says whether it is plain; if it is [NotPlain], more bytes
// would change nothing, and there is no use in waiting for them.
func Scan(b []byte, from int) (n, next int, v Verdict) {
	if len(b) > 0 && (b[0] < 'A' || b[0] > 'Z') {
		return 0, 0, NotPlain // also a line end before the request, and TLS
	}
	first := 0 // the end of the request line, if it has come just now
	for {
		i := bytes.IndexByte(b[from:], '\n')
		if i < 0 {
			// Whoever waits for an answer to half a head hears now what is wrong with it.
			if first > 0 {
				if _, _, ok := requestLine(string(b[:first])); !ok {
					return 0, 0, NotPlain
				}
			}
			return 0, from, More
		}
		end := from + i
		switch {
		case end == 0 || b[end-1] != '\r':
			return 0, 0, NotPlain // a bare line feed ends a line to some servers
		case from == 0:
			first = end - 1
		case end == from+1: // an empty line
			return end + 1, end + 1, Plain
		}
		from = end + 1
	}
}
