package config

import (
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/orgate/orgate/tenancy"
)

func TestAHostPatternHasOneLabelForTheSlug(t *testing.T) {
	for _, bad := range []string{"", "example.com", "{org}", "{org}.{org}.com", "x{org}.example.com", "{org}x.example.com", "{org}..com", "{org}.example.com.", "{org}.example.com:80", "{org}.EXAMPLE.com", "{org}.exa mple.com", "http://{org}.example.com"} {
		if p, err := ParseHostPattern(bad); err == nil {
			t.Errorf("%q is the pattern %v", bad, p)
		}
	}
	p, err := ParseHostPattern("www.{org}.example.com")
	if err != nil {
		t.Fatal(err)
	}
	if p.Host("acme") != "www.acme.example.com" || p.String() != "www.{org}.example.com" {
		t.Errorf("%v: host %s", p, p.Host("acme"))
	}
	for host, want := range map[tenancy.Host]tenancy.Slug{
		"www.acme.example.com": "acme", "acme.example.com": "", "www.a.b.example.com": "", "www..example.com": "", "www.example.com": "", "xwww.acme.example.com": "", "www.acme.example.com.evil.com": "",
	} {
		if slug, ok := p.Match(host); slug != want || ok != (want != "") {
			t.Errorf("%s is %q, %t; want %q", host, slug, ok, want)
		}
	}
	if _, ok := (HostPattern{}).Match("acme.example.com"); ok {
		t.Error("the zero pattern matches")
	}
}

func TestHostPatternsOverlapWhereOneHostMatchesBoth(t *testing.T) {
	for _, c := range []struct{ a, b, want string }{
		{"{org}.example.com", "{org}.example.com", "acme.example.com"},
		{"{org}.example.com", "{org}.example.org", ""},
		{"{org}.example.com", "app.{org}.com", "app.example.com"},
		{"{org}.example.com", "{org}.app.example.com", ""},
		{"a.{org}.example.com", "b.{org}.example.com", ""},
		{"{org}.b.com", "a.{org}.com", "a.b.com"},
	} {
		a, err := ParseHostPattern(c.a)
		b, err2 := ParseHostPattern(c.b)
		if err = errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		host, ok := a.overlaps(b)
		if host != c.want || ok != (c.want != "") {
			t.Errorf("%s and %s overlap at %q, want %q", c.a, c.b, host, c.want)
		}
		if ok {
			if _, m := a.Match(tenancy.Host(host)); !m {
				t.Errorf("%s does not match %s", c.a, host)
			}
			if _, m := b.Match(tenancy.Host(host)); !m {
				t.Errorf("%s does not match %s", c.b, host)
			}
		}
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]Size{"0": 0, "1": 1, "1048576": 1 << 20, "64KiB": 64 << 10, "10MiB": 10 << 20, "2GiB": 2 << 30} {
		if got, err := parseSize(text); got != want || err != nil {
			t.Errorf("%s is %d, %v; want %d", text, got, err, want)
		}
	}
	for _, bad := range []string{"", "KiB", "-1", "1.5MiB", "10MB", "10 MiB", "99999999GiB", "1e3", "+1"} {
		if got, err := parseSize(bad); err == nil {
			t.Errorf("%q is %d", bad, got)
		}
	}
	if got := Size(10<<20).String() + Size(1500).String() + Size(0).String(); got != "10MiB15000" {
		t.Errorf("sizes are written %s", got)
	}
}

func TestURLsHaveNothingInThemThatIsNotMeant(t *testing.T) {
	for _, bad := range []string{
		"", "login.example.com", "//login.example.com", "ftp://a.b", "https://", "https://a.b/x", "https://a.b?x", "https://a.b#", "https://a.b?", "https://u:p@a.b",
		"https://a.b:0", "https://a.b:", "https://a.b:70000", "https:a.b", "https://a b", "https://a.b\\x", "javascript:alert(1)", "https://a.b/%2f", "https://a.b\n",
	} {
		if u, err := parseSite(bad); err == nil {
			t.Errorf("%q is %v", bad, u)
		}
	}
	for in, want := range map[string]string{"https://a.b": "https://a.b", "https://a.b/": "https://a.b", "http://127.0.0.1:80": "http://127.0.0.1:80", "http://[::1]:80/": "http://[::1]:80"} {
		if u, err := parseSite(in); err != nil || u.String() != want {
			t.Errorf("%s is %v, %v; want %s", in, u, err, want)
		}
	}
	for in, ok := range map[string]bool{
		"https://a.b/realms/x": true, "http://127.0.0.1:5556/dex": true, "http://idp.localhost": true, "http://a.b": false, "http://localhost.evil.com": false,
		"https://a.b?x=1": false, "https://u@a.b": false,
	} {
		if _, err := parseIssuer(in); (err == nil) != ok {
			t.Errorf("issuer %s: %v", in, err)
		}
	}
}

func TestTheNearestKeyIsTheOneThatWasMeant(t *testing.T) {
	keys := []string{"listen", "public_url", "session", "store", "sign_in", "roles"}
	for in, want := range map[string]string{"lisen": "listen", "lsiten": "listen", "publicurl": "public_url", "role": "roles", "sesion": "session", "zebra": "", "x": "", "": ""} {
		if got := nearest(in, keys); got != want {
			t.Errorf("%q is taken for %q, want %q", in, got, want)
		}
	}
	if distance("abcd", "acbd") != 1 || distance("", "abc") != 3 || distance("kitten", "sitting") != 3 {
		t.Error("distances are wrong")
	}
}

func TestAFailedBuildLeavesWhatIsInForce(t *testing.T) {
	var l Live[string]
	build := func(s string, err error) func(*Config) (*string, error) {
		return func(*Config) (*string, error) { return &s, err }
	}
	if err := l.Reload(nil, build("one", nil)); err != nil || *l.Load() != "one" {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	if err := l.Reload(nil, build("two", broken)); !errors.Is(err, broken) || *l.Load() != "one" {
		t.Errorf("in force is %s, after %v", *l.Load(), err)
	}
}

// Each of these is small to write and would be large to read.
func TestAFileThatIsMadeToExhaustIsRefusedOrReadInModestMemory(t *testing.T) {
	n := maxNodes - 10
	for what, text := range map[string]string{
		"as long as can be":         "listen: " + strings.Repeat("x", maxFile-10),
		"longer":                    "listen: " + strings.Repeat("x", maxFile),
		"as many entries as can be": "roles: [" + strings.Repeat("a,", n) + "]",
		"more":                      "roles: [" + strings.Repeat("a,", maxNodes) + "]",
		"deep":                      strings.Repeat("[", 1<<20),
		"deep in lines":             strings.Repeat("- ", 1<<20),
		"a bomb":                    "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c,*c,*c]\n",
		"unknown keys":              strings.Repeat("abc: 1\n", 1<<16),
		"faults in one long line":   "roles: [" + strings.Repeat("{ slgu: a, client_secret: b }, ", 1<<12) + "]",
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := readText(text, noEnv)
		runtime.ReadMemStats(&after)
		if err == nil || len(err.Error()) > 1<<20 {
			t.Errorf("%s: the error has %d bytes", what, len(err.Error()))
		}
		if mib := (after.TotalAlloc - before.TotalAlloc) >> 20; mib > 1024 {
			t.Errorf("%s: %d MiB were allocated", what, mib)
		}
	}
}

// FuzzFaultsShowNoSecret puts whatever it likes around a secret.
func FuzzFaultsShowNoSecret(f *testing.F) {
	for _, after := range []string{"", ", x: 1", "\n        unknown: 1", ": x", " #c", "\n       more", "\"", "'", " }", "\n\tx: y", "]", "@x", "\\"} {
		f.Add(after)
	}
	f.Fuzz(func(t *testing.T, after string) {
		if strings.Contains(after, "hunter2") {
			return // it brings its own
		}
		for _, before := range []string{
			"    - name: x\n      client_secret: ", "    - { name: x, client_secret: ", "    - { name: x, client_secret: \"", "    - { name: x, client_secret: '",
			"    - name: x\n      client_secret: |\n        ", "    - name: x\n      client_secret: \"a\n        ", "    - client_secrte: ", "    - passwords: [",
			"    - name: x\n      issuer: https://me:", "    - name: x\n      issuer: \"https://me:",
		} {
			if strings.Contains(before, "issuer") {
				after = "@idp.acme.com" + after
			}
			_, err := readText(least+"organizations:\n- slug: acme\n  connections:\n"+before+"hunter2"+after, noEnv)
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Fatalf("after %q, with %q: %v", before, after, err)
			}
		}
	})
}

func TestAResolverIsAnAddressAndAPort(t *testing.T) {
	for in, ok := range map[string]bool{
		"127.0.0.1:53": true, "[::1]:5353": true, "[fe80::1%eth0]:53": true,
		"127.0.0.1": false, "::1": false, "ns.example.com:53": false, ":53": false, "127.0.0.1:0": false, "127.0.0.1:65536": false, "127.1:53": false, "": false,
	} {
		if _, err := parseAddrPort(in); (err == nil) != ok {
			t.Errorf("%q: %v", in, err)
		}
	}
}
