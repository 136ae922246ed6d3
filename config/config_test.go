package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/big"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/tenancy"
)

// secretsEnv are variables whose values are their names, in lower case.
func secretsEnv(name string) (string, bool) { return strings.ToLower(name), true }

func TestTheContractReads(t *testing.T) {
	dir := t.TempDir()
	text, err := os.ReadFile("testdata/contract.yaml")
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "orgate.yaml"), string(text))
	certificate(t, filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"))
	c, err := Read(filepath.Join(dir, "orgate.yaml"), secretsEnv)
	if err != nil {
		t.Fatal(err)
	}
	equal := func(what string, got, want any) {
		t.Helper()
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s = %v, want %v", what, got, want)
		}
	}
	equal("version", c.Version, 1)
	equal("listen", c.Listen, ":8080")
	equal("public_url", c.PublicURL.String(), "https://login.example.com")
	equal("login host", c.LoginHost(), tenancy.Host("login.example.com"))
	equal("tls", *c.TLS, TLS{CertFile: Path(filepath.Join(dir, "tls.crt")), KeyFile: Path(filepath.Join(dir, "tls.key"))})
	equal("trusted_proxies", c.TrustedProxies, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")})
	equal("management", c.Management, Management{Listen: "127.0.0.1:9090"})
	equal("store", c.Store.Badger.Dir, Path(filepath.Join(dir, "data")))
	equal("session", c.Session, Session{Idle: 12 * time.Hour, Absolute: 168 * time.Hour})
	equal("mail.smtp", *c.Mail.SMTP, SMTP{
		Host: "smtp.example.com", Port: 587, Username: "orgate", Password: Secret{"smtp_password"}, HELO: "login.example.com", Timeout: 30 * time.Second,
	})
	equal("mail.from", c.Mail.From, "Example <login@example.com>")
	equal("sign_in.methods", c.SignIn.Methods, []policy.Method{policy.EmailCode, policy.Passkey, policy.Password})
	equal("sign_in.social", c.SignIn.Social, []Social{{Name: "google", Type: "oidc", Label: "Google", Issuer: "https://accounts.google.com", ClientID: "orgate", ClientSecret: Secret{"google_secret"}}})
	equal("rules", c.Rules(), tenancy.Rules{DefaultRole: "member"})
	equal("roles", c.Roles, []Role{{Slug: "member"}, {Slug: "admin", Permissions: []string{"reports:edit", "reports:delete"}}})

	a := c.Apps[0]
	equal("app.host", a.Host.Host("acme"), tenancy.Host("acme.example.com"))
	equal("app.upstream", a.Upstream.String(), "http://127.0.0.1:3000")
	equal("app.headers", a.Headers, Headers{Preset: "orgate"})
	equal("app.timeouts", a.Timeouts, Timeouts{Connect: 5 * time.Second, ResponseHeader: time.Minute, Idle: 90 * time.Second})
	equal("app.cache_private", a.CachePrivate, true)
	for path, want := range map[string]policy.Rule{
		"/healthz": {Access: policy.Public}, "/admin/x": {Role: "admin"}, "/reports/7": {Permission: "reports:delete"},
	} {
		r := a.Rules.Match("DELETE", path)
		if r == nil || r.Access != want.Access || r.Role != want.Role || r.Permission != want.Permission {
			t.Errorf("the rule of DELETE %s is %+v", path, r)
		}
	}
	if r := a.Rules.Match("GET", "/payroll/7"); r == nil || r.When == nil {
		t.Errorf("the rule of /payroll/7 is %+v", r)
	}

	o := c.Organizations[0]
	equal("slug", o.Slug, tenancy.Slug("acme"))
	equal("name", o.Name, "Acme Inc.")
	equal("hosts", o.Hosts, []tenancy.Host{"portal.acme.com"})
	equal("upstreams", o.Upstreams["app"].String(), "http://10.1.2.3:3000")
	equal("domains", o.Domains, []Domain{{Name: "acme.com", Verified: true}, {Name: "acme.au"}})
	equal("domain_policy", *o.DomainPolicy, DomainPolicy{Policy{Methods: []policy.Method{policy.SSO}, Connection: "okta", MFA: "optional"}, true})
	equal("organization_policy", *o.OrganizationPolicy, Policy{Methods: []policy.Method{policy.SSO, policy.EmailCode}, MFA: "required"})
	equal("jit", *o.JIT, JIT{SSO: true})
	equal("roles", *o.Roles, MemberRoles{Default: "member", Groups: []GroupRole{{"Admins", "admin"}}})
	equal("connections", o.Connections, []Connection{{
		Name: "okta", Type: "oidc", Issuer: "https://acme.okta.com", ClientID: "orgate", ClientSecret: Secret{"acme_oidc_secret"},
		Scopes: []string{"email", "profile"}, GroupsClaim: "groups",
	}})
	equal("managed", o.Managed[tenancy.SectionConnections], tenancy.Origin{File: filepath.Join(dir, "orgate.yaml"), Line: 40})
	equal("sections", len(o.Managed), 5)

	var warned []int
	for _, w := range c.Warnings {
		warned = append(warned, w.Line)
	}
	equal("lines of warnings", warned, []int(nil))
}

// certificate writes a self-signed certificate and its key.
func certificate(t *testing.T, certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"login.example.com"}}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, certFile, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})))
	write(t, keyFile, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
}

// readText reads a configuration that is nowhere on the disk.
func readText(text string, env func(string) (string, bool)) (*Config, error) {
	r := NewReader("orgate.yaml", env)
	r.disk = noDisk{}
	return r.read([]byte(text))
}

func TestTheLeastConfigurationHasUsableDefaults(t *testing.T) {
	c, err := readText(least, noEnv)
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen != ":8080" || c.Management.Listen != "127.0.0.1:9090" || c.Store.Badger.Dir != "data" || c.Session.Idle != 12*time.Hour ||
		c.Log != (Log{"json", "info"}) || c.DefaultRole != "member" || len(c.Roles) != 1 || c.Limits.MaxHeader != 64<<10 ||
		c.Apps[0].Protocol != "auto" || c.Apps[0].AmbiguousPaths != "refuse" || c.Offered() != policy.MethodsOf(policy.SSO) {
		t.Errorf("%+v", c)
	}
}

func TestAProviderIsCalledOnThePortsThatAreNamed(t *testing.T) {
	const organization = `organizations: [{ slug: acme, connections: [{ name: idp, type: oidc, client_id: x, issuer: "https://idp.acme.com:%d" }] }]` + "\n"
	for name, tt := range map[string]struct {
		port   int
		egress string
		good   bool
	}{
		"the usual":                          {443, "{}", true},
		"another usual one":                  {9443, "{}", true},
		"not the usual":                      {4443, "{}", false},
		"named":                              {4443, "{ ports: [4444, 4443] }", true},
		"the usual beside those named":       {8443, "{ ports: [4443] }", true},
		"another than those named":           {4445, "{ ports: [4443] }", false},
		"where it may be an allowed address": {4445, "{ allow: [10.0.0.0/8] }", true},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := readText(least+"egress: "+tt.egress+"\n"+fmt.Sprintf(organization, tt.port), noEnv)
			if (err == nil) != tt.good {
				t.Fatalf("%v, want good: %t", err, tt.good)
			}
			if tt.good && len(c.Egress.Allow) == 0 && !slices.Contains(c.Egress.PublicPorts(), uint16(tt.port)) {
				t.Errorf("called are %v", c.Egress.PublicPorts())
			}
		})
	}
}

func TestPlainCookiesAreForPlainHTTPBeyondLocalhostAlone(t *testing.T) {
	for url, want := range map[string]bool{
		"https://login.example.com": false, "http://login.localhost:8080": false, "http://login.example.com": true,
	} {
		host := "{org}.example.com"
		if strings.Contains(url, "localhost") {
			host = "{org}.localhost"
		}
		c, err := readText(fmt.Sprintf("version: 1\npublic_url: %s\ninsecure_plain_http: true\napps: [{ name: app, host: %q, upstream: \"http://127.0.0.1:1\" }]\n", url, host), noEnv)
		if err != nil {
			t.Fatal(err)
		}
		if c.PlainCookies() != want {
			t.Errorf("%s: plain = %t", url, !want)
		}
	}
}

func TestValuesAreExpandedOnce(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "files", "user"), "from file\n")
	write(t, filepath.Join(dir, "files", "two"), "line\n\n")
	env := map[string]string{"NAME": "env", "NESTED": "${NAME}", "EMPTY": "", "PORT": "2525"}
	for in, want := range map[string]string{
		"x${NAME}y${NAME}": "xenvyenv", "${NESTED}": "${NAME}", "$${NAME}": "${NAME}", "$NAME": "$NAME", "$$": "$$", "a${EMPTY}b": "ab",
		"${file:files/user}": "from file", "${file:files/two}": "line\n", "${file:" + filepath.Join(dir, "files", "user") + "}": "from file",
	} {
		e := &expander{env: func(s string) (string, bool) { v, ok := env[s]; return v, ok }, read: realDisk{}.read, used: map[string][32]byte{}}
		if got, err := e.expand(dir, in); got != want || err != nil {
			t.Errorf("%q becomes %q, %v; want %q", in, got, err, want)
		}
	}
	c, err := readText(least+"mail: { smtp: { host: localhost, port: \"${PORT}\" }, from: a@b.c }\n", func(s string) (string, bool) { v, ok := env[s]; return v, ok })
	if err != nil || c.Mail.SMTP.Port != 2525 {
		t.Errorf("a number from the environment: %v", err)
	}
}

// A name may come from a customer, by way of whatever writes the files: it must not
// bring the operator's environment to light.
func TestWhatACustomerMayHaveWrittenIsNotExpanded(t *testing.T) {
	c, err := readText(least+"organizations: [{ slug: acme, name: \"${DATABASE_URL}\", roles: { groups: [{ group: \"${DATABASE_URL}\", role: member }] } }]\n",
		func(string) (string, bool) { return "hunter2", true })
	if err != nil {
		t.Fatal(err)
	}
	if o := c.Organizations[0]; o.Name != "${DATABASE_URL}" || o.Roles.Groups[0].Group != "${DATABASE_URL}" {
		t.Errorf("%q, %v", o.Name, o.Roles)
	}
}

func TestWhatIsReadForAValueIsARegularFileOfModestSize(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "long"), strings.Repeat("x", maxIncluded+1))
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"long", ".", "/dev/zero", "none", "pipe"} {
		e := &expander{env: noEnv, read: realDisk{}.read, used: map[string][32]byte{}}
		if got, err := e.expand(dir, "${file:"+path+"}"); err == nil {
			t.Errorf("%s was read: %d bytes", path, len(got))
		}
	}
}

func TestNothingPrintsASecret(t *testing.T) {
	text := least + `secrets_key: [hunter2-hunter2-hunter2-hunter2-hunter2]
store: { postgres: { url: "postgres://a:hunter2@db/x" } }
mail: { smtp: { host: localhost, password: hunter2 }, from: a@b.c }
organizations: [{ slug: acme, connections: [{ name: a, type: oidc, issuer: "https://a.b", client_id: x, client_secret: hunter2 }] }]
`
	c, err := readText(text, noEnv)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "config", c, "secret", c.Mail.SMTP.Password, "keys", c.SecretsKey)
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "config", c, "secret", c.Mail.SMTP.Password, "keys", c.SecretsKey)
	data, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	o := c.Organizations[0]
	for i, s := range []string{log.String(), string(data), fmt.Sprint(c, o, o.Connections, c.SecretsKey, *c.Store.Postgres), fmt.Sprintf("%+v %#v %q", c.SecretsKey, o.Connections[0], c.Mail.SMTP.Password)} {
		if strings.Contains(s, "hunter2") {
			t.Errorf("%d: %s", i, s)
		}
	}
	if string(c.SecretsKey.Bytes()[0]) != "hunter2-hunter2-hunter2-hunter2-hunter2" || o.Connections[0].ClientSecret.Reveal() != "hunter2" {
		t.Error("they are not what was written")
	}
}

func TestAKeyIsThirtyTwoBytesHoweverItIsWritten(t *testing.T) {
	raw := make([]byte, 32)
	for i := range raw {
		raw[i] = byte(i * 7)
	}
	for text, want := range map[string]string{
		fmt.Sprintf("%x", raw):                         string(raw),
		"AAcOFRwjKjE4P0ZNVFtiaXB3foWMk5qhqK+2vcTL0tk=": string(raw),
		"AAcOFRwjKjE4P0ZNVFtiaXB3foWMk5qhqK-2vcTL0tk":  string(raw),
		"a passphrase of more than thirty-two bytes":   "a passphrase of more than thirty-two bytes",
		"short":                    "",
		strings.Repeat("a", 31):    "",
		strings.Repeat("a b", 0):   "",
		strings.Repeat("!", 40):    "",
		fmt.Sprintf("%x", raw[1:]): fmt.Sprintf("%x", raw[1:]), // 62 digits are no 32 bytes, but a text of 62
	} {
		k, err := parseKey(text)
		if string(k.Bytes()) != want || (err == nil) != (want != "") {
			t.Errorf("%q: %x, %v; want %x", text, k.Bytes(), err, want)
		}
		if err != nil && text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("the error shows the key: %v", err)
		}
	}
}

func TestOrganizationFilesAreReadInOrderAndOnce(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "orgate.yaml"), least+"organization_files: [\"tenants/*.yaml\", \"tenants/b.yaml\", \"*.yaml\"]\norganizations: [{ slug: first }]\n")
	write(t, filepath.Join(dir, "tenants", "c.yaml"), "organizations:\n  - slug: c1\n  - slug: c2\n")
	write(t, filepath.Join(dir, "tenants", "b.yaml"), "- slug: b1\n- slug: b2\n")
	write(t, filepath.Join(dir, "tenants", "a.yaml"), "slug: a\nname: A\n")
	write(t, filepath.Join(dir, "tenants", "empty.yaml"), "# nobody yet\n")
	write(t, filepath.Join(dir, "tenants", ".#a.yaml"), "not: [yaml")
	r := NewReader(filepath.Join(dir, "orgate.yaml"), noEnv)
	c, err := r.Read()
	if err != nil {
		t.Fatal(err)
	}
	if got := slugs(c); got != "first a b1 b2 c1 c2" {
		t.Errorf("organizations = %s", got)
	}
	if at := c.Organizations[4].Managed[tenancy.SectionSettings]; at != (tenancy.Origin{File: filepath.Join(dir, "tenants", "c.yaml"), Line: 2}) {
		t.Errorf("c1 is at %v", at)
	}
	if len(r.used) != 5 {
		t.Errorf("read were %v", slices.Sorted(maps.Keys(r.used)))
	}
}

func TestFaultsOfOrganizationFilesHaveTheirPlaces(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	write(t, "orgate.yaml", least+"organization_files: [\"tenants/*.yaml\"]\n")
	write(t, "tenants/a.yaml", "slug: acme\nhosts: [portal.acme.com]\n")
	write(t, "tenants/b.yaml", "- slug: globex\n- slug: acme\n  hosts: [portal.acme.com]\n  roles: { default: boss }\n")
	write(t, "tenants/c.yaml", "organizations:\n  - slug: initech\n    name: [x]\nversion: 1\n")
	write(t, "tenants/d.yaml", "just text\n")
	write(t, "tenants/e.yaml", "slug: [\n")
	_, err := Read("orgate.yaml", noEnv)
	want := []string{
		"tenants/b.yaml:2:9: the slug acme is there twice", "tenants/b.yaml:3:11: the host portal.acme.com is there twice",
		"tenants/b.yaml:4:21: the role boss is not defined", "tenants/c.yaml:1:1: a file of organizations has the key organizations and others",
		"tenants/d.yaml:1:1: is a single value: want an organization, or a list of them",
		"tenants/e.yaml:2:1: not YAML: did not find expected node content, while parsing a flow node",
	}
	var got []string
	for _, f := range faultsOf(err) {
		got = append(got, f.Error())
	}
	if !slices.Equal(got, want) {
		t.Errorf("faults:\n%s", strings.Join(got, "\n"))
	}
	if !strings.Contains(err.Error(), "the other is at tenants/a.yaml:1") {
		t.Errorf("the other one is not named:\n%v", err)
	}
}

func TestWhatDidNotChangeIsTheSameInTheNextReading(t *testing.T) {
	dir := t.TempDir()
	name := func(s string) string { return filepath.Join(dir, s) }
	write(t, name("orgate.yaml"), least+"organization_files: [\"t/*.yaml\"]\norganizations:\n  - slug: main1\n  - slug: main2\n")
	write(t, name("t/a.yaml"), "slug: a\n")
	write(t, name("t/b.yaml"), "- slug: b1\n- slug: b2\n  connections: [{ name: x, type: oidc, issuer: \"https://x.y\", client_id: x, client_secret: \"${file:../secret}\" }]\n")
	write(t, name("secret"), "one")
	r := NewReader(name("orgate.yaml"), noEnv)
	reading := func() map[string]*Organization {
		t.Helper()
		c, err := r.Read()
		if err != nil {
			t.Fatal(err)
		}
		m := map[string]*Organization{}
		for _, o := range c.Organizations {
			m[string(o.Slug)] = o
		}
		return m
	}
	changed := func(a, b map[string]*Organization) string {
		var s []string
		for slug, o := range b {
			if a[slug] != o {
				s = append(s, slug)
			}
		}
		slices.Sort(s)
		return strings.Join(s, " ")
	}
	before := reading()
	for _, step := range []struct{ what, file, text, want string }{
		{"nothing", "t/a.yaml", "slug: a\n", ""},
		{"a name", "t/a.yaml", "slug: a\nname: Other\n", "a"},
		{"one in a list", "t/b.yaml", "- slug: b1\n- slug: b2\n  name: Other\n  connections: [{ name: x, type: oidc, issuer: \"https://x.y\", client_id: x, client_secret: \"${file:../secret}\" }]\n", "b2"},
		{"an included secret", "secret", "two", "b2"},
		{"one in the main file", "orgate.yaml", least + "organization_files: [\"t/*.yaml\"]\norganizations:\n  - slug: main1\n  - slug: main2\n    name: Other\n", "main2"},
		{"lines above", "t/b.yaml", "# comment\n- slug: b1\n- slug: b2\n  name: Other\n  connections: [{ name: x, type: oidc, issuer: \"https://x.y\", client_id: x, client_secret: \"${file:../secret}\" }]\n", "b1 b2"},
	} {
		write(t, name(step.file), step.text)
		after := reading()
		if got := changed(before, after); got != step.want {
			t.Errorf("%s: changed are %q, want %q", step.what, got, step.want)
		}
		if step.what == "lines above" && before["b2"].Sum() != after["b2"].Sum() {
			t.Error("the digest depends on the line")
		}
		before = after
	}
}

func TestTheDigestIsOfEverythingThatIsSaid(t *testing.T) {
	full := `  - slug: acme
    name: Acme Inc.
    hosts: [portal.acme.com]
    upstreams: { app: "http://10.1.2.3:3000" }
    domains: [{ name: acme.com, verified: true }]
    domain_policy: { methods: [sso], connection: okta, auto_join: true }
    organization_policy: { mfa: required, max_age: 1h }
    jit: { sso: true }
    roles: { default: member, groups: [{ group: Admins, role: member }] }
    connections:
      - { name: okta, type: oidc, issuer: "https://acme.okta.com", client_id: orgate, client_secret: hunter2, groups_claim: groups, scopes: [email], disabled: false }
`
	sum := func(text string) [32]byte {
		t.Helper()
		c, err := readText(least+"organizations:\n"+text, noEnv)
		if err != nil {
			t.Fatal(err)
		}
		return c.Organizations[0].Sum()
	}
	seen := map[[32]byte]string{sum(full): "nothing"}
	if seen[sum("  # moved\n"+full)] == "" {
		t.Error("a comment changed it")
	}
	for _, edit := range [][2]string{
		{"slug: acme", "slug: acme2"}, {"Acme Inc.", "Acme"}, {"portal.acme.com]", "portal2.acme.com]"}, {"10.1.2.3", "10.1.2.4"},
		{"verified: true", "verified: false"}, {"name: acme.com", "name: acme.org"}, {"methods: [sso]", "methods: []"}, {", auto_join: true", ""},
		{"methods: [sso], connection: okta", "methods: [sso]"}, {"mfa: required", "mfa: optional"}, {"1h", "2h"}, {"jit: { sso: true }", "jit: { sso: false }"},
		{"    jit: { sso: true }\n", ""}, {"default: member, ", ""}, {"Admins", "Owners"}, {"acme.okta.com", "acme2.okta.com"}, {"client_id: orgate", "client_id: o"},
		{"hunter2", "hunter3"}, {"groups_claim: groups", "groups_claim: roles"}, {"[email]", "[email, groups]"}, {"disabled: false", "disabled: true"},
		{"    domains: [{ name: acme.com, verified: true }]\n", "    domains: []\n"}, {"    domains: [{ name: acme.com, verified: true }]\n", ""},
	} {
		s := sum(strings.Replace(full, edit[0], edit[1], 1))
		if other, ok := seen[s]; ok {
			t.Errorf("%q instead of %q has the digest of %s", edit[1], edit[0], other)
		}
		seen[s] = edit[1]
	}
}

func TestASliceOfAConfigurationIsNotSharedWithTheDefaults(t *testing.T) {
	text := least + "organizations: [{ slug: a, connections: [{ name: x, type: oidc, issuer: \"https://x.y\", client_id: x }, { name: y, type: oidc, issuer: \"https://x.y\", client_id: x, scopes: [groups] }] }]\n"
	c, err := readText(text, noEnv)
	if err != nil {
		t.Fatal(err)
	}
	cs := c.Organizations[0].Connections
	if !slices.Equal(cs[0].Scopes, []string{"email", "profile"}) || !slices.Equal(cs[1].Scopes, []string{"groups"}) {
		t.Errorf("scopes = %v and %v", cs[0].Scopes, cs[1].Scopes)
	}
}

// noDisk has no files at all.
type noDisk struct{}

func (noDisk) read(string, int) ([]byte, error) { return nil, os.ErrNotExist }
func (noDisk) glob(string) ([]string, error)    { return nil, nil }

func FuzzRead(f *testing.F) {
	files, err := filepath.Glob("testdata/faults/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range append(files, "testdata/contract.yaml") {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(least))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := NewReader("orgate.yaml", func(string) (string, bool) { return "hunter2", true })
		r.disk = noDisk{}
		c, err := r.read(data)
		switch faults := faultsOf(err); {
		case (c == nil) != (err != nil), err != nil && len(faults) == 0, len(faults) > maxFaults+1:
			t.Fatalf("Read = %v, %v", c, err)
		case !strings.Contains(string(data), "hunter2") && strings.Contains(fmt.Sprint(err), "hunter2"):
			t.Fatalf("what came from the environment is in a fault: %v", err)
		}
		for _, fault := range faultsOf(err) {
			if len(fault.Text) > 4*(maxShown+2) || strings.ContainsAny(fault.Text, "\n\r\x1b") {
				t.Fatalf("text = %q", fault.Text)
			}
		}
		if c != nil {
			_ = c.Warnings.Error()
			if again, err := r.read(data); err != nil || len(again.Organizations) != len(c.Organizations) {
				t.Fatalf("the second time: %v", err)
			}
		}
	})
}

func faultsOf(err error) Faults { faults, _ := errors.AsType[Faults](err); return faults }

func tenantYAML(i int) string {
	return fmt.Sprintf(`- slug: t%d
  name: Tenant %d
  domains: [{ name: t%d.com, verified: true }]
  domain_policy: { methods: [sso], connection: okta, auto_join: true }
  jit: { sso: true }
  roles: { default: member, groups: [{ group: Admins, role: member }] }
  connections:
    - { name: okta, type: oidc, issuer: "https://t%d.okta.com", client_id: orgate, client_secret: "secret %d", groups_claim: groups }
`, i, i, i, i, i)
}

func BenchmarkRead(b *testing.B) {
	const n = 10_000
	dir := b.TempDir()
	var all strings.Builder
	for i := range n {
		all.WriteString(tenantYAML(i))
	}
	write := func(name, text string) {
		b.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	write("one.yaml", least+"organization_files: [all.yaml]\n")
	write("all.yaml", all.String())
	write("many.yaml", least+"organization_files: [\"t/*.yaml\"]\n")
	for i := range n {
		write(fmt.Sprintf("t/%d.yaml", i), tenantYAML(i))
	}
	read := func(b *testing.B, r *Reader) {
		b.Helper()
		if c, err := r.Read(); err != nil || len(c.Organizations) != n {
			b.Fatal(err)
		}
	}
	for _, main := range []string{"one.yaml", "many.yaml"} {
		b.Run("first/"+main, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				read(b, NewReader(filepath.Join(dir, main), noEnv))
			}
		})
		b.Run("again/"+main, func(b *testing.B) {
			b.ReportAllocs()
			r := NewReader(filepath.Join(dir, main), noEnv)
			read(b, r)
			for b.Loop() {
				read(b, r)
			}
		})
	}
}
