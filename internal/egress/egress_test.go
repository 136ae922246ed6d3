package egress

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// call gets url and reads the whole answer.
func call(t *testing.T, c *Client, url string) (string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

// names is a DNS server that answers each question for a name with the next of its
// addresses, and with the last one from then on.
func names(t *testing.T, answers map[string][]string) *net.Resolver {
	t.Helper()
	pc, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pc.Close() })
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			q := m.Questions[0]
			m.Response, m.Authoritative, m.Additionals = true, true, nil
			name := strings.TrimSuffix(q.Name.String(), ".")
			all, known := answers[name]
			if !known {
				m.RCode = dnsmessage.RCodeNameError
			}
			if len(all) > 0 {
				addr := netip.MustParseAddr(all[0])
				h := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 0}
				switch {
				case addr.Is4() && q.Type == dnsmessage.TypeA:
					m.Answers = []dnsmessage.Resource{{Header: h, Body: &dnsmessage.AResource{A: addr.As4()}}}
				case addr.Is6() && q.Type == dnsmessage.TypeAAAA:
					m.Answers = []dnsmessage.Resource{{Header: h, Body: &dnsmessage.AAAAResource{AAAA: addr.As16()}}}
				}
				if len(all) > 1 && len(m.Answers) > 0 {
					answers[name] = all[1:]
				}
			}
			if b, err := m.Pack(); err == nil {
				_, _ = pc.WriteTo(b, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", pc.LocalAddr().String())
	}}
}

func TestAnAddressInsideIsNotCalledWhateverItsSpelling(t *testing.T) {
	for _, a := range []string{
		"127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1",
		"169.254.169.254", "168.63.129.16", "100.100.100.200", "192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.7",
		"203.0.113.9", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
		"::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:0:127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1",
		"2002:7f00:1::", "2002:a9fe:a9fe::1", "2001::1", "2001:0:7f00:1::", "2001:db8::1", "3fff::1", "100::1", "5f00::1",
		"fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1",
	} {
		ap := netip.AddrPortFrom(netip.MustParseAddr(a), 443)
		if err := New(Options{}).options.judge(ap, false); !errors.Is(err, ErrAddress) {
			t.Errorf("%s: %v, want %v", a, err, ErrAddress)
		}
	}
}

func TestAnAddressThatAnAttackerNamedIsJudgedWithoutAClient(t *testing.T) {
	o := Options{AllowLoopback: true, AllowPrefixes: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}, Ports: []uint16{53}}
	for ap, want := range map[string]error{
		"8.8.8.8:53": nil, "8.8.8.8:443": ErrPort, "[2606:4700::1111]:53": nil, "10.1.2.3:53": nil, "10.2.2.3:53": ErrAddress,
		"127.0.0.1:53": ErrAddress, "[::ffff:127.0.0.1]:53": ErrAddress, "169.254.169.254:53": ErrAddress, "[64:ff9b::7f00:1]:53": ErrAddress, "0.0.0.0:53": ErrAddress,
	} {
		if err := o.CheckAddress(netip.MustParseAddrPort(ap)); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", ap, err, want)
		}
	}
}

func TestAPublicAddressIsCalledOnItsPortsOnly(t *testing.T) {
	for _, a := range []string{"8.8.8.8", "93.184.215.14", "172.32.0.1", "100.128.0.1", "::ffff:8.8.8.8", "2606:4700::1111", "2001:4860:4860::8888", "2a00::1"} {
		for port, want := range map[uint16]error{443: nil, 8443: nil, 22: ErrPort, 80: ErrPort, 6379: ErrPort} {
			ap := netip.AddrPortFrom(netip.MustParseAddr(a), port)
			if err := New(Options{}).options.judge(ap, false); !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", ap, err, want)
			}
		}
	}
}

func TestPortsAreForPublicAddressesAlone(t *testing.T) {
	o := New(Options{Ports: []uint16{443, 4443}, AllowPrefixes: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}}).options
	for a, want := range map[string]error{
		"8.8.8.8:443": nil, "8.8.8.8:4443": nil, "8.8.8.8:8443": ErrPort, "10.1.2.3:9": nil,
		"10.2.0.1:4443": ErrAddress, "127.0.0.1:4443": ErrAddress, "169.254.169.254:4443": ErrAddress, "[::1]:4443": ErrAddress,
	} {
		if err := o.judge(netip.MustParseAddrPort(a), false); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", a, err, want)
		}
	}
}

func TestAllowPrivateOpensNeitherLinkLocalNorMetadata(t *testing.T) {
	o := New(Options{AllowPrivate: true}).options
	for a, want := range map[string]error{
		"10.1.2.3": nil, "192.168.1.1": nil, "fd12::1": nil, "100.64.0.1": nil, "::ffff:10.0.0.1": nil,
		"169.254.169.254": ErrAddress, "fe80::1": ErrAddress, "127.0.0.1": ErrAddress, "100.100.100.200": ErrAddress,
		"fd00:ec2::254": ErrAddress, "64:ff9b::a00:1": ErrAddress, "2002:a00:1::": ErrAddress, "0.0.0.0": ErrAddress,
	} {
		if err := o.judge(netip.AddrPortFrom(netip.MustParseAddr(a), 9000), false); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", a, err, want)
		}
	}
}

func TestAllowPrefixesOpensWhatItNamesAndNothingElse(t *testing.T) {
	o := New(Options{AllowPrefixes: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}}).options
	for a, want := range map[string]error{"10.1.2.3": nil, "::ffff:10.1.2.3": nil, "10.2.0.1": ErrAddress} {
		if err := o.judge(netip.AddrPortFrom(netip.MustParseAddr(a), 4444), false); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", a, err, want)
		}
	}
	everything := New(Options{AllowPrefixes: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}}).options
	for _, a := range []string{"0.0.0.0", "224.0.0.1"} {
		if err := everything.judge(netip.AddrPortFrom(netip.MustParseAddr(a), 443), false); !errors.Is(err, ErrAddress) {
			t.Errorf("%s: %v, want %v even with every prefix allowed", a, err, ErrAddress)
		}
	}
}

func TestAURLIsCheckedBeforeAnythingIsDialed(t *testing.T) {
	strict, demo := New(Options{}), New(Options{AllowLoopback: true})
	for _, tc := range []struct {
		url          string
		strict, demo error
	}{
		{"https://login.example.com/a?b=c", nil, nil},
		{"https://login.example.com:8443", nil, nil},
		{"HTTPS://login.example.com", nil, nil}, // Gotenberg: scheme compared with its case
		{"http://login.example.com", ErrScheme, ErrScheme},
		{"http://localhost:8080", ErrScheme, nil},
		{"http://idp.localhost:8080/acme", ErrScheme, nil},
		{"http://IDP.LOCALHOST:8080", ErrScheme, nil},
		{"http://127.0.0.1:8080", ErrScheme, nil},
		{"http://[::1]:8080", ErrScheme, nil},
		{"http://[::ffff:127.0.0.1]:8080", ErrScheme, nil},
		{"http://127.1:8080", ErrScheme, ErrScheme},
		{"http://2130706433", ErrScheme, ErrScheme},
		{"http://0x7f.0.0.1", ErrScheme, ErrScheme},
		{"http://localhost.", ErrScheme, ErrScheme},
		{"http://notlocalhost", ErrScheme, ErrScheme},
		{"http://localhost.evil.test", ErrScheme, ErrScheme},
		{"http://10.0.0.1", ErrScheme, ErrScheme},
		{"https://user@login.example.com", ErrUserinfo, ErrUserinfo},
		{"https://user:secret@login.example.com", ErrUserinfo, ErrUserinfo},
		{"http://localhost:80@evil.test", ErrUserinfo, ErrUserinfo},
		{"javascript:alert(1)", ErrScheme, ErrScheme},
		{"data:text/html,x", ErrScheme, ErrScheme},
		{"file:///etc/passwd", ErrScheme, ErrScheme},
		{"gopher://localhost", ErrScheme, ErrScheme},
		{"//login.example.com", ErrScheme, ErrScheme},
		{"/path", ErrScheme, ErrScheme},
		{"", ErrScheme, ErrScheme},
		{"https:login.example.com", ErrURL, ErrURL},
		{"https:///path", ErrURL, ErrURL},
		{"https://:443/", ErrURL, ErrURL},
		{"https://login.example.com:0/", ErrURL, ErrURL},
		{"https://login.example.com:99999/", ErrURL, ErrURL},
		{"https://login.example.com\\@evil.test/", ErrURL, ErrURL},
		{"https://login.example.com/\r\nx: y", ErrURL, ErrURL},
		{" https://login.example.com", ErrURL, ErrURL},
		{"https://login.example.com/" + strings.Repeat("a", 3000), ErrURL, ErrURL},
	} {
		if err := strict.CheckURL(tc.url); !errors.Is(err, tc.strict) {
			t.Errorf("CheckURL(%q) = %v, want %v", tc.url, err, tc.strict)
		}
		if err := demo.CheckURL(tc.url); !errors.Is(err, tc.demo) {
			t.Errorf("with AllowLoopback: CheckURL(%q) = %v, want %v", tc.url, err, tc.demo)
		}
		// The transport refuses the same, for URLs that never passed CheckURL.
		if tc.strict != nil {
			if _, err := call(t, strict, tc.url); err == nil {
				t.Errorf("a call to %q was made", tc.url)
			}
		}
	}
}

func TestANameThatResolvesInsideIsRefusedBeforeAConnectionIsMade(t *testing.T) {
	reached := false
	srv := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	defer srv.Close()
	_, port, _ := net.SplitHostPort(srv.Listener.Addr().String())
	for _, o := range []Options{{}, {AllowLoopback: true}, {AllowPrivate: true}} {
		c := New(o)
		c.resolver = names(t, map[string][]string{
			"loop.evil.test": {"127.0.0.1"}, "zero.evil.test": {"0.0.0.0"}, "mapped.evil.test": {"::ffff:127.0.0.1"},
			"six.evil.test": {"::1"}, "nat64.evil.test": {"64:ff9b::7f00:1"}, "sixtofour.evil.test": {"2002:7f00:1::"},
			"teredo.evil.test": {"2001:0:7f00:1::1"}, "meta.evil.test": {"169.254.169.254"},
			// Public for whoever looks first, loopback when the connection is made.
			"rebind.evil.test": {"127.0.0.1"},
		})
		for _, name := range []string{"loop", "zero", "mapped", "six", "nat64", "sixtofour", "teredo", "meta", "rebind"} {
			url := fmt.Sprintf("https://%s.evil.test:%s/", name, port)
			if err := c.CheckURL(url); err != nil {
				t.Fatalf("CheckURL(%q): %v; the name alone is fine", url, err)
			}
			if _, err := call(t, c, url); !errors.Is(err, ErrAddress) {
				t.Errorf("%+v: %s: %v, want %v", o, url, err, ErrAddress)
			}
		}
		// Spellings of loopback that C resolvers know.
		for _, host := range []string{"127.1", "2130706433", "0x7f000001", "0177.0.0.1"} {
			if _, err := call(t, c, fmt.Sprintf("https://%s:%s/", host, port)); err == nil {
				t.Errorf("%s was called", host)
			}
		}
	}
	if reached {
		t.Error("a request got through")
	}
}

func TestLocalhostNamesLeadToLoopbackWithoutADNS(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Host) }))
	defer srv.Close()
	_, port, _ := net.SplitHostPort(srv.Listener.Addr().String())
	c := New(Options{AllowLoopback: true})
	c.resolver = names(t, nil) // knows no name
	for _, host := range []string{"localhost", "idp.localhost", "a.b.localhost", "127.0.0.1"} {
		got, err := call(t, c, "http://"+host+":"+port)
		if err != nil || got != host+":"+port {
			t.Errorf("%s: %q, %v", host, got, err)
		}
	}
	if _, err := call(t, New(Options{}), "http://localhost:"+port); !errors.Is(err, ErrScheme) {
		t.Errorf("loopback was called without being allowed: %v", err)
	}
}

func TestTheEnvironmentsProxyIsNotUsed(t *testing.T) {
	proxied := false
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { proxied = true }))
	defer proxy.Close()
	for _, v := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"} {
		t.Setenv(v, proxy.URL)
	}
	c := New(Options{})
	c.resolver = names(t, map[string][]string{"idp.example.test": {"10.0.0.1"}})
	_, err := call(t, c, "https://idp.example.test/")
	if proxied || !errors.Is(err, ErrAddress) {
		t.Errorf("proxied: %v, error: %v", proxied, err)
	}
}

func TestNoRedirectIsFollowed(t *testing.T) {
	var followed []string
	mux := http.NewServeMux()
	mux.HandleFunc("/secret", func(_ http.ResponseWriter, r *http.Request) { followed = append(followed, r.Method) })
	mux.HandleFunc("/{status}", func(w http.ResponseWriter, r *http.Request) {
		status, _ := strconv.Atoi(r.PathValue("status"))
		w.Header().Set("Location", "/secret")
		w.WriteHeader(status)
	})
	srv := httptest.NewServer(mux)
	defer srv.Close()
	c := New(Options{AllowLoopback: true})
	for _, status := range []string{"301", "302", "303", "307", "308"} {
		_, err := call(t, c, srv.URL+"/"+status)
		if !errors.Is(err, ErrRedirect) {
			t.Errorf("%s: %v, want %v", status, err, ErrRedirect)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL+"/"+status, strings.NewReader("client_secret=x"))
		if err != nil {
			t.Fatal(err)
		}
		if resp, err := c.HTTP.Do(req); err == nil {
			resp.Body.Close()
			t.Errorf("%s: a POST was answered", status)
		}
	}
	if len(followed) > 0 {
		t.Errorf("followed: %v", followed)
	}
}

func TestAnAnswerIsBoundedAfterDecompression(t *testing.T) {
	const limit = 1000
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, _ = z.Write(make([]byte, 10<<20))
	_ = z.Close()
	mux := http.NewServeMux()
	mux.HandleFunc("/fits", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, limit)) })
	mux.HandleFunc("/declared", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, limit+1)) })
	mux.HandleFunc("/endless", func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 100)); err != nil {
				return
			}
			_ = http.NewResponseController(w).Flush()
		}
	})
	mux.HandleFunc("/bomb", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(bomb.Bytes())
	})
	mux.HandleFunc("/headers", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 2*maxHeader)) })
	srv := httptest.NewServer(mux)
	defer srv.Close()
	c := New(Options{AllowLoopback: true, MaxBody: limit})
	if got, err := call(t, c, srv.URL+"/fits"); err != nil || len(got) != limit {
		t.Errorf("an answer of exactly the limit: %d bytes, %v", len(got), err)
	}
	for _, path := range []string{"/declared", "/endless", "/bomb"} {
		if got, err := call(t, c, srv.URL+path); !errors.Is(err, ErrTooLarge) || len(got) > limit {
			t.Errorf("%s: %d bytes, %v; want %v", path, len(got), err, ErrTooLarge)
		}
	}
	if _, err := call(t, c, srv.URL+"/headers"); err == nil {
		t.Error("a huge header was read")
	}
}

func TestACallEndsInTimeHoweverSlowlyItIsAnswered(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/silent", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("/drip", func(w http.ResponseWriter, r *http.Request) {
		for tick := time.NewTicker(5 * time.Millisecond); ; {
			select {
			case <-r.Context().Done():
				return
			case <-tick.C:
				_, _ = w.Write([]byte("."))
				_ = http.NewResponseController(w).Flush()
			}
		}
	})
	srv := httptest.NewServer(mux)
	defer srv.Close()
	c := New(Options{AllowLoopback: true, Timeout: 100 * time.Millisecond})
	for _, path := range []string{"/silent", "/drip"} {
		start := time.Now()
		_, err := call(t, c, srv.URL+path)
		if took := time.Since(start); !errors.Is(err, ErrTimeout) || took > 5*time.Second {
			t.Errorf("%s: %v after %v, want %v", path, err, took, ErrTimeout)
		}
	}
}

func TestAnErrorSaysNothingOfWhatIsInside(t *testing.T) {
	const secret = "internal-banner-7f3a"
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "https://"+secret+".internal/")
		w.WriteHeader(http.StatusFound)
	}))
	defer srv.Close()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	go func() { // speaks no HTTP
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			fmt.Fprint(conn, secret+"\r\n\r\n")
			_ = conn.Close()
		}
	}()
	c := New(Options{AllowLoopback: true})
	for _, url := range []string{srv.URL, "http://" + ln.Addr().String(), "https://" + ln.Addr().String()} {
		_, err := call(t, c, url)
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestWhatTheNetworkSaysIsToldApart(t *testing.T) {
	untrusted := httptest.NewTLSServer(http.NotFoundHandler())
	defer untrusted.Close()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "http://" + ln.Addr().String()
	_ = ln.Close()
	c := New(Options{AllowLoopback: true})
	c.resolver = names(t, nil)
	for url, want := range map[string]error{
		untrusted.URL:                 ErrCertificate,
		closed:                        ErrUnreachable,
		"https://nobody.example.test": ErrName,
	} {
		_, err := call(t, c, url)
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", url, err, want)
		}
		if Cause(err) == nil {
			t.Errorf("%s: no cause for the log", url)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, closed, nil)
	resp, err := c.HTTP.Do(req)
	if err == nil {
		resp.Body.Close()
	}
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled call: %v", err)
	}
}

func FuzzCheckURL(f *testing.F) {
	for _, s := range []string{"https://idp.example.com/a", "http://localhost:1", "https://a@b", "http://[::1%25eth0]:80/", "https://x:0443/"} {
		f.Add(s)
	}
	strict := New(Options{})
	f.Fuzz(func(t *testing.T, s string) {
		if strict.CheckURL(s) != nil {
			return
		}
		if !strings.HasPrefix(strings.ToLower(s), "https://") || strings.ContainsAny(s, " \r\n\t\\") {
			t.Errorf("CheckURL(%q) passed", s)
		}
	})
}
