package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/internal/certificate/acmetest"
	"github.com/orgate/orgate/store/postgres/pgtest"
)

// withACME is a configuration whose certificates come from the authority.
func withACME(s *site, a *acmetest.Authority, yaml string) string {
	s.t.Helper()
	ca := filepath.Join(s.dir, "authority.pem")
	if err := os.WriteFile(ca, a.CA, 0o600); err != nil {
		s.t.Fatal(err)
	}
	return strings.Replace(yaml, "public_url: http:", fmt.Sprintf("tls: { acme: { directory_url: %q, email: ops@example.com, ca_file: %q } }\npublic_url: https:", a.Directory, ca), 1)
}

// visited returns the certificate that a site shows who asks for a host.
func visited(s *site, roots *x509.CertPool, host string) (*x509.Certificate, error) {
	dialer := &tls.Dialer{Config: &tls.Config{RootCAs: roots, ServerName: host, MinVersion: tls.VersionTLS12}}
	conn, err := dialer.DialContext(s.t.Context(), "tcp", s.Listen)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0], nil
}

// TestCertificatesComeByThemselves for the login host and the hosts of organizations, and for no other.
func TestCertificatesComeByThemselves(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	a := acmetest.New(t, netip.MustParseAddrPort(s.Listen), 90*24*time.Hour)
	own := strings.Replace(s.acme(), "- slug: acme\n", "- slug: acme\n    hosts: [portal.acme.test]\n", 1)
	s.write(withACME(s, a, s.head(s.badger())+own))
	s.start()
	until(t, "the certificate of the login host, for which nobody has asked", 20*time.Second, func() bool { return a.Orders() == 1 })
	shown := map[string]*x509.Certificate{}
	for _, host := range []string{"login.localhost", "acme.localhost", "portal.acme.test"} {
		c, err := visited(s, a.Issued, host)
		if err != nil {
			t.Fatalf("%s: %v", host, err)
		}
		shown[host] = c
	}
	refused := func() {
		t.Helper()
		for _, host := range []string{"globex.localhost", "nobody.localhost", "acme.test", "localhost", "evil.test", "x.acme.localhost"} {
			if c, err := visited(s, a.Issued, host); err == nil {
				t.Errorf("%s is shown the certificate for %v", host, c.DNSNames)
			}
		}
	}
	refused()
	if n := a.Orders(); n != 3 {
		t.Errorf("%d orders for three hosts", n)
	}
	s.stop()
	s.start()
	for host, before := range shown {
		if c, err := visited(s, a.Issued, host); err != nil || !c.Equal(before) {
			t.Errorf("%s after a restart: %v", host, err)
		}
	}
	if n := a.Orders(); n != 3 {
		t.Errorf("%d orders, a restart later", n)
	}

	// An organization that comes has a certificate, and one that is suspended has none any more.
	s.write(withACME(s, a, s.head(s.badger())+own+s.globex()))
	until(t, "a certificate for the new organization", 20*time.Second, func() bool {
		_, err := visited(s, a.Issued, "globex.localhost")
		return err == nil
	})
	s.write(withACME(s, a, s.head(s.badger())+own))
	until(t, "the suspended one is nobody", 20*time.Second, func() bool {
		_, err := visited(s, a.Issued, "globex.localhost")
		return err != nil
	})
	refused()
}

// TestReplicasShareTheirCertificates: each answers the authority for the other, and one asks for both.
func TestReplicasShareTheirCertificates(t *testing.T) {
	t.Parallel()
	url := pgtest.Start(t).URL()
	one := newSite(t)
	two := siteAt(t, one.issuer, one.Port)
	two.app, two.secrets = one.app, one.secrets
	one.Listen = fmt.Sprintf("127.0.0.2:%d", one.Port)
	two.Listen = fmt.Sprintf("127.0.0.3:%d", one.Port)
	a := acmetest.New(t, netip.MustParseAddrPort(one.Listen), 90*24*time.Hour)
	for _, s := range []*site{one, two} {
		s.write(withACME(s, a, s.head(s.postgres(url))+s.acme()))
		s.start()
	}
	// The authority looks at one; whoever asks first, asks two.
	first, err := visited(two, a.Issued, "acme.localhost")
	if err != nil {
		t.Fatal(err)
	}
	again, err := visited(one, a.Issued, "acme.localhost")
	if err != nil || !again.Equal(first) {
		t.Errorf("the other replica: %v", err)
	}
	until(t, "the login host has one", 20*time.Second, func() bool {
		_, err := visited(two, a.Issued, "login.localhost")
		return err == nil
	})
	if n := a.Orders(); n != 2 {
		t.Errorf("%d orders for two hosts", n)
	}
}
