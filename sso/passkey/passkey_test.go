package passkey

import (
	"net/url"
	"testing"
)

func TestTheRelyingPartyIsTheLoginHost(t *testing.T) {
	for _, tt := range []struct{ public, id, origin string }{
		{"https://login.example.com", "login.example.com", "https://login.example.com"},
		{"https://login.example.com/", "login.example.com", "https://login.example.com"},
		{"https://login.example.com:443", "login.example.com", "https://login.example.com"},
		{"https://login.example.com:8443", "login.example.com", "https://login.example.com:8443"},
		{"https://LOGIN.Example.com", "login.example.com", "https://login.example.com"},
		{"https://xn--bcher-kva.example", "xn--bcher-kva.example", "https://xn--bcher-kva.example"},
		{"http://login.localhost:8080", "login.localhost", "http://login.localhost:8080"},
		{"http://localhost", "localhost", "http://localhost"},
		{"http://localhost:80", "localhost", "http://localhost"},
		{"https://localhost:80", "localhost", "https://localhost:80"},

		{"https://127.0.0.1", "", ""},
		{"http://127.0.0.1:8080", "", ""},
		{"https://[::1]:8443", "", ""},
		{"https://[fe80::1%25eth0]", "", ""},
		{"https://[::ffff:127.0.0.1]", "", ""},
		{"https://2130706433", "", ""},
		{"https://127.1", "", ""},
		{"https://0x7f.1", "", ""},
		{"https://login.0x7f", "", ""},
		{"https://intranet", "", ""},
		{"https://login.example.com.", "", ""},
		{"https://bücher.example", "", ""},
		{"https://.example.com", "", ""},
		{"https://-a.example.com", "", ""},
		{"http://login.example.com", "", ""},
		{"http://login.localhost.example.com", "", ""},
		{"http://notlocalhost", "", ""},
		{"ftp://login.example.com", "", ""},
		{"//login.example.com", "", ""},
		{"login.example.com", "", ""},
		{"https:login.example.com", "", ""},
		{"https://", "", ""},
		{"https://a@login.example.com", "", ""},
		{"https://login.example.com/sso", "", ""},
		{"https://login.example.com?a=b", "", ""},
		{"https://login.example.com#a", "", ""},
	} {
		t.Run(tt.public, func(t *testing.T) {
			u, err := url.Parse(tt.public)
			if err != nil {
				t.Fatal(err)
			}
			id, origin, err := FromURL(u)
			if id != tt.id || origin != tt.origin || (err == nil) != (tt.id != "") {
				t.Errorf("got %q, %q, %v", id, origin, err)
			}
			if err != nil {
				return
			}
			if _, err := New(Options{RPID: id, RPName: "Example", Origins: []string{origin}}); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestARelyingPartyHasOriginsOfItsHostAlone(t *testing.T) {
	const good = "https://login.example.com"
	for _, tt := range []struct {
		name string
		o    Options
		ok   bool
	}{
		{"good", Options{"login.example.com", "Example", []string{good}}, true},
		{"two ports", Options{"login.example.com", "Example", []string{good, good + ":8443"}}, true},
		{"no name", Options{"login.example.com", "", []string{good}}, false},
		{"no id", Options{"", "Example", []string{good}}, false},
		{"no origin", Options{"login.example.com", "Example", nil}, false},
		{"host above", Options{"example.com", "Example", []string{good}}, false},
		{"host beside", Options{"login.example.com", "Example", []string{good, "https://acme.example.com"}}, false},
		{"host below", Options{"login.example.com", "Example", []string{"https://x.login.example.com"}}, false},
		{"slash", Options{"login.example.com", "Example", []string{good + "/"}}, false},
		{"upper case", Options{"login.example.com", "Example", []string{"https://LOGIN.example.com"}}, false},
		{"upper case id", Options{"LOGIN.example.com", "Example", []string{good}}, false},
		{"standard port", Options{"login.example.com", "Example", []string{good + ":443"}}, false},
		{"plain http", Options{"login.example.com", "Example", []string{"http://login.example.com"}}, false},
		{"address", Options{"127.0.0.1", "Example", []string{"https://127.0.0.1"}}, false},
		{"app", Options{"login.example.com", "Example", []string{good, "android:apk-key-hash:AAAA"}}, false},
		{"no URL", Options{"login.example.com", "Example", []string{"%"}}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rp, err := New(tt.o)
			if (err == nil) != tt.ok || (rp != nil) != tt.ok {
				t.Errorf("got %v, %v", rp, err)
			}
		})
	}
}
