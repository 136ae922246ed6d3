package ssotest

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rsa"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/beevik/etree"
	"github.com/crewjam/saml/xmlenc"
)

// decrypted replaces what is encrypted, as an honest consumer could.
func decrypted(t *testing.T, r *etree.Element, key SAMLKey) {
	t.Helper()
	x := r.SelectElement("EncryptedAssertion")
	if x == nil {
		return
	}
	bytesOf := func(path string) []byte {
		raw, err := base64.StdEncoding.DecodeString(x.FindElement(path).Text())
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	method := x.FindElement(".//EncryptedKey/EncryptionMethod")
	o := rsa.OAEPOptions{Hash: crypto.SHA1, MGFHash: crypto.SHA1}
	var err error
	if d := method.SelectElement("DigestMethod"); d != nil {
		if o.Hash, err = oaepHash(d.SelectAttrValue("Algorithm", "")); err != nil {
			t.Fatal(err)
		}
	}
	if m := method.SelectElement("MGF"); m != nil {
		if o.MGFHash, err = oaepHash(m.SelectAttrValue("Algorithm", "")); err != nil {
			t.Fatal(err)
		}
	}
	secret, err := key.Private.Decrypt(nil, bytesOf(".//EncryptedKey/CipherData/CipherValue"), &o)
	if err != nil {
		t.Fatal(err)
	}
	block, err := aes.NewCipher(secret)
	if err != nil {
		t.Fatal(err)
	}
	text := bytesOf("./EncryptedData/CipherData/CipherValue")
	if strings.HasSuffix(x.FindElement("./EncryptedData/EncryptionMethod").SelectAttrValue("Algorithm", ""), "-gcm") {
		gcm, err := cipher.NewGCM(block)
		if err != nil {
			t.Fatal(err)
		}
		if text, err = gcm.Open(nil, text[:12], text[12:], nil); err != nil {
			t.Fatal(err)
		}
	} else {
		out := make([]byte, len(text)-16)
		cipher.NewCBCDecrypter(block, text[:16]).CryptBlocks(out, text[16:])
		text = out[:len(out)-int(out[len(out)-1])]
	}
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(text); err != nil {
		t.Fatal(err)
	}
	instead(x, doc.Root())
}

func TestHonestResponsesVerify(t *testing.T) {
	p, key := samlDemo(t, nil)
	ask := SAMLAsk{ACS: spACS, Audience: spEntity, InResponseTo: "_request", Certificate: key.Certificate}
	seen := map[string]bool{}
	for _, h := range SAMLHonestResponses(ask) {
		if seen[h.Name] || h.Name == "" || h.What == "" {
			t.Errorf("%q: the name is not the only one, or nothing says what it is", h.Name)
		}
		seen[h.Name] = true
		t.Run(h.Name, func(t *testing.T) {
			r := parsed(t, strings.NewReplacer("\r", "", "\n", "").Replace(h.Make(p, ask, samlPeople[0])))
			if h.Name == "key-info-value" {
				if !naive(r, p.Certificate()) { // goxmldsig has no word for it
					t.Error("not signed")
				}
				return
			}
			good := false
			if r.SelectElement("Signature") != nil {
				verified(t, r, p.Certificate())
				good = true
			}
			decrypted(t, r, key)
			a := r.SelectElement("Assertion")
			if a.SelectElement("Signature") != nil {
				a = verified(t, a, p.Certificate())
				good = true
			}
			if !good {
				t.Error("nothing is signed")
			}
			names := map[string]string{}
			for _, x := range a.FindElements(".//Attribute") {
				names[x.SelectAttrValue("Name", "")] = x.SelectElement("AttributeValue").Text()
			}
			or := func(a, b string) string {
				if a != "" {
					return a
				}
				return b
			}
			if a.FindElement("./Subject/NameID").Text() != "alice" || names[or(h.Email, "email")] != "alice@acme.test" ||
				names[or(h.FullName, "name")] != "Alice Adams" || names[or(h.Groups, "groups")] != "eng" {
				t.Errorf("%v in %s", names, elementText(a))
			}
		})
	}
	if n := len(SAMLHonestResponses(SAMLAsk{})); n >= len(seen) {
		t.Errorf("%d without a certificate", n)
	}
}

func TestOthersDecryptWhatWeEncrypt(t *testing.T) {
	key, err := NewSAMLKey(2048)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []SAMLEncryption{{Content: AES128GCM}, {Content: AES128CBC}, {Content: AES256CBC}, {Content: AES128CBC, Transport: RSA15}} {
		x := encryptedAssertion("<a>hello</a>", key.Certificate, e)
		text, err := xmlenc.Decrypt(key.Private, x.SelectElement("EncryptedData"))
		if err != nil || string(text) != "<a>hello</a>" {
			t.Errorf("%+v: %q, %v", e, text, err)
		}
	}
}
