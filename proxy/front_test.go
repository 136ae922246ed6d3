package proxy

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/orgate/orgate/internal/need"
	"github.com/orgate/orgate/store"
)

// The examples of docs/forward-auth.md are what these proxies are run with, but for addresses.

func TestNginxAsksAndObeys(t *testing.T) {
	nginx := need.Debian(t, "nginx-light", "nginx", "/usr/sbin/nginx")
	w := newWorld(t, trusting("127.0.0.0/8"), asking)
	addr, dir := freeAddress(t), t.TempDir()
	server := w.example("nginx", "listen 80;", "listen "+addr+";")
	conf := writeConfig(t, dir, fmt.Sprintf(`daemon off; master_process off; pid %[1]s/pid; error_log %[1]s/error.log;
		events { worker_connections 64; }
		http {
			access_log off; client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
			%[2]s
		}`, dir, server))
	w.behind(addr, dir, nginx, "-p", dir, "-c", conf, "-e", filepath.Join(dir, "error.log"))
	w.obeyed()
}

func TestCaddyAsksAndObeys(t *testing.T) {
	caddy := need.Debian(t, "caddy", "caddy", "/usr/bin/caddy")
	w := newWorld(t, trusting("127.0.0.0/8"), asking)
	addr, dir := freeAddress(t), t.TempDir()
	_, port, _ := net.SplitHostPort(addr)
	site := w.example("caddyfile", "*.example.com {", "http://*.example.com:"+port+" {\n\tbind 127.0.0.1")
	conf := writeConfig(t, dir, "{\n\tadmin off\n\tauto_https off\n}\n"+site)
	w.behind(addr, dir, caddy, "run", "--adapter", "caddyfile", "--config", conf)
	w.obeyed()

	// Caddy passes WebSockets on by itself, and asks about them too.
	_, c := w.jo()
	open := func(cookie, origin string) error {
		app := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			conn, err := websocket.Accept(rw, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
			if err != nil {
				return
			}
			_, _, _ = conn.Read(r.Context()) // until it is closed
		})
		w.app.Store(&app)
		defer w.app.Store(nil)
		conn, _, err := websocket.Dial(t.Context(), w.front+"/ws", &websocket.DialOptions{Host: acmeHost, HTTPHeader: map[string][]string{"Cookie": {cookie}, "Origin": {origin}}})
		if err != nil {
			return err
		}
		return conn.Close(websocket.StatusNormalClosure, "")
	}
	if err := open(c, "https://"+acmeHost); err != nil {
		t.Errorf("a WebSocket of hers: %v", err)
	}
	if open("", "https://"+acmeHost) == nil {
		t.Error("a WebSocket of nobody's was opened")
	}
	if open(c, "https://"+globexHost) == nil {
		t.Error("a WebSocket was opened by another site's page")
	}
}

// example returns the example of docs/forward-auth.md in a language, with the addresses of
// this world, and old in it replaced by new.
func (w *world) example(language, old, new string) string {
	w.t.Helper()
	doc, err := os.ReadFile("../docs/forward-auth.md")
	if err != nil {
		w.t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(doc), "```"+language+"\n")
	text, _, closed := strings.Cut(rest, "```")
	if !found || !closed || strings.Contains(rest, "```"+language+"\n") {
		w.t.Fatalf("the document has not one example in %s", language)
	}
	for _, r := range [][2]string{{old, new}, {"127.0.0.1:8080", w.server.Listener.Addr().String()}, {"127.0.0.1:3000", strings.TrimPrefix(w.upstream.URL, "http://")}} {
		if !strings.Contains(text, r[0]) {
			w.t.Fatalf("the example in %s has no %q", language, r[0])
		}
		text = strings.ReplaceAll(text, r[0], r[1])
	}
	return text
}

// freeAddress is one on loopback that nothing listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func writeConfig(t *testing.T, dir, text string) (file string) {
	t.Helper()
	file = filepath.Join(dir, "conf")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// behind runs a proxy, waits until it listens, and sends requests there from now on.
func (w *world) behind(addr, home, program string, args ...string) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_DATA_HOME="+home, "XDG_CONFIG_HOME="+home)
	said := &logbook{}
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = cmd.Wait() }()
	w.t.Cleanup(func() {
		cancel()
		<-ended
		if w.t.Failed() {
			w.t.Logf("%s says\n%s", program, said)
		}
	})
	w.eventually(program+" listens", func() bool {
		select {
		case <-ended:
			w.t.Fatalf("%s has ended", program)
		default:
		}
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", addr)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	w.front = "http://" + addr
}

// obeyed goes through what a proxy that asks must do.
func (w *world) obeyed() {
	t := w.t
	t.Helper()
	p := w.person("ann@acme.com", w.acme.ID, "member")
	member := p.at(acmeHost, w.acme.ID)

	// The app is told what orgate says, and nothing that the client says.
	forged := []string{"Cookie", member}
	for _, name := range []string{"X-Org-Role", "x-org-role", "X_org_role", "X-Org_Role", "X_Org-Role", "X-Org-Id", "X-User-Email", "X_user_email", "X-Orgate-Jwt-Assertion", "X_orgate_jwt_assertion"} {
		forged = append(forged, name, "forged")
	}
	res := w.do("GET", acmeHost, "/x?y=z", forged...)
	if res.StatusCode != 200 {
		t.Fatalf("%d %s", res.StatusCode, res.body)
	}
	e := res.echo(t)
	if e.URI != "/x?y=z" || e.Host != acmeHost || e.Header.Get("X-Org-Id") != string(w.acme.ID) || e.Header.Get("X-Org-Role") != "member" ||
		e.Header.Get("X-User-Email") != "ann@acme.com" || strings.Count(e.Header.Get("X-Orgate-Jwt-Assertion"), ".") != 2 {
		t.Errorf("%+v", e)
	}
	if s := fmt.Sprint(e.Header); strings.Contains(s, "forged") {
		t.Errorf("the app was sent %s", s)
	}
	// Nor by having a header of ours taken for one of the connection.
	if res = w.do("GET", acmeHost, "/x", "Cookie", member, "Connection", "X-Org-Role, X-Org-Id, close"); res.StatusCode == 200 && res.echo(t).Header.Get("X-Org-Role") != "member" {
		t.Errorf("a client had the role dropped: %s", res.body)
	}
	if res = w.do("GET", acmeHost, "/admin/x", "Cookie", member, "Connection", "X-Forwarded-Uri, X-Forwarded-Method, X-Forwarded-Host, close", "X-Original-Uri", "/healthz"); res.StatusCode == 200 {
		t.Errorf("a client had what the proxy says dropped, and said something else: %s", res.body)
	}
	// On a public path nobody is somebody.
	for name := range map[string]bool{"X-Org-Id": true, "X_org_id": true} {
		if res = w.do("GET", acmeHost, "/healthz", name, "forged"); res.StatusCode != 200 || strings.Contains(res.body, "forged") {
			t.Errorf("nobody on a public path: %d %s", res.StatusCode, res.body)
		}
	}

	// What is refused is refused, and says where to sign in.
	if res = w.do("GET", acmeHost, "/admin/x", "Cookie", member); res.StatusCode != 403 {
		t.Errorf("a role that is missing: %d", res.StatusCode)
	}
	if res = w.do("DELETE", acmeHost, "/reports/1", "Cookie", member); res.StatusCode != 403 {
		t.Errorf("a permission that is missing: %d", res.StatusCode)
	}
	if res = w.do("GET", globexHost, "/x", "Cookie", member); res.StatusCode == 200 {
		t.Errorf("at another tenant's host: %d", res.StatusCode)
	}
	if res = w.do("GET", acmeHost, "/x?y=z", browser()...); res.StatusCode != 302 || res.Header.Get("Location") != "https://acme.example.com/.orgate/sign-in?return_to=%2Fx%3Fy%3Dz" {
		t.Errorf("nobody: %d %v", res.StatusCode, res.Header)
	}
	if res = w.do("GET", acmeHost, "/admin/x", "Cookie", member, "X-Original-Url", "https://acme.example.com/healthz"); res.StatusCode == 200 {
		t.Errorf("a client says what it asks for: %d %s", res.StatusCode, res.body)
	}
	if res = w.do("GET", acmeHost, "/admin/x", "Cookie", member, "X-Forwarded-Uri", "/healthz", "X-Forwarded-Host", acmeHost, "X-Forwarded-Method", "GET"); res.StatusCode == 200 {
		t.Errorf("a client says what it asks for: %d %s", res.StatusCode, res.body)
	}
	if res = w.do("POST", acmeHost, "/x", "Cookie", member, "Content-Type", "text/plain"); res.StatusCode != 200 || res.echo(t).Method != "POST" {
		t.Errorf("POST: %d", res.StatusCode)
	}

	// Sign-in begins behind it, too; but what the app is told is read by no script.
	if res = w.do("GET", acmeHost, "/.orgate/sign-in?return_to=%2Fx", browser()...); res.StatusCode != 302 || len(res.Cookies()) != 1 {
		t.Errorf("%d %v", res.StatusCode, res.Header)
	}
	for _, path := range []string{"/.orgate/auth", "/.orgate/auth/", "/.orgate/auth/x", "/.orgate/auth?mode=redirect", "/.orgate/%61uth/x", "/.orgate/%61uth", "/.orgate//auth", "/.orgate/./auth/x", "/x/../.orgate/auth/x", "/.orgate%2fauth/x", "/.ORGATE/auth/x"} {
		res := w.do("GET", acmeHost, path, "Cookie", member, "X-Forwarded-Uri", "/x", "X-Forwarded-Method", "GET", "Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "cors")
		if res.Header["X-User-Id"] != nil || res.Header["X-Orgate-Jwt-Assertion"] != nil {
			t.Errorf("a script reads at %s: %d %v", path, res.StatusCode, res.Header)
		}
	}

	// A session that ends is not let in any more.
	w.update(func(tx store.Tx) error { return end(tx, w, p) })
	if res = w.do("GET", acmeHost, "/x", "Cookie", member); res.StatusCode == 200 {
		t.Errorf("after signing out: %d", res.StatusCode)
	}
}
