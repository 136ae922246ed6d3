package session_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/orgate/orgate/session"
)

func TestATokenIsReadBackAndNeverPrinted(t *testing.T) {
	token := session.NewToken()
	again, ok := session.ParseToken(token.Reveal())
	if !ok || again != token || again.Hash() != token.Hash() {
		t.Fatal("a token is not what was made")
	}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "token", token, "in", struct{ T session.Token }{token})
	b, err := json.Marshal(token)
	if err != nil {
		t.Fatal(err)
	}
	for how, s := range map[string]string{"%v": fmt.Sprintf("%v %+v", token, struct{ T session.Token }{token}), "%s": fmt.Sprintf("%s %q", token, token), "%#v": fmt.Sprintf("%#v", token), "slog": log.String(), "json": string(b)} {
		if strings.Contains(s, token.Reveal()) {
			t.Errorf("%s prints it: %s", how, s)
		}
	}
}

func TestOnlyWhatCanBeATokenIsRead(t *testing.T) {
	s := session.NewToken().Reveal()
	for _, bad := range []string{"", s[1:], s + "A", s[:42] + "=", s[:42] + "+", " " + s[1:], s[:42] + "B" + "\n", "\"" + s[2:] + "\"", s[:42] + "_"} {
		if token, ok := session.ParseToken(bad); ok {
			t.Errorf("ParseToken(%q) = %v", bad, token.Hash())
		}
	}
}

func FuzzParseToken(f *testing.F) {
	f.Add(session.NewToken().Reveal())
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		token, ok := session.ParseToken(s)
		if ok && token.Reveal() != s {
			t.Errorf("%q is %q", s, token.Reveal())
		}
		var h session.Hash
		if h.UnmarshalText([]byte(s)) == nil && h.String() != s {
			t.Errorf("hash %q is %q", s, h)
		}
	})
}
