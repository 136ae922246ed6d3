package passkey

import (
	"testing"

	"github.com/descope/virtualwebauthn"
)

// TestAnAuthenticatorWrittenByOthers registers and signs in with a soft authenticator that
// shares no line with this package, and reads the options as it reads everybody's.
func TestAnAuthenticatorWrittenByOthers(t *testing.T) {
	rp := party(t)
	site := virtualwebauthn.RelyingParty{ID: "login.example.com", Name: "Example", Origin: "https://login.example.com"}
	for _, kind := range []virtualwebauthn.KeyType{virtualwebauthn.KeyTypeEC2, virtualwebauthn.KeyTypeRSA} {
		t.Run(string(kind), func(t *testing.T) {
			auth := virtualwebauthn.NewAuthenticatorWithOptions(virtualwebauthn.AuthenticatorOptions{
				UserHandle: []byte(alice), BackupEligible: true, BackupState: true,
			})
			key := virtualwebauthn.NewCredential(kind)
			// It drops zeros at the beginning of a coordinate, which is no COSE key.
			for kind == virtualwebauthn.KeyTypeEC2 && len(key.Key.AttestationData()) != 77 {
				key = virtualwebauthn.NewCredential(kind)
			}

			options, c, err := rp.Register(user(alice), nil, noon)
			if err != nil {
				t.Fatal(err)
			}
			asked, err := virtualwebauthn.ParseAttestationOptions(string(options))
			if err != nil {
				t.Fatal(err)
			}
			if asked.UserID != alice || asked.RelyingPartyID != site.ID {
				t.Errorf("it read %+v", asked)
			}
			cred, err := rp.FinishRegister(c, user(alice), []byte(virtualwebauthn.CreateAttestationResponse(site, auth, key, *asked)), noon)
			if err != nil {
				t.Fatal(err)
			}
			if !cred.BackupEligible || !cred.BackedUp {
				t.Errorf("registered %+v", cred)
			}

			options, c, err = rp.Register(user(alice), []Credential{cred}, noon)
			if err != nil {
				t.Fatal(err)
			}
			if asked, err = virtualwebauthn.ParseAttestationOptions(string(options)); err != nil || !key.IsExcludedForAttestation(*asked) {
				t.Errorf("it would register again: %v", err)
			}
			// A client that does so all the same gives the same id, which the caller's store has.
			again, err := rp.FinishRegister(c, user(alice), []byte(virtualwebauthn.CreateAttestationResponse(site, auth, key, *asked)), noon)
			if err != nil || string(again.ID) != string(cred.ID) {
				t.Errorf("got %+v, %v", again, err)
			}

			options, c, err = rp.Login(noon)
			if err != nil {
				t.Fatal(err)
			}
			in, err := virtualwebauthn.ParseAssertionOptions(string(options))
			if err != nil {
				t.Fatal(err)
			}
			got, err := rp.FinishLogin(c, []byte(virtualwebauthn.CreateAssertionResponse(site, auth, key, *in)), among(cred), noon)
			if err != nil || string(got.Handle) != alice || !got.UserVerified {
				t.Errorf("got %+v, %v", got, err)
			}

			options, c, err = rp.Confirm([]byte(alice), []Credential{cred}, noon)
			if err != nil {
				t.Fatal(err)
			}
			if in, err = virtualwebauthn.ParseAssertionOptions(string(options)); err != nil || !key.IsAllowedForAssertion(*in) {
				t.Fatalf("it would not sign in: %v", err)
			}
			auth.Options.UserHandle, auth.Options.UserNotVerified = nil, true // as a plain security key
			got, err = rp.FinishConfirm(c, []byte(alice), []byte(virtualwebauthn.CreateAssertionResponse(site, auth, key, *in)), among(cred), noon)
			if err != nil || string(got.Handle) != alice || got.UserVerified {
				t.Errorf("got %+v, %v", got, err)
			}
			auth.Options.UserNotPresent = true
			_, err = rp.FinishConfirm(c, []byte(alice), []byte(virtualwebauthn.CreateAssertionResponse(site, auth, key, *in)), among(cred), noon)
			refused(t, err, CodePresence)
		})
	}
}
