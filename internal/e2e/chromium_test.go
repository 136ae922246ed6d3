package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/orgate/orgate/internal/need"
	"github.com/orgate/orgate/sso/ssotest"
)

// A tab is one of a real Chromium, and what its console said.
type tab struct {
	t    *testing.T
	ctx  context.Context
	left int // how many documents it has been moved from
	mu   sync.Mutex
	said []string
}

// chromium starts a browser of its own and returns its first tab.
func chromium(t *testing.T) *tab {
	t.Helper()
	path := need.Debian(t, "chromium", "/usr/bin/chromium", "chromium", "google-chrome")
	limit, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	ctx, stop := chromedp.NewExecAllocator(limit, append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun, chromedp.WindowSize(1000, 800),
		// No page gets anything from elsewhere, whatever it asks for.
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE *.localhost, EXCLUDE 127.0.0.1"),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true))...)
	t.Cleanup(stop)
	return openTab(t, ctx)
}

// another opens one more tab of the same browser.
func (b *tab) another() *tab {
	b.t.Helper()
	return openTab(b.t, b.ctx)
}

func openTab(t *testing.T, parent context.Context) *tab { //nolint:revive // a test helper's first argument is the test
	t.Helper()
	ctx, stop := chromedp.NewContext(parent)
	t.Cleanup(stop)
	b := &tab{t: t, ctx: ctx}
	b.do()
	err := chromedp.Listen(ctx, func(ev any) {
		var said string
		switch ev := ev.(type) {
		case *cdplog.EventEntryAdded:
			said = fmt.Sprintf("%s: %s (%s)", ev.Entry.Level, ev.Entry.Text, ev.Entry.URL)
		case *runtime.EventExceptionThrown:
			said = ev.ExceptionDetails.Text
		case *runtime.EventConsoleAPICalled:
			said = string(ev.Type)
		default:
			return
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		b.said = append(b.said, said)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if said := b.complaints(); len(said) > 0 {
			t.Errorf("the browser's console says %q", said)
		}
	})
	return b
}

// complaints are what the console said of what is wrong, but for pages that are errors
// and meant to be, and for the fonts that npm's saml-idp would have from elsewhere.
func (b *tab) complaints() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(b.said), func(s string) bool {
		return strings.Contains(s, "the server responded with a status of 4") || strings.Contains(s, "(http://fonts.googleapis.com/")
	})
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

func ask[T any](b *tab, a chromedp.Action[T]) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, a)
	if err != nil {
		b.t.Fatal(err)
	}
	return v
}

func (b *tab) open(url string) {
	b.t.Helper()
	b.do(chromedp.Navigate(url))
}

// back presses the back button. What it shows may come from the browser's memory: there is no
// loading to wait for.
func (b *tab) back() {
	b.t.Helper()
	b.do(chromedp.Evaluate[chromedp.Void](`setTimeout(() => history.back(), 0)`))
}

// forward presses the forward button.
func (b *tab) forward() {
	b.t.Helper()
	b.do(chromedp.Evaluate[chromedp.Void](`setTimeout(() => history.forward(), 0)`))
}

// text is what the page says; it can't be asked while the browser is on its way.
func (b *tab) text() string {
	s, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`document.body ? document.body.innerText : ""`))
	if err != nil {
		return ""
	}
	return s
}

func (b *tab) where() string {
	at, err := chromedp.Run(b.ctx, chromedp.Location())
	if err != nil {
		return ""
	}
	return at
}

// shows waits until the browser is at a URL with that beginning, whose page says text.
func (b *tab) shows(prefix, text string) {
	b.t.Helper()
	tick := time.NewTicker(30 * time.Millisecond)
	defer tick.Stop()
	for limit := time.After(20 * time.Second); !strings.HasPrefix(b.where(), prefix) || !strings.Contains(b.text(), text); {
		select {
		case <-limit:
			b.picture("lost")
			b.t.Fatalf("want %q at %s…; the browser is at %s:\n%s\nconsole: %q", text, prefix, b.where(), b.text(), b.said)
		case <-tick.C:
		}
	}
}

// click presses the button or link with that text. It is pressed by the page, as chromedp does
// not find its way about a page that came back from the browser's memory.
func (b *tab) click(label string) {
	b.t.Helper()
	const script = `(label => {
		const e = [...document.querySelectorAll("button, a[href]")].find(e => e.innerText.includes(label));
		if (e) setTimeout(() => e.click(), 0);
		return e ? "there" : "";
	})(%q)`
	if ask(b, chromedp.Evaluate[string](fmt.Sprintf(script, label))) == "" {
		b.t.Fatalf("%s has nothing to click on with %q:\n%s", b.where(), label, b.text())
	}
}

// picture keeps how the page looks, where artifacts are kept.
func (b *tab) picture(name string) {
	b.t.Helper()
	shot, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		return // the browser is gone, or on its way
	}
	if err := os.WriteFile(filepath.Join(b.t.ArtifactDir(), fmt.Sprintf("%s.png", name)), shot, 0o600); err != nil {
		b.t.Error(err)
	}
}

// withPeople is a site whose provider is the in-process one, with a page to choose people on.
func withPeople(t *testing.T) *site {
	t.Helper()
	port := freePort(t)
	login := fmt.Sprintf("http://login.localhost:%d", port)
	op := ssotest.Start(t, ssotest.Options{Name: "Acme’s provider", People: everyone()[:4], Remember: true, Clients: []ssotest.Client{{
		ID: "orgate", Secret: clientSecret, Name: "the app", RedirectURIs: []string{login + "/sso/oidc/callback"}, PostLogoutURIs: []string{login + "/signed-out"},
	}}})
	s := siteAt(t, op.Issuer(), port)
	s.write(s.head(s.badger()) + s.acme() + s.globex())
	s.start()
	return s
}

// TestAPersonWithARealBrowser goes through everything that a person does: signing in,
// a second organization, switching, a page that is not theirs, signing out, and going back.
func TestAPersonWithARealBrowser(t *testing.T) {
	b := chromium(t)
	s := withPeople(t)
	s.stop()
	s.member("globex", "bob@acme.test") // before he ever came
	s.start()

	b.open(s.at("acme", "/start"))
	b.shows(s.origin("login")+"/sign-in", "Acme Inc.")
	b.picture("1-sign-in")
	b.do(chromedp.SendKeys("#email", "bob@acme.test"))
	b.click("Continue")
	b.shows(s.issuer, "Who do you want to be")
	b.picture("2-provider")
	b.click("Bob Baker")
	b.shows(s.at("acme", "/start"), "Hello, Bob Baker")
	b.picture("3-app")

	b.open(s.at("acme", "/admin/"))
	b.shows(s.at("acme", "/admin/"), "Your role in Acme Inc. does not include this page")
	b.picture("4-role")
	b.click("Go to the first page")
	b.shows(s.at("acme", "/"), "Hello, Bob Baker")

	b.click("Switch organization")
	b.shows(s.origin("login")+"/organizations", "Globex Corporation")
	b.picture("5-picker")
	b.click("Globex Corporation")
	b.shows(s.at("globex", "/"), "Hello, Bob Baker")
	if text := b.text(); !strings.Contains(text, "Globex") {
		t.Errorf("the app does not know where he is: %s", text)
	}
	b.picture("6-second-organization")

	// Back is the picker, and not a page that sends him forward again.
	b.back()
	b.shows(s.origin("login")+"/organizations", "Acme Inc.")
	b.click("Acme Inc.")
	b.shows(s.at("acme", "/"), "Hello, Bob Baker")

	b.click("Sign out")
	b.shows(s.at("acme", "/.orgate/sign-out"), "Sign out?")
	b.picture("7-sign-out")
	b.click("Sign out")
	b.shows(s.origin("login")+"/signed-out", "You are signed out")
	b.picture("8-signed-out")
	// Back asks for the page with his name on it anew, which is not there any more.
	b.back()
	until(t, "the browser has asked again", 10*time.Second, func() bool {
		return len(s.lines(func(l line) bool { return l.get("pattern") == "GET /.orgate/sign-out" && l.get("status") == "303" })) > 0
	})
	b.shows(s.origin("login")+"/signed-out", "You are signed out")
	b.open(s.at("globex", "/"))
	b.shows(s.origin("login")+"/sign-in", "Globex Corporation")
}

// TestTwoTabsOfARealBrowserSignInAtOnce: both are at the provider before either goes on.
func TestTwoTabsOfARealBrowserSignInAtOnce(t *testing.T) {
	one := chromium(t)
	two := one.another()
	s := withPeople(t)
	for tab, path := range map[*tab]string{one: "/one", two: "/two"} {
		tab.open(s.at("acme", path))
		tab.shows(s.origin("login")+"/sign-in", "Sign in")
		tab.do(chromedp.SendKeys("#email", "alice@acme.test"))
		tab.click("Continue")
		tab.shows(s.issuer, "Who do you want to be")
	}
	for tab, path := range map[*tab]string{one: "/one", two: "/two"} {
		tab.click("Alice Åshby")
		tab.shows(s.at("acme", path), "Hello, Alice Åshby")
	}
	// Signed out everywhere in one, the other is out at its next click.
	one.open(s.origin("login") + "/organizations")
	one.shows(s.origin("login")+"/organizations", "Acme Inc.")
	one.click("Sign out everywhere")
	one.shows(s.origin("login"), "signed out everywhere")
	two.open(s.at("acme", "/two"))
	two.shows(s.origin("login")+"/sign-in", "Sign in")
}

// A place is where a browser may be: at a URL with that beginning, whose page says text.
type place struct{ prefix, text string }

// moves does what has the browser go elsewhere, and waits until it has loaded another document
// than the one that it was in, or got one back from its memory, that is one of the places. It
// returns which. What redirects and pages that lead on show for a moment is none of them.
func (b *tab) moves(by func(), places ...place) (to place) {
	b.t.Helper()
	b.left++
	b.do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`window.left = %d`, b.left)))
	by()
	// One question, so that address and text are those of the same document.
	question := fmt.Sprintf(`document.readyState === "complete" && window.left !== %d ? [location.href, document.body.innerText] : ["", ""]`, b.left)
	until(b.t, "the browser is where it may be", 20*time.Second, func() bool {
		said, err := chromedp.Run(b.ctx, chromedp.Evaluate[[]string](question))
		if err != nil || len(said) != 2 || said[0] == "" {
			return false // on its way
		}
		i := slices.IndexFunc(places, func(p place) bool { return strings.HasPrefix(said[0], p.prefix) && strings.Contains(said[1], p.text) })
		if i >= 0 {
			to = places[i]
		}
		return i >= 0
	})
	return to
}

// TestGoingBackToTheProviderIsNotADeadEnd: whoever goes back from the app, into the middle
// of the sign-in, finds a way on, and forward again too. Which of the steps the browser takes
// anew is its own affair: none may sign anybody in a second time.
func TestGoingBackToTheProviderIsNotADeadEnd(t *testing.T) {
	b := chromium(t)
	s := withPeople(t)
	over := place{s.origin("login") + "/sso/oidc/callback", "This sign-in is no longer open"}
	spent := place{s.at("acme", "/.orgate/callback"), "This sign-in can't be finished"}
	in := place{s.at("acme", "/"), "Hello, Alice Åshby"}
	proved := func() int { return len(s.lines(func(l line) bool { return l.get("msg") == "signed in" })) }
	entered := func() int {
		return len(s.lines(func(l line) bool { return l.get("pattern") == "GET /.orgate/callback" && l.get("status") == "303" }))
	}

	b.open(s.at("acme", "/deep"))
	b.shows(s.origin("login")+"/sign-in", "Sign in")
	b.do(chromedp.SendKeys("#email", "alice@acme.test"))
	b.click("Continue")
	b.shows(s.issuer, "Who do you want to be")
	b.moves(func() { b.click("Alice Åshby") }, in)

	at := b.moves(b.back, over, spent, in)
	b.picture("back")
	then := b.moves(b.forward, over, spent, in)
	until(t, "the sign-in is in the log", 10*time.Second, func() bool { return proved() > 0 && entered() > 0 })
	if n, m := proved(), entered(); n != 1 || m != 1 {
		t.Errorf("going back (to %s) and forward (to %s), the provider's answer was taken %d times and the app entered %d times", at.prefix, then.prefix, n, m)
	}

	// And from where going back led, by what there is to click on.
	switch b.moves(b.back, over, spent, in) {
	case over:
		b.moves(func() { b.click("Start again") }, in)
	case spent:
		b.moves(func() { b.click("Sign in again") }, in)
	}
	if n := proved(); n != 1 {
		t.Errorf("the provider's answer was taken %d times", n)
	}
	if broken := s.lines(func(l line) bool { return len(l.get("status")) == 3 && l.get("status") >= "500" }); len(broken) > 0 {
		t.Errorf("on the way there was %v", broken)
	}
}
