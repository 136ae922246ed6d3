package certificate_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/orgate/orgate/internal/certificate"
)

// made makes a certificate for names, with that key.
func made(t *testing.T, key crypto.Signer, names ...string) *tls.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: names, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func elliptical(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// shown returns the certificate that a visitor is shown in a real handshake.
func shown(t *testing.T, get func(*tls.ClientHelloInfo) (*tls.Certificate, error), visitor *tls.Config) *x509.Certificate {
	t.Helper()
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	go func() {
		_ = tls.Server(far, &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: get}).HandshakeContext(t.Context())
	}()
	visitor.InsecureSkipVerify = true // whose it is, is what is looked at
	c := tls.Client(near, visitor)
	if err := c.HandshakeContext(t.Context()); err != nil {
		t.Fatalf("%s: %v", visitor.ServerName, err)
	}
	return c.ConnectionState().PeerCertificates[0]
}

func TestAVisitorIsShownTheCertificateOfTheHostThatIsAskedFor(t *testing.T) {
	first := made(t, elliptical(t), "login.example.com", "*.example.com")
	portal := made(t, elliptical(t), "portal.acme.com")
	upper := made(t, elliptical(t), "Shop.Globex.com")
	own := made(t, elliptical(t), "special.example.com")
	s, err := certificate.NewSet([]*tls.Certificate{first, portal, upper, own})
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]*tls.Certificate{
		"login.example.com": first, "acme.example.com": first, "ACME.Example.com": first,
		"portal.acme.com": portal, "PORTAL.acme.com": portal, "shop.globex.com": upper,
		"special.example.com": own, // its own before that of all
		"a.b.example.com":     first, "example.com": first, "acme.com": first, "evil.test": first, "x.portal.acme.com": first, "": first,
	} {
		if got := shown(t, s.Get, &tls.Config{ServerName: host}); !got.Equal(want.Leaf) {
			t.Errorf("%q is shown the one for %v, want %v", host, got.DNSNames, want.Leaf.DNSNames)
		}
	}
	for host, want := range map[string]bool{
		"portal.acme.com": true, "x.example.com": true, "Portal.acme.com.": true, "example.com": false, "a.b.example.com": false, "": false, ".": false, "com": false,
	} {
		if s.Covers(host) != want {
			t.Errorf("%q covered: %v", host, !want)
		}
	}
}

// Two certificates of one host, of an RSA and an elliptic key, are for visitors old and new.
func TestOfTwoCertificatesOfAHostAVisitorIsShownTheOneItCanUse(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	modern, old := made(t, elliptical(t), "a.test"), made(t, key, "a.test")
	s, err := certificate.NewSet([]*tls.Certificate{modern, old})
	if err != nil {
		t.Fatal(err)
	}
	if got := shown(t, s.Get, &tls.Config{ServerName: "a.test"}); !got.Equal(modern.Leaf) {
		t.Error("not the first of them")
	}
	if got := shown(t, s.Get, &tls.Config{ServerName: "a.test", MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}}); !got.Equal(old.Leaf) {
		t.Error("not the one that it can use")
	}
}

func TestASetHasACertificate(t *testing.T) {
	for _, all := range [][]*tls.Certificate{nil, {{}}} {
		if s, err := certificate.NewSet(all); err == nil || s != nil {
			t.Errorf("%v: %v", all, s)
		}
	}
}
