package factor_test

import (
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/orgate/orgate/sso/factor"
)

var aboutJo = []string{"jo.miller@acme.com", "Jo Miller", "Acme Rockets", "login.example.com"}

func TestANewPasswordIsRefusedForWhatItIsAndNothingElse(t *testing.T) {
	for _, tt := range []struct {
		password string
		want     error
	}{
		{"", factor.ErrPasswordShort},
		{"kP9#vLq2!xRt7&", factor.ErrPasswordShort}, // 14
		{"kP9#vLq2!xRt7&z", nil},
		{strings.Repeat("ö", 14), factor.ErrPasswordShort},
		{"\U0001f40e\U0001f50b\U0001f4ce\U0001f308\U0001f680\U0001f984\U0001f955\U0001f995\U0001f9ca\U0001f6f8\U0001f3b7\U0001fa81\U0001f9ad\U0001f9c0\U0001f9b7", nil},
		{"no digit no capital no sign needed", nil},
		{"correct horse battery staple", nil},
		{"839201847562930", nil},
		{"xkqjzvwmrtpbfdh", nil},
		{"ключ лежит под старым ковриком", nil},
		{strings.Repeat("kP9#vLq2!xRt7&zW", 16), nil}, // 256 bytes
		{strings.Repeat("x", 257), factor.ErrPasswordLong},
		{strings.Repeat("\ufdfa", 80), factor.ErrPasswordLong},
		{strings.Repeat("x", 1<<20), factor.ErrPasswordLong},

		{"passwordpassword", factor.ErrPasswordCommon},
		{"Password12345678", factor.ErrPasswordCommon},
		{"P@ssw0rdP@ssw0rd", factor.ErrPasswordCommon},
		{"drowssapdrowssap", factor.ErrPasswordCommon},
		{"iloveyouiloveyou", factor.ErrPasswordCommon},
		{"123456789012345", factor.ErrPasswordCommon},
		{"987654321987654321", factor.ErrPasswordCommon},
		{"aaaaaaaaaaaaaaaa", factor.ErrPasswordCommon},
		{"abcabcabcabcabcabc", factor.ErrPasswordCommon},
		{"abcdefghijklmnopqrstuvwxyz", factor.ErrPasswordCommon},
		{"qwertyuiopasdfgh", factor.ErrPasswordCommon},
		{"qwertzuiopasdfgh", factor.ErrPasswordCommon},
		{"azertyuiopqsdfgh", factor.ErrPasswordCommon},
		{"1qaz2wsx3edc4rfv", factor.ErrPasswordCommon},
		{"!QAZ2wsx#EDC4rfv", factor.ErrPasswordCommon},
		{"summer2026summer2026", factor.ErrPasswordCommon},
		{"12/03/1984 12/03/1984", factor.ErrPasswordCommon},
		{"monkeydragonbaseball", factor.ErrPasswordCommon},
		{"ｐａｓｓｗｏｒｄｐａｓｓｗｏｒｄ", factor.ErrPasswordCommon},
		{strings.Repeat("password", 32), factor.ErrPasswordCommon},
		{strings.Repeat("ö", 60), factor.ErrPasswordCommon},

		{"jo.miller@acme.com", factor.ErrPasswordPersonal},
		{"JO.MILLER@ACME.COM!", factor.ErrPasswordPersonal},
		{"J0.M1ller@4cme.c0m", factor.ErrPasswordPersonal},
		{"acmerockets2026!", factor.ErrPasswordPersonal},
		{"AcmeRocketsJoMiller", factor.ErrPasswordPersonal},
		{"login.example.com", factor.ErrPasswordPersonal},
		{"rocketsacme rocketsacme", factor.ErrPasswordPersonal},
		// A word of it is no fault by itself.
		{"acme keeps nine purple walruses", nil},

		{"correct horse \x00 staple", factor.ErrPasswordUnreadable},
		{"correct horse\nbattery staple", factor.ErrPasswordUnreadable},
		{"correct horse \xff staple", factor.ErrPasswordUnreadable},
		{"correct horse \ufffd staple", factor.ErrPasswordUnreadable},
		{"correct horse \ue000 staple", factor.ErrPasswordUnreadable},    // of nobody's
		{"correct horse \u0378 staple xx", factor.ErrPasswordUnreadable}, // not in Unicode yet
		{"\U0001f469\u200d\U0001f680 flies to the moon", nil},            // joined by a sign that is not seen
	} {
		err := factor.CheckNewPassword(tt.password, aboutJo...)
		if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
			t.Errorf("%.40q: %v, want %v (2^%.1f guesses)", tt.password, err, tt.want, factor.PasswordGuesses(tt.password[:min(len(tt.password), 256)], nil))
		}
	}
}

func TestWhatIsNotKnownOfAPersonIsNotHeldAgainstThem(t *testing.T) {
	const password = "brontosaurus kazoo"
	if err := factor.CheckNewPassword(password, aboutJo...); err != nil {
		t.Error(err)
	}
	if err := factor.CheckNewPassword(password, "kazoo@brontosaurus.example"); !errors.Is(err, factor.ErrPasswordPersonal) {
		t.Errorf("got %v", err)
	}
	if err := factor.CheckNewPassword(password, "", "x", "\xff\xfe", strings.Repeat("x ", 1<<20)); err != nil {
		t.Errorf("useless knowledge: %v", err)
	}
}

func TestAFaultDoesNotQuoteThePassword(t *testing.T) {
	for f := range factor.ErrPasswordPersonal + 2 {
		if s := f.Error(); s == "" || strings.Contains(s, "%") {
			t.Errorf("fault %d says %q", f, s)
		}
	}
}

// hostile are passwords that keep estimators busy.
var hostile = []string{
	strings.Repeat("a", 256), strings.Repeat("password", 32), strings.Repeat("@48({[<36910!|17$5+%2", 13)[:256], strings.Repeat("12/3/1999", 29)[:256],
	strings.Repeat("1", 256), strings.Repeat("qwerty", 43)[:256], strings.Repeat("123456789", 29)[:256], strings.Repeat("İ", 128), strings.Repeat("ab", 128),
	strings.Repeat("the", 86)[:256], strings.Repeat("q1w2", 64), strings.Repeat("\u0130\u1e9e", 51),
}

func TestCheckingAPasswordIsQuickWhateverItIs(t *testing.T) {
	about := strings.Fields(strings.Repeat("aaaa@aaa.aaaaaaaa.aaa ", 200))
	factor.PasswordGuesses("", nil) // which loads the lists
	for _, p := range hostile {
		best := time.Hour
		for range 5 {
			start := time.Now()
			_ = factor.CheckNewPassword(p, about...)
			best = min(best, time.Since(start))
		}
		if limit := 5 * time.Millisecond; best > limit*slowdown {
			t.Errorf("%.20q takes %v, want less than %v", p, best, limit)
		}
	}
}

func FuzzCheckNewPassword(f *testing.F) {
	for _, p := range hostile {
		f.Add(p, "jo@acme.com")
	}
	f.Add("correct horse battery staple", "correct@horse.test")
	f.Add("\xff\x00", "\xff")
	f.Fuzz(func(t *testing.T, password, about string) {
		start := time.Now()
		err := factor.CheckNewPassword(password, about)
		if d := time.Since(start); d > time.Second {
			t.Errorf("%q takes %v", password, d)
		}
		normal, ok := factor.NormalizePassword(password)
		if again, ok2 := factor.NormalizePassword(normal); ok && (again != normal || !ok2) {
			t.Errorf("%q is normalized to %q and that to %q", password, normal, again)
		}
		if err != nil {
			if _, ok := errors.AsType[factor.PasswordFault](err); !ok {
				t.Errorf("%q: %v is no fault", password, err)
			}
			return
		}
		if n := utf8.RuneCountInString(normal); !ok || n < factor.MinPassword || len(normal) > factor.MaxPassword {
			t.Errorf("%q of %d characters may be chosen", password, n)
		}
		if g := factor.PasswordGuesses(normal, nil); !(g >= factor.MinGuesses && g <= 6*256) {
			t.Errorf("%q takes 2^%v guesses", password, g)
		}
	})
}

func BenchmarkCheckNewPassword(b *testing.B) {
	for name, p := range map[string]string{"ordinary": "correct horse battery staple", "hostile": hostile[2]} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				_ = factor.CheckNewPassword(p, aboutJo...)
			}
		})
	}
}
