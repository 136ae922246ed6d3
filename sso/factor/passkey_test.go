package factor_test

import (
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

func passkeyID(name string) string { return base64.RawURLEncoding.EncodeToString([]byte(name)) }

func (w *world) tryPasskey(u tenancy.UserID, id string) error {
	w.t.Helper()
	return w.try(func(tx store.Tx) error {
		_, err := factor.AddPasskey(tx, factor.Passkey{ID: id, User: u, Name: "Phone", Credential: []byte("{}")}, self(u), w.now())
		return err
	})
}

func (w *world) addPasskey(u tenancy.UserID, name string) {
	w.t.Helper()
	if err := w.tryPasskey(u, passkeyID(name)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) passkeys(u tenancy.UserID) (names []string) {
	w.t.Helper()
	w.must(func(tx store.Tx) error {
		names = nil
		for p, err := range tx.Passkeys(u) {
			if err != nil {
				return err
			}
			b, _ := base64.RawURLEncoding.DecodeString(p.ID)
			names = append(names, string(b)+" "+p.Name)
		}
		return nil
	})
	slices.Sort(names)
	return names
}

func TestAPasskeyIsOnePersonsAndOneOfAKind(t *testing.T) {
	w := newWorld(t)
	w.addPasskey(jo, "a")
	for _, u := range []tenancy.UserID{jo, flo} {
		if err := w.tryPasskey(u, passkeyID("a")); !errors.Is(err, factor.ErrExists) {
			t.Errorf("the same once more, for %s: %v", u, err)
		}
	}
	for what, id := range map[string]string{
		"no id": "", "padded": passkeyID("a") + "=", "other bits at its end": "YR", "a line end": passkeyID("abc") + "\n", "standard base64": "+/+/",
		"too long": base64.RawURLEncoding.EncodeToString(make([]byte, 1024)), "no base64": "*",
	} {
		if err := w.tryPasskey(jo, id); err == nil {
			t.Errorf("an id with %s is taken", what)
		}
	}
	if err := w.tryPasskey("user_nobody", passkeyID("n")); !errors.Is(err, tenancy.ErrNotFound) {
		t.Errorf("for nobody: %v", err)
	}
	if err := w.tryPasskey(jo, base64.RawURLEncoding.EncodeToString(make([]byte, 1023))); err != nil {
		t.Errorf("the longest id that there may be: %v", err)
	}
	w.wantEnrolled(flo)
	w.wantEnrolled(jo, policy.Passkey)
}

func TestNobodyTouchesAnothersPasskey(t *testing.T) {
	w := newWorld(t)
	w.addPasskey(jo, "a")
	w.events()
	id := passkeyID("a")
	for what, f := range map[string]func(tx store.Tx) error{
		"rename": func(tx store.Tx) error { return factor.RenamePasskey(tx, flo, id, "Mine", w.now()) },
		"use":    func(tx store.Tx) error { return factor.UsedPasskey(tx, flo, id, []byte("{1}"), w.now()) },
		"of none": func(tx store.Tx) error {
			return factor.RenamePasskey(tx, jo, passkeyID("none"), "Mine", w.now())
		},
	} {
		if err := w.try(f); !errors.Is(err, factor.ErrNone) {
			t.Errorf("%s: %v", what, err)
		}
	}
	w.must(func(tx store.Tx) error { return factor.RemovePasskey(tx, flo, id, self(flo), w.now()) })
	if got := w.passkeys(jo); !slices.Equal(got, []string{"a Phone"}) {
		t.Errorf("Jo has %q", got)
	}
	w.wantEvents()

	w.must(func(tx store.Tx) error { return factor.RenamePasskey(tx, jo, id, " My\u202e key ", w.now()) })
	w.must(func(tx store.Tx) error { return factor.RenamePasskey(tx, jo, id, "My key", w.now()) })
	w.wantEvents(audit.FactorChanged)
	w.clock.Advance(time.Minute)
	w.must(func(tx store.Tx) error {
		if err := factor.UsedPasskey(tx, jo, id, []byte(`{"n":1}`), w.now()); err != nil {
			return err
		}
		p, err := tx.Passkey(id)
		if p.Name != "My key" || string(p.Credential) != `{"n":1}` || !p.LastUsedAt.Equal(w.now()) || !p.CreatedAt.Equal(w.now().Add(-time.Minute)) {
			t.Errorf("got %+v", p)
		}
		return err
	})
	w.must(func(tx store.Tx) error { return factor.RemovePasskey(tx, jo, id, self(jo), w.now()) })
	w.must(func(tx store.Tx) error { return factor.RemovePasskey(tx, jo, id, self(jo), w.now()) })
	w.wantEvents(audit.FactorRemoved)
	w.wantEnrolled(jo)
	if err := w.try(func(tx store.Tx) error { return factor.UsedPasskey(tx, jo, id, []byte("{}"), w.now()) }); !errors.Is(err, factor.ErrNone) {
		t.Errorf("used after it was removed: %v", err)
	}
}

func TestAPersonHasTwentyPasskeysAtTheMost(t *testing.T) {
	w := newWorld(t)
	for i := range factor.MaxPasskeys {
		w.addPasskey(jo, string(rune('a'+i)))
	}
	if err := w.tryPasskey(jo, passkeyID("one more")); !errors.Is(err, factor.ErrTooMany) {
		t.Errorf("got %v", err)
	}
	w.addPasskey(flo, "one more")
	w.must(func(tx store.Tx) error { return factor.RemovePasskey(tx, jo, passkeyID("a"), self(jo), w.now()) })
	w.addPasskey(jo, "another")
}

func TestANameOfAPasskeyIsOneLineOfText(t *testing.T) {
	for in, want := range map[string]string{
		"": "Passkey", "  ": "Passkey", "\u202e\x00\r\n\u200b": "Passkey", " Jo's phone ": "Jo's phone", "<b>": "<b>",
		strings.Repeat("x", 100): strings.Repeat("x", 64), strings.Repeat("ö", 40): strings.Repeat("ö", 32), strings.Repeat("x", 63) + "ö": strings.Repeat("x", 63),
		"a\xffb": "ab",
	} {
		if got := factor.PasskeyName(in); got != want {
			t.Errorf("%q is called %q, want %q", in, got, want)
		}
	}
}

func FuzzPasskeyName(f *testing.F) {
	f.Add("Jo's phone")
	f.Add("\u202e\x00\xff" + strings.Repeat("ö", 64))
	f.Fuzz(func(t *testing.T, in string) {
		got := factor.PasskeyName(in)
		if got == "" || len(got) > factor.MaxPasskeyName || !utf8.ValidString(got) || strings.ContainsAny(got, "\r\n\t\x00\u2028\u202e\u200b") || strings.TrimSpace(got) != got {
			t.Errorf("%q is called %q", in, got)
		}
		if again := factor.PasskeyName(got); again != got {
			t.Errorf("%q is called %q, and that %q", in, got, again)
		}
	})
}
