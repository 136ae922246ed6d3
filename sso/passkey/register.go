package passkey

import (
	"encoding/json"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
)

// Register begins the registration of a passkey for a person who is signed in: options for
// the browser (PublicKeyCredentialCreationOptionsJSON), and the ceremony to keep for it.
// exclude are the passkeys that they have; an authenticator that holds one makes no other.
// The error is an [*Error].
func (rp *RelyingParty) Register(user User, exclude []Credential, now time.Time) (json.RawMessage, Ceremony, error) {
	if err := user.check(); err != nil {
		return nil, Ceremony{}, err
	}
	excluded, err := descriptors(exclude)
	if err != nil {
		return nil, Ceremony{}, err
	}
	c, challenge := begin(KindRegister, user.Handle, now)
	options, err := json.Marshal(protocol.PublicKeyCredentialCreationOptions{
		RelyingParty: protocol.RelyingPartyEntity{ID: rp.id, CredentialEntity: protocol.CredentialEntity{Name: rp.name}},
		User: protocol.UserEntity{
			ID: protocol.URLEncodedBase64(user.Handle), DisplayName: cut(user.DisplayName, maxName),
			CredentialEntity: protocol.CredentialEntity{Name: cut(user.Name, maxName)},
		},
		Challenge:             challenge,
		Parameters:            algorithms(),
		Timeout:               int(Life / time.Millisecond),
		CredentialExcludeList: excluded,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			// One that is found without a name first, and stands for two factors.
			ResidentKey:        protocol.ResidentKeyRequirementRequired,
			RequireResidentKey: protocol.ResidentKeyRequired(), // for who does not know residentKey
			UserVerification:   protocol.VerificationRequired,
		},
		Attestation: protocol.PreferNoAttestation,
	})
	if err != nil {
		return nil, Ceremony{}, fail(CodeRequest, err, err.Error())
	}
	return options, c, nil
}

// FinishRegister ends a registration: it turns what the browser brought back into the
// credential to store for the user, who is the one signed in now. The error is an [*Error].
//
// The caller lets a ceremony be finished once, and refuses a credential whose id is stored
// already, whoever has it.
func (rp *RelyingParty) FinishRegister(c Ceremony, user User, response []byte, now time.Time) (Credential, error) {
	if err := c.check(KindRegister, user.Handle, now); err != nil {
		return Credential{}, err
	}
	p, err := readRegistration(response)
	if err != nil {
		return Credential{}, err
	}
	if err := rp.checkClientData(p.Raw.AttestationResponse.ClientDataJSON, protocol.CreateCeremony, c.Challenge); err != nil {
		return Credential{}, err
	}
	made := p.Response.AttestationObject
	if err := rp.checkAuthenticator(made.AuthData, KindRegister.verified()); err != nil {
		return Credential{}, err
	}
	if err := checkBackup(made.AuthData.Flags, made.AuthData.Flags.HasBackupEligible()); err != nil {
		return Credential{}, err
	}
	if len(p.RawID) < minID || len(p.RawID) > maxID {
		return Credential{}, fail(CodeMalformed, nil, "a credential id that is too short or too long")
	}
	if err := checkAttestation(made); err != nil {
		return Credential{}, err
	}
	if err := checkKey(made.AuthData.AttData.CredentialPublicKey); err != nil {
		return Credential{}, err
	}
	session := webauthn.SessionData{
		Challenge: c.Challenge, RelyingPartyID: rp.id, UserID: c.Handle,
		UserVerification: protocol.VerificationRequired, CredParams: algorithms(),
	}
	lib, err := guard(func() (*webauthn.Credential, error) {
		return rp.library.CreateCredential(person{handle: user.Handle}, session, p)
	})
	if err != nil {
		return Credential{}, library(err)
	}
	cred := Credential{
		ID: lib.ID, Handle: c.Handle, PublicKey: lib.PublicKey, SignCount: lib.Authenticator.SignCount,
		BackupEligible: lib.Flags.BackupEligible, BackedUp: lib.Flags.BackupState, AAGUID: aaguid(lib.Authenticator.AAGUID),
	}
	for _, t := range transports(lib.Transport) {
		cred.Transports = append(cred.Transports, string(t))
	}
	return cred, nil
}

// checkAttestation lets in what a browser may send that was asked for none: none, or what
// the new key itself has signed. That keeps certificates, TPM structures and tokens of
// strangers from being parsed for a statement that is worth nothing here.
func checkAttestation(o protocol.AttestationObject) error {
	switch protocol.AttestationFormat(o.Format) {
	case protocol.AttestationFormatNone:
		return nil
	case protocol.AttestationFormatPacked:
		if len(o.AttStatement) == 2 && o.AttStatement["alg"] != nil && o.AttStatement["sig"] != nil {
			return nil
		}
		return fail(CodeAttestation, nil, "packed, and not by the key itself")
	default:
		return fail(CodeAttestation, nil, "format "+quote(o.Format))
	}
}
