package api

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	defaultLimit = 10
	maxLimit     = 100
	// maxQuery and maxValues are more than anybody asks for in earnest.
	maxQuery  = 8 << 10
	maxValues = 100
)

// A query is the parameters of a request. Whoever reads one takes it out; what is left at the end
// nobody knows, and is refused: a filter that is misspelt must not list everything.
type query struct {
	values url.Values
	faults []Fault
}

func parseQuery(raw string) *query {
	q := &query{values: url.Values{}}
	if len(raw) > maxQuery {
		q.fault("invalid", "", "the query is too long")
		return q
	}
	values, err := url.ParseQuery(raw)
	if err != nil {
		q.fault("invalid", "", "the query is not well-formed")
		return q
	}
	q.values = values
	return q
}

func (q *query) fault(code, field, message string) {
	q.faults = append(q.faults, Fault{code, field, message})
}

// text returns a parameter that may be given once; ok is false if it is not. An empty one is
// not given: so do SDKs write what is undefined.
func (q *query) text(name string) (s string, ok bool) {
	all, given := q.values[name]
	delete(q.values, name)
	if !given {
		return "", false
	}
	if len(all) > 1 {
		q.fault("invalid", name, name+" must be given once")
		return "", false
	}
	return all[0], all[0] != ""
}

// texts returns a parameter that is a list: name=a,b, name=a&name=b or name[]=a&name[]=b. It is not nil if
// the parameter is given, so that an empty list is not the same as none.
func (q *query) texts(name string) []string {
	var list []string
	for _, key := range []string{name, name + "[]"} {
		for _, v := range q.values[key] {
			for s := range strings.SplitSeq(v, ",") {
				if s = strings.TrimSpace(s); s != "" && !slices.Contains(list, s) {
					list = append(list, s)
				}
			}
			if list == nil {
				list = []string{}
			}
		}
		delete(q.values, key)
	}
	if len(list) > maxValues {
		q.fault("invalid", name, name+" has too many values")
		return nil
	}
	return list
}

// time returns a parameter that is a time, RFC 3339 or a date.
func (q *query) time(name string) time.Time {
	s, ok := q.text(name)
	if !ok {
		return time.Time{}
	}
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil && t.Year() >= 1970 && t.Year() < 10000 {
			return t
		}
	}
	q.fault("invalid", name, name+" must be an ISO 8601 date string")
	return time.Time{}
}

// An order is that of a list, by the time things were made.
type order string

// The orders. In normal, the cursors are those of asc, and what is between them is shown as in desc.
const (
	ascending  order = "asc"
	descending order = "desc"
	normal     order = "normal"
)

// A page is which part of a list is asked for.
type page struct {
	limit         int
	order         order
	before, after string // ids; at most one is not empty
}

// page reads the parameters of a list of things whose ids begin with prefix_.
func (q *query) page(prefix string, fallback order) page {
	p := page{limit: defaultLimit, order: fallback}
	if s, ok := q.text("limit"); ok {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > maxLimit || strconv.Itoa(n) != s {
			q.fault("invalid", "limit", "limit must be a number from 1 to 100")
		} else {
			p.limit = n
		}
	}
	if s, ok := q.text("order"); ok {
		switch o := order(s); o {
		case ascending, descending, normal:
			p.order = o
		default:
			q.fault("invalid", "order", "order must be one of asc, desc, normal")
		}
	}
	p.before, p.after = q.cursor("before", prefix), q.cursor("after", prefix)
	if p.before != "" && p.after != "" {
		q.fault("invalid", "after", "only one of before and after can be given")
	}
	return p
}

// maxID is longer than any id.
const maxID = 64

// cursor reads an id. It is a place in the list, and whether anything of that id is there does not matter:
// so it tells nobody what there is.
func (q *query) cursor(name, prefix string) string {
	s, ok := q.text(name)
	if !ok {
		return ""
	}
	rest, ok := strings.CutPrefix(s, prefix+"_")
	if !ok || rest == "" || len(s) > maxID || strings.ContainsFunc(rest, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z')
	}) {
		q.fault("invalid", name, name+" must be an id that begins with "+prefix+"_")
		return ""
	}
	return s
}

// done returns an error if anything was wrong with the query.
func (q *query) done() error {
	for name := range q.values {
		q.fault("unknown", clip(name), clip(name)+" is not a parameter of this operation")
	}
	if len(q.faults) == 0 {
		return nil
	}
	slices.SortStableFunc(q.faults, func(a, b Fault) int { return strings.Compare(a.Field, b.Field) })
	return invalid(q.faults...)
}

// query returns the parameters of the request.
func (c *call) query() *query { return parseQuery(c.r.URL.RawQuery) }

// noQuery returns an error if there are parameters, of which the operation has none.
func (c *call) noQuery() error { return c.query().done() }
