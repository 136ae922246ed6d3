package saml

import (
	"net/url"
	"testing"

	"github.com/orgate/orgate/sso/ssotest"
)

// lenient are attacks that are not refused here, and why.
var lenient = map[string]string{
	"post-session-other":           "it is signed, and for us; it is the caller who finds no such session",
	"redirect-session-other":       "it is signed, and for us; it is the caller who finds no such session",
	"post-name-id-other":           "it is signed, and for us; it is the caller who finds no such person",
	"redirect-name-id-other":       "it is signed, and for us; it is the caller who finds no such person",
	"response-destination-missing": "not of a response that is unsigned, whose Destination proves nothing: the signed Recipient is ours",
	"response-issuer-missing":      "not of a response that is unsigned (errata of saml-profiles-2.0-os, E26): the signed Issuer is the provider",
}

func TestAttacksAreRefused(t *testing.T) {
	for _, attack := range ssotest.SAMLAttacks() {
		t.Run(attack.Name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			response := attack.Make(r.idp, r.ask, alice, mallory)
			// keyTooShort and the like sign with another key, which is then the pinned one.
			r.c.IDP.Certificates = [][]byte{r.idp.Certificate()}
			a, err := r.finish(response)
			if err == nil && lenient[attack.Name] == "" {
				t.Fatalf("accepted as %.40q: %s", a.Subject, attack.What)
			}
			t.Logf("%s (%s): %s", attack.What, attack.Check, code(t, err))
		})
	}
}

func TestAnHonestResponseIsAccepted(t *testing.T) {
	for name, edit := range map[string]func(*rig){
		"assertion signed":            func(r *rig) { r.ask.Signed = ssotest.AssertionSigned },
		"response signed":             func(r *rig) { r.ask.Signed = ssotest.ResponseSigned },
		"both signed":                 func(r *rig) { r.ask.Signed = ssotest.BothSigned },
		"encrypted, assertion signed": func(r *rig) { r.ask.Encrypt.Content = nsEncrypt11 + "aes256-gcm" },
		"encrypted, response signed":  func(r *rig) { r.ask.Encrypt.Content, r.ask.Signed = nsEncrypt11+"aes256-gcm", ssotest.ResponseSigned },
		"encrypted, both signed":      func(r *rig) { r.ask.Encrypt.Content, r.ask.Signed = nsEncrypt11+"aes256-gcm", ssotest.BothSigned },
		"CBC, assertion signed":       func(r *rig) { r.ask.Encrypt.Content = nsEncryption + "aes128-cbc" },
		"CBC, response signed":        func(r *rig) { r.ask.Encrypt.Content, r.ask.Signed = nsEncryption+"aes256-cbc", ssotest.ResponseSigned },
		"unsolicited":                 func(r *rig) { r.ask.InResponseTo = "" },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			edit(r)
			a, steps := r.accept(t, r.respond())
			if a.InResponseTo != r.ask.InResponseTo || a.Name != alice.Name || len(a.Groups) != 2 || !a.HasGroups || a.Attributes["department"] != "R&D" {
				t.Errorf("%+v", a)
			}
			if len(a.Attributes) != 1 || a.AuthTime.IsZero() || a.SessionIndex == "" || !a.SessionEnd.IsZero() {
				t.Errorf("%+v", a)
			}
			for _, s := range steps {
				if !s.OK || s.Check == "" || s.Detail == "" {
					t.Errorf("step %+v", s)
				}
			}
		})
	}
}

func TestLogoutAttacksAreRefused(t *testing.T) {
	for _, attack := range ssotest.SAMLLogoutAttacks() {
		t.Run(attack.Name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			m := attack.Make(r.idp, ssotest.SAMLLogoutAsk{SLO: rigSLO, NameID: alice.Subject})
			b, query := Post, ""
			if m.Form == nil {
				u, err := url.Parse(m.URL)
				if err != nil {
					t.Fatal(err)
				}
				b, query = Redirect, u.RawQuery
			}
			l, err := r.c.ReadLogout(b, query, m.Form, r.now)
			if err == nil && lenient[attack.Name] == "" {
				t.Fatalf("%s: accepted: %+v", attack.What, l)
			}
			t.Logf("%s (%s): %s", attack.What, b, code(t, err))
		})
	}
}
