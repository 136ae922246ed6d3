package e2e

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/store/postgres/pgtest"
)

// TestWhatWasAnsweredSurvivesAPowerCut: the sign-in whose answer the browser has is on disk.
func TestWhatWasAnsweredSurvivesAPowerCut(t *testing.T) {
	t.Parallel()
	s := standard(t)
	for _, login := range []string{"p24", "p25"} {
		p := s.person(t, login)
		p.enter("acme", "/")
		s.kill()
		s.start()
		if !p.isIn("acme") {
			t.Errorf("%s was signed in, and is not after the power cut", login)
		}
	}
	// Signing out too: it is not undone.
	p := s.person(t, "p26")
	p.enter("acme", "/")
	c := p.cookie("acme")
	p.press(p.get(s.at("acme", "/.orgate/sign-out")), "Sign out")
	s.kill()
	s.start()
	if status := fetchWith(t, s, c); status != http.StatusUnauthorized {
		t.Errorf("signed out before the power cut, and after it: %d", status)
	}
}

const secretsKey = "e2e-secrets-key-0123456789abcdefghijklmnop"

// postgres is the line of the configuration for a store there.
func (s *site) postgres(url string) string {
	const password = "e2e-database-password-2f9c"
	s.secrets.add(secretsKey, password)
	url = strings.Replace(url, "orgate@", "orgate:"+password+"@", 1)
	return "store: { postgres: { url: \"" + url + "\" } }\nsecrets_key: " + secretsKey
}

// TestABackupOfARunningStoreFillsAnotherEngine: people and memberships move; sessions do
// not, as what was signed out since would live again.
func TestABackupOfARunningStoreFillsAnotherEngine(t *testing.T) {
	t.Parallel()
	pg := pgtest.Start(t)
	s := newSite(t)
	// The key is the operator's, so that it moves too.
	s.secrets.add(secretsKey)
	s.write(s.head(s.badger()+"\nsecrets_key: "+secretsKey) + s.acme() + s.globex())
	s.start()
	p := s.person(t, "p27")
	p.enter("acme", "/")
	before := p.told("acme")
	copied := filepath.Join(s.dir, "backup")
	if _, stderr, code := run(t, nil, "backup", "--config", s.file, "--out", copied); code != 0 {
		t.Fatalf("orgate backup: %d\n%s", code, stderr)
	}
	if info, err := os.Stat(copied); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the backup: %v %v", info, err)
	}
	if b, err := os.ReadFile(copied); err != nil {
		t.Fatal(err)
	} else {
		for _, secret := range append([]string{clientSecret, secretsKey}, p.cookie("acme").Value, p.cookie("login").Value) {
			if bytes.Contains(b, []byte(secret)) {
				t.Errorf("the backup has a secret in the clear: %.12s…", secret)
			}
		}
	}
	s.stop()

	s.write(s.head(s.postgres(pg.URL())) + s.acme() + s.globex())
	if _, stderr, code := run(t, nil, "restore", "--config", s.file, "--in", copied); code != 0 {
		t.Fatalf("orgate restore: %d\n%s", code, stderr)
	}
	s.start()
	if p.isIn("acme") {
		t.Error("a session was brought back to life")
	}
	if is, orgs := s.knows("p27@acme.test"); !is || !slices.Equal(orgs, []string{"acme"}) {
		t.Errorf("p27: known %v, member of %v", is, orgs)
	}
	p.enter("acme", "/")
	after := p.told("acme")
	for _, name := range []string{"X-User-Id", "X-Org-Id", "X-Org-Membership-Id", "X-Auth-Connection"} {
		if before.Get(name) != after.Get(name) {
			t.Errorf("%s was %s and is %s", name, before.Get(name), after.Get(name))
		}
	}
	// Once more, over what is there now: refused, and nothing is lost.
	s.stop()
	if _, stderr, code := run(t, nil, "restore", "--config", s.file, "--in", copied); code != 1 || !strings.Contains(stderr, "empty") {
		t.Errorf("restore over a store that is not empty: %d\n%s", code, stderr)
	}
	s.start()
	if !p.isIn("acme") {
		t.Error("the refused restore lost a session")
	}
}

// TestTwoReplicasAreOne: what ends at one ends at the other within a second; and while the
// database is gone nobody gets in who should not.
func TestTwoReplicasAreOne(t *testing.T) {
	t.Parallel()
	pg := pgtest.Start(t)
	url := pg.URL()
	one := newSite(t)
	one.write(one.head(one.postgres(url)) + one.acme() + one.globex())
	one.start()

	// The other replica is the same host on another loopback address, as a balancer would
	// reach it.
	two := siteAt(t, one.issuer, one.Port)
	two.Listen = strings.Replace(one.Listen, "127.0.0.1", "127.0.0.2", 1)
	two.secrets = one.secrets
	two.app = one.app
	two.write(two.head(two.postgres(url)) + two.acme() + two.globex())
	two.start()

	p, leaver := one.person(t, "p28"), one.person(t, "p29")
	p.enter("acme", "/")
	leaver.enter("acme", "/")
	at := func(s *site, p *person, path string) int {
		t.Helper()
		client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, s.Listen)
		}}}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, one.at("acme", path), nil)
		if err != nil {
			t.Fatal(err)
		}
		if c := p.cookie("acme"); c != nil {
			req.AddCookie(c)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.StatusCode
	}
	for _, who := range []*person{p, leaver} {
		if status := at(two, who, "/headers"); status != http.StatusOK {
			t.Fatalf("signed in at one replica, and at the other: %d", status)
		}
	}
	stolen := one.person(t, "p29")
	stolen.Jar.Set(mustURL(t, one.origin("acme")), []*http.Cookie{sessionCookie(leaver.cookie("acme"))})
	leaver.press(leaver.get(one.at("acme", "/.orgate/sign-out")), "Sign out")
	began := time.Now()
	until(t, "signed out at the other replica", time.Second, func() bool { return at(two, stolen, "/headers") == http.StatusUnauthorized })
	t.Logf("signed out at the other replica after %v", time.Since(began))

	pg.Down()
	if status := at(two, stolen, "/headers"); status != http.StatusServiceUnavailable && status != http.StatusUnauthorized {
		t.Errorf("without the database, whoever signed out: %d", status)
	}
	if status := at(one, one.person(t, "nobody"), "/public"); status != http.StatusOK {
		t.Logf("without the database, a public route: %d", status)
	}
	for _, s := range []*site{one, two} {
		until(t, "a cached grant is not believed any more", 25*time.Second, func() bool { return at(s, p, "/headers") == http.StatusServiceUnavailable })
		if s.ready() {
			t.Error("it says that it is ready")
		}
	}
	if pg := one.person(t, "p1").get(one.at("acme", "/")); pg.Status != http.StatusServiceUnavailable {
		t.Errorf("signing in without the database: %s %d %s", pg.URL, pg.Status, pg.Text)
	}
	pg.Up()
	for _, s := range []*site{one, two} {
		until(t, "it works again", 30*time.Second, func() bool { return at(s, p, "/headers") == http.StatusOK && s.ready() })
	}
	if status := at(two, stolen, "/headers"); status != http.StatusUnauthorized {
		t.Errorf("with the database back, whoever signed out: %d", status)
	}
	one.person(t, "p1").enter("acme", "/")
}
