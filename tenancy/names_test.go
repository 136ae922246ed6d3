package tenancy_test

import (
	"net/mail"
	"net/netip"
	"strings"
	"testing"

	"github.com/orgate/orgate/tenancy"
)

func TestASlugIsALowerCaseLabel(t *testing.T) {
	for _, s := range []string{"a", "acme", "acme-2", "9", "a--b", strings.Repeat("a", 63)} {
		if got, err := tenancy.ParseSlug(s); err != nil || string(got) != s {
			t.Errorf("ParseSlug(%q) = %q, %v", s, got, err)
		}
	}
	for _, tt := range []struct{ in, want string }{
		{"", `bad slug "": it is empty`},
		{"-acme", `bad slug "-acme": '-' at byte 0`},
		{"acme-", `bad slug "acme-": '-' at byte 4`},
		{"Acme", `bad slug "Acme": 'A' at byte 0`},
		{"ac.me", `bad slug "ac.me": '.' at byte 2`},
		{"ac me", `bad slug "ac me": ' ' at byte 2`},
		{"xn--acme", `bad slug "xn--acme": "--" at byte 2`},
		{"\u212acme", "bad slug \"\u212acme\": 'â' at byte 0"}, // Kelvin sign
		{strings.Repeat("a", 64), "64 bytes, the most is 63"},
	} {
		if _, err := tenancy.ParseSlug(tt.in); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("ParseSlug(%q): got %v, want %s", tt.in, err, tt.want)
		}
	}
}

func TestAHostHasOneCanonicalSpelling(t *testing.T) {
	for _, tt := range []struct{ in, host, port string }{
		{"acme.app.test", "acme.app.test", ""},
		{"ACME.App.Test", "acme.app.test", ""},
		{"acme.app.test.", "acme.app.test", ""},
		{"acme.app.test:443", "acme.app.test", "443"},
		{"acme.app.test.:8080", "acme.app.test", "8080"},
		{"localhost:1", "localhost", "1"},
		{"acme.localhost", "acme.localhost", ""},
		{"b\u00fccher.example", "xn--bcher-kva.example", ""},
		{"B\u00fcCHER.example", "xn--bcher-kva.example", ""},
		{"XN--BCHER-KVA.example", "xn--bcher-kva.example", ""},
		{"r3---sn-5hne.example", "r3---sn-5hne.example", ""},
		{"127.0.0.1.example", "127.0.0.1.example", ""},
		{"0x7f.example", "0x7f.example", ""},
		{"1e1", "1e1", ""},
	} {
		h, port, err := tenancy.ParseHost(tt.in)
		if err != nil || string(h) != tt.host || port != tt.port {
			t.Errorf("ParseHost(%q) = %q, %q, %v; want %q, %q", tt.in, h, port, err, tt.host, tt.port)
		}
	}
}

func TestWhatIsNoPlainHostNameIsRefused(t *testing.T) {
	for _, s := range []string{
		"", ".", "..", "acme..test", ".acme.test", "acme.test..", ":443", "acme.test:", "acme.test:00443", "acme.test:0443", "acme.test:0",
		"acme.test:65536", "acme.test:evil", "acme.test:443:443", "acme.test:+443", "acme.test: 443", "acme.test:443 ", "acme.test:４４３",
		"127.0.0.1", "127.1", "10.0.0.9", "127.0.0.1.", "2130706433", "0x7f.1", "0x7f000001", "1.0x7f", "0x", "1.0x", "0177.0.0.1", "[::1]", "[::1]:80", "::1", "fe80::1%25eth0",
		" acme.test", "acme.test ", "acme.test\r\nX: y", "acme.test\x00", "acme\t.test", "acme.test/", "acme.test?x", "acme.test#", "user@acme.test", `"acme.test"`, "acme.test,globex.test",
		"ac_me.test", "-acme.test", "acme-.test", "*.test", "%61cme.test",
		strings.Repeat("a", 64) + ".test", strings.Repeat("a.", 127) + "test", strings.Repeat("a", 1<<20),
		"a\u212ame.test",                     // Kelvin sign, which folds to k
		"acme\uff0etest",                     // full-width full stop
		"acme\u3002test",                     // ideographic full stop
		"\uff41cme.test",                     // full-width a
		"B\u00dcCHER.example",                // U-label that is not lower case
		"acme\u00ad.test",                    // soft hyphen, which is mapped to nothing
		"acme\u200b.test", "acme\u200d.test", // zero width
		"xn--acme-.test", "xn--.test", "xn--a.test", "xn--acme.test", "xn--99999999999.test", // not what punycode makes
		"\xff.test",
	} {
		if h, port, err := tenancy.ParseHost(s); err == nil {
			t.Errorf("ParseHost(%q) = %q, %q; want an error", clip(s), h, port)
		} else if len(err.Error()) > 1000 {
			t.Errorf("the error has %d bytes: it must not repeat whatever was sent", len(err.Error()))
		}
	}
}

func clip(s string) string { return s[:min(len(s), 100)] }

func TestADomainHasADotAndNoTrailingOne(t *testing.T) {
	for in, want := range map[string]string{"acme.com": "acme.com", "ACME.Com": "acme.com", "mail.acme.co.uk": "mail.acme.co.uk", "b\u00fccher.example": "xn--bcher-kva.example"} {
		if got, err := tenancy.ParseDomain(in); err != nil || got != want {
			t.Errorf("ParseDomain(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
	for _, s := range []string{"", "acme", "acme.com.", ".acme.com", "acme.com:25", "@acme.com", "1.2.3.4", "*.acme.com", "acme\u3002com"} {
		if got, err := tenancy.ParseDomain(s); err == nil {
			t.Errorf("ParseDomain(%q) = %q, want an error", s, got)
		}
	}
}

func TestAnAddressIsReadByASmallGrammar(t *testing.T) {
	for in, want := range map[string]string{
		"jo@acme.com":           "jo@acme.com",
		"Jo.Doe@ACME.Com":       "jo.doe@acme.com",
		"jo+tag@acme.com":       "jo+tag@acme.com",
		"o'hara@acme.com":       "o'hara@acme.com",
		"a!#$%&*/=?^_`{|}~@a.b": "a!#$%&*/=?^_`{|}~@a.b",
		"jo@xn--bcher-kva.test": "jo@xn--bcher-kva.test",
		"jo@mail.acme.com":      "jo@mail.acme.com",
	} {
		if got, err := tenancy.ParseEmail(in); err != nil || got != want {
			t.Errorf("ParseEmail(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
}

func TestWhatTwoParsersMayReadDifferentlyIsNoAddress(t *testing.T) {
	for _, s := range []string{
		"", "@", "jo", "jo@", "@acme.com", "jo@acme", "a@evil.test@acme.test", "a@@acme.test",
		`"jo"@acme.com`, `"a@b"@acme.com`, `jo\@x@acme.com`, "jo(comment)@acme.com", "jo@acme.com (x)", "Jo <jo@acme.com>", "<jo@acme.com>",
		".jo@acme.com", "jo.@acme.com", "j..o@acme.com", "jo@acme.com.", "jo@.acme.com", "jo@acme..com", "jo@-acme.com",
		"jo@acme.com\n", "jo\n@acme.com", "jo@acme.com\r\nBcc: x@y.z", " jo@acme.com", "jo@acme.com ", "j o@acme.com", "jo@acme.com\x00", "jo@acme.com,x@y.z", "jo;x@acme.com", "mailto:jo@acme.com",
		"jo@[127.0.0.1]", "jo@127.0.0.1", "jo@127.1", "jo@0x7f.1",
		"jo\uff20acme.com", "jo@acme\uff0ecom", "\u212aim@acme.com", "jo@\u212acme.com", "jo@acme\u3002com", "d\u0131na@acme.com", "j\u00f6@acme.com", "jo@b\u00fccher.example", "jo@acme.com\u200b",
		"jo@xn--acme-.com",
		strings.Repeat("a", 65) + "@acme.com", strings.Repeat("a", 400) + "@acme.com", "jo@" + strings.Repeat("a.", 125) + "com",
	} {
		if got, err := tenancy.ParseEmail(s); err == nil {
			t.Errorf("ParseEmail(%q) = %q, want an error", s, got)
		}
	}
}

func TestTheDomainOfAnAddressIsWhatComesAfterTheAt(t *testing.T) {
	if got := tenancy.EmailDomain("jo@acme.com"); got != "acme.com" {
		t.Errorf("got %q", got)
	}
	if got := tenancy.EmailDomain(""); got != "" {
		t.Errorf("got %q", got)
	}
}

func TestPublicMailDomainsAreKnown(t *testing.T) {
	for _, s := range []string{"gmail.com", "outlook.com", "icloud.com", "proton.me", "gmx.de", "qq.com"} {
		if !tenancy.PublicMailDomain(s) {
			t.Errorf("%s can be claimed", s)
		}
	}
	for _, s := range []string{"acme.com", "mail.gmail.com.acme.com", "notgmail.com", ""} {
		if tenancy.PublicMailDomain(s) {
			t.Errorf("%s can't be claimed", s)
		}
	}
}

func FuzzParseSlug(f *testing.F) {
	for _, s := range []string{"acme", "-", "xn--a", "A"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		slug, err := tenancy.ParseSlug(s)
		if err != nil {
			return
		}
		// A slug makes a host of any base, and that host is what it says.
		h, _, err := tenancy.ParseHost(string(slug) + ".example.com")
		if err != nil || string(h) != s+".example.com" {
			t.Errorf("slug %q makes host %q, %v", s, h, err)
		}
	})
}

func FuzzParseHost(f *testing.F) {
	for _, s := range []string{"acme.test:443", "ACME.test.", "[::1]", "127.1", "0x7f.1", "b\u00fccher.example", "xn--bcher-kva.example", "a\u3002b", "xn--acme-.test"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		h, port, err := tenancy.ParseHost(s)
		if err != nil {
			return
		}
		again, none, err := tenancy.ParseHost(string(h))
		if err != nil || again != h || none != "" {
			t.Errorf("%q is %q, and that is %q, %q, %v", s, h, again, none, err)
		}
		if _, err := netip.ParseAddr(string(h)); err == nil {
			t.Errorf("%q is the address %q", s, h)
		}
		if strings.Trim(string(h), "abcdefghijklmnopqrstuvwxyz0123456789-.") != "" || len(h) > 253 || strings.Trim(port, "0123456789") != "" {
			t.Errorf("%q is %q, %q", s, h, port)
		}
		// The canonical host is the one that was meant: no byte of ASCII came from anything else.
		if plain := strings.ToLower(s); strings.Trim(s, "\x00") == s && !strings.Contains(plain, "xn--") && !strings.Contains(string(h), "xn--") {
			rest := strings.TrimSuffix(strings.TrimPrefix(plain, string(h)), ":"+port)
			if rest != "" && rest != "." {
				t.Errorf("%q is %q, %q: %q is left over", s, h, port, rest)
			}
		}
	})
}

func FuzzParseDomain(f *testing.F) {
	for _, s := range []string{"acme.com", "ACME.com", "b\u00fccher.example", "a.b.", "1.2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := tenancy.ParseDomain(s)
		if err != nil {
			return
		}
		if again, err := tenancy.ParseDomain(d); err != nil || again != d {
			t.Errorf("%q is %q, and that is %q, %v", s, d, again, err)
		}
		if h, port, err := tenancy.ParseHost(d); err != nil || string(h) != d || port != "" {
			t.Errorf("domain %q is host %q, %q, %v", d, h, port, err)
		}
	})
}

func FuzzParseEmail(f *testing.F) {
	for _, s := range []string{"jo@acme.com", "Jo@ACME.com", `"a"@b.c`, "a@b@c.d", "a\uff20b.c", "\u212a@b.c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e, err := tenancy.ParseEmail(s)
		if err != nil {
			return
		}
		if again, err := tenancy.ParseEmail(e); err != nil || again != e {
			t.Errorf("%q is %q, and that is %q, %v", s, e, again, err)
		}
		if !strings.EqualFold(s, e) || len(s) != len(e) {
			t.Errorf("%q is %q", s, e)
		}
		if d, err := tenancy.ParseDomain(tenancy.EmailDomain(e)); err != nil || d != tenancy.EmailDomain(e) {
			t.Errorf("domain of %q: %q, %v", e, d, err)
		}
		// What we take, everybody else reads as we do.
		if a, err := mail.ParseAddress(e); err != nil || a.Address != e || a.Name != "" {
			t.Errorf("net/mail reads %q as %v, %v", e, a, err)
		}
	})
}
