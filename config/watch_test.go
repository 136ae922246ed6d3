package config

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const least = `version: 1
public_url: https://login.example.com
apps:
  - { name: app, host: "{org}.example.com", upstream: "http://127.0.0.1:3000" }
`

// A watched is a configuration that is read again whenever it changes, as serve does.
type watched struct {
	t      *testing.T
	dir    string
	reader *Reader
	reads  chan result
}

type result struct {
	config *Config
	err    error
}

// watchDir reads and watches dir/orgate.yaml.
func watchDir(t *testing.T, dir string) *watched {
	t.Helper()
	w := &watched{t: t, dir: dir, reader: NewReader(filepath.Join(dir, "orgate.yaml"), noEnv), reads: make(chan result, 100)}
	if _, err := w.reader.Read(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- w.reader.Watch(ctx, func() {
			c, err := w.reader.Read()
			w.reads <- result{c, err}
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	// Watch has begun once it notices something: until then, changes could be missed.
	for began := false; !began; {
		w.touch()
		select {
		case <-w.reads:
			began = true
		case <-time.After(settle / 2):
		}
	}
	w.drain()
	return w
}

// touch writes the main file as it is.
func (w *watched) touch() {
	w.t.Helper()
	data, err := os.ReadFile(filepath.Join(w.dir, "orgate.yaml"))
	if err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(w.dir, "orgate.yaml"), data, 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// drain waits until nothing was noticed for a while.
func (w *watched) drain() {
	for {
		select {
		case <-w.reads:
		case <-time.After(3 * settle):
			return
		}
	}
}

// until returns the first reading for which ok is true.
func (w *watched) until(what string, ok func(result) bool) result {
	w.t.Helper()
	limit := time.After(10 * time.Second)
	for {
		select {
		case r := <-w.reads:
			if ok(r) {
				return r
			}
		case <-limit:
			w.t.Fatalf("not noticed: %s; watched: %+v", what, w.reader.view())
		}
	}
}

func slugs(c *Config) string {
	var s []string
	if c != nil {
		for _, o := range c.Organizations {
			s = append(s, string(o.Slug))
		}
	}
	return strings.Join(s, " ")
}

func has(want string) func(result) bool {
	return func(r result) bool { return r.err == nil && slugs(r.config) == want }
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAFileThatIsReplacedByRenameIsReadAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	main := filepath.Join(dir, "orgate.yaml")
	write(t, main, least)
	w := watchDir(t, dir)
	for _, slug := range []string{"acme", "globex"} { // twice: the second file is another inode
		write(t, main+".tmp", least+"organizations: [{ slug: "+slug+" }]\n")
		if err := os.Rename(main+".tmp", main); err != nil {
			t.Fatal(err)
		}
		w.until(slug, has(slug))
	}
}

func TestAHalfWrittenFileIsAFaultAndThenItIsWhole(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	main := filepath.Join(dir, "orgate.yaml")
	write(t, main, least)
	w := watchDir(t, dir)
	write(t, main, least+"organizations: [{ slug: ac")
	w.until("the half", func(r result) bool { return r.err != nil && r.config == nil })
	write(t, main, least+"organizations: [{ slug: acme }]\n")
	w.until("the whole", has("acme"))
}

func TestAFileThatWasDeletedIsAFaultAndIsFoundAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	main := filepath.Join(dir, "orgate.yaml")
	write(t, main, least)
	w := watchDir(t, dir)
	if err := os.Remove(main); err != nil {
		t.Fatal(err)
	}
	r := w.until("the deletion", func(r result) bool { return r.err != nil })
	if !strings.Contains(r.err.Error(), "does not exist") {
		t.Errorf("err = %v", r.err)
	}
	write(t, main, least+"organizations: [{ slug: acme }]\n")
	w.until("the new one", has("acme"))
}

// Kubernetes mounts a ConfigMap as links through ..data, and swaps that one link.
func TestASwapOfTheDirectoryThatKubernetesMountsIsNoticed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	publish := func(version, text string) {
		t.Helper()
		write(t, filepath.Join(dir, version, "orgate.yaml"), text)
		if err := os.Symlink(version, filepath.Join(dir, "..data_tmp")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	publish("..2026_1", least)
	if err := os.Symlink("..data/orgate.yaml", filepath.Join(dir, "orgate.yaml")); err != nil {
		t.Fatal(err)
	}
	w := watchDir(t, dir)
	for i, slug := range []string{"acme", "globex"} {
		version := []string{"..2026_2", "..2026_3"}[i]
		publish(version, least+"organizations: [{ slug: "+slug+" }]\n")
		w.until(slug, has(slug))
		if err := os.RemoveAll(filepath.Join(dir, []string{"..2026_1", "..2026_2"}[i])); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOrganizationFilesThatComeAndGoAreNoticed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "orgate.yaml"), least+"organization_files: [\"tenants/*/*.yaml\"]\n")
	w := watchDir(t, dir)
	// The directory comes, and one in it, and a file in that: each is noticed in turn.
	write(t, filepath.Join(dir, "tenants", "eu", "acme.yaml"), "slug: acme\n")
	w.until("acme", has("acme"))
	write(t, filepath.Join(dir, "tenants", "eu", "globex.yaml"), "slug: globex\n")
	w.until("globex", has("acme globex"))
	write(t, filepath.Join(dir, "tenants", "us", "initech.yaml"), "slug: initech\n")
	w.until("initech", has("acme globex initech"))
	if err := os.Remove(filepath.Join(dir, "tenants", "eu", "acme.yaml")); err != nil {
		t.Fatal(err)
	}
	w.until("without acme", has("globex initech"))
}

func TestAFileThatAFaultIsInIsWatchedThoughItWasNeverInForce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "orgate.yaml"), least)
	w := watchDir(t, dir)
	write(t, filepath.Join(dir, "new", "acme.yaml"), "slug: -acme\n")
	write(t, filepath.Join(dir, "orgate.yaml"), least+"organization_files: [new/acme.yaml]\n")
	w.until("the fault", func(r result) bool { return r.err != nil && strings.Contains(r.err.Error(), "'-' at byte 0") })
	write(t, filepath.Join(dir, "new", "acme.yaml"), "slug: acme\n")
	w.until("the repair", has("acme"))
}

func TestAnIncludedSecretThatIsRotatedIsNoticed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	secret := filepath.Join(dir, "secrets", "acme")
	write(t, secret, "one\n")
	write(t, filepath.Join(dir, "acme.yaml"), "slug: acme\nconnections: [{ name: okta, type: oidc, issuer: \"https://acme.okta.com\", client_id: x, client_secret: \"${file:secrets/acme}\" }]\n")
	write(t, filepath.Join(dir, "orgate.yaml"), least+"organization_files: [acme.yaml]\n")
	w := watchDir(t, dir)
	write(t, secret, "two\n")
	w.until("the rotation", func(r result) bool {
		return r.err == nil && r.config.Organizations[0].Connections[0].ClientSecret.Reveal() == "two"
	})
}

func TestAFileBesideTheConfigurationIsNobodysBusiness(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "orgate.yaml"), least+"organization_files: [\"*.yaml\"]\n")
	w := watchDir(t, dir)
	write(t, filepath.Join(dir, "data.log"), "line\n")
	select {
	case <-w.reads:
		t.Error("it was noticed")
	case <-time.After(3 * settle):
	}
}

func TestAChangeBetweenReadAndWatchIsNotMissed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	main := filepath.Join(dir, "orgate.yaml")
	write(t, main, least)
	r := NewReader(main, noEnv)
	if _, err := r.Read(); err != nil {
		t.Fatal(err)
	}
	write(t, main, least+"organizations: [{ slug: acme }]\n")
	ctx, cancel := context.WithCancel(t.Context())
	told := false
	if err := r.Watch(ctx, func() { told = true; cancel() }); err != nil || !told {
		t.Error(told, err)
	}
}

// Between the reading that finds a directory and the moment that it is watched, a file
// can come into it.
func TestAFileThatComesBeforeItsDirectoryIsWatchedIsNotMissed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "orgate.yaml"), least+"organization_files: [\"tenants/*/*.yaml\"]\n")
	r := NewReader(filepath.Join(dir, "orgate.yaml"), noEnv)
	if _, err := r.Read(); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "tenants", "eu", "acme.yaml"), "slug: acme\n")
	write(t, filepath.Join(dir, "orgate.yaml"), least+"organization_files: [\"tenants/*/*.yaml\"]\n") // newer than the reading
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	got, late := "", false
	err := r.Watch(ctx, func() {
		c, err := r.Read()
		if err != nil {
			t.Error(err)
		}
		if got = slugs(c); got == "acme" && !late {
			late = true
			write(t, filepath.Join(dir, "tenants", "eu", "globex.yaml"), "slug: globex\n")
		}
		if got == "acme globex" {
			cancel()
		}
	})
	if err != nil || got != "acme globex" {
		t.Errorf("organizations = %s, %v", got, err)
	}
}

func TestWatchTellsOfNothingWhereNothingChanged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	main := filepath.Join(dir, "orgate.yaml")
	write(t, main, least+"organization_files: [\"t/*.yaml\"]\n")
	write(t, filepath.Join(dir, "t", "acme.yaml"), "slug: acme\n")
	r := NewReader(main, noEnv)
	if _, err := r.Read(); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "data", "log"), "the store is made beside the configuration")
	write(t, main, least+"organization_files: [\"t/*.yaml\"]\n")
	ctx, cancel := context.WithTimeout(t.Context(), 3*settle)
	defer cancel()
	if err := r.Watch(ctx, func() { t.Error("told of a change") }); err != nil {
		t.Error(err)
	}
}

func TestAFileThatWasMissingIsNoticedWhenItComes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "orgate.yaml"), least)
	w := watchDir(t, dir)
	write(t, filepath.Join(dir, "orgate.yaml"), least+"secrets_key: \"${file:keys/one}\"\n")
	w.until("the fault", func(r result) bool { return r.err != nil && strings.Contains(r.err.Error(), "does not exist") })
	write(t, filepath.Join(dir, "keys", "one"), strings.Repeat("key ", 10))
	w.until("the key", func(r result) bool { return r.err == nil && len(r.config.SecretsKey) == 1 })
}
