package page_test

import (
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"golang.org/x/net/html"

	"github.com/orgate/orgate/internal/page"
	"github.com/orgate/orgate/internal/text"
)

// carrying is the page that carries a message to a provider. It is in no gallery, as it leads on
// by itself.
func carrying(to string) picture {
	return picture{"carrying", func(w http.ResponseWriter, r *http.Request) error {
		return page.Carrying{Brand: globex, Action: to, Hidden: map[string]string{"SAMLRequest": "PHNhbWxwOkF1dGhuUmVxdWVzdD4=", "RelayState": `"><b>`}, Name: "globex-adfs"}.Render(w, r, 200)
	}}
}

func TestAMessageIsCarriedByOneScriptAndAForm(t *testing.T) {
	rec := show(t, carrying("https://adfs.globex.example/adfs/ls/"))
	got := assetHash.ReplaceAllString(rec.Body.String(), "$1.HASH.")
	file := filepath.Join("testdata", "carrying.golden")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || got != string(want) {
		t.Errorf("%v\ngot:\n%s\nwant:\n%s", err, got, want)
	}
}

// A page that carries a message leaves by itself, so it is not in the gallery: what holds of every
// page there is held here.
func TestAPageThatCarriesAMessageHasOneScriptAndGoesToOnePlace(t *testing.T) {
	message := `"><script>alert(1)</script>'&<b>`
	for _, l := range text.Locales() {
		rec := httptest.NewRecorder()
		p := page.Carrying{Brand: acme, Action: "https://adfs.acme.com/adfs/ls/?a=b&c=\"d", Hidden: map[string]string{"SAMLRequest": message, "RelayState": "<i>"}, Name: `Acme "ADFS" <script>`}
		if err := p.Render(rec, request(l), http.StatusOK); err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]string{
			"Content-Type":            "text/html; charset=utf-8",
			"Cache-Control":           "no-store",
			"X-Content-Type-Options":  "nosniff",
			"X-Frame-Options":         "DENY",
			"Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; form-action 'self' https://adfs.acme.com https:; frame-ancestors 'none'; base-uri 'none'",
		} {
			if got := rec.Header().Get(name); got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
		doc, err := html.Parse(strings.NewReader(rec.Body.String()))
		if err != nil {
			t.Fatal(err)
		}
		count, fields := map[string]int{}, map[string]string{}
		for n := range doc.Descendants() {
			if n.Type != html.ElementNode {
				continue
			}
			count[n.Data]++
			attrs := map[string]string{}
			for _, a := range n.Attr {
				attrs[a.Key] = a.Val
				if strings.HasPrefix(a.Key, "on") || a.Key == "style" {
					t.Errorf("<%s> has %s", n.Data, a.Key)
				}
			}
			switch n.Data {
			case "form":
				if u, err := url.Parse(attrs["action"]); err != nil || u.Host != "adfs.acme.com" || u.Query().Get("a") != "b" || attrs["method"] != "post" {
					t.Errorf("the form goes to %s", attrs["action"])
				}
			case "input":
				fields[attrs["name"]] = attrs["value"]
			case "script":
				if !strings.HasPrefix(attrs["src"], page.StaticPath) || n.FirstChild != nil {
					t.Errorf("a script from %q", attrs["src"])
				}
			}
		}
		if fmt.Sprint(fields) != fmt.Sprint(p.Hidden) {
			t.Errorf("it carries %q", fields)
		}
		for tag, want := range map[string]int{"title": 1, "h1": 1, "main": 1, "form": 1, "button": 1, "script": 1, "b": 0, "i": 0, "iframe": 0} {
			if count[tag] != want {
				t.Errorf("%s: %d <%s>, want %d", l, count[tag], tag, want)
			}
		}
	}
	for _, to := range []string{"javascript:alert(1)", "data:text/html,x", "ftp://adfs.acme.com/", "/relative", "", "https://", "//adfs.acme.com/x"} {
		rec := httptest.NewRecorder()
		err := page.Carrying{Action: to, Name: "x"}.Render(rec, request(text.English), http.StatusOK)
		if err == nil || rec.Body.Len() > 0 {
			t.Errorf("%q: %v, and %d bytes", to, err, rec.Body.Len())
		}
	}
}

// TestAMessageIsCarriedWithAndWithoutScripts: by itself where scripts run, else by a click.
func TestAMessageIsCarriedWithAndWithoutScripts(t *testing.T) {
	tab := browser(t)
	var provider *httptest.Server
	mux := http.NewServeMux()
	mux.HandleFunc("POST /sso", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "<title>provider</title>%s %s", r.PostFormValue("SAMLRequest"), map[bool]string{true: "whole"}[r.PostFormValue("RelayState") == `"><b>`])
	})
	mux.HandleFunc("GET /favicon.ico", func(http.ResponseWriter, *http.Request) {})
	provider = httptest.NewServer(mux)
	t.Cleanup(provider.Close)
	own := http.NewServeMux()
	own.Handle("GET "+page.StaticPath, page.Static())
	own.HandleFunc("GET /carrying", func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set("Accept-Language", r.URL.Query().Get("lang"))
		if err := carrying(provider.URL+"/sso").show(w, r); err != nil {
			t.Error(err)
		}
	})
	srv := httptest.NewServer(own)
	t.Cleanup(srv.Close)

	scripts := func(off bool) {
		t.Helper()
		if _, err := chromedp.Call(tab.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: off}); err != nil {
			t.Fatal(err)
		}
	}
	delivered := func() {
		t.Helper()
		tab.arrives(t, provider.URL+"/sso")
		tab.until(t, func() bool {
			said, err := chromedp.Run(tab.ctx, chromedp.Evaluate[string](`document.body ? document.body.innerText : ""`))
			return err == nil && said == "PHNhbWxwOkF1dGhuUmVxdWVzdD4= whole"
		})
	}
	tab.do(t, chromedp.Navigate(srv.URL+"/carrying?lang=en"))
	delivered()

	scripts(true)
	for _, look := range []struct {
		width  int64
		scheme string
		in     text.Locale
	}{{320, "light", text.German}, {320, "dark", text.English}, {1280, "light", text.English}, {1280, "dark", text.German}} {
		tab.look(t, look.width, look.scheme)
		tab.do(t, chromedp.Navigate(srv.URL+"/carrying?lang="+string(look.in)))
		at := fmt.Sprintf("carrying-%d-%s-%s", look.width, look.scheme, look.in)
		checkShape(t, tab, at)
		if flag.Lookup("test.artifacts").Value.String() == "true" {
			picture := run(t, tab, chromedp.FullScreenshot(100))
			if err := os.WriteFile(filepath.Join(t.ArtifactDir(), at+".png"), picture, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	tab.click(t, "form button")
	delivered()
	if said := tab.said(); len(said) > 0 {
		t.Errorf("the browser's console says %q", said)
	}
}
