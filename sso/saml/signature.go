package saml

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"

	"github.com/orgate/orgate/sso/idp"
)

// An algorithm is one that a message may be signed with.
type algorithm struct {
	key    x509.PublicKeyAlgorithm
	verify x509.SignatureAlgorithm
}

// signatureMethod returns what a URI means. The list is ours, and shorter than the library's,
// which has SHA-1 in it.
func signatureMethod(uri string) (algorithm, bool) {
	switch uri {
	case dsig.RSASHA256SignatureMethod:
		return algorithm{x509.RSA, x509.SHA256WithRSA}, true
	case dsig.RSASHA384SignatureMethod:
		return algorithm{x509.RSA, x509.SHA384WithRSA}, true
	case dsig.RSASHA512SignatureMethod:
		return algorithm{x509.RSA, x509.SHA512WithRSA}, true
	case dsig.ECDSASHA256SignatureMethod:
		return algorithm{x509.ECDSA, x509.ECDSAWithSHA256}, true
	case dsig.ECDSASHA384SignatureMethod:
		return algorithm{x509.ECDSA, x509.ECDSAWithSHA384}, true
	case dsig.ECDSASHA512SignatureMethod:
		return algorithm{x509.ECDSA, x509.ECDSAWithSHA512}, true
	}
	return algorithm{}, false
}

func isDigestMethod(uri string) bool {
	switch uri {
	case "http://www.w3.org/2001/04/xmlenc#sha256", "http://www.w3.org/2001/04/xmldsig-more#sha384", "http://www.w3.org/2001/04/xmlenc#sha512":
		return true
	}
	return false
}

func isCanonicalization(uri string) bool {
	switch dsig.AlgorithmID(uri) {
	case dsig.CanonicalXML10ExclusiveAlgorithmId, dsig.CanonicalXML10ExclusiveWithCommentsAlgorithmId,
		dsig.CanonicalXML11AlgorithmId, dsig.CanonicalXML11WithCommentsAlgorithmId,
		dsig.CanonicalXML10RecAlgorithmId, dsig.CanonicalXML10WithCommentsAlgorithmId:
		return true
	default:
		return false
	}
}

// signatureOf returns the signature that is directly in el, or nil.
func signatureOf(el *etree.Element) *etree.Element { return only(el, nsSignature, "Signature") }

// verify returns what of el was signed, by a certificate of the connection: an element of its
// own, read from the very bytes that were verified. Nothing else of the message may be used.
func (c Connection) verify(el *etree.Element) (*etree.Element, error) {
	sig := signatureOf(el)
	if sig == nil {
		return nil, fail(CodeUnsigned, nil, el.Tag)
	}
	method, err := checkSignature(sig, el)
	if err != nil {
		return nil, err
	}
	raw, ok := textOf(only(sig, nsSignature, "SignatureValue"))
	value, err := decodeBase64(raw)
	if !ok || err != nil {
		return nil, fail(CodeSignatureMalformed, nil, "the SignatureValue is not base64")
	}
	certificates, err := c.IDP.signers()
	if err != nil {
		return nil, err
	}
	detached, id := detach(el), ""
	id, _ = attr(el, "ID")
	for _, cert := range certificates {
		if cert.PublicKeyAlgorithm != method.key {
			continue
		}
		out, err := validate(detached, cert, value)
		if err != nil {
			continue // another certificate's, perhaps: they roll over
		}
		// What was signed is what was asked about, not something else that the provider signed
		// once (CVE-2024-6800).
		if got, _ := attr(out, "ID"); out.Tag != el.Tag || out.NamespaceURI() != el.NamespaceURI() || got != id {
			return nil, fail(CodeSignature, nil, "another element was signed")
		}
		return out, nil
	}
	return nil, fail(CodeSignature, nil, fmt.Sprintf("%s: by none of %d certificates", el.Tag, len(certificates)))
}

// checkSignature judges all of a signature but its value, before the library sees it: the
// library takes more, and goes by names in the wrong namespace, or the first of several.
func checkSignature(sig, parent *etree.Element) (algorithm, error) {
	malformed := func(detail string) (algorithm, error) {
		return algorithm{}, fail(CodeSignatureMalformed, nil, detail)
	}
	refused := func(what, uri string) (algorithm, error) {
		return algorithm{}, fail(CodeAlgorithm, nil, what+" "+uri)
	}
	if !shape(sig, "SignedInfo", "SignatureValue", "KeyInfo?") {
		return malformed("a Signature has SignedInfo, SignatureValue and KeyInfo, and nothing else")
	}
	if info := only(sig, nsSignature, "KeyInfo"); info != nil && !small(info) {
		return malformed("a KeyInfo of no honest size")
	}
	info := only(sig, nsSignature, "SignedInfo")
	if !shape(info, "CanonicalizationMethod", "SignatureMethod", "Reference") {
		return malformed("a SignedInfo has CanonicalizationMethod, SignatureMethod and one Reference")
	}
	if uri, _ := attr(only(info, nsSignature, "CanonicalizationMethod"), "Algorithm"); !isCanonicalization(uri) {
		return refused("CanonicalizationMethod", uri)
	}
	methodElement := only(info, nsSignature, "SignatureMethod")
	uri, _ := attr(methodElement, "Algorithm")
	method, ok := signatureMethod(uri)
	if !ok {
		return refused("SignatureMethod", uri)
	}
	if !shape(methodElement) {
		return malformed("a SignatureMethod with parameters")
	}
	ref := only(info, nsSignature, "Reference")
	if !shape(ref, "Transforms", "DigestMethod", "DigestValue") {
		return malformed("a Reference has Transforms, DigestMethod and DigestValue")
	}
	// An empty URI means the whole document: right today, and something else when the element
	// is in another one.
	id, _ := attr(parent, "ID")
	if uri, _ := attr(ref, "URI"); id == "" || uri != "#"+id {
		return malformed("the Reference is not to the element that the Signature is in")
	}
	if uri, _ := attr(only(ref, nsSignature, "DigestMethod"), "Algorithm"); !isDigestMethod(uri) {
		return refused("DigestMethod", uri)
	}
	transforms := only(ref, nsSignature, "Transforms").ChildElements()
	if len(transforms) != 2 || !is(transforms[0], nsSignature, "Transform") || !is(transforms[1], nsSignature, "Transform") {
		return malformed("a Reference has two Transforms")
	}
	if uri, _ := attr(transforms[0], "Algorithm"); uri != dsig.EnvelopedSignatureAltorithmId.String() {
		return refused("first Transform", uri)
	}
	if uri, _ := attr(transforms[1], "Algorithm"); !isCanonicalization(uri) {
		return refused("second Transform", uri)
	}
	if len(transforms[0].ChildElements()) != 0 {
		return malformed("a Transform with parameters")
	}
	for _, child := range transforms[1].ChildElements() {
		if !is(child, nsExclusive, "InclusiveNamespaces") || len(transforms[1].ChildElements()) > 1 {
			return malformed("a Transform with parameters")
		}
	}
	return method, nil
}

// small reports whether a KeyInfo is of a size that honest ones have. Nothing of it is used; this
// is for whoever reads it in a log, or hands it on.
func small(info *etree.Element) bool {
	for _, t := range info.Child {
		switch t := t.(type) {
		case *etree.Element:
			if !small(t) {
				return false
			}
		case *etree.CharData:
			if len(t.Data) > maxKeyInfo {
				return false
			}
		}
	}
	return len(info.Child) <= maxCertificates*2+1
}

// shape reports whether the elements in el are exactly these, of the signature's namespace and in
// this order; one with a question mark may be missing.
func shape(el *etree.Element, tags ...string) bool {
	have := el.ChildElements()
	for _, tag := range tags {
		tag, optional := strings.CutSuffix(tag, "?")
		switch {
		case len(have) > 0 && is(have[0], nsSignature, tag):
			have = have[1:]
		case !optional:
			return false
		}
	}
	return len(have) == 0
}

// detach returns a copy of el, with its signature as the library should see it, and with the
// prefixes that were declared around it. The signature comes first, so that the library looks at
// no other, and without KeyInfo, so that it has no say in whose key is tried. Neither is part of
// what was signed: that is el without it.
func detach(el *etree.Element) *etree.Element {
	out := el.Copy()
	for parent := el.Parent(); parent != nil; parent = parent.Parent() {
		for _, a := range parent.Attr {
			isDeclaration := a.Space == "xmlns" || a.Space == "" && a.Key == "xmlns"
			if isDeclaration && !hasAttr(out, a.Space, a.Key) {
				out.CreateAttr(a.FullKey(), a.Value)
			}
		}
	}
	sig := signatureOf(out)
	if info := only(sig, nsSignature, "KeyInfo"); info != nil {
		sig.RemoveChild(info)
	}
	out.InsertChildAt(0, sig)
	return out
}

func hasAttr(el *etree.Element, space, key string) bool {
	for i := range el.Attr {
		if el.Attr[i].Space == space && el.Attr[i].Key == key {
			return true
		}
	}
	return false
}

// validate has the library verify a detached element with one certificate, and returns what the
// library read from the verified bytes.
func validate(detached *etree.Element, cert *x509.Certificate, value []byte) (out *etree.Element, err error) {
	defer func() {
		if r := recover(); r != nil {
			out, err = nil, errors.New("the library panicked")
		}
	}()
	only(signatureOf(detached), nsSignature, "SignatureValue").SetText(base64.StdEncoding.EncodeToString(asDER(value, cert.PublicKey)))
	ctx := dsig.NewDefaultValidationContext(&dsig.MemoryX509CertificateStore{Roots: []*x509.Certificate{cert}})
	// The key is pinned; when its certificate ends says nothing of that. Providers let them
	// expire, and a sign-in that fails overnight at all of a customer's people helps nobody.
	ctx.Clock = dsig.NewFakeClockAt(cert.NotBefore)
	out, err = ctx.Validate(detached)
	if err == nil && out == nil {
		err = errors.New("nothing was signed")
	}
	return out, err
}

// asDER returns a signature as crypto/x509 wants it. XML Signature has ECDSA's two numbers side
// by side (RFC 4050, 3.3), which the library does not know.
func asDER(value []byte, public any) []byte {
	key, ok := public.(*ecdsa.PublicKey)
	if !ok {
		return value
	}
	size := (key.Curve.Params().BitSize + 7) / 8
	if len(value) != 2*size {
		return value
	}
	der, err := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(value[:size]), new(big.Int).SetBytes(value[size:])})
	if err != nil {
		return value
	}
	return der
}

// signers returns the certificates that the provider may sign with. There is no connection
// without one: that nothing can be verified is no reason not to.
func (i IDP) signers() ([]*x509.Certificate, error) {
	if len(i.Certificates) == 0 || len(i.Certificates) > maxCertificates {
		return nil, fail(CodeConnection, nil, fmt.Sprintf("%d certificates", len(i.Certificates)))
	}
	certificates := make([]*x509.Certificate, 0, len(i.Certificates))
	for _, der := range i.Certificates {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fail(CodeCertificate, err, "not an X.509 certificate")
		}
		if fault := weak(cert); fault != "" {
			return nil, fail(CodeCertificate, nil, fault)
		}
		certificates = append(certificates, cert)
	}
	return certificates, nil
}

// weak returns why a certificate's key is not accepted; empty: it is.
func weak(cert *x509.Certificate) string {
	switch key := cert.PublicKey.(type) {
	case *rsa.PublicKey:
		// Beyond 8192 bits, verifying is what an attack costs us.
		if bits := key.N.BitLen(); bits < 2048 || bits > 8192 {
			return fmt.Sprintf("an RSA key of %d bits", bits)
		}
		return ""
	case *ecdsa.PublicKey:
		if bits := key.Curve.Params().BitSize; bits < 256 {
			return fmt.Sprintf("an ECDSA key of %d bits", bits)
		}
		return ""
	}
	return "a key that is neither RSA nor ECDSA: " + idp.Printable(cert.PublicKeyAlgorithm.String(), 40)
}

// decodeBase64 decodes what providers write in lines, and nothing laxer: two spellings of one
// value are one too many.
func decodeBase64(s string) ([]byte, error) {
	if strings.ContainsAny(s, " \t\r\n") {
		s = strings.Map(func(r rune) rune {
			if r == ' ' || r == '\t' || r == '\r' || r == '\n' {
				return -1
			}
			return r
		}, s)
	}
	return base64.StdEncoding.Strict().DecodeString(s)
}

func encodeBase64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }
