package proxy

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/orgate/orgate/policy"
)

// A stage is a world with an app that is told what to answer, byte for byte, and keeps what it
// was sent; and with two ways to it: one with the fast path, and net/http alone.
type stage struct {
	*world
	fast, slow string // addresses
	seen       *sightings

	mu     sync.Mutex
	script map[string]string // by path
	sent   map[string][]byte // by path, what came last
	told   []string          // all that came, in short
}

// sightings are what the observer saw.
type sightings struct {
	mu  sync.Mutex
	all []Observation
}

func (s *sightings) Observe(o Observation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, o)
}

// fast is how many requests were served on the fast path.
func (s *sightings) fast() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.all {
		if o.Fast {
			n++
		}
	}
	return n
}

func (s *sightings) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.all)
}

// cut ends an answer with the connection.
const cut = "\x00cut"

// accepting has serve called with each connection to the address, for as long as the test goes on.
func accepting(t testing.TB, serve func(net.Conn)) (address string) {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go serve(c)
		}
	}()
	return ln.Addr().String()
}

func newStage(t testing.TB, changes ...change) *stage {
	s := &stage{script: map[string]string{}, sent: map[string][]byte{}, seen: &sightings{}}
	address := accepting(t, s.play)
	s.world = newWorld(t, append([]change{func(o *Options) {
		o.Apps[0].Upstream = &url.URL{Scheme: "http", Host: address}
		o.Observer, o.SlowPath = s.seen, false
	}}, changes...)...)
	s.fast = s.server.Listener.Addr().String()
	bare := httptest.NewUnstartedServer(nil)
	bare.Config = Server(s.proxy, ServerLimits{}, s.options.Logger)
	bare.Start()
	t.Cleanup(bare.Close)
	s.slow = bare.Listener.Addr().String()
	return s
}

// play answers on one connection.
func (s *stage) play(c net.Conn) {
	defer c.Close()
	var raw bytes.Buffer
	br := bufio.NewReaderSize(c, 1<<20)
	for {
		raw.Reset()
		r, err := http.ReadRequest(bufio.NewReader(io.TeeReader(oneByOne{br}, &raw)))
		if err != nil {
			return
		}
		body, err := io.ReadAll(r.Body)
		s.mu.Lock()
		s.sent[r.URL.Path] = bytes.Clone(raw.Bytes())
		if err == nil { // half a request is none, and may come when nobody waits for it any more
			s.told = append(s.told, r.Method+" "+r.RequestURI+" "+string(body))
		}
		answer, ok := s.script[r.URL.Path]
		s.mu.Unlock()
		if !ok {
			answer = fmt.Sprintf("HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: %d\r\n\r\n%s", len(r.URL.Path)+len(body), r.URL.Path+string(body))
		}
		answer, cutOff := strings.CutSuffix(answer, cut)
		if _, err := io.WriteString(c, answer); err != nil || cutOff {
			return
		}
	}
}

// oneByOne reads so that nothing is read ahead.
type oneByOne struct{ io.Reader }

func (r oneByOne) Read(p []byte) (int, error) { return r.Reader.Read(p[:min(1, len(p))]) }

// ask sends bytes to an address and returns all that comes back until the connection is closed.
func (s *stage) ask(addr, request string) string {
	s.t.Helper()
	c, err := (&net.Dialer{}).DialContext(s.t.Context(), "tcp", addr)
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(c, request); err != nil {
		s.t.Fatal(err)
	}
	b, err := io.ReadAll(c)
	if err != nil && len(b) == 0 {
		return "nothing: " + err.Error()
	}
	return string(b)
}

// normal is an answer, or a request, with what differs between two of the same taken out, and its
// fields in order.
func normal(text string) string {
	head, rest, ok := strings.Cut(text, "\r\n\r\n")
	if !ok {
		return text
	}
	lines := strings.Split(head, "\r\n")
	for i, line := range lines {
		switch name, value, _ := strings.Cut(line, ": "); name {
		case "Date": // that of now; the app's stays as it is
			if at, err := http.ParseTime(value); err == nil && time.Since(at).Abs() < time.Minute {
				lines[i] = name + ": now"
			}
		case "X-Request-Id", "X-Orgate-Jwt-Assertion":
			lines[i] = name + ": ..."
		}
	}
	slices.SortStableFunc(lines[1:], func(a, b string) int {
		a, _, _ = strings.Cut(a, ":")
		b, _, _ = strings.Cut(b, ":")
		return strings.Compare(a, b)
	})
	head = strings.Join(lines, "\r\n") + "\r\n\r\n"
	if strings.HasPrefix(head, "HTTP/1.1 1") { // an interim answer
		return head + normal(rest)
	}
	attempt := regexp.MustCompile(`attempt(_|=)[^;&"]+`) // there is a new one each time
	return attempt.ReplaceAllString(head, "attempt=...") + withoutID(attempt.ReplaceAllString(rest, "attempt=..."))
}

// Each of these is served on both ways, and neither the app nor the client can tell which it was.
func TestBothWaysAreOneToTheAppAndToTheClient(t *testing.T) {
	s := newStage(t, func(o *Options) {
		for path, when := range map[string]string{"/when/**": `member.role == "admin" && request.method == "GET"`, "/unheard/**": `member.attributes.seniority == "staff"`} {
			r, err := policy.RuleSpec{Path: path, When: when}.Compile()
			if err != nil {
				t.Fatal(err)
			}
			o.Apps[0].Rules = append(o.Apps[0].Rules, r)
		}
	})
	_, c := s.jo()
	admin := s.person("ann@acme.com", s.acme.ID, "admin").at(acmeHost, s.acme.ID)
	by := func(cookie, request string) string { return strings.ReplaceAll(request, c, cookie) }
	get := func(path string, lines ...string) string {
		return "GET " + path + " HTTP/1.1\r\nHost: " + acmeHost + "\r\n" + strings.Join(append(lines, "Cookie: "+c, "Connection: close"), "\r\n") + "\r\n\r\n"
	}
	post := func(method, path, body string, lines ...string) string {
		return method + " " + path + " HTTP/1.1\r\nHost: " + acmeHost + "\r\n" + strings.Join(append(lines, "Cookie: "+c, "Connection: close", fmt.Sprintf("Content-Length: %d", len(body))), "\r\n") + "\r\n\r\n" + body
	}
	const ok = "HTTP/1.1 200 OK\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\n"
	large := strings.Repeat("0123456789abcdef", 20_000)
	type row struct {
		request, answer string
		other           bool // it is net/http's on both ways
		reframed        bool // net/http counts a short body that came in chunks
		torn            bool // the answer is cut off, and it is chance how much of it comes
		status          int  // of the answer; 0: 200
	}
	table := map[string]row{
		"a request with all that browsers send": {request: get("/a/b%20c?q=%2F&r", "User-Agent: Mozilla/5.0", "Accept: text/html", "accept-language: de", "ACCEPT-ENCODING: gzip, br", "Referer: https://acme.example.com/x", "If-None-Match: W/\"x\"", "Sec-Fetch-Site: same-origin", "DNT: 1", "Cache-Control: no-cache", "Pragma: no-cache")},
		"fields that come twice":                {request: get("/twice", "Accept: a", "accept: b", "Cookie: x=y; __Host-orgate_other=z", "X-A: 1", "x-a: 2", "Cookie: theme=dark")},
		"fields that only we may say":           {request: get("/forged", "X-Org-Role: admin", "x-user-id: u", "X-Forwarded-For: 1.2.3.4", "X-Forwarded-Host: evil", "X-Request-Id: mine", "Forwarded: for=x", "Authorization: Bearer sk_live", "Authorization: Basic dTpw", "authorization: NTLM x", "X-Http-Method-Override: DELETE")},
		"an empty field, and an empty cookie":   {request: get("/empty", "X-Empty:", "Cookie:")},
		"a public path":                         {request: "GET /public/x HTTP/1.1\r\nHost: " + acmeHost + "\r\nConnection: close\r\n\r\n"},
		"a custom host":                         {request: "GET /public/custom HTTP/1.1\r\nHost: Portal.ACME.com.\r\nConnection: close\r\n\r\n", answer: ok + "Content-Length: 0\r\n\r\n"},
		"a role":                                {request: by(admin, get("/admin/x"))},
		"a role that is missing":                {request: get("/admin/x"), other: true, status: 403},
		"a permission":                          {request: by(admin, post("DELETE", "/reports/1", "x"))},
		"a permission that is missing":          {request: post("DELETE", "/reports/1", "x"), other: true, status: 403},
		"a permission for another method":       {request: get("/reports/1")},
		"a condition":                           {request: by(admin, get("/when/x"))},
		"a condition that does not hold":        {request: get("/when/x"), other: true, status: 403},
		"a condition on another method":         {request: by(admin, post("POST", "/when/x", "x")), other: true, status: 403},
		"a condition that can't be told":        {request: get("/unheard/x"), other: true, status: 403},
		"HEAD":                                  {request: strings.Replace(get("/head"), "GET", "HEAD", 1), answer: ok + "Content-Length: 5\r\n\r\n"},
		"HEAD of what has no length":            {request: strings.Replace(get("/head2"), "GET", "HEAD", 1), answer: ok + "X-A: b\r\n\r\n"},
		"OPTIONS":                               {request: strings.Replace(get("/options"), "GET", "OPTIONS", 1)},
		"POST with a body":                      {request: post("POST", "/post", "a=b", "Content-Type: application/x-www-form-urlencoded")},
		"POST with nothing":                     {request: post("POST", "/post0", "")},
		"POST without a length":                 {request: strings.Replace(get("/postnone"), "GET", "POST", 1)},
		"PUT with a body that is large":         {request: post("PUT", "/put", large)},
		"PATCH":                                 {request: post("PATCH", "/patch", "x")},
		"DELETE with a body":                    {request: post("DELETE", "/delete", "x")},
		"DELETE without":                        {request: strings.Replace(get("/delete0"), "GET", "DELETE", 1)},
		"a path that is not canonical":          {request: get("/a/../b"), other: true, status: 400},
		"an ambiguous path":                     {request: get("/a%2fb"), other: true, status: 400},
		"a path of ours":                        {request: get("/.orgate/me"), other: true},
		"keys":                                  {request: get("/.well-known/orgate/jwks.json"), other: true},
		"a host of nobody":                      {request: strings.Replace(get("/"), acmeHost, "nobody.example.com", 1), other: true, status: 404},
		"another port":                          {request: strings.Replace(get("/"), acmeHost, acmeHost+":444", 1), other: true, status: 404},
		"the login host":                        {request: strings.Replace(get("/x"), acmeHost, loginHost, 1), other: true},
		"nobody who navigates":                  {request: "GET /x HTTP/1.1\r\nHost: " + acmeHost + "\r\nAccept: text/html\r\nConnection: close\r\n\r\n", other: true, status: 302},
		"nobody who fetches":                    {request: "GET /x HTTP/1.1\r\nHost: " + acmeHost + "\r\nConnection: close\r\n\r\n", other: true, status: 401},
		"two sessions":                          {request: get("/x", "Cookie: "+c), other: true, status: 401},
		"a session of another host":             {request: strings.Replace(get("/x"), acmeHost, globexHost, 1), other: true, status: 401},
		"a session that is none, in public":     {request: "GET /public/x HTTP/1.1\r\nHost: " + acmeHost + "\r\nCookie: __Host-orgate_session=x\r\nConnection: close\r\n\r\n", other: true},
		"a header named in Connection":          {request: strings.Replace(get("/x"), "Connection: close", "Connection: close, X-Org-Role", 1), other: true, status: 400},
		"chunks":                                {request: strings.Replace(get("/chunks"), "GET", "POST", 1)[:len(get("/chunks"))+1-2] + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", other: true},
		"an upgrade that is none":               {request: get("/upgrade", "Upgrade: h2c"), other: true},

		"an answer with much in it":          {request: get("/much"), answer: "HTTP/1.1 299 Whatever\r\nserver: x\r\nETAG: \"a\"\r\nSet-Cookie: a=1\r\nset-cookie: __Host-orgate_session=evil\r\nSet-Cookie: b=2\r\nWWW-Authenticate: Negotiate\r\nWWW-Authenticate: Basic\r\nVary: Accept\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nhi", status: 299},
		"an answer with a status of its own": {request: get("/own"), answer: "HTTP/1.1 404 Nix\r\nContent-Length: 0\r\nContent-Type: a/b\r\n\r\n", status: 404},
		"an answer without Date":             {request: get("/dateless"), answer: "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 2\r\n\r\nhi"},
		"an answer without a type":           {request: get("/typeless"), answer: ok + "Content-Length: 13\r\n\r\n<html></html>"},
		"an answer for all":                  {request: get("/shared"), answer: ok + "Cache-Control: public\r\nContent-Type: a/b\r\nContent-Length: 2\r\n\r\nhi"},
		"an answer that expires":             {request: get("/expires"), answer: ok + "Expires: 0\r\nContent-Type: a/b\r\nContent-Length: 2\r\n\r\nhi"},
		"fields of the connection":           {request: get("/hop"), answer: ok + "Keep-Alive: timeout=5\r\nConnection: x-gone, close\r\nX-Gone: 1\r\nProxy-Authenticate: x\r\nUpgrade: h2c\r\nTE: x\r\nProxy-Connection: x\r\nContent-Type: a/b\r\nContent-Length: 2\r\n\r\nhi" + cut},
		"chunks of the app":                  {request: get("/chunked"), answer: ok + "Transfer-Encoding: chunked\r\nContent-Type: a/b\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\n\r\n", reframed: true},
		"no length":                          {request: get("/open"), answer: ok + "Content-Type: a/b\r\n\r\nuntil the end" + cut},
		"HTTP/1.0":                           {request: get("/old"), answer: "HTTP/1.0 200 OK\r\nContent-Type: a/b\r\nDate: x\r\n\r\nuntil the end" + cut},
		"204":                                {request: get("/204"), answer: "HTTP/1.1 204 No Content\r\nDate: x\r\nX-A: b\r\n\r\n", status: 204},
		"304":                                {request: get("/304"), answer: "HTTP/1.1 304 Not Modified\r\nDate: x\r\nETag: \"a\"\r\nContent-Type: a/b\r\nContent-Length: 7\r\n\r\n", status: 304},
		"an empty body":                      {request: get("/nothing"), answer: ok + "Content-Type: a/b\r\nContent-Length: 0\r\n\r\n"},
		"a large body":                       {request: get("/large"), answer: ok + "Content-Type: a/b\r\n" + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(large)) + large},
		"interim answers":                    {request: get("/interim"), answer: "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\nX-A: b\r\n\r\nHTTP/1.1 100 Continue\r\nX: y\r\n\r\n" + ok + "Content-Type: a/b\r\nContent-Length: 2\r\n\r\nhi"},
		"a redirect":                         {request: get("/302"), answer: "HTTP/1.1 302 Found\r\nDate: x\r\nLocation: /x?y\r\nContent-Length: 0\r\n\r\n", status: 302},

		"a switch that nobody asked for": {request: get("/101"), answer: "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", status: 502},
		"two lengths":                    {request: get("/two"), answer: ok + "Content-Length: 2\r\nContent-Length: 3\r\n\r\nhi!", status: 502},
		"a length and chunks":            {request: get("/both"), answer: ok + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", status: 502},
		"no HTTP":                        {request: get("/garbage"), answer: "hello\r\n\r\n", status: 502},
		"nothing":                        {request: get("/silent"), answer: cut, status: 502},
		"half a head":                    {request: get("/half"), answer: "HTTP/1.1 200 OK\r\nContent-" + cut, status: 502},
		"half a body":                    {request: get("/cut"), answer: ok + "Content-Type: a/b\r\nContent-Length: 10\r\n\r\nhalf" + cut, torn: true},
		"half a chunk":                   {request: get("/cutchunk"), answer: ok + "Content-Type: a/b\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab" + cut, torn: true},
		"more than its length":           {request: get("/more"), answer: ok + "Content-Type: a/b\r\nContent-Length: 2\r\n\r\nhi there"},
		"a folded line":                  {request: get("/fold"), answer: ok + "X-A: b\r\n c\r\nContent-Length: 2\r\n\r\nhi", status: 502},
	}
	for _, name := range slices.Sorted(maps.Keys(table)) {
		row := table[name]
		t.Run(name, func(t *testing.T) {
			path, _, _ := strings.Cut(strings.Fields(row.request)[1], "?")
			path, _ = url.PathUnescape(path)
			if row.answer != "" {
				s.mu.Lock()
				s.script[path] = row.answer
				s.mu.Unlock()
			}
			ask := func(addr string) (answer, sent string, said account, fast int) {
				before, fast := s.seen.len(), s.seen.fast()
				answer = s.ask(addr, row.request)
				said = s.account(before)
				s.mu.Lock()
				defer s.mu.Unlock()
				defer delete(s.sent, path)
				return answer, normal(string(s.sent[path])), said, s.seen.fast() - fast
			}
			slowAnswer, slowSent, slowSaid, slow := ask(s.slow)
			fastAnswer, fastSent, fastSaid, fast := ask(s.fast)
			if want, got := cmp.Or(row.status, 200), statusOf(slowAnswer); slowSaid.Status != want || got != want && !row.torn {
				t.Errorf("status %d, and recorded is %d, want %d", got, slowSaid.Status, want)
			}
			if row.torn {
				slowSaid, fastSaid = slowSaid.unmeasured(), fastSaid.unmeasured()
			}
			if slowSaid != fastSaid {
				t.Errorf("of net/http is recorded\n%+v\nand of the fast path\n%+v", slowSaid, fastSaid)
			}
			if slow != 0 || (fast == 1) == row.other {
				t.Errorf("on the fast path: %d of the one way's, %d of the other's", slow, fast)
			}
			switch {
			case row.torn:
				if isWhole(slowAnswer) || isWhole(fastAnswer) {
					t.Errorf("whole: %q and %q", slowAnswer, fastAnswer)
				}
			case row.reframed:
				slowAnswer, fastAnswer = counted(t, slowAnswer), counted(t, fastAnswer)
				fallthrough
			default:
				if slowAnswer, fastAnswer = normal(slowAnswer), normal(fastAnswer); slowAnswer != fastAnswer {
					t.Errorf("net/http answers\n%s\nand the fast path\n%s", brief(slowAnswer), brief(fastAnswer))
				}
			}
			if slowSent != fastSent {
				t.Errorf("by net/http the app is sent\n%s\nand by the fast path\n%s", brief(slowSent), brief(fastSent))
			}
		})
	}
}

// statusOf is that of the answer after interim ones; 0: there is none.
func statusOf(answer string) int {
	br := bufio.NewReader(strings.NewReader(answer))
	for {
		res, err := http.ReadResponse(br, nil)
		if err != nil {
			return 0
		}
		if res.Body.Close(); res.StatusCode >= 200 {
			return res.StatusCode
		}
	}
}

// isWhole reports whether an answer is one, with its end.
func isWhole(answer string) bool {
	res, err := http.ReadResponse(bufio.NewReader(strings.NewReader(answer)), nil)
	if err != nil {
		return false
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return err == nil
}

// counted is an answer as it would be with a length instead of chunks.
func counted(t *testing.T, answer string) string {
	res, err := http.ReadResponse(bufio.NewReader(strings.NewReader(answer)), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Error(err)
	}
	lines := []string{}
	for line := range strings.SplitSeq(strings.SplitN(answer, "\r\n\r\n", 2)[0], "\r\n") {
		if !strings.HasPrefix(line, "Transfer-Encoding: ") && !strings.HasPrefix(line, "Content-Length: ") {
			lines = append(lines, line)
		}
	}
	return strings.Join(append(lines, fmt.Sprint("Content-Length: ", len(body))), "\r\n") + "\r\n\r\n" + string(body)
}

// brief is text that can be read.
func brief(text string) string {
	if len(text) > 700 {
		text = text[:700] + fmt.Sprintf("... (%d bytes)", len(text))
	}
	return strings.ReplaceAll(text, "\r\n", "\n")
}
