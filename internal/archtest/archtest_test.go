package archtest

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/orgate/orgate/"

// allowed says which of our packages each package may import. A package that is
// not here may import none of ours: adding one is a decision. "..." allows all.
var allowed = map[string][]string{
	// Below the line: types and rules. Nothing here imports store.
	"policy":  {},
	"audit":   {"internal/id"},
	"tenancy": {"policy", "audit", "internal/id"},
	"session": {"policy", "audit", "tenancy", "internal/id"},

	"directory":       {"audit", "tenancy", "internal/id"},
	"session/client":  {"policy", "audit", "tenancy", "session"},
	"sso/factor":      {"policy", "audit", "tenancy", "session", "internal/id"},
	"internal/outbox": {"audit", "tenancy", "internal/id"},
	"audit/hook":      {"audit", "tenancy", "internal/id"},
	"audit/trail":     {"audit", "tenancy", "internal/id"},

	// The line.
	"store":                 {"policy", "audit", "directory", "tenancy", "session", "sso/factor", "audit/hook", "internal/outbox", "audit/trail", "session/client", "internal/certificate"},
	"store/badger":          {"store"},
	"store/postgres":        {"store"},
	"store/postgres/pgtest": {"internal/need"},
	"store/storetest":       {"policy", "audit", "directory", "tenancy", "session", "sso/factor", "store", "store/badger", "audit/hook", "internal/id", "internal/outbox", "audit/trail", "session/client", "internal/certificate"},

	// Above: edges. None imports another.
	"config":         {"policy", "audit", "audit/hook", "tenancy", "session/client", "sso/saml"},
	"config/apply":   {"audit", "audit/hook", "config", "policy", "tenancy", "session", "store", "internal/id", "internal/seal"},
	"proxy":          {"internal/socket", "policy", "audit", "tenancy", "session", "store", "internal/cookie", "internal/denial", "internal/endpoint", "internal/id", "internal/page", "internal/seal", "internal/text", "proxy/plain", "proxy/upstream"},
	"sso":            {"policy", "audit", "tenancy", "session", "store", "sso/idp", "sso/oidc", "sso/saml", "internal/cookie", "internal/denial", "internal/endpoint", "internal/id", "internal/mail", "internal/outbox", "internal/page", "internal/seal", "internal/signedin", "internal/text", "sso/factor", "sso/github", "sso/passkey", "session/client"},
	"sso/idp":        {"internal/egress", "internal/text"},
	"sso/oauth":      {"sso/idp"},
	"sso/oidc":       {"internal/egress", "internal/text", "sso/idp", "sso/oauth"},
	"sso/github":     {"internal/egress", "internal/text", "sso/idp", "sso/oauth"},
	"sso/upkeep":     {"audit", "tenancy", "store", "sso/idp", "sso/saml", "internal/egress", "internal/id", "internal/seal", "internal/worker"},
	"sso/saml":       {"tenancy", "internal/text", "sso/idp"},
	"web":            {"policy", "audit", "tenancy", "session", "store", "internal/endpoint", "internal/mail", "internal/outbox", "internal/page", "internal/signedin", "internal/text", "sso/factor"},
	"sso/passkey":    {},
	"api":            {"policy", "audit", "audit/hook", "tenancy", "session", "store", "internal/endpoint", "internal/invite", "internal/mail", "internal/text", "sso/factor", "directory", "audit/reader", "audit/trail", "session/client", "internal/accesstoken"},
	"domain":         {"audit", "tenancy", "store", "internal/dnsproof", "internal/worker"},
	"proxy/plain":    {},
	"proxy/upstream": {"internal/socket"},

	"audit/webhook": {"audit", "audit/hook", "tenancy", "store", "internal/egress", "internal/id", "internal/seal"},
	"audit/writer":  {"audit", "audit/trail", "tenancy", "store", "internal/id"},

	// What edges share. None of these knows an edge.
	"audit/reader":               {"audit/trail", "tenancy", "store"},
	"internal/accesstoken":       {"session", "store"},
	"internal/cookie":            {},
	"internal/denial":            {"policy", "audit", "tenancy", "store"},
	"internal/dnsproof":          {},
	"internal/egress":            {},
	"internal/endpoint":          {"internal/text"},
	"internal/id":                {},
	"internal/invite":            {"tenancy", "store", "sso/factor", "internal/mail", "internal/outbox", "internal/text"},
	"internal/mail":              {"tenancy", "store", "internal/outbox", "internal/seal", "internal/text"},
	"internal/page":              {"internal/endpoint", "internal/text"},
	"internal/seal":              {},
	"internal/signedin":          {"session"},
	"internal/heap":              {},
	"internal/quiet":             {},
	"internal/socket":            {},
	"internal/telemetry":         {},
	"internal/text":              {},
	"internal/worker":            {},
	"internal/certificate":       {},
	"internal/certificate/issue": {"tenancy", "store", "internal/certificate", "internal/seal"},

	// For demo and tests only; serve does not reach them (see TestServeDoesNotReachTheDemo).
	"internal/demo":                 {"sso/ssotest"},
	"internal/need":                 {},
	"internal/mail/mailtest":        {"internal/need"},
	"sso/ssotest":                   {"internal/need"},
	"internal/e2e":                  {"..."},
	"internal/bench":                {"sso/ssotest"},
	"internal/bench/sessions":       {"policy", "audit", "session", "store", "store/badger", "tenancy", "internal/cookie"},
	"internal/dnsproof/dnstest":     {},
	"internal/certificate/acmetest": {},

	"docs/verify": {},

	// Only cmd sees all.
	"cmd/orgate": {"..."},
}

// only says which third-party module may be imported by one package alone.
var only = map[string]string{
	"github.com/dgraph-io/badger/":     "store/badger",
	"github.com/jackc/pgx/":            "store/postgres store/postgres/pgtest",
	"github.com/fsnotify/fsnotify":     "config",
	"go.yaml.in/yaml/":                 "config",
	"github.com/coreos/go-oidc/":       "sso/oidc docs/verify",
	"github.com/crewjam/saml":          "sso/saml sso/ssotest",
	"github.com/russellhaering/":       "sso/saml sso/ssotest",
	"github.com/beevik/etree":          "sso/saml sso/ssotest",
	"github.com/hashicorp/golang-lru":  "api proxy sso sso/oidc internal/denial",
	"cel.dev/cel-go":                   "policy",
	"github.com/go-webauthn/":          "sso/passkey",
	"github.com/wneessen/go-mail":      "internal/mail",
	"github.com/emersion/go-smtp":      "internal/demo",
	"github.com/pquerna/otp":           "sso/factor",
	"github.com/trustelem/zxcvbn":      "sso/factor",
	"github.com/miekg/dns":             "internal/dnsproof/dnstest internal/certificate/acmetest",
	"github.com/santhosh-tekuri/":      "audit/trail",
	"github.com/letsencrypt/":          "internal/certificate/acmetest",
	"github.com/caddyserver/certmagic": "internal/certificate/issue",
}

type pkg struct {
	ImportPath string
	Doc        string
	Imports    []string
	GoFiles    []string
}

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Doc,Imports,GoFiles", "./...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var ps []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return ps
		} else if err != nil {
			t.Fatal(err)
		}
		ps = append(ps, p)
	}
}

func TestPackagesImportOnlyWhatTheTableAllows(t *testing.T) {
	for _, p := range packages(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		may := allowed[name]
		for _, imp := range p.Imports {
			ours, ok := strings.CutPrefix(imp, module)
			if ok && !slices.Contains(may, ours) && !slices.Contains(may, "...") {
				t.Errorf("%s imports %s: the table in archtest does not allow it", name, ours)
			}
			for prefix, owner := range only {
				if strings.HasPrefix(imp, prefix) && !slices.Contains(strings.Fields(owner), name) {
					t.Errorf("%s imports %s, which is for %s alone", name, imp, owner)
				}
			}
		}
	}
}

func TestEveryPackageSaysWhatItOwns(t *testing.T) {
	for _, p := range packages(t) {
		if len(p.GoFiles) > 0 && p.Doc == "" {
			t.Errorf("%s has no package doc", p.ImportPath)
		}
	}
}

func TestTheTableNamesNoPackageThatIsGone(t *testing.T) {
	var names []string
	for _, p := range packages(t) {
		names = append(names, strings.TrimPrefix(p.ImportPath, module))
	}
	for name := range allowed {
		if !slices.Contains(names, name) {
			t.Errorf("the table names %s, which does not exist", name)
		}
	}
}
