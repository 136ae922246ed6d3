package page_test

import (
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/orgate/orgate/internal/page"
)

var update = flag.Bool("update", false, "write the golden files")

// assetHash is what changes in a page when a stylesheet does.
var assetHash = regexp.MustCompile(`(/\.orgate/static/[a-z]+)\.[0-9a-f]{16}\.`)

func TestEveryPageIsAsItWasAgreed(t *testing.T) {
	for _, p := range gallery() {
		if strings.HasPrefix(p.name, "long-") {
			continue // ten kilobytes of the same
		}
		t.Run(p.name, func(t *testing.T) {
			got := assetHash.ReplaceAllString(show(t, p).Body.String(), "$1.HASH.")
			file := filepath.Join("testdata", p.name+".golden")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("the page changed; if it was meant to, run go test ./internal/page -update\ngot:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

func TestEveryPageKeepsScriptsFramesAndCachesOut(t *testing.T) {
	for _, p := range gallery() {
		rec := show(t, p)
		referrer := "no-referrer"
		if strings.Contains(rec.Body.String(), "<form") {
			referrer = "same-origin"
		}
		for name, want := range map[string]string{
			"Content-Type":            "text/html; charset=utf-8",
			"Cache-Control":           "no-store",
			"Referrer-Policy":         referrer,
			"X-Content-Type-Options":  "nosniff",
			"X-Frame-Options":         "DENY",
			"Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
		} {
			if got := rec.Header().Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", p.name, name, got, want)
			}
		}
	}
}

// TestEveryPageCanBeReadAloud holds the structure that screen readers live on, for
// hostile data too: what a person typed adds no element and no attribute.
func TestEveryPageCanBeReadAloud(t *testing.T) {
	for _, p := range gallery() {
		t.Run(p.name, func(t *testing.T) {
			doc, err := html.Parse(strings.NewReader(show(t, p).Body.String()))
			if err != nil {
				t.Fatal(err)
			}
			count, ids := map[string]int{}, map[string]bool{}
			var refs []string
			for n := range doc.Descendants() {
				if n.Type != html.ElementNode {
					continue
				}
				count[n.Data]++
				for _, a := range n.Attr {
					switch {
					case a.Key == "id":
						if ids[a.Val] {
							t.Errorf("two elements have the id %q", a.Val)
						}
						ids[a.Val] = true
					case a.Key == "for", strings.HasPrefix(a.Key, "aria-") && (strings.HasSuffix(a.Key, "by")):
						refs = append(refs, strings.Fields(a.Val)...)
					case strings.HasPrefix(a.Key, "on"), a.Key == "style", a.Key == "srcdoc":
						t.Errorf("<%s> has %s=%q", n.Data, a.Key, a.Val)
					case a.Key == "href" || a.Key == "action" || a.Key == "src":
						if !strings.HasPrefix(a.Val, "/") && !strings.HasPrefix(a.Val, "https://") {
							t.Errorf("<%s> leads to %q", n.Data, a.Val)
						}
					}
				}
			}
			for _, ref := range refs {
				if !ids[ref] {
					t.Errorf("nothing has the id %q, which is referred to", ref)
				}
			}
			for tag, want := range map[string]int{"title": 1, "h1": 1, "main": 1, "script": 0, "style": 0, "svg": 0, "iframe": 0} {
				if count[tag] != want {
					t.Errorf("%d <%s>, want %d", count[tag], tag, want)
				}
			}
		})
	}
}

func TestNoNameTurnsTextAround(t *testing.T) {
	for _, p := range gallery() {
		if i := strings.IndexAny(show(t, p).Body.String(), "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"); i >= 0 {
			t.Errorf("%s has a direction override at byte %d", p.name, i)
		}
	}
}

func TestAPageThatLeadsToAForeignSchemeIsNotWritten(t *testing.T) {
	for _, bad := range []string{
		"javascript:alert(1)", "JaVaScRiPt:alert(1)", " javascript:alert(1)", "data:text/html,x", "vbscript:x", "ftp://a.example/", "//evil.example/", `/\evil.example`, `\\evil.example`,
		"https:evil.example", "https://user@evil.example/", "https://", "mailto:a@b.example", "", "relative", "https://a b.example/", "https://*/",
	} {
		for name, p := range map[string]interface {
			Render(http.ResponseWriter, int) error
		}{
			"SignIn":        page.SignIn{Action: bad},
			"Choose":        page.Choose{Action: bad},
			"Organizations": page.Organizations{Entries: []page.OrganizationEntry{{URL: bad}}},
			"Account":       page.Account{Revoke: bad, Sessions: []page.AccountSession{{}}},
			"SignOut":       page.SignOut{Action: bad},
			"Continue":      page.Continue{Action: bad},
			"Leaving":       page.Leaving{To: bad},
		} {
			rec := httptest.NewRecorder()
			if err := p.Render(rec, 200); err == nil {
				t.Errorf("%s leads to %q", name, bad)
			}
			if rec.Body.Len() > 0 || len(rec.Header()) > 0 {
				t.Errorf("%s failed for %q and wrote %q %v", name, bad, rec.Body, rec.Header())
			}
		}
	}
}

func TestAFormLeadsOnlyWhereItsPageSays(t *testing.T) {
	for _, tt := range []struct {
		allowed []string
		want    string // "" is refused
	}{
		{nil, "'self'"},
		{[]string{"https://idp.example/authorize?client_id=a;b%20'unsafe'"}, "'self' https://idp.example"},
		{[]string{"https://IDP.example:8443/a", "https://idp.example:8443/b"}, "'self' https://idp.example:8443"},
		{[]string{"http://localhost:4000"}, "'self' http://localhost:4000"},
		{[]string{"http://[::1]:4000"}, "'self' http://[::1]:4000"},
		{[]string{"https:"}, "'self' https:"},
		{[]string{"*"}, ""},
		{[]string{"https://*"}, ""},
		{[]string{"https://*.example"}, ""},
		{[]string{"https://a.example;script-src *"}, ""},
		{[]string{"https://a.example,script-src"}, ""},
		{[]string{"https://a.example https://b.example"}, ""},
		{[]string{"https://a@b.example"}, ""},
		{[]string{"https:///path"}, ""},
		{[]string{"'unsafe-inline'"}, ""},
		{[]string{"javascript:"}, ""},
		{[]string{"http:"}, ""},
		{[]string{""}, ""},
	} {
		rec := httptest.NewRecorder()
		err := page.SignIn{Action: "/sign-in", FormAction: tt.allowed}.Render(rec, 200)
		if tt.want == "" {
			if err == nil || rec.Body.Len() > 0 {
				t.Errorf("%q: was not refused: %v", tt.allowed, rec.Header())
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", tt.allowed, err)
		}
		if got := rec.Header().Get("Content-Security-Policy"); !strings.Contains(got, "; form-action "+tt.want+"; ") {
			t.Errorf("%q: %s, want form-action %s", tt.allowed, got, tt.want)
		}
	}
	rec := httptest.NewRecorder()
	if err := (page.Continue{Title: "Go on", Action: "https://idp.example/saml"}).Render(rec, 200); err != nil {
		t.Fatal(err)
	}
	if got := rec.Header().Get("Content-Security-Policy"); !strings.Contains(got, "form-action 'self' https://idp.example;") {
		t.Errorf("the form may not lead to its own action: %s", got)
	}
}

// show renders p into a recorder.
func show(t *testing.T, p picture) *httptest.ResponseRecorder {
	t.Helper()
	rec := httptest.NewRecorder()
	if err := p.show(rec); err != nil {
		t.Fatalf("%s: %v", p.name, err)
	}
	return rec
}
