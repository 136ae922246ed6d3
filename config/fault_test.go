package config

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write golden files anew")

// golden compares got with a file, or writes the file with -update.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is not as it was; if that is right: go test ./config -update\ngot:\n%s", file, got)
	}
}

func noEnv(string) (string, bool) { return "", false }

func TestGoldenFaults(t *testing.T) {
	files, err := filepath.Glob("testdata/faults/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	env := map[string]string{"DATABASE_URL": "postgres://hunter2", "IDLE": "hunter2"}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			c, err := Read(name, func(s string) (string, bool) { v, ok := env[s]; return v, ok })
			faults, ok := errors.AsType[Faults](err)
			if !ok || len(faults) == 0 || c != nil {
				t.Fatalf("Read = %v, %v, want faults and nothing else", c, err)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("a fault shows a secret:\n%v", err)
			}
			golden(t, strings.TrimSuffix(name, ".yaml")+".want", err.Error()+"\n")
		})
	}
}
