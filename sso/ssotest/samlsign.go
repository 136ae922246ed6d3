package ssotest

import (
	"crypto"
	"crypto/hmac"
	_ "crypto/md5" // a provider must not be believed with it
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha1" // nor with it
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
)

// SAMLSigned is what of a response is signed.
type SAMLSigned int

// What is signed.
const (
	AsAsked SAMLSigned = iota
	AssertionSigned
	ResponseSigned
	BothSigned
	NothingSigned
)

// Algorithms of signatures (RFC 9231), the good ones first.
const (
	RSASHA256  = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
	RSASHA384  = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384"
	RSASHA512  = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512"
	RSASHA1    = "http://www.w3.org/2000/09/xmldsig#rsa-sha1"
	RSAMD5     = "http://www.w3.org/2001/04/xmldsig-more#rsa-md5"
	HMACSHA256 = "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"
	SHA256     = "http://www.w3.org/2001/04/xmlenc#sha256"
	SHA512     = "http://www.w3.org/2001/04/xmlenc#sha512"
	SHA1       = "http://www.w3.org/2000/09/xmldsig#sha1"
	MD5        = "http://www.w3.org/2001/04/xmldsig-more#md5"

	excC14N   = "http://www.w3.org/2001/10/xml-exc-c14n#"
	enveloped = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
)

// SAMLKeyInfo is what a signature says of its key.
type SAMLKeyInfo int

// What a signature says of its key.
const (
	KeyInfoCertificate SAMLKeyInfo = iota
	KeyInfoValue                   // the bare RSA key
	KeyInfoNone
)

// A SAMLSigning is how an element is signed; the zero one is honest.
type SAMLSigning struct {
	// Key signs; nil: the provider's own.
	Key *SAMLKey
	// Method and Digest are algorithms; empty: [RSASHA256] and [SHA256].
	Method, Digest string
	// Secret is the key of an HMAC.
	Secret  []byte
	KeyInfo SAMLKeyInfo
	// References are the URIs of what is signed, each of which must be the id of an element
	// of the same document, or "" for all of it; nil: the element that is signed.
	References []string
	// Transforms come after those that an honest signature has.
	Transforms []*etree.Element
	// Without leaves elements of that name out of what is digested, as an XPath transform
	// can.
	Without string
	// Prefix is that of the signature's own elements; empty: ds, "-": none, which some
	// providers send.
	Prefix string
	// Prefixes is the PrefixList of exclusive canonicalization, which some providers send.
	Prefixes string
}

// sign puts a signature into an element, after its Issuer.
func (p *SAMLProvider) sign(el *etree.Element, s SAMLSigning) *etree.Element {
	key := p.Key()
	if s.Key != nil {
		key = *s.Key
	}
	sig, err := s.sign(el, key)
	if err != nil {
		panic(err) // a test asked for what can't be signed
	}
	return sig
}

func (s SAMLSigning) sign(el *etree.Element, key SAMLKey) (*etree.Element, error) {
	if s.Method == "" {
		s.Method = RSASHA256
	}
	if s.Digest == "" {
		s.Digest = SHA256
	}
	if s.References == nil {
		s.References = []string{"#" + el.SelectAttrValue("ID", "")}
	}
	sig := etree.NewElement(s.ds("Signature"))
	if s.Prefix == "-" {
		sig.CreateAttr("xmlns", nsDS)
	} else {
		sig.CreateAttr("xmlns:"+strings.TrimSuffix(s.ds(""), ":"), nsDS)
	}
	info := sig.CreateElement(s.ds("SignedInfo"))
	info.CreateElement(s.ds("CanonicalizationMethod")).CreateAttr("Algorithm", excC14N)
	info.CreateElement(s.ds("SignatureMethod")).CreateAttr("Algorithm", s.Method)
	for _, uri := range s.References {
		if err := s.reference(info, el, uri); err != nil {
			return nil, err
		}
	}
	place := 0
	if issuer := el.SelectElement("Issuer"); issuer != nil {
		place = issuer.Index() + 1
	}
	el.InsertChildAt(place, sig)
	text, err := canonical(info, "")
	if err != nil {
		return nil, err
	}
	value, err := s.value(text, key)
	if err != nil {
		return nil, err
	}
	sig.CreateElement(s.ds("SignatureValue")).SetText(base64.StdEncoding.EncodeToString(value))
	s.keyInfo(sig, key)
	return sig, nil
}

// ds names an element of the signature.
func (s SAMLSigning) ds(name string) string {
	switch s.Prefix {
	case "":
		return "ds:" + name
	case "-":
		return name
	}
	return s.Prefix + ":" + name
}

// reference adds the Reference for a URI.
func (s SAMLSigning) reference(info, el *etree.Element, uri string) error {
	target := el
	if uri != "#"+el.SelectAttrValue("ID", "") {
		if target = root(el); uri != "" {
			target = byID(root(el), strings.TrimSuffix(strings.TrimPrefix(uri[1:], "xpointer(id('"), "'))"))
		}
		if target == nil {
			return fmt.Errorf("ssotest: nothing has the id %q", uri)
		}
	}
	if s.Without != "" {
		target = target.Copy()
		for _, x := range target.FindElements(".//" + s.Without) {
			x.Parent().RemoveChild(x)
		}
	}
	text, err := canonical(target, s.Prefixes)
	if err != nil {
		return err
	}
	hash, err := hashOf(s.Digest)
	if err != nil {
		return err
	}
	h := hash.New()
	h.Write(text)
	ref := info.CreateElement(s.ds("Reference"))
	ref.CreateAttr("URI", uri)
	ts := ref.CreateElement(s.ds("Transforms"))
	ts.CreateElement(s.ds("Transform")).CreateAttr("Algorithm", enveloped)
	c := ts.CreateElement(s.ds("Transform"))
	c.CreateAttr("Algorithm", excC14N)
	if s.Prefixes != "" {
		list := c.CreateElement("ec:InclusiveNamespaces")
		list.CreateAttr("xmlns:ec", excC14N)
		list.CreateAttr("PrefixList", s.Prefixes)
	}
	for _, t := range s.Transforms {
		ts.AddChild(t.Copy())
	}
	ref.CreateElement(s.ds("DigestMethod")).CreateAttr("Algorithm", s.Digest)
	ref.CreateElement(s.ds("DigestValue")).SetText(base64.StdEncoding.EncodeToString(h.Sum(nil)))
	return nil
}

// value signs the canonical SignedInfo.
func (s SAMLSigning) value(text []byte, key SAMLKey) ([]byte, error) {
	hash, err := hashOf(s.Method)
	if err != nil {
		return nil, err
	}
	if s.Method == HMACSHA256 {
		mac := hmac.New(hash.New, s.Secret)
		mac.Write(text)
		return mac.Sum(nil), nil
	}
	h := hash.New()
	h.Write(text)
	value, err := rsa.SignPKCS1v15(rand.Reader, key.Private, hash, h.Sum(nil))
	if err != nil {
		return nil, fmt.Errorf("ssotest: signing: %w", err)
	}
	return value, nil
}

func (s SAMLSigning) keyInfo(sig *etree.Element, key SAMLKey) {
	enc := base64.StdEncoding.EncodeToString
	switch s.KeyInfo {
	case KeyInfoCertificate:
		sig.CreateElement(s.ds("KeyInfo")).CreateElement(s.ds("X509Data")).CreateElement(s.ds("X509Certificate")).SetText(enc(key.Certificate))
	case KeyInfoValue:
		v := sig.CreateElement(s.ds("KeyInfo")).CreateElement(s.ds("KeyValue")).CreateElement(s.ds("RSAKeyValue"))
		v.CreateElement(s.ds("Modulus")).SetText(enc(key.Private.N.Bytes()))
		v.CreateElement(s.ds("Exponent")).SetText(enc(big.NewInt(int64(key.Private.E)).Bytes()))
	case KeyInfoNone:
	}
}

func hashOf(algorithm string) (crypto.Hash, error) {
	switch algorithm {
	case RSASHA256, HMACSHA256, SHA256:
		return crypto.SHA256, nil
	case RSASHA384:
		return crypto.SHA384, nil
	case RSASHA512, SHA512:
		return crypto.SHA512, nil
	case RSASHA1, SHA1:
		return crypto.SHA1, nil
	case RSAMD5, MD5:
		return crypto.MD5, nil
	}
	return 0, errors.New("ssotest: unknown algorithm " + algorithm)
}

// canonical returns the exclusive canonical form of an element where it is.
func canonical(el *etree.Element, prefixes string) ([]byte, error) {
	// Not by etreeutils.NSDetatch, which gives up at a thousand elements.
	apart := el.Copy()
	for up := el.Parent(); up != nil; up = up.Parent() {
		for _, a := range up.Attr {
			if declares := a.Space == "xmlns" || a.Space == "" && a.Key == "xmlns"; declares && apart.SelectAttr(a.FullKey()) == nil {
				apart.Attr = append(apart.Attr, a)
			}
		}
	}
	text, err := dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList(prefixes).Canonicalize(apart)
	if err != nil {
		return nil, fmt.Errorf("ssotest: canonical form: %w", err)
	}
	return text, nil
}

func root(el *etree.Element) *etree.Element {
	for el.Parent() != nil && el.Parent().Tag != "" {
		el = el.Parent()
	}
	return el
}

// byID returns the first element of that id.
func byID(el *etree.Element, id string) *etree.Element {
	if el.SelectAttrValue("ID", "") == id {
		return el
	}
	for _, c := range el.ChildElements() {
		if found := byID(c, id); found != nil {
			return found
		}
	}
	return nil
}
