package ssotest

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
)

// naive does what a careless consumer does: it takes a document for signed if some signature
// in it is good, over whatever, wherever.
func naive(doc *etree.Element, certificate []byte) bool {
	c, err := x509.ParseCertificate(certificate)
	if err != nil {
		return false
	}
	for _, sig := range doc.FindElements("//Signature") {
		info, ref, value := sig.SelectElement("SignedInfo"), sig.FindElement(".//Reference"), sig.SelectElement("SignatureValue")
		if info == nil || ref == nil || value == nil {
			continue
		}
		target := doc
		if uri := ref.SelectAttrValue("URI", ""); uri != "" {
			id := strings.TrimPrefix(uri, "#")
			if target = sig.Parent(); target.SelectAttrValue("ID", "") != id {
				target = byID(doc, id)
			}
		}
		if target == nil {
			continue
		}
		hash, err := hashOf(ref.SelectElement("DigestMethod").SelectAttrValue("Algorithm", ""))
		if err != nil {
			continue
		}
		h := hash.New()
		text, err := canonical(unsigned(target), "")
		if err != nil {
			continue
		}
		h.Write(text)
		if base64.StdEncoding.EncodeToString(h.Sum(nil)) != ref.SelectElement("DigestValue").Text() {
			continue
		}
		if text, err = canonical(info, ""); err != nil {
			continue
		}
		raw, _ := base64.StdEncoding.DecodeString(value.Text())
		h = crypto.SHA256.New()
		h.Write(text)
		if rsa.VerifyPKCS1v15(c.PublicKey.(*rsa.PublicKey), crypto.SHA256, h.Sum(nil), raw) == nil {
			return true
		}
	}
	return false
}

func TestWrappingAttacksFoolTheNaive(t *testing.T) {
	p, key := samlDemo(t, nil)
	ask := SAMLAsk{ACS: spACS, Audience: spEntity, InResponseTo: "_request", Certificate: key.Certificate}
	victim, attacker := samlPeople[0], samlPeople[1]
	for _, a := range wrappingAttacks() {
		r := parsed(t, a.Make(p, ask, victim, attacker))
		if !naive(r, p.Certificate()) {
			t.Errorf("%s: no signature in it is good", a.Name)
		}
		if !strings.Contains(elementText(r), ">alice@acme.test<") {
			t.Errorf("%s: the victim is not in it", a.Name)
		}
	}
	if naive(parsed(t, signatureBroken(p, ask, victim, attacker)), p.Certificate()) {
		t.Error("the naive believe anything")
	}
}

// anonymous takes out of a response what is another every time; ids become numbers.
func anonymous(s string) string {
	raw, err := base64.StdEncoding.DecodeString(s)
	if err != nil || strings.ContainsAny(s, "\r\n") {
		return s
	}
	raw = regexp.MustCompile(`<ds:(Digest|Signature)Value>[^<]+`).ReplaceAll(raw, []byte("."))
	ids := map[string]string{}
	return regexp.MustCompile(`_[A-Za-z0-9_-]{32}`).ReplaceAllStringFunc(string(raw), func(id string) string {
		if ids[id] == "" {
			ids[id] = "_" + strconv.Itoa(len(ids))
		}
		return ids[id]
	})
}

// believed tells whether goxmldsig takes the assertion, or the response, for signed.
func believed(s string, certificate []byte) bool {
	c, err := x509.ParseCertificate(certificate)
	if err != nil {
		return false
	}
	raw, _ := base64.StdEncoding.DecodeString(s)
	doc := etree.NewDocument()
	if doc.ReadFromBytes(raw) != nil || doc.Root() == nil {
		return false
	}
	ctx := dsig.NewDefaultValidationContext(&dsig.MemoryX509CertificateStore{Roots: []*x509.Certificate{c}})
	for _, el := range []*etree.Element{doc.Root(), doc.Root().SelectElement("Assertion")} {
		if el == nil {
			continue
		}
		if _, err := ctx.Validate(el); err == nil {
			return true
		}
	}
	return false
}

func TestEveryAttackIsOne(t *testing.T) {
	now := time.Now()
	p, key := samlDemo(t, func(o *SAMLOptions) { o.Now = func() time.Time { return now } })
	ask := SAMLAsk{ACS: spACS, Audience: spEntity, InResponseTo: "_request", Certificate: key.Certificate, SessionIndex: "_session"}
	honest := map[string]bool{}
	for _, signed := range []SAMLSigned{AssertionSigned, ResponseSigned, BothSigned} {
		for _, person := range samlPeople {
			ask.Signed = signed
			honest[anonymous(p.Respond(ask, person))] = true
		}
	}
	if !honest[anonymous(p.Respond(ask, samlPeople[0]))] {
		t.Fatal("the honest differ from themselves")
	}
	names, made := map[string]bool{}, map[string]string{}
	for _, a := range SAMLAttacks() {
		if names[a.Name] || a.Name == "" || a.What == "" || a.Check == "" {
			t.Errorf("%q: the name is not the only one, or the attack does not say what it is", a.Name)
		}
		names[a.Name] = true
		s := a.Make(p, ask, samlPeople[0], samlPeople[1])
		if honest[anonymous(s)] && believed(s, p.Certificate()) {
			t.Errorf("%s is honest", a.Name)
		}
		if before, again := made[s]; again {
			t.Errorf("%s is what %s is", a.Name, before)
		}
		made[s] = a.Name
	}
}

// What a provider signed and should not have must be signed well: else the signature stops it,
// and the check that is to be tried is not.
func TestWhatTheProviderIssuedIsSignedWell(t *testing.T) {
	p, key := samlDemo(t, nil)
	ask := SAMLAsk{ACS: spACS, Audience: spEntity, InResponseTo: "_request", Certificate: key.Certificate}
	for _, a := range slices.Concat(conditionAttacks(), subjectAttacks(), responseAttacks()) {
		if r := parsed(t, a.Make(p, ask, samlPeople[0], samlPeople[1])); !naive(r, p.Certificate()) {
			t.Errorf("%s is not signed", a.Name)
		}
	}
}

func TestLogoutAttacksAreMade(t *testing.T) {
	p, _ := samlDemo(t, nil)
	ask := SAMLLogoutAsk{SLO: spSLO, NameID: "alice", SessionIndex: "_session"}
	seen := map[string]bool{}
	for _, a := range SAMLLogoutAttacks() {
		m := a.Make(p, ask)
		if seen[a.Name] || a.What == "" || a.Check == "" || !strings.HasPrefix(m.URL, spSLO) || (m.Form != nil) != strings.HasPrefix(a.Name, "post-") {
			t.Errorf("%s: %+v", a.Name, m)
		}
		seen[a.Name] = true
		if a.Name == "redirect-unsigned" && verifyQuery(mustURL(t, m.URL).RawQuery, "SAMLRequest", p.Certificate()) == nil {
			t.Error("unsigned is signed")
		}
	}
}
