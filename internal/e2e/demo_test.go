package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A buffer is what a child process writes, read while it does.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// TestTheDemoDoesWhatItsGuideSays runs `orgate demo` as somebody new would, and tries
// every sentence that it prints.
func TestTheDemoDoesWhatItsGuideSays(t *testing.T) {
	t.Parallel()
	tmp := t.TempDir()
	var out, errs buffer
	s := &site{t: t, Port: freePort(t), secrets: &vault{}}
	cmd := exec.CommandContext(context.Background(), binary, "demo", "--port", fmt.Sprint(s.Port))
	cmd.Env = append(os.Environ(), "TMPDIR="+tmp)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // see its ProcessState
		close(ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	until(t, "the guide", 30*time.Second, func() bool {
		select {
		case <-ended:
			t.Fatalf("it ended: %v\n%s%s", cmd.ProcessState, out.String(), errs.String())
		default:
		}
		return strings.Contains(out.String(), "Ctrl-C")
	})
	guide := out.String()
	for _, url := range []string{s.origin("acme"), s.origin("globex"), s.origin("hooli"), s.origin("initech"), s.origin("umbrella"), s.origin("login") + "/organizations"} {
		if !strings.Contains(guide, url) {
			t.Errorf("the guide does not name %s:\n%s", url, guide)
		}
	}
	mailbox := regexp.MustCompile(`http://mail\.localhost:\d+`).FindString(guide)
	if pg := s.person(t, "nobody").get(mailbox + "/"); pg.Status != http.StatusOK || !strings.Contains(pg.Text, "Nobody has got any yet") {
		t.Errorf("the mailbox, at %q: %d %s", mailbox, pg.Status, pg.Text)
	}
	person := func(subject, email string) *person {
		p := s.person(t, subject)
		p.email = email
		return p
	}
	alice, bob, hank := person("a-1", "alice@acme.test"), person("a-2", "bob@acme.test"), person("g-1", "hank@globex.test")

	// Acme: everybody at acme.test comes by its provider; Alice is an admin, and Bob is not.
	pg := alice.enter("acme", "/admin/")
	if !strings.Contains(pg.Text, "Alice Ashby") || alice.told("acme").Get("X-Org-Role") != "admin" {
		t.Errorf("alice: %s", pg.Text)
	}
	bob.enter("acme", "/")
	if pg := bob.get(s.at("acme", "/admin/")); pg.Status != http.StatusForbidden {
		t.Errorf("bob at /admin/: %d", pg.Status)
	}
	zoe := person("a-3", "zoe@acme.test")
	if pg := zoe.signIn(s.at("acme", "/")); pg.Status != http.StatusForbidden {
		t.Errorf("zoe: %d %s", pg.Status, pg.Text)
	}

	// Globex: Hank joins as he comes; Alice is in without signing in again; Bob is not let in.
	hank.enter("globex", "/")
	if pg := alice.get(s.at("globex", "/")); pg.URL.String() != s.at("globex", "/") || pg.Status != http.StatusOK {
		t.Errorf("alice at globex: %s %d %s", pg.URL, pg.Status, pg.Text)
	}
	if pg := bob.signIn(s.at("globex", "/")); pg.Status != http.StatusForbidden {
		t.Errorf("bob at globex: %d %s", pg.Status, pg.Text)
	}

	// Casey: a code by mail, and a second factor.
	casey := person("casey", "casey@freelance.test")
	pg = casey.submit(casey.get(s.at("globex", "/")), map[string]string{"email": casey.email})
	pg = casey.press(pg, "E-mail me a code")
	code := ""
	until(t, "the code", 20*time.Second, func() bool {
		m := regexp.MustCompile(`<p class="code">([0-9 ]+)<`).FindStringSubmatch(person("reader", "").get(mailbox + "/?to=" + casey.email).Body)
		if m != nil {
			code = m[1]
		}
		return m != nil
	})
	if pg = casey.submit(pg, map[string]string{"code": code}); !strings.Contains(pg.Text, "Globex Corporation asks for a second factor") {
		t.Errorf("casey: %s %d %s", pg.URL, pg.Status, pg.Text)
	}
	if casey.isIn("globex") {
		t.Error("casey is in without a second factor")
	}

	// Hooli: a passkey, for which a code shows whose address it is.
	gavin := person("gavin", "gavin@hooli.test")
	pg = gavin.submit(gavin.get(s.at("hooli", "/")), map[string]string{"email": gavin.email})
	if pg = gavin.press(pg, "First time here? Set up a passkey"); !strings.HasPrefix(pg.Title, "Enter the code") {
		t.Errorf("gavin: %s %d %s", pg.URL, pg.Status, pg.Text)
	}

	// Initech: two providers to choose from.
	for _, tt := range []struct{ subject, email, provider, role string }{
		{"i-2", "peter@initech.test", "staff", "admin"},
		{"i-1", "milton@initech.test", "staff", "member"},
		{"p-1", "milton@initech.test", "partners", "member"},
	} {
		p := person(tt.subject, tt.email)
		pg := p.signIn(s.at("initech", "/"))
		if !strings.HasPrefix(pg.Title, "Choose how to sign in") || !strings.Contains(pg.Text, "staff") || !strings.Contains(pg.Text, "partners") {
			t.Fatalf("%s is not asked which: %s %d %s", tt.email, pg.URL, pg.Status, pg.Text)
		}
		if pg := p.proceed(p.press(pg, tt.provider)); pg.URL.String() != s.at("initech", "/") || pg.Status != http.StatusOK {
			t.Errorf("%s by %s: %s %d %s", tt.email, tt.provider, pg.URL, pg.Status, pg.Text)
		} else if role := p.told("initech").Get("X-Org-Role"); role != tt.role {
			t.Errorf("%s by %s is %s", tt.email, tt.provider, role)
		}
	}

	// Umbrella: a SAML provider, which may begin a sign-in by itself.
	for _, tt := range []struct{ subject, email, role string }{{"u-1", "ada@umbrella.test", "admin"}, {"u-2", "albert@umbrella.test", "member"}} {
		p := person(tt.subject, tt.email)
		if pg := p.signIn(s.at("umbrella", "/reports")); pg.URL.String() != s.at("umbrella", "/reports") || pg.Status != http.StatusOK {
			t.Fatalf("%s: %s %d %s", tt.email, pg.URL, pg.Status, pg.Text)
		}
		if role := p.told("umbrella").Get("X-Org-Role"); role != tt.role {
			t.Errorf("%s is %s", tt.email, role)
		}
	}
	provider := regexp.MustCompile(`http://idp\.localhost:\d+/umbrella/`).FindString(guide)
	ada := person("u-1", "ada@umbrella.test")
	pg = ada.get(provider)
	if len(pg.Links) == 0 || !strings.Contains(pg.Text, "the demo app") {
		t.Fatalf("Umbrella's provider, at %q: %d %s", provider, pg.Status, pg.Text)
	}
	for _, l := range pg.Links {
		if strings.Contains(l.Href, "/start?") {
			pg = ada.signIn(mustURL(t, provider).ResolveReference(mustURL(t, l.Href)).String())
		}
	}
	if !strings.HasPrefix(pg.Title, "Sign in to Umbrella Corp?") || ada.isIn("umbrella") {
		t.Fatalf("ada, from the provider: %s %d %s", pg.URL, pg.Status, pg.Text)
	}
	if pg = ada.proceed(ada.press(pg, "Sign in")); pg.URL.String() != s.at("umbrella", "/") || pg.Status != http.StatusOK {
		t.Errorf("ada, who meant it: %s %d %s", pg.URL, pg.Status, pg.Text)
	}
	// Signing out leads to the provider, which knows orgate's certificate.
	pg = ada.press(ada.get(s.origin("login")+"/sign-out"), "Sign out")
	if pg = ada.proceed(pg); !strings.Contains(pg.Text, "signed out") || ada.isIn("umbrella") {
		t.Errorf("ada, signed out: %s %d %s", pg.URL, pg.Status, pg.Text)
	}

	// The picker: every organization that one can enter, and signing out everywhere.
	pg = alice.get(s.origin("login") + "/organizations")
	if !strings.Contains(pg.Text, "Acme Inc.") || !strings.Contains(pg.Text, "Globex") || strings.Contains(pg.Text, "Initech") {
		t.Errorf("alice's picker: %s", pg.Text)
	}
	alice.press(pg, "Sign out everywhere")
	if alice.isIn("acme") || alice.isIn("globex") {
		t.Error("alice is in still")
	}

	// A public page of the app, for anybody.
	if pg := person("nobody", "").get(s.at("acme", "/public")); pg.Status != http.StatusOK || !strings.Contains(pg.Text, "Nobody is signed in") {
		t.Errorf("/public: %d %s", pg.Status, pg.Text)
	}

	// "change it: it is reloaded".
	file := regexp.MustCompile(`configuration: (\S+)`).FindStringSubmatch(guide)
	if file == nil || !strings.HasPrefix(file[1], tmp) {
		t.Fatalf("the guide names no configuration under %s:\n%s", tmp, guide)
	}
	b, err := os.ReadFile(file[1])
	if err != nil {
		t.Fatal(err)
	}
	changed := bytes.Replace(b, []byte("{ path: /public, access: public }"), []byte("{ path: /public, role: admin }"), 1)
	if bytes.Equal(b, changed) {
		t.Fatal("the configuration has changed, and this test has not")
	}
	if err := os.WriteFile(file[1], changed, 0o600); err != nil {
		t.Fatal(err)
	}
	stranger := person("nobody", "")
	until(t, "the changed rule", 10*time.Second, func() bool {
		return stranger.fetch(s.at("acme", "/public"), nil).Status == http.StatusUnauthorized
	})

	// "Everything is in … and goes when you press Ctrl-C."
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
	case <-time.After(40 * time.Second):
		t.Fatal("Ctrl-C did not end it")
	}
	if code := cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("it ended with %d: %s", code, errs.String())
	}
	if left, err := filepath.Glob(filepath.Join(tmp, "*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	for _, secret := range s.secrets.all() {
		if strings.Contains(out.String()+errs.String(), secret) {
			t.Errorf("a secret was printed: %.12s…", secret)
		}
	}
	if said := errs.String(); strings.Contains(said, "level=ERROR") || strings.Contains(said, "panic") {
		t.Errorf("it said: %s", said)
	}
}
