package saml

import (
	"crypto/x509"
	"strings"
	"testing"

	gosaml2 "github.com/russellhaering/gosaml2"
	dsig "github.com/russellhaering/goxmldsig"

	"github.com/orgate/orgate/sso/ssotest"
)

// gosaml2 is the same connection, for gosaml2: another reader, which knows nothing of ours.
func (r *rig) gosaml2(t testing.TB) *gosaml2.SAMLServiceProvider {
	t.Helper()
	var roots []*x509.Certificate
	for _, der := range r.c.IDP.Certificates {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		roots = append(roots, cert)
	}
	sp := &gosaml2.SAMLServiceProvider{
		IdentityProviderIssuer: r.c.IDP.EntityID, AssertionConsumerServiceURL: rigACS, ServiceProviderIssuer: rigEntityID, AudienceURI: rigEntityID,
		IDPCertificateStore: &dsig.MemoryX509CertificateStore{Roots: roots}, Clock: dsig.NewFakeClockAt(r.now), AllowMissingAttributes: true,
	}
	sp.SPKeyStore = dsig.TLSCertKeyStore{Certificate: [][]byte{ours().Certificate}, PrivateKey: ours().Private}
	return sp
}

// second returns whom gosaml2 takes a response to be about; empty: it refuses it. It may panic.
func (r *rig) second(t testing.TB, response string) (subject string) {
	t.Helper()
	defer func() {
		if recover() != nil {
			subject = ""
		}
	}()
	info, err := r.gosaml2(t).RetrieveAssertionInfo(response)
	if err != nil || info.WarningInfo.InvalidTime || info.WarningInfo.NotInAudience {
		return ""
	}
	return info.NameID
}

// onlyOurs are honest responses that gosaml2 refuses, and why it does.
var onlyOurs = map[string]string{
	"key-info-value":                  "gosaml2 looks for a certificate in KeyInfo, which says nothing to us",
	"response-without-issuer":         "gosaml2 wants an Issuer on the Response",
	"encrypted-oaep-mgf1p-sha256":     "gosaml2 knows OAEP with SHA-1 alone",
	"encrypted-oaep-sha256":           "gosaml2 knows OAEP with SHA-1 alone",
	"encrypted-oaep-sha256-mgf1-sha1": "gosaml2 knows OAEP with SHA-1 alone",
}

// onlyTheirs are attacks that gosaml2 may accept, by the beginnings of their names, and why we do not.
var onlyTheirs = map[string]string{
	"signature-whole-document": "an empty reference means something else elsewhere",
	"signature-two-references": "a signature is over one thing",
	"signature-in-subject":     "a signature is where it belongs",
	"algorithm-sha1":           "the algorithms are ours to choose",
	"assertions-":              "there is one assertion, and not the first of several",
	"response-nested-signed":   "there is one response",
	"id-":                      "what is signed has a name of its own",
	"attribute-twice":          "which of the two would it be",
	"text-":                    "a text is all of it, and text alone",
	"doctype":                  "a document type has no use here",
	"entity-":                  "a document type has no use here",
	"encoding-":                "UTF-8 is what every reader reads",
	"namespace-":               "a name means one thing",
	"round-trip-":              "what is read is what is written",
	"two-roots":                "a document has one root",
	"audience-missing":         "what is missing is invalid",
	"in-response-to-":          "what an assertion answers is what its response does, and what was asked",
	"time-":                    "every time is there, and plausible",
	"condition-unknown":        "saml-core-2.0-os, 2.5.1",
	"subject-twice":            "which of the two would it be",
	"name-id-":                 "a name is plain, bounded, lasting, and one",
	"authn-missing":            "nobody signed in",
	"attribute-email-":         "an address is one",
	"attribute-no-name":        "what is missing is invalid",
	"assertion-version":        "2.0",
	"assertion-issuer-":        "an issuer is one, and an entity",
	"response-":                "what is there once is there once; what is empty is nothing",
	"signed-response-":         "what is there once is there once; what is empty is nothing",
	"encrypted-":               "what is encrypted is held to the same, and RSA 1.5 is an oracle",
	"size-":                    "there are bounds",
	"base64-":                  "there are bounds, and one spelling",
}

func mayAccept(attack string) bool {
	for prefix := range onlyTheirs {
		if strings.HasPrefix(attack, prefix) {
			return true
		}
	}
	return false
}

func TestASecondReaderAgrees(t *testing.T) {
	r := newRig(t)
	for _, h := range ssotest.SAMLHonestResponses(r.ask) {
		t.Run("honest/"+h.Name, func(t *testing.T) {
			response := h.Make(r.idp, r.ask, alice)
			a, _, err := r.c.Consume(response, r.now)
			if err != nil {
				t.Fatalf("%s: refused: %v", h.What, err)
			}
			if a.Email != alice.Email {
				t.Errorf("%+v", a)
			}
			switch subject := r.second(t, response); {
			case subject == "" && onlyOurs[h.Name] == "":
				_, err := r.gosaml2(t).RetrieveAssertionInfo(response)
				t.Errorf("%s: gosaml2 refuses it: %v", h.What, err)
			case subject != "" && subject != a.Subject:
				t.Errorf("%s: %q and %q", h.What, a.Subject, subject)
			}
		})
	}
	for _, attack := range ssotest.SAMLAttacks() {
		t.Run("attack/"+attack.Name, func(t *testing.T) {
			response := attack.Make(r.idp, r.ask, alice, mallory)
			if _, err := r.finish(response); err == nil && lenient[attack.Name] == "" {
				t.Errorf("%s: accepted", attack.What)
			}
			if len(response) > maxEncoded {
				return // gosaml2 has no bound
			}
			subject := r.second(t, response)
			if subject != "" && !mayAccept(attack.Name) {
				t.Errorf("%s (%s): gosaml2 says %.40q", attack.What, attack.Check, subject)
			}
		})
	}
}
