package passkey

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestASignInIsRefused(t *testing.T) {
	rp := party(t)
	d, other := newDevice(t, -7, alice), newDevice(t, -7, bob)
	cred, others := enrol(t, rp, d), enrol(t, rp, other)
	find := among(cred, others)
	for _, tt := range []struct {
		name    string
		edit    func(*says)
		login   Code // of a person who is not known yet
		confirm Code // of one who is
	}{
		{"nothing is wrong", func(*says) {}, "", ""},
		{"token binding, of old browsers, is ignored", func(s *says) { s.client["tokenBinding"] = map[string]any{"status": "odd"} }, "", ""},
		{"extensions that nobody asked for", func(s *says) {
			s.response = func(a map[string]any) { a["clientExtensionResults"] = map[string]any{"appid": true, "x": 1} }
		}, "", ""},
		{"an extension of the authenticator that nobody asked for", func(s *says) { s.flags |= flagED; s.tail = cbor(t, map[string]any{"uvm": []any{}}) }, "", ""},

		{"type of a registration", func(s *says) { s.client["type"] = "webauthn.create" }, CodeType, CodeType},
		{"type that there is not", func(s *says) { s.client["type"] = "payment.get" }, CodeType, CodeType},
		{"type missing", func(s *says) { delete(s.client, "type") }, CodeType, CodeType},
		{"another challenge", func(s *says) { s.client["challenge"] = b64(random(32)) }, CodeChallenge, CodeChallenge},
		{"no challenge", func(s *says) { s.client["challenge"] = "" }, CodeChallenge, CodeChallenge},
		{"sibling tenant host", func(s *says) { s.client["origin"] = "https://acme.example.com" }, CodeOrigin, CodeOrigin},
		{"host below", func(s *says) { s.client["origin"] = "https://x.login.example.com" }, CodeOrigin, CodeOrigin},
		{"other port", func(s *says) { s.client["origin"] = "https://login.example.com:8443" }, CodeOrigin, CodeOrigin},
		{"plain http", func(s *says) { s.client["origin"] = "http://login.example.com" }, CodeOrigin, CodeOrigin},
		{"a path, which the library takes", func(s *says) { s.client["origin"] = "https://login.example.com/x" }, CodeOrigin, CodeOrigin},
		{"an app", func(s *says) { s.client["origin"] = "android:apk-key-hash:AAAA" }, CodeOrigin, CodeOrigin},
		{"cross-origin", func(s *says) { s.client["crossOrigin"] = true }, CodeFramed, CodeFramed},
		{"top origin", func(s *says) { s.client["topOrigin"] = "https://evil.test" }, CodeFramed, CodeFramed},
		{"two challenges", func(s *says) { s.clientJSON = clientJSON(s, `"challenge":"x"`) }, CodeMalformed, CodeMalformed},
		{"no client data", func(s *says) { s.clientJSON = []byte{} }, CodeMalformed, CodeMalformed},

		{"other relying party", func(s *says) { s.rpID = "acme.example.com" }, CodeRelyingParty, CodeRelyingParty},
		{"relying party above", func(s *says) { s.rpID = "example.com" }, CodeRelyingParty, CodeRelyingParty},
		{"nobody there", func(s *says) { s.flags &^= flagUP }, CodePresence, CodePresence},
		{"nobody verified", func(s *says) { s.flags &^= flagUV }, CodeVerification, ""},
		{"eligible for backup now", func(s *says) { s.flags |= flagBE }, CodeBackup, CodeBackup},
		{"backed up, and not eligible", func(s *says) { s.flags |= flagBS }, CodeBackup, CodeBackup},
		{"bytes at the end", func(s *says) { s.tail = []byte{0} }, CodeMalformed, CodeMalformed},
		{"truncated", func(s *says) {
			s.response = func(a map[string]any) { a["response"].(map[string]any)["authenticatorData"] = b64(random(36)) }
		}, CodeMalformed, CodeMalformed},
		{"flag of extensions, and none", func(s *says) { s.flags |= flagED }, CodeMalformed, CodeMalformed},
		{"flag of extensions, and half of one", func(s *says) { s.flags |= flagED; s.tail = []byte{0xa1, 0x63} }, CodeMalformed, CodeMalformed},

		{"someone else's credential", func(s *says) { s.id, s.rawID = others.ID, others.ID }, CodeUnknown, CodeNotAllowed},
		{"someone else's credential and handle", func(s *says) { s.id, s.rawID, s.handle = others.ID, others.ID, []byte(bob) }, CodeSignature, CodeNotAllowed},
		{"someone else's handle", func(s *says) { s.handle = []byte(bob) }, CodeUnknown, CodeHandle},
		{"credential that there is not", func(s *says) { s.id = random(32); s.rawID = s.id }, CodeUnknown, CodeNotAllowed},
		{"no handle", func(s *says) { s.handle = nil }, CodeHandle, ""},
		{"empty handle", func(s *says) { s.handle = []byte{} }, CodeHandle, ""},
		{"short handle", func(s *says) { s.handle = []byte("short") }, CodeHandle, CodeHandle},
		{"long handle", func(s *says) { s.handle = random(65) }, CodeHandle, CodeHandle},
		{"two ids", func(s *says) { s.rawID = others.ID }, CodeMalformed, CodeMalformed},
		{"no id", func(s *says) { s.id, s.rawID = nil, nil }, CodeMalformed, CodeMalformed},

		{"no signature", func(s *says) { s.signature = func([]byte) []byte { return nil } }, CodeSignature, CodeSignature},
		{"broken signature", func(s *says) { s.signature = flip }, CodeSignature, CodeSignature},
		{"signature of zeros", func(s *says) { s.signature = func([]byte) []byte { return []byte{0x30, 6, 2, 1, 0, 2, 1, 0} } }, CodeSignature, CodeSignature},
		{"signature with a tail", func(s *says) { s.signature = func(b []byte) []byte { return append(b, 0) } }, CodeSignature, CodeSignature},
		{"client data changed after it was signed", func(s *says) {
			s.response = func(a map[string]any) {
				a["response"].(map[string]any)["clientDataJSON"] = b64(append([]byte(" "), s.clientJSON...))
			}
		}, CodeSignature, CodeSignature},
		{"flags changed after it was signed", func(s *says) {
			s.flags &^= flagUV
			s.response = func(a map[string]any) {
				s.flags |= flagUV
				a["response"].(map[string]any)["authenticatorData"] = b64(s.authenticatorData())
			}
		}, CodeSignature, CodeSignature},
		{"counter changed after it was signed", func(s *says) {
			s.response = func(a map[string]any) {
				s.count += 10
				a["response"].(map[string]any)["authenticatorData"] = b64(s.authenticatorData())
			}
		}, CodeSignature, CodeSignature},
		{"huge", func(s *says) { s.client["a"] = strings.Repeat("a", 64<<10) }, CodeTooLarge, CodeTooLarge},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := login(t, rp)
			got, err := rp.FinishLogin(in, d.use(t, in, tt.edit), find, noon)
			refused(t, err, tt.login)
			if err != nil && !reflect.DeepEqual(got, Result{}) {
				t.Errorf("half of a result: %+v", got)
			}
			_, two, err := rp.Confirm([]byte(alice), []Credential{cred}, noon)
			if err != nil {
				t.Fatal(err)
			}
			got, err = rp.FinishConfirm(two, []byte(alice), d.use(t, two, tt.edit), find, noon)
			refused(t, err, tt.confirm)
			if err == nil && string(got.Handle) != alice {
				t.Errorf("it is %q", got.Handle)
			}
		})
	}
}

func TestEveryAlgorithmsSignatureIsVerified(t *testing.T) {
	rp := party(t)
	for _, alg := range []int64{-7, -8, -257} {
		d := newDevice(t, alg, alice)
		cred := enrol(t, rp, d)
		in := login(t, rp)
		for _, spoil := range []func([]byte) []byte{flip, func([]byte) []byte { return nil }, func(b []byte) []byte { return make([]byte, len(b)) }} {
			_, err := rp.FinishLogin(in, d.use(t, in, func(s *says) { s.signature = spoil }), among(cred), noon)
			refused(t, err, CodeSignature)
		}
	}
}

func TestASecondFactorSaysWhetherItVerifiedItsUser(t *testing.T) {
	rp := party(t)
	d := newDevice(t, -7, alice)
	cred := enrol(t, rp, d)
	for _, verified := range []bool{true, false} {
		_, c, err := rp.Confirm([]byte(alice), []Credential{cred}, noon)
		if err != nil {
			t.Fatal(err)
		}
		got, err := rp.FinishConfirm(c, []byte(alice), d.use(t, c, func(s *says) {
			if !verified {
				s.flags &^= flagUV
			}
		}), among(cred), noon)
		if err != nil {
			t.Fatal(err)
		}
		if got.UserVerified != verified {
			t.Errorf("UserVerified %t, want %t", got.UserVerified, verified)
		}
		cred = got.Credential
	}
}

func TestWhoHasNoPasskeyCantConfirmWithSomebodyElses(t *testing.T) {
	rp := party(t)
	theirs := enrol(t, rp, newDevice(t, -7, bob))
	for name, allow := range map[string][]Credential{"nil": nil, "none": {}, "somebody else's": {theirs}} {
		t.Run(name, func(t *testing.T) {
			options, c, err := rp.Confirm([]byte(alice), allow, noon)
			refused(t, err, CodeRequest)
			if options != nil || !reflect.DeepEqual(c, Ceremony{}) {
				t.Errorf("got %s, %+v", options, c)
			}
		})
	}
}

func TestACredentialThatWasNotAskedForConfirmsNothing(t *testing.T) {
	rp := party(t)
	one, two := newDevice(t, -7, alice), newDevice(t, -7, alice)
	first, second := enrol(t, rp, one), enrol(t, rp, two)
	_, c, err := rp.Confirm([]byte(alice), []Credential{first}, noon)
	if err != nil {
		t.Fatal(err)
	}
	_, err = rp.FinishConfirm(c, []byte(alice), two.use(t, c, nil), among(first, second), noon)
	refused(t, err, CodeNotAllowed)
	_, err = rp.FinishConfirm(c, []byte(alice), one.use(t, c, nil), among(first, second), noon)
	refused(t, err, "")
}

func TestAnAnswerToOneKindIsNoneToAnother(t *testing.T) {
	rp := party(t)
	d := newDevice(t, -7, alice)
	cred := enrol(t, rp, d)
	_, register, err := rp.Register(user(alice), nil, noon)
	if err != nil {
		t.Fatal(err)
	}
	in := login(t, rp)
	_, confirm, err := rp.Confirm([]byte(alice), []Credential{cred}, noon)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []Ceremony{register, in, confirm, {}, {Kind: KindLogin, ExpiresAt: noon.Add(Life)}} {
		// As a browser would answer to the ceremony, and as one would to a sign-in and a registration.
		for _, answer := range [][]byte{d.use(t, c, nil), d.register(t, c, nil)} {
			_, err := rp.FinishRegister(c, user(alice), answer, noon)
			switch {
			case c.Kind != KindRegister:
				refused(t, err, CodeCeremony)
			case !bytes.Contains(answer, []byte("attestationObject")):
				refused(t, err, CodeMalformed)
			default:
				refused(t, err, "")
			}
			for kind, finish := range map[Kind]func() (Result, error){
				KindLogin:   func() (Result, error) { return rp.FinishLogin(c, answer, among(cred), noon) },
				KindConfirm: func() (Result, error) { return rp.FinishConfirm(c, []byte(alice), answer, among(cred), noon) },
			} {
				res, err := finish()
				switch {
				case c.Kind != kind || c.Challenge == "":
					refused(t, err, CodeCeremony)
				case bytes.Contains(answer, []byte("attestationObject")):
					refused(t, err, CodeMalformed)
				default:
					refused(t, err, "")
				}
				if err == nil {
					cred = res.Credential
				}
			}
		}
	}
}

// A new key signs its own registration (self attestation): the same bytes are no sign-in.
func TestTheSignatureOfARegistrationIsNoSignIn(t *testing.T) {
	rp := party(t)
	d := newDevice(t, -7, alice)
	cred := enrol(t, rp, d)
	in := login(t, rp)
	answer := d.use(t, in, func(s *says) {
		s.client["type"] = "webauthn.create"
		s.flags |= flagAT
	})
	_, err := rp.FinishLogin(in, answer, among(cred), noon)
	refused(t, err, CodeType)
}

func TestAConfirmationIsOfTheUserWhoStartedIt(t *testing.T) {
	rp := party(t)
	d := newDevice(t, -7, alice)
	cred := enrol(t, rp, d)
	_, c, err := rp.Confirm([]byte(alice), []Credential{cred}, noon)
	if err != nil {
		t.Fatal(err)
	}
	for _, handle := range []string{bob, ""} {
		_, err := rp.FinishConfirm(c, []byte(handle), d.use(t, c, nil), among(cred), noon)
		refused(t, err, CodeCeremony)
	}
	// A caller who knows nobody, and a ceremony of nobody.
	c.Handle = nil
	_, err = rp.FinishConfirm(c, nil, d.use(t, c, nil), among(cred), noon)
	refused(t, err, CodeCeremony)
}

func TestTheCounter(t *testing.T) {
	rp := party(t)
	for _, tt := range []struct {
		stored, got uint32
		want        Code
		after       uint32
	}{
		{0, 0, "", 0}, // synchronized passkeys count nothing
		{0, 1, "", 1},
		{1, 2, "", 2},
		{7, 1000, "", 1000},
		{1<<32 - 2, 1<<32 - 1, "", 1<<32 - 1},
		{1, 1, CodeCloned, 0},
		{2, 1, CodeCloned, 0},
		{1, 0, CodeCloned, 0},
		{1<<32 - 1, 0, CodeCloned, 0},
	} {
		d := newDevice(t, -7, alice)
		cred := enrol(t, rp, d)
		cred.SignCount = tt.stored
		in := login(t, rp)
		got, err := rp.FinishLogin(in, d.use(t, in, func(s *says) { s.count = tt.got }), among(cred), noon)
		refused(t, err, tt.want)
		if err == nil && got.Credential.SignCount != tt.after {
			t.Errorf("from %d by %d to %d, want %d", tt.stored, tt.got, got.Credential.SignCount, tt.after)
		}
	}
}

func TestAnAuthenticatorThatCountsCantReplayAnAnswer(t *testing.T) {
	rp := party(t)
	d := newDevice(t, -7, alice)
	cred := enrol(t, rp, d)
	in := login(t, rp)
	answer := d.use(t, in, nil)
	got, err := rp.FinishLogin(in, answer, among(cred), noon)
	refused(t, err, "")
	_, err = rp.FinishLogin(in, answer, among(got.Credential), noon)
	refused(t, err, CodeCloned)
	next := login(t, rp)
	_, err = rp.FinishLogin(next, answer, among(got.Credential), noon)
	refused(t, err, CodeChallenge)
}

func TestTheBackupFlags(t *testing.T) {
	rp := party(t)
	d := newDevice(t, -7, alice)
	d.flags |= flagBE
	cred := enrol(t, rp, d)
	if !cred.BackupEligible || cred.BackedUp {
		t.Fatalf("registered %+v", cred)
	}
	for _, tt := range []struct {
		flags byte
		want  Code
		up    bool
	}{
		{flagBE, "", false},
		{flagBE | flagBS, "", true},
		{flagBE, "", false}, // and back
		{0, CodeBackup, false},
		{flagBS, CodeBackup, false},
	} {
		in := login(t, rp)
		got, err := rp.FinishLogin(in, d.use(t, in, func(s *says) { s.flags = flagUP | flagUV | tt.flags }), among(cred), noon)
		refused(t, err, tt.want)
		if err == nil {
			if got.Credential.BackedUp != tt.up || !got.Credential.BackupEligible {
				t.Errorf("got %+v", got.Credential)
			}
			cred = got.Credential
		}
	}
}

// A stranger who has seen an id can't have its owner told that the passkey was copied.
func TestOnlyWhatIsSignedRaisesTheAlarm(t *testing.T) {
	rp := party(t)
	d := newDevice(t, -7, alice)
	cred := enrol(t, rp, d)
	cred.SignCount = 100
	for name, edit := range map[string]func(*says){
		"low counter":     func(s *says) { s.count = 1 },
		"backup eligible": func(s *says) { s.count, s.flags = 101, s.flags|flagBE },
		"both":            func(s *says) { s.count, s.flags = 1, s.flags|flagBE|flagBS },
	} {
		t.Run(name, func(t *testing.T) {
			in := login(t, rp)
			_, err := rp.FinishLogin(in, d.use(t, in, func(s *says) { edit(s); s.signature = flip }), among(cred), noon)
			refused(t, err, CodeSignature)
		})
	}
}

func TestACredentialCountsOnlyForItsUser(t *testing.T) {
	rp := party(t)
	d, other := newDevice(t, -7, alice), newDevice(t, -7, bob)
	cred, others := enrol(t, rp, d), enrol(t, rp, other)
	down := errors.New("the store is down")
	for _, tt := range []struct {
		name string
		edit func(*says)
		find Find
		want Code
	}{
		{"find looks at the id alone, and the handle is another's", func(s *says) { s.handle = []byte(bob) },
			func(_, _ []byte) (Credential, error) { return cred, nil }, CodeHandle},
		{"find looks at the handle alone", func(s *says) { s.id = random(32); s.rawID = s.id },
			func(_, _ []byte) (Credential, error) { return cred, nil }, CodeUnknown},
		{"find returns another's", nil, func(_, _ []byte) (Credential, error) { return others, nil }, CodeUnknown},
		{"find returns nothing", nil, func(_, _ []byte) (Credential, error) { return Credential{}, nil }, CodeStored},
		{"find returns a row without a handle", nil, func(_, _ []byte) (Credential, error) { c := cred; c.Handle = nil; return c, nil }, CodeStored},
		{"find returns a row without a key", nil, func(_, _ []byte) (Credential, error) { c := cred; c.PublicKey = nil; return c, nil }, CodeStored},
		{"find returns a row with a key of another algorithm", nil, func(_, _ []byte) (Credential, error) {
			c := cred
			c.PublicKey = cbor(t, map[int64]any{1: 4, 3: 5, -1: random(32)})
			return c, nil
		}, CodeStored},
		{"find returns another key", nil, func(_, _ []byte) (Credential, error) { c := cred; c.PublicKey = others.PublicKey; return c, nil }, CodeSignature},
		{"find fails", nil, func(_, _ []byte) (Credential, error) { return cred, down }, CodeLookUp},
		{"find knows none", nil, func(_, _ []byte) (Credential, error) { return cred, ErrUnknown }, CodeUnknown},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := login(t, rp)
			got, err := rp.FinishLogin(in, d.use(t, in, tt.edit), tt.find, noon)
			refused(t, err, tt.want)
			if tt.want == CodeLookUp && !errors.Is(err, down) {
				t.Error("the cause is lost")
			}
			if !reflect.DeepEqual(got, Result{}) {
				t.Errorf("half of a result: %+v", got)
			}
		})
	}
}

func TestTheStoreIsAskedOnlyForAnAnswerToTheCeremony(t *testing.T) {
	rp := party(t)
	d := newDevice(t, -7, alice)
	in := login(t, rp)
	ask := func(_, _ []byte) (Credential, error) {
		t.Error("the store was asked")
		return Credential{}, ErrUnknown
	}
	for _, edit := range []func(*says){
		func(s *says) { s.client["challenge"] = b64(random(32)) },
		func(s *says) { s.client["origin"] = "https://acme.example.com" },
		func(s *says) { s.rpID = "acme.example.com" },
		func(s *says) { s.flags = flagUV },
		func(s *says) { s.handle = random(65) },
	} {
		if _, err := rp.FinishLogin(in, d.use(t, in, edit), ask, noon); err == nil {
			t.Error("taken")
		}
	}
}

func TestWhatTheBrowserIsAskedToSignInWith(t *testing.T) {
	rp := party(t)
	options, c, err := rp.Login(noon)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"challenge":"` + c.Challenge + `","timeout":300000,"rpId":"login.example.com","userVerification":"required"}`; string(options) != want {
		t.Errorf("got  %s\nwant %s", options, want)
	}
	cred := Credential{ID: []byte("0123456789abcdef"), Handle: []byte(alice), Transports: []string{"internal", "hybrid"}}
	options, c, err = rp.Confirm([]byte(alice), []Credential{cred}, noon)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"challenge":"` + c.Challenge + `","timeout":300000,"rpId":"login.example.com",` +
		`"allowCredentials":[{"type":"public-key","id":"MDEyMzQ1Njc4OWFiY2RlZg","transports":["internal","hybrid"]}],"userVerification":"preferred"}`; string(options) != want {
		t.Errorf("got  %s\nwant %s", options, want)
	}
}

func TestACeremonySurvivesItsSeal(t *testing.T) {
	rp := party(t)
	d := newDevice(t, -7, alice)
	cred := enrol(t, rp, d)
	_, c, err := rp.Confirm([]byte(alice), []Credential{cred}, noon)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) > 300 {
		t.Errorf("%d bytes for a cookie: %s", len(b), b)
	}
	var back Ceremony
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	_, err = rp.FinishConfirm(back, []byte(alice), d.use(t, back, nil), among(cred), noon)
	refused(t, err, "")
}
