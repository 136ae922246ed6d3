package saml

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/beevik/etree"

	"github.com/orgate/orgate/sso/idp"
)

// ParseMetadata reads a provider's metadata document (saml-metadata-2.0-os). entityID says which
// of several entities is meant; empty: the document has one identity provider. The error is an [*Error].
//
// A signature in it is not looked at: whose document it is, its https address says, or whoever
// uploaded it.
func ParseMetadata(document []byte, entityID string, now time.Time) (IDP, error) {
	if len(document) > maxMetadata {
		return IDP{}, fail(CodeTooLarge, nil, fmt.Sprintf("metadata of %d bytes", len(document)))
	}
	doc, err := parse(bytes.TrimPrefix(document, []byte("\ufeff")), true)
	if err != nil {
		return IDP{}, fail(CodeMetadata, err, err.Error())
	}
	entity, role, err := entityOf(doc.root, entityID)
	if err != nil {
		return IDP{}, err
	}
	var p IDP
	p.EntityID, _ = attr(entity, "entityID")
	if p.EntityID == "" || !isLabel(p.EntityID, maxURL) || strings.TrimSpace(p.EntityID) != p.EntityID {
		return IDP{}, fail(CodeMetadata, nil, "entityID is not plain text")
	}
	for el := role; el != nil; el = el.Parent() { // what holds it has a say too
		if err := p.readEnd(el, now); err != nil {
			return IDP{}, err
		}
	}
	if p.SSO, err = endpoints(role, "SingleSignOnService"); err != nil {
		return IDP{}, err
	}
	if len(p.SSO) == 0 {
		return IDP{}, fail(CodeMetadata, nil, "no SingleSignOnService with HTTP-Redirect or HTTP-POST")
	}
	if p.SLO, err = endpoints(role, "SingleLogoutService"); err != nil {
		return IDP{}, err
	}
	if p.Certificates, err = certificates(role); err != nil {
		return IDP{}, err
	}
	want, _ := attr(role, "WantAuthnRequestsSigned")
	p.WantSigned = want == "true" || want == "1"
	return p, nil
}

// entityOf finds the identity provider that is meant, and its role.
func entityOf(root *etree.Element, entityID string) (entity, role *etree.Element, err error) {
	var entities []*etree.Element
	switch {
	case is(root, nsMetadata, "EntityDescriptor"):
		entities = []*etree.Element{root}
	case is(root, nsMetadata, "EntitiesDescriptor"):
		groups := []*etree.Element{root}
		for len(groups) > 0 {
			entities = append(entities, children(groups[0], nsMetadata, "EntityDescriptor")...)
			groups = append(groups[1:], children(groups[0], nsMetadata, "EntitiesDescriptor")...)
		}
	default:
		return nil, nil, fail(CodeMetadata, nil, "the root is "+root.FullTag())
	}
	found := 0
	for _, e := range entities {
		id, _ := attr(e, "entityID")
		if entityID != "" && id != entityID {
			continue
		}
		var roles []*etree.Element
		for _, r := range children(e, nsMetadata, "IDPSSODescriptor") {
			protocols, _ := attr(r, "protocolSupportEnumeration")
			if slices.Contains(strings.Fields(protocols), nsProtocol) {
				roles = append(roles, r)
			}
		}
		if len(roles) > 1 {
			return nil, nil, fail(CodeMetadata, nil, "two IDPSSODescriptors of one entity")
		}
		if len(roles) == 1 {
			entity, role = e, roles[0]
			found++
		}
	}
	if found != 1 {
		return nil, nil, fail(CodeMetadataEntity, nil, fmt.Sprintf("%d identity providers of %d entities", found, len(entities)))
	}
	return entity, role, nil
}

// readEnd reads until when a part of the document is valid; the soonest counts.
func (i *IDP) readEnd(el *etree.Element, now time.Time) error {
	s, ok := attr(el, "validUntil")
	if !ok {
		return nil
	}
	end, ok := instant(s)
	if !ok {
		return fail(CodeMetadata, nil, "validUntil is no time")
	}
	if !now.Before(end) {
		return fail(CodeMetadataExpired, nil, "validUntil "+end.Format(time.RFC3339))
	}
	if i.ValidUntil.IsZero() || end.Before(i.ValidUntil) {
		i.ValidUntil = end
	}
	return nil
}

// endpoints reads where a role takes messages, of the bindings that are spoken.
func endpoints(role *etree.Element, tag string) ([]Endpoint, error) {
	var out []Endpoint
	for _, el := range children(role, nsMetadata, tag) {
		var e Endpoint
		switch binding, _ := attr(el, "Binding"); binding {
		case bindingRedirect:
			e.Binding = Redirect
		case bindingPost:
			e.Binding = Post
		default:
			continue
		}
		e.URL, _ = attr(el, "Location")
		e.ResponseURL, _ = attr(el, "ResponseLocation")
		if err := e.check(); err != nil {
			return nil, fail(CodeMetadata, nil, tag+": "+err.Detail)
		}
		if out = append(out, e); len(out) > maxEndpoints {
			return nil, fail(CodeMetadata, nil, "too many endpoints")
		}
	}
	return out, nil
}

func (e Endpoint) check() *Error {
	if e.Binding != Redirect && e.Binding != Post {
		return fail(CodeConnection, nil, fmt.Sprintf("binding %q", e.Binding))
	}
	if !isURL(e.URL) || e.ResponseURL != "" && !isURL(e.ResponseURL) {
		return fail(CodeConnection, nil, fmt.Sprintf("not an http or https URL: %q", idp.Printable(e.URL+" "+e.ResponseURL, 200)))
	}
	return nil
}

// certificates reads what a role may sign with: of a key that is for signing, or does not say
// what it is for.
func certificates(role *etree.Element) ([][]byte, error) {
	var found [][]byte
	for _, d := range children(role, nsMetadata, "KeyDescriptor") {
		if use, ok := attr(d, "use"); ok && use != "signing" {
			continue
		}
		for _, info := range children(d, nsSignature, "KeyInfo") {
			for _, data := range children(info, nsSignature, "X509Data") {
				for _, el := range children(data, nsSignature, "X509Certificate") {
					s, ok := textOf(el)
					der, err := decodeBase64(s)
					if !ok || err != nil {
						return nil, fail(CodeCertificate, nil, "not base64")
					}
					found = append(found, der)
				}
			}
		}
	}
	return usable(found)
}

// ParseCertificates reads signing certificates as they are typed in or uploaded: PEM, or the base64
// of metadata without its frame. Each comes once. The error is an [*Error].
func ParseCertificates(b []byte) ([][]byte, error) {
	if len(b) > maxMetadata {
		return nil, fail(CodeTooLarge, nil, fmt.Sprintf("certificates of %d bytes", len(b)))
	}
	var found [][]byte
	rest := bytes.TrimSpace(b)
	if !bytes.Contains(rest, []byte("-----BEGIN")) {
		der, err := decodeBase64(string(rest))
		if err != nil {
			return nil, fail(CodeCertificate, nil, "neither PEM nor base64")
		}
		return usable([][]byte{der})
	}
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			// Perhaps a private key, which has no place here: it is not even named.
			return nil, fail(CodeCertificate, nil, "a PEM block that is not a certificate")
		}
		found = append(found, block.Bytes)
	}
	if len(bytes.TrimSpace(rest)) > 0 {
		return nil, fail(CodeCertificate, nil, "something that is not PEM")
	}
	return usable(found)
}

// usable returns the certificates, each once, if all will do. One that will not is not left out
// in silence: it may be the one that the provider signs with tomorrow.
func usable(ders [][]byte) ([][]byte, error) {
	var out [][]byte
	for _, der := range ders {
		if !slices.ContainsFunc(out, func(o []byte) bool { return bytes.Equal(o, der) }) {
			out = append(out, der)
		}
	}
	if len(out) == 0 || len(out) > maxCertificates {
		return nil, fail(CodeCertificate, nil, fmt.Sprintf("%d signing certificates", len(out)))
	}
	if _, err := (IDP{Certificates: out}).signers(); err != nil {
		return nil, err
	}
	return out, nil
}

// Check returns what is wrong with settings that were typed in, as an [*Error], or nil.
func (i IDP) Check() error {
	if i.EntityID == "" || !isLabel(i.EntityID, maxURL) || strings.TrimSpace(i.EntityID) != i.EntityID {
		return fail(CodeConnection, nil, "the entity id is not plain text")
	}
	if len(i.SSO) == 0 || len(i.SSO) > maxEndpoints || len(i.SLO) > maxEndpoints {
		return fail(CodeConnection, nil, fmt.Sprintf("%d sign-in URLs", len(i.SSO)))
	}
	for _, e := range slices.Concat(i.SSO, i.SLO) {
		if err := e.check(); err != nil {
			return err
		}
	}
	_, err := i.signers()
	return err
}
