package verify_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/orgate/orgate/docs/verify"
	"github.com/orgate/orgate/internal/need"
)

const (
	issuer   = "https://login.example.com"
	audience = "app"
)

// A gate signs assertions as orgate does, and publishes its keys.
type gate struct {
	url    string
	signer jose.Signer
}

func start(t *testing.T) *gate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, (&jose.SignerOptions{}).WithHeader("kid", "k1"))
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/orgate/jwks.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k1", Algorithm: "ES256", Use: "sig"}}})
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return &gate{s.URL, signer}
}

func (g *gate) sign(t *testing.T, edit func(map[string]any)) string {
	t.Helper()
	claims := map[string]any{"iss": issuer, "aud": []string{audience, "acme.example.com"}, "sub": "user_1", "org_id": "org_1", "role": "admin",
		"iat": time.Now().Unix(), "exp": time.Now().Add(5 * time.Minute).Unix()}
	edit(claims)
	token, err := jwt.Signed(g.signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// The tokens that an example must tell apart.
func (g *gate) tokens(t *testing.T) map[string]string {
	good := g.sign(t, func(map[string]any) {})
	head, rest, _ := strings.Cut(good, ".")
	return map[string]string{
		"good":       good,
		"expired":    g.sign(t, func(c map[string]any) { c["exp"] = time.Now().Add(-time.Hour).Unix() }),
		"issuer":     g.sign(t, func(c map[string]any) { c["iss"] = "https://evil.example.com" }),
		"audience":   g.sign(t, func(c map[string]any) { c["aud"] = "another" }),
		"another's":  start(t).sign(t, func(map[string]any) {}),
		"unsigned":   "eyJhbGciOiJub25lIn0." + strings.Split(rest, ".")[0] + ".",
		"tampered":   head + "." + rest[:10] + "A" + rest[11:],
		"not at all": "",
	}
}

func TestGoTellsAGoodAssertionFromABadOne(t *testing.T) {
	g := start(t)
	v := verify.New(t.Context(), issuer, audience, g.url+"/.well-known/orgate/jwks.json")
	for name, token := range g.tokens(t) {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
		r.Header.Set("X-Orgate-Jwt-Assertion", token)
		id, err := v.Identity(r)
		if good := err == nil && id == (verify.Identity{User: "user_1", Organization: "org_1", Role: "admin"}); good != (name == "good") {
			t.Errorf("%s: %+v, %v", name, id, err)
		}
	}
}

func TestNodeTellsAGoodAssertionFromABadOne(t *testing.T) {
	node := need.Tool(t, "install Node.js", "node")
	modules, err := filepath.Abs("../../sso/ssotest/node/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(modules, "jose")); err != nil {
		need.Missing(t, "npm's jose", "make tools")
	}
	dir := t.TempDir()
	copyFile(t, "verify.mjs", dir)
	if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	script := `import { identity } from './verify.mjs';
for (const [name, token] of Object.entries(JSON.parse(process.env.TOKENS))) {
  try { console.log(name + ' ' + JSON.stringify(await identity({ headers: { 'x-orgate-jwt-assertion': token } }))); } catch (e) { console.log(name + ' refused'); }
}`
	if err := os.WriteFile(filepath.Join(dir, "run.mjs"), []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	judge(t, start(t), node, filepath.Join(dir, "run.mjs"))
}

func TestPythonTellsAGoodAssertionFromABadOne(t *testing.T) {
	python := need.Debian(t, "python3-jwt", "/usr/bin/python3")
	if err := exec.CommandContext(t.Context(), python, "-c", "import jwt, cryptography").Run(); err != nil {
		need.Missing(t, "Python's jwt", "apt-get install python3-jwt python3-cryptography (or `make tools`)")
	}
	dir := t.TempDir()
	copyFile(t, "verify.py", dir)
	script := `import json, os
from verify import identity
for name, token in json.loads(os.environ["TOKENS"]).items():
    try:
        print(name, json.dumps(identity({"X-Orgate-Jwt-Assertion": token}), separators=(",", ":")))
    except Exception:
        print(name, "refused")
`
	if err := os.WriteFile(filepath.Join(dir, "run.py"), []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	judge(t, start(t), python, filepath.Join(dir, "run.py"))
}

// judge runs an example over all tokens.
func judge(t *testing.T, g *gate, program, script string) {
	t.Helper()
	tokens := g.tokens(t)
	asJSON, err := json.Marshal(tokens)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, script)
	cmd.Env = append(os.Environ(), "ORGATE_URL="+issuer, "ORGATE_AUDIENCE="+audience, "ORGATE_JWKS="+g.url, "TOKENS="+string(asJSON))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name := range tokens {
		want := name + " refused\n"
		if name == "good" {
			want = `good {"user":"user_1","organization":"org_1","role":"admin"}` + "\n"
		}
		if !strings.Contains(string(out), want) {
			t.Errorf("want %q in\n%s", want, out)
		}
	}
}

func copyFile(t *testing.T, name, dir string) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestThePageShowsTheCodeThatIsTested(t *testing.T) {
	page, err := os.ReadFile("../headers.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"verify.go", "verify.mjs", "verify.py"} {
		code, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(page), "\n"+string(code)+"```") {
			t.Errorf("docs/headers.md does not show %s as it is", name)
		}
	}
}
