package sso_test

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/sso/saml"
	"github.com/orgate/orgate/sso/ssotest"
	"github.com/orgate/orgate/sso/upkeep"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// rotate makes another key of ours at slug's connection, as the operator does.
func (w *world) rotate(slug string) {
	w.t.Helper()
	var c tenancy.Connection
	w.view(func(tx store.Tx) (err error) {
		c, err = tx.Connection(org(slug), conn(slug))
		return err
	})
	k := upkeep.New(upkeep.Options{Store: w.store, Box: w.box, Now: w.clock.Now})
	if _, err := k.NewKey(context.WithoutCancel(w.t.Context()), c, true, audit.System); err != nil {
		w.t.Fatal(err)
	}
}

func TestTheMetadataOfAConnectionIsWhatItsProviderNeeds(t *testing.T) {
	w := newWorld(t)
	idp := w.saml("acme", func(_ *tenancy.Organization, c *tenancy.SAMLConnection, _ *ssotest.SAMLOptions) {
		c.SignRequests = true
	}, person("alice", "acme.test"))
	p := w.bare("GET", w.samlURL("acme", "metadata"), "", "")
	if p.Status != http.StatusOK || p.Header.Get("Content-Type") != "application/samlmetadata+xml" || p.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("status %d, %v", p.Status, p.Header)
	}
	sp, err := ssotest.ReadSAMLServiceProvider([]byte(p.Body))
	if err != nil {
		t.Fatal(err)
	}
	if sp.EntityID != w.samlURL("acme", "metadata") || sp.ACS != w.samlURL("acme", "acs") || sp.SLO != w.samlURL("acme", "slo") || !sp.WantSigned || !bytes.Equal(sp.Certificate, w.samlState("acme").Keys[0].Certificate) {
		t.Errorf("it says %+v", sp)
	}
	// A provider that knows no more than that works.
	idp.Trust(sp)
	w.browser().to("acme", "/", "alice@acme.test").as("alice").press("Continue").inApp("acme", "alice@acme.test")

	w.update(func(tx store.Tx) error {
		s := w.samlStateIn(tx, "acme")
		s.Keys = nil
		return tx.PutSAMLState(s)
	})
	if p := w.bare("GET", w.samlURL("acme", "metadata"), "", ""); p.Status != http.StatusServiceUnavailable || p.Header.Get("Retry-After") == "" {
		t.Errorf("without a key: status %d", p.Status)
	}
	w.changeConnection("acme", func(c *tenancy.Connection) { c.Disabled = true })
	if p := w.bare("GET", w.samlURL("acme", "metadata"), "", ""); p.Status != http.StatusNotFound {
		t.Errorf("of one that is switched off: status %d", p.Status)
	}
}

func TestAnotherKeyIsPublishedBeforeItSignsAndTheOldOneStillReads(t *testing.T) {
	w := newWorld(t)
	idp := w.saml("acme", func(_ *tenancy.Organization, c *tenancy.SAMLConnection, o *ssotest.SAMLOptions) {
		o.WantSigned = true
	}, person("alice", "acme.test"))
	old := w.samlState("acme").Keys[0].Certificate
	w.rotate("acme")
	state := w.samlState("acme")
	next := state.Keys[1].Certificate
	published := func() []byte {
		t.Helper()
		p := w.bare("GET", w.samlURL("acme", "metadata"), "", "")
		for _, c := range [][]byte{old, next} {
			if !strings.Contains(strings.Join(strings.Fields(p.Body), ""), encodedText(c)) {
				t.Fatalf("a key is not in the metadata: %s", p.Body)
			}
		}
		sp, err := ssotest.ReadSAMLServiceProvider([]byte(p.Body))
		if err != nil {
			t.Fatal(err)
		}
		return sp.Certificate
	}
	trusts := func(certificate []byte, content string) {
		sp := ssotest.SAMLServiceProvider{EntityID: w.samlURL("acme", "metadata"), ACS: w.samlURL("acme", "acs"), SLO: w.samlURL("acme", "slo"), Certificate: certificate}
		if content != "" {
			sp.Encrypt = ssotest.SAMLEncryption{Content: content}
		}
		idp.Trust(sp)
	}
	works := func() {
		t.Helper()
		w.browser().to("acme", "/", "alice@acme.test").as("alice").press("Continue").inApp("acme", "alice@acme.test")
	}
	if !bytes.Equal(published(), old) {
		t.Error("the new key signs at once, which no provider knows yet")
	}
	for _, c := range [][]byte{old} {
		trusts(c, "")
		works()
		trusts(c, ssotest.AES256GCM)
		works()
	}
	// What is encrypted to the new one is read already.
	reads := func(certificate []byte) {
		t.Helper()
		trusts(map[bool][]byte{true: old, false: next}[bytes.Equal(published(), old)], "")
		u := w.browser()
		id, relay := u.begun("acme", "alice@acme.test", "alice")
		ask := w.asksFor("acme", id)
		ask.Certificate, ask.Encrypt = certificate, ssotest.SAMLEncryption{Content: ssotest.AES256GCM}
		u.brings("acme", idp.Respond(ask, person("alice", "acme.test")), relay).inApp("acme", "alice@acme.test")
	}
	reads(next)
	w.clock.Advance(tenancy.SAMLKeyNotice - time.Hour)
	if !bytes.Equal(published(), old) {
		t.Error("the new key signs too soon")
	}
	w.clock.Advance(2 * time.Hour)
	w.lookAgain("acme")
	if !bytes.Equal(published(), next) {
		t.Error("the new key does not sign")
	}
	trusts(next, "")
	works()
	reads(old)
	reads(next)
	// Until it ends.
	w.clock.Advance(saml.KeyLife)
	w.lookAgain("acme")
	for _, k := range tenancy.SAMLKeys(w.samlState("acme"), w.clock.Now()) {
		if bytes.Equal(k.Certificate, old) {
			t.Error("a key that has ended is in use")
		}
	}
}

func TestWhatIsEncryptedToAnotherConnectionIsNotRead(t *testing.T) {
	w := newWorld(t)
	idp := w.saml("acme", nil, person("alice", "acme.test"))
	w.saml("globex", nil)
	u := w.browser()
	id, relay := u.begun("acme", "alice@acme.test", "alice")
	ask := w.asksFor("acme", id)
	ask.Certificate, ask.Encrypt = w.samlState("globex").Keys[0].Certificate, ssotest.SAMLEncryption{Content: ssotest.AES256GCM}
	u.brings("acme", idp.Respond(ask, person("alice", "acme.test")), relay).sees(http.StatusForbidden, "could not be accepted").nothing("acme", "alice@acme.test")
	u.failedOnce("assertion_not_decrypted")
	// Nor does a key work that was moved to another connection's row: it is sealed for its own.
	w.update(func(tx store.Tx) error {
		s := w.samlStateIn(tx, "acme")
		s.Keys = w.samlStateIn(tx, "globex").Keys
		return tx.PutSAMLState(s)
	})
	if p := w.bare("POST", w.samlURL("acme", "acs"), formType, url.Values{"SAMLResponse": {"x"}}.Encode()); p.Status != http.StatusInternalServerError {
		t.Errorf("status %d", p.Status)
	}
}

func TestAChangedCertificateIsAcceptedAfterTheNextLook(t *testing.T) {
	w := newWorld(t)
	idp := w.saml("acme", nil, person("alice", "acme.test"))
	idp.RollOver()
	w.browser().to("acme", "/", "alice@acme.test").as("alice").press("Continue").sees(http.StatusForbidden, "could not be accepted")
	w.lookAgain("acme")
	u := w.browser().to("acme", "/", "alice@acme.test").as("alice").press("Continue").inApp("acme", "alice@acme.test")
	// When the old one is gone, what it signed is worth nothing.
	stolen := idp.Key()
	idp.RollOver()
	idp.ForgetOldKeys()
	w.lookAgain("acme")
	id, relay := w.browser().begun("acme", "alice@acme.test", "alice")
	response := idp.Respond(w.asksFor("acme", id), person("alice", "acme.test"), ssotest.SAMLFaults{Assertion: ssotest.SAMLSigning{Key: &stolen}})
	w.browser().brings("acme", response, relay).sees(http.StatusForbidden, "could not be accepted")
	u.get(w.at("acme", "/")).inApp("acme", "alice@acme.test")
}
