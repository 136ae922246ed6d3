package plain

import "strings"

const (
	// MaxFields is how many fields a plain head has at the most.
	MaxFields = 64
	// maxDigits is how many digits a length has at the most: any such number is an int64.
	maxDigits = 18
)

// A Field is one line of a head, its value without the spaces around it.
type Field struct{ Name, Value string }

// A Head is a plain head, as parts of the text that it was read from. It can be used for one
// request after another.
type Head struct {
	Method string // GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS
	Target string // in origin form: it begins with one slash
	Host   string // as it came: letters, digits, dashes and dots, and a port or none
	// Length is that of the body that follows.
	Length int64
	// Close: the client wants the connection closed after the answer.
	Close bool

	fields [MaxFields]Field
	count  int
}

// Fields are those of the head in the order in which they came, but for Host, Content-Length
// and Connection, of which all that there is to know is said already.
func (h *Head) Fields() []Field { return h.fields[:h.count] }

// Clear forgets what was parsed last, and with it the text that it is parts of.
func (h *Head) Clear() {
	clear(h.fields[:h.count])
	h.Method, h.Target, h.Host, h.Length, h.Close, h.count = "", "", "", 0, false, 0
}

// Parse reads text, which [Scan] found to be a whole head, and reports whether it is plain. If it is
// not, nothing in h means anything.
func (h *Head) Parse(text string) bool {
	h.Clear()
	line, rest, ok := cutLine(text)
	if !ok {
		return false
	}
	if h.Method, h.Target, ok = requestLine(line); !ok {
		return false
	}
	var seen seen
	for {
		if line, rest, ok = cutLine(rest); !ok {
			return false
		}
		if line == "" {
			return rest == "" && h.whole(seen)
		}
		name, value, ok := field(line)
		if !ok || !h.take(name, value, &seen) {
			return false
		}
	}
}

// seen is what may be there once.
type seen struct{ host, length, connection, pragma, caching bool }

// take adds a field to h, or reports that with it the head is not plain.
func (h *Head) take(name, value string, seen *seen) bool {
	switch kindOf(name) {
	case host:
		if seen.host || !isHost(value) {
			return false
		}
		seen.host, h.Host = true, value
		return true
	case length:
		n, ok := number(value)
		if seen.length || !ok {
			return false
		}
		seen.length, h.Length = true, n
		return true
	case connection:
		h.Close = strings.EqualFold(value, "close")
		if seen.connection || !h.Close && !strings.EqualFold(value, "keep-alive") {
			return false
		}
		seen.connection = true
		return true
	case hop:
		return false
	case pragma:
		seen.pragma = true
	case caching:
		seen.caching = true
	case ordinary:
	}
	if h.count == MaxFields {
		return false
	}
	h.fields[h.count] = Field{name, value}
	h.count++
	return true
}

// whole reports whether nothing is missing and all goes together.
func (h *Head) whole(seen seen) bool {
	switch {
	case !seen.host:
		return false
	case seen.pragma && !seen.caching:
		return false // net/http makes a Cache-Control of it
	case h.Length > 0 && (h.Method == "GET" || h.Method == "HEAD" || h.Method == "OPTIONS"):
		return false // there are servers that take such a body for the next request
	}
	return true
}

// kind is what a field means to the one who reads the message.
type kind uint8

const (
	ordinary kind = iota
	host
	length
	connection
	pragma
	caching
	hop // says something of the connection or the framing that is not plain
)

// kindOf returns the kind of a field, by its name in any case.
func kindOf(name string) kind {
	is := func(s string) bool { return strings.EqualFold(name, s) }
	switch len(name) {
	case 2:
		if is("te") {
			return hop
		}
	case 4:
		if is("host") {
			return host
		}
	case 6:
		switch {
		case is("expect"):
			return hop
		case is("pragma"):
			return pragma
		}
	case 7:
		if is("trailer") || is("upgrade") {
			return hop
		}
	case 10:
		switch {
		case is("connection"):
			return connection
		case is("keep-alive"):
			return hop
		}
	case 13:
		if is("cache-control") {
			return caching
		}
	case 14:
		switch {
		case is("content-length"):
			return length
		case is("http2-settings"):
			return hop
		}
	case 16:
		if is("proxy-connection") {
			return hop
		}
	case 17:
		if is("transfer-encoding") || is("sec-websocket-key") {
			return hop
		}
	case 18:
		if is("proxy-authenticate") {
			return hop
		}
	case 19:
		if is("proxy-authorization") {
			return hop
		}
	}
	return ordinary
}
