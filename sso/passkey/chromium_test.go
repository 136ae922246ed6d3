package passkey

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"

	"github.com/orgate/orgate/internal/need"
)

// page is at every host. ask(kind, change) goes through a ceremony, with options as they came
// or changed. In a frame it signs in and tells who framed it.
const page = `<!doctype html><html lang="en"><title>Passkeys</title><link rel="icon" href="data:,"><h1>Passkeys</h1>
<script>
const post = (path, body) => fetch(path, {method: "POST", body}).then(r => r.json());
const answer = async (kind, options) => (kind === "register"
	? await navigator.credentials.create({publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options)})
	: await navigator.credentials.get({publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options)})).toJSON();
const ask = async (kind, change) => {
	const options = await post("/begin/" + kind);
	if (change) change(options);
	try {
		return await post("/finish/" + kind, JSON.stringify(await answer(kind, options)));
	} catch (e) {
		return {browser: e.name};
	}
};
if (parent !== window) ask("login").then(r => parent.postMessage(r, "*"));
</script>`

// outcome is what a page learns of a ceremony.
type outcome struct {
	Browser  string `json:"browser"` // the error of the browser
	Code     Code   `json:"code"`    // ours
	Handle   string `json:"handle"`
	Verified bool   `json:"verified"`
	Count    uint32 `json:"count"`
}

// A host serves the page, and registers and signs in alice: with what it keeps, as a caller
// of this package does.
type host struct {
	rp       *RelyingParty
	mu       sync.Mutex
	stored   []Credential
	ceremony map[Kind]Ceremony
}

func (h *host) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var a any
	switch action, kind, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/"); action {
	case "begin":
		var options json.RawMessage
		var c Ceremony
		var err error
		switch Kind(kind) {
		case KindRegister:
			options, c, err = h.rp.Register(user(alice), h.stored, time.Now())
		case KindLogin:
			options, c, err = h.rp.Login(time.Now())
		case KindConfirm:
			options, c, err = h.rp.Confirm([]byte(alice), h.stored, time.Now())
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		h.ceremony[Kind(kind)] = c
		a = options
	case "finish":
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		a = h.finish(Kind(kind), body)
	case "around":
		fmt.Fprintf(w, `<!doctype html><link rel="icon" href="data:,"><script>addEventListener("message", e => window.got = e.data)</script>
			<iframe allow="publickey-credentials-get *" src="http://login.%s/"></iframe>`, r.Host[strings.Index(r.Host, ".")+1:])
		return
	default:
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		io.WriteString(w, page)
		return
	}
	json.NewEncoder(w).Encode(a)
}

func (h *host) finish(kind Kind, body []byte) outcome {
	c := h.ceremony[kind]
	delete(h.ceremony, kind) // once
	var res Result
	var err error
	switch kind {
	case KindRegister:
		res.Credential, err = h.rp.FinishRegister(c, user(alice), body, time.Now())
		res.Handle = res.Credential.Handle
	case KindLogin:
		res, err = h.rp.FinishLogin(c, body, among(h.stored...), time.Now())
	case KindConfirm:
		res, err = h.rp.FinishConfirm(c, []byte(alice), body, among(h.stored...), time.Now())
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return outcome{Code: e.Code}
	}
	kept := []Credential{res.Credential}
	for _, s := range h.stored {
		if !bytes.Equal(s.ID, res.Credential.ID) {
			kept = append(kept, s)
		}
	}
	h.stored = kept
	return outcome{Handle: string(res.Handle), Verified: res.UserVerified, Count: res.Credential.SignCount}
}

// TestAPasskeyInARealBrowserAtLoginLocalhost is a development set-up: plain http, a name
// under localhost for the login host and others for the tenants.
func TestAPasskeyInARealBrowserAtLoginLocalhost(t *testing.T) {
	ctx, device := chromium(t)
	h := &host{ceremony: map[Kind]Ceremony{}}
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	port := srv.URL[strings.LastIndex(srv.URL, ":"):]
	u, err := url.Parse("http://login.localhost" + port)
	if err != nil {
		t.Fatal(err)
	}
	id, origin, err := FromURL(u)
	if err != nil {
		t.Fatal(err)
	}
	if h.rp, err = New(Options{RPID: id, RPName: "Example", Origins: []string{origin}}); err != nil {
		t.Fatal(err)
	}
	at := func(host string) { do(t, ctx, chromedp.Navigate("http://"+host+port+"/")) }
	expect := func(js string, want outcome) {
		t.Helper()
		if got := run(t, ctx, chromedp.Evaluate[outcome](js, chromedp.EvalAwaitPromise)); got != want {
			t.Errorf("%s: got %+v, want %+v", js, got, want)
		}
	}
	verified := func(ok bool) {
		t.Helper()
		if _, err := chromedp.Call(ctx, webauthn.SetUserVerified, webauthn.SetUserVerifiedParams{AuthenticatorID: device, IsUserVerified: ok}); err != nil {
			t.Fatal(err)
		}
	}

	at("login.localhost")
	expect(`ask("register")`, outcome{Handle: alice, Count: 1})
	expect(`ask("register")`, outcome{Browser: "InvalidStateError"}) // excluded: it has one
	expect(`ask("login")`, outcome{Handle: alice, Verified: true, Count: 2})
	expect(`ask("confirm")`, outcome{Handle: alice, Verified: true, Count: 3})
	if cred := h.stored[0]; len(cred.Transports) != 1 || cred.Transports[0] != "internal" || cred.AAGUID == "" || cred.BackupEligible {
		t.Errorf("stored %+v", cred)
	}
	// The PIN is wrong.
	verified(false)
	expect(`ask("login")`, outcome{Browser: "NotAllowedError"})
	verified(true)
	// Who asks for less than we do gets it from the browser, and not from us.
	expect(`ask("login", o => { o.userVerification = "discouraged" })`, outcome{Code: CodeVerification})
	expect(`ask("confirm", o => { o.userVerification = "discouraged" })`, outcome{Handle: alice, Count: 5})
	expect(`ask("register", o => { o.rp.id = "localhost" })`, outcome{Browser: "SecurityError"})

	// A tenant's app can't ask for a passkey of the login host.
	at("acme.localhost")
	expect(`ask("login")`, outcome{Browser: "SecurityError"})
	expect(`ask("login", o => { o.rpId = "localhost" })`, outcome{Browser: "SecurityError"})
	expect(`ask("login", o => { delete o.rpId })`, outcome{Browser: "NotAllowedError"}) // it has none of its own
	// It may have one of its own, for the same handle: that is no answer to us.
	expect(`ask("register", o => { o.rp.id = "acme.localhost"; o.excludeCredentials = [] })`, outcome{Code: CodeOrigin})
	expect(`ask("login", o => { delete o.rpId })`, outcome{Code: CodeOrigin})

	// Nor can it frame the login host, though browsers let it.
	do(t, ctx, chromedp.Navigate("http://acme.localhost"+port+"/around/"))
	run(t, ctx, chromedp.Poll[bool](`!!window.got`, chromedp.WithPollingTimeout(20*time.Second)))
	expect(`window.got`, outcome{Code: CodeFramed})

	// An address is no relying party.
	at("127.0.0.1")
	expect(`ask("login")`, outcome{Browser: "SecurityError"})

	// And after all that, it still works.
	at("login.localhost")
	if got := run(t, ctx, chromedp.Evaluate[outcome](`ask("login")`, chromedp.EvalAwaitPromise)); got.Handle != alice || got.Count <= 3 {
		t.Errorf("got %+v", got)
	}
}

// chromium starts a browser that ends with the test, with an authenticator as phones and
// laptops have it.
func chromium(t *testing.T) (context.Context, webauthn.AuthenticatorID) {
	t.Helper()
	path := need.Debian(t, "chromium", "/usr/bin/chromium", "chromium", "google-chrome")
	limit, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	ctx, stop := chromedp.NewExecAllocator(limit, append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true))...)
	t.Cleanup(stop)
	ctx, stopTab := chromedp.NewContext(ctx)
	t.Cleanup(stopTab)
	do(t, ctx)
	if _, err := chromedp.Call(ctx, webauthn.Enable, webauthn.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	device, err := chromedp.Call(ctx, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{
		Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportInternal,
		HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true,
	}})
	if err != nil {
		t.Fatal(err)
	}
	return ctx, device.AuthenticatorID
}

func do(t *testing.T, ctx context.Context, steps ...chromedp.Action[chromedp.Void]) { //nolint:revive // a test helper's first argument is the test
	t.Helper()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.Fatal(err)
	}
}

func run[T any](t *testing.T, ctx context.Context, a chromedp.Action[T]) T { //nolint:revive // a test helper's first argument is the test
	t.Helper()
	v, err := chromedp.Run(ctx, a)
	if err != nil {
		t.Fatal(err)
	}
	return v
}
