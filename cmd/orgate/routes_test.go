package main

import (
	"flag"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/orgate/orgate/config"
)

var update = flag.Bool("update", false, "write golden files")

// The table of who may call what: a change of it is a line in a diff.
func TestRoutesAreThoseOfTheGoldenTable(t *testing.T) {
	c, err := config.ReadBytes("orgate.yaml", fmt.Appendf(nil, `
version: 1
public_url: http://login.localhost:8080
store: { badger: { dir: %q } }
apps: [{ name: app, host: "{org}.localhost", upstream: "http://127.0.0.1:3000" }]
`, t.TempDir()), os.LookupEnv)
	if err != nil {
		t.Fatal(err)
	}
	g, err := open(t.Context(), c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := g.close(); err != nil {
			t.Error(err)
		}
	}()
	login, _, _, err := g.loginRoutes(c)
	if err != nil {
		t.Fatal(err)
	}
	programs, err := g.managementAPI()
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, r := range slices.Concat(g.proxy.Routes(), login, g.managementRoutes(true), programs.Routes()) {
		crossSite := ""
		if r.CrossSite {
			crossSite = ", from any site"
		}
		lines = append(lines, fmt.Sprintf("%-10s %-64s %v%s\n", r.Side, r.Pattern, r.Access, crossSite))
	}
	slices.Sort(lines)
	const golden = "testdata/routes.golden"
	got := strings.Join(lines, "")
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the routes are\n%s\nand %s says\n%s\nIf that is meant, run go test ./cmd/orgate -update.", got, golden, want)
	}
}
