package passkey

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncbor"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
	"github.com/go-webauthn/webauthn/webauthn"
)

// A User is who registers a passkey.
type User struct {
	// Handle names the user to authenticators, for good: 16 to 64 bytes that mean nothing
	// to others. It is readable on a security key by who finds it, so never the address.
	Handle []byte
	// Name tells accounts apart in the browser's list, such as the e-mail address; it and
	// DisplayName are shown, and mean nothing.
	Name        string
	DisplayName string
}

func (u User) check() error {
	switch {
	case len(u.Handle) < minHandle || len(u.Handle) > maxHandle:
		return fail(CodeRequest, nil, fmt.Sprintf("user handle of %d bytes", len(u.Handle)))
	case u.Name == "":
		return fail(CodeRequest, nil, "the user has no name")
	case bytes.EqualFold(u.Handle, []byte(u.Name)):
		return fail(CodeRequest, nil, "the user handle is the name")
	}
	return nil
}

// A Credential is what is stored of a passkey. Its JSON is a format of ours: rows outlive
// the library. Nothing in it is secret.
type Credential struct {
	// ID is the authenticator's, and unique: the caller refuses one that is stored already,
	// for whomever.
	ID []byte `json:"id"`
	// Handle is of the user who registered it. What this credential signs is theirs,
	// whatever else an answer says.
	Handle []byte `json:"handle"`
	// PublicKey is a COSE_Key (RFC 9052) in CBOR.
	PublicKey []byte `json:"public_key"`
	// SignCount is 0 with most passkeys that are synchronized between devices.
	SignCount uint32 `json:"sign_count"`
	// BackupEligible says that it can be copied to other devices, by whoever made the
	// authenticator. It never changes.
	BackupEligible bool `json:"backup_eligible"`
	// BackedUp says that it has been.
	BackedUp bool `json:"backed_up"`
	// Transports are hints to browsers about how to reach it.
	Transports []string `json:"transports,omitempty"`
	// AAGUID is the kind of authenticator by its own account, which nobody vouches for;
	// good for a name in a list.
	AAGUID string `json:"aaguid,omitempty"`
}

func (c Credential) check() error {
	if len(c.ID) == 0 || len(c.ID) > maxID || len(c.Handle) < minHandle || len(c.Handle) > maxHandle {
		return errors.New("no id or no handle")
	}
	return nil
}

// descriptors name credentials to a browser.
func descriptors(cs []Credential) ([]protocol.CredentialDescriptor, error) {
	if len(cs) > maxListed {
		return nil, fail(CodeRequest, nil, fmt.Sprintf("%d credentials in a list", len(cs)))
	}
	var ds []protocol.CredentialDescriptor
	for _, c := range cs {
		if err := c.check(); err != nil {
			return nil, fail(CodeStored, err, err.Error())
		}
		ds = append(ds, protocol.CredentialDescriptor{Type: protocol.PublicKeyCredentialType, CredentialID: c.ID, Transport: transports(c.Transports)})
	}
	return ds, nil
}

// transports returns those that there are, each once.
func transports[T ~string](names []T) []protocol.AuthenticatorTransport {
	known := []protocol.AuthenticatorTransport{protocol.USB, protocol.NFC, protocol.BLE, protocol.SmartCard, protocol.Hybrid, protocol.Internal}
	var ts []protocol.AuthenticatorTransport
	for _, n := range names {
		if t := protocol.AuthenticatorTransport(n); slices.Contains(known, t) && !slices.Contains(ts, t) {
			ts = append(ts, t)
		}
	}
	return ts
}

func aaguid(b []byte) string {
	if len(b) != 16 {
		return ""
	}
	s := hex.EncodeToString(b)
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

// algorithms are those that are asked for and taken, best first.
func algorithms() []protocol.CredentialParameter {
	var ps []protocol.CredentialParameter
	for _, a := range []webauthncose.COSEAlgorithmIdentifier{webauthncose.AlgES256, webauthncose.AlgEdDSA, webauthncose.AlgRS256} {
		ps = append(ps, protocol.CredentialParameter{Type: protocol.PublicKeyCredentialType, Algorithm: a})
	}
	return ps
}

// checkKey returns nil for a public key that can be verified with under one of our
// algorithms. It is asked before a key is stored, as without attestation nothing has been
// signed with it, and before one is used, so that a row can't bring in another algorithm.
func checkKey(cose []byte) error {
	if len(cose) > maxKey {
		return fail(CodeKey, nil, fmt.Sprintf("%d bytes", len(cose)))
	}
	key, err := guard(func() (any, error) {
		var head webauthncose.PublicKeyData
		if err := webauthncbor.Unmarshal(cose, &head); err != nil {
			return nil, fail(CodeKey, err, "no COSE key")
		}
		if !slices.ContainsFunc(algorithms(), func(p protocol.CredentialParameter) bool { return int64(p.Algorithm) == head.Algorithm }) {
			return nil, fail(CodeAlgorithm, nil, fmt.Sprintf("algorithm %d", head.Algorithm))
		}
		key, err := webauthncose.ParsePublicKey(cose)
		if err != nil {
			return nil, fail(CodeKey, err, err.Error())
		}
		return key, nil
	})
	if err != nil {
		return err
	}
	// The library has bound curves to algorithms, and not the type of the key.
	switch k := key.(type) {
	case webauthncose.EC2PublicKeyData:
		if k.Algorithm == int64(webauthncose.AlgES256) {
			return nil
		}
	case webauthncose.OKPPublicKeyData:
		if k.Algorithm == int64(webauthncose.AlgEdDSA) {
			return nil
		}
	case webauthncose.RSAPublicKeyData:
		if k.Algorithm == int64(webauthncose.AlgRS256) {
			return checkRSA(k)
		}
	}
	return fail(CodeAlgorithm, nil, "the algorithm is not of that type of key")
}

func checkRSA(k webauthncose.RSAPublicKeyData) error {
	if bits := new(big.Int).SetBytes(k.Modulus).BitLen(); bits < minRSA || bits > maxRSA {
		return fail(CodeKey, nil, fmt.Sprintf("RSA key of %d bits", bits))
	}
	if e, err := webauthncose.ParseRSAPublicKeyDataExponent(&k); err != nil || e < 3 || e%2 == 0 || e > maxRSAPublic {
		return fail(CodeKey, err, "RSA key with a bad exponent")
	}
	return nil
}

// person is a user as the library wants one: with at most one credential.
type person struct {
	handle []byte
	has    []webauthn.Credential
}

func (p person) WebAuthnID() []byte                         { return p.handle }
func (p person) WebAuthnName() string                       { return "" }
func (p person) WebAuthnDisplayName() string                { return "" }
func (p person) WebAuthnCredentials() []webauthn.Credential { return p.has }
