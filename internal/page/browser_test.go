package page_test

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/orgate/orgate/internal/need"
	"github.com/orgate/orgate/internal/page"
	"github.com/orgate/orgate/internal/text"
)

// TestEveryPageInABrowser shows each page on a phone, a larger phone and a desktop,
// light and dark, and once in the few colours that a person chose. With -artifacts there is a picture of each to look at.
func TestEveryPageInABrowser(t *testing.T) {
	tab := browser(t)
	srv := serve(t, nil)
	for _, p := range gallery() {
		t.Run(p.name, func(t *testing.T) {
			for _, look := range []struct {
				width  int64
				scheme string
				in     text.Locale
			}{
				{320, "light", text.German}, // whose words are longer
				{320, "dark", text.English},
				{390, "light", text.English},
				{390, "dark", text.German},
				{390, "forced", text.English},
				{1280, "light", text.English},
				{1280, "dark", text.German},
			} {
				tab.look(t, look.width, look.scheme)
				tab.do(t, chromedp.Navigate(srv.URL+"/"+p.name+"?lang="+string(look.in)))
				at := fmt.Sprintf("%s-%d-%s-%s", p.name, look.width, look.scheme, look.in)
				checkShape(t, tab, at)
				if look.width == 390 && look.scheme != "dark" {
					checkKeyboard(t, tab)
				}
				if flag.Lookup("test.artifacts").Value.String() != "true" {
					continue // nobody would see it, and taking it is slow
				}
				picture := run(t, tab, chromedp.FullScreenshot(100))
				if err := os.WriteFile(filepath.Join(t.ArtifactDir(), at+".png"), picture, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if said := tab.said(); len(said) > 0 {
				t.Errorf("the browser's console says %q", said)
			}
		})
	}
}

// checkShape fails if the page has to be scrolled sideways or for ever, if something
// reaches out of the window, or if the stylesheet is not there.
func checkShape(t *testing.T, tab *tab, at string) {
	t.Helper()
	out := run(t, tab, chromedp.Evaluate[[]string](`(() => {
		const width = document.documentElement.clientWidth, out = [];
		if (document.documentElement.scrollWidth > width) out.push("the page is " + document.documentElement.scrollWidth + " wide");
		if (getComputedStyle(document.querySelector("main")).paddingTop !== "40px") out.push("there is no stylesheet");
		if (document.documentElement.scrollHeight > (document.querySelectorAll("section").length > 3 ? 5000 : 2500)) out.push("the page is " + document.documentElement.scrollHeight + " high");
		for (const e of document.querySelectorAll("main, main *")) {
			const r = e.getBoundingClientRect();
			if (r.width > 0 && (r.right > width + 0.5 || r.left < -0.5)) out.push(e.outerHTML.slice(0, 80) + " reaches from " + r.left + " to " + r.right);
		}
		for (const e of document.querySelectorAll("button, input:not([type=hidden]), summary, .button, a.row")) {
			if (!e.checkVisibility()) continue;
			const r = e.getBoundingClientRect();
			if (r.height < 24 || r.width < 24) out.push(e.outerHTML.slice(0, 80) + " is too small to touch");
		}
		for (const e of document.querySelectorAll(".what")) {
			if (e.getBoundingClientRect().width < 130) out.push(e.outerHTML.slice(0, 80) + " has no room");
		}
		return out;
	})()`))
	for _, what := range out {
		t.Errorf("%s: %s", at, what)
	}
}

// checkKeyboard goes through the page by Tab: every control is reached, once and in the
// order of the document, and shows that it has the focus.
func checkKeyboard(t *testing.T, tab *tab) {
	t.Helper()
	const controls = `[...document.querySelectorAll("a[href], button, summary, input:not([type=hidden])")].filter(e => e.checkVisibility({visibilityProperty: true}))`
	want := run(t, tab, chromedp.Evaluate[int](controls+".length"))
	tab.do(t, chromedp.Evaluate[chromedp.Void](`document.activeElement.blur(); getSelection().removeAllRanges(); document.body.tabIndex = -1; document.body.focus()`))
	for i := range want {
		tab.do(t, chromedp.KeyEvent(kb.Tab))
		got := run(t, tab, chromedp.Evaluate[string](`(() => {
			const e = document.activeElement, s = getComputedStyle(e);
			if (s.outlineStyle === "none" || parseFloat(s.outlineWidth) < 2) return "no focus to be seen on " + e.outerHTML;
			return String(`+controls+`.indexOf(e));
		})()`))
		if got != fmt.Sprint(i) {
			t.Errorf("after %d tabs: %s", i+1, got)
		}
	}
	tab.do(t, chromedp.Evaluate[chromedp.Void](`document.body.removeAttribute("tabindex"); document.activeElement.blur()`))
}

// TestEveryPageIsAccessible has axe-core judge each page in both schemes, on a small phone
// and on a desktop, and in each language.
func TestEveryPageIsAccessible(t *testing.T) {
	axe, err := os.ReadFile("testdata/axe/node_modules/axe-core/axe.min.js")
	if err != nil {
		need.Missing(t, "axe-core", "npm install in internal/page/testdata/axe (or `make tools`)")
	}
	tab := browser(t)
	srv := serve(t, nil)
	for _, p := range gallery() {
		t.Run(p.name, func(t *testing.T) {
			for _, l := range text.Locales() {
				tab.do(t, chromedp.Navigate(srv.URL+"/"+p.name+"?lang="+string(l)), chromedp.Evaluate[chromedp.Void](string(axe)+";0"))
				for _, width := range []int64{320, 1280} {
					for _, scheme := range []string{"light", "dark"} {
						tab.look(t, width, scheme)
						for _, fault := range run(t, tab, chromedp.Evaluate[[]string](`axe.run({resultTypes: ["violations"]}).then(r =>
							r.violations.flatMap(v => v.nodes.map(n => v.id + ": " + v.help + ": " + n.html.slice(0, 120) + " " + (n.any[0] || n.all[0] || n.none[0] || {message: ""}).message)))`, chromedp.EvalAwaitPromise)) {
							t.Errorf("%s, %d, %s: %s", l, width, scheme, fault)
						}
					}
				}
			}
		})
	}
}

// TestNoFieldIsSentElsewhere shows the browser keeping form-action: what is typed goes
// nowhere but where the page says.
func TestNoFieldIsSentElsewhere(t *testing.T) {
	for _, tt := range []struct {
		name    string
		allowed func(idp string) []string
		arrives bool
	}{
		{"a redirect to a host that the page does not name is stopped", func(string) []string { return nil }, false},
		{"a redirect to the host that it names is followed", func(idp string) []string { return []string{idp + "/authorize?a=b"} }, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tab, idp := browser(t), provider(t)
			srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPost {
					http.Redirect(w, r, idp.URL+"/authorize", http.StatusSeeOther)
					return
				}
				render(t, page.SignIn{Action: "/form", FormAction: tt.allowed(idp.URL)}, w, r)
			})
			tab.do(t, chromedp.Navigate(srv.URL+"/form"), chromedp.SendKeys("#email", "jo@acme.com"))
			tab.click(t, "button")
			if !tt.arrives {
				tab.until(t, func() bool {
					return slices.ContainsFunc(tab.said(), func(s string) bool { return strings.Contains(s, "form-action") })
				})
			} else {
				tab.arrives(t, idp.URL+"/authorize")
			}
			if got := tab.where(t) == idp.URL+"/authorize"; got != tt.arrives {
				t.Errorf("arrived at %s", tab.where(t))
			}
		})
	}
}

// TestLeavingReachesAProviderThatRedirectsAgain is why there is a page between the form
// and the identity provider: large ones redirect to hosts that we can't know.
func TestLeavingReachesAProviderThatRedirectsAgain(t *testing.T) {
	tab, second := browser(t), provider(t)
	first := httptest.NewServer(http.RedirectHandler(second.URL+"/there", http.StatusFound))
	t.Cleanup(first.Close)
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			render(t, page.Leaving{Brand: acme, To: first.URL + "/authorize?scope=openid+email&redirect_uri=" + url.QueryEscape("https://login.example.com/a;b?c='d'&e"), Name: "Acme Okta"}, w, r)
			return
		}
		render(t, page.SignIn{Action: "/form"}, w, r)
	})
	tab.do(t, chromedp.Navigate(srv.URL+"/organizations"), chromedp.Navigate(srv.URL+"/form"), chromedp.SendKeys("#email", "jo@acme.com"))
	tab.click(t, "button")
	tab.arrives(t, second.URL+"/there")
	if said := tab.said(); len(said) > 0 {
		t.Errorf("the browser's console says %q", said)
	}
	// Back is the form, not the page that would send the browser forward again.
	tab.do(t, chromedp.NavigateBack())
	if got := tab.where(t); got != srv.URL+"/form" {
		t.Errorf("back is %s, want the form", got)
	}
}

// TestANewCodeCanBeAskedForWhenTheTimeIsUp lets the countdown end, and holds that nothing
// of the page moves when it does.
func TestANewCodeCanBeAskedForWhenTheTimeIsUp(t *testing.T) {
	tab := browser(t)
	srv := serve(t, nil)
	tab.do(t, chromedp.Navigate(srv.URL+"/enter-code"))
	const state = `(() => {
		const seen = (css) => document.querySelector(css).checkVisibility({visibilityProperty: true});
		return [seen(".countdown"), seen(".resend button"), document.body.scrollHeight, document.querySelector(".after a").getBoundingClientRect().top].join(" ");
	})()`
	before := run(t, tab, chromedp.Evaluate[string](state))
	tab.do(t, chromedp.Evaluate[chromedp.Void](`document.getAnimations().forEach(a => a.finish())`))
	after := run(t, tab, chromedp.Evaluate[string](state))
	was, ok := strings.CutPrefix(before, "true false ")
	is, also := strings.CutPrefix(after, "false true ")
	if !ok || !also || was != is {
		t.Errorf("countdown, button, height and place are %q, and then %q", before, after)
	}
	if left := run(t, tab, chromedp.Evaluate[string](`getComputedStyle(document.querySelector(".countdown > span")).getPropertyValue("--left")`)); left != "0" {
		t.Errorf("the countdown ends at %q", left)
	}
}

// TestASignInFormIsPostedByKeyboard types the address and Enter, as most people do. The
// headers of the page leave the browser able to prove that the form is one of ours.
func TestASignInFormIsPostedByKeyboard(t *testing.T) {
	tab := browser(t)
	posted := make(chan url.Values, 1)
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			if err := http.NewCrossOriginProtection().Check(r); err != nil {
				t.Errorf("%v: Origin %q, Sec-Fetch-Site %q", err, r.Header.Get("Origin"), r.Header.Get("Sec-Fetch-Site"))
			}
			r.ParseForm() // an empty form fails the test
			posted <- r.PostForm
			render(t, page.Notice{Title: text.T("Posted")}, w, r)
			return
		}
		render(t, page.SignIn{Action: "/form", Hidden: map[string]string{"flow": "flow_1"}}, w, r)
	})
	tab.do(t, chromedp.Navigate(srv.URL+"/form"))
	// The focus comes a moment after the page.
	run(t, tab, chromedp.Poll[bool](`document.activeElement.name === "email"`, chromedp.WithPollingTimeout(20*time.Second)))
	for _, key := range "jo@acme.com\r" { // no click: the field has the focus
		tab.do(t, chromedp.KeyEvent(string(key)))
	}
	select {
	case got := <-posted:
		if got.Get("email") != "jo@acme.com" || got.Get("flow") != "flow_1" {
			t.Errorf("posted %v", got)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("nothing was posted")
	}
}

// A tab is a browser of its own and what its console said.
type tab struct {
	ctx     context.Context
	mu      sync.Mutex
	console []string
}

// browser starts a Chromium that ends with the test.
func browser(t *testing.T) *tab {
	t.Helper()
	chromium := need.Debian(t, "chromium", "/usr/bin/chromium", "chromium", "google-chrome")
	limit, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	ctx, stop := chromedp.NewExecAllocator(limit, append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromium), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true))...)
	t.Cleanup(stop)
	ctx, stopTab := chromedp.NewContext(ctx)
	t.Cleanup(stopTab)
	b := &tab{ctx: ctx}
	b.do(t)
	err := chromedp.Listen(ctx, func(ev any) {
		var said string
		switch ev := ev.(type) {
		case *cdplog.EventEntryAdded:
			// Chromium reports every page with a status of 400 and above.
			if strings.Contains(ev.Entry.Text, "the server responded with a status of") && !strings.Contains(ev.Entry.URL, page.StaticPath) {
				return
			}
			said = ev.Entry.Text
		case *runtime.EventExceptionThrown:
			said = ev.ExceptionDetails.Text
		default:
			return
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		b.console = append(b.console, said)
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// said returns what the console said so far.
func (b *tab) said() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.console)
}

func (b *tab) do(t *testing.T, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		t.Fatal(err)
	}
}

func run[T any](t *testing.T, b *tab, a chromedp.Action[T]) T {
	t.Helper()
	v, err := chromedp.Run(b.ctx, a)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (b *tab) look(t *testing.T, width int64, scheme string) {
	t.Helper()
	b.do(t, chromedp.EmulateViewport(width, 800))
	media := []*emulation.MediaFeature{{Name: "prefers-reduced-motion", Value: "reduce"}}
	if scheme == "forced" {
		media = append(media, &emulation.MediaFeature{Name: "forced-colors", Value: "active"}, &emulation.MediaFeature{Name: "prefers-color-scheme", Value: "dark"})
	} else {
		media = append(media, &emulation.MediaFeature{Name: "prefers-color-scheme", Value: scheme})
	}
	if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: media}); err != nil {
		t.Fatal(err)
	}
}

func (b *tab) where(t *testing.T) string {
	t.Helper()
	return run(t, b, chromedp.Location())
}

// arrives waits until the browser is at url. It can't be asked while it is on its way.
func (b *tab) arrives(t *testing.T, url string) {
	t.Helper()
	b.until(t, func() bool {
		at, err := chromedp.Run(b.ctx, chromedp.Location())
		return err == nil && at == url
	})
}

func (b *tab) click(t *testing.T, css string) {
	t.Helper()
	b.do(t, chromedp.Click(css))
}

// until waits for what the browser does in its own time.
func (b *tab) until(t *testing.T, done func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for limit := time.After(20 * time.Second); !done(); {
		select {
		case <-limit:
			t.Fatalf("it did not happen; the browser is at %s and said %q", b.where(t), b.said())
		case <-tick.C:
		}
	}
}

// serve serves the gallery, the static files and, at /form, form.
func serve(t *testing.T, form http.HandlerFunc) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle("GET "+page.StaticPath, page.Static())
	for _, p := range gallery() {
		mux.HandleFunc("GET /"+p.name, func(w http.ResponseWriter, r *http.Request) {
			// The browser of the tests has one language, and the pages have more.
			r.Header.Set("Accept-Language", r.URL.Query().Get("lang"))
			if err := p.show(w, r); err != nil {
				t.Errorf("%s: %v", p.name, err)
			}
		})
	}
	if form != nil {
		mux.HandleFunc("/form", form)
	}
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv
}

// provider is somebody else's host.
func provider(t *testing.T) *httptest.Server {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, `<link rel="icon" href="data:,"><h1>Somebody else</h1>`)
	}))
	t.Cleanup(srv.Close)
	return srv
}

func render(t *testing.T, p interface {
	Render(http.ResponseWriter, *http.Request, int) error
}, w http.ResponseWriter, r *http.Request,
) {
	t.Helper()
	if err := p.Render(w, r, http.StatusOK); err != nil {
		t.Error(err)
	}
}
