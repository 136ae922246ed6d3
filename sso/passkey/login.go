package passkey

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
)

// ErrUnknown is what a [Find] returns for a credential that is not there, or not that user's.
var ErrUnknown = errors.New("passkey: no such credential")

// A Find returns the stored credential with that id, if it is of the user with that handle;
// else [ErrUnknown]. Both come from a stranger until the signature is verified, which is
// after it.
type Find func(handle, credentialID []byte) (Credential, error)

// A Result is a passkey that was used.
type Result struct {
	// Credential is to be stored in place of the one that was found: its counter and its
	// backup state may be new.
	Credential Credential
	// Handle is of the user whose passkey it is.
	Handle []byte
	// UserVerified says that the authenticator verified who uses it, by PIN or by body:
	// then the passkey stands for two factors. Always true of [RelyingParty.FinishLogin].
	UserVerified bool
}

// Login begins a sign-in by whoever it is: options for the browser
// (PublicKeyCredentialRequestOptionsJSON), and the ceremony to keep for it. The error is an
// [*Error].
func (rp *RelyingParty) Login(now time.Time) (json.RawMessage, Ceremony, error) {
	c, challenge := begin(KindLogin, nil, now)
	return rp.request(c, challenge, nil, protocol.VerificationRequired)
}

// Confirm begins the use of one of the passkeys of a person whom the caller knows already, as
// a second factor or once more. User verification is preferred, so that a plain security key
// will do. No passkeys are an error: asked for any, somebody else's would do.
func (rp *RelyingParty) Confirm(handle []byte, allow []Credential, now time.Time) (json.RawMessage, Ceremony, error) {
	allowed, err := descriptors(allow)
	if err != nil {
		return nil, Ceremony{}, err
	}
	if len(allow) == 0 {
		return nil, Ceremony{}, fail(CodeRequest, nil, "no passkey to ask for")
	}
	c, challenge := begin(KindConfirm, handle, now)
	for _, a := range allow {
		if !bytes.Equal(a.Handle, handle) {
			return nil, Ceremony{}, fail(CodeRequest, nil, "a passkey of another user")
		}
		c.Allowed = append(c.Allowed, bytes.Clone(a.ID))
	}
	return rp.request(c, challenge, allowed, protocol.VerificationPreferred)
}

func (rp *RelyingParty) request(c Ceremony, challenge protocol.URLEncodedBase64, allowed []protocol.CredentialDescriptor, uv protocol.UserVerificationRequirement) (json.RawMessage, Ceremony, error) {
	options, err := json.Marshal(protocol.PublicKeyCredentialRequestOptions{
		Challenge: challenge, Timeout: int(Life / time.Millisecond), RelyingPartyID: rp.id, AllowedCredentials: allowed, UserVerification: uv,
	})
	if err != nil {
		return nil, Ceremony{}, fail(CodeRequest, err, err.Error())
	}
	return options, c, nil
}

// FinishLogin ends what [RelyingParty.Login] began. The error is an [*Error].
//
// The caller lets a ceremony be finished once, and stores the result's credential.
func (rp *RelyingParty) FinishLogin(c Ceremony, response []byte, find Find, now time.Time) (Result, error) {
	if err := c.check(KindLogin, nil, now); err != nil {
		return Result{}, err
	}
	return rp.finish(c, response, find)
}

// FinishConfirm ends what [RelyingParty.Confirm] began for the user with that handle, who is
// the one whom the caller knows now. The error is an [*Error].
func (rp *RelyingParty) FinishConfirm(c Ceremony, handle, response []byte, find Find, now time.Time) (Result, error) {
	if err := c.check(KindConfirm, handle, now); err != nil {
		return Result{}, err
	}
	return rp.finish(c, response, find)
}

func (rp *RelyingParty) finish(c Ceremony, response []byte, find Find) (Result, error) {
	p, err := readAssertion(response)
	if err != nil {
		return Result{}, err
	}
	if err := rp.checkClientData(p.Raw.AssertionResponse.ClientDataJSON, protocol.AssertCeremony, c.Challenge); err != nil {
		return Result{}, err
	}
	made := p.Response.AuthenticatorData
	if err := rp.checkAuthenticator(made, c.Kind.verified()); err != nil {
		return Result{}, err
	}
	handle, err := c.owner(p)
	if err != nil {
		return Result{}, err
	}
	stored, err := lookUp(find, handle, p.RawID)
	if err != nil {
		return Result{}, err
	}

	uv := protocol.VerificationPreferred
	if c.Kind.verified() {
		uv = protocol.VerificationRequired
	}
	session := webauthn.SessionData{
		Challenge: c.Challenge, RelyingPartyID: rp.id, UserID: stored.Handle, AllowedCredentialIDs: [][]byte{stored.ID}, UserVerification: uv,
	}
	user := person{handle: stored.Handle, has: []webauthn.Credential{{
		ID: stored.ID, PublicKey: stored.PublicKey, Flags: webauthn.CredentialFlags{BackupEligible: stored.BackupEligible},
		Authenticator: webauthn.Authenticator{SignCount: stored.SignCount},
	}}}
	used, err := guard(func() (*webauthn.Credential, error) { return rp.library.ValidateLogin(user, session, p) })

	// Only what was signed may say that a passkey was copied or has changed: else a stranger
	// could have people remove theirs. The library looks at the backup flags after the signature.
	if err != nil {
		if changed := checkBackup(made.Flags, stored.BackupEligible); changed != nil && library(err).Code != CodeSignature {
			return Result{}, changed
		}
		return Result{}, library(err)
	}
	if used.Authenticator.CloneWarning {
		return Result{}, fail(CodeCloned, nil, fmt.Sprintf("the counter was %d, is %d", stored.SignCount, made.Counter))
	}
	stored.SignCount, stored.BackedUp = used.Authenticator.SignCount, made.Flags.HasBackupState()
	return Result{Credential: stored, Handle: stored.Handle, UserVerified: made.Flags.UserVerified()}, nil
}

// owner returns whose passkey the answer has to be of.
func (c Ceremony) owner(p *protocol.ParsedCredentialAssertionData) ([]byte, error) {
	said := p.Response.UserHandle
	if c.Kind == KindLogin {
		if len(said) < minHandle || len(said) > maxHandle {
			return nil, fail(CodeHandle, nil, "missing, too short or too long")
		}
		return said, nil
	}
	if !slices.ContainsFunc(c.Allowed, func(id []byte) bool { return bytes.Equal(id, p.RawID) }) {
		return nil, fail(CodeNotAllowed, nil, "")
	}
	if len(said) > 0 && !bytes.Equal(said, c.Handle) { // may be missing, as the browser knew the ids
		return nil, fail(CodeHandle, nil, "another user's")
	}
	return c.Handle, nil
}

// lookUp returns the stored credential. Whatever find looks at, it is that user's and has
// that id.
func lookUp(find Find, handle, id []byte) (Credential, error) {
	stored, err := find(handle, id)
	switch {
	case errors.Is(err, ErrUnknown):
		return Credential{}, fail(CodeUnknown, err, "")
	case err != nil:
		return Credential{}, fail(CodeLookUp, err, "")
	}
	if err := stored.check(); err != nil {
		return Credential{}, fail(CodeStored, err, err.Error())
	}
	if !bytes.Equal(stored.ID, id) {
		return Credential{}, fail(CodeUnknown, nil, "another credential was found")
	}
	if !bytes.Equal(stored.Handle, handle) {
		return Credential{}, fail(CodeHandle, nil, "the credential is another user's")
	}
	if err := checkKey(stored.PublicKey); err != nil {
		return Credential{}, fail(CodeStored, err, err.Error())
	}
	return stored, nil
}
