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
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
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

// certificate writes a certificate for the hosts of a site, and returns what trusts it.
func certificate(t *testing.T, certFile, keyFile string, serial int) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(int64(serial)), Subject: pkix.Name{CommonName: "orgate e2e"}, DNSNames: []string{"login.localhost", "acme.localhost"},
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
	// Side by side under other names and then renamed: what is read is never half of one.
	for file, block := range map[string]*pem.Block{keyFile: {Type: "PRIVATE KEY", Bytes: secret}, certFile: {Type: "CERTIFICATE", Bytes: der}} {
		if err := os.WriteFile(file+".new", pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{keyFile, certFile} {
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	pool := x509.NewCertPool()
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool.AddCert(cert)
	return pool
}
