package factor_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/store"
)

// An importable is a hash that another program has made of a password.
type importable struct{ kind, position, hash, password string }

const imported = "correct horse battery staple"

// importables were made by Python's hashlib, by crypt(3), or are the published test vectors of Firebase and of Argon2.
func importables() map[string]importable {
	const salt = "AAECAwQFBgcICQoLDA0ODw"
	return map[string]importable{
		"bcrypt":          {"bcrypt", "", "$2b$06$abcdefghijklmnopqrstuu10cNU3mXRamSUZYs8I8M/Szu..qXq5K", imported},
		"bcrypt of PHP":   {"bcrypt", "", "$2y$06$abcdefghijklmnopqrstuu10cNU3mXRamSUZYs8I8M/Szu..qXq5K", imported},
		"scrypt":          {"scrypt", "", "$scrypt$v=1$n=16384,r=8,p=1$" + salt + "$11kKyiyYAc8G7rp3KmncMc44YlkdllIqxOa7pq0fMaU", imported},
		"scrypt, by ln":   {"scrypt", "", "$scrypt$ln=14,r=8,p=1$" + salt + "==$11kKyiyYAc8G7rp3KmncMc44YlkdllIqxOa7pq0fMaU=", imported},
		"pbkdf2, SHA-256": {"pbkdf2", "", "$pbkdf2-sha256$i=1000$" + salt + "$ppsXnjrdPB4KryJ6DrOqKqhkWrhv7PbKAMF1Eml8cZ4", imported},
		"pbkdf2, SHA-512": {"pbkdf2", "", "$pbkdf2$i=1000,d=sha512$" + salt + "$A6AmFIti7CKlYdoPiV9jf1d9llp37o27Wms8Zx8fwMJGCOigJzAthOW3Pg+XF5PnNiYnsQsIz1N5NtynrEm78w", imported},
		"pbkdf2, SHA-1":   {"pbkdf2", "suffix", "$pbkdf2-sha1$i=1000$" + salt + "$AOm/kOb/+YAZ3ZwSogYgNu9fO1g", imported},
		"ssha":            {"ssha", "", "{SSHA}e0hu+WdvSm9HTU9++WhsaCCqTBAAAQIDBAUGBwgJCgsMDQ4P", imported},
		"ssha256":         {"ssha256", "suffix", "{SSHA256}G/QFDZcE49wdz+D7yZ/NjEI9gB2RFYr+GlL07AKGkc8AAQIDBAUGBwgJCgsMDQ4P", imported},
		"ssha256, prefix": {"ssha256", "prefix", "PT7NB1B2A4OlzWox1NgpSt0YKawNe+BkcIP3OEfdMl4AAQIDBAUGBwgJCgsMDQ4P", imported},
		"firebase": {
			"firebase-scrypt", "", "$firebase-scrypt$hash=lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==$salt=42xEC+ixf3L2lw==" +
				"$sk=jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==$ss=Bw==$r=8$m=14", "user1password",
		},
		"argon2id": {"argon2", "", "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "password"},
		"argon2i":  {"argon2", "", "$argon2i$v=19$m=65536,t=2,p=4$c29tZXNhbHQ$RdescudvJCsgt3ub+b+dWRWJTmaaJObG", "password"},
	}
}

func TestAPasswordThatAnotherSystemHasHashedIsMatched(t *testing.T) {
	for name, i := range importables() {
		t.Run(name, func(t *testing.T) {
			kept, err := factor.ImportPassword(i.kind, i.position, i.hash)
			if err != nil {
				t.Fatal(err)
			}
			if !factor.MatchPassword(kept, i.password) {
				t.Error("the password is not matched")
			}
			for _, wrong := range []string{"", i.password + "x", i.password[1:], i.hash, strings.Repeat("x", 300)} {
				if factor.MatchPassword(kept, wrong) {
					t.Errorf("%.20q is matched", wrong)
				}
			}
			if !factor.Outdated(kept) {
				t.Error("it is kept as it is when it is typed next")
			}
			if strings.HasPrefix(i.kind, "ssha") && strings.Contains(kept, i.hash[10:30]) {
				t.Errorf("a fast hash is kept: %s", kept)
			}
		})
	}
}

func TestAnImportedHashIsOfItsKindAndCostsWhatItMay(t *testing.T) {
	key := strings.Repeat("A", 43)
	for _, bad := range []importable{
		{"bcrypt", "", "$2b$15$abcdefghijklmnopqrstuu10cNU3mXRamSUZYs8I8M/Szu..qXq5K", "cost"},
		{"bcrypt", "", "$2b$06$short", "short"},
		{"bcrypt", "", "", "empty"},
		{"bcrypt", "prefix", "$2b$06$abcdefghijklmnopqrstuu10cNU3mXRamSUZYs8I8M/Szu..qXq5K", "no salt of its own"},
		{"scrypt", "", "$scrypt$n=1048576,r=8,p=1$" + key + "$" + key, "1 GiB"},
		{"scrypt", "", "$scrypt$n=16384,r=8,p=1000$" + key + "$" + key, "an hour"},
		{"scrypt", "", "$scrypt$n=131072,r=8,p=4$" + key + "$" + key, "seconds"},
		{"scrypt", "", "$scrypt$n=2,r=1,p=1048576$" + key + "$" + key, "seconds, and memory that is p's"},
		{"scrypt", "", "$scrypt$n=2,r=524288,p=1$" + key + "$" + key, "memory that is r's"},
		{"scrypt", "", "$scrypt$n=16383,r=8,p=1$" + key + "$" + key, "no power of two"},
		{"scrypt", "", "$scrypt$ln=63,r=8,p=1$" + key + "$" + key, "overflow"},
		{"scrypt", "", "$scrypt$n=2147483647,r=2147483647,p=2147483647$" + key + "$" + key, "overflow"},
		{"scrypt", "", "$scrypt$n=16384,n=2,r=8,p=1$" + key + "$" + key, "twice"},
		{"scrypt", "", "$scrypt$n=16384,r=8,p=1$" + key, "no hash"},
		{"scrypt", "", "$scrypt$n=16384,r=8,p=1$" + key + "$AAAA", "short hash, which many passwords have"},
		{"firebase-scrypt", "", "$firebase-scrypt$hash=" + key + "$salt=AAAA$sk=AAAA$ss=AA$r=8$m=14", "key of another length"},
		{"firebase-scrypt", "", "$firebase-scrypt$hash=" + key + "$salt=AAAA$sk=" + key + "$ss=AA$r=8$m=30", "cost"},
		{"firebase-scrypt", "", "$firebase-scrypt$hash=" + key + "$salt=AAAA$sk=" + key + "$ss=AA$r=524288$m=1", "memory that is r's"},
		{"pbkdf2", "", "$pbkdf2-sha256$i=2000000000$" + key + "$" + key, "cost"},
		{"pbkdf2", "", "$pbkdf2-md5$i=1000$" + key + "$" + key, "digest"},
		{"pbkdf2", "", "$pbkdf2-sha1$i=1000$" + key + "$" + key, "longer than the digest"},
		{"argon2", "", "$argon2id$v=19$m=1048576,t=2,p=1$" + key + "$" + key, "1 GiB"},
		{"argon2", "", "$argon2id$v=19$m=65536,t=1000,p=1$" + key + "$" + key, "time"},
		{"argon2", "", "$argon2id$v=16$m=65536,t=2,p=1$" + key + "$" + key, "version"},
		{"argon2", "", "$argon2id$v=19$m=65536,t=2,p=0$" + key + "$" + key, "no thread"},
		{"ssha", "", "{SSHA}AAAA", "short"},
		{"ssha", "prefix", "{SSHA}e0hu+WdvSm9HTU9++WhsaCCqTBAAAQIDBAUGBwgJCgsMDQ4P", "salt in front"},
		{"ssha256", "middle", "{SSHA256}G/QFDZcE49wdz+D7yZ/NjEI9gB2RFYr+GlL07AKGkc8AAQIDBAUGBwgJCgsMDQ4P", "salt in the middle"},
		{"ssha256", "", "{SSHA256}" + strings.Repeat("A", 2000), "long"},
	} {
		kept, err := factor.ImportPassword(bad.kind, bad.position, bad.hash)
		if !errors.Is(err, factor.ErrHash) {
			t.Errorf("%s, %s: %q, %v", bad.kind, bad.password, kept, err)
		}
		if err != nil && len(bad.hash) > 20 && strings.Contains(err.Error(), bad.hash[10:20]) {
			t.Errorf("the error quotes the hash: %v", err)
		}
	}
	for _, other := range []importable{{"md5", "", key, ""}, {"argon2", "", "$argon2d$v=19$m=65536,t=2,p=1$" + key + "$" + key, ""}} {
		if _, err := factor.ImportPassword(other.kind, "", other.hash); !errors.Is(err, factor.ErrHashType) {
			t.Errorf("%s: %v", other.kind, err)
		}
	}
}

func TestAnImportedPasswordIsSetAndKept(t *testing.T) {
	w := newWorld(t)
	i := importables()["pbkdf2, SHA-256"]
	kept, err := factor.ImportPassword(i.kind, i.position, i.hash)
	if err != nil {
		t.Fatal(err)
	}
	w.must(func(tx store.Tx) error { return factor.SetPassword(tx, jo, kept, audit.System, w.now()) })
	w.must(func(tx store.Tx) error {
		p, err := tx.Password(jo)
		if err == nil && !factor.MatchPassword(p.Hash, imported) {
			err = fmt.Errorf("not matched: %q", p.Hash)
		}
		return err
	})
	err = w.s.Update(t.Context(), func(tx store.Tx) error {
		return factor.SetPassword(tx, jo, "imported bcrypt suffix the password itself", audit.System, w.now())
	})
	if err == nil {
		t.Error("what is no hash is kept")
	}
}

// Whatever is imported: no panic, and what is kept is read again as the same.
func FuzzImportPassword(f *testing.F) {
	for _, i := range importables() {
		if i.kind != "argon2" { // which takes too long to be tried often
			f.Add(i.kind, i.position, i.hash)
		}
	}
	f.Fuzz(func(t *testing.T, kind, position, hash string) {
		kept, err := factor.ImportPassword(kind, position, hash)
		if err != nil {
			if !errors.Is(err, factor.ErrHash) && !errors.Is(err, factor.ErrHashType) {
				t.Errorf("%v", err)
			}
			return
		}
		if !factor.Outdated(kept) || len(kept) > 2048 {
			t.Errorf("kept as %q", kept)
		}
	})
}
