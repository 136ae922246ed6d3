package saml

import (
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/beevik/etree"

	"github.com/orgate/orgate/sso/ssotest"
)

func TestCiphersThatAreAccepted(t *testing.T) {
	for _, content := range []string{
		nsEncrypt11 + "aes128-gcm", nsEncrypt11 + "aes256-gcm",
		nsEncryption + "aes128-cbc", nsEncryption + "aes256-cbc",
	} {
		for _, e := range []ssotest.SAMLEncryption{
			{},
			{Transport: nsEncryption + "rsa-oaep-mgf1p", Digest: "http://www.w3.org/2000/09/xmldsig#sha1"},
			{Transport: nsEncryption + "rsa-oaep-mgf1p", Digest: nsEncryption + "sha256"},
			{Transport: nsEncrypt11 + "rsa-oaep", Digest: nsEncryption + "sha256", MGF: nsEncrypt11 + "mgf1sha256"},
			{Transport: nsEncrypt11 + "rsa-oaep", Digest: nsEncryption + "sha256", MGF: nsEncrypt11 + "mgf1sha1"},
			{Transport: nsEncrypt11 + "rsa-oaep"},
			{Apart: true},
		} {
			r := newRig(t)
			r.ask.Encrypt = e
			r.ask.Encrypt.Content = content
			r.accept(t, r.respond())
		}
	}
}

func TestEachOfOurKeysDecrypts(t *testing.T) {
	r := newRig(t)
	newer, err := NewKey("newer", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	r.c.Keys = []Key{newer, ours()}
	r.ask.Encrypt.Content = nsEncrypt11 + "aes256-gcm"
	r.accept(t, r.respond())
	r.c.Keys = []Key{newer}
	r.refuse(t, r.respond(), CodeDecryption)
	r.c.Keys = nil
	r.refuse(t, r.respond(), CodeDecryption)
}

// Whatever goes wrong with a cipher that nobody vouches for, the answer is the same: code, text,
// detail and steps. Else each one tells a little of what is in it.
func TestDecryptingFailsInOneWay(t *testing.T) {
	cbc, gcm := nsEncryption+"aes128-cbc", nsEncrypt11+"aes128-gcm"
	var first *Error
	var firstSteps []Step
	same := func(t *testing.T, r *rig, response string) {
		t.Helper()
		a, steps, err := r.c.Consume(response, r.now)
		if got := code(t, err); got != CodeDecryption || a.Subject != "" {
			t.Fatalf("%q: %v", got, err)
		}
		e, _ := errors.AsType[*Error](err)
		for i := range steps {
			if steps[i].Check == "encoding" {
				steps[i].Detail = "" // the size of what came
			}
			if steps[i].Check == "signature" && !steps[i].OK {
				t.Errorf("a signature was judged: %+v", steps)
			}
		}
		if first == nil {
			first, firstSteps = e, steps
		}
		if !reflect.DeepEqual(e, first) || !reflect.DeepEqual(steps, firstSteps) {
			t.Errorf("told apart:\n%#v\n%#v\n%+v\n%+v", e, first, steps, firstSteps)
		}
	}
	for name, tc := range map[string]struct {
		encrypt ssotest.SAMLEncryption
		faults  ssotest.SAMLFaults
	}{
		"RSA 1.5":             {ssotest.SAMLEncryption{Content: gcm, Transport: nsEncryption + "rsa-1_5"}, ssotest.SAMLFaults{}},
		"content of no name":  {ssotest.SAMLEncryption{Content: gcm}, edit(".//EncryptedData/EncryptionMethod", "Algorithm", "")},
		"triple DES":          {ssotest.SAMLEncryption{Content: gcm}, edit(".//EncryptedData/EncryptionMethod", "Algorithm", nsEncryption+"tripledes-cbc")},
		"another size of key": {ssotest.SAMLEncryption{Content: cbc}, edit(".//EncryptedData/EncryptionMethod", "Algorithm", nsEncryption+"aes256-cbc")},
		"GCM said to be CBC":  {ssotest.SAMLEncryption{Content: gcm}, edit(".//EncryptedData/EncryptionMethod", "Algorithm", cbc)},
		"CBC said to be GCM":  {ssotest.SAMLEncryption{Content: cbc}, edit(".//EncryptedData/EncryptionMethod", "Algorithm", gcm)},
		"no method":           {ssotest.SAMLEncryption{Content: cbc}, ssotest.SAMLFaults{After: without(".//EncryptedData/EncryptionMethod")}},
		"no key":              {ssotest.SAMLEncryption{Content: cbc}, ssotest.SAMLFaults{After: without(".//EncryptedKey")}},
		"two keys": {ssotest.SAMLEncryption{Content: cbc, Apart: true}, ssotest.SAMLFaults{After: func(r *etree.Element) {
			k := at(r, ".//EncryptedKey")
			c := k.Copy()
			c.RemoveAttr("Id")
			k.Parent().AddChild(c)
		}}},
		"no cipher": {ssotest.SAMLEncryption{Content: cbc}, ssotest.SAMLFaults{After: without("./EncryptedAssertion/EncryptedData/CipherData")}},
		"no data":   {ssotest.SAMLEncryption{Content: cbc}, ssotest.SAMLFaults{After: without(".//EncryptedData")}},
		"a cipher to fetch": {ssotest.SAMLEncryption{Content: cbc}, ssotest.SAMLFaults{After: func(r *etree.Element) {
			d := at(r, "./EncryptedAssertion/EncryptedData/CipherData")
			without("./CipherValue")(d)
			d.CreateElement("xenc:CipherReference").CreateAttr("URI", "http://127.0.0.1/")
		}}},
		"a key that is not base64": {ssotest.SAMLEncryption{Content: cbc}, ssotest.SAMLFaults{After: withText(".//EncryptedKey//CipherValue", "%")}},
		"padding of 0":             {ssotest.SAMLEncryption{Content: cbc, Pad: -1}, ssotest.SAMLFaults{}},
		"padding of 17":            {ssotest.SAMLEncryption{Content: cbc, Pad: 17}, ssotest.SAMLFaults{}},
		"padding of 255":           {ssotest.SAMLEncryption{Content: cbc, Pad: 255}, ssotest.SAMLFaults{}},
		"not XML":                  {ssotest.SAMLEncryption{Content: cbc}, ssotest.SAMLFaults{Plain: func(string) string { return "x" }}},
		"a doctype":                {ssotest.SAMLEncryption{Content: cbc}, ssotest.SAMLFaults{Plain: func(s string) string { return "<!DOCTYPE x>" + s }}},
		"a comment":                {ssotest.SAMLEncryption{Content: cbc}, ssotest.SAMLFaults{Plain: func(s string) string { return s + "<!-- -->" }}},
		"something else":           {ssotest.SAMLEncryption{Content: cbc}, ssotest.SAMLFaults{Plain: func(string) string { return "<a/>" }}},
		"two assertions":           {ssotest.SAMLEncryption{Content: cbc}, ssotest.SAMLFaults{Plain: func(s string) string { return s + s }}},
		"not signed":               {ssotest.SAMLEncryption{Content: cbc}, ssotest.SAMLFaults{Signed: ssotest.NothingSigned}},
		"signed with SHA-1":        {ssotest.SAMLEncryption{Content: cbc}, ssotest.SAMLFaults{Assertion: ssotest.SAMLSigning{Method: ssotest.RSASHA1}}},
		"signed by a stranger":     {ssotest.SAMLEncryption{Content: cbc}, ssotest.SAMLFaults{Assertion: ssotest.SAMLSigning{Key: &ssotest.SAMLKey{Private: ours().Private, Certificate: ours().Certificate}}}},
		"nested": {ssotest.SAMLEncryption{Content: cbc}, ssotest.SAMLFaults{Plain: func(s string) string {
			return `<saml2:EncryptedAssertion xmlns:saml2="` + nsAssertion + `">` + s + "</saml2:EncryptedAssertion>"
		}}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.ask.Encrypt = tc.encrypt
			same(t, r, r.respond(tc.faults))
		})
	}
	for cut := range 40 {
		for _, content := range []string{cbc, gcm} {
			r := newRig(t)
			r.ask.Encrypt = ssotest.SAMLEncryption{Content: content, Cut: cut + 1}
			same(t, r, r.respond())
		}
	}
	t.Run("another's key", func(t *testing.T) {
		r := newRig(t)
		r.ask.Encrypt.Content = cbc
		r.ask.Certificate = r.idp.Certificate()
		same(t, r, r.respond())
	})
}

func edit(path, name, value string) ssotest.SAMLFaults {
	return ssotest.SAMLFaults{After: withAttr(path, name, value)}
}

// With a proof that nobody changed the cipher, an operator is told what is wrong.
func TestAProvenCipherIsExplained(t *testing.T) {
	r := newRig(t)
	r.ask.Encrypt.Content = nsEncrypt11 + "aes256-gcm"
	r.refuse(t, r.respond(ssotest.SAMLFaults{Signed: ssotest.NothingSigned}), CodeUnsigned)
	r.ask.Audience = "https://other.example"
	r.refuse(t, r.respond(), CodeAudience)
	r.ask.Encrypt.Content = nsEncryption + "aes256-cbc"
	r.refuse(t, r.respond(), CodeAudience) // it was verified by then
	r.ask.Signed = ssotest.ResponseSigned
	r.refuse(t, r.respond(), CodeAudience)
}

// Two elements of one id, of which one is hidden in the cipher, are two all the same.
func TestAnIDIsUniqueAcrossTheCipher(t *testing.T) {
	r := newRig(t)
	r.ask.Encrypt.Content = nsEncrypt11 + "aes256-gcm"
	r.refuse(t, r.respond(ssotest.SAMLFaults{Edit: func(el *etree.Element) {
		id, _ := attr(el, "ID")
		at(el, "./Assertion").CreateAttr("ID", id)
	}}), CodeDecryption)
}

func TestPaddingIsChecked(t *testing.T) {
	key := make([]byte, 16)
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	for last, ok := range map[byte]bool{0: false, 1: true, 16: true, 17: false, 32: false, 33: false, 255: false} {
		plain := make([]byte, 32)
		plain[31] = last
		body := make([]byte, 48)
		cipher.NewCBCEncrypter(block, body[:16]).CryptBlocks(body[16:], plain)
		got, err := open(key, body, false)
		if (err == nil) != ok || ok && len(got) != 32-int(last) {
			t.Errorf("%d: %d bytes, %v", last, len(got), err)
		}
	}
	for n := range 40 {
		if _, err := open(key, make([]byte, n), true); err == nil {
			t.Errorf("%d bytes", n)
		}
	}
}
