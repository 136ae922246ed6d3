package oauth

import (
	"net/url"
	"strings"
	"testing"
)

func TestACallbackIsSmallAndSaysNothingTwice(t *testing.T) {
	for query, want := range map[string]string{
		"state=s&code=c":                          "",
		"state=s&code=c&x=1&x=2":                  "",
		"state=s&state=s&code=c":                  "state comes more than once",
		"state=s&code=c&code=d":                   "code comes more than once",
		"state=s&code=c&iss=a&iss=b":              "iss comes more than once",
		"state=s&x=" + strings.Repeat("x", 8<<10): "too long",
	} {
		q, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		if got := CheckCallback(q); got != want {
			t.Errorf("%.40s: %q, want %q", query, got, want)
		}
	}
}
