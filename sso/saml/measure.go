package saml

import (
	"bytes"
	"errors"
)

// Bounds of a document. They hold before anything is kept of it.
const (
	maxDepth      = 32
	maxElements   = 10_000
	maxOnElement  = 64     // attributes of one element
	maxAttributes = 20_000 // attributes of all elements, xmlns among them
	maxScopes     = 256    // prefixes that are declared at a time
)

// measure looks at the marks of a document alone, and refuses one that is too deep or too large,
// or that has in it what is not markup of elements, before a parser pays for it.
func measure(b []byte, comments bool) error {
	depth, elements, attributes := 0, 0, 0
	for i := 0; ; {
		next := bytes.IndexByte(b[i:], '<')
		if next < 0 {
			return nil
		}
		i += next + 1
		rest := b[i:]
		switch {
		case bytes.HasPrefix(rest, []byte("?")):
			// The XML declaration, and only where it belongs; <?xml-stylesheet is none.
			end := bytes.Index(rest, []byte("?>"))
			if i != 1 || end < 0 || !bytes.HasPrefix(rest, []byte("?xml ")) {
				return errors.New("a processing instruction")
			}
			i += end
		case bytes.HasPrefix(rest, []byte("!--")):
			end := bytes.Index(rest[3:], []byte("-->"))
			if !comments || end < 0 {
				return errors.New("a comment")
			}
			i += 3 + end
		case bytes.HasPrefix(rest, []byte("![")):
			return errors.New("a CDATA section")
		case bytes.HasPrefix(rest, []byte("!")):
			return errors.New("a DOCTYPE or another declaration")
		case bytes.HasPrefix(rest, []byte("/")):
			depth--
		default:
			here, end := 0, -1
			quote := byte(0)
			for j, c := range rest {
				switch {
				case quote != 0 && c == quote:
					quote = 0
				case c == '<':
					return errors.New("not well-formed: < in a tag")
				case quote != 0:
				case c == '"', c == '\'':
					quote = c
					here++
				case c == '>':
					end = j
				}
				if end >= 0 {
					break
				}
			}
			if end < 0 {
				return errors.New("not well-formed: a tag that does not end")
			}
			elements++
			attributes += here
			if end == 0 || rest[end-1] != '/' {
				depth++
			}
			if here > maxOnElement || attributes > maxAttributes {
				return errors.New("too many attributes")
			}
			if elements > maxElements {
				return errors.New("too many elements")
			}
			if depth > maxDepth {
				return errors.New("elements within elements, too deep")
			}
			i += end
		}
	}
}
