package factor_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

func TestAPasswordMatchesItsOwnHashAlone(t *testing.T) {
	const password = "correct horse battery staple"
	hash := factor.HashPassword(password)
	if !strings.HasPrefix(hash, "$argon2id$v=19$m=19456,t=2,p=1$") || strings.Contains(hash, "horse") {
		t.Errorf("hash is %s", hash)
	}
	if hash == factor.HashPassword(password) {
		t.Error("two hashes of one password are the same")
	}
	if !factor.MatchPassword(hash, password) {
		t.Error("it does not match")
	}
	for _, other := range []string{"", "correct horse battery stapl", "correct horse battery staple ", "Correct horse battery staple", password + "\x00", password + strings.Repeat("x", 300)} {
		if factor.MatchPassword(hash, other) {
			t.Errorf("%.40q matches", other)
		}
	}
}

// What a keyboard in Tokyo sends and what one in Berlin does are the same letters.
func TestAPasswordIsTheSameHoweverItIsComposed(t *testing.T) {
	for _, forms := range [][]string{
		{"pa\u0308sswo\u0308rter", "p\u00e4ssw\u00f6rter"},
		{"ｐａｓｓ１２３", "pass123"},
		{"\u212bngstr\u00f6m", "\u00c5ngstro\u0308m"},
		{"o\ufb03ce", "office"},
		{"\ud55c\uae00", "\u1112\u1161\u11ab\u1100\u1173\u11af"},
	} {
		hash := factor.HashCheaply(forms[0])
		for _, f := range forms {
			if !factor.MatchPassword(hash, f) {
				t.Errorf("%+q does not match %+q", f, forms[0])
			}
		}
		if upper := strings.ToUpper(forms[1]); upper != forms[1] && factor.MatchPassword(hash, upper) {
			t.Errorf("%q matches in upper case", forms[0])
		}
	}
}

func TestWhatIsTooLongIsMatchedByNothing(t *testing.T) {
	long := strings.Repeat("x", factor.MaxPassword+1)
	grows := strings.Repeat("\ufdfa", 80) // 240 bytes, and more than 2,000 in NFKC
	for _, p := range []string{long, grows} {
		hash := factor.HashPassword(p)
		for _, typed := range []string{"", p, long[:factor.MaxPassword]} {
			if factor.MatchPassword(hash, typed) {
				t.Errorf("the hash of %d bytes matches %d bytes", len(p), len(typed))
			}
		}
	}
}

func TestSomebodyWithoutAPasswordHasNone(t *testing.T) {
	for _, p := range []string{"", "x", "\x00"} {
		if factor.MatchPassword("", p) {
			t.Errorf("%q is the password of whoever has none", p)
		}
	}
}

// A wrong password takes as long to be wrong for somebody who has none.
func TestNobodysPasswordTakesAsLong(t *testing.T) {
	hash := factor.HashPassword("correct horse battery staple")
	took := func(hash string) time.Duration {
		start := time.Now()
		factor.MatchPassword(hash, "something else altogether")
		return time.Since(start)
	}
	somebody, nobody := time.Hour, time.Hour
	for range 40 { // the machine may have other work
		somebody, nobody = min(somebody, took(hash)), min(nobody, took(""))
		if ratio := float64(somebody) / float64(nobody); ratio > 0.7 && ratio < 1.4 {
			return
		}
	}
	t.Errorf("%v for somebody and %v for nobody", somebody, nobody)
}

const goodHash = "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA"

func TestOnlyAHashOfOursIsRead(t *testing.T) {
	if again, _, err := factor.ReparseHash(goodHash); err != nil || again != goodHash {
		t.Fatalf("got %s, %v", again, err)
	}
	for what, h := range map[string]string{
		"nothing": "", "a password": "correct horse battery staple", "dollars": "$$$$$", "argon2i": strings.Replace(goodHash, "argon2id", "argon2i", 1),
		"bcrypt":        "$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy",
		"old version":   strings.Replace(goodHash, "v=19", "v=16", 1),
		"no version":    strings.Replace(goodHash, "$v=19", "", 1),
		"all memory":    strings.Replace(goodHash, "m=8", "m=4294967295", 1),
		"more than 32":  strings.Replace(goodHash, "m=8", "m=4294967304", 1),
		"an hour":       strings.Replace(goodHash, "t=1", "t=4294967295", 1),
		"no time":       strings.Replace(goodHash, "t=1", "t=0", 1),
		"no threads":    strings.Replace(goodHash, "p=1", "p=0", 1),
		"257 threads":   strings.Replace(goodHash, "p=1", "p=257", 1),
		"little memory": strings.Replace(goodHash, "m=8,t=1,p=1", "m=8,t=1,p=2", 1),
		"a plus":        strings.Replace(goodHash, "m=8", "m=+8", 1),
		"a zero":        strings.Replace(goodHash, "m=8", "m=08", 1),
		"another order": strings.Replace(goodHash, "m=8,t=1", "t=1,m=8", 1),
		"more costs":    strings.Replace(goodHash, "p=1", "p=1,q=1", 1),
		"rubbish":       strings.Replace(goodHash, "p=1", "p=1x", 1),
		"more behind":   goodHash + "$", "padding": goodHash + "==", "no key": goodHash[:strings.LastIndex(goodHash, "$")+1],
		"other bits":   goodHash[:len(goodHash)-1] + "B",
		"a line end":   goodHash + "\n",
		"short salt":   strings.Replace(goodHash, "c2FsdHNhbHQ", "c2Fs", 1),
		"endless salt": strings.Replace(goodHash, "c2FsdHNhbHQ", strings.Repeat("c2Fs", 200), 1),
	} {
		if _, _, err := factor.ReparseHash(h); err == nil {
			t.Errorf("%s: %q is read", what, h)
		}
		if factor.MatchPassword(h, "") || h != "" && factor.MatchPassword(h, h) {
			t.Errorf("%s: %q matches", what, h)
		}
		w := newWorld(t)
		if err := w.try(func(tx store.Tx) error { return factor.SetPassword(tx, jo, h, self(jo), w.now()) }); err == nil {
			t.Errorf("%s: %q is set", what, h)
		}
	}
}

func FuzzHash(f *testing.F) {
	f.Add(goodHash)
	f.Add("$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Add("$argon2id$v=19$m=99999999,t=2,p=1$$")
	f.Fuzz(func(t *testing.T, s string) {
		again, key, err := factor.ReparseHash(s)
		if err != nil {
			return
		}
		if again != s || len(key) < 32 || len(key) > 128 {
			t.Errorf("%q is read and written %q", s, again)
		}
	})
}

func TestAPasswordIsSetChangedAndRemoved(t *testing.T) {
	w := newWorld(t)
	set := func(u tenancy.UserID) error {
		return w.try(func(tx store.Tx) error { return factor.SetPassword(tx, u, goodHash, self(u), w.now()) })
	}
	if err := set("user_nobody"); !errors.Is(err, tenancy.ErrNotFound) {
		t.Errorf("for nobody: %v", err)
	}
	if err := set(jo); err != nil {
		t.Fatal(err)
	}
	w.wantEnrolled(jo, policy.Password)
	w.wantEvents(audit.FactorEnrolled)
	w.clock.Advance(time.Hour)
	if err := set(jo); err != nil {
		t.Fatal(err)
	}
	w.wantEvents(audit.FactorChanged)
	w.must(func(tx store.Tx) error {
		p, err := tx.Password(jo)
		if !p.UpdatedAt.Equal(w.now()) || !p.CreatedAt.Equal(w.now().Add(-time.Hour)) {
			t.Errorf("got %+v", p)
		}
		return err
	})
	for range 2 {
		w.must(func(tx store.Tx) error { return factor.RemovePassword(tx, jo, self(jo), w.now()) })
	}
	w.wantEvents(audit.FactorRemoved)
	w.wantEnrolled(jo)
}

func TestAHashOfAnotherCostIsOutdated(t *testing.T) {
	if factor.Outdated(factor.HashPassword("x")) {
		t.Error("what was just made is outdated")
	}
	for _, h := range []string{goodHash, "", "x"} {
		if !factor.Outdated(h) {
			t.Errorf("%q is not outdated", h)
		}
	}
}
