package passkey

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-webauthn/webauthn/webauthn"
)

func TestAPasskeyIsRegisteredAndSignsIn(t *testing.T) {
	rp := party(t)
	for _, alg := range []int64{-7, -8, -257} {
		for _, format := range []string{"none", "packed"} {
			t.Run(fmt.Sprint(alg, format), func(t *testing.T) {
				d := newDevice(t, alg, alice)
				_, c, err := rp.Register(user(alice), nil, noon)
				if err != nil {
					t.Fatal(err)
				}
				cred, err := rp.FinishRegister(c, user(alice), d.register(t, c, func(s *says) { s.format = format }), noon)
				if err != nil {
					t.Fatal(err)
				}
				want := Credential{
					ID: d.id, Handle: []byte(alice), PublicKey: d.cose, SignCount: 1,
					Transports: []string{"internal", "hybrid"}, AAGUID: "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa",
				}
				if !reflect.DeepEqual(cred, want) {
					t.Errorf("registered %+v, want %+v", cred, want)
				}
				in := login(t, rp)
				got, err := rp.FinishLogin(in, d.use(t, in, nil), among(cred), noon)
				if err != nil {
					t.Fatal(err)
				}
				want.SignCount = 2
				if !reflect.DeepEqual(got, Result{Credential: want, Handle: []byte(alice), UserVerified: true}) {
					t.Errorf("got %+v", got)
				}
			})
		}
	}
}

func TestARegistrationIsRefused(t *testing.T) {
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ec := newDevice(t, -7, alice)
	rsaModulus := rsaKey().N.Bytes()
	for _, tt := range []struct {
		name string
		edit func(*says)
		want Code
	}{
		{"nothing is wrong", func(*says) {}, ""},
		{"token binding, of old browsers, is ignored", func(s *says) { s.client["tokenBinding"] = map[string]any{"status": "odd"} }, ""},
		{"more members are ignored", func(s *says) { s.client["other_keys_can_be_added_here"] = "do not compare" }, ""},
		{"no crossOrigin", func(s *says) { delete(s.client, "crossOrigin") }, ""},
		{"extensions that nobody asked for", func(s *says) {
			s.response = func(a map[string]any) {
				a["clientExtensionResults"] = map[string]any{"credProps": map[string]any{"rk": true}, "x": 1}
			}
		}, ""},
		{"an extension of the authenticator that nobody asked for", func(s *says) { s.flags |= flagED; s.tail = cbor(t, map[string]any{"credProtect": 3}) }, ""},
		{"eligible for backup, and backed up", func(s *says) { s.flags |= flagBE | flagBS }, ""},

		{"type of a sign-in", func(s *says) { s.client["type"] = "webauthn.get" }, CodeType},
		{"type that there is not", func(s *says) { s.client["type"] = "payment.get" }, CodeType},
		{"type of other case", func(s *says) { s.client["type"] = "WebAuthn.create" }, CodeType},
		{"type missing", func(s *says) { delete(s.client, "type") }, CodeType},
		{"type under another name", func(s *says) { s.client["Type"] = s.client["type"]; delete(s.client, "type") }, CodeType},
		{"another challenge", func(s *says) { s.client["challenge"] = b64(random(32)) }, CodeChallenge},
		{"no challenge", func(s *says) { delete(s.client, "challenge") }, CodeChallenge},
		{"padded challenge", func(s *says) { s.client["challenge"] = s.client["challenge"].(string) + "=" }, CodeChallenge},
		{"challenge as a number", func(s *says) { s.client["challenge"] = 1 }, CodeMalformed},
		{"sibling tenant host", func(s *says) { s.client["origin"] = "https://acme.example.com" }, CodeOrigin},
		{"host above", func(s *says) { s.client["origin"] = "https://example.com" }, CodeOrigin},
		{"host below", func(s *says) { s.client["origin"] = "https://x.login.example.com" }, CodeOrigin},
		{"other port", func(s *says) { s.client["origin"] = "https://login.example.com:8443" }, CodeOrigin},
		{"standard port written out", func(s *says) { s.client["origin"] = "https://login.example.com:443" }, CodeOrigin},
		{"plain http", func(s *says) { s.client["origin"] = "http://login.example.com" }, CodeOrigin},
		{"a path, which the library takes", func(s *says) { s.client["origin"] = "https://login.example.com/x" }, CodeOrigin},
		{"upper case, which the library takes", func(s *says) { s.client["origin"] = "HTTPS://LOGIN.example.com" }, CodeOrigin},
		{"user info, which the library takes", func(s *says) { s.client["origin"] = "https://evil.test@login.example.com" }, CodeOrigin},
		{"dot at the end", func(s *says) { s.client["origin"] = "https://login.example.com." }, CodeOrigin},
		{"an app", func(s *says) { s.client["origin"] = "android:apk-key-hash:AAAA" }, CodeOrigin},
		{"null origin", func(s *says) { s.client["origin"] = "null" }, CodeOrigin},
		{"no origin", func(s *says) { delete(s.client, "origin") }, CodeOrigin},
		{"list of origins", func(s *says) { s.client["origin"] = []string{"https://login.example.com"} }, CodeMalformed},
		{"cross-origin", func(s *says) { s.client["crossOrigin"] = true }, CodeFramed},
		{"cross-origin as a word", func(s *says) { s.clientJSON = clientJSON(s, `"crossOrigin":null`) }, CodeFramed},
		{"top origin", func(s *says) { s.client["topOrigin"] = "https://login.example.com" }, CodeFramed},
		{"cross-origin with our top origin", func(s *says) {
			s.client["crossOrigin"], s.client["topOrigin"] = true, "https://login.example.com"
		}, CodeFramed},
		{"two origins", func(s *says) { s.clientJSON = clientJSON(s, `"origin":"https://evil.test"`) }, CodeMalformed},
		{"client data in an array", func(s *says) { s.clientJSON = []byte(`[]`) }, CodeMalformed},
		{"client data with a tail", func(s *says) { s.clientJSON = append(clientJSON(s, `"a":1`), '{', '}') }, CodeMalformed},
		{"client data of null", func(s *says) { s.clientJSON = []byte(`null`) }, CodeMalformed},
		{"no client data", func(s *says) { s.clientJSON = []byte{} }, CodeMalformed},

		{"other relying party", func(s *says) { s.rpID = "acme.example.com" }, CodeRelyingParty},
		{"relying party above", func(s *says) { s.rpID = "example.com" }, CodeRelyingParty},
		{"nobody there", func(s *says) { s.flags &^= flagUP }, CodePresence},
		{"nobody verified", func(s *says) { s.flags &^= flagUV }, CodeVerification},
		{"backed up, and not eligible", func(s *says) { s.flags |= flagBS }, CodeBackup},
		{"no key", func(s *says) { s.flags &^= flagAT }, CodeMalformed},
		{"flag of a key, and none", func(s *says) { s.cose = nil }, CodeMalformed},
		{"flag of extensions, and none", func(s *says) { s.flags |= flagED }, CodeMalformed},
		{"bytes at the end", func(s *says) { s.tail = []byte{0} }, CodeMalformed},
		{"another id in the answer", func(s *says) { s.id = random(32); s.rawID = s.id }, CodeMalformed},
		{"two ids in the answer", func(s *says) { s.rawID = random(32) }, CodeMalformed},
		{"short id", func(s *says) { s.id = random(15); s.rawID, s.credID = s.id, s.id }, CodeMalformed},
		{"no id", func(s *says) { s.id = nil; s.rawID, s.credID = nil, nil }, CodeMalformed},
		{"long id", func(s *says) { s.id = random(1024); s.rawID, s.credID = s.id, s.id }, CodeMalformed},
		{"other type of credential", func(s *says) { s.response = func(a map[string]any) { a["type"] = "password" } }, CodeMalformed},

		{"algorithm none", func(s *says) { s.cose = cbor(t, map[int64]any{1: 2, 3: 0, -1: 1, -2: random(32), -3: random(32)}) }, CodeAlgorithm},
		{"no algorithm", func(s *says) { s.cose = cbor(t, map[int64]any{1: 2, -1: 1, -2: random(32), -3: random(32)}) }, CodeAlgorithm},
		{"HMAC", func(s *says) { s.cose = cbor(t, map[int64]any{1: 4, 3: 5, -1: random(32)}) }, CodeAlgorithm},
		{"ES384, which the library knows", func(s *says) { s.cose = coseEC(t, p384, -35, 2) }, CodeAlgorithm},
		{"RSA with SHA-1, which the library knows", func(s *says) {
			s.cose = cbor(t, map[int64]any{1: 3, 3: -65535, -1: rsaModulus, -2: []byte{1, 0, 1}})
		}, CodeAlgorithm},
		{"ES256 of an RSA key", func(s *says) { s.cose = cbor(t, map[int64]any{1: 3, 3: -7, -1: rsaModulus, -2: []byte{1, 0, 1}}) }, CodeAlgorithm},
		{"ES256 of an Ed25519 key", func(s *says) { s.cose = cbor(t, map[int64]any{1: 1, 3: -7, -1: 6, -2: random(32)}) }, CodeKey},
		{"ES256 on another curve", func(s *says) { s.cose = coseEC(t, p384, -7, 2) }, CodeKey},
		{"symmetric key", func(s *says) { s.cose = cbor(t, map[int64]any{1: 4, 3: -7, -1: random(32)}) }, CodeKey},
		{"point that is not on the curve", func(s *says) { s.cose = cbor(t, map[int64]any{1: 2, 3: -7, -1: 1, -2: random(32), -3: random(32)}) }, CodeKey},
		{"point with one coordinate", func(s *says) { s.cose = cbor(t, map[int64]any{1: 2, 3: -7, -1: 1, -2: random(32)}) }, CodeKey},
		{"small RSA key", func(s *says) {
			s.cose = cbor(t, map[int64]any{1: 3, 3: -257, -1: odd(1024), -2: []byte{1, 0, 1}})
		}, CodeKey},
		{"huge RSA key", func(s *says) {
			s.cose = cbor(t, map[int64]any{1: 3, 3: -257, -1: odd(4104), -2: []byte{1, 0, 1}})
		}, CodeKey},
		{"RSA key with the exponent 1: everything is its signature", func(s *says) {
			s.cose = cbor(t, map[int64]any{1: 3, 3: -257, -1: rsaModulus, -2: []byte{1}})
		}, CodeKey},
		{"RSA key with an even exponent", func(s *says) { s.cose = cbor(t, map[int64]any{1: 3, 3: -257, -1: rsaModulus, -2: []byte{1, 0, 0}}) }, CodeKey},
		{"RSA key with no exponent", func(s *says) { s.cose = cbor(t, map[int64]any{1: 3, 3: -257, -1: rsaModulus}) }, CodeKey},
		{"RSA key with a huge exponent", func(s *says) {
			s.cose = cbor(t, map[int64]any{1: 3, 3: -257, -1: rsaModulus, -2: []byte{1, 0, 0, 0, 1}})
		}, CodeKey},
		{"key with a load", func(s *says) {
			s.cose = cbor(t, map[int64]any{1: 1, 3: -8, -1: 6, -2: random(32), -70000: random(2000)})
		}, CodeKey},
		{"key that is a list", func(s *says) { s.cose = cbor(t, []int{1, 2}) }, CodeKey},

		{"self attestation by another key", func(s *says) { s.format, s.cose = "packed", newDevice(t, -7, alice).cose }, CodeAttestation},
		{"self attestation with a broken signature", func(s *says) { s.format, s.signature = "packed", flip }, CodeAttestation},
		{"self attestation under another algorithm", func(s *says) {
			s.format, s.statement = "packed", map[string]any{"alg": -257, "sig": random(64)}
		}, CodeAttestation},
		{"certificates that nobody asked for", func(s *says) {
			s.format, s.statement = "packed", map[string]any{"alg": -7, "sig": random(64), "x5c": [][]byte{random(500)}}
		}, CodeAttestation},
		{"no attestation, with a statement", func(s *says) { s.statement = map[string]any{"alg": -7} }, CodeAttestation},
		{"TPM", func(s *says) { s.format, s.statement = "tpm", map[string]any{"ver": "2.0"} }, CodeAttestation},
		{"SafetyNet", func(s *says) {
			s.format, s.statement = "android-safetynet", map[string]any{"ver": "1", "response": []byte("a.b.c")}
		}, CodeAttestation},
		{"FIDO U2F", func(s *says) { s.format, s.statement = "fido-u2f", map[string]any{"sig": random(64)} }, CodeAttestation},
		{"compound", func(s *says) {
			s.format, s.statement = "compound", []any{map[string]any{"fmt": "none", "attStmt": map[string]any{}}}
		}, CodeAttestation},
		{"a format that there is not", func(s *says) { s.format = "odd\x1b[2J" }, CodeAttestation},

		{"truncated CBOR", func(s *says) { s.object = func(b []byte) []byte { return b[:len(b)-20] } }, CodeMalformed},
		{"CBOR with a tail", func(s *says) { s.object = func(b []byte) []byte { return append(b, 0) } }, CodeMalformed},
		{"no CBOR", func(s *says) { s.object = func([]byte) []byte { return nil } }, CodeMalformed},
		{"CBOR of endless length", func(s *says) {
			s.object = func([]byte) []byte { return []byte{0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff} }
		}, CodeMalformed},
		{"deep CBOR", func(s *says) { s.object = func([]byte) []byte { return bytes.Repeat([]byte{0x81}, 40_000) } }, CodeMalformed},
		{"CBOR with two of a key", func(s *says) {
			s.object = func(b []byte) []byte {
				return append([]byte{b[0] + 1, 0x63, 'f', 'm', 't', 0x64, 'n', 'o', 'n', 'e'}, b[1:]...)
			}
		}, CodeMalformed},
		{"huge", func(s *says) { s.client["a"] = strings.Repeat("a", 64<<10) }, CodeTooLarge},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rp := party(t)
			_, c, err := rp.Register(user(alice), nil, noon)
			if err != nil {
				t.Fatal(err)
			}
			cred, err := rp.FinishRegister(c, user(alice), ec.register(t, c, tt.edit), noon)
			refused(t, err, tt.want)
			if err != nil && !reflect.DeepEqual(cred, Credential{}) {
				t.Errorf("half of a credential: %+v", cred)
			}
		})
	}
}

// TestAGoodAttestationThatNobodyAskedForIsRefused: the library would take it, and read the
// certificate of a stranger for that.
func TestAGoodAttestationThatNobodyAskedForIsRefused(t *testing.T) {
	rp := party(t)
	maker := newDevice(t, -7, alice)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true,
		Subject: pkix.Name{Country: []string{"SE"}, Organization: []string{"Maker"}, OrganizationalUnit: []string{"Authenticator Attestation"}, CommonName: "Key"},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, maker.key.Public(), maker.key)
	if err != nil {
		t.Fatal(err)
	}
	d := newDevice(t, -7, alice)
	_, c, err := rp.Register(user(alice), nil, noon)
	if err != nil {
		t.Fatal(err)
	}
	answer := d.register(t, c, func(s *says) {
		clientJSON, err := json.Marshal(s.client)
		if err != nil {
			t.Fatal(err)
		}
		hash := sha256.Sum256(clientJSON)
		s.clientJSON, s.format = clientJSON, "packed"
		s.statement = map[string]any{"alg": -7, "sig": maker.sign(t, append(s.authenticatorData(), hash[:]...)), "x5c": [][]byte{der}}
	})
	p, err := readRegistration(answer)
	if err != nil {
		t.Fatal(err)
	}
	session := webauthn.SessionData{Challenge: c.Challenge, UserID: []byte(alice), CredParams: algorithms()}
	if _, err := rp.library.CreateCredential(person{handle: []byte(alice)}, session, p); err != nil {
		t.Fatalf("the library does not take it, so this test shows nothing: %v", err)
	}
	_, err = rp.FinishRegister(c, user(alice), answer, noon)
	refused(t, err, CodeAttestation)
}

// clientJSON is the client data of s with one more member written after it.
func clientJSON(s *says, member string) []byte {
	if strings.Contains(member, "crossOrigin") {
		delete(s.client, "crossOrigin")
	}
	b, _ := json.Marshal(s.client)
	return append(b[:len(b)-1], ","+member+"}"...)
}

func flip(b []byte) []byte {
	b = bytes.Clone(b)
	b[len(b)-1] ^= 1
	return b
}

// odd is an odd number of so many bits.
func odd(bits int) []byte {
	n := new(big.Int).SetBytes(random(bits / 8))
	return n.SetBit(n, 0, 1).SetBit(n, bits-1, 1).Bytes()
}

func TestAnAnswerThatIsNoneIsRefused(t *testing.T) {
	rp := party(t)
	_, c, err := rp.Register(user(alice), nil, noon)
	if err != nil {
		t.Fatal(err)
	}
	in := login(t, rp)
	for _, tt := range []struct {
		name, answer string
		want         Code
	}{
		{"empty", "", CodeMalformed},
		{"null", "null", CodeMalformed},
		{"array", "[]", CodeMalformed},
		{"no members", "{}", CodeMalformed},
		{"number for base64", `{"id":1}`, CodeMalformed},
		{"no base64", `{"id":"AAAA","rawId":"****"}`, CodeMalformed},
		{"no response", `{"id":"AAAAAAAAAAAAAAAAAAAAAA","rawId":"AAAAAAAAAAAAAAAAAAAAAA","type":"public-key"}`, CodeMalformed},
		{"two values", `{} {}`, CodeMalformed},
		{"deep", strings.Repeat("[", 60_000), CodeMalformed},
		{"largest", `"` + strings.Repeat("a", 64<<10-2) + `"`, CodeMalformed},
		{"too large by one byte", `"` + strings.Repeat("a", 64<<10-1) + `"`, CodeTooLarge},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := rp.FinishRegister(c, user(alice), []byte(tt.answer), noon)
			refused(t, err, tt.want)
			_, err = rp.FinishLogin(in, []byte(tt.answer), among(), noon)
			refused(t, err, tt.want)
		})
	}
}

func TestTransportsAreThoseThatThereAre(t *testing.T) {
	rp := party(t)
	d := newDevice(t, -7, alice)
	_, c, err := rp.Register(user(alice), nil, noon)
	if err != nil {
		t.Fatal(err)
	}
	cred, err := rp.FinishRegister(c, user(alice), d.register(t, c, func(s *says) {
		s.response = func(a map[string]any) {
			a["response"].(map[string]any)["transports"] = []string{"usb", "<script>", "", "nfc", "usb", "cable"}
		}
	}), noon)
	// cable is what hybrid was called.
	if err != nil || !slices.Equal(cred.Transports, []string{"usb", "nfc", "hybrid"}) {
		t.Errorf("got %q, %v", cred.Transports, err)
	}
}

func TestARegistrationIsForTheUserWhoStartedIt(t *testing.T) {
	rp := party(t)
	d := newDevice(t, -7, alice)
	_, c, err := rp.Register(user(alice), nil, noon)
	if err != nil {
		t.Fatal(err)
	}
	answer := d.register(t, c, nil)
	for _, handle := range []string{bob, "", alice + "x", alice[:31]} {
		_, err := rp.FinishRegister(c, user(handle), answer, noon)
		refused(t, err, CodeCeremony)
	}
	_, err = rp.FinishRegister(c, user(alice), answer, noon)
	refused(t, err, "")
}

func TestAUserOfWhomThereCanBeNoPasskeyIsRefused(t *testing.T) {
	rp := party(t)
	for name, u := range map[string]User{
		"no handle":                   {Name: "a"},
		"short handle":                {Handle: random(15), Name: "a"},
		"long handle":                 {Handle: random(65), Name: "a"},
		"no name":                     {Handle: random(16)},
		"the address for the handle":  {Handle: []byte("Alice.Ashby@acme.test"), Name: "alice.ashby@acme.test"},
		"too many passkeys to list":   user(alice),
		"a passkey that is no stored": user(bob),
	} {
		t.Run(name, func(t *testing.T) {
			var exclude []Credential
			want := CodeRequest
			switch string(u.Handle) {
			case alice:
				exclude = slices.Repeat([]Credential{{ID: random(16), Handle: []byte(alice)}}, 65)
			case bob:
				exclude, want = []Credential{{}}, CodeStored
			}
			_, _, err := rp.Register(u, exclude, noon)
			refused(t, err, want)
		})
	}
}

func TestWhatTheBrowserIsAskedToRegister(t *testing.T) {
	rp := party(t)
	options, c, err := rp.Register(user(alice), []Credential{{ID: []byte("0123456789abcdef"), Handle: []byte(alice), Transports: []string{"usb", "odd", "usb"}}}, noon)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"rp":{"name":"Example","id":"login.example.com"},` +
		`"user":{"name":"alice@acme.test","displayName":"Alice Åshby","id":"` + b64([]byte(alice)) + `"},` +
		`"challenge":"` + c.Challenge + `",` +
		`"pubKeyCredParams":[{"type":"public-key","alg":-7},{"type":"public-key","alg":-8},{"type":"public-key","alg":-257}],` +
		`"timeout":300000,` +
		`"excludeCredentials":[{"type":"public-key","id":"MDEyMzQ1Njc4OWFiY2RlZg","transports":["usb"]}],` +
		`"authenticatorSelection":{"requireResidentKey":true,"residentKey":"required","userVerification":"required"},` +
		`"attestation":"none"}`
	if string(options) != want {
		t.Errorf("got  %s\nwant %s", options, want)
	}
}

func TestLongNamesAreCutAtAWholeLetter(t *testing.T) {
	u := user(alice)
	u.Name, u.DisplayName = strings.Repeat("a", 300), "x"+strings.Repeat("å", 200)
	options, _, err := party(t).Register(u, nil, noon)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		User struct{ Name, DisplayName string }
	}
	if err := json.Unmarshal(options, &got); err != nil {
		t.Fatal(err)
	}
	if got.User.Name != u.Name[:255] || got.User.DisplayName != "x"+strings.Repeat("å", 127) {
		t.Errorf("got %+v", got.User)
	}
}

func TestAChallengeIsNoOtherCeremonys(t *testing.T) {
	rp := party(t)
	seen := map[string]bool{}
	for range 1000 {
		c := login(t, rp)
		if len(c.Challenge) != 43 || seen[c.Challenge] {
			t.Fatalf("challenge %q", c.Challenge)
		}
		seen[c.Challenge] = true
	}
}

func TestACeremonyEnds(t *testing.T) {
	rp := party(t)
	d := newDevice(t, -7, alice)
	d.count = 0
	cred := enrol(t, rp, d)
	for _, tt := range []struct {
		at   time.Duration
		want Code
	}{
		{0, ""},
		{Life - time.Second, ""},
		{Life, CodeExpired},
		{24 * time.Hour, CodeExpired},
		{-30 * time.Second, ""},          // another replica's clock
		{-2 * time.Minute, CodeExpired},  // no clock is that wrong
		{-1000 * time.Hour, CodeExpired}, // nor does one outlive its clock
	} {
		_, c, err := rp.Register(user(alice), nil, noon)
		if err != nil {
			t.Fatal(err)
		}
		_, err = rp.FinishRegister(c, user(alice), d.register(t, c, nil), noon.Add(tt.at))
		refused(t, err, tt.want)
		in := login(t, rp)
		_, err = rp.FinishLogin(in, d.use(t, in, nil), among(cred), noon.Add(tt.at))
		refused(t, err, tt.want)
		_, two, err := rp.Confirm([]byte(alice), []Credential{cred}, noon)
		if err != nil {
			t.Fatal(err)
		}
		_, err = rp.FinishConfirm(two, []byte(alice), d.use(t, two, nil), among(cred), noon.Add(tt.at))
		refused(t, err, tt.want)
	}
}
