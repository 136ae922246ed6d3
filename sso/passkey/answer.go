package passkey

import (
	"bytes"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/go-webauthn/webauthn/protocol"
)

// An answer is what the browser brought back (RegistrationResponseJSON or
// AuthenticationResponseJSON), as far as it is read. Outputs of extensions are not: none was
// asked for, and some browsers send them anyway.
type answer struct {
	ID       string                    `json:"id"`
	RawID    protocol.URLEncodedBase64 `json:"rawId"`
	Type     string                    `json:"type"`
	Response struct {
		ClientData protocol.URLEncodedBase64 `json:"clientDataJSON"`
		// Of a registration.
		Attestation protocol.URLEncodedBase64 `json:"attestationObject"`
		Transports  []string                  `json:"transports"`
		// Of a sign-in.
		Authenticator protocol.URLEncodedBase64 `json:"authenticatorData"`
		Signature     protocol.URLEncodedBase64 `json:"signature"`
		UserHandle    protocol.URLEncodedBase64 `json:"userHandle"`
	} `json:"response"`
}

func readAnswer(response []byte) (answer, error) {
	var a answer
	if len(response) > maxResponse {
		return a, fail(CodeTooLarge, nil, fmt.Sprintf("%d bytes", len(response)))
	}
	if err := json.Unmarshal(response, &a); err != nil {
		return a, fail(CodeMalformed, err, err.Error())
	}
	return a, nil
}

func (a answer) credential() protocol.PublicKeyCredential {
	return protocol.PublicKeyCredential{Credential: protocol.Credential{ID: a.ID, Type: a.Type}, RawID: a.RawID}
}

// readRegistration reads the answer to a registration.
func readRegistration(response []byte) (*protocol.ParsedCredentialCreationData, error) {
	return guard(func() (*protocol.ParsedCredentialCreationData, error) {
		a, err := readAnswer(response)
		if err != nil {
			return nil, err
		}
		p, err := protocol.CredentialCreationResponse{
			PublicKeyCredential: a.credential(),
			AttestationResponse: protocol.AuthenticatorAttestationResponse{
				AuthenticatorResponse: protocol.AuthenticatorResponse{ClientDataJSON: a.Response.ClientData},
				AttestationObject:     a.Response.Attestation,
				Transports:            a.Response.Transports,
			},
		}.Parse()
		if err != nil {
			return nil, fail(CodeMalformed, err, err.Error())
		}
		dropTokenBinding(&p.Response.CollectedClientData)
		return p, nil
	})
}

// readAssertion reads the answer to a sign-in.
func readAssertion(response []byte) (*protocol.ParsedCredentialAssertionData, error) {
	return guard(func() (*protocol.ParsedCredentialAssertionData, error) {
		a, err := readAnswer(response)
		if err != nil {
			return nil, err
		}
		p, err := protocol.CredentialAssertionResponse{
			PublicKeyCredential: a.credential(),
			AssertionResponse: protocol.AuthenticatorAssertionResponse{
				AuthenticatorResponse: protocol.AuthenticatorResponse{ClientDataJSON: a.Response.ClientData},
				AuthenticatorData:     a.Response.Authenticator,
				Signature:             a.Response.Signature,
				UserHandle:            a.Response.UserHandle,
			},
		}.Parse()
		if err != nil {
			return nil, fail(CodeMalformed, err, err.Error())
		}
		dropTokenBinding(&p.Response.CollectedClientData)
		return p, nil
	})
}

// dropTokenBinding has what old browsers say of it ignored: it bound nothing, and is gone
// since Level 3. The library would refuse what it does not know there.
func dropTokenBinding(c *protocol.CollectedClientData) {
	c.TokenBinding = nil //nolint:staticcheck // deprecated, which is why it is dropped
}

// checkClientData returns nil if the browser says that it was asked for just this: it is the
// browser that keeps one site from asking for another's.
func (rp *RelyingParty) checkClientData(raw []byte, want protocol.CeremonyType, challenge string) error {
	members, err := object(raw)
	if err != nil {
		return fail(CodeMalformed, err, "clientDataJSON: "+err.Error())
	}
	if got := text(members["type"]); got != string(want) {
		return fail(CodeType, nil, fmt.Sprintf("expected %s, got %s", want, quote(got)))
	}
	if subtle.ConstantTimeCompare([]byte(text(members["challenge"])), []byte(challenge)) != 1 {
		return fail(CodeChallenge, nil, "")
	}
	// Byte for byte, which is more than the library does: it takes any path and any case.
	if got := text(members["origin"]); !slices.Contains(rp.origins, got) {
		return fail(CodeOrigin, nil, fmt.Sprintf("expected one of %q, got %s", rp.origins, quote(got)))
	}
	// In a frame of somebody else's page, people don't see whom they answer.
	if cross, ok := members["crossOrigin"]; ok && string(cross) != "false" {
		return fail(CodeFramed, nil, "crossOrigin "+quote(string(cross)))
	}
	if top, ok := members["topOrigin"]; ok {
		return fail(CodeFramed, nil, "topOrigin "+quote(string(top)))
	}
	return nil
}

// checkAuthenticator returns nil if the authenticator says that it acted for this relying
// party, with a person there, whom it verified if that is asked.
func (rp *RelyingParty) checkAuthenticator(a protocol.AuthenticatorData, verified bool) error {
	switch {
	case !bytes.Equal(a.RPIDHash, rp.idHash[:]):
		return fail(CodeRelyingParty, nil, fmt.Sprintf("expected the hash of %q, got %s", rp.id, quote(fmt.Sprintf("%x", a.RPIDHash))))
	case !a.Flags.UserPresent():
		return fail(CodePresence, nil, "")
	case verified && !a.Flags.UserVerified():
		return fail(CodeVerification, nil, "")
	}
	return nil
}

// checkBackup returns nil if the flags about backups agree with each other and, at a sign-in, with
// what was stored.
func checkBackup(f protocol.AuthenticatorFlags, eligible bool) error {
	switch {
	case f.HasBackupEligible() != eligible:
		return fail(CodeBackup, nil, fmt.Sprintf("eligible for backup: was %t, is %t", eligible, f.HasBackupEligible()))
	case f.HasBackupState() && !f.HasBackupEligible():
		return fail(CodeBackup, nil, "backed up, and not eligible for it")
	}
	return nil
}

// object reads a JSON object, whose members have the names that they have: encoding/json
// would take "Origin" for "origin", and the last of two.
func object(raw []byte) (map[string]json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil {
		return nil, err
	} else if t != json.Delim('{') {
		return nil, errors.New("not an object")
	}
	members := map[string]json.RawMessage{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, err
		}
		name, ok := t.(string)
		if !ok {
			return nil, errors.New("not an object")
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, err
		}
		if _, twice := members[name]; twice {
			return nil, errors.New("a member comes twice")
		}
		members[name] = value
	}
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than an object")
	}
	return members, nil
}

// text returns a JSON string, or "" for what is none.
func text(raw json.RawMessage) string {
	var s *string
	if err := json.Unmarshal(raw, &s); err != nil || s == nil {
		return ""
	}
	return *s
}
