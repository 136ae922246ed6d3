package sso_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/sso/ssotest"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// A line of a failed sign-in, as far as it is looked at.
type failedLine struct {
	RequestID  string   `json:"request_id"`
	Connection string   `json:"connection_id"`
	Check      string   `json:"check"`
	Hint       string   `json:"hint"`
	Cause      string   `json:"cause"`
	Steps      []string `json:"steps"`
}

// failedLines are the lines of failed sign-ins from a place in the log on.
func (w *world) failedLines(from int) (lines []failedLine) {
	w.t.Helper()
	for line := range strings.SplitSeq(w.log.String()[from:], "\n") {
		if strings.Contains(line, `"sign-in failed"`) {
			var l failedLine
			if err := json.Unmarshal([]byte(line), &l); err != nil {
				w.t.Fatal(err)
			}
			lines = append(lines, l)
		}
	}
	return lines
}

// happened are the names of all events but of failures.
func (w *world) happened() (names []string) {
	w.t.Helper()
	changes, err := w.store.Feed(w.t.Context(), 0, 100_000)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, c := range changes {
		if c.Event.Name != audit.SSOFailed {
			names = append(names, c.Event.Name)
		}
	}
	return names
}

// A browser that did begin a flow brings each known attack: it sees one page with an id and nothing of our
// insides, the operator finds the id in the log with what was checked, and nothing is made.
func TestNoKnownSAMLAttackSignsAnybodyIn(t *testing.T) {
	w := newWorld(t, generous)
	idp := w.saml("acme", nil, person("alice", "acme.test"), person("mallory", "acme.test"))
	for _, ask := range []string{"answers a request", "began at the provider"} {
		for _, a := range ssotest.SAMLAttacks() {
			if a.Name == "response-destination-missing" || a.Name == "response-issuer-missing" {
				continue // package saml says why they are none: what they lack is signed in the assertion
			}
			t.Run(ask+"/"+a.Name, func(t *testing.T) {
				w.t = t
				u := w.browser()
				id, relay := u.begun("acme", "mallory@acme.test", "mallory")
				if ask != "answers a request" {
					id, relay = "", ""
				}
				before, log := w.happened(), len(w.log.String())
				response := a.Make(idp, w.asksFor("acme", id), person("alice", "acme.test"), person("mallory", "acme.test"))
				u.brings("acme", response, relay)
				if ask != "answers a request" && u.p.Status == http.StatusOK && strings.HasPrefix(u.p.URL.String(), idp.EntityID()) {
					// Some are attacks only by what they answer: without a request the browser is sent to ask.
					u.nothing("acme", "alice@acme.test")
					return
				}
				if u.p.Status < 400 || u.p.Status >= 500 {
					t.Fatalf("%s\nstatus %d at %s: %s", a.What, u.p.Status, u.p.URL, u.p.Text)
				}
				u.nothing("acme", "alice@acme.test").nothing("acme", "mallory@acme.test")
				if after := w.happened(); len(after) != len(before) {
					t.Errorf("it left events: %v", after[len(before):])
				}
				for _, inside := range []string{"goroutine", "xml:", "etree", "crypto/", "panic", "saml:", "store", "<saml", "signature_", "assertion_"} {
					if strings.Contains(u.p.Text, inside) {
						t.Errorf("the page says %q: %s", inside, u.p.Text)
					}
				}
				lines := w.failedLines(log)
				if u.p.URL.Path != "/sso/saml/acme.acme-adfs/acs" {
					return // it was well made, and answers nothing of this browser
				}
				if strings.Contains(u.p.Text, "can't be read") || len(lines) == 0 && len(response) > 1<<20 {
					return // no form at all
				}
				if len(lines) != 1 {
					t.Fatalf("%d lines in the log", len(lines))
				}
				l := lines[0]
				if l.RequestID == "" || !strings.Contains(u.p.Body, l.RequestID) || l.Check == "" || l.Hint == "" || l.Connection != string(conn("acme")) || len(l.Steps) == 0 {
					t.Errorf("the line of the log is %+v", l)
				}
				if len(l.Cause) > 2000 {
					t.Errorf("the log has %d bytes of what a stranger wrote", len(l.Cause))
				}
			})
		}
	}
}

func TestNoFormThatIsNoneReachesTheSAMLReader(t *testing.T) {
	w := newWorld(t)
	idp := w.saml("acme", nil, person("alice", "acme.test"))
	acs, slo, finish := w.samlURL("acme", "acs"), w.samlURL("acme", "slo"), w.samlURL("acme", "finish")
	good := url.Values{"SAMLResponse": {idp.Respond(w.asksFor("acme", "_x"), person("alice", "acme.test"))}}.Encode()
	log := len(w.log.String())
	for name, tt := range map[string]struct {
		method, to, kind, body string
		status                 int
	}{
		"an artifact":                     {"POST", acs, formType, "SAMLart=AAQAAA", 400},
		"an artifact beside a response":   {"POST", acs, formType, good + "&SAMLart=", 400},
		"a response in the query":         {"POST", acs + "?" + good, formType, "", 0},
		"two responses":                   {"POST", acs, formType, good + "&" + good, 400},
		"two RelayStates":                 {"POST", acs, formType, good + "&RelayState=a&RelayState=b", 400},
		"JSON":                            {"POST", acs, "application/json", "{}", 400},
		"text":                            {"POST", acs, "text/plain", good, 400},
		"no content type":                 {"POST", acs, "", good, 400},
		"multipart":                       {"POST", acs, "multipart/form-data; boundary=x", "--x--", 400},
		"ten megabytes":                   {"POST", acs, formType, "SAMLResponse=" + strings.Repeat("A", 10<<20), 400},
		"a semicolon":                     {"POST", acs, formType, "SAMLResponse=a;b=c", 400},
		"GET at the ACS":                  {"GET", acs + "?" + good, "", "", 405},
		"PUT at the ACS":                  {"PUT", acs, formType, good, 405},
		"HEAD at the end":                 {"HEAD", finish + "?answer=x", "", "", 405},
		"HEAD at single logout":           {"HEAD", slo + "?SAMLRequest=x", "", "", 405},
		"an artifact at single logout":    {"POST", slo, formType, "SAMLart=AAQAAA", 400},
		"an artifact in its query":        {"GET", slo + "?SAMLart=AAQAAA&SAMLRequest=x", "", "", 400},
		"a connection that is not there":  {"POST", w.login("/sso/saml/acme.other/acs"), formType, good, 404},
		"no name":                         {"POST", w.login("/sso/saml/acme/acs"), formType, good, 404},
		"the name with a dot more":        {"POST", w.login("/sso/saml/acme.acme-adfs./acs"), formType, good, 404},
		"an organization in capitals":     {"POST", w.login("/sso/saml/ACME.acme-adfs/acs"), formType, good, 404},
		"a slash in disguise":             {"POST", w.login("/sso/saml/acme.acme-adfs%2Fx/acs"), formType, good, 404},
		"an answer that is not there":     {"GET", finish + "?answer=" + strings.Repeat("A", 43), "", "", 400},
		"no answer":                       {"GET", finish, "", "", 400},
		"a test without a secret":         {"GET", w.samlURL("acme", "test"), "", "", 400},
		"a POST of nothing to the end":    {"POST", finish, formType, "", 400},
		"two answers":                     {"POST", finish, formType, "answer=a&answer=b", 400},
		"an OIDC connection of that name": {"POST", w.login("/sso/saml/globex.globex-okta/acs"), formType, good, 404},
	} {
		t.Run(name, func(t *testing.T) {
			w.t = t
			if strings.Contains(tt.to, "globex") {
				w.organization("globex", nil)
			}
			p := w.bare(tt.method, tt.to, tt.kind, tt.body)
			if tt.status != 0 && p.Status != tt.status || p.Status < 400 || p.Status >= 500 {
				t.Errorf("status %d, want %d: %s", p.Status, tt.status, p.Body)
			}
			for _, c := range (&http.Response{Header: p.Header}).Cookies() {
				if c.MaxAge >= 0 {
					t.Errorf("it sets %s", c.Name)
				}
			}
		})
	}
	w.t = t
	// What is no form is not a sign-in that failed.
	if n := len(w.failedLines(log)); n > 1 {
		t.Errorf("%d lines in the log", n)
	}
	w.nobody("alice@acme.test")
}

func TestAFloodOfAnswersToASAMLConnectionIsToldToWait(t *testing.T) {
	w := newWorld(t)
	w.saml("acme", nil, person("alice", "acme.test"))
	form := url.Values{"SAMLResponse": {"AAAA"}}.Encode()
	last := 0
	for range 400 {
		if last = w.bare("POST", w.samlURL("acme", "acs"), formType, form).Status; last == http.StatusTooManyRequests {
			break
		}
	}
	if last != http.StatusTooManyRequests {
		t.Errorf("the last has status %d", last)
	}
	if n := len(w.events(audit.SSOFailed)); n > 60 {
		t.Errorf("%d events of failures", n)
	}
}

func TestAnswersDoNotFillABrowserUp(t *testing.T) {
	w := newWorld(t)
	idp := w.saml("acme", nil, person("mallory", "acme.test"))
	w.changeConnection("acme", func(c *tenancy.Connection) { c.SAML.IDPInitiated = true })
	u := w.browser()
	for range 30 {
		u.brings("acme", idp.Respond(w.asksFor("acme", ""), person("mallory", "acme.test")), "")
	}
	loginURL, _ := url.Parse(w.login("/"))
	n := 0
	for _, c := range u.Jar.Cookies(loginURL) {
		if strings.Contains(c.Name, "_answer_") {
			n++
		}
	}
	if n > 6 {
		t.Errorf("the browser keeps %d answers", n)
	}
	u.sees(http.StatusOK, "Sign in to Acme?").press("Sign in").inApp("acme", "mallory@acme.test")
}

// A provider's owner can post as many good assertions as he likes: what each leaves is small, and goes.
func TestWhatWaitsInTheStoreGoesByItself(t *testing.T) {
	w := newWorld(t)
	idp := w.saml("acme", nil, person("alice", "acme.test"))
	for i := range 3 {
		form := url.Values{"SAMLResponse": {idp.Respond(w.asksFor("acme", fmt.Sprintf("_%d", i)), person("alice", "acme.test"))}}.Encode()
		if p := w.bare("POST", w.samlURL("acme", "acs"), formType, form); p.Status != http.StatusSeeOther {
			t.Fatalf("status %d", p.Status)
		}
	}
	w.view(func(tx store.Tx) error {
		if _, err := tx.UserByEmail("alice@acme.test"); err == nil {
			t.Error("a user was made at the ACS")
		}
		return nil
	})
	if c := w.census("acme"); c != (census{}) {
		t.Errorf("the store has %+v", c)
	}
}
