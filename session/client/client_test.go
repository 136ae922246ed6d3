package client_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/session/client"
)

func TestOnlyWholeAddressesAreRedirectURIs(t *testing.T) {
	for _, s := range []string{"https://app.example.com/callback", "https://app.example.com:8443/a/b?x=1", "http://localhost:3000/cb", "http://app.localhost/cb", "http://127.0.0.1:1/cb", "http://[::1]:1/cb", "https://app.example.com"} {
		if err := client.CheckURI(s); err != nil {
			t.Errorf("%s: %v", s, err)
		}
	}
	for _, s := range []string{
		"", "/callback", "//app.example.com/cb", "app.example.com", "http://app.example.com/cb", "http://localhost.evil.example/cb", "http://127.0.0.1.evil.example/", "ftp://app.example.com/", "javascript:alert(1)", "myapp://cb",
		"https://user@app.example.com/", "https://app.example.com/#f", "https://app.example.com/#", "https://*.example.com/cb", "https://app.example.com/c b", "https://app.example.com/\r\n", `https://app.example.com\@evil.example`,
		"https://app.exämple.com/", "https://", "https:///cb", "https:app", "https://app.example.com/cb?code=1", "https://app.example.com/cb?state=1", "https://app.example.com/" + strings.Repeat("a", 500),
	} {
		if client.CheckURI(s) == nil {
			t.Errorf("%q is one", s)
		}
	}
	for s, good := range map[string]bool{"client_1": true, "client_01HXYZ123456789ABCDEFGHIJ": true, "client_": false, "app": false, "": false, "client_a/b": false, "client_ä": false, "client_" + strings.Repeat("a", 60): false} {
		if (client.CheckID(s) == nil) != good {
			t.Errorf("%q", s)
		}
	}
}

func TestPeopleReturnToTheOriginsOfTheClient(t *testing.T) {
	c := client.Client{RedirectURIs: []string{"https://app.example.com/callback", "http://localhost:3000/cb"}, SignOutURIs: []string{"https://www.example.com/bye"}}
	for s, may := range map[string]bool{
		"https://app.example.com/": true, "https://app.example.com:443/x?y": true, "https://APP.example.com/": true, "http://localhost:3000/": true, "https://www.example.com/bye": true,
		"": false, "https://www.example.com/": false, "http://app.example.com/": false, "https://app.example.com:444/": false, "http://localhost:3001/": false, "https://app.example.com.evil.example/": false,
		"https://app.example.com@evil.example/": false, "//app.example.com/": false, "/": false, "https:app.example.com": false, "https://evil.example/?https://app.example.com/": false,
	} {
		if c.MayReturn(s) != may {
			t.Errorf("%q: %v", s, !may)
		}
	}
}

// FuzzAnAuthorizationLeadsToTheClientAlone: whatever the query is, people are sent to an address of the client's, or nowhere.
func FuzzAnAuthorizationLeadsToTheClientAlone(f *testing.F) {
	f.Add("client_id=client_app&redirect_uri=https%3A%2F%2Fapp.example.com%2Fcb&response_type=code&state=x")
	f.Add("client_id=client_app&redirect_uri=https%3A%2F%2Fapp.example.com%2Fcb%40evil&response_type=code")
	f.Add("client_id=client_app&redirect_uri=https%3A%2F%2Fapp.example.com%2Fcb&state=%26code%3Dx&max_age=9&prompt=login&connection=a&organization=b&code_challenge=c")
	cs := client.Clients{{ID: "client_app", RedirectURIs: []string{"https://app.example.com/cb"}}}
	f.Fuzz(func(t *testing.T, raw string) {
		q, err := url.ParseQuery(raw)
		if err != nil {
			return // no query
		}
		for _, profile := range []bool{false, true} {
			a, err := client.ReadAuthorization(cs, q, profile, time.Unix(1_800_000_000, 0))
			if errors.Is(err, client.ErrStranger) {
				if a.RedirectURI != "" {
					t.Errorf("a stranger is sent to %s", a.RedirectURI)
				}
				continue
			}
			if fault, ok := errors.AsType[*client.Fault](err); err != nil && (!ok || fault.Code == "" || fault.Text == "") {
				t.Errorf("%v", err)
			}
			for _, to := range []string{a.Return("the-code"), a.Refuse(client.Fault{Code: "x", Text: "y"})} {
				u, err := url.Parse(to)
				if err != nil || u.Scheme != "https" || u.Host != "app.example.com" || u.Path != "/cb" || u.User != nil || u.Fragment != "" {
					t.Errorf("sent to %s: %v", to, err)
				}
				if got := u.Query(); a.HasState && (len(got["state"]) != 1 || got.Get("state") != q.Get("state")) || len(got["code"])+len(got["error"]) != 1 {
					t.Errorf("sent with %q, asked with %q", got, q)
				}
			}
		}
	})
}
