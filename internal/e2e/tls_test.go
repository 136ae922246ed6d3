package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestHTTPSIsServedByHTTP2AndTheCertificateIsReplacedWhileServing.
func TestHTTPSIsServedByHTTP2AndTheCertificateIsReplacedWhileServing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	certFile, keyFile := filepath.Join(s.dir, "tls.crt"), filepath.Join(s.dir, "tls.key")
	first := certificate(t, certFile, keyFile, s.Port)
	yaml := strings.Replace(s.head(s.badger()), "public_url: http:", fmt.Sprintf("tls: { cert_file: %q, key_file: %q }\npublic_url: https:", certFile, keyFile), 1) + s.acme()
	s.write(yaml)
	s.start()

	get := func(roots *x509.CertPool, path string) (*http.Response, error) {
		client := &http.Client{
			Timeout:       10 * time.Second,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Transport: &http.Transport{
				ForceAttemptHTTP2: true, DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
				DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
					return (&net.Dialer{}).DialContext(ctx, network, s.Listen)
				},
			},
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("https://acme.localhost:%d%s", s.Port, path), nil)
		if err != nil {
			return nil, err
		}
		req.Header.Set("Accept", "text/html")
		resp, err := client.Do(req)
		if err != nil {
			return nil, err
		}
		return resp, resp.Body.Close()
	}
	resp, err := get(first, "/")
	if err != nil {
		t.Fatal(err)
	}
	if resp.ProtoMajor != 2 || resp.StatusCode != http.StatusFound || !strings.HasPrefix(resp.Header.Get("Location"), fmt.Sprintf("https://login.localhost:%d/sign-in?", s.Port)) {
		t.Errorf("%s %s to %s", resp.Proto, resp.Status, resp.Header.Get("Location"))
	}
	for _, c := range resp.Cookies() {
		s.secrets.add(c.Value)
		if !strings.HasPrefix(c.Name, "__Host-") || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" {
			t.Errorf("cookie %s: %+v", c.Name, c)
		}
	}
	if resp, err := get(first, "/public"); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("%v %v", resp, err)
	}

	second := certificate(t, certFile, keyFile, s.Port)
	until(t, "the new certificate", 10*time.Second, func() bool {
		_, err := get(second, "/public")
		return err == nil
	})
	if _, err := get(first, "/public"); err == nil {
		t.Error("the old certificate is served still")
	}
}

// TestNobodyNoticesThatTheCertificateIsReplaced: connections that are busy meanwhile go on as they are, and every visitor
// who comes then is shown a certificate, the old one or the new, and never again the old one after that.
func TestNobodyNoticesThatTheCertificateIsReplaced(t *testing.T) {
	t.Parallel()
	s := siteAt(t, "http://127.0.0.1:1", freePort(t))
	certFile, keyFile := filepath.Join(s.dir, "tls.crt"), filepath.Join(s.dir, "tls.key")
	var pairs []pair
	either := x509.NewCertPool()
	for i := range 5 {
		pairs = append(pairs, newPair(t, i+1))
		either.AddCert(pairs[i].cert)
	}
	pairs[0].place(t, certFile, keyFile)
	s.write(strings.Replace(s.head(s.badger()), "public_url: http:", fmt.Sprintf("tls: { cert_file: %q, key_file: %q }\npublic_url: https:", certFile, keyFile), 1) + s.globex())
	s.start()

	// visitor returns what sends a request, over a connection that it had before if it has one, and returns the connection.
	visitor := func(protocol string, keep bool) func() (*tls.ConnectionState, net.Conn, error) {
		var p http.Protocols
		p.SetHTTP1(protocol == "HTTP/1.1")
		p.SetHTTP2(protocol == "HTTP/2.0")
		client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{
			Protocols: &p, DisableKeepAlives: !keep, TLSClientConfig: &tls.Config{RootCAs: either, MinVersion: tls.VersionTLS12},
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, network, s.Listen)
			},
		}}
		return func() (*tls.ConnectionState, net.Conn, error) {
			var conn net.Conn
			ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(got httptrace.GotConnInfo) { conn = got.Conn }})
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("https://globex.localhost:%d/public", s.Port), nil)
			if err != nil {
				return nil, nil, err
			}
			resp, err := client.Do(req)
			if err != nil {
				return nil, nil, err
			}
			defer resp.Body.Close()
			if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK || resp.Proto != protocol {
				return nil, nil, fmt.Errorf("%s %s %w", resp.Proto, resp.Status, err)
			}
			return resp.TLS, conn, nil
		}
	}
	var requests, handshakes [2]atomic.Int64 // of HTTP/1.1 and of HTTP/2
	over := make(chan struct{})
	var visitors sync.WaitGroup
	again := func() bool {
		select {
		case <-over:
			return false
		default:
			return true
		}
	}
	for i, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
		visitors.Go(func() {
			visit := visitor(protocol, true)
			for first := net.Conn(nil); again(); requests[i].Add(1) {
				state, conn, err := visit()
				if first == nil {
					first = conn
				}
				if err != nil || conn != first || !state.PeerCertificates[0].Equal(pairs[0].cert) {
					t.Errorf("%s on a connection that was there: another one %v, %v", protocol, conn != first, err)
					return
				}
			}
		})
		visitors.Go(func() {
			visit := visitor(protocol, false)
			for last := int64(0); again(); handshakes[i].Add(1) {
				state, _, err := visit()
				if err != nil {
					t.Errorf("%s by a new visitor: %v", protocol, err)
					return
				}
				shown := state.PeerCertificates[0].SerialNumber.Int64()
				if shown < last {
					t.Errorf("%s by a new visitor: certificate %d after %d", protocol, shown, last)
				}
				last = shown
			}
		})
	}
	end := sync.OnceFunc(func() {
		close(over)
		visitors.Wait()
	})
	defer end()
	more := func() {
		t.Helper()
		var want [4]int64
		counts := []*atomic.Int64{&requests[0], &requests[1], &handshakes[0], &handshakes[1]}
		for i, n := range counts {
			want[i] = n.Load() + 10
		}
		until(t, "more visits", 20*time.Second, func() bool {
			for i, n := range counts {
				if n.Load() < want[i] && !t.Failed() {
					return false
				}
			}
			return true
		})
	}
	more()
	look := visitor("HTTP/1.1", false)
	for _, p := range pairs[1:] {
		p.place(t, certFile, keyFile)
		until(t, "the new certificate", 20*time.Second, func() bool {
			state, _, err := look()
			if err != nil {
				t.Fatalf("a visitor who looks for it: %v", err)
			}
			return state.PeerCertificates[0].Equal(p.cert)
		})
		more()
	}
	end()
	t.Logf("on two connections %d and %d requests, and %d and %d new visitors", requests[0].Load(), requests[1].Load(), handshakes[0].Load(), handshakes[1].Load())
}

// TestAHostOfAnOrganizationHasACertificateOfItsOwn, which comes and goes while orgate serves. A visitor who comes
// again resumes, and nobody speaks another protocol than those that are offered.
func TestAHostOfAnOrganizationHasACertificateOfItsOwn(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	file := func(name string) string { return filepath.Join(s.dir, name) }
	general := certificate(t, file("tls.crt"), file("tls.key"), 1)
	portal := certificate(t, file("portal.crt"), file("portal.key"), 2, "portal.acme.test")
	yaml := func(more string) string {
		head := strings.Replace(s.head(s.badger()), "public_url: http:", fmt.Sprintf("tls: { cert_file: %q, key_file: %q%s }\npublic_url: https:", file("tls.crt"), file("tls.key"), more), 1)
		return head + strings.Replace(s.acme(), "- slug: acme\n", "- slug: acme\n    hosts: [portal.acme.test]\n", 1)
	}
	if !strings.Contains(yaml(""), "portal.acme.test") {
		t.Fatal("the organization has no host of its own")
	}
	s.write(yaml(""))
	s.start()
	visit := func(c *tls.Config) (tls.ConnectionState, error) {
		c.MinVersion = tls.VersionTLS12
		conn, err := (&tls.Dialer{Config: c}).DialContext(t.Context(), "tcp", s.Listen)
		if err != nil {
			return tls.ConnectionState{}, err
		}
		defer conn.Close()
		// What resumes a session comes after the handshake.
		if _, err := fmt.Fprintf(conn, "GET /public HTTP/1.1\r\nHost: %s:%d\r\nConnection: close\r\n\r\n", c.ServerName, s.Port); err != nil {
			return tls.ConnectionState{}, err
		}
		answer, err := io.ReadAll(conn)
		if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 200 ") {
			return tls.ConnectionState{}, fmt.Errorf("%q, %w", answer, err)
		}
		return conn.(*tls.Conn).ConnectionState(), nil
	}
	if _, err := visit(&tls.Config{RootCAs: portal, ServerName: "portal.acme.test"}); err == nil {
		t.Fatal("a certificate that nobody has configured is shown")
	}
	s.write(yaml(fmt.Sprintf(", certificates: [{ cert_file: %q, key_file: %q }]", file("portal.crt"), file("portal.key"))))
	until(t, "the certificate of its own", 10*time.Second, func() bool {
		_, err := visit(&tls.Config{RootCAs: portal, ServerName: "portal.acme.test"})
		return err == nil
	})
	for version, name := range map[uint16]string{tls.VersionTLS12: "TLS 1.2", tls.VersionTLS13: "TLS 1.3"} {
		c := &tls.Config{RootCAs: general, ServerName: "acme.localhost", MaxVersion: version, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
		for again := range 2 {
			state, err := visit(c)
			if err != nil || state.Version != version || state.DidResume != (again == 1) {
				t.Errorf("%s: version %x, resumed %v, %v", name, state.Version, state.DidResume, err)
			}
		}
	}
	if _, err := visit(&tls.Config{RootCAs: general, ServerName: "acme.localhost", NextProtos: []string{"http/1.1"}}); err != nil {
		t.Errorf("http/1.1: %v", err)
	}
	if _, err := visit(&tls.Config{RootCAs: general, ServerName: "acme.localhost", NextProtos: []string{"smtp"}}); err == nil {
		t.Error("smtp is spoken")
	}
	if _, err := (&tls.Dialer{Config: &tls.Config{RootCAs: general, ServerName: "acme.localhost", MaxVersion: tls.VersionTLS11}}).DialContext(t.Context(), "tcp", s.Listen); err == nil { //nolint:gosec // that it is refused
		t.Error("TLS 1.1 is spoken")
	}

	// What is not a certificate and its key changes nothing.
	s.write(yaml(fmt.Sprintf(", certificates: [{ cert_file: %q, key_file: %q }]", file("portal.crt"), file("tls.key"))))
	until(t, "the fault is in the log", 10*time.Second, func() bool {
		log, err := os.ReadFile(s.logFile())
		return err == nil && strings.Contains(string(log), "cert_file and key_file are not a certificate and its key")
	})
	if _, err := visit(&tls.Config{RootCAs: portal, ServerName: "portal.acme.test"}); err != nil {
		t.Errorf("after a bad reload: %v", err)
	}
}

// certificate writes a certificate for the hosts of a site, or for those that are named, and returns what trusts it.
func certificate(t *testing.T, certFile, keyFile string, serial int, names ...string) *x509.CertPool {
	t.Helper()
	p := newPair(t, serial, names...)
	p.place(t, certFile, keyFile)
	pool := x509.NewCertPool()
	pool.AddCert(p.cert)
	return pool
}

// A pair is a certificate and its key.
type pair struct {
	cert *x509.Certificate
	key  []byte // PKCS #8
}

// newPair makes a certificate for the hosts of a site, or for those that are named.
func newPair(t *testing.T, serial int, names ...string) pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if len(names) == 0 {
		names = []string{"login.localhost", "acme.localhost", "globex.localhost"}
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(int64(serial)), Subject: pkix.Name{CommonName: "orgate e2e"}, DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return pair{cert, secret}
}

// place writes the pair.
func (p pair) place(t *testing.T, certFile, keyFile string) {
	t.Helper()
	// Side by side under other names and then renamed: what is read is never half of one.
	for file, block := range map[string]*pem.Block{keyFile: {Type: "PRIVATE KEY", Bytes: p.key}, certFile: {Type: "CERTIFICATE", Bytes: p.cert.Raw}} {
		if err := os.WriteFile(file+".new", pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{keyFile, certFile} {
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
}
