package page_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"

	"github.com/orgate/orgate/internal/page"
	"github.com/orgate/orgate/internal/text"
)

// A lock is pages that ask for passkeys, in a browser with an authenticator, and what the
// browser posts.
type lock struct {
	*tab
	t             *testing.T
	site          string
	posted        chan url.Values
	authenticator webauthn.AuthenticatorID
}

// withoutJSON takes from a browser what older ones do not have: the JSON functions of
// WebAuthn.
const withoutJSON = `delete PublicKeyCredential.parseCreationOptionsFromJSON; delete PublicKeyCredential.parseRequestOptionsFromJSON;
	PublicKeyCredential.prototype.toJSON = () => { throw new TypeError("Illegal invocation"); };`

func newLock(t *testing.T, before string) *lock {
	t.Helper()
	l := &lock{tab: browser(t), t: t, posted: make(chan url.Values, 1)}
	hidden := map[string]string{"flow": "flow_1"}
	mux := http.NewServeMux()
	mux.Handle("GET "+page.StaticPath, page.Static())
	for path, p := range map[string]interface {
		Render(http.ResponseWriter, *http.Request, int) error
	}{
		"/create":  page.CreatePasskey{Action: "/posted", Hidden: hidden, Request: page.PasskeyRequest{Options: createOptions}, Name: text.Verbatim("Laptop"), Skip: "/skip"},
		"/use":     page.UsePasskey{Action: "/posted", Hidden: hidden, Request: page.PasskeyRequest{Options: getOptions}, Other: "/other"},
		"/sign-in": page.SignIn{Action: "/email", Hidden: hidden, Passkey: &page.PasskeyRequest{Options: getOptions, Action: "/posted"}},
		"/broken":  page.UsePasskey{Action: "/posted", Request: page.PasskeyRequest{Options: `{"challenge": "</script>"`}, Other: "/other"},
	} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			r.Header.Set("Accept-Language", r.URL.Query().Get("lang"))
			render(t, p, w, r)
		})
	}
	for _, path := range []string{"/posted", "/email"} {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
			if err := http.NewCrossOriginProtection().Check(r); err != nil {
				t.Error(err)
			}
			r.ParseForm() // an empty form fails the test
			l.posted <- r.PostForm
			render(t, page.Notice{Title: text.T("Posted")}, w, r)
		})
	}
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	// A passkey belongs to a name, not to a number.
	l.site = strings.Replace(srv.URL, "127.0.0.1", "localhost", 1)

	call(t, l.tab, webauthn.Enable, webauthn.EnableParams{})
	l.authenticator = call(t, l.tab, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{
		Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportInternal, HasResidentKey: true, HasUserVerification: true,
		IsUserVerified: true, AutomaticPresenceSimulation: true,
	}}).AuthenticatorID
	if before != "" {
		call(t, l.tab, cdppage.AddScriptToEvaluateOnNewDocument, cdppage.AddScriptToEvaluateOnNewDocumentParams{Source: before})
	}
	return l
}

func call[P, R any](t *testing.T, b *tab, command cdp.Command[P, R], params P) R {
	t.Helper()
	r, err := chromedp.Call(b.ctx, command, params)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (l *lock) open(path string) {
	l.t.Helper()
	for {
		// The answer to what was posted before may still be on its way, and end this.
		_, err := chromedp.Run(l.ctx, chromedp.Navigate(l.site+path))
		if err == nil {
			return
		}
		if !strings.Contains(err.Error(), "net::ERR_ABORTED") {
			l.t.Fatal(err)
		}
	}
}

// verified says whether the person who is asked for a finger shows the right one.
func (l *lock) verified(yes bool) {
	l.t.Helper()
	call(l.t, l.tab, webauthn.SetUserVerified, webauthn.SetUserVerifiedParams{AuthenticatorID: l.authenticator, IsUserVerified: yes})
}

// shows waits until an element is seen.
func (l *lock) shows(css string) {
	l.t.Helper()
	l.until(l.t, func() bool { return l.sees(css) })
}

func (l *lock) sees(css string) bool {
	l.t.Helper()
	return run(l.t, l.tab, chromedp.Evaluate[bool](`[...document.querySelectorAll(`+"`"+css+"`"+`)].some(e => e.checkVisibility({visibilityProperty: true}))`))
}

// A credential is what a browser answers, as far as it is looked at here.
type credential struct {
	ID, RawID, Type string
	Response        struct{ ClientDataJSON, AttestationObject, AuthenticatorData, Signature, UserHandle string }
	Extensions      map[string]any `json:"clientExtensionResults"`
}

// gets returns what is posted next, and the credential in it.
func (l *lock) gets(ceremony string) (url.Values, credential) {
	l.t.Helper()
	var form url.Values
	select {
	case form = <-l.posted:
	case <-time.After(20 * time.Second):
		l.t.Fatalf("nothing was posted; the console says %q", l.said())
	}
	if form.Get("flow") != "flow_1" {
		l.t.Errorf("what is carried along is lost: %v", form)
	}
	var c credential
	if err := json.Unmarshal([]byte(form.Get("credential")), &c); err != nil {
		l.t.Fatalf("%v: %v", err, form)
	}
	var client struct{ Type, Challenge, Origin string }
	raw, err := base64.RawURLEncoding.DecodeString(c.Response.ClientDataJSON)
	if err == nil {
		err = json.Unmarshal(raw, &client)
	}
	if err != nil || client.Type != ceremony || client.Challenge != "dGhlIGNoYWxsZW5nZSBvZiB0aGUgdGVzdA" || client.Origin != l.site {
		l.t.Errorf("the client data is %s: %v", raw, err)
	}
	if c.ID == "" || c.ID != c.RawID || c.Type != "public-key" || c.Extensions == nil {
		l.t.Errorf("the credential is %+v", c)
	}
	return form, c
}

func TestAPasskeyIsMadeAndUsed(t *testing.T) {
	for name, before := range map[string]string{"in a browser of today": "", "in a browser without its JSON functions": withoutJSON} {
		t.Run(name, func(t *testing.T) {
			l := newLock(t, before)
			l.open("/create")
			l.click(t, "button")
			form, made := l.gets("webauthn.create")
			if form.Get("name") != "Laptop" || made.Response.AttestationObject == "" {
				t.Errorf("%v", form)
			}
			l.open("/use")
			l.click(t, "button")
			_, used := l.gets("webauthn.get")
			if used.ID != made.ID || used.Response.AuthenticatorData == "" || used.Response.Signature == "" || used.Response.UserHandle != "dXNlcl8x" {
				t.Errorf("%+v", used)
			}
			if said := l.said(); len(said) > 0 {
				t.Errorf("the console says %q", said)
			}
		})
	}
}

// TestAPasskeyIsSuggestedWithTheAddress has the browser offer its passkeys at the field; the
// authenticator of the test takes the offer at once.
func TestAPasskeyIsSuggestedWithTheAddress(t *testing.T) {
	l := newLock(t, "")
	l.open("/create")
	l.click(t, "button")
	_, made := l.gets("webauthn.create")
	l.open("/sign-in")
	if _, used := l.gets("webauthn.get"); used.ID != made.ID {
		t.Errorf("%+v", used)
	}
}

// TestTheButtonWorksWhileThePasskeyIsSuggested holds that one question ends the other: a
// browser answers a second one with an error.
func TestTheButtonWorksWhileThePasskeyIsSuggested(t *testing.T) {
	l := newLock(t, `const get = CredentialsContainer.prototype.get, note = (what) => sessionStorage.setItem("asked", (sessionStorage.getItem("asked") || "") + what + " ");
		CredentialsContainer.prototype.get = function (how) {
			note(how.mediation || "modal");
			if (how.mediation !== "conditional") return get.call(this, how);
			return new Promise((_, no) => how.signal.addEventListener("abort", () => setTimeout(() => { note("over"); no(how.signal.reason); }, 50)));
		};`)
	l.open("/create")
	l.click(t, "button")
	l.gets("webauthn.create")
	l.open("/sign-in")
	const asked = `sessionStorage.getItem("asked") || ""`
	l.until(t, func() bool { return run(t, l.tab, chromedp.Evaluate[string](asked)) == "conditional " })
	l.click(t, "form.with-passkey button")
	l.gets("webauthn.get")
	if got := run(t, l.tab, chromedp.Evaluate[string](asked)); got != "conditional over modal " {
		t.Errorf("the browser was asked %q", got)
	}
}

func TestAPasskeyThatFailsSaysSoAndLosesNothing(t *testing.T) {
	l := newLock(t, "")
	l.open("/create")
	l.click(t, "button")
	l.gets("webauthn.create")
	l.verified(false)

	for _, tt := range []struct{ path, want string }{
		{"/use?lang=en", "The passkey was not used. Try again, or choose another way."},
		{"/use?lang=de", "Der Passkey wurde nicht verwendet. Versuchen Sie es noch einmal oder wählen Sie einen anderen Weg."},
	} {
		l.open(tt.path)
		if l.sees("[data-passkey-says]") {
			t.Error("it has failed before it was tried")
		}
		l.click(t, "button")
		l.shows("[data-passkey-says=failed]")
		if got := run(t, l.tab, chromedp.Evaluate[string](`document.querySelector("[role=alert]").innerText.trim()`)); got != tt.want {
			t.Errorf("says %q, want %q", got, tt.want)
		}
	}
	l.verified(true)
	l.click(t, "button")
	l.gets("webauthn.get")

	// Whatever is wrong with the options, it is said, and the other way is there.
	l.open("/broken")
	l.click(t, "button")
	l.shows("[data-passkey-says=failed]")
	if !l.sees(`a[href="/other"]`) {
		t.Error("there is no other way")
	}

	// What was typed stays.
	l.verified(false)
	l.open("/create")
	l.do(t, chromedp.SendKeys("#name", "Jo’s "))
	l.click(t, "button")
	l.shows("[data-passkey-says=failed]")
	l.verified(true)
	l.click(t, "button")
	if form, _ := l.gets("webauthn.create"); form.Get("name") != "Jo’s Laptop" {
		t.Errorf("%v", form)
	}
}

func TestADeviceThatHasAPasskeyIsToldSo(t *testing.T) {
	l := newLock(t, `const create = CredentialsContainer.prototype.create;
		CredentialsContainer.prototype.create = function (how) {
			const id = sessionStorage.getItem("made");
			if (id) how.publicKey.excludeCredentials = [{ type: "public-key", id: Uint8Array.from(id.split(",")) }];
			return create.call(this, how).then((c) => { sessionStorage.setItem("made", new Uint8Array(c.rawId)); return c; });
		};`)
	l.open("/create")
	l.click(t, "button")
	l.gets("webauthn.create")
	l.open("/create")
	l.click(t, "button")
	l.shows("[data-passkey-says=known]")
}

// TestWithoutScriptsThePageSaysSoAndTheOtherWaysAreThere, and neither is anything of a
// passkey seen that would not work.
func TestWithoutScriptsThePageSaysSoAndTheOtherWaysAreThere(t *testing.T) {
	for name, before := range map[string]string{"scripts are off": "", "no WebAuthn": "delete window.PublicKeyCredential"} {
		t.Run(name, func(t *testing.T) {
			l := newLock(t, before)
			if before == "" {
				call(t, l.tab, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
			}
			for path, other := range map[string]string{"/use": `a[href="/other"]`, "/create": `a[href="/skip"]`} {
				l.open(path)
				if !l.sees(".without-passkey") || !l.sees(other) || l.sees("form button") {
					t.Errorf("%s does not say that there are no passkeys here, or offers one", path)
				}
			}
			l.open("/sign-in")
			if l.sees(".with-passkey") || l.sees(".or") || !l.sees("#email") {
				t.Error("the sign-in page offers a passkey, or no address")
			}
			l.do(t, chromedp.SendKeys("#email", "jo@acme.com"))
			l.click(t, "button.primary")
			if form := <-l.posted; form.Get("email") != "jo@acme.com" || form.Get("flow") != "flow_1" {
				t.Errorf("%v", form)
			}
		})
	}
}
