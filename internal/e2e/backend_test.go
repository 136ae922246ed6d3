package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// TestTheLifeOfAMemberByTheSDKAndABrowser: a backend with the unmodified WorkOS SDK and a person with a real browser, in
// turns. The person's open page is dead within a second of being deactivated.
func TestTheLifeOfAMemberByTheSDKAndABrowser(t *testing.T) {
	s, mails := withFactors(t)
	key := s.apiKey()
	backend := s.backend("story.mjs", key)

	backend.did("invited")
	var link string
	select {
	case m := <-mails.Mails:
		if link = regexp.MustCompile(regexp.QuoteMeta(s.origin("login")) + `/invitations/[A-Za-z0-9_-]{43}`).FindString(m.Text); link == "" {
			t.Fatalf("the mail to %v has no link: %s", m.To, m.Text)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("no mail came")
	}
	s.secrets.add(link[strings.LastIndexByte(link, '/')+1:])
	b := chromium(t)
	b.open(link)
	b.shows(link, "You are invited to Initech")
	b.click("Accept the invitation")
	b.shows(s.origin("login"), "Choose how to sign in")
	b.click("E-mail me a code")
	b.shows(s.origin("login")+"/sign-in/code", "Enter the code")
	b.fill("code", codeTo(t, mails, "milton@stapler.test"), "Continue")
	b.shows(s.at("initech", "/"), "milton@stapler.test")
	b.open(s.at("initech", "/live"))
	b.shows(s.at("initech", "/live"), "the socket is open")
	if role := b.role(); role != "member" {
		t.Errorf("the app was told of role %q", role)
	}

	backend.goOn()
	backend.did("promoted")
	if role := b.role(); role != "admin" {
		t.Errorf("after the promotion the app was told of role %q", role)
	}
	b.open(s.at("initech", "/live"))
	b.shows(s.at("initech", "/live"), "the socket is open")

	backend.goOn()
	backend.did("deactivated")
	began := time.Now()
	until(t, "the WebSocket of who was deactivated is closed", time.Second, func() bool { return strings.Contains(b.text(), "the socket is closed") })
	t.Logf("the WebSocket was seen closed %v after the answer", time.Since(began).Round(time.Millisecond))
	if role := b.role(); role != "" {
		t.Errorf("after the deactivation the app was told of role %q", role)
	}

	backend.goOn()
	backend.did("reactivated")
	b.open(s.at("initech", "/back"))
	until(t, "the person is somewhere", 10*time.Second, func() bool { return b.where() != "" })
	if strings.HasPrefix(b.where(), s.origin("login")) {
		b.fill("email", "milton@stapler.test", "Continue")
		b.shows(s.origin("login"), "Choose how to sign in")
		b.click("E-mail me a code")
		b.shows(s.origin("login")+"/sign-in/code", "Enter the code")
		b.fill("code", codeTo(t, mails, "milton@stapler.test"), "Continue")
	}
	b.shows(s.at("initech", "/back"), "milton@stapler.test")
	b.open(s.at("initech", "/live"))
	b.shows(s.at("initech", "/live"), "the socket is open")
	if role := b.role(); role != "admin" {
		t.Errorf("after the reactivation the app was told of role %q", role)
	}

	backend.goOn()
	backend.did("done")
	if out, stderr, code := run(t, nil, "audit", "verify", "--config", s.file, "--org", "initech"); code != 0 {
		t.Errorf("orgate audit verify: %d\n%s%s", code, out, stderr)
	}
}

// role is what the app was told of the role of whoever asks by a script of the page; nothing where orgate did not let it through.
func (b *tab) role() string {
	b.t.Helper()
	b.do(chromedp.Evaluate[chromedp.Void](`window.roleIs = "?"; fetch("/headers").then(r => r.ok ? r.json() : {}).then(h => { window.roleIs = (h["X-Org-Role"] ?? [""])[0] }); undefined`))
	role := "?"
	until(b.t, "the app has answered", 10*time.Second, func() bool {
		role = ask(b, chromedp.Evaluate[string](`window.roleIs`))
		return role != "?"
	})
	return role
}

// apiKey makes a key for everything.
func (s *site) apiKey() string {
	s.t.Helper()
	out, stderr, code := run(s.t, nil, "api-key", "create", "--config", s.file, "--name", "backend")
	if code != 0 {
		s.t.Fatalf("orgate api-key create: %d\n%s", code, stderr)
	}
	key := strings.Fields(out)[1]
	s.secrets.add(key)
	return key
}

// A backend is a script that does its steps one by one, as it is told.
type backend struct {
	s    *site
	in   io.Writer
	said chan map[string]any
}

// backend begins a script beside the packages that `make tools` puts at internal/e2e/node.
func (s *site) backend(script, key string) *backend {
	s.t.Helper()
	cmd := s.nodeCommand(script, key)
	in, err := cmd.StdinPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	b := &backend{s: s, in: in, said: make(chan map[string]any, 1)}
	go func() {
		defer close(b.said)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var line map[string]any
			if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
				line = map[string]any{"step": fmt.Sprintf("%v: %s", err, lines.Text())}
			}
			b.said <- line
		}
		_ = cmd.Wait() // what it complains of is in the output of the test
	}()
	s.t.Cleanup(func() { _ = cmd.Process.Kill() })
	return b
}

// did waits until the step is done.
func (b *backend) did(step string) {
	b.s.t.Helper()
	select {
	case line, more := <-b.said:
		if !more || line["step"] != step {
			b.s.t.Fatalf("the backend says %v, want %s", line, step)
		}
	case <-time.After(30 * time.Second):
		b.s.t.Fatalf("the backend has not %s", step)
	}
}

func (b *backend) goOn() {
	b.s.t.Helper()
	if _, err := io.WriteString(b.in, "on\n"); err != nil {
		b.s.t.Fatal(err)
	}
}
