package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/orgate/orgate/sso/saml"
	"github.com/orgate/orgate/tenancy"
)

// maxMetadata is how long a file of metadata may be: federations' have everybody's.
const maxMetadata = 2 << 20

// checkSAML checks a SAML connection, and reads what it says of its provider.
func (g *reading) checkSAML(at place, o *Organization, c *Connection) {
	g.others(at, "oidc", "saml")
	var ways []string
	for _, key := range []string{"metadata_url", "metadata_file", "sso_url"} {
		if g.given(at.at(key)) {
			ways = append(ways, key)
		}
	}
	switch len(ways) {
	case 0:
		g.fault(at, "a saml connection does not say where its provider is", "add metadata_url: with the address of the provider's metadata, or metadata_file, or entity_id, sso_url and certificates")
		return
	case 1:
	default:
		g.fault(at.at(ways[1]), strings.Join(ways, " and ")+" are given", "keep one of them")
		return
	}
	if ways[0] != "sso_url" {
		for _, key := range []string{"slo_url", "binding", "certificates"} {
			if g.given(at.at(key)) {
				g.fault(at.at(key), key+" is for connections without metadata, and this one has "+ways[0], "take it out: the metadata says it")
			}
		}
	}
	switch ways[0] {
	case "metadata_url":
		g.checkProviderURL(at.at("metadata_url"), c.MetadataURL)
	case "metadata_file":
		g.readMetadata(at, o, c)
	case "sso_url":
		g.typedProvider(at, c)
	}
}

// readMetadata reads the provider from its file.
func (g *reading) readMetadata(at place, o *Organization, c *Connection) {
	if c.MetadataFile == "" {
		g.missing(at, "metadata_file", "metadata_file has nothing in it", "name the file with the provider's metadata")
		return
	}
	at = at.at("metadata_file")
	data, err := g.readFile(string(c.MetadataFile), maxMetadata)
	if err != nil {
		g.fault(at, "the file "+string(c.MetadataFile)+" "+because(err), "")
		return
	}
	// Old metadata lets nobody in, and must not keep everybody else's configuration from being read.
	provider, err := saml.ParseMetadata(data, c.EntityID, time.Time{})
	if err != nil {
		g.fault(at, fmt.Sprintf("the file %s is not the metadata of a SAML identity provider: %s", c.MetadataFile, saml.Reason(err)), saml.Hint(err))
		return
	}
	if end := provider.ValidUntil; !end.IsZero() && end.Before(time.Now()) {
		g.warn(at, fmt.Sprintf("the metadata in %s says that it is valid until %s: nobody can sign in by it", c.MetadataFile, end.Format(time.DateOnly)), "get a new one from the provider, or use metadata_url")
	}
	for _, e := range slices.Concat(provider.SSO, provider.SLO) {
		for _, raw := range []string{e.URL, e.ResponseURL} {
			if _, err := parseEndpoint(raw); raw != "" && err != nil {
				g.fault(at, fmt.Sprintf("the file %s has an address that %s", c.MetadataFile, err), "")
			}
		}
	}
	record, err := provider.Record()
	if err != nil {
		g.fault(at, fmt.Sprintf("the file %s has a certificate that can't be read", c.MetadataFile), "")
		return
	}
	c.Provider = &record
	o.include(data)
}

// typedProvider makes a provider of what was typed in.
func (g *reading) typedProvider(at place, c *Connection) {
	if c.EntityID == "" {
		g.missing(at, "entity_id", "a saml connection without metadata has no entity_id", "add entity_id: with the name that the provider has for itself (issuer)")
	}
	if len(c.Certificates) == 0 && !g.given(at.at("certificates").at(0)) { // else that has a fault already
		g.missing(at, "certificates", "a saml connection without metadata has no certificates", "add certificates: [\"${file:idp.pem}\"]")
	}
	p, ok := c.typed()
	if !ok {
		return // a certificate has a fault already
	}
	if c.EntityID == "" || len(p.Certificates) == 0 || c.SSOURL == "" {
		return
	}
	if err := p.Check(); err != nil {
		g.fault(at, "the provider can't be used: "+saml.Reason(err), saml.Hint(err))
		return
	}
	record, err := p.Record()
	if err != nil {
		g.fault(at.at("certificates"), "a certificate can't be read", "")
		return
	}
	c.Provider = &record
}

// typed returns the provider that was typed in; ok is false if a certificate can't be read.
func (c Connection) typed() (p saml.IDP, ok bool) {
	p.EntityID = c.EntityID
	for _, pem := range c.Certificates {
		ders, err := saml.ParseCertificates([]byte(pem))
		if err != nil {
			return p, false
		}
		p.Certificates = append(p.Certificates, ders...)
	}
	binding := cmp.Or(saml.Binding(c.Binding), saml.Redirect)
	p.SSO = []saml.Endpoint{{Binding: binding, URL: c.SSOURL}}
	if c.SLOURL != "" {
		p.SLO = []saml.Endpoint{{Binding: binding, URL: c.SLOURL}}
	}
	return p, true
}

// SAML returns the connection as it is kept; nil if it is none of SAML.
func (c Connection) SAML() *tenancy.SAMLConnection {
	if c.Type != "saml" {
		return nil
	}
	return &tenancy.SAMLConnection{
		MetadataURL: c.MetadataURL, EntityID: c.EntityID, Provider: c.Provider,
		IDPInitiated: c.IDPInitiated, SignRequests: c.SignRequests, NameIDFormat: saml.NameIDFormat(c.NameID),
		Attributes: tenancy.SAMLAttributes{
			Email: c.EmailAttribute, Name: c.NameAttribute, FirstName: c.FirstNameAttribute, LastName: c.LastNameAttribute, Groups: c.GroupsAttribute,
		},
	}
}
