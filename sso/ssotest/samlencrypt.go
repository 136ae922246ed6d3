package ssotest

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/beevik/etree"
)

const (
	nsXENC   = "http://www.w3.org/2001/04/xmlenc#"
	nsXENC11 = "http://www.w3.org/2009/xmlenc11#"
)

// Algorithms of encryption (xmlenc-core1), with those that nobody should take.
const (
	AES128GCM = nsXENC11 + "aes128-gcm"
	AES256GCM = nsXENC11 + "aes256-gcm"
	AES128CBC = nsXENC + "aes128-cbc"
	AES256CBC = nsXENC + "aes256-cbc"
	TripleDES = nsXENC + "tripledes-cbc"

	OAEPMGF1P = nsXENC + "rsa-oaep-mgf1p"
	OAEP      = nsXENC11 + "rsa-oaep"
	RSA15     = nsXENC + "rsa-1_5"

	MGF1SHA1   = nsXENC11 + "mgf1sha1"
	MGF1SHA256 = nsXENC11 + "mgf1sha256"
)

// A SAMLEncryption is how something is encrypted, in algorithms.
type SAMLEncryption struct {
	// Content is how the text is; empty: it is not.
	Content string
	// Transport is how its key is; empty: [OAEPMGF1P].
	Transport string
	// Digest and MGF are of OAEP; empty: they are left out, which means SHA-1.
	Digest, MGF string
	// Apart puts the EncryptedKey beside the EncryptedData, with a RetrievalMethod to it.
	Apart bool
	// Cut leaves only so many bytes of the cipher text; 0: all.
	Cut int
	// Pad is the byte that counts the padding of CBC; 0: what is right, negative: 0.
	Pad int
}

// encryptedAssertion makes an EncryptedAssertion of an assertion's text.
func encryptedAssertion(plain string, certificate []byte, e SAMLEncryption) *etree.Element {
	x, err := encrypt("EncryptedAssertion", plain, certificate, e)
	if err != nil {
		panic(err) // a test asked for what can't be encrypted
	}
	return x
}

// encrypt makes an element of that name, which holds the encrypted text of another.
func encrypt(name, plain string, certificate []byte, e SAMLEncryption) (*etree.Element, error) {
	c, err := x509.ParseCertificate(certificate)
	if err != nil {
		return nil, fmt.Errorf("ssotest: the certificate to encrypt to: %w", err)
	}
	to, ok := c.PublicKey.(*rsa.PublicKey)
	if !ok {
		return nil, errors.New("ssotest: the key to encrypt to is not RSA")
	}
	if e.Transport == "" {
		e.Transport = OAEPMGF1P
	}
	key, text, err := e.content([]byte(plain))
	if err != nil {
		return nil, err
	}
	if e.Cut > 0 {
		text = text[:e.Cut]
	}
	wrapped, err := e.wrap(to, key)
	if err != nil {
		return nil, err
	}
	enc := base64.StdEncoding.EncodeToString
	x := etree.NewElement("saml2:" + name)
	x.CreateAttr("xmlns:saml2", nsSAML)
	data := x.CreateElement("xenc:EncryptedData")
	data.CreateAttr("xmlns:xenc", nsXENC)
	data.CreateAttr("Id", samlID())
	data.CreateAttr("Type", nsXENC+"Element")
	data.CreateElement("xenc:EncryptionMethod").CreateAttr("Algorithm", e.Content)
	info := data.CreateElement("ds:KeyInfo")
	info.CreateAttr("xmlns:ds", nsDS)
	ek := etree.NewElement("xenc:EncryptedKey")
	ek.CreateAttr("xmlns:xenc", nsXENC)
	ek.CreateAttr("Id", samlID())
	method := ek.CreateElement("xenc:EncryptionMethod")
	method.CreateAttr("Algorithm", e.Transport)
	if e.Digest != "" {
		d := method.CreateElement("ds:DigestMethod")
		d.CreateAttr("xmlns:ds", nsDS)
		d.CreateAttr("Algorithm", e.Digest)
	}
	if e.MGF != "" {
		m := method.CreateElement("xenc11:MGF")
		m.CreateAttr("xmlns:xenc11", nsXENC11)
		m.CreateAttr("Algorithm", e.MGF)
	}
	ek.CreateElement("xenc:CipherData").CreateElement("xenc:CipherValue").SetText(enc(wrapped))
	if e.Apart {
		r := info.CreateElement("ds:RetrievalMethod")
		r.CreateAttr("Type", nsXENC+"EncryptedKey")
		r.CreateAttr("URI", "#"+ek.SelectAttrValue("Id", ""))
		x.AddChild(ek)
	} else {
		info.AddChild(ek)
	}
	data.CreateElement("xenc:CipherData").CreateElement("xenc:CipherValue").SetText(enc(text))
	return x, nil
}

// content encrypts the text with a fresh key.
func (e SAMLEncryption) content(plain []byte) (key, text []byte, err error) {
	size := map[string]int{AES128GCM: 16, AES256GCM: 32, AES128CBC: 16, AES256CBC: 32, TripleDES: 24}[e.Content]
	if size == 0 {
		return nil, nil, errors.New("ssotest: unknown algorithm " + e.Content)
	}
	key = make([]byte, size)
	rand.Read(key) // never fails (crypto/rand)
	var block cipher.Block
	if e.Content == TripleDES {
		block, err = des.NewTripleDESCipher(key)
	} else {
		block, err = aes.NewCipher(key)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("ssotest: %w", err)
	}
	if e.Content == AES128GCM || e.Content == AES256GCM {
		gcm, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return nil, nil, fmt.Errorf("ssotest: %w", err)
		}
		return key, gcm.Seal(nil, nil, plain, nil), nil
	}
	// The last byte counts the padding; the others may be anything (xmlenc-core1, 5.2).
	n := block.BlockSize() - len(plain)%block.BlockSize()
	plain = append(bytes.Clone(plain), make([]byte, n)...)
	switch {
	case e.Pad > 0:
		n = e.Pad
	case e.Pad < 0:
		n = 0
	}
	plain[len(plain)-1] = byte(n)
	iv := make([]byte, block.BlockSize())
	rand.Read(iv)
	out := make([]byte, len(plain))
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(out, plain)
	return key, append(iv, out...), nil
}

// wrap encrypts the key.
func (e SAMLEncryption) wrap(to *rsa.PublicKey, key []byte) (wrapped []byte, err error) {
	if e.Transport == RSA15 {
		wrapped, err = rsa.EncryptPKCS1v15(rand.Reader, to, key) //nolint:staticcheck // it is to be refused
	} else {
		var o rsa.OAEPOptions
		if o.Hash, err = oaepHash(e.Digest); err != nil {
			return nil, err
		}
		if o.MGFHash, err = oaepHash(e.MGF); err != nil {
			return nil, err
		}
		wrapped, err = rsa.EncryptOAEPWithOptions(rand.Reader, to, key, &o)
	}
	if err != nil {
		return nil, fmt.Errorf("ssotest: encrypting a key: %w", err)
	}
	return wrapped, nil
}

func oaepHash(algorithm string) (crypto.Hash, error) {
	switch algorithm {
	case "", MGF1SHA1:
		return crypto.SHA1, nil
	case MGF1SHA256:
		return crypto.SHA256, nil
	}
	return hashOf(algorithm)
}
