// Package need is how a test asks for something that only some machines have: a
// real PostgreSQL, nginx, Chromium, a provider from npm.
//
// Without it the test is skipped, loudly; with REQUIRE_ALL=1, as `make test` sets it in
// continuous integration, a missing tool is a failure, so that nothing is skipped there
// unseen.
package need

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Missing skips the test because what is not there, or fails it with REQUIRE_ALL=1.
// get says how to get it.
func Missing(t testing.TB, what, get string) {
	t.Helper()
	if os.Getenv("REQUIRE_ALL") == "1" {
		t.Fatalf("%s is not there, and REQUIRE_ALL=1: %s", what, get)
	}
	t.Skipf("SKIPPED: %s is not there: %s", what, get)
}

// Tool returns the path of the first of the programs that is there. A name with
// wildcards, such as /usr/lib/postgresql/*/bin/initdb, means the last match.
func Tool(t testing.TB, get string, names ...string) string {
	t.Helper()
	for _, name := range names {
		if found, _ := filepath.Glob(name); len(found) > 0 {
			return found[len(found)-1]
		}
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	Missing(t, names[0], get)
	return ""
}

// Debian returns the path of a program of a Debian package.
func Debian(t testing.TB, pkg string, names ...string) string {
	t.Helper()
	return Tool(t, "apt-get install "+pkg+" (or `make tools`)", names...)
}
