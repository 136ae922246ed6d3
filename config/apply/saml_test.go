package apply_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"encoding/pem"

	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

func (in *installation) samlState(c tenancy.Connection) (s tenancy.SAMLState) {
	in.t.Helper()
	in.view(func(tx store.Tx) (err error) {
		s, err = tx.SAMLState(c.Organization, c.ID)
		return err
	})
	return s
}

// fetched says that a provider's metadata was fetched, and a key made.
func (in *installation) fetched(c tenancy.Connection, entity string) {
	in.t.Helper()
	s := in.samlState(c)
	s.Provider, s.FetchedAt, s.Next = &tenancy.SAMLProvider{EntityID: entity, Certificates: []tenancy.SAMLCertificate{{DER: []byte("x")}}}, in.now, in.now.Add(tenancy.SAMLRefresh)
	s.Keys = []tenancy.SAMLKey{{ID: "key_1"}}
	in.update(func(tx store.Tx) error { return tx.PutSAMLState(s) })
}

func samlAcme(keys string) string {
	return "  - slug: acme\n    domain_policy: { methods: [sso], connection: adfs }\n    domains: [{ name: acme.com, verified: true }]\n    connections:\n      - name: adfs\n        type: saml\n" + keys
}

func byURL(host, entity string) string {
	keys := "        metadata_url: https://" + host + "/metadata\n"
	if entity != "" {
		keys += "        entity_id: " + entity + "\n"
	}
	return samlAcme(keys)
}

func TestASAMLConnectionIsLookedAfterAsSoonAsItIsThere(t *testing.T) {
	in := install(t)
	in.apply(byURL("adfs.test", ""))
	c := in.connections("acme")["adfs"]
	if c.SAML == nil || c.SAML.MetadataURL != "https://adfs.test/metadata" || c.OIDC != nil {
		t.Fatalf("the connection is %+v", c)
	}
	if s := in.samlState(c); !s.Next.Equal(in.now) {
		t.Errorf("looked after at %s, and it is %s", s.Next, in.now)
	}
	in.fetched(c, "https://adfs.test")
	next := in.samlState(c).Next
	in.apply(byURL("adfs.test", ""))
	in.apply(byURL("adfs.test", "") + "  - slug: globex\n")
	if s := in.samlState(c); !s.Next.Equal(next) || s.Provider == nil {
		t.Errorf("a reload that changes nothing: %+v", s)
	}
	in.apply(byURL("adfs.test", "") + "        sign_requests: true\n")
	if s := in.samlState(in.connections("acme")["adfs"]); !s.Next.Equal(in.now) || s.Provider == nil || len(s.Keys) != 1 {
		t.Errorf("a change: %+v", s)
	}
}

func TestAnotherSAMLProviderIsAnotherConnection(t *testing.T) {
	for name, tt := range map[string]struct {
		was, is string
		known   string
		same    bool
	}{
		"the same":                            {byURL("adfs.test", ""), byURL("adfs.test", ""), "A", true},
		"named as it was found":               {byURL("adfs.test", ""), byURL("adfs.test", "A"), "A", true},
		"named otherwise":                     {byURL("adfs.test", ""), byURL("adfs.test", "B"), "A", false},
		"another entity id":                   {byURL("adfs.test", "A"), byURL("adfs.test", "B"), "A", false},
		"another address, the same entity id": {byURL("adfs.test", "A"), byURL("new.test", "A"), "A", true},
		"another address, no entity id":       {byURL("adfs.test", ""), byURL("new.test", ""), "A", false},
		"another address, named":              {byURL("adfs.test", ""), byURL("new.test", "A"), "A", true},
		"typed in":                            {byURL("adfs.test", ""), typedIn(t, "A"), "A", true},
		"another typed in":                    {byURL("adfs.test", ""), typedIn(t, "B"), "A", false},
		"of OIDC":                             {byURL("adfs.test", ""), "  - slug: acme\n    domain_policy: { methods: [sso], connection: adfs }\n    domains: [{ name: acme.com, verified: true }]\n    connections: [{ name: adfs, type: oidc, issuer: \"https://adfs.test\", client_id: x }]\n", "A", false},
	} {
		t.Run(name, func(t *testing.T) {
			in := install(t)
			in.apply(tt.was)
			before := in.connections("acme")["adfs"]
			in.fetched(before, tt.known)
			in.apply(tt.is)
			after := in.connections("acme")["adfs"]
			if (after.ID == before.ID) != tt.same {
				t.Errorf("the same connection: %v", after.ID == before.ID)
			}
			if p := in.organization("acme").DomainPolicy; p.Connection != string(after.ID) {
				t.Errorf("the policy asks for %s, want %s", p.Connection, after.ID)
			}
			if tt.same || after.SAML == nil {
				return
			}
			if s := in.samlState(after); s.Provider != nil || len(s.Keys) != 0 {
				t.Errorf("it has what was the other's: %+v", s)
			}
			in.view(func(tx store.Tx) error {
				if _, err := tx.SAMLState(before.Organization, before.ID); err == nil {
					t.Error("what was known of the other stays")
				}
				return nil
			})
		})
	}
}

func TestASAMLConnectionThatLeftComesBackWithItsKeys(t *testing.T) {
	in := install(t)
	in.apply(byURL("adfs.test", ""))
	c := in.connections("acme")["adfs"]
	in.fetched(c, "A")
	in.apply("  - slug: acme\n    connections: []\n    domain_policy: { methods: [sso] }\n    domains: [{ name: acme.com, verified: true }]\n")
	if got := in.connections("acme")["adfs"]; !got.Disabled {
		t.Errorf("left: %+v", got)
	}
	in.apply(byURL("adfs.test", ""))
	if got := in.connections("acme")["adfs"]; got.Disabled || got.ID != c.ID || len(in.samlState(got).Keys) != 1 {
		t.Errorf("back: %+v", got)
	}
}

// typedIn is a connection without metadata.
func typedIn(t *testing.T, entity string) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now(), NotAfter: time.Now().AddDate(1, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: der}); err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(strings.TrimSpace(b.String()), "\n", "\n            ")
	return samlAcme(fmt.Sprintf("        entity_id: %s\n        sso_url: https://adfs.test/sso\n        certificates:\n          - |\n            %s\n", entity, text))
}
