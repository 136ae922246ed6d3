package proxy

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// smuggled is what a smuggled request would be.
func smuggled(cookie string) string {
	return "GET /smuggled HTTP/1.1\r\nHost: " + acmeHost + "\r\nCookie: " + cookie + "\r\n\r\n"
}

// badInput is what no server should take, or what two servers take for different things: with the
// statuses that may be answered, and whether the connection must be closed after the first.
func badInput(cookie string) map[string]struct {
	request string
	status  []int
	keeps   bool // where it ends is beyond doubt, so that the connection may go on
} {
	const host = "Host: " + acmeHost
	head := func(lines ...string) string {
		return strings.Join(append(lines, "Cookie: "+cookie), "\r\n") + "\r\n\r\n"
	}
	const get, post = "GET /a HTTP/1.1", "POST /a HTTP/1.1"
	victim := smuggled(cookie)
	type row = struct {
		request string
		status  []int
		keeps   bool
	}
	return map[string]row{
		// Framing that can be read in two ways: refused, or read in the one way that all agree on, and closed.
		"CL.TE":                         {head(post, host, "Content-Length: 6", "Transfer-Encoding: chunked") + "0\r\n\r\n" + victim, []int{200}, false},
		"TE.CL":                         {head(post, host, "Transfer-Encoding: chunked", "Content-Length: 4") + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(victim), victim), []int{200}, false},
		"TE.TE":                         {head(post, host, "Transfer-Encoding: chunked", "Transfer-Encoding: cow") + "0\r\n\r\n" + victim, []int{400, 501}, false},
		"CL.CL":                         {head(post, host, "Content-Length: 0", fmt.Sprint("Content-Length: ", len(victim))) + victim, []int{400}, false},
		"a coding that is none":         {head(post, host, "Transfer-Encoding: xchunked") + "0\r\n\r\n" + victim, []int{501}, false},
		"a coding after another":        {head(post, host, "Transfer-Encoding: chunked, identity") + "0\r\n\r\n" + victim, []int{501}, false},
		"identity":                      {head(post, host, "Transfer-Encoding: identity") + victim, []int{501}, false},
		"a space before the colon":      {head(post, host, "Transfer-Encoding : chunked") + "0\r\n\r\n" + victim, []int{400}, false},
		"a length with a sign":          {head(post, host, "Content-Length: +5") + "abcde" + victim, []int{400}, false},
		"a negative length":             {head(post, host, "Content-Length: -5") + victim, []int{400}, false},
		"a length in hexadecimal":       {head(post, host, "Content-Length: 0x5") + "abcde" + victim, []int{400}, false},
		"a list of lengths":             {head(post, host, "Content-Length: 5 , 5") + "abcde" + victim, []int{400}, false},
		"a length that is too large":    {head(post, host, "Content-Length: 18446744073709551617") + "a" + victim, []int{400}, false},
		"a length of nothing":           {head(post, host, "Content-Length: ") + victim, []int{400}, false},
		"a chunk size with a sign":      {head(post, host, "Transfer-Encoding: chunked") + "+5\r\nabcde\r\n0\r\n\r\n" + victim, []int{400}, false},
		"a chunk extension, bare LF":    {head(post, host, "Transfer-Encoding: chunked") + "5;a\nabcde\r\n0\r\n\r\n" + victim, []int{400}, false},
		"a chunk longer than it says":   {head(post, host, "Transfer-Encoding: chunked") + "2\r\nabcde\r\n0\r\n\r\n" + victim, []int{400}, false},
		"a folded line":                 {head(get, host, "X-A: b", " Transfer-Encoding: chunked"), []int{200}, true},
		"the first line folded":         {head(get, " X-A: b", host), []int{400}, false},
		"NUL in a value":                {head(get, host, "X-A: \x00"), []int{400}, false},
		"NUL in a name":                 {head(get, host, "X-\x00A: b"), []int{400}, false},
		"a bare CR":                     {head(get, host, "X-A: b\rX-B: c"), []int{400}, false},
		"no name":                       {head(get, host, ": b"), []int{400}, false},
		"no colon":                      {head(get, host, "X-A"), []int{400}, false},
		"a byte beyond ASCII in a name": {head(get, host, "X-\xc3\xb6: b"), []int{400}, false},
		"no host":                       {head(get), []int{400}, false},
		"two hosts":                     {head(get, host, "Host: "+globexHost), []int{400}, false},
		"two equal hosts":               {head(get, host, host), []int{400}, false},
		"an empty host":                 {head(get, "Host:"), []int{400}, true},
		"a host with a path":            {head(get, "Host: "+acmeHost+"/x"), []int{400}, false},
		"an address":                    {head(get, "Host: 127.0.0.1"), []int{400}, true},
		"absolute form, elsewhere":      {head("GET http://nobody.example.com/a HTTP/1.1", host), []int{404}, true},
		"authority form":                {head("CONNECT acme.example.com:443 HTTP/1.1", host), []int{405}, true},
		"asterisk form":                 {head("OPTIONS * HTTP/1.1", host), []int{400}, true},
		"a rootless target":             {head("GET a HTTP/1.1", host), []int{400}, false},
		"two slashes":                   {head("GET //a HTTP/1.1", host), []int{400}, true},
		"a fragment":                    {head("GET /a#b HTTP/1.1", host), []int{400}, true},
		"a control byte in the target":  {head("GET /a\x01 HTTP/1.1", host), []int{400}, false},
		"a space in the target":         {head("GET /a b HTTP/1.1", host), []int{400}, false},
		"HTTP/0.9":                      {"GET /a\r\n\r\n", []int{400}, false},
		"HTTP/1.0":                      {head("GET /a HTTP/1.0", host), []int{200}, false},
		"HTTP/1.0 and chunks":           {head("POST /a HTTP/1.0", host, "Transfer-Encoding: chunked") + "0\r\n\r\n" + victim, []int{200}, false},
		"HTTP/2.0":                      {head("GET /a HTTP/2.0", host), []int{505}, false},
		"HTTP/1.10":                     {head("GET /a HTTP/1.10", host), []int{400}, false},
		"no version":                    {head("GET /a ", host), []int{400}, false},
		"a method that is no token":     {head("G(T /a HTTP/1.1", host), []int{400}, false},
		"TRACE":                         {head("TRACE /a HTTP/1.1", host), []int{405}, true},
		"an expectation":                {head(post, host, "Expect: miracles", "Content-Length: 0"), []int{417}, false},
		"100,000 fields":                {head(slices.Concat([]string{get, host}, slices.Repeat([]string{"X: y"}, 100_000))...), []int{431}, false},
		"a field of 1 MB":               {head(get, host, "X-A: "+strings.Repeat("a", 1<<20)), []int{431}, false},
		"a target of 1 MB":              {head("GET /"+strings.Repeat("a", 1<<20)+" HTTP/1.1", host), []int{431}, false},
		"TLS":                           {"\x16\x03\x01\x00\x05hello\r\n\r\n", []int{400}, false},
		"nothing but lines":             {strings.Repeat("\r\n", 100), []int{400}, false},

		"a tab before the colon":  {head(post, host, "Transfer-Encoding\t: chunked") + "0\r\n\r\n" + victim, []int{400}, false},
		"a coding after a tab":    {head(post, host, "Transfer-Encoding:\tchunked") + "0\r\n\r\n", []int{200}, true},
		"a line folded by a tab":  {head(get, host, "X-A: b", "\tTransfer-Encoding: chunked"), []int{200}, true},
		"CL.TE in lower case":     {head(post, host, "content-length: 6", "transfer-encoding: chunked") + "0\r\n\r\n" + victim, []int{200}, false},
		"CL.CL in lower case":     {head(post, host, "content-length: 0", fmt.Sprint("content-length: ", len(victim))) + victim, []int{400}, false},
		"two hosts in lower case": {head(get, "host: "+acmeHost, "host: "+globexHost), []int{400}, false},
		"a good chunk extension":  {head(post, host, "Transfer-Encoding: chunked") + "5;a=b\r\nabcde\r\n0;c\r\n\r\n", []int{200}, true},
		// It costs as much to read as a body does, and no limit on bodies counts it.
		"a flood of chunk extensions": {head(post, host, "Transfer-Encoding: chunked") + strings.Repeat("1;"+strings.Repeat("a", 2000)+"\r\nx\r\n", 200) + "0\r\n\r\n" + victim, []int{400}, false},

		// The buffer of the fast path has 32 KiB, the limit is at 48, and net/http adds 4.
		"a head of 30 KiB": {head(get, host, "X-A: "+strings.Repeat("a", 30<<10)), []int{200}, true},
		"a head of 40 KiB": {head(get, host, "X-A: "+strings.Repeat("a", 40<<10)), []int{200}, true},
		"a head of 47 KiB": {head(get, host, "X-A: "+strings.Repeat("a", 47<<10)), []int{200}, true},
		"a head of 60 KiB": {head(get, host, "X-A: "+strings.Repeat("a", 60<<10)), []int{431}, false},
	}
}

func TestBadInputIsRefusedOnBothWaysAndSmugglesNothing(t *testing.T) {
	s := newStage(t)
	_, c := s.jo()
	rows := badInput(c)
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		row := rows[name]
		t.Run(name, func(t *testing.T) {
			for way, addr := range map[string]string{"net/http": s.slow, "the fast path": s.fast} {
				// Also after a request that is served: the connection is not a new one then.
				end := smuggled(c)
				if row.keeps { // and it goes on to its end
					end = strings.Replace(end, "Cookie:", "Connection: close\r\nCookie:", 1)
				}
				for _, before := range []string{"", "GET /before HTTP/1.1\r\nHost: " + acmeHost + "\r\nCookie: " + c + "\r\n\r\n"} {
					statuses, closed := s.talk(addr, before+row.request+end)
					if before != "" {
						if len(statuses) == 0 || statuses[0] != 200 {
							t.Fatalf("%s: before it: %v", way, statuses)
						}
						statuses = statuses[1:]
					}
					t.Log(way, statuses, closed)
					first := 0
					if len(statuses) > 0 {
						first = statuses[0]
					}
					if !slices.Contains(row.status, first) {
						t.Errorf("%s: %v, want %v", way, statuses, row.status)
					}
					s.mu.Lock()
					if s.sent["/smuggled"] != nil && !row.keeps {
						t.Errorf("%s: what comes after it is taken for a request: %v", way, statuses)
					}
					delete(s.sent, "/smuggled")
					s.mu.Unlock()
					if !row.keeps && (!closed || len(statuses) > 1) {
						t.Errorf("%s: closed: %v, after %v", way, closed, statuses)
					}
				}
			}
		})
	}
}

// talk sends bytes and returns the statuses of what is answered until the
// connection is closed.
func (s *stage) talk(addr, request string) (statuses []int, closed bool) {
	s.t.Helper()
	c, err := (&net.Dialer{}).DialContext(s.t.Context(), "tcp", addr)
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Second))
	go func() {
		io.WriteString(c, request) // it may be refused in the middle of it
	}()
	var all bytes.Buffer
	_, err = io.Copy(&all, c)
	br := bufio.NewReader(&all)
	for {
		res, e := http.ReadResponse(br, nil)
		if e != nil {
			break
		}
		io.Copy(io.Discard, res.Body)
		res.Body.Close()
		statuses = append(statuses, res.StatusCode)
	}
	ne, timeout := err.(net.Error) //nolint:errorlint // as it comes from a connection
	return statuses, !timeout || !ne.Timeout()
}
