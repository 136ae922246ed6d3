package page_test

import (
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/orgate/orgate/internal/page"
)

func TestWhatPagesLinkToIsServedForEver(t *testing.T) {
	link := regexp.MustCompile(`"(` + regexp.QuoteMeta(page.StaticPath) + `[^"]*)"`)
	seen := map[string]bool{}
	for _, p := range gallery() {
		for _, m := range link.FindAllStringSubmatch(show(t, p).Body.String(), -1) {
			seen[m[1]] = true
		}
	}
	if len(seen) < 7 {
		t.Errorf("pages link to %d files only: %v", len(seen), seen)
	}
	for path := range seen {
		for _, mounted := range []string{path, strings.TrimPrefix(path, "/.orgate/static")} {
			rec := httptest.NewRecorder()
			page.Static().ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), "GET", mounted, nil))
			h := rec.Header()
			if rec.Code != 200 || rec.Body.Len() == 0 || h.Get("Cache-Control") != "public, max-age=31536000, immutable" || h.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%s: %d %v", mounted, rec.Code, h)
			}
			want := map[string]string{".svg": "image/svg+xml", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}[filepath.Ext(path)]
			if h.Get("Content-Type") != want {
				t.Errorf("%s is %q, want %q", mounted, h.Get("Content-Type"), want)
			}
		}
	}
}

func TestNothingElseIsServed(t *testing.T) {
	for _, name := range []string{
		"", "orgate.css", "orgate.0000000000000000.css", "favicon.svg", "../page.go", "..%2fpage.go", "templates/base.html", "base.html", "static", ".",
	} {
		rec := httptest.NewRecorder()
		page.Static().ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), "GET", page.StaticPath+name, nil))
		if rec.Code != 404 || rec.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%q: %d %v", name, rec.Code, rec.Header())
		}
	}
	rec := httptest.NewRecorder()
	page.Static().ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), "POST", page.StaticPath, nil))
	if rec.Code != 405 || rec.Header().Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d %v", rec.Code, rec.Header())
	}
}

func TestTheStylesheetIsSmallAndFetchesNothing(t *testing.T) {
	css := regexp.MustCompile(page.StaticPath + `orgate\.[0-9a-f]{16}\.css`).FindString(show(t, gallery()[0]).Body.String())
	rec := httptest.NewRecorder()
	page.Static().ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), "GET", css, nil))
	if n := rec.Body.Len(); n < 6<<10 || n > 16<<10 {
		t.Errorf("the stylesheet has %d bytes, want 6 to 16 KB", n)
	}
	for _, no := range []string{"@import", "url(", "@font-face"} {
		if strings.Contains(rec.Body.String(), no) {
			t.Errorf("the stylesheet has %s", no)
		}
	}
}
