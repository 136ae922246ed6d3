package page

import (
	"mime"
	"net/http"
	"strconv"
	"strings"
)

// maxAccept is how much of the Accept header is read; browsers send about 150 bytes.
const maxAccept = 2048

// WantsHTML reports whether r asks for a page: it names HTML, and likes it no less than
// JSON. Browsers do when they navigate. "*/*", which is what fetch and curl send, and no
// Accept at all do not count: whoever says nothing is a program.
func WantsHTML(r *http.Request) bool {
	return prefersHTML(strings.Join(r.Header.Values("Accept"), ","))
}

func prefersHTML(accept string) bool {
	accept = accept[:min(len(accept), maxAccept)]
	var html, json preference
	for item := range strings.SplitSeq(accept, ",") {
		kind, params, err := mime.ParseMediaType(item)
		if err != nil {
			continue
		}
		q := 1.0
		if s, ok := params["q"]; ok {
			q, err = strconv.ParseFloat(s, 64)
			if err != nil || !(q >= 0 && q <= 1) { // NaN too
				continue
			}
		}
		switch kind {
		case "text/html":
			html.learn(2, q)
		case "text/*":
			html.learn(1, q)
		case "application/json", "application/problem+json":
			json.learn(2, q)
		case "application/*":
			json.learn(1, q)
		}
	}
	return html.q > 0 && html.q >= json.q
}

// A preference is how much one kind is wanted, as the most specific item says; of
// equally specific ones, the one that wants it most.
type preference struct {
	specific int
	q        float64
}

func (p *preference) learn(specific int, q float64) {
	if specific > p.specific || specific == p.specific && q > p.q {
		*p = preference{specific, q}
	}
}
