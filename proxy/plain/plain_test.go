package plain

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/orgate/orgate/proxy/testdata/gadgets"
)

// read is what the data plane does with what has come so far.
func read(b []byte, h *Head) (n int, v Verdict) {
	n, _, v = Scan(b, 0)
	if v == Plain && !h.Parse(string(b[:n])) {
		return 0, NotPlain
	}
	return n, v
}

func TestAPlainRequestIsReadByTheLetter(t *testing.T) {
	var h Head
	const text = "POST /a/b%20c?q=1&r=%3F/? HTTP/1.1\r\nHost: Acme.example.com:8443\r\nAccept:text/html, */*\r\naccept: x\r\nX-Empty:\r\nContent-Length: 5\r\nCONNECTION: Close\r\n\r\n"
	n, v := read([]byte(text+"12345GET"), &h)
	if v != Plain || n != len(text) {
		t.Fatalf("%v, %d bytes", v, n)
	}
	if h.Method != "POST" || h.Target != "/a/b%20c?q=1&r=%3F/?" || h.Host != "Acme.example.com:8443" || h.Length != 5 || !h.Close {
		t.Errorf("%+v", h)
	}
	if want := []Field{{"Accept", "text/html, */*"}, {"accept", "x"}, {"X-Empty", ""}}; !slices.Equal(h.Fields(), want) {
		t.Errorf("%q", h.Fields())
	}
	// What was there before is not there any more.
	if _, v := read([]byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), &h); v != Plain || h.Length != 0 || h.Close || len(h.Fields()) != 0 || h.Host != "a" {
		t.Errorf("%v %+v", v, h)
	}
}

// with is a head of a request line and lines, ended as it should be.
func with(lines ...string) string { return strings.Join(lines, "\r\n") + "\r\n\r\n" }

// classics are what was published of requests that two servers read differently, and what is
// like it; none is plain.
func classics() map[string]string {
	const get, post, host = "GET / HTTP/1.1", "POST / HTTP/1.1", "Host: a"
	return map[string]string{
		"length and chunks":              with(post, host, "Content-Length: 6", "Transfer-Encoding: chunked") + "0\r\n\r\nG",
		"chunks and length":              with(post, host, "Transfer-Encoding: chunked", "Content-Length: 4") + "5c\r\nGPOST / HTTP/1.1\r\n\r\n0\r\n\r\n",
		"two codings":                    with(post, host, "Transfer-Encoding: chunked", "Transfer-Encoding: cow"),
		"a coding that is disguised":     with(post, host, "Transfer-Encoding: xchunked"),
		"a coding with a tab":            with(post, host, "Transfer-Encoding:\tchunked"),
		"a coding with a vertical tab":   with(post, host, "Transfer-Encoding:\vchunked"),
		"a coding after a space":         with(post, host, " Transfer-Encoding: chunked"),
		"a coding before a space":        with(post, host, "Transfer-Encoding : chunked"),
		"a coding on the line before":    with(post, host, "X: x\nTransfer-Encoding: chunked"),
		"a coding on the next line":      with(post, host, "Transfer-Encoding\r\n : chunked"),
		"a coding with an underscore":    with(post, host, "Transfer_Encoding: chunked"),
		"a coding that is none":          with(post, host, "Transfer-Encoding: identity"),
		"a coding of one letter too few": with(post, host, "Transfer-Encodin: chunked", "TE: trailers"),
		"chunks with an extension":       with(post, host, "Transfer-Encoding: chunked") + "1;a=b\nx\r\n0\r\n\r\n",
		"two lengths":                    with(post, host, "Content-Length: 3", "Content-Length: 4") + "abcd",
		"two equal lengths":              with(post, host, "Content-Length: 3", "content-length: 3") + "abc",
		"a list of lengths":              with(post, host, "Content-Length: 5 , 5") + "abcde",
		"a length with a sign":           with(post, host, "Content-Length: +5") + "abcde",
		"a negative length":              with(post, host, "Content-Length: -5"),
		"a length in base 16":            with(post, host, "Content-Length: 0x5") + "abcde",
		"a length with a zero before":    with(post, host, "Content-Length: 05") + "abcde",
		"a length with an underscore":    with(post, host, "Content-Length: 1_0"),
		"a length with a space in it":    with(post, host, "Content-Length: 1 3"),
		"no length":                      with(post, host, "Content-Length:"),
		"a length beyond all":            with(post, host, "Content-Length: 99999999999999999999"),
		"a length beyond an int64":       with(post, host, "Content-Length: 9223372036854775808"),
		"a length after NUL":             with(post, host, "\x00Content-Length: 5"),
		"a length with a dot":            with(post, host, "Content.Length: 5"),
		"GET with a body":                with(get, host, "Content-Length: 5") + "abcde",
		"HEAD with a body":               with("HEAD / HTTP/1.1", host, "Content-Length: 5") + "abcde",
		"a space before the colon":       with(get, host, "X-A : b"),
		"a tab before the colon":         with(get, host, "X-A\t: b"),
		"a tab in the value":             with(get, host, "X-A: b\tc"),
		"NUL in the value":               with(get, host, "X-A: b\x00c"),
		"NUL in the name":                with(get, host, "X-\x00A: b"),
		"DEL in the value":               with(get, host, "X-A: \x7f"),
		"a byte beyond ASCII":            with(get, host, "X-A: \xc3\xb6"),
		"a folded line":                  with(get, host, "X-A: b", " c"),
		"a line folded by a tab":         with(get, host, "X-A: b", "\tc"),
		"the first line folded":          with(get, " X-A: b", host),
		"no name":                        with(get, host, ": b"),
		"no colon":                       with(get, host, "X-A"),
		"a bare CR in the value":         with(get, host, "X-A: b\rX-B: c"),
		"a bare CR in the target":        with("GET /\r HTTP/1.1", host),
		"a bare CR at the end":           "GET / HTTP/1.1\r\nHost: a\r\n\r\r\n\r\n",
		"a bare LF":                      "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n",
		"LF alone":                       "GET / HTTP/1.1\nHost: a\n\n",
		"LF at the end":                  "GET / HTTP/1.1\r\nHost: a\r\n\n",
		"an empty line before":           "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"a line feed before":             "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"a space before":                 " GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"no host":                        with(get, "X: y"),
		"no fields":                      with(get),
		"an empty host":                  with(get, "Host:"),
		"two hosts":                      with(get, host, "Host: b"),
		"two equal hosts":                with(get, host, "hOST: a"),
		"a host with a space":            with(get, "Host: a b"),
		"a host with a user":             with(get, "Host: b@a"),
		"a host with a path":             with(get, "Host: a/b"),
		"an address as host":             with(get, "Host: [::1]"),
		"a host with no port":            with(get, "Host: a:"),
		"a host with a long port":        with(get, "Host: a:000080"),
		"a port alone":                   with(get, "Host: :80"),
		"a host with two ports":          with(get, "Host: a:80:80"),
		"a host with escapes":            with(get, "Host: %61"),
		"a list of hosts":                with(get, "Host: a, b"),
		"absolute form":                  with("GET http://a/ HTTP/1.1", host),
		"absolute form of another host":  with("GET http://b/ HTTP/1.1", host),
		"authority form":                 with("CONNECT a:443 HTTP/1.1", host),
		"asterisk form":                  with("OPTIONS * HTTP/1.1", host),
		"a rootless target":              with("GET a HTTP/1.1", host),
		"no target":                      with("GET  HTTP/1.1", host),
		"two slashes":                    with("GET //b/ HTTP/1.1", host),
		"two spaces":                     with("GET /  HTTP/1.1", host),
		"a space in the target":          with("GET /a b HTTP/1.1", host),
		"a tab in the line":              with("GET\t/\tHTTP/1.1", host),
		"a fragment":                     with("GET /#a HTTP/1.1", host),
		"a backslash":                    with(`GET /\a HTTP/1.1`, host),
		"half an escape":                 with("GET /%2 HTTP/1.1", host),
		"a broken escape":                with("GET /%zz HTTP/1.1", host),
		"a broken escape in the query":   with("GET /?%z HTTP/1.1", host),
		"NUL in the target":              with("GET /\x00 HTTP/1.1", host),
		"UTF-8 in the target":            with("GET /\xc3\xb6 HTTP/1.1", host),
		"HTTP/0.9":                       with("GET /"),
		"HTTP/1.0":                       with("GET / HTTP/1.0", host),
		"HTTP/1.2":                       with("GET / HTTP/1.2", host),
		"HTTP/2.0":                       with("GET / HTTP/2.0", host),
		"HTTP/1.1 in lower case":         with("GET / http/1.1", host),
		"HTTP/01.1":                      with("GET / HTTP/01.1", host),
		"HTTP/1.1 and more":              with("GET / HTTP/1.1 ", host),
		"the HTTP/2 preface":             "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"a method in lower case":         with("get / HTTP/1.1", host),
		"a method that is not known":     with("JEFF / HTTP/1.1", host),
		"TRACE":                          with("TRACE / HTTP/1.1", host),
		"Upgrade":                        with(get, host, "Connection: Upgrade", "Upgrade: websocket"),
		"Upgrade alone":                  with(get, host, "Upgrade: h2c"),
		"HTTP2-Settings":                 with(get, host, "HTTP2-Settings: x"),
		"a key of a WebSocket":           with(get, host, "Sec-WebSocket-Key: x"),
		"Expect":                         with(post, host, "Content-Length: 1", "Expect: 100-continue"),
		"TE":                             with(get, host, "TE: trailers"),
		"Trailer":                        with(get, host, "Trailer: X-A"),
		"Keep-Alive":                     with(get, host, "Keep-Alive: timeout=5"),
		"Proxy-Connection":               with(get, host, "Proxy-Connection: close"),
		"Proxy-Authorization":            with(get, host, "Proxy-Authorization: Basic eA=="),
		"Proxy-Authenticate":             with(get, host, "Proxy-Authenticate: Basic"),
		"a name in Connection":           with(get, host, "Connection: close, X-Org-Role"),
		"two Connections":                with(get, host, "Connection: close", "Connection: keep-alive"),
		"an empty Connection":            with(get, host, "Connection:"),
		"Pragma alone":                   with(get, host, "Pragma: no-cache"),
		"an underscore in a name":        with(get, host, "X_Org_Role: admin"),
		"a dot in a name":                with(get, host, "X.Org.Role: admin"),
		"too many fields":                with(append([]string{get, host}, slices.Repeat([]string{"X: y"}, MaxFields+1)...)...),
	}
}

func TestWhatServersReadDifferentlyIsNotPlain(t *testing.T) {
	var h Head
	for name, text := range classics() {
		if _, v := read([]byte(text), &h); v != NotPlain {
			t.Errorf("%s: %v: %q", name, v, text)
		}
	}
	// Each would be plain but for the one thing.
	for _, text := range []string{with("GET / HTTP/1.1", "Host: a", "X-A: b"), with("POST / HTTP/1.1", "Host: a", "Content-Length: 5"), with("GET / HTTP/1.1", "Host: a", "Pragma: no-cache", "Cache-Control: no-cache"),
		with(append([]string{"GET / HTTP/1.1", "Host: a"}, slices.Repeat([]string{"X: y"}, MaxFields)...)...)} {
		if _, v := read([]byte(text), &h); v != Plain {
			t.Errorf("%q: %v", text, v)
		}
	}
}

func TestWhatIsPlainIsSoInAnyPieces(t *testing.T) {
	texts := []string{with("GET /a?b HTTP/1.1", "Host: a", "X-A: b") + "GET / HTTP/1.1\r\n", with("POST / HTTP/1.1", "Host: a", "Content-Length: 5") + "abcde"}
	for _, text := range texts {
		want, _, _ := Scan([]byte(text), 0)
		from := 0
		for i := 1; ; i++ {
			n, next, v := Scan([]byte(text[:i]), from)
			if v == NotPlain || v == Plain && n != want || v == More && i >= want {
				t.Fatalf("%q after %d bytes: %v, %d of %d", text, i, v, n, want)
			}
			if v == Plain {
				break
			}
			from = next
		}
	}
	// And nobody waits for the rest of what can't become plain.
	for _, text := range []string{"P\x16\x03", "GET /\r\n", "GET / HTTP/1.0\r\nHost", "\r\n", "\n", "\x16\x03\x01", "get", "GET / HTTP/1.1\r\nHost: a\n"} {
		if _, _, v := Scan([]byte(text), 0); v != NotPlain && text != "P\x16\x03" {
			t.Errorf("%q: %v", text, v)
		}
	}
}

func TestReadingAllocatesNothing(t *testing.T) {
	var h Head
	b := []byte(with("GET /a?b HTTP/1.1", "Host: acme.example.com", "Accept: */*", "Cookie: a=b; __Host-orgate_session=x", "Connection: keep-alive"))
	text := string(b)
	if n := testing.AllocsPerRun(100, func() {
		if _, _, v := Scan(b, 0); v != Plain || !h.Parse(text) {
			t.Error("not plain")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// agrees reports in which way net/http reads another request than the plain one in the first n
// bytes of b.
func agrees(t *testing.T, b []byte, n int, h *Head) {
	t.Helper()
	rd := bytes.NewReader(b)
	br := bufio.NewReaderSize(rd, 1<<16)
	r, err := http.ReadRequest(br)
	if err != nil {
		t.Fatalf("plain, and refused by net/http: %v: %q", err, b)
	}
	if used := len(b) - rd.Len() - br.Buffered(); used != n {
		t.Errorf("plain ends after %d bytes, and to net/http after %d: %q", n, used, b)
	}
	if r.Method != h.Method || r.RequestURI != h.Target || r.Host != h.Host || r.ContentLength != h.Length || r.Close != h.Close || r.ProtoMajor != 1 || r.ProtoMinor != 1 ||
		len(r.TransferEncoding) > 0 || r.Trailer != nil || r.URL.Host != "" || r.URL.Opaque != "" {
		t.Errorf("plain is %s %s of %s with %d bytes, close %v; to net/http %s %s of %s with %d, close %v: %q",
			h.Method, h.Target, h.Host, h.Length, h.Close, r.Method, r.RequestURI, r.Host, r.ContentLength, r.Close, b)
	}
	fields := http.Header{}
	for _, f := range h.Fields() {
		fields.Add(f.Name, f.Value)
	}
	delete(r.Header, "Connection")
	delete(r.Header, "Content-Length")
	if !maps.EqualFunc(fields, r.Header, slices.Equal) {
		t.Errorf("fields %q, and to net/http %q", fields, r.Header)
	}
	if int64(len(b)-n) >= h.Length {
		body, err := io.ReadAll(r.Body)
		if err != nil || string(body) != string(b[n:n+int(h.Length)]) {
			t.Errorf("the body is another one: %v", err)
		}
	}
}

// FuzzPlain holds the grammar against net/http: what it refuses is not plain, and what both take
// is one request.
func FuzzPlain(f *testing.F) {
	for _, text := range classics() {
		f.Add([]byte(text))
	}
	for _, text := range []string{
		with("GET / HTTP/1.1", "Host: a"), with("GET /a/b?c=d HTTP/1.1", "Host: Acme.example.com:80", "Accept: */*", "Cookie: a=b", "Connection: keep-alive"),
		with("POST /%41 HTTP/1.1", "Host: a.b.", "Content-Length: 3", "Connection: close") + "abcGET / HTTP/1.1\r\n\r\n",
		with("DELETE /a HTTP/1.1", "host:a", "content-length:0", "Cache-Control: x", "Pragma: no-cache"), with("OPTIONS /-._~!$&'()*+,;=:@/?% HTTP/1.1", "Host: a"),
	} {
		f.Add([]byte(text))
	}
	for _, g := range slices.Concat(gadgets.Codings(gadgets.Odd()), gadgets.Lengths(5, gadgets.Odd())) {
		f.Add([]byte(with("POST / HTTP/1.1", "Host: a", g, "X-B: c") + "0\r\n\r\n"))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var h Head
		n, v := read(b, &h)
		if v == Plain {
			agrees(t, b, n, &h)
		}
		// Whatever net/http has not read to its end is not plain to us either.
		if _, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(b))); errors.Is(err, io.ErrUnexpectedEOF) && v == Plain {
			t.Errorf("plain before its end: %q", b)
		}
	})
}

// FuzzLines builds heads that are nearly plain of the parts that the parser looks at.
func FuzzLines(f *testing.F) {
	f.Add("GET", "/", "HTTP/1.1", "a", "X-A", "b", "5")
	f.Add("POST", "/%2f?", "HTTP/1.1", "a:80", "transfer-encoding", "chunked", "+5")
	f.Add("PUT", "/a;b", "HTTP/1.0", "a.", "Connection", "close", " 5 ")
	f.Fuzz(func(t *testing.T, method, target, proto, host, name, value, length string) {
		var h Head
		b := []byte(method + " " + target + " " + proto + "\r\nHost: " + host + "\r\n" + name + ": " + value + "\r\nContent-Length: " + length + "\r\n\r\n" + strings.Repeat("x", 20))
		if n, v := read(b, &h); v == Plain {
			agrees(t, b, n, &h)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	var h Head
	buf := []byte(with("GET /reports/2026?page=2 HTTP/1.1", "Host: acme.example.com", "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
		"Accept-Language: en-US,en;q=0.5", "Accept-Encoding: gzip, deflate, br, zstd", "Connection: keep-alive", "Cookie: theme=dark; __Host-orgate_session=0123456789012345678901234567890123456789012", "Sec-Fetch-Dest: document", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Site: same-origin"))
	text := string(buf)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, v := Scan(buf, 0); v != Plain || !h.Parse(text) {
			b.Fatal("not plain")
		}
	}
}
