package saml

import (
	"bytes"
	"compress/flate"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"net/url"
	"strings"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"

	"github.com/orgate/orgate/sso/idp"
)

// pick returns the endpoint of the binding that is preferred: a redirect needs no page of ours
// between us and the provider.
func pick(endpoints []Endpoint) (Endpoint, bool) {
	for _, b := range []Binding{Redirect, Post} {
		for _, e := range endpoints {
			if e.Binding == b && isURL(e.URL) {
				return e, true
			}
		}
	}
	return Endpoint{}, false
}

// isURL reports whether s is an address that a browser may be sent to. That it is https and
// where it leads is for the caller; javascript: and the like is for nobody. Operators are shown it
// as it is, so it holds nothing that could move a terminal's cursor.
func isURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil && u.Fragment == "" && len(s) <= maxURL && !strings.Contains(s, "#") && idp.Printable(s, maxURL) == s
}

// message makes of an element what the browser carries to address.
func (c Connection) message(b Binding, address, name string, el *etree.Element, relayState string, signed bool) (Message, error) {
	if signed && len(c.Keys) == 0 {
		return Message{}, fail(CodeKey, nil, "no key to sign with")
	}
	if b == Post {
		return c.form(address, name, el, relayState, signed)
	}
	return c.redirect(address, name, el, relayState, signed)
}

// redirect puts a message into a URL (saml-bindings-2.0-os, 3.4.4): its signature is over the
// very characters of the query.
func (c Connection) redirect(address, name string, el *etree.Element, relayState string, signed bool) (Message, error) {
	b, err := serialize(el)
	if err != nil {
		return Message{}, err
	}
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.BestCompression)
	if err != nil {
		panic(err) // only for an unknown level
	}
	if _, err := w.Write(b); err != nil {
		return Message{}, fail(CodeConnection, err, "")
	}
	if err := w.Close(); err != nil {
		return Message{}, fail(CodeConnection, err, "")
	}
	value := encodeBase64(packed.Bytes())
	query := name + "=" + url.QueryEscape(value)
	if relayState != "" {
		query += "&RelayState=" + url.QueryEscape(relayState)
	}
	if signed {
		query += "&SigAlg=" + url.QueryEscape(dsig.RSASHA256SignatureMethod)
		digest := sha256.Sum256([]byte(query))
		signature, err := rsa.SignPKCS1v15(rand.Reader, c.Keys[0].Private, crypto.SHA256, digest[:])
		if err != nil {
			return Message{}, fail(CodeKey, err, "")
		}
		query += "&Signature=" + url.QueryEscape(encodeBase64(signature))
	}
	return Message{Binding: Redirect, URL: extend(address, query), Name: name, Value: value, RelayState: relayState}, nil
}

// extend appends to a URL's query, and keeps what it has.
func extend(address, query string) string {
	switch {
	case !strings.Contains(address, "?"):
		return address + "?" + query
	case strings.HasSuffix(address, "?"), strings.HasSuffix(address, "&"):
		return address + query
	}
	return address + "&" + query
}

// form puts a message into a form (saml-bindings-2.0-os, 3.5.4), with its signature in it.
func (c Connection) form(address, name string, el *etree.Element, relayState string, signed bool) (Message, error) {
	if signed {
		var err error
		if el, err = c.sign(el); err != nil {
			return Message{}, err
		}
	}
	b, err := serialize(el)
	if err != nil {
		return Message{}, err
	}
	return Message{Binding: Post, URL: address, Name: name, Value: encodeBase64(b), RelayState: relayState}, nil
}

// sign returns el with a signature of our first key, where the schema wants it: after the Issuer.
func (c Connection) sign(el *etree.Element) (*etree.Element, error) {
	key := c.Keys[0]
	ctx, err := dsig.NewSigningContext(key.Private, [][]byte{key.Certificate})
	if err != nil {
		return nil, fail(CodeKey, err, "")
	}
	ctx.Canonicalizer = dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("")
	sig, err := ctx.ConstructSignature(el, true)
	if err != nil {
		return nil, fail(CodeKey, err, "")
	}
	at := 0
	if issuer := only(el, nsAssertion, "Issuer"); issuer != nil {
		at = issuer.Index() + 1
	}
	el.InsertChildAt(at, sig)
	return el, nil
}

func serialize(el *etree.Element) ([]byte, error) {
	doc := etree.NewDocument()
	doc.SetRoot(el)
	doc.WriteSettings = etree.WriteSettings{CanonicalAttrVal: true, CanonicalEndTags: true, CanonicalText: true}
	b, err := doc.WriteToBytes()
	if err != nil {
		return nil, fail(CodeConnection, err, "")
	}
	return b, nil
}
