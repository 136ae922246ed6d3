package config_test

import (
	"strings"
	"testing"

	"github.com/orgate/orgate/config"
)

func TestNoFaultShowsAPartOfASecretHoweverItIsWritten(t *testing.T) {
	const before = "version: 1\npublic_url: https://login.example.com\norganizations:\n  - slug: acme\n    connections:\n      - name: okta\n"
	for name, written := range map[string]string{
		"next line":      "        client_secret:\n          hunter2: bad: x\n",
		"after a tab":    "        client_secret:\n\t\thunter2: x\n",
		"a literal":      "        client_secret: |2\n  hunter2: x: y\n",
		"less indented":  "        client_secret: |\n          abc\n        hunter2 x: y: z\n",
		"after others":   "        client_secret:\n          a: b\n          hunter2: bad: x\n",
		"a complex key":  "        ? client_secret\n        : hunter2: bad: x\n",
		"a mapping":      "        client_secret:\n          hunter2: x\n",
		"no reference":   "        client_secret: ${hunter2 x}\n",
		"in one line":    "        client_secret: [hunter2: x\n",
		"quoted":         "        client_secret: \"abc\n          hunter2: \\q x\"\n",
		"a misspelt key": "        client_secrt: hunter2\n",
	} {
		_, err := config.ReadBytes("orgate.yaml", []byte(before+written), func(string) (string, bool) { return "", false })
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
