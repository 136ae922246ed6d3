package saml

import (
	"crypto/x509"
	"fmt"

	"github.com/orgate/orgate/tenancy"
)

// Record returns what is known of a provider as it is kept. The error is that of a certificate
// that can't be read.
func (i IDP) Record() (tenancy.SAMLProvider, error) {
	p := tenancy.SAMLProvider{EntityID: i.EntityID, SSO: record(i.SSO), SLO: record(i.SLO), WantSigned: i.WantSigned, ValidUntil: i.ValidUntil}
	for _, der := range i.Certificates {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return tenancy.SAMLProvider{}, fmt.Errorf("certificate: %w", err)
		}
		p.Certificates = append(p.Certificates, tenancy.SAMLCertificate{DER: der, NotAfter: c.NotAfter.UTC()})
	}
	return p, nil
}

func record(in []Endpoint) (out []tenancy.SAMLEndpoint) {
	for _, e := range in {
		out = append(out, tenancy.SAMLEndpoint{Binding: string(e.Binding), URL: e.URL, ResponseURL: e.ResponseURL})
	}
	return out
}

// Recorded returns the provider of which p is the record.
func Recorded(p tenancy.SAMLProvider) IDP {
	i := IDP{EntityID: p.EntityID, SSO: recorded(p.SSO), SLO: recorded(p.SLO), WantSigned: p.WantSigned, ValidUntil: p.ValidUntil}
	for _, c := range p.Certificates {
		i.Certificates = append(i.Certificates, c.DER)
	}
	return i
}

func recorded(in []tenancy.SAMLEndpoint) (out []Endpoint) {
	for _, e := range in {
		out = append(out, Endpoint{Binding: Binding(e.Binding), URL: e.URL, ResponseURL: e.ResponseURL})
	}
	return out
}
