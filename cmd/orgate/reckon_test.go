package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/config"
	"github.com/orgate/orgate/store"
)

// A reloading gateway, and what it logs.
type reloading struct {
	t   testing.TB
	g   *gateway
	log bytes.Buffer
}

func reloads(t testing.TB, organizations string) *reloading {
	r := &reloading{t: t}
	var err error
	r.g, err = open(t.Context(), r.config(organizations), slog.New(slog.NewJSONHandler(&r.log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.g.close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func (r *reloading) config(organizations string) *config.Config {
	r.t.Helper()
	c, err := config.ReadBytes("orgate.yaml", []byte(`version: 1
public_url: https://login.example.com
secrets_key: 0123456789abcdef0123456789abcdef
store: { badger: { dir: `+r.t.TempDir()+` } }
apps:
  - { name: app, host: "{org}.example.com", upstream: "http://127.0.0.1:3000" }
organizations:
`+organizations), func(string) (string, bool) { return "", false })
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

func (r *reloading) member(org, email string) {
	r.t.Helper()
	err := r.g.store.Update(r.t.Context(), func(tx store.Tx) error {
		_, err := addMember(tx, operating{by: audit.System, now: time.Now()}, url.Values{"org": {org}, "email": {email}})
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

// reload returns the lines that it logs about people, without their times.
func (r *reloading) reload(ctx context.Context, organizations string) (lines []string) {
	r.t.Helper()
	r.log.Reset()
	if err := r.g.put(ctx, r.config(organizations)); err != nil {
		r.t.Fatal(err)
	}
	r.g.behind.Wait()
	for line := range strings.Lines(r.log.String()) {
		var l map[string]any
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			r.t.Fatal(err)
		}
		msg, _ := l["msg"].(string)
		if !strings.Contains(msg, "people") {
			continue
		}
		words := []string{fmt.Sprint(l["level"])}
		for _, key := range []string{"organization", "organizations", "locked_out", "let_in", "asked_more", "asked_less", "judged", "stopped"} {
			if v, ok := l[key]; ok {
				words = append(words, fmt.Sprintf("%s=%v", key, v))
			}
		}
		lines = append(lines, strings.Join(words, " "))
	}
	return lines
}

const (
	twoOrganizations = `
  - slug: acme
    domains: [{ name: acme.com, verified: true }]
    connections: [{ name: okta, type: oidc, issuer: "https://okta.example", client_id: orgate }]
  - slug: globex
    connections: [{ name: entra, type: oidc, issuer: "https://entra.example", client_id: orgate }]
`
	acmeAlone = `
  - slug: acme
    domains: [{ name: acme.com, verified: true }]
    domain_policy: { max_age: 8h }
    connections: [{ name: okta, type: oidc, issuer: "https://okta.example", client_id: orgate }]
`
)

func TestAReloadSaysWhatItMeansForPeopleAndNamesNobody(t *testing.T) {
	r := reloads(t, twoOrganizations)
	r.member("acme", "jo@acme.com")
	r.member("globex", "jo@acme.com")
	r.member("globex", "gus@else.com")
	r.member("acme", "flo@acme.com")

	if got := r.reload(t.Context(), twoOrganizations); len(got) != 0 {
		t.Errorf("nothing changed: %q", got)
	}
	if got := r.reload(t.Context(), strings.Replace(twoOrganizations, "slug: globex", "slug: globex\n    name: Globex", 1)); len(got) != 1 || !strings.HasPrefix(got[0], "INFO organizations=0 ") {
		t.Errorf("a name changed: %q", got)
	}
	got := r.reload(t.Context(), acmeAlone)
	want := []string{
		"WARN organization=globex locked_out=2 let_in=0 asked_more=0 asked_less=0",
		"INFO organization=acme locked_out=0 let_in=0 asked_more=2 asked_less=0",
		"WARN organizations=2 locked_out=2 let_in=0 asked_more=2 asked_less=0 judged=3",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if log := r.log.String(); strings.Contains(log, "@") {
		t.Errorf("somebody is named: %s", log)
	}
	// The policy of Acme stays, as a section that is left out is left alone.
	got, want = r.reload(t.Context(), twoOrganizations), []string{
		"INFO organization=globex locked_out=0 let_in=2 asked_more=0 asked_less=0",
		"INFO organizations=1 locked_out=0 let_in=2 asked_more=0 asked_less=0 judged=2",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("back again: got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestAReloadThatIsStoppedSaysSo(t *testing.T) {
	r := reloads(t, twoOrganizations)
	for i := range 50 {
		r.member("globex", fmt.Sprintf("p%d@else.com", i))
	}
	next := r.config(acmeAlone)
	means, err := r.g.prepare(t.Context(), next)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.g.apply(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := means.compare(ctx, r.g.store, time.Now()); err == nil {
		t.Error("it judged everybody, and nobody waits for it")
	}
	c, err := means.compare(t.Context(), r.g.store, time.Now())
	if err != nil || c.People() != 50 {
		t.Errorf("judged %d, %v", c.People(), err)
	}
}

func tenOutOf(n int, policy string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `
  - slug: t%d
    domains: [{ name: t%d.com, verified: true }]
    connections: [{ name: okta, type: oidc, issuer: "https://t%d.okta.example", client_id: orgate }]
`, i, i, i)
		if i%(n/10) == 0 {
			b.WriteString(policy)
		}
	}
	return b.String()
}

// BenchmarkReload reloads ten thousand organizations, of which ten change. What it means for their
// people is worked out behind it: "prepare" is what the reload itself waits for.
func BenchmarkReload(b *testing.B) {
	const n = 10_000
	r := reloads(b, tenOutOf(n, ""))
	for i := range 1000 {
		r.member(fmt.Sprintf("t%d", i*10), fmt.Sprintf("p%d@t%d.com", i, i*10))
	}
	next := [2]*config.Config{r.config(tenOutOf(n, "    domain_policy: { max_age: 8h }\n")), r.config(tenOutOf(n, "    domain_policy: { max_age: 9h }\n"))}
	b.Run("prepare", func(b *testing.B) {
		for b.Loop() {
			if m, err := r.g.prepare(b.Context(), next[0]); err != nil || len(m.organizations) != 10 {
				b.Fatal(m, err)
			}
		}
	})
	b.Run("reload", func(b *testing.B) {
		i := 0
		for b.Loop() {
			if err := r.g.put(b.Context(), next[i%2]); err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			r.g.behind.Wait()
			b.StartTimer()
			i++
		}
	})
	b.Run("behind", func(b *testing.B) {
		if err := r.g.put(b.Context(), next[0]); err != nil {
			b.Fatal(err)
		}
		m, err := r.g.prepare(b.Context(), next[1])
		if err != nil {
			b.Fatal(err)
		}
		if err := r.g.put(b.Context(), next[1]); err != nil {
			b.Fatal(err)
		}
		r.g.behind.Wait()
		for b.Loop() {
			if c, err := m.compare(b.Context(), r.g.store, time.Now()); err != nil || len(c.Impacts()) == 0 {
				b.Fatal(c, err)
			}
		}
	})
}
