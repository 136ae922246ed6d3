// Package certificate says which certificate a visitor is shown: of those that the operator has
// in files, the one for the host that is asked for.
//
// It owns, too, how that is kept which an authority has issued (internal/certificate/issue has it do so).
//
// It knows names and certificates, and no organizations: whether a host is somebody's is asked of
// whoever knows. Which certificate was shown decides nothing else: the request's own Host says
// whose it is.
package certificate

import (
	"crypto/tls"
	"errors"
	"strings"
)

// A Set is certificates by the names that they are for. It is immutable.
type Set struct {
	first  *tls.Certificate
	byName map[string][]*tls.Certificate
}

// NewSet returns a set of certificates whose leaves are parsed. The first of them is for whoever
// names no host, or one that none of them is for.
func NewSet(all []*tls.Certificate) (*Set, error) {
	if len(all) == 0 {
		return nil, errors.New("no certificate")
	}
	s := &Set{first: all[0], byName: map[string][]*tls.Certificate{}}
	for _, c := range all {
		if c.Leaf == nil {
			return nil, errors.New("a certificate that is not parsed")
		}
		for _, name := range c.Leaf.DNSNames {
			name = canonical(name)
			s.byName[name] = append(s.byName[name], c)
		}
	}
	return s, nil
}

// Find returns the certificate for the host that a visitor names, which may be one of several: of
// those, the first whose key the visitor can use. ok is false if none is for it.
func (s *Set) Find(hello *tls.ClientHelloInfo) (c *tls.Certificate, ok bool) {
	found := s.named(canonical(hello.ServerName))
	for _, c := range found {
		if hello.SupportsCertificate(c) == nil {
			return c, true
		}
	}
	if len(found) > 0 {
		return found[0], true // the handshake says what is wrong with it
	}
	return nil, false
}

// Covers reports whether a certificate is for the host.
func (s *Set) Covers(host string) bool { return len(s.named(canonical(host))) > 0 }

// named returns the certificates of a name: those for itself, then those for all names beside it
// (RFC 6125, 6.4.3: a star is one whole label, and the leftmost one).
func (s *Set) named(name string) []*tls.Certificate {
	if exact := s.byName[name]; len(exact) > 0 {
		return exact
	}
	_, parent, ok := strings.Cut(name, ".")
	if !ok || parent == "" {
		return nil
	}
	return s.byName["*."+parent]
}

// Get returns the certificate for a visitor: in the form of [tls.Config]'s GetCertificate.
func (s *Set) Get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if c, ok := s.Find(hello); ok {
		return c, nil
	}
	return s.first, nil
}

// canonical returns a name as names are compared. Nothing but a key of the map comes of it.
func canonical(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }
