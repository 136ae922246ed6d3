package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// factorsOf is one of each factor of a user.
func factorsOf(user tenancy.UserID) []any {
	return []any{
		factor.Password{User: user, Hash: "hash of " + string(user), CreatedAt: noon, UpdatedAt: noon},
		factor.TOTP{User: user, Secret: []byte("\x00\xff" + string(user)), Step: 42, CreatedAt: noon},
		factor.RecoveryCodes{User: user, Hashes: []session.Hash{hash("1" + string(user)), hash("2")}, CreatedAt: noon},
		factor.Passkey{ID: "key of " + string(user), User: user, Name: "Phone", Credential: []byte{0, 1, 255}, CreatedAt: noon},
	}
}

// factorRows: what is written is read, by its user and no other, and what is deleted is gone.
func factorRows(t *testing.T, h Harness) {
	s := open(t, h, nil)
	users := []tenancy.UserID{"user", "user_a", "user_ab", "user\x00", "user\x00\x01a", "b"}
	for i, u := range users {
		if i%2 == 0 { // so that what one has the next lacks
			put(t, s, factorsOf(u)...)
		}
	}
	check := func(has func(i int) bool) {
		t.Helper()
		look(t, s, func(tx store.Tx) {
			for i, u := range users {
				p, err1 := tx.Password(u)
				o, err2 := tx.TOTP(u)
				r, err3 := tx.RecoveryCodes(u)
				k, err4 := tx.Passkey("key of " + string(u))
				keys := list(t, tx.Passkeys(u), func(p factor.Passkey) string { return p.ID })
				ms, err := tx.Enrolled(u)
				if err != nil {
					t.Error(err)
				}
				if !has(i) {
					for _, err := range []error{err1, err2, err3, err4} {
						if !errors.Is(err, tenancy.ErrNotFound) {
							t.Errorf("%q has a factor of somebody else's: %v", u, err)
						}
					}
					if len(keys) != 0 || ms != 0 {
						t.Errorf("%q has passkeys %q, and %v", u, keys, ms)
					}
					continue
				}
				if err := errors.Join(err1, err2, err3, err4); err != nil {
					t.Errorf("%q: %v", u, err)
				}
				if got, want := fmt.Sprint([]any{p, o, r, k}), fmt.Sprint(factorsOf(u)); got != want {
					t.Errorf("%q has %s, want %s", u, got, want)
				}
				if !slices.Equal(keys, []string{"key of " + string(u)}) || ms != policy.MethodsOf(policy.Password, policy.TOTP, policy.RecoveryCode, policy.Passkey) {
					t.Errorf("%q has passkeys %q, and %v", u, keys, ms)
				}
			}
		})
	}
	check(func(i int) bool { return i%2 == 0 })
	do(t, s, func(tx store.Tx) error {
		u := users[0]
		return errors.Join(tx.DeletePassword(u), tx.DeleteTOTP(u), tx.DeleteRecoveryCodes(u), tx.DeletePasskey("key of "+string(u)),
			tx.DeletePassword("never there"), tx.DeleteTOTP("never there"), tx.DeleteRecoveryCodes("never there"), tx.DeletePasskey("never there"), tx.DeleteCounter("never", "there"))
	})
	check(func(i int) bool { return i%2 == 0 && i > 0 })

	// What the API has set up is found by its id in its own table alone; challenges and resets by theirs.
	do(t, s, func(tx store.Tx) error {
		return errors.Join(tx.PutAPIFactor(factor.APIFactor{ID: "auth_factor_1", User: "b", Secret: []byte{1}}), tx.PutAPIFactor(factor.APIFactor{ID: "auth_factor_2", Secret: []byte{1}}))
	})
	look(t, s, func(tx store.Tx) {
		f, err := tx.APIFactor("auth_factor_1")
		g, err2 := tx.APIFactor("auth_factor_2")
		_, err3 := tx.TOTPByID("auth_factor_1")
		_, err4 := tx.PasskeyByFactorID("auth_factor_1")
		if err != nil || err2 != nil || f.User != "b" || g.User != "" || !errors.Is(err3, tenancy.ErrNotFound) || !errors.Is(err4, tenancy.ErrNotFound) {
			t.Errorf("%+v, %v, %+v, %v, %v, %v", f, err, g, err2, err3, err4)
		}
	})

	// A passkey that moves is found by its new owner alone.
	put(t, s, factor.Passkey{ID: "key of user_ab", User: "b", Credential: []byte{1}})
	look(t, s, func(tx store.Tx) {
		if keys := list(t, tx.Passkeys("user_ab"), func(p factor.Passkey) string { return p.ID }); len(keys) != 0 {
			t.Errorf("its former owner has %q", keys)
		}
		if keys := list(t, tx.Passkeys("b"), func(p factor.Passkey) string { return p.ID }); !slices.Equal(keys, []string{"key of user_ab"}) {
			t.Errorf("its owner has %q", keys)
		}
	})
	for name, object := range map[string]any{
		"password of nobody": factor.Password{}, "app of nobody": factor.TOTP{}, "recovery codes of nobody": factor.RecoveryCodes{},
		"passkey of nobody": factor.Passkey{ID: "k"}, "passkey without id": factor.Passkey{User: "user"},
		"code for no browser": factor.EmailCode{ID: "c", Sum: hash("s"), Purpose: "p", Email: "e", ExpiresAt: noon}, "code that is none": factor.EmailCode{ID: "c", Browser: hash("b"), Purpose: "p", Email: "e", ExpiresAt: noon},
		"code for no address": factor.EmailCode{ID: "c", Browser: hash("b"), Sum: hash("s"), Purpose: "p", ExpiresAt: noon},
		"counter of nothing":  factor.Counter{Name: "n", ExpiresAt: noon}, "counter of nobody": factor.Counter{Scope: "s", ExpiresAt: noon},
		"name that JSON mangles": factor.Counter{Scope: "s", Name: "\xff", ExpiresAt: noon}, "name without end": factor.Counter{Scope: "s", Name: string(make([]byte, store.MaxKey)), ExpiresAt: noon},
	} {
		err := s.Update(t.Context(), func(tx store.Tx) error { return putAll(tx, object) })
		if err == nil || errors.Is(err, tenancy.ErrNotFound) || errors.Is(err, tenancy.ErrTaken) {
			t.Errorf("%s: %v, want an error of its own", name, err)
		}
	}
}

func emailCode(id, browser string, p factor.Purpose, email string) factor.EmailCode {
	return factor.EmailCode{ID: id, Browser: hash(browser), Purpose: p, Email: email, Sum: hash("sum"), CreatedAt: noon, ExpiresAt: noon.Add(10 * time.Minute)}
}

func liveCodes(t *testing.T, h Harness) {
	clock := NewClock(noon)
	s := open(t, h, clock.Now)
	const reset = factor.ForPasswordReset
	first := emailCode("c1", "b1", factor.ForSignIn, "jo@acme.com")
	put(t, s, first, emailCode("c2", "b2", factor.ForSignIn, "jo@acme.com"), emailCode("c3", "b1", reset, "jo@acme.com"), emailCode("c4", "b1", factor.ForSignIn, "flo@acme.com"))
	live := func(browser string, p factor.Purpose, email, want string) {
		t.Helper()
		look(t, s, func(tx store.Tx) {
			c, err := tx.LiveEmailCode(hash(browser), p, email)
			if c.ID != want || (err == nil) != (want != "") || err != nil && !errors.Is(err, tenancy.ErrNotFound) {
				t.Errorf("live in %s for %s of %s: %q, %v; want %q", browser, p, email, c.ID, err, want)
			}
		})
	}
	live("b1", factor.ForSignIn, "jo@acme.com", "c1")
	live("b2", factor.ForSignIn, "jo@acme.com", "c2")
	live("b1", reset, "jo@acme.com", "c3")
	live("b1", factor.ForSignIn, "flo@acme.com", "c4")
	live("b2", reset, "jo@acme.com", "")
	live("b1", factor.ForSignIn, "jo@acme.co", "")
	live("", factor.ForSignIn, "jo@acme.com", "")

	second := emailCode("c5", "b1", factor.ForSignIn, "jo@acme.com")
	err := s.Update(t.Context(), func(tx store.Tx) error { return tx.PutEmailCode(second) })
	if !errors.Is(err, tenancy.ErrTaken) {
		t.Errorf("a second live one: %v, want ErrTaken", err)
	}
	first.Tries = 1
	put(t, s, first)
	live("b1", factor.ForSignIn, "jo@acme.com", "c1")
	first.UsedAt = noon
	put(t, s, first, second)
	live("b1", factor.ForSignIn, "jo@acme.com", "c5")
	second.Tries = factor.EmailCodeTries
	put(t, s, second)
	live("b1", factor.ForSignIn, "jo@acme.com", "")
	look(t, s, func(tx store.Tx) {
		for _, id := range []string{"c1", "c5"} {
			if c, err := tx.EmailCode(id); err != nil || c.Live() {
				t.Errorf("%s is not on record as used up: %v", id, err)
			}
		}
	})
	clock.Advance(10 * time.Minute)
	live("b2", factor.ForSignIn, "jo@acme.com", "")
	put(t, s, emailCodeAt(clock.Now(), "c6", "b2", factor.ForSignIn, "jo@acme.com")) // in the place of one that expired
	live("b2", factor.ForSignIn, "jo@acme.com", "c6")
}

func emailCodeAt(now time.Time, id, browser string, p factor.Purpose, email string) factor.EmailCode {
	c := emailCode(id, browser, p, email)
	c.CreatedAt, c.ExpiresAt = now, now.Add(10*time.Minute)
	return c
}

func countersAndCodesExpire(t *testing.T, h Harness) {
	clock := NewClock(noon)
	s := open(t, h, clock.Now)
	put(t, s,
		emailCode("code", "b", factor.ForSignIn, "jo@acme.com"),
		factor.Counter{Scope: "s", Name: "n", Level: 2.5, At: noon, ExpiresAt: noon.Add(time.Hour)},
		factor.Counter{Scope: "s", Name: "other", Level: 1, At: noon, ExpiresAt: noon.Add(2 * time.Hour)},
		factor.Counter{Scope: "sn", Name: "x", Level: 7, At: noon, ExpiresAt: noon.Add(24 * time.Hour)})
	put(t, s, factorsOf("user_1")...)
	there := func() string {
		var got []string
		look(t, s, func(tx store.Tx) {
			got = nil
			if _, err := tx.EmailCode("code"); err == nil {
				got = append(got, "code")
			}
			for _, k := range [][2]string{{"s", "n"}, {"s", "other"}, {"sn", "x"}, {"s", "nx"}} {
				if c, err := tx.Counter(k[0], k[1]); err == nil {
					got = append(got, fmt.Sprint(k[1], "=", c.Level))
				}
			}
			if ms, err := tx.Enrolled("user_1"); err == nil && len(ms.List()) == 4 {
				got = append(got, "factors")
			}
		})
		return strings.Join(got, " ")
	}
	for _, c := range []struct {
		at   time.Duration
		want string
	}{
		{0, "code n=2.5 other=1 x=7 factors"},
		{10*time.Minute - time.Microsecond, "code n=2.5 other=1 x=7 factors"},
		{10 * time.Minute, "n=2.5 other=1 x=7 factors"},
		{time.Hour, "other=1 x=7 factors"},
		{2 * time.Hour, "x=7 factors"},
		{365 * 24 * time.Hour, "factors"},
	} {
		clock.Advance(noon.Add(c.at).Sub(clock.Now()))
		if got := there(); got != c.want {
			t.Errorf("%v later: %s, want %s", c.at, got, c.want)
		}
	}
}

// countsAreExact: however many count at once, on however many replicas, none is lost and no
// code is used twice.
func countsAreExact(t *testing.T, h Harness) {
	e := h.Open(t, nil)
	replicas := []*store.Store{store.New(e, store.Options{})}
	if h.Join != nil {
		replicas = append(replicas, store.New(h.Join(t, e), store.Options{}))
	}
	now := time.Now()
	put(t, replicas[0], tenancy.User{ID: "user_1", Email: "jo@acme.com"}, factor.Passkey{ID: "k", User: "user_1", Credential: []byte{1}})
	bucket := factor.Bucket{Scope: "mail", Size: 7, Every: 24 * time.Hour}
	browser := session.NewToken()
	var code factor.EmailCode
	var digits string
	var recovery []string
	do(t, replicas[0], func(tx store.Tx) (err error) {
		if code, digits, err = factor.NewEmailCode(tx, factor.ForSignIn, "jo@acme.com", "", browser, now); err != nil {
			return err
		}
		recovery, err = factor.NewRecoveryCodes(tx, "user_1", event(1, now).Actor, now)
		return err
	})
	type outcome struct{ taken, code, recovery bool }
	outcomes := make([]outcome, 50)
	var wg sync.WaitGroup
	for i := range outcomes {
		wg.Go(func() {
			err := replicas[i%len(replicas)].Update(t.Context(), func(tx store.Tx) error {
				wait, err := bucket.Take(tx, "jo@acme.com", now)
				if err != nil {
					return err
				}
				j, err := factor.UseEmailCode(tx, code.ID, factor.ForSignIn, browser, digits, now)
				if err != nil {
					return err
				}
				_, err = factor.UseRecoveryCode(tx, "user_1", recovery[0], now)
				outcomes[i] = outcome{wait == 0, j.Refused == nil, err == nil}
				if errors.Is(err, factor.ErrWrong) {
					err = nil
				}
				return err
			})
			if err != nil {
				t.Errorf("%d: %v", i, err)
			}
		})
	}
	wg.Wait()
	var taken, codes, recoveries int
	for _, o := range outcomes {
		if o.taken {
			taken++
		}
		if o.code {
			codes++
		}
		if o.recovery {
			recoveries++
		}
	}
	if taken != bucket.Size || codes != 1 || recoveries != 1 {
		t.Errorf("%d taken of %d, %d used the e-mail code and %d the recovery code", taken, bucket.Size, codes, recoveries)
	}
}

// restoredFactors: factors and counts come back, and no code that could be used twice.
func restoredFactors(t *testing.T, h Harness) {
	clock := NewClock(noon)
	from := open(t, h, clock.Now)
	furnish(t, from, noon)
	b := backup(t, from)
	if n := bytes.Count(b, []byte(`{"key":["E"`)); n != 1 {
		t.Fatalf("the backup has %d e-mail codes, so this test tests nothing", n)
	}
	clock.Advance(time.Second)
	to := open(t, h, clock.Now)
	if _, err := to.Restore(t.Context(), bytes.NewReader(b)); err != nil {
		t.Fatal(err)
	}
	look(t, to, func(tx store.Tx) {
		if ms, err := tx.Enrolled("user_1"); err != nil || ms != policy.MethodsOf(policy.Password, policy.TOTP, policy.Passkey) {
			t.Errorf("the person has %v, %v", ms, err)
		}
		if p, err := tx.Passkey("key of user_1"); err != nil || !bytes.Equal(p.Credential, []byte{0, 1, 255}) {
			t.Errorf("passkey: %v, %v", p, err)
		}
		if c, err := tx.Counter("guess", "user_1"); err != nil || c.Level != 4 || !c.At.Equal(noon) {
			t.Errorf("counter: %v, %v", c, err)
		}
		if c, err := tx.EmailCode("code"); !errors.Is(err, tenancy.ErrNotFound) {
			t.Errorf("an e-mail code came back: %v, %v", c, err)
		}
		if _, err := tx.LiveEmailCode(hash("b"), factor.ForSignIn, "jo@acme.com"); !errors.Is(err, tenancy.ErrNotFound) {
			t.Errorf("an e-mail code is live: %v", err)
		}
		// Each step whose code can have been accepted by now is spent: the one after this.
		o, err := tx.TOTP("user_1")
		if want := clock.Now().Unix()/30 + 1; err != nil || o.Step != want || string(o.Secret) != "\x00\xffuser_1" {
			t.Errorf("the app's last step is %d, %v; want %d", o.Step, err, want)
		}
	})
	put(t, to, emailCode("new", "b", factor.ForSignIn, "jo@acme.com"))
}
