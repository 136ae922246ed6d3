package passkey

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"testing"
)

// still is a device and a ceremony that are the same in every process of a fuzzer.
func still(t testing.TB, alg int64) (*device, Ceremony) {
	t.Helper()
	d := &device{id: []byte("an id of 24 bytes, still"), handle: []byte(alice), count: 1, flags: flagUP | flagUV}
	secret := bytes.Repeat([]byte{1}, 32)
	if alg == -8 {
		key := ed25519.NewKeyFromSeed(secret)
		d.key, d.cose = key, cbor(t, map[int64]any{1: 1, 3: -8, -1: 6, -2: []byte(key.Public().(ed25519.PublicKey))})
	} else {
		key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), secret)
		if err != nil {
			t.Fatal(err)
		}
		d.key, d.cose = key, coseEC(t, key, -7, 1)
	}
	return d, Ceremony{Challenge: b64(bytes.Repeat([]byte{2}, 32)), Handle: []byte(alice), ExpiresAt: noon.Add(Life)}
}

func (c Ceremony) of(kind Kind) Ceremony {
	c.Kind = kind
	if kind == KindLogin {
		c.Handle = nil
	}
	return c
}

// believable reads client data as somebody else would, and returns why it should have been refused.
func believable(clientJSON []byte, typ string, c Ceremony) error {
	var m map[string]any
	if err := json.Unmarshal(clientJSON, &m); err != nil {
		return err
	}
	if m["type"] != typ || m["challenge"] != c.Challenge || m["origin"] != "https://login.example.com" {
		return fmt.Errorf("it is of %v at %v for %v", m["type"], m["origin"], m["challenge"])
	}
	if cross, ok := m["crossOrigin"]; ok && cross != false || m["topOrigin"] != nil {
		return fmt.Errorf("it was framed: %v, %v", m["crossOrigin"], m["topOrigin"])
	}
	return nil
}

// present reads authenticator data as somebody else would.
func present(data []byte, verified bool) error {
	hash := sha256.Sum256([]byte("login.example.com"))
	switch {
	case len(data) < 37 || !bytes.Equal(data[:32], hash[:]):
		return fmt.Errorf("it is of another relying party: %x", data)
	case data[32]&flagUP == 0 || verified && data[32]&flagUV == 0:
		return fmt.Errorf("the flags are %b", data[32])
	case data[32]&flagBS != 0 && data[32]&flagBE == 0:
		return fmt.Errorf("the flags contradict each other: %b", data[32])
	}
	return nil
}

// orderly fails the test unless the refusal is one of ours, and no panic.
func orderly(t *testing.T, err error) {
	t.Helper()
	if e, ok := errors.AsType[*Error](err); !ok || e.Code == CodePanic {
		t.Errorf("%T %v", err, err)
	}
}

// FuzzFinishLogin changes answers that are good: each is refused, or is still of whom it was.
func FuzzFinishLogin(f *testing.F) {
	rp := party(f)
	var stored []Credential
	for _, alg := range []int64{-7, -8} {
		d, c := still(f, alg)
		d.id = append(d.id, byte(-alg))
		stored = append(stored, Credential{ID: d.id, Handle: d.handle, PublicKey: d.cose, SignCount: 1})
		c.Allowed = [][]byte{d.id}
		for _, edit := range []func(*says){
			nil,
			func(s *says) { s.flags &^= flagUV; s.handle = nil },
			func(s *says) { s.flags |= flagED; s.tail = cbor(f, map[string]any{"uvm": []any{}}) },
			func(s *says) { s.client["tokenBinding"] = map[string]any{"status": "supported"} },
		} {
			answer := d.use(f, c, edit)
			if _, err := rp.FinishConfirm(c.of(KindConfirm), []byte(alice), answer, among(stored...), noon); err != nil {
				f.Fatal(err) // a seed that is no good finds nothing
			}
			f.Add(answer)
		}
	}
	f.Fuzz(func(t *testing.T, response []byte) {
		_, c := still(t, -8)
		c.Allowed = [][]byte{stored[0].ID, stored[1].ID}
		in, errIn := rp.FinishLogin(c.of(KindLogin), response, among(stored...), noon)
		two, errTwo := rp.FinishConfirm(c.of(KindConfirm), []byte(alice), response, among(stored...), noon)
		for _, got := range []struct {
			r   Result
			err error
		}{{in, errIn}, {two, errTwo}} {
			if got.err != nil {
				orderly(t, got.err)
				if !reflect.DeepEqual(got.r, Result{}) {
					t.Errorf("half of a result: %+v", got.r)
				}
				continue
			}
			seeded := got.r.Credential.SignCount >= 2 && got.r.Credential.SignCount <= 5
			if string(got.r.Handle) != alice || string(got.r.Credential.Handle) != alice || !seeded || got.r.Credential.BackedUp {
				t.Errorf("it became %+v", got.r)
			}
		}
		if errIn == nil && !in.UserVerified {
			t.Error("signed in, and not verified")
		}
	})
}

// FuzzASignedAnswer has the right key sign whatever it is: what is taken was asked for.
func FuzzASignedAnswer(f *testing.F) {
	rp := party(f)
	d, c := still(f, -8)
	s := d.start("webauthn.get", c, nil)
	s.count = 2
	f.Add(s.clientJSON, s.authenticatorData())
	f.Add([]byte(`{"type":"webauthn.get","challenge":"x","origin":"https://login.example.com","Origin":"https://evil.test"}`), s.authenticatorData())
	f.Add(clientJSON(s, `"topOrigin":"https://evil.test"`), s.authenticatorData())
	s.flags |= flagED | flagBE | flagBS
	s.tail = cbor(f, map[string]any{"credProtect": 2})
	f.Add(s.clientJSON, s.authenticatorData())
	s.flags, s.tail = flagUP|flagAT, nil
	f.Add(s.clientJSON, s.authenticatorData())
	cred := Credential{ID: d.id, Handle: d.handle, PublicKey: d.cose, SignCount: 1}
	f.Fuzz(func(t *testing.T, clientJSON, data []byte) {
		c.Allowed = [][]byte{d.id}
		hash := sha256.Sum256(clientJSON)
		signed := &says{id: d.id, rawID: d.id}
		answer := signed.encode(t, map[string]any{
			"clientDataJSON": b64(clientJSON), "authenticatorData": b64(data), "signature": b64(d.sign(t, append(bytes.Clone(data), hash[:]...))), "userHandle": b64(d.handle),
		})
		for _, eligible := range []bool{false, true} {
			cred.BackupEligible = eligible
			in, errIn := rp.FinishLogin(c.of(KindLogin), answer, among(cred), noon)
			two, errTwo := rp.FinishConfirm(c.of(KindConfirm), []byte(alice), answer, among(cred), noon)
			for _, got := range []struct {
				r        Result
				err      error
				verified bool
			}{{in, errIn, true}, {two, errTwo, false}} {
				if got.err != nil {
					orderly(t, got.err)
					continue
				}
				if err := believable(clientJSON, "webauthn.get", c); err != nil {
					t.Error(err)
				}
				if err := present(data, got.verified); err != nil {
					t.Error(err)
				}
				if string(got.r.Handle) != alice || got.r.Credential.SignCount < 2 || (data[32]&flagBE != 0) != eligible || (data[32]&flagUV != 0) != got.r.UserVerified {
					t.Errorf("it became %+v of %x", got.r, data)
				}
			}
		}
	})
}

// FuzzFinishRegister changes registrations that are good: each is refused, or gives the
// user of the ceremony a credential that is in the answer, and that works.
func FuzzFinishRegister(f *testing.F) {
	rp := party(f)
	for _, alg := range []int64{-7, -8, -257} {
		d, c := still(f, alg)
		if alg == -257 {
			d.key, d.cose = rsaKey(), coseRSA(f, &rsaKey().PublicKey)
		}
		for _, format := range []string{"none", "packed"} {
			for _, edit := range []func(*says){
				func(s *says) { s.format = format },
				func(s *says) {
					s.format, s.flags, s.tail = format, s.flags|flagED|flagBE|flagBS, cbor(f, map[string]any{"credProtect": 2})
				},
			} {
				answer := d.register(f, c, edit)
				if _, err := rp.FinishRegister(c.of(KindRegister), user(alice), answer, noon); err != nil {
					f.Fatal(err)
				}
				f.Add(answer)
			}
		}
	}
	d, c := still(f, -8)
	f.Add(d.register(f, c, func(s *says) {
		s.format, s.statement = "packed", map[string]any{"alg": -8, "sig": []byte{1}, "x5c": [][]byte{{0x30, 0}}}
	}))
	f.Fuzz(func(t *testing.T, response []byte) {
		_, c := still(t, -8)
		cred, err := rp.FinishRegister(c.of(KindRegister), user(alice), response, noon)
		if err != nil {
			orderly(t, err)
			if !reflect.DeepEqual(cred, Credential{}) {
				t.Errorf("half of a credential: %+v", cred)
			}
			return
		}
		var a struct {
			Response struct{ ClientDataJSON, AttestationObject string }
		}
		if err := json.Unmarshal(response, &a); err != nil {
			t.Fatal(err)
		}
		works(t, cred, unb64(a.Response.ClientDataJSON), unb64(a.Response.AttestationObject), c)
	})
}

// FuzzAnUnsignedRegistration writes whatever it is into a registration without attestation,
// which nothing signs.
func FuzzAnUnsignedRegistration(f *testing.F) {
	rp := party(f)
	for _, alg := range []int64{-7, -8} {
		d, c := still(f, alg)
		s := d.start("webauthn.create", c, nil)
		f.Add(s.clientJSON, d.id, s.authenticatorData())
		s.flags |= flagED
		s.tail = cbor(f, map[string]any{"credProtect": 2})
		f.Add(s.clientJSON, d.id, s.authenticatorData())
	}
	f.Fuzz(func(t *testing.T, clientJSON, id, data []byte) {
		_, c := still(t, -8)
		object := cbor(t, map[string]any{"fmt": "none", "attStmt": map[string]any{}, "authData": data})
		answer := (&says{id: id, rawID: id}).encode(t, map[string]any{"clientDataJSON": b64(clientJSON), "attestationObject": b64(object)})
		cred, err := rp.FinishRegister(c.of(KindRegister), user(alice), answer, noon)
		if err != nil {
			orderly(t, err)
			return
		}
		if !bytes.Equal(cred.ID, id) {
			t.Errorf("it has the id %x", cred.ID)
		}
		works(t, cred, clientJSON, object, c)
		if err := present(data, true); err != nil {
			t.Error(err)
		}
	})
}

// works fails the test unless the credential is alice's, stands in the attestation object,
// and can be signed in with: what is half enrolled locks its owner out.
func works(t *testing.T, cred Credential, clientJSON, object []byte, c Ceremony) {
	t.Helper()
	if err := believable(clientJSON, "webauthn.create", c); err != nil {
		t.Error(err)
	}
	if string(cred.Handle) != alice || len(cred.ID) < 16 || !bytes.Contains(object, cred.ID) || cred.BackedUp && !cred.BackupEligible {
		t.Errorf("registered %+v", cred)
	}
	if err := checkKey(cred.PublicKey); err != nil {
		t.Error(err)
	}
	row, err := json.Marshal(cred)
	if err != nil {
		t.Fatal(err)
	}
	var back Credential
	if err := json.Unmarshal(row, &back); err != nil || !reflect.DeepEqual(back, cred) {
		t.Errorf("stored as %s, %v", row, err)
	}
	if _, _, err := party(t).Confirm(cred.Handle, []Credential{back}, noon); err != nil {
		t.Error(err)
	}
}

func unb64(s string) []byte {
	b, _ := base64.RawURLEncoding.DecodeString(s)
	return b
}
