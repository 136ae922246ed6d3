package cookie

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

func header(lines ...string) http.Header { return http.Header{"Cookie": lines} }

func TestACookieIsHostOnlySecureHTTPOnlyAndLax(t *testing.T) {
	w := httptest.NewRecorder()
	Jar{}.Set(w, Session, "v", time.Hour)
	const want = "__Host-orgate_session=v; Path=/; Max-Age=3600; HttpOnly; Secure; SameSite=Lax"
	if got := w.Header().Get("Set-Cookie"); got != want {
		t.Errorf("Set-Cookie: %s\nwant:       %s", got, want)
	}
}

func TestClearingUsesTheAttributesOfSetting(t *testing.T) {
	for _, j := range []Jar{{}, {Plain: true}} {
		set, cleared := httptest.NewRecorder(), httptest.NewRecorder()
		j.Set(set, Session, "", time.Second)
		j.Clear(cleared, Session)
		want := strings.Replace(set.Header().Get("Set-Cookie"), "Max-Age=1", "Max-Age=0", 1)
		if got := cleared.Header().Get("Set-Cookie"); got != want {
			t.Errorf("cleared with %s, set with %s", got, want)
		}
	}
}

func TestOnlyTheExactNameIsRead(t *testing.T) {
	for _, tc := range []struct {
		name  string
		lines []string
		value string
		ok    bool
	}{
		{"alone", []string{"__Host-orgate_session=a"}, "a", true},
		{"among others", []string{"x=1; __Host-orgate_session=a; y=2"}, "a", true},
		{"without a space", []string{"x=1;__Host-orgate_session=a"}, "a", true},
		{"on the second line, as HTTP/2 splits them", []string{"x=1", "__Host-orgate_session=a"}, "a", true},
		{"none", []string{"x=1"}, "", false},
		{"no line", nil, "", false},
		{"twice", []string{"__Host-orgate_session=a; __Host-orgate_session=b"}, "", false},
		{"twice, the same value", []string{"__Host-orgate_session=a; __Host-orgate_session=a"}, "", false},
		{"twice, on two lines", []string{"__Host-orgate_session=a", "__Host-orgate_session=b"}, "", false},
		{"three times", []string{"__Host-orgate_session=a; __Host-orgate_session=b; __Host-orgate_session=c"}, "", false},
		{"without the prefix", []string{"orgate_session=a"}, "", false},
		{"the prefix in lower case", []string{"__host-orgate_session=a"}, "", false},
		{"behind Unicode white space", []string{"\u2000__Host-orgate_session=a"}, "", false},
		{"behind a no-break space", []string{"\u00a0__Host-orgate_session=a"}, "", false},
		{"a space before the equals sign", []string{"__Host-orgate_session =a"}, "", false},
		{"escaped", []string{"__%48ost-orgate_session=a"}, "", false},
		{"no value", []string{"__Host-orgate_session"}, "", false},
		{"a real one and a disguised one", []string{"__Host-orgate_session=a; \u2000__Host-orgate_session=b"}, "a", true},
	} {
		value, ok := Jar{}.Read(header(tc.lines...), Session)
		if value != tc.value || ok != tc.ok {
			t.Errorf("%s: %q, %v; want %q, %v", tc.name, value, ok, tc.value, tc.ok)
		}
	}
}

func TestTwoOfOneNameAreNoticed(t *testing.T) {
	j := Jar{}
	if !j.Doubled(header("__Host-orgate_session=a; __Host-orgate_session=b"), Session) {
		t.Error("two are not doubled")
	}
	if j.Doubled(header("__Host-orgate_session=a; x=b"), Session) || j.Doubled(nil, Session) {
		t.Error("one or none is doubled")
	}
}

func TestNamesAreOfAllWithThatBeginning(t *testing.T) {
	h := header("__Host-orgate_attempt_a=1; x=2; __Host-orgate_attempt_b=3; __Host-orgate_attempt_a=4; orgate_attempt_c=5")
	want := []string{"orgate_attempt_a", "orgate_attempt_b"}
	if got := (Jar{}).Names(h, Attempt); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestStripLeavesTheAppsCookiesAsTheyCame(t *testing.T) {
	for _, tc := range []struct{ in, want []string }{
		{nil, nil},
		{[]string{"a=1; b=2"}, []string{"a=1; b=2"}},
		{[]string{`a="1 2"; forgate_id=3`}, []string{`a="1 2"; forgate_id=3`}},
		{[]string{"pct=100%;  odd=1"}, []string{"pct=100%; odd=1"}},
		{[]string{"a=1; __Host-orgate_session=x; b=2"}, []string{"a=1; b=2"}},
		{[]string{"__Host-orgate_session=x"}, nil},
		{[]string{"__Host-orgate_session=x", "a=1"}, []string{"a=1"}},
		{[]string{"__HOST-ORGATE_SESSION=x; a=1"}, []string{"a=1"}},
		{[]string{"orgate_session=x; a=1"}, []string{"a=1"}},
		{[]string{"\u2000__Host-orgate_session=x; a=1"}, []string{"a=1"}},
		{[]string{"__%48ost-orgate_session=x; a=1"}, []string{"a=1"}},
		{[]string{"__Host-%6frgate_session=x; a=1"}, []string{"a=1"}},
		{[]string{"__Host.orgate.session=x; a=1"}, []string{"a=1"}},
		{[]string{"__Secure-orgate_login=x; a=1"}, []string{"a=1"}},
		{[]string{"__Host-orgate_session; a=1"}, []string{"a=1"}},
		{[]string{"a=orgate_session"}, []string{"a=orgate_session"}},
	} {
		h := http.Header{}
		if tc.in != nil {
			h["Cookie"] = slices.Clone(tc.in)
		}
		Strip(h)
		if got := h["Cookie"]; !slices.Equal(got, tc.want) {
			t.Errorf("%q became %q, want %q", tc.in, got, tc.want)
		}
	}
}

// FuzzStrip checks that nothing that a server could take for ours is left, and that
// stripping twice is stripping once.
func FuzzStrip(f *testing.F) {
	f.Add("a=1; __Host-orgate_session=x; b=2")
	f.Add("\u2000__Host-orgate_session=x;;; =; a")
	f.Add("__%48ost-%6f%72gate_session=x; %zz=1")
	f.Fuzz(func(t *testing.T, line string) {
		h := header(line)
		Strip(h)
		for name := range pairs(h["Cookie"]) {
			if Ours(name) {
				t.Errorf("%q is left of %q", name, line)
			}
		}
		if _, ok := (Jar{}).Read(h, Session); ok {
			t.Errorf("our session is left of %q", line)
		}
		before := slices.Clone(h["Cookie"])
		Strip(h)
		if !slices.Equal(before, h["Cookie"]) {
			t.Errorf("%q became %q, then %q", line, before, h["Cookie"])
		}
	})
}

// FuzzRead checks that the reader and a plain count of exact names agree.
func FuzzRead(f *testing.F) {
	f.Add("__Host-orgate_session=a; __Host-orgate_session=b", "x=1")
	f.Add(" __Host-orgate_session=a", "\t__Host-orgate_session=a")
	f.Fuzz(func(t *testing.T, one, two string) {
		h := header(one, two)
		n := 0
		for part := range strings.SplitSeq(one+";"+two, ";") {
			if strings.HasPrefix(strings.Trim(part, " \t"), "__Host-orgate_session=") {
				n++
			}
		}
		value, ok := Jar{}.Read(h, Session)
		if ok != (n == 1) || (!ok && value != "") {
			t.Errorf("%d cookies of the name, and Read says %q, %v", n, value, ok)
		}
		if (Jar{}).Doubled(h, Session) != (n > 1) {
			t.Errorf("%d cookies of the name, and Doubled says otherwise", n)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	h := header("theme=dark; __Host-orgate_session=QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE; lang=en")
	b.ReportAllocs()
	for b.Loop() {
		Jar{}.Read(h, Session)
	}
}

func TestAJarFullOfOursIsNotReadToItsEnd(t *testing.T) {
	var line strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&line, "__Host-orgate_attempt_%d=x; ", i)
	}
	h := http.Header{"Cookie": {line.String()}}
	if n := len(Jar{}.Names(h, Attempt+"_")); n != 32 {
		t.Errorf("%d names", n)
	}
}

// FuzzOurs compares with the same written step by step.
func FuzzOurs(f *testing.F) {
	for _, name := range []string{"__Host-orgate_session", "forgate_id", "%5F_Host-orgate.login", "__secure___http_orgate_x", "\u2000orgate_flow", "___", "orgate_", "\xff\xfeorgate_a", strings.Repeat("_", 100) + "orgate_x"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		plain := name
		if u, err := url.PathUnescape(name); err == nil {
			plain = u
		}
		folded := strings.Map(func(r rune) rune {
			if r < 0x80 && ('a' <= r|0x20 && r|0x20 <= 'z') {
				return r | 0x20
			}
			if '0' <= r && r <= '9' {
				return r
			}
			return '_'
		}, plain)
		folded = strings.TrimLeft(folded, "_")
		for _, p := range []string{"host_", "secure_", "http_"} {
			folded = strings.TrimLeft(strings.TrimPrefix(folded, p), "_")
		}
		if want := strings.HasPrefix(folded, "orgate_"); Ours(name) != want {
			t.Errorf("%q: %v, want %v", name, Ours(name), want)
		}
	})
}

func TestLookingForOursAllocatesNothing(t *testing.T) {
	b := make([]byte, 0, 256)
	if n := testing.AllocsPerRun(100, func() { b = AppendStripped(b[:0], "theme=dark; __Host-orgate_session=0123456789; lang=en") }); n != 0 || string(b) != "theme=dark; lang=en" {
		t.Errorf("%v allocations, %q", n, b)
	}
}
