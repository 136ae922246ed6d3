package passkey

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math/big"
	"sync"
	"testing"
	"time"

	"github.com/go-webauthn/webauthn/protocol/webauthncbor"
)

// Flags of the authenticator data (WebAuthn 6.1).
const (
	flagUP byte = 1 << 0
	flagUV byte = 1 << 2
	flagBE byte = 1 << 3
	flagBS byte = 1 << 4
	flagAT byte = 1 << 6
	flagED byte = 1 << 7
)

// A device is an authenticator with one credential, and the browser in front of it. It says
// what it should, but for what a test has it say.
type device struct {
	id, handle []byte
	key        crypto.Signer
	cose       []byte
	count      uint32
	flags      byte
}

// says is one answer before it is signed and encoded. What is changed in it is wrong in the
// bytes that are signed.
type says struct {
	id, rawID  []byte
	client     map[string]any
	clientJSON []byte // instead of client
	rpID       string
	flags      byte
	count      uint32
	handle     []byte
	credID     []byte // in the attested data
	cose       []byte
	tail       []byte // after the authenticator data
	format     string
	statement  any
	object     func([]byte) []byte // of a registration: changes the attestation object
	signature  func([]byte) []byte
	response   func(map[string]any) // changes the answer, after it was signed
}

func newDevice(t testing.TB, alg int64, handle string) *device {
	t.Helper()
	d := &device{id: random(32), handle: []byte(handle), flags: flagUP | flagUV, count: 1}
	switch alg {
	case -7:
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		d.key, d.cose = k, coseEC(t, k, -7, 1)
	case -8:
		pub, k, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		d.key, d.cose = k, cbor(t, map[int64]any{1: 1, 3: -8, -1: 6, -2: []byte(pub)})
	case -257:
		d.key, d.cose = rsaKey(), coseRSA(t, &rsaKey().PublicKey)
	}
	return d
}

// rsaKey is one for all tests: making it is slow.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

func coseEC(t testing.TB, k *ecdsa.PrivateKey, alg, curve int64) []byte {
	t.Helper()
	point, err := k.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	half := len(point) / 2
	return cbor(t, map[int64]any{1: 2, 3: alg, -1: curve, -2: point[1 : 1+half], -3: point[1+half:]})
}

func coseRSA(t testing.TB, k *rsa.PublicKey) []byte {
	t.Helper()
	return cbor(t, map[int64]any{1: 3, 3: -257, -1: k.N.Bytes(), -2: big.NewInt(int64(k.E)).Bytes()})
}

func cbor(t testing.TB, v any) []byte {
	t.Helper()
	b, err := webauthncbor.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails (crypto/rand)
	return b
}

func (d *device) sign(t testing.TB, data []byte) []byte {
	t.Helper()
	var sig []byte
	var err error
	if _, ok := d.key.(ed25519.PrivateKey); ok {
		sig, err = d.key.Sign(rand.Reader, data, crypto.Hash(0))
	} else {
		sum := sha256.Sum256(data)
		sig, err = d.key.Sign(rand.Reader, sum[:], crypto.SHA256)
	}
	if err != nil {
		t.Fatal(err)
	}
	return sig
}

func (d *device) start(typ string, c Ceremony, edit func(*says)) *says {
	s := &says{
		id: d.id, rawID: d.id, credID: d.id, rpID: "login.example.com", flags: d.flags, count: d.count, handle: d.handle, cose: d.cose, format: "none",
		client: map[string]any{"type": typ, "challenge": c.Challenge, "origin": "https://login.example.com", "crossOrigin": false},
	}
	if typ == "webauthn.create" {
		s.flags |= flagAT
	}
	if edit != nil {
		edit(s)
	}
	if s.clientJSON == nil {
		s.clientJSON, _ = json.Marshal(s.client)
	}
	return s
}

// authenticatorData returns the bytes that are signed, without the hash of the client data.
func (s *says) authenticatorData() []byte {
	hash := sha256.Sum256([]byte(s.rpID))
	b := append(hash[:], s.flags)
	b = binary.BigEndian.AppendUint32(b, s.count)
	if s.flags&flagAT != 0 && s.cose != nil {
		b = append(b, bytes.Repeat([]byte{0xaa}, 16)...)
		b = binary.BigEndian.AppendUint16(b, uint16(len(s.credID)))
		b = append(b, s.credID...)
		b = append(b, s.cose...)
	}
	return append(b, s.tail...)
}

// register is the answer to a registration.
func (d *device) register(t testing.TB, c Ceremony, edit func(*says)) []byte {
	t.Helper()
	s := d.start("webauthn.create", c, edit)
	data := s.authenticatorData()
	if s.format == "packed" && s.statement == nil {
		hash := sha256.Sum256(s.clientJSON)
		var head map[int64]any
		if err := webauthncbor.Unmarshal(s.cose, &head); err != nil {
			t.Fatal(err)
		}
		sig := d.sign(t, append(bytes.Clone(data), hash[:]...))
		if s.signature != nil {
			sig = s.signature(sig)
		}
		s.statement = map[string]any{"alg": head[3], "sig": sig}
	}
	if s.statement == nil {
		s.statement = map[string]any{}
	}
	object := cbor(t, map[string]any{"fmt": s.format, "attStmt": s.statement, "authData": data})
	if s.object != nil {
		object = s.object(object)
	}
	return s.encode(t, map[string]any{
		"clientDataJSON": b64(s.clientJSON), "attestationObject": b64(object), "transports": []string{"internal", "hybrid"},
	})
}

// use is the answer to a sign-in.
func (d *device) use(t testing.TB, c Ceremony, edit func(*says)) []byte {
	t.Helper()
	d.count++
	s := d.start("webauthn.get", c, edit)
	data := s.authenticatorData()
	hash := sha256.Sum256(s.clientJSON)
	sig := d.sign(t, append(bytes.Clone(data), hash[:]...))
	if s.signature != nil {
		sig = s.signature(sig)
	}
	r := map[string]any{"clientDataJSON": b64(s.clientJSON), "authenticatorData": b64(data), "signature": b64(sig)}
	if s.handle != nil {
		r["userHandle"] = b64(s.handle)
	}
	return s.encode(t, r)
}

func (s *says) encode(t testing.TB, response map[string]any) []byte {
	t.Helper()
	a := map[string]any{
		"id": b64(s.id), "rawId": b64(s.rawID), "type": "public-key", "response": response,
		"authenticatorAttachment": "platform", "clientExtensionResults": map[string]any{},
	}
	if s.response != nil {
		s.response(a)
	}
	b, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// Two people. Handles are 16 bytes and more.
const (
	alice = "user_01ALICE00000000000000000000"
	bob   = "user_01BOB0000000000000000000000"
)

var noon = time.Date(2026, 11, 9, 12, 0, 0, 0, time.UTC)

func user(handle string) User {
	return User{Handle: []byte(handle), Name: "alice@acme.test", DisplayName: "Alice Åshby"}
}

func party(t testing.TB) *RelyingParty {
	t.Helper()
	rp, err := New(Options{RPID: "login.example.com", RPName: "Example", Origins: []string{"https://login.example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	return rp
}

// enrol has the device register, and returns what is stored of it.
func enrol(t testing.TB, rp *RelyingParty, d *device) Credential {
	t.Helper()
	_, c, err := rp.Register(user(string(d.handle)), nil, noon)
	if err != nil {
		t.Fatal(err)
	}
	cred, err := rp.FinishRegister(c, user(string(d.handle)), d.register(t, c, nil), noon)
	if err != nil {
		t.Fatal(err)
	}
	return cred
}

// among finds as the caller's store would.
func among(stored ...Credential) Find {
	return func(handle, id []byte) (Credential, error) {
		for _, c := range stored {
			if bytes.Equal(c.Handle, handle) && bytes.Equal(c.ID, id) {
				return c, nil
			}
		}
		return Credential{}, ErrUnknown
	}
}

func login(t testing.TB, rp *RelyingParty) Ceremony {
	t.Helper()
	_, c, err := rp.Login(noon)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// refused fails the test unless err has the code, or there is none and it is "".
func refused(t testing.TB, err error, want Code) {
	t.Helper()
	if err == nil {
		if want != "" {
			t.Errorf("taken, want %s", want)
		}
		return
	}
	e, ok := errors.AsType[*Error](err)
	if !ok {
		t.Errorf("%T %v, want an *Error", err, err)
	} else if e.Code != want {
		t.Errorf("%v, want %q", err, want)
	}
}
