package ssotest

import (
	"bytes"
	"compress/flate"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
)

// maxMessage bounds what a message of an application unpacks to.
const maxMessage = 64 << 10

// A samlInput is a message that a browser brought.
type samlInput struct {
	root  *etree.Element
	relay string
	// verify checks the signature by an application's certificate; signed is whether there
	// is one at all.
	signed bool
	verify func(certificate []byte) error
}

// input reads the message of that name, of either binding.
func (p *SAMLProvider) input(r *http.Request, name string) (*samlInput, error) {
	if r.Method == http.MethodPost {
		return p.postInput(r, name)
	}
	q := r.URL.Query()
	packed, err := base64.StdEncoding.DecodeString(q.Get(name))
	if err != nil {
		return nil, fmt.Errorf("%s is not base64: %w", name, err)
	}
	text, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(packed)), maxMessage+1))
	if err != nil {
		return nil, fmt.Errorf("%s is not deflated: %w", name, err)
	}
	root, err := parseMessage(text)
	if err != nil {
		return nil, err
	}
	in := &samlInput{root: root, relay: q.Get("RelayState"), signed: q.Get("Signature") != ""}
	in.verify = func(certificate []byte) error { return verifyQuery(r.URL.RawQuery, name, certificate) }
	return in, nil
}

func (p *SAMLProvider) postInput(r *http.Request, name string) (*samlInput, error) {
	text, err := base64.StdEncoding.DecodeString(r.PostFormValue(name))
	if err != nil {
		return nil, fmt.Errorf("%s is not base64: %w", name, err)
	}
	root, err := parseMessage(text)
	if err != nil {
		return nil, err
	}
	in := &samlInput{root: root, relay: r.PostFormValue("RelayState"), signed: root.SelectElement("Signature") != nil}
	in.verify = func(certificate []byte) error {
		c, err := x509.ParseCertificate(certificate)
		if err != nil {
			return fmt.Errorf("the application's certificate: %w", err)
		}
		ctx := dsig.NewDefaultValidationContext(&dsig.MemoryX509CertificateStore{Roots: []*x509.Certificate{c}})
		ctx.Clock = dsig.NewFakeClockAt(c.NotBefore) // its key counts, not how long it is valid
		verified, err := ctx.Validate(root)
		if err != nil {
			return fmt.Errorf("signature: %w", err)
		}
		in.root = verified
		return nil
	}
	return in, nil
}

func parseMessage(text []byte) (*etree.Element, error) {
	if len(text) > maxMessage {
		return nil, errors.New("the message is too long")
	}
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(text); err != nil {
		return nil, fmt.Errorf("the message is not XML: %w", err)
	}
	for _, t := range doc.Child {
		if _, ok := t.(*etree.Directive); ok {
			return nil, errors.New("the message has a DOCTYPE")
		}
	}
	if doc.Root() == nil {
		return nil, errors.New("there is no message")
	}
	return doc.Root(), nil
}

// verifyQuery checks the signature of the redirect binding, over the query as it came
// (saml-bindings-2.0-os, 3.4.4.1).
func verifyQuery(raw, name string, certificate []byte) error {
	parts := map[string]string{}
	for part := range strings.SplitSeq(raw, "&") {
		k, v, _ := strings.Cut(part, "=")
		if _, twice := parts[k]; twice {
			return fmt.Errorf("%s came twice", k)
		}
		parts[k] = v
	}
	signed := name + "=" + parts[name]
	if v, ok := parts["RelayState"]; ok {
		signed += "&RelayState=" + v
	}
	signed += "&SigAlg=" + parts["SigAlg"]
	algorithm, err1 := url.QueryUnescape(parts["SigAlg"])
	encoded, err2 := url.QueryUnescape(parts["Signature"])
	signature, err3 := base64.StdEncoding.DecodeString(encoded)
	c, err4 := x509.ParseCertificate(certificate)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return fmt.Errorf("signature: %w", err)
	}
	key, ok := c.PublicKey.(*rsa.PublicKey)
	if !ok {
		return errors.New("the application's key is not RSA")
	}
	var err error
	switch algorithm {
	case RSASHA256:
		sum := sha256.Sum256([]byte(signed))
		err = rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature)
	case RSASHA512:
		sum := sha512.Sum512([]byte(signed))
		err = rsa.VerifyPKCS1v15(key, crypto.SHA512, sum[:], signature)
	default:
		return errors.New("signature algorithm " + algorithm)
	}
	if err != nil {
		return fmt.Errorf("signature: %w", err)
	}
	return nil
}

// accept returns who a message is from, its signature verified if it must be.
func (p *SAMLProvider) accept(in *samlInput, name, path string, mustSign bool) (SAMLServiceProvider, error) {
	var sp SAMLServiceProvider
	if in.root.Tag != name || in.root.NamespaceURI() != nsSAMLP {
		return sp, fmt.Errorf("the message is a %s", in.root.Tag)
	}
	from := strings.TrimSpace(childText(in.root, "Issuer"))
	sp, known := p.serviceProvider(from)
	if !known {
		return sp, errors.New("this provider knows no application called " + strconv.Quote(from))
	}
	switch {
	case in.signed && sp.Certificate != nil:
		if err := in.verify(sp.Certificate); err != nil {
			return sp, err
		}
	case mustSign || sp.WantSigned || p.options.WantSigned:
		return sp, errors.New("the message is not signed, or this application has no certificate here")
	}
	if d := in.root.SelectAttrValue("Destination", ""); d != "" && d != p.options.EntityID+path {
		return sp, errors.New("the message is for " + strconv.Quote(d))
	}
	return sp, nil
}

func childText(el *etree.Element, name string) string {
	if c := el.SelectElement(name); c != nil {
		return c.Text()
	}
	return ""
}
