package sso_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"testing"

	"github.com/orgate/orgate/sso/ssotest"
)

// silent is a provider that does not say in its answers whose they are (RFC 9207).
func silent() ssotest.Faults {
	return ssotest.Faults{
		Callback:  func(v url.Values) { v.Del("iss") },
		Discovery: func(d map[string]any) { delete(d, "authorization_response_iss_parameter_supported") },
	}
}

func TestAProviderThatDoesNotSayWhoseItsAnswerIsHasARedirectURIOfItsOwn(t *testing.T) {
	w := newWorld(t)
	w.organization("acme", nil, person("alice", "acme.test")).Misbehave(silent())
	w.organization("globex", nil, person("gil", "globex.test"))
	u := w.browser().to("acme", "/", "alice@acme.test").as("alice").inApp("acme", "alice@acme.test")
	if to := trailed(u.p, "/sso/oidc/callback/acme/acme-okta"); to == "" {
		t.Errorf("it did not come back there: %v", u.p.Trail)
	}
	u = w.browser().to("globex", "/", "gil@globex.test").as("gil").inApp("globex", "gil@globex.test")
	if to := trailed(u.p, "/sso/oidc/callback"); to == "" {
		t.Errorf("it did not come back there: %v", u.p.Trail)
	}
}

// A provider sends whoever comes to it on to another organization's provider, with the
// challenge and nonce of a sign-in that its accomplice began there: a code that was brought to
// it would sign the accomplice in as the person (RFC 9700, 4.4).
func TestAHostileProviderDoesNotGetTheCodeOfAnother(t *testing.T) {
	for _, says := range []bool{false, true} {
		for _, evilSays := range []bool{false, true} {
			for _, own := range []bool{false, true} {
				t.Run(fmt.Sprintf("theirs says iss %v, evil's %v, own URI %v", says, evilSays, own), func(t *testing.T) {
					w := newWorld(t)
					acme := w.organization("acme", nil, person("alice", "acme.test"))
					evil := w.organization("evil", nil, person("eve", "evil.test"))
					if !says {
						acme.Misbehave(silent())
					}
					accomplice := w.browser().to("acme", "/", "alice@acme.test")
					begun := accomplice.p.URL
					codes := 0
					lies := ssotest.Faults{}
					if !evilSays {
						lies = silent()
					}
					lies.Endpoints = map[string]http.Handler{
						"authorize": http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
							q := maps.Clone(begun.Query())
							q.Set("state", r.URL.Query().Get("state"))
							q.Set("redirect_uri", w.callback())
							if own {
								q.Set("redirect_uri", w.ownCallback("acme"))
							}
							to := *begun
							to.RawQuery = q.Encode()
							http.Redirect(rw, r, to.String(), http.StatusFound)
						}),
						"token": http.HandlerFunc(func(http.ResponseWriter, *http.Request) { codes++ }),
					}
					evil.Misbehave(lies)
					u := w.browser().to("evil", "/", "x@evil.test").as("alice")
					if codes != 0 {
						t.Error("evil's provider was given the code of acme's")
					}
					if u.p.Status < 400 || u.cookie("orgate_login") != "" {
						t.Errorf("%d %s", u.p.Status, u.p.Title)
					}
				})
			}
		}
	}
}
