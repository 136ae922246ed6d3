package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// A subject is a proxy in front of the upstream, and what is asked of it.
type subject struct {
	endpoint
	name   string
	scheme string // http, if it is empty
	path   string
	host   string // the header; empty: the address
	cookie string // the header; empty: none
	load   load

	samples []sample
}

// A load is what puts a subject under load for some seconds.
type load func(ctx context.Context, s *subject, seconds int) (sample, error)

// A sample is one measurement of a subject.
type sample struct {
	perSecond float64
	p50, p99  time.Duration
	requests  float64
	cpu       float64 // seconds per 1000 requests
	// What a request allocates, by the process's own metrics.
	bytes, objects float64
}

// url is where its answers come from.
func (s *subject) url() string {
	if s.scheme == "" {
		return "http://" + s.address + s.path
	}
	return s.scheme + "://" + s.address + s.path
}

func (s *subject) series(of func(sample) float64) series {
	var out series
	for _, m := range s.samples {
		out = append(out, of(m))
	}
	return out
}

func cpu(m sample) float64       { return m.cpu }
func perSecond(m sample) float64 { return m.perSecond }
func millis50(m sample) float64  { return float64(m.p50) / 1e6 }
func bytesEach(m sample) float64 { return m.bytes }
func objects(m sample) float64   { return m.objects }
func millis99(m sample) float64  { return float64(m.p99) / 1e6 }

// interleave measures the subjects in turn, round by round. Each is warmed up first, which
// also finds out early what does not work.
func interleave(ctx context.Context, subjects []*subject, rounds, seconds int) error {
	for _, s := range subjects {
		if _, err := s.measure(ctx, 1); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	for round := range rounds {
		for _, s := range subjects {
			m, err := s.measure(ctx, seconds)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			s.samples = append(s.samples, m)
			progress("round %d  %-44s %8.0f req/s  %.4f CPU s per 1000", round+1, s.name, m.perSecond, m.cpu)
		}
	}
	return nil
}

// progress says how far it has come, where it is not in the way of the tables.
func progress(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

// measure puts the subject under its load. It is an error if anything but the upstream's
// answers came of it.
func (s *subject) measure(ctx context.Context, seconds int) (sample, error) {
	if err := s.probe(ctx); err != nil {
		return sample{}, err
	}
	own, err := s.own(ctx)
	if err != nil {
		return sample{}, err
	}
	before := s.process.cpu()
	m, err := s.load(ctx, s, seconds)
	if err := errors.Join(s.process.alive(), err); err != nil {
		return sample{}, err
	}
	m.cpu = (s.process.cpu() - before).Seconds() / m.requests * 1000
	after, err := s.own(ctx)
	if err == nil {
		err = after.strayed(own)
	}
	m.bytes, m.objects = (after.bytes-own.bytes)/m.requests, (after.objects-own.objects)/m.requests
	return m, err
}

// probe asks once, and compares the answer with the upstream's.
func (s *subject) probe(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url(), http.NoBody)
	if err != nil {
		return err
	}
	req.Host = s.host
	if s.cookie != "" {
		req.Header.Set("Cookie", s.cookie)
	}
	t := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} // its certificate was made up here
	resp, err := t.RoundTrip(req)
	if err != nil {
		return errors.Join(err, s.process.alive())
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if want := lengths()[path.Base(s.path)]; err == nil && (resp.StatusCode != http.StatusOK || len(body) != want) {
		err = fmt.Errorf("answered %s with %s and %d bytes, where 200 and %d were expected: %.300s", s.url(), resp.Status, len(body), want, body)
	}
	return err
}

// own is what orgate says of itself since its start.
type own struct {
	strays         float64 // requests that were answered with anything but a 2xx
	bytes, objects float64 // allocated
}

// strayed returns an error if there were strays since then.
func (o own) strayed(since own) error {
	if o.strays == since.strays {
		return nil
	}
	return fmt.Errorf("%v of its answers were no 2xx, by its own metrics", o.strays-since.strays)
}

// own asks for the metrics of orgate; of anything else there are none.
func (s *subject) own(ctx context.Context) (o own, err error) {
	if s.management == "" {
		return o, nil
	}
	metrics, err := fetch(ctx, "http://"+s.management+"/metrics")
	if err != nil {
		return o, err
	}
	for pattern, sum := range map[string]*float64{
		`(?m)^orgate_requests_total\{.*status="[^2].*\} (\S+)$`: &o.strays,
		`(?m)^go_memstats_alloc_bytes_total (\S+)$`:             &o.bytes,
		`(?m)^go_memstats_mallocs_total (\S+)$`:                 &o.objects,
	} {
		found := regexp.MustCompile(pattern).FindAllStringSubmatch(string(metrics), -1)
		if len(found) == 0 && sum != &o.strays {
			return o, fmt.Errorf("its metrics have no %s", pattern)
		}
		for _, m := range found {
			v, err := strconv.ParseFloat(m[1], 64)
			if err != nil {
				return o, err
			}
			*sum += v
		}
	}
	return o, nil
}

// fetch returns what is at the URL.
func fetch(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", url, resp.Status)
	}
	return b, err
}

// A reference is what CPU is compared with: a column of a table.
type reference struct {
	title string
	of    *subject
}

// table prints medians, and ratios of CPU taken round by round.
func table(title, form string, subjects []*subject, references ...reference) {
	fmt.Printf("\n## %s\n\n%s\n\n| subject | req/s | p50 | p99 | CPU s per 1000 |", title, form)
	for _, r := range references {
		fmt.Printf(" CPU ÷ %s |", r.title)
	}
	fmt.Printf(" memory (PSS) |\n|---|---|---|---|---|%s---|\n", strings.Repeat("---|", len(references)))
	for _, s := range subjects {
		fmt.Printf("| %s | %.0f | %.2f ms | %.2f ms | %.4f |", s.name, s.series(perSecond).median(), s.series(millis50).median(), s.series(millis99).median(), s.series(cpu).median())
		for _, r := range references {
			if r.of == s {
				fmt.Print(" 1.00 |")
			} else {
				fmt.Printf(" %s |", s.series(cpu).over(r.of.series(cpu)).show("%.2f"))
			}
		}
		fmt.Printf(" %d MiB |\n", s.process.pss()>>20)
	}
}

// form says how it was measured.
func (b *bench) form(how string) string { return rounds(b.rounds, b.seconds, how) }

func rounds(n, seconds int, how string) string {
	return fmt.Sprintf("%d rounds of %d s, %s; medians, ratios round by round (min–max).", n, seconds, how)
}
