package main

import (
	"bufio"
	"strings"
	"testing"
	"time"
)

const h2loadSaid = `finished in 3.00s, 30353.50 req/s, 33.58MB/s
requests: 60707 total, 60707 started, 60707 done, 60707 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 60710 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 67.16MB (70420120) total, 10.74MB (11262628) headers (space savings 34.08%), 93.21MB (97736704) data
`

func TestWhatH2loadSaysIsRead(t *testing.T) {
	m, err := readH2load(h2loadSaid)
	if err != nil || m.requests != 60707 || m.perSecond != 30353.5 {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestAnyOtherAnswerThanA2xxIsAnError(t *testing.T) {
	for _, change := range [][2]string{
		{"0 3xx", "1 3xx"},
		{"0 4xx", "1 4xx"},
		{"0 5xx", "1 5xx"},
		{"0 failed", "1 failed"},
		{"0 timeout", "1 timeout"},
		{"60710 2xx", "60706 2xx"},
		{"status codes", "status"},
	} {
		said := strings.Replace(h2loadSaid, change[0], change[1], 1)
		if _, err := readH2load(said); said == h2loadSaid || err == nil {
			t.Errorf("with %s: no error", change[1])
		}
	}
}

func TestTimesOfH2loadAreSorted(t *testing.T) {
	times, err := readH2loadLog(bufio.NewScanner(strings.NewReader("1795712533626196\t200\t1573\n1795712533626197\t200\t687\n")))
	if err != nil || len(times) != 2 || times[0] != 687*time.Microsecond || percentile(times, 0.99) != 1573*time.Microsecond {
		t.Errorf("%v, %v", times, err)
	}
}
