package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/orgate/orgate/tenancy"
)

// A listing is how a list is printed, and which part of it.
type listing struct {
	json, ids bool
	limit     int
	after     string
}

// maxLines is how many things one list has at the most.
const maxLines = 10_000

func (l *listing) flags(c *cobra.Command) {
	c.Flags().BoolVar(&l.json, "json", false, "as JSON, a thing a line, as the API shows it")
	c.Flags().BoolVar(&l.ids, "ids", false, "the ids alone, one a line")
	c.Flags().IntVar(&l.limit, "limit", 1000, fmt.Sprintf("how many, up to %d", maxLines))
	c.Flags().StringVar(&l.after, "after", "", "go on behind this id")
	c.MarkFlagsMutuallyExclusive("json", "ids")
}

func (l *listing) args(v url.Values) url.Values {
	v.Set("limit", strconv.Itoa(l.limit))
	v.Set("after", l.after)
	switch {
	case l.json:
		v.Set("as", "json")
	case l.ids:
		v.Set("as", "ids")
	}
	return v
}

// A printer prints a list for whoever asked.
type printer struct {
	from  tenancy.Place
	limit int
	as    string
	out   strings.Builder
	table *tabwriter.Writer
	n     int
	last  string // the id of the last thing
	more  bool
	err   error
}

func newPrinter(args url.Values) (*printer, error) {
	limit, err := strconv.Atoi(args.Get("limit"))
	if err != nil || limit < 1 || limit > maxLines {
		return nil, fmt.Errorf("--limit: want 1 to %d", maxLines)
	}
	p := &printer{from: tenancy.Place{Past: args.Get("after")}, limit: limit, as: args.Get("as")}
	p.table = tabwriter.NewWriter(&p.out, 0, 0, 2, ' ', 0)
	return p, nil
}

// full reports whether one thing more is one too many.
func (p *printer) full() bool {
	p.more = p.n == p.limit
	return p.more
}

// add adds a thing: an object for programs, cells for people, of which the first is its id.
func (p *printer) add(object any, cells ...string) {
	p.n++
	p.last = cells[0]
	switch p.as {
	case "json":
		b, err := json.Marshal(object)
		if err != nil && p.err == nil {
			p.err = err
		}
		p.out.Write(append(b, '\n'))
	case "ids":
		p.out.WriteString(p.last + "\n")
	default:
		for i, c := range cells { // a name must not look like another cell, or another line
			cells[i] = strings.Map(func(r rune) rune {
				if r < ' ' || r == 0x7f {
					return ' '
				}
				return r
			}, c)
			if cells[i] == "" {
				cells[i] = "-"
			}
		}
		fmt.Fprintln(p.table, strings.Join(cells, "\t"))
	}
}

func (p *printer) done() (string, error) {
	if err := p.table.Flush(); err != nil {
		return "", err
	}
	if p.more && p.as == "" {
		fmt.Fprintf(&p.out, "and more: --after %s\n", p.last)
	}
	return p.out.String(), p.err
}
