package proxy

import (
	"regexp"
	"strings"
)

// An account is what is said of one request, without what two of the same differ in.
type account struct {
	Observation
	line string // of the access log
}

// account returns what was said after the first n requests, of the one that came then.
func (s *stage) account(n int) account {
	s.t.Helper()
	var lines []string
	s.eventually("it is told to the observer and the log", func() bool {
		lines = accessLines(s.log.String())
		return s.seen.len() > n && len(lines) > n
	})
	s.seen.mu.Lock()
	defer s.seen.mu.Unlock()
	if len(s.seen.all) != n+1 || len(lines) != n+1 {
		s.t.Fatalf("of one request the observer is told %d times, and the log %d", len(s.seen.all)-n, len(lines)-n)
	}
	a := account{s.seen.all[n], ofNow.ReplaceAllString(lines[n], "$1=...")}
	a.Took, a.Fast = 0, false
	return a
}

// ofNow is what no two lines have in common.
var ofNow = regexp.MustCompile(`\b(time|duration|request_id)=\S+`)

// accessLines are the lines of an access log in what was logged.
func accessLines(log string) (lines []string) {
	for line := range strings.Lines(log) {
		if strings.Contains(line, " msg=request ") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// unmeasured is an account of an answer of which it is chance how much was passed on.
func (a account) unmeasured() account {
	a.line = bytesOf.ReplaceAllString(a.line, "bytes=...")
	return a
}

var bytesOf = regexp.MustCompile(`\bbytes=\d+`)
