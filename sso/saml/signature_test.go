package saml

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/asn1"
	"encoding/base64"
	"io"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"

	"github.com/orgate/orgate/sso/ssotest"
)

// SECURITY 71: several pins are tried in turn, whatever KeyInfo says and however old they are.
func TestCertificatesRollOver(t *testing.T) {
	r := newRig(t)
	present := r.idp.Certificate()
	expired := certificate(t, &r.idp.Key().Private.PublicKey, r.idp.Key().Private)
	for name, pins := range map[string][][]byte{
		"the new one first": {ours().Certificate, present},
		"the old one first": {present, ours().Certificate},
		"expired":           {expired},
		"expired, second":   {ours().Certificate, expired},
		"three":             {ours().Certificate, expired, present},
	} {
		for _, info := range []ssotest.SAMLKeyInfo{ssotest.KeyInfoCertificate, ssotest.KeyInfoNone, ssotest.KeyInfoValue} {
			for _, signed := range []ssotest.SAMLSigned{ssotest.AssertionSigned, ssotest.ResponseSigned, ssotest.BothSigned} {
				r.c.IDP.Certificates = pins
				how := ssotest.SAMLSigning{KeyInfo: info}
				response := r.respond(ssotest.SAMLFaults{Signed: signed, Assertion: how, Response: how})
				if _, _, err := r.c.Consume(response, r.now); err != nil {
					t.Errorf("%s, %v, %v: %v", name, info, signed, err)
				}
			}
		}
	}
	r.c.IDP.Certificates = [][]byte{ours().Certificate}
	r.refuse(t, r.respond(), CodeSignature)
	r.c.IDP.Certificates = nil
	r.refuse(t, r.respond(), CodeConnection)
	r.c.IDP.Certificates = [][]byte{{1, 2, 3}}
	r.refuse(t, r.respond(), CodeCertificate)
}

func TestAShortKeyIsNoPin(t *testing.T) {
	short, err := ssotest.NewSAMLKey(1024)
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t)
	r.c.IDP.Certificates = [][]byte{short.Certificate}
	r.refuse(t, r.respond(ssotest.SAMLFaults{Assertion: ssotest.SAMLSigning{Key: &short}}), CodeCertificate)
	r.c.IDP.Certificates = append(r.c.IDP.Certificates, r.idp.Certificate())
	r.refuse(t, r.respond(), CodeCertificate)
}

// Both must verify where both are there: one that is good says nothing of the other.
func TestOneOfTwoSignaturesIsNotEnough(t *testing.T) {
	stranger := ssotest.SAMLSigning{Key: &ssotest.SAMLKey{Private: ours().Private, Certificate: ours().Certificate}}
	for _, f := range []ssotest.SAMLFaults{
		{Signed: ssotest.BothSigned, Assertion: stranger},
		{Signed: ssotest.BothSigned, Response: stranger},
	} {
		r := newRig(t)
		r.refuse(t, r.respond(f), CodeSignature)
		for _, content := range []string{nsEncrypt11 + "aes128-gcm"} {
			r.ask.Encrypt.Content = content
			r.refuse(t, r.respond(f), CodeSignature)
		}
	}
}

// ecdsaSigner signs as the library has it (DER), or as XML Signature does.
type ecdsaSigner struct {
	*ecdsa.PrivateKey
	raw bool
}

func (s ecdsaSigner) Sign(_ io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	der, err := s.PrivateKey.Sign(rand.Reader, digest, o)
	if err != nil || !s.raw {
		return der, err
	}
	var v struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &v); err != nil {
		return nil, err
	}
	size := (s.Curve.Params().BitSize + 7) / 8
	return append(v.R.FillBytes(make([]byte, size)), v.S.FillBytes(make([]byte, size))...), nil
}

func TestECDSAIsAcceptedInBothSpellings(t *testing.T) {
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		for _, raw := range []bool{false, true} {
			r := newRig(t)
			r.c.IDP.Certificates = [][]byte{r.idp.Certificate(), certificate(t, &key.PublicKey, key)}
			response := r.respond(ssotest.SAMLFaults{Signed: ssotest.NothingSigned, After: func(el *etree.Element) {
				ctx, err := dsig.NewSigningContext(ecdsaSigner{key, raw}, nil)
				if err != nil {
					t.Fatal(err)
				}
				ctx.Canonicalizer = dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("")
				el = at(el, "./Assertion")
				sig, err := ctx.ConstructSignature(el, true)
				if err != nil {
					t.Fatal(err)
				}
				el.InsertChildAt(1, sig)
			}})
			r.accept(t, response)
			r.c.IDP.Certificates = r.c.IDP.Certificates[:1]
			r.refuse(t, response, CodeSignature)
		}
	}
}

// A detail is for a log: it never has the message in it, nor what would move a cursor.
func TestNoMessageIsInAnErrorOrAStep(t *testing.T) {
	r := newRig(t)
	secret := strings.Repeat("s3cret", 20) + "\x1b[2J"
	for _, f := range []ssotest.SAMLFaults{
		{Edit: withText(".//Audience", secret)},
		{Edit: withText("./Issuer", secret)},
		{Edit: withText("./Assertion/Issuer", secret)},
		{Edit: withAttr(".", "Destination", secret)},
		{Edit: withAttr(".//SubjectConfirmationData", "Recipient", secret)},
		{Edit: withAttr(".//Conditions", "NotOnOrAfter", secret)},
		{Edit: withAttr(".//NameID", "Format", secret)},
		{XML: func(s string) string { return s + "<" + secret }},
	} {
		change := f.XML
		f.XML = func(s string) string {
			if change != nil {
				s = change(s)
			}
			return strings.ReplaceAll(s, "\x1b", "&#x9b;")
		}
		raw, err := base64.StdEncoding.DecodeString(r.respond(f))
		if err != nil {
			t.Fatal(err)
		}
		_, steps, failed := r.c.Consume(base64.StdEncoding.EncodeToString(raw), r.now)
		if failed == nil {
			t.Fatal("accepted")
		}
		var all strings.Builder
		all.WriteString(failed.Error())
		for _, s := range steps {
			all.WriteString(s.Detail)
		}
		if strings.ContainsAny(all.String(), "\x1b\u009b\n") || strings.Contains(all.String(), "SignatureValue") || strings.Contains(all.String(), "<saml2:") {
			t.Errorf("%q", all.String())
		}
	}
}

func TestEveryCodeHasItsTexts(t *testing.T) {
	all := []Code{
		CodeConnection, CodeCertificate, CodeMetadata, CodeMetadataEntity, CodeMetadataExpired, CodeKey, CodeState, CodeFlowExpired, CodeStaleLogin,
		CodeUnsolicited, CodeTooLarge, CodeEncoding, CodeXML, CodeResponse, CodeSeveral, CodeDenied, CodeStatus, CodeDestination, CodeResponseIssuer,
		CodeResponseTime, CodeDecryption, CodeUnsigned, CodeSignatureMalformed, CodeAlgorithm, CodeSignature, CodeAssertion, CodeIssuer, CodeSubject,
		CodeConfirmation, CodeRecipient, CodeInResponseTo, CodeConditions, CodeAudience, CodeExpired, CodeTime, CodeAuthn, CodeAttributes, CodeGroups,
		CodeEmail, CodeNoEmail, CodeArtifact, CodeLogout,
	}
	for i, c := range all {
		said, hint, _ := describe(c)
		if said.IsZero() || hint == "" || slices.Contains(all[:i], c) {
			t.Errorf("%q: %q", c, hint)
		}
	}
	if said, _, _ := describe("unknown"); said.IsZero() {
		t.Error("nothing is said of an unknown code")
	}
}

// SECURITY 52: what is read is what the verifier returned, and not a part of the tree that came.
func TestWhatIsReadIsWhatWasVerified(t *testing.T) {
	for _, signed := range []ssotest.SAMLSigned{ssotest.AssertionSigned, ssotest.ResponseSigned, ssotest.BothSigned} {
		for _, content := range []string{"", nsEncrypt11 + "aes128-gcm", nsEncryption + "aes128-cbc"} {
			r := newRig(t)
			r.ask.Signed, r.ask.Encrypt.Content = signed, content
			raw, err := decodeMessage(r.respond())
			if err != nil {
				t.Fatal(err)
			}
			doc, err := parseMessage(raw)
			if err != nil {
				t.Fatal(err)
			}
			o, err := readResponse(doc)
			if err != nil {
				t.Fatal(err)
			}
			el, err := r.c.verifiedAssertion(&trail{}, o, doc, signatureOf(doc.root) != nil)
			if err != nil {
				t.Fatal(err)
			}
			for up := el; up != nil; up = up.Parent() {
				if up == doc.root {
					t.Errorf("%v %q: read from what came", signed, content)
				}
			}
			if signed != ssotest.ResponseSigned && signatureOf(el) != nil {
				t.Errorf("%v %q: read with its signature, which the verifier leaves out", signed, content)
			}
		}
	}
}

// The provider signs its own assertion with a reference to "everything".
func TestAReferenceToEverythingIsRefused(t *testing.T) {
	r := newRig(t)
	key := r.idp.Key()
	r.refuse(t, r.respond(ssotest.SAMLFaults{Signed: ssotest.NothingSigned, After: func(el *etree.Element) {
		ctx, err := dsig.NewSigningContext(key.Private, [][]byte{key.Certificate})
		if err != nil {
			t.Fatal(err)
		}
		ctx.Canonicalizer = dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("")
		ctx.IdAttribute = "None"
		el = at(el, "./Assertion")
		sig, err := ctx.ConstructSignature(el, true)
		if err != nil {
			t.Fatal(err)
		}
		el.InsertChildAt(1, sig)
	}}), CodeSignatureMalformed)
}

// What is where it does not belong is refused before any signature is looked at, however good.
func TestPlacesAreCheckedFirst(t *testing.T) {
	r := newRig(t)
	refused := func(f ssotest.SAMLFaults, want Code, detail string) {
		t.Helper()
		_, steps, err := r.c.Consume(r.respond(f), r.now)
		if got := code(t, err); got != want || !strings.Contains(err.Error(), detail) || steps[len(steps)-1].Check != "response" {
			t.Errorf("%v, %+v", err, steps)
		}
	}
	value := ".//AttributeValue"
	stray := func(el *etree.Element) {
		at(el, value).CreateElement("ds:Signature").CreateAttr("xmlns:ds", nsSignature)
	}
	refused(ssotest.SAMLFaults{Edit: stray}, CodeSignatureMalformed, "not the one of the response or of the assertion")
	refused(ssotest.SAMLFaults{Edit: stray, Signed: ssotest.ResponseSigned}, CodeSignatureMalformed, "not the one of the response or of the assertion")
	r.refuse(t, r.respond(ssotest.SAMLFaults{After: func(el *etree.Element) { el.AddChild(signatureOf(at(el, "./Assertion")).Copy()) }}), CodeSignatureMalformed)
	second := func(el *etree.Element) {
		c := at(el, "./Assertion").Copy()
		c.CreateAttr("ID", "_second")
		el.AddChild(c)
	}
	refused(ssotest.SAMLFaults{Edit: second}, CodeSeveral, "2 assertions")
	refused(ssotest.SAMLFaults{Edit: second, Signed: ssotest.ResponseSigned}, CodeSeveral, "2 assertions")
	nested := func(path string) func(el *etree.Element) {
		return func(el *etree.Element) {
			c := at(el, "./Assertion").Copy()
			c.CreateAttr("ID", "_second")
			at(el, path).AddChild(c)
		}
	}
	refused(ssotest.SAMLFaults{Edit: nested(value)}, CodeSeveral, "an assertion in saml2:AttributeValue")
	refused(ssotest.SAMLFaults{Edit: nested("./Status")}, CodeSeveral, "an assertion in saml2p:Status")
}
