package webhook_test

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/audit/hook"
	"github.com/orgate/orgate/audit/webhook"
	"github.com/orgate/orgate/internal/need"
	"github.com/orgate/orgate/store"
)

// fromDocs returns the only example of that language in docs/events.md.
func fromDocs(t *testing.T, language string) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/events.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	if len(found) != 1 {
		t.Fatalf("docs/events.md has %d examples in %s, want one", len(found), language)
	}
	return found[0][1]
}

func TestTheGoExampleInTheDocsVerifies(t *testing.T) {
	source, err := os.ReadFile("verify_test.go")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(string(source), "\n"+fromDocs(t, "go")) {
		t.Error("the example in docs/events.md is not the one that is tested, in verify_test.go")
	}
	w := newWorld(t)
	w.clock.Advance(time.Since(noon))
	r := w.receiver(nil)
	e := w.endpoint(r.URL)
	w.start()
	w.happen("user.created", 1)
	g := w.next(r)
	if err := verifyWebhook(w.secrets[0], g.header, g.body); err != nil {
		t.Error(err)
	}
	if verifyWebhook("whsec_"+strings.Repeat("A", 44), g.header, g.body) == nil || verifyWebhook(w.secrets[0], g.header, append(g.body, ' ')) == nil {
		t.Error("it verifies anything")
	}
	w.do(func(tx store.Tx) error {
		_, _, err := hook.Rotate(tx, w.rules(), e.ID, "", system, w.clock.Now())
		return err
	})
	w.happen("user.created", 1)
	if g := w.next(r); verifyWebhook(w.secrets[0], g.header, g.body) != nil {
		t.Error("the old secret is not good after a rotation")
	}
	w.clock.Advance(-10 * time.Minute)
	w.happen("user.created", 1)
	if g := w.next(r); verifyWebhook(w.secrets[0], g.header, g.body) == nil {
		t.Error("it verifies what is ten minutes old")
	}
}

// npm's package, which nobody here wrote, is the receiver, as the docs have it.
func TestTheNodeExampleInTheDocsVerifies(t *testing.T) {
	node := need.Tool(t, "install Node.js 20 or later", "node")
	modules := os.Getenv("ORGATE_WEBHOOK_NODE_MODULES")
	if modules == "" {
		modules = filepath.Join("node", "node_modules")
	}
	modules, err := filepath.Abs(modules)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(modules, "standardwebhooks")); err != nil {
		need.Missing(t, "npm's standardwebhooks", "make tools")
	}
	w := newWorld(t)
	w.clock.Advance(time.Since(noon))
	// Node finds packages beside the script alone.
	dir := t.TempDir()
	script := filepath.Join(dir, "receiver.mjs")
	if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(script, []byte(fromDocs(t, "js")), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(secret string) (url string, lines *bufio.Scanner) {
		cmd := exec.CommandContext(t.Context(), node, script)
		cmd.Env = append(os.Environ(), "WEBHOOK_SECRET="+secret, "PORT=0")
		cmd.Stderr = t.Output()
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
		lines = bufio.NewScanner(out)
		if !lines.Scan() || !strings.HasPrefix(lines.Text(), "listening ") {
			t.Fatalf("the receiver says %q", lines.Text())
		}
		return "http://127.0.0.1:" + strings.TrimPrefix(lines.Text(), "listening "), lines
	}
	// An endpoint's URL and secret are each known before the other: it starts at a place where nobody is.
	e := w.endpoint("http://127.0.0.1:1/")
	url, lines := run(w.secrets[0])
	w.update(e.ID, hook.Wish{URL: &url})
	w.start()
	ids := w.happen("user.created", 3)
	for _, id := range ids {
		w.outcome(webhook.Sent)
		if !lines.Scan() || lines.Text() != fmt.Sprint(id, " user.created") {
			t.Errorf("the receiver says %q, want %s", lines.Text(), id)
		}
	}
	wrong, _ := run("whsec_" + strings.Repeat("A", 44))
	w.update(e.ID, hook.Wish{URL: &wrong})
	w.happen("user.created", 1)
	w.outcome(webhook.Failed)
	if a := w.waiting(e.ID)[0].Attempts; len(a) != 1 || a[0].Status != http.StatusBadRequest {
		t.Errorf("with another secret: %+v", a)
	}
}

func TestTheScheduleInTheDocsIsTheOneInForce(t *testing.T) {
	page, err := os.ReadFile("../../docs/events.md")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range regexp.MustCompile(`(?m)^\| \d+ \| (\d+) (s|min|h) \|$`).FindAllStringSubmatch(string(page), -1) {
		got = append(got, m[1]+m[2])
	}
	var want []string
	for _, p := range hook.Pauses() {
		switch {
		case p < time.Minute:
			want = append(want, fmt.Sprintf("%ds", p/time.Second))
		case p < time.Hour:
			want = append(want, fmt.Sprintf("%dmin", p/time.Minute))
		default:
			want = append(want, fmt.Sprintf("%dh", p/time.Hour))
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("docs/events.md says %q, in force is %q", got, want)
	}
}
