package passkey

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// codes are all of them.
var codes = []Code{
	CodeRequest, CodeStored, CodeLookUp, CodePanic, CodeCeremony, CodeExpired, CodeTooLarge, CodeMalformed, CodeType, CodeChallenge, CodeOrigin,
	CodeFramed, CodeRelyingParty, CodePresence, CodeVerification, CodeBackup, CodeAttestation, CodeAlgorithm, CodeKey, CodeUnknown, CodeNotAllowed,
	CodeHandle, CodeSignature, CodeCloned,
}

func TestEveryCodeHasItsTexts(t *testing.T) {
	hints := map[string]Code{}
	for _, c := range codes {
		text, hint, _ := describe(c)
		if text == "" || hint == "" {
			t.Errorf("%s has no texts", c)
		}
		if was := hints[hint]; was != "" {
			t.Errorf("%s has the hint of %s", c, was)
		}
		hints[hint] = c
		for _, jargon := range []string{"credential", "authenticator", "challenge", "origin", "user "} {
			if strings.Contains(text, jargon) {
				t.Errorf("%s says %q to people", c, jargon)
			}
		}
	}
}

func TestAnErrorShowsWhatAStrangerWroteInTheLogAloneAndTamed(t *testing.T) {
	rp := party(t)
	d := newDevice(t, -7, alice)
	cred := enrol(t, rp, d)
	foul := "\r\n\x1b[2J\u202e\u2028" + strings.Repeat("evil", 5000)
	for name, edit := range map[string]func(*says){
		"type":   func(s *says) { s.client["type"] = foul },
		"origin": func(s *says) { s.client["origin"] = foul },
		"frame":  func(s *says) { s.client["topOrigin"] = foul },
		"json":   func(s *says) { s.clientJSON = []byte(`{"` + foul) },
	} {
		t.Run(name, func(t *testing.T) {
			in := login(t, rp)
			_, err := rp.FinishLogin(in, d.use(t, in, edit), among(cred), noon)
			e, ok := errors.AsType[*Error](err)
			if !ok {
				t.Fatal(err)
			}
			if strings.Contains(e.Text, "evil") {
				t.Errorf("text %q", e.Text)
			}
			if line := e.Error(); strings.ContainsAny(line, "\r\n\x1b\u202e\u2028") || len(line) > 600 {
				t.Errorf("log line %q", line)
			}
			if strings.Contains(e.Error(), in.Challenge) {
				t.Error("the log has the challenge")
			}
		})
	}
}

func TestADetailIsOneBoundedLine(t *testing.T) {
	got := fail(CodeMalformed, nil, "a\r\n\x1b[2J\u202e\xff"+strings.Repeat("å", 500)).Detail
	if want := "a   [2J  " + strings.Repeat("å", 100); !strings.HasPrefix(got, want) || len(got) > 300 {
		t.Errorf("got %q", got)
	}
}

func TestAPanicOfTheLibraryIsAnError(t *testing.T) {
	v, err := guard(func() (n int, err error) {
		n = 1
		var b []byte
		return int(b[n]), nil
	})
	refused(t, err, CodePanic)
	if v != 0 || !strings.Contains(fmt.Sprint(err), "index out of range") {
		t.Errorf("got %d, %v", v, err)
	}
}
