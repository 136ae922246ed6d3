package factor_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

func TestAnEmailCodeIsGoodOnce(t *testing.T) {
	w := newWorld(t)
	browser := session.NewToken()
	c, digits := w.code(factor.ForSignIn, joMail, browser)
	if len(digits) != 6 || strings.Trim(digits, "0123456789") != "" {
		t.Errorf("the code is %q", digits)
	}
	j := w.use(c.ID, factor.ForSignIn, browser, digits)
	if j.Refused != nil || j.Code.Email != joMail || j.Code.About != "about" || j.Code.Purpose != factor.ForSignIn {
		t.Fatalf("got %+v", j)
	}
	for range 2 {
		if j := w.use(c.ID, factor.ForSignIn, browser, digits); !errors.Is(j.Refused, factor.ErrSpent) || !reflect.DeepEqual(j.Code, factor.EmailCode{}) {
			t.Errorf("the second time: %+v", j)
		}
	}
}

func TestACodeIsReadAsPeopleTypeIt(t *testing.T) {
	for in, want := range map[string]string{
		"123456": "123456", " 123 456\r\n": "123456", "123-456": "123456", "123\u2013456": "123456", "\u200b123\u00a0456\ufeff": "123456",
		"１２３４５６": "123456", "12345": "12345", "": "", strings.Repeat("1", 65): "", strings.Repeat("\u200b", 20) + "123456": "", "12345a": "12345a",
	} {
		if got := factor.NormalizeCode(in); got != want {
			t.Errorf("%q is read as %q, want %q", in, got, want)
		}
	}
}

func TestFiveWrongCodesEndACode(t *testing.T) {
	w := newWorld(t)
	browser := session.NewToken()
	c, digits := w.code(factor.ForSignIn, joMail, browser)
	for i, typed := range []string{wrong(digits), "", digits + "0", strings.Repeat("9", 1000), wrong(digits)} {
		j := w.use(c.ID, factor.ForSignIn, browser, typed)
		if want := map[bool]error{false: factor.ErrWrong, true: factor.ErrSpent}[i == factor.EmailCodeTries-1]; !errors.Is(j.Refused, want) {
			t.Errorf("try %d: %v, want %v", i, j.Refused, want)
		}
	}
	if j := w.use(c.ID, factor.ForSignIn, browser, digits); !errors.Is(j.Refused, factor.ErrSpent) {
		t.Errorf("the right one after five wrong: %v", j.Refused)
	}
}

func TestAnEmailCodeLivesTenMinutes(t *testing.T) {
	w := newWorld(t)
	browser := session.NewToken()
	early, digits := w.code(factor.ForSignIn, joMail, browser)
	w.clock.Advance(factor.EmailCodeLife - time.Microsecond)
	if j := w.use(early.ID, factor.ForSignIn, browser, digits); j.Refused != nil {
		t.Errorf("just in time: %v", j.Refused)
	}
	late, digits := w.code(factor.ForSignIn, joMail, browser)
	w.clock.Advance(factor.EmailCodeLife)
	if j := w.use(late.ID, factor.ForSignIn, browser, digits); !errors.Is(j.Refused, factor.ErrSpent) {
		t.Errorf("just too late: %v", j.Refused)
	}
	// By its own time too, should the store still have it.
	late, digits = w.code(factor.ForSignIn, joMail, browser)
	w.must(func(tx store.Tx) error {
		j, err := factor.UseEmailCode(tx, late.ID, factor.ForSignIn, browser, digits, w.now().Add(factor.EmailCodeLife))
		if !errors.Is(j.Refused, factor.ErrSpent) {
			t.Errorf("a row that should be gone: %v", j.Refused)
		}
		return err
	})
}

// Elsewhere there is no such code, and asking for it there takes no try from its owner.
func TestForAnotherPurposeOrBrowserThereIsNoCode(t *testing.T) {
	w := newWorld(t)
	browser := session.NewToken()
	c, digits := w.code(factor.ForSignIn, joMail, browser)
	nobody := w.use("email_code_none", factor.ForSignIn, browser, digits)
	for range 2 * factor.EmailCodeTries {
		for what, j := range map[string]factor.Judged{
			"another purpose":   w.use(c.ID, factor.ForPasswordReset, browser, digits),
			"another browser":   w.use(c.ID, factor.ForSignIn, session.NewToken(), digits),
			"no browser at all": w.use(c.ID, factor.ForSignIn, session.Token{}, digits),
			"a wrong one, too":  w.use(c.ID, factor.ForNewAddress, session.NewToken(), wrong(digits)),
		} {
			if !errors.Is(j.Refused, factor.ErrSpent) || j.Refused.Error() != nobody.Refused.Error() || !reflect.DeepEqual(j.Code, nobody.Code) {
				t.Errorf("%s: %+v, want what is said of no code", what, j)
			}
		}
	}
	if j := w.use(c.ID, factor.ForSignIn, browser, digits); j.Refused != nil {
		t.Errorf("its owner, afterwards: %v", j.Refused)
	}
}

func TestOfOneRequestOneCodeIsLive(t *testing.T) {
	w := newWorld(t)
	browser := session.NewToken()
	first, digits := w.code(factor.ForSignIn, joMail, browser)
	others := map[string]func() (factor.EmailCode, string, factor.Purpose, session.Token){}
	elsewhere := session.NewToken()
	for what, ask := range map[string]struct {
		p     factor.Purpose
		email string
		b     session.Token
	}{"another purpose": {factor.ForPasswordReset, joMail, browser}, "another address": {factor.ForSignIn, floMail, browser}, "another browser": {factor.ForSignIn, joMail, elsewhere}} {
		c, d := w.code(ask.p, ask.email, ask.b)
		others[what] = func() (factor.EmailCode, string, factor.Purpose, session.Token) { return c, d, ask.p, ask.b }
	}
	for range 3 {
		w.use(first.ID, factor.ForSignIn, browser, wrong(digits))
	}
	second, again := w.code(factor.ForSignIn, joMail, browser)
	if j := w.use(first.ID, factor.ForSignIn, browser, digits); !errors.Is(j.Refused, factor.ErrSpent) {
		t.Errorf("the code before the last: %v", j.Refused)
	}
	if j := w.use(second.ID, factor.ForSignIn, browser, again); j.Refused != nil {
		t.Errorf("the last code: %v", j.Refused)
	}
	for what, other := range others {
		c, d, p, b := other()
		if j := w.use(c.ID, p, b, d); j.Refused != nil {
			t.Errorf("the code for %s: %v", what, j.Refused)
		}
	}
	// And one that was used up does not stand in the way of the next.
	c, digits := w.code(factor.ForSignIn, joMail, browser)
	for range factor.EmailCodeTries {
		w.use(c.ID, factor.ForSignIn, browser, wrong(digits))
	}
	c, digits = w.code(factor.ForSignIn, joMail, browser)
	if j := w.use(c.ID, factor.ForSignIn, browser, digits); j.Refused != nil {
		t.Errorf("a new code after five wrong: %v", j.Refused)
	}
}

func TestACodeForNoBrowserIsNotMade(t *testing.T) {
	w := newWorld(t)
	err := w.try(func(tx store.Tx) error {
		_, _, err := factor.NewEmailCode(tx, factor.ForSignIn, joMail, "", session.Token{}, w.now())
		return err
	})
	if err == nil {
		t.Error("it is made")
	}
}

// Whoever reads the store can't try the million codes: the secret of the browser is not there.
func TestAStoredCodeCanNotBeGuessedFromTheStore(t *testing.T) {
	w := newWorld(t)
	browser := session.NewToken()
	c, digits := w.code(factor.ForSignIn, joMail, browser)
	row, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(row), digits) || strings.Contains(string(row), browser.Reveal()) {
		t.Errorf("the row tells: %s", row)
	}
	// Nor does it help to write there that another browser asked.
	mine := session.NewToken()
	c.Browser = mine.Hash()
	w.must(func(tx store.Tx) error { return tx.PutEmailCode(c) })
	if j := w.use(c.ID, factor.ForSignIn, mine, digits); j.Refused == nil {
		t.Error("the code is good in another browser that is written into its row")
	}
	// A sum is good for its own row only: moved to a code of somebody else's, it is wrong.
	other, otherDigits := w.code(factor.ForSignIn, floMail, browser)
	other.Sum = c.Sum
	w.must(func(tx store.Tx) error { return tx.PutEmailCode(other) })
	for _, typed := range []string{digits, otherDigits} {
		if j := w.use(other.ID, factor.ForSignIn, browser, typed); j.Refused == nil {
			t.Error("the hash of one code is good for another address")
		}
	}
}

func TestCodesAreOfAllSixDigitNumbersAlike(t *testing.T) {
	w := newWorld(t)
	browser := session.NewToken()
	first := map[byte]int{}
	var all []string
	w.must(func(tx store.Tx) error {
		clear(first)
		all = nil
		for range 2000 {
			_, digits, err := factor.NewEmailCode(tx, factor.ForSignIn, joMail, "", browser, w.now())
			if err != nil {
				return err
			}
			first[digits[0]]++
			all = append(all, digits)
		}
		return nil
	})
	for d := byte('0'); d <= '9'; d++ {
		if n := first[d]; n < 120 || n > 290 { // 200 ± 6 σ
			t.Errorf("%d of 2000 codes begin with %c", n, d)
		}
	}
	slices.Sort(all)
	if n := len(slices.Compact(all)); n < 1980 {
		t.Errorf("%d of 2000 codes differ", n)
	}
}

var _ factor.Tx = store.Tx(nil)

func TestAnAddressHasOneLiveCodeInTheStore(t *testing.T) {
	w := newWorld(t)
	browser := session.NewToken()
	c, _ := w.code(factor.ForSignIn, joMail, browser)
	c.ID = "email_code_other"
	if err := w.try(func(tx store.Tx) error { return tx.PutEmailCode(c) }); !errors.Is(err, tenancy.ErrTaken) {
		t.Errorf("a second live one: %v", err)
	}
}
