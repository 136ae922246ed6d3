package saml

import (
	"bytes"
	"encoding/xml"
	"errors"
	"strings"
	"unicode/utf8"
)

// A scanner reads the marks and texts of a document, in the one grammar that is taken: XML 1.0
// with names of ASCII, the five escapes that need no declaring and those by number, and without
// document type, CDATA section or processing instruction. There is no lenient branch in it: what
// is not in the grammar is an error.
//
// What it yields is what encoding/xml's RawToken yields of the same bytes, or nothing. Fuzz tests
// hold it to that (FuzzScan), because etree and the library that verifies signatures read by
// encoding/xml: two readings of one message are what an attack is made of.
type scanner struct {
	s    string // xmlText is true of it
	at   int
	mark mark
	// tag is the tag of a startMark, or the name of an endMark. Its attributes are those of the
	// tag until the next one is read.
	tag  xml.StartElement
	text string // of a textMark, as it is meant
	// escaped: the text had an escape in it, which it may have inside the root alone.
	escaped bool
	// closes: the tag that was read last ends its element, too.
	closes bool
}

// A mark is what a scanner is at.
type mark int

const (
	lastMark mark = iota // the document is over
	startMark
	endMark
	textMark
	declarationMark
	commentMark
)

var errMalformed = errors.New("not well-formed") // never with what is: that is somebody's message

// xmlText reports whether b is UTF-8 of characters that XML has (XML 1.0, 2.2).
func xmlText(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\t' && c != '\n' && c != '\r' {
			return false
		}
	}
	return utf8.Valid(b) && !bytes.Contains(b, []byte("\ufffe")) && !bytes.Contains(b, []byte("\uffff"))
}

// next goes to the next mark.
func (s *scanner) next() error {
	if s.closes {
		s.closes = false
		s.mark = endMark
		return nil
	}
	rest := s.s[s.at:]
	switch {
	case rest == "":
		s.mark = lastMark
		return nil
	case rest[0] != '<':
		return s.readText(rest)
	case strings.HasPrefix(rest, "</"):
		return s.readEnd()
	case strings.HasPrefix(rest, "<?"):
		return s.readDeclaration()
	case strings.HasPrefix(rest, "<!"):
		return s.readComment(rest)
	}
	return s.readStart()
}

func (s *scanner) readText(rest string) error {
	if end := strings.IndexByte(rest, '<'); end >= 0 {
		rest = rest[:end]
	}
	if strings.Contains(rest, "]]>") {
		return errMalformed
	}
	text, ok := unescape(rest)
	if !ok {
		return errMalformed
	}
	s.mark, s.text, s.escaped = textMark, text, strings.IndexByte(rest, '&') >= 0
	s.at += len(rest)
	return nil
}

func (s *scanner) readEnd() error {
	s.at += len("</")
	name, ok := s.name()
	s.space()
	if !ok || !s.skip(">") {
		return errMalformed
	}
	s.mark, s.tag.Name = endMark, name
	return nil
}

func (s *scanner) readStart() error {
	s.at += len("<")
	name, ok := s.name()
	if !ok {
		return errMalformed
	}
	s.mark, s.tag.Name, s.tag.Attr = startMark, name, s.tag.Attr[:0]
	for {
		spaced := s.space()
		switch {
		case s.skip(">"):
			return nil
		case s.skip("/>"):
			s.closes = true
			return nil
		case !spaced:
			return errMalformed
		}
		a, ok := s.attribute()
		if !ok {
			return errMalformed
		}
		s.tag.Attr = append(s.tag.Attr, a)
	}
}

// readDeclaration reads the XML declaration (XML 1.0, 2.8): at the beginning, of version 1.0, and in UTF-8.
func (s *scanner) readDeclaration() error {
	if s.at != 0 || !s.skip("<?xml") {
		return errMalformed
	}
	done := "" // no further than this, in the order that they have
	for spaced := s.space(); !s.skip("?>"); spaced = s.space() {
		a, ok := s.attribute()
		if !ok || !spaced || a.Name.Space != "" {
			return errMalformed
		}
		switch name, value := a.Name.Local, a.Value; {
		case name == "version" && done == "" && value == "1.0":
		case name == "encoding" && done == "version" && strings.EqualFold(value, "utf-8"):
		case name == "standalone" && (done == "version" || done == "encoding") && (value == "yes" || value == "no"):
		default:
			return errMalformed
		}
		done = a.Name.Local
	}
	if done == "" {
		return errMalformed
	}
	s.mark = declarationMark
	return nil
}

func (s *scanner) readComment(rest string) error {
	inside, ok := strings.CutPrefix(rest, "<!--")
	_, after, ended := strings.Cut(inside, "--")
	if !ok || !ended || !strings.HasPrefix(after, ">") {
		return errMalformed
	}
	s.mark, s.at = commentMark, len(s.s)-len(after)+len(">")
	return nil
}

// attribute reads a name, an equals sign, and a value in quotes.
func (s *scanner) attribute() (xml.Attr, bool) {
	name, ok := s.name()
	s.space()
	if !ok || !s.skip("=") {
		return xml.Attr{}, false
	}
	s.space()
	rest := s.s[s.at:]
	if rest == "" || rest[0] != '"' && rest[0] != '\'' {
		return xml.Attr{}, false
	}
	end := strings.IndexByte(rest[1:], rest[0])
	if end < 0 {
		return xml.Attr{}, false
	}
	value := rest[1 : 1+end]
	s.at += len(value) + 2
	if strings.IndexByte(value, '<') >= 0 {
		return xml.Attr{}, false
	}
	value, ok = unescape(value)
	return xml.Attr{Name: name, Value: value}, ok
}

// name reads a name, with one prefix or none.
func (s *scanner) name() (xml.Name, bool) {
	begin := s.at
	for s.at < len(s.s) && (isNameByte(s.s[s.at]) || s.s[s.at] == ':') {
		s.at++
	}
	space, local, prefixed := strings.Cut(s.s[begin:s.at], ":")
	if !prefixed {
		return xml.Name{Local: space}, isName(space)
	}
	return xml.Name{Space: space, Local: local}, isName(space) && isName(local)
}

// space skips it, and reports whether there was any.
func (s *scanner) space() bool {
	begin := s.at
	for s.at < len(s.s) && isSpace(s.s[s.at]) {
		s.at++
	}
	return s.at > begin
}

func (s *scanner) skip(token string) bool {
	if !strings.HasPrefix(s.s[s.at:], token) {
		return false
	}
	s.at += len(token)
	return true
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// isName reports whether s is a name without a colon, of the letters that all readers agree on.
func isName(s string) bool {
	for i := range len(s) {
		if !isNameByte(s[i]) || i == 0 && (s[i] == '-' || s[i] == '.' || s[i] >= '0' && s[i] <= '9') {
			return false
		}
	}
	return s != ""
}

func isNameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '.'
}
