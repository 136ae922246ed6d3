package page

import (
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/orgate/orgate/internal/endpoint"
	"github.com/orgate/orgate/internal/text"
)

func TestWhoAsksForHTMLGetsAPageAndEverybodyElseJSON(t *testing.T) {
	for _, tt := range []struct {
		accept string
		want   bool
	}{
		{"", false},
		{"*/*", false}, // curl, fetch
		{"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true},                                                                         // Firefox, Safari
		{"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7", true}, // Chrome
		{"application/json", false},
		{"application/json, text/plain, */*", false},              // axios
		{"application/json, text/javascript, */*; q=0.01", false}, // jQuery
		{"text/html, */*; q=0.01", true},                          // htmx, jQuery for HTML
		{"application/json, text/html;q=0.9", false},
		{"application/json;q=0.8, text/html;q=0.9", true},
		{"application/json, text/html", true},
		{"application/*, text/html;q=0.5", false},
		{"application/*;q=0.1, application/json;q=0.9, text/html;q=0.5", false},
		{"text/*", true},
		{"text/*, text/html;q=0", false},
		{"text/html;q=0", false},
		{"text/html;q=0.000", false},
		{"text/html;q=-1", false},
		{"text/html;q=2", false},
		{"text/html;q=NaN", false},
		{"text/html;q=x", false},
		{"TEXT/HTML; Q=0.5", true},
		{"text/html;level=1;q=0.5", true},
		{`text/html;a="b`, false},
		{"text/htmlx", false},
		{"xtext/html", false},
		{"application/xhtml+xml", false},
		{strings.Repeat("a/b,", 2000) + "text/html", false}, // beyond what is read
	} {
		if got := prefersHTML(tt.accept); got != tt.want {
			t.Errorf("%q wants HTML: %v, want %v", tt.accept, got, tt.want)
		}
	}
	r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
	r.Header["Accept"] = []string{"application/xml", "text/html"}
	if !WantsHTML(r) {
		t.Error("the second Accept header was not read")
	}
}

func FuzzAcceptNeverFails(f *testing.F) {
	for _, s := range []string{"text/html", "text/html;q=0.5, */*", `a/b;c="d,e";q=1`, ";;,,", "text/*;q=1e400"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, accept string) {
		if prefersHTML(accept) && !strings.Contains(strings.ToLower(accept), "text/") {
			t.Errorf("%q does not name HTML", accept)
		}
	})
}

func TestAnErrorIsToldToProgramsAsJSON(t *testing.T) {
	rec := httptest.NewRecorder()
	rec.Header().Set("Retry-After", "60")
	Errors{}.RenderError(rec, httptest.NewRequestWithContext(t.Context(), "GET", "/", nil), &endpoint.Error{
		Status: 401, Code: "sign_in_required", Title: text.T("Sign in"), Text: text.T("You are not signed in."), Hint: text.T("Sign in first."),
		ActionURL: "https://login.example.com/sign-in?a=1&b=2", ActionText: text.T("Sign in"), Err: errors.New("the cause is for the log"),
	}, "ID1")
	var got map[string]string
	if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"code": "sign_in_required", "message": "You are not signed in.", "hint": "Sign in first.", "request_id": "ID1",
		"sign_in_url": "https://login.example.com/sign-in?a=1&b=2",
	}
	for k, v := range want {
		if got[k] != v {
			t.Errorf("%s is %q, want %q", k, got[k], v)
		}
	}
	if len(got) != len(want) {
		t.Errorf("got %v, want only %v", got, want)
	}
	h := rec.Header()
	if rec.Code != 401 || h.Get("Content-Type") != "application/json" || h.Get("Retry-After") != "60" || h.Get("Cache-Control") != "no-store" || h.Get("Vary") != "Accept" {
		t.Errorf("answered %d %v", rec.Code, h)
	}

	rec = httptest.NewRecorder()
	Errors{}.RenderError(rec, httptest.NewRequestWithContext(t.Context(), "GET", "/", nil), &endpoint.Error{Status: 403, Code: "no", Title: text.T("No"), ActionURL: "/organizations"}, "ID2")
	if got, want := rec.Body.String(), `{"code":"no","message":"No","request_id":"ID2"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestHEADHasTheHeadersOfGETAndNoBody(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		Errors{}.RenderError(w, r, &endpoint.Error{Status: 404, Code: "not_found", Title: text.T("There is no such page")}, "ID")
	}))
	defer srv.Close()
	for _, accept := range []string{"text/html", "application/json"} {
		var lengths []int64
		for _, method := range []string{"GET", "HEAD"} {
			r, err := http.NewRequestWithContext(t.Context(), method, srv.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Accept", accept)
			res, err := srv.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if res.StatusCode != 404 || !strings.HasPrefix(res.Header.Get("Content-Type"), accept) {
				t.Errorf("%s %s: %d %v", method, accept, res.StatusCode, res.Header)
			}
			lengths = append(lengths, res.ContentLength)
		}
		if lengths[0] <= 0 || lengths[0] != lengths[1] {
			t.Errorf("%s: lengths of GET and HEAD are %v", accept, lengths)
		}
	}
}

func TestAnErrorIsShownEvenIfItsTemplateFails(t *testing.T) {
	broken := view[failurePage]{halfAPage()}
	rec := httptest.NewRecorder()
	writePage(rec, httptest.NewRequestWithContext(t.Context(), "GET", "/", nil), broken, &endpoint.Error{Status: 403, Title: text.T(`<b>No</b>`)}, "ID<")
	body := rec.Body.String()
	if rec.Code != 403 || strings.Contains(body, "half a page") || !strings.Contains(body, "<h1>&lt;b&gt;No&lt;/b&gt;</h1>") || !strings.Contains(body, "ID&lt;") {
		t.Errorf("%d %s", rec.Code, body)
	}
	if got := rec.Header().Get("Content-Security-Policy"); !strings.Contains(got, "default-src 'none'") {
		t.Errorf("policy of the last resort: %q", got)
	}
}

func halfAPage() map[text.Locale]*template.Template {
	return map[text.Locale]*template.Template{text.English: template.Must(template.New("base.html").Parse(`<h1>half a page {{.NoSuchField}}`))}
}

func TestAPageWhoseTemplateFailsIsNotWritten(t *testing.T) {
	broken := view[Notice]{halfAPage()}
	rec := httptest.NewRecorder()
	if err := broken.render(rec, httptest.NewRequestWithContext(t.Context(), "GET", "/", nil), 200, Notice{}, needs{}); err == nil {
		t.Error("no error")
	}
	if rec.Body.Len() > 0 || len(rec.Header()) > 0 {
		t.Errorf("wrote %q %v", rec.Body, rec.Header())
	}
}

func TestAnErrorWithoutAStatusIsOurs(t *testing.T) {
	for _, s := range []int{0, 200, 302, 600, -1} {
		for _, accept := range []string{"text/html", "application/json"} {
			r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
			r.Header.Set("Accept", accept)
			rec := httptest.NewRecorder()
			Errors{}.RenderError(rec, r, &endpoint.Error{Status: s}, "ID")
			if rec.Code != 500 {
				t.Errorf("an error with status %d was answered with %d", s, rec.Code)
			}
		}
	}
}

func TestTheMonogramIsTheFirstLetterOrDigit(t *testing.T) {
	for name, want := range map[string]string{
		"Acme Inc.": "A", "acme": "A", `"><svg`: "S", "42 Ltd": "4", "école": "É", "北京": "北", "": "", "***": "", "\u202eacme": "A", "ǆ": "ǅ", "\xff": "", "🙂 smile": "S",
	} {
		if got := monogram(name); got != want {
			t.Errorf("monogram of %q is %q, want %q", name, got, want)
		}
	}
}

func TestTheCountdownIsNeverShorterThanTheWait(t *testing.T) {
	css := string(assets["orgate.css"].content)
	for d, want := range map[time.Duration]int{
		-time.Second: 0, 0: 0, 1: 10, 10 * time.Second: 10, 10*time.Second + 1: 20, 31 * time.Second: 45, time.Minute: 60, 61 * time.Second: 90, 2 * time.Minute: 120, 2*time.Minute + 1: 0,
	} {
		got := seconds(d)
		if got != want {
			t.Errorf("%v is counted down from %d, want %d", d, got, want)
		}
		if got != 0 && !strings.Contains(css, fmt.Sprintf(".after%d { --from: %d; }", got, got)) {
			t.Errorf("the stylesheet has no countdown from %d", got)
		}
	}
}

// FuzzNamesStayText types what it likes into a page and looks whether the page has more
// elements than before.
func FuzzNamesStayText(f *testing.F) {
	for _, s := range []string{"Acme", `"><svg onload=alert(1)>`, "</title><script>", "\u202egro", "\xff\x00", "<!--", "' onfocus=x a='"} {
		f.Add(s)
	}
	want := elements(f, "Acme", "x")
	f.Fuzz(func(t *testing.T, s string) {
		if monogram(s) == "" {
			s += "A" // without a letter there is a picture instead
		}
		if got := elements(t, s, s); got != want {
			t.Errorf("%q makes the page\n%s\nwant\n%s", s, got, want)
		}
	})
}

// elements lists the elements and attributes of a sign-in page.
func elements(t testing.TB, name, rest string) string {
	rec := httptest.NewRecorder()
	if err := (SignIn{Brand: Brand{Organization: name}, Action: "/sign-in", Hidden: map[string]string{"a" + rest: rest}, Email: rest + "x", Fault: text.T("Not %s", rest)}).Render(rec, &http.Request{}, 200); err != nil {
		t.Fatal(err)
	}
	doc, err := html.Parse(rec.Body)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for n := range doc.Descendants() {
		if n.Type == html.ElementNode || n.Type == html.CommentNode {
			b.WriteString("<")
			if n.Type == html.ElementNode {
				b.WriteString(n.Data)
			}
			for _, a := range n.Attr {
				b.WriteString(" " + a.Key)
			}
			b.WriteString(">\n")
		}
	}
	return b.String()
}
