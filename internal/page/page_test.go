package page_test

import (
	"cmp"
	"flag"
	"html/template"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/orgate/orgate/internal/page"
	"github.com/orgate/orgate/internal/text"
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
		referrer, script := "no-referrer", ""
		if strings.Contains(rec.Body.String(), "<form") {
			referrer = "same-origin"
		}
		if strings.Contains(rec.Body.String(), "data-passkey=") {
			script = " script-src 'self';"
		}
		for name, want := range map[string]string{
			"Content-Type":            "text/html; charset=utf-8",
			"Cache-Control":           "no-store",
			"Referrer-Policy":         referrer,
			"X-Content-Type-Options":  "nosniff",
			"X-Frame-Options":         "DENY",
			"Content-Security-Policy": "default-src 'none'; style-src 'self';" + script + " img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
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
			passkeys := false
			for n := range doc.Descendants() {
				if n.Type != html.ElementNode {
					continue
				}
				count[n.Data]++
				for _, a := range n.Attr {
					passkeys = passkeys || a.Key == "data-passkey"
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
						if !strings.HasPrefix(a.Val, "/") && !strings.HasPrefix(a.Val, "https://") && !strings.HasPrefix(a.Val, "data:image/png;base64,") {
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
			scripts := 0
			if passkeys {
				scripts = 1
			}
			for tag, want := range map[string]int{"title": 1, "h1": 1, "main": 1, "script": scripts, "style": 0, "svg": 0, "iframe": 0} {
				if count[tag] != want {
					t.Errorf("%d <%s>, want %d", count[tag], tag, want)
				}
			}
		})
	}
}

// TestAPageIsInTheLanguageOfWhoReadsIt looks for English on the German pages: each text of
// the gallery is in the catalogue, so what is left was not looked up.
func TestAPageIsInTheLanguageOfWhoReadsIt(t *testing.T) {
	for _, p := range gallery() {
		if strings.HasPrefix(p.name, "hostile-") || strings.HasPrefix(p.name, "long-") {
			continue // which say what no catalogue has
		}
		german := sentences(t, showIn(t, p, text.German))
		for s := range sentences(t, showIn(t, p, text.English)) {
			if german[s] && !sameInGerman.MatchString(s) {
				t.Errorf("%s says %q in German", p.name, s)
			}
		}
	}
}

// sameInGerman is what is not said by us, or the same in both languages.
var sameInGerman = regexp.MustCompile(`^(Acme (Inc\.|Okta|Entra ID|Inc\., Globex Corporation)|Globex( Corporation| Entra ID)?|Initech|Jo.*|jo@.*|.*\.example\.com|Admin|Member|Billing manager|Phone|GitHub|Google|Name|Passkeys?|[0-9].*|·|[.,:]|[a-z0-9]{4}-[a-z0-9]{4}|JBSW.*|[A-Z0-9]{26}|Code|G|A|J|I)$`)

// sentences returns the texts of a page, and those in its attributes.
func sentences(t *testing.T, rec *httptest.ResponseRecorder) map[string]bool {
	t.Helper()
	doc, err := html.Parse(rec.Body)
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for n := range doc.Descendants() {
		if s := strings.TrimSpace(n.Data); n.Type == html.TextNode && s != "" {
			there[s] = true
		}
		for _, a := range n.Attr {
			if a.Key == "alt" && a.Val != "" || a.Key == "value" && n.Data == "input" && strings.Contains(a.Val, " ") {
				there[a.Val] = true
			}
		}
	}
	return there
}

func TestARequestIsAskedForItsLanguageAndNothingElse(t *testing.T) {
	rec := httptest.NewRecorder()
	// All the rest of it is nil: whatever looked at it would panic.
	r := &http.Request{Header: http.Header{"Accept-Language": {"fr", "de;q=0.5"}}}
	if err := (page.SignIn{Action: "/"}).Render(rec, r, 200); err != nil {
		t.Fatal(err)
	}
	if body := rec.Body.String(); !strings.Contains(body, `<html lang="de">`) || !strings.Contains(body, "Anmelden") || rec.Header().Get("Vary") != "Accept-Language" {
		t.Errorf("%v %s", rec.Header(), body)
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
			Render(http.ResponseWriter, *http.Request, int) error
		}{
			"SignIn":          page.SignIn{Action: bad},
			"SignIn, passkey": page.SignIn{Action: "/", Passkey: &page.PasskeyRequest{Action: cmp.Or(bad, "relative")}},
			"EnterCode":       page.EnterCode{Action: bad},
			"EnterPassword":   page.EnterPassword{Action: bad},
			"UsePasskey":      page.UsePasskey{Action: bad},
			"SecondFactor":    page.SecondFactor{Action: bad, Kind: "totp"},
			"NewPassword":     page.NewPassword{Action: bad},
			"CreatePasskey":   page.CreatePasskey{Action: bad},
			"EnrollTOTP":      page.EnrollTOTP{Action: bad, QR: "data:image/png;base64,"},
			"EnrollTOTP, QR":  page.EnrollTOTP{Action: "/", QR: template.URL(bad)},
			"RecoveryCodes":   page.RecoveryCodes{Done: bad},
			"ChangeEmail":     page.ChangeEmail{Action: bad},
			"Confirm":         page.Confirm{Action: bad},
			"Choose":          page.Choose{Action: bad},
			"Organizations":   page.Organizations{Entries: []page.OrganizationEntry{{URL: bad}}},
			"Account":         page.Account{Revoke: bad, Sessions: []page.AccountSession{{}}},
			"SignOut":         page.SignOut{Action: bad},
			"Continue":        page.Continue{Action: bad},
			"Leaving":         page.Leaving{To: bad},
		} {
			rec := httptest.NewRecorder()
			if err := p.Render(rec, request(text.English), 200); err == nil {
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
		err := page.SignIn{Action: "/sign-in", FormAction: tt.allowed}.Render(rec, request(text.English), 200)
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
	if err := (page.Continue{Title: text.T("Go on"), Action: "https://idp.example/saml"}).Render(rec, request(text.English), 200); err != nil {
		t.Fatal(err)
	}
	if got := rec.Header().Get("Content-Security-Policy"); !strings.Contains(got, "form-action 'self' https://idp.example;") {
		t.Errorf("the form may not lead to its own action: %s", got)
	}
}

// show renders p into a recorder.
func show(t *testing.T, p picture) *httptest.ResponseRecorder { return showIn(t, p, text.English) }

func showIn(t *testing.T, p picture, l text.Locale) *httptest.ResponseRecorder {
	t.Helper()
	rec := httptest.NewRecorder()
	if err := p.show(rec, request(l)); err != nil {
		t.Fatalf("%s: %v", p.name, err)
	}
	return rec
}
