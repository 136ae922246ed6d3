package api

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// FuzzAPageIsAPartOfTheListWhateverTheQuery: a query is refused, or the page is a run of the list of no more
// than the limit, next to its cursor, in the order asked for, and its cursors lead to what is beside it.
func FuzzAPageIsAPartOfTheListWhateverTheQuery(f *testing.F) {
	for _, s := range []string{"", "limit=3", "order=asc&limit=2&after=x_03", "order=normal&before=x_05", "limit=0", "a=%zz", "limit=1&limit=2", "after=x_99&order=desc", "before=x_", "events=a,b&events[]=c"} {
		f.Add(s)
	}
	var list []string
	for i := range 12 {
		list = append(list, fmt.Sprintf("x_%02d", 2*i+1))
	}
	src := inMemory(list, func(s string) string { return s })
	f.Fuzz(func(t *testing.T, raw string) {
		q := parseQuery(raw)
		q.texts("events")
		p := q.page("x", descending)
		if err := q.done(); err != nil {
			return
		}
		if p.limit < 1 || p.limit > maxLimit || p.before != "" && p.after != "" {
			t.Fatalf("%q: %+v", raw, p)
		}
		e, err := listPage(p, src, func(s string) (string, error) { return s, nil })
		if err != nil {
			t.Fatal(err)
		}
		shown := slices.Clone(list)
		if p.order != ascending {
			slices.Reverse(shown)
		}
		behind, inFront := p.after, p.before
		if p.order == normal {
			behind, inFront = inFront, behind
		}
		less := func(a, b string) bool { // a is in front of b
			if p.order == ascending {
				return a < b
			}
			return a > b
		}
		var want []string
		for _, x := range shown {
			if (behind == "" || less(behind, x)) && (inFront == "" || less(x, inFront)) {
				want = append(want, x)
			}
		}
		if inFront != "" {
			want = want[max(0, len(want)-p.limit):]
		} else {
			want = want[:min(len(want), p.limit)]
		}
		if !slices.Equal(e.Data, want) {
			t.Fatalf("%q: %q, want %q", raw, e.Data, want)
		}
		if len(want) == 0 {
			return
		}
		next, prev := e.Metadata.After, e.Metadata.Before
		if p.order == normal {
			next, prev = prev, next
		}
		if (next != nil) != (want[len(want)-1] != shown[len(shown)-1]) || (prev != nil) != (want[0] != shown[0]) {
			t.Fatalf("%q: %q with next %v, previous %v", raw, want, next, prev)
		}
	})
}

// FuzzABodyIsWhatPackageJSONReadsOrRefused: what is taken has no name twice, and is the same to another reader.
func FuzzABodyIsWhatPackageJSONReadsOrRefused(f *testing.F) {
	for _, s := range []string{"", "{}", `{"a":"b"}`, `{"a":1,"a":2}`, `{"a":[{"b":null}]}`, "[]", `{"a":1e400}`, "{\"\\ud800\":1}", `{"a":{"a":{}}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		b, err := parseBody(raw)
		if err != nil || len(strings.TrimSpace(string(raw))) == 0 {
			return
		}
		var other map[string]any
		d := json.NewDecoder(strings.NewReader(string(raw)))
		d.UseNumber()
		if err := d.Decode(&other); err != nil {
			t.Fatalf("%q was taken: %v", raw, err)
		}
		x, err1 := json.Marshal(b.fields)
		y, err2 := json.Marshal(other)
		if err1 != nil || err2 != nil || string(x) != string(y) {
			t.Fatalf("%q is %s, and to another %s", raw, x, y)
		}
		b.required("a")
		b.text("b")
		b.metadata()
		_ = b.done(b.objects("c")...)
	})
}

func FuzzAParameterThatNobodyKnowsIsRefused(f *testing.F) {
	f.Add("a=%00&limit=")
	f.Fuzz(func(t *testing.T, raw string) {
		q := parseQuery(raw)
		q.time("range_start")
		_, _ = q.text("a")
		if values, err := url.ParseQuery(raw); err == nil && len(raw) <= maxQuery {
			left := 0
			for k := range values {
				if k != "range_start" && k != "a" {
					left++
				}
			}
			if left > 0 && q.done() == nil {
				t.Fatalf("%q has parameters that nobody knows, and was taken", raw)
			}
		}
	})
}
