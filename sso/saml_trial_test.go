package sso_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/beevik/etree"

	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/sso"
	"github.com/orgate/orgate/sso/ssotest"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// trial begins a trial of slug's connection.
func (w *world) trial(slug string) (id, to string) {
	w.t.Helper()
	id, to, err := w.running.StartTrial(w.t.Context(), slug, slug+"-adfs")
	if err != nil {
		w.t.Fatal(err)
	}
	return id, to
}

// told is how far a trial has come: each step's check, with a minus if it failed.
func (w *world) told(id string) (checks string, report sso.TrialReport) {
	w.t.Helper()
	report, err := w.running.Trial(id)
	if err != nil {
		w.t.Fatal(err)
	}
	var all []string
	for _, s := range report.Steps {
		sign := ""
		if !s.OK {
			sign = "-"
		}
		all = append(all, sign+s.Check)
		if s.Detail == "" {
			w.t.Errorf("step %s has no detail", s.Check)
		}
	}
	return strings.Join(all, " "), report
}

func TestATrialIsToldStepByStepAndSignsNobodyIn(t *testing.T) {
	w := newWorld(t)
	w.saml("acme", nil, person("alice", "acme.test"), person("gil", "gmail.test"))
	id, to := w.trial("acme")
	if checks, report := w.told(id); checks != "" || report.Done {
		t.Errorf("before it was begun: %s", checks)
	}
	before := w.happened()
	u := w.browser().get(to)
	if checks, report := w.told(id); checks != "provider request" || report.Done {
		t.Errorf("when it was begun: %s, %v", checks, report.Done)
	}
	u.as("alice").press("Continue").sees(http.StatusOK, "The test is finished", "Nobody was signed in").nothing("acme", "alice@acme.test")
	checks, report := w.told(id)
	if !report.Done || strings.Contains(checks, "-") || !strings.HasPrefix(checks, "provider request ") || !strings.HasSuffix(checks, " request answered user membership") {
		t.Errorf("at the end: %s", checks)
	}
	if last := report.Steps[len(report.Steps)-1].Detail; !strings.Contains(last, "active, with the roles member; new") {
		t.Errorf("the last step says %s", last)
	}
	if after := w.happened(); len(after) != len(before) {
		t.Errorf("it left events: %v", after[len(before):])
	}
	// Whoever is signed in stays so, and the trial is nothing to them.
	v := w.browser().to("acme", "/", "alice@acme.test").as("alice").press("Continue").inApp("acme", "alice@acme.test")
	token := v.cookie("orgate_login")
	id, to = w.trial("acme")
	v.tab().get(to).as("gil").press("Continue").sees(http.StatusOK, "The test is finished")
	if v.cookie("orgate_login") != token {
		t.Error("the trial changed a session")
	}
	if checks, report = w.told(id); !report.Done || !strings.HasSuffix(checks, " -not_vouched") {
		t.Errorf("a stranger: %s", checks)
	}
	w.nobody("gil@gmail.test")
}

// dropped takes out of a response what it answers.
func dropped(r *etree.Element) {
	r.RemoveAttr("InResponseTo")
	r.FindElement(".//SubjectConfirmationData").RemoveAttr("InResponseTo")
}

func TestATrialSaysWhyItWouldNotWork(t *testing.T) {
	for name, tt := range map[string]struct {
		org    func(*tenancy.Organization)
		faults ssotest.SAMLFaults
		before func(*world)
		begins bool   // the provider may
		says   string // the end of what is told
		page   int
	}{
		"not signed":      {faults: ssotest.SAMLFaults{Signed: ssotest.NothingSigned}, says: "-signature_missing", page: 403},
		"no InResponseTo": {faults: ssotest.SAMLFaults{Edit: dropped}, says: "-unsolicited", page: 403},
		"no InResponseTo, where the provider may begin": {faults: ssotest.SAMLFaults{Edit: dropped}, begins: true, says: "-unsolicited", page: 403},
		"nobody is made a member":                       {org: func(o *tenancy.Organization) { o.JITSSO = false }, says: "user -membership", page: 200},
		"somebody who was put out":                      {before: func(w *world) { w.member("acme", "alice@acme.test", policy.Inactive) }, says: "user -membership", page: 200},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			idp := w.saml("acme", func(o *tenancy.Organization, _ *tenancy.SAMLConnection, _ *ssotest.SAMLOptions) {
				if tt.org != nil {
					tt.org(o)
				}
			}, person("alice", "acme.test"))
			if tt.before != nil {
				tt.before(w)
			}
			if tt.begins {
				w.changeConnection("acme", func(c *tenancy.Connection) { c.SAML.IDPInitiated = true })
			}
			idp.Misbehave(tt.faults)
			id, to := w.trial("acme")
			u := w.browser().get(to).as("alice").press("Continue")
			checks, report := w.told(id)
			if !report.Done || !strings.HasSuffix(checks, tt.says) {
				t.Errorf("done: %v; it tells %s", report.Done, checks)
			}
			if u.p.Status != tt.page {
				t.Errorf("status %d: %s", u.p.Status, u.p.Text)
			}
			if u.cookie("orgate_login") != "" {
				t.Error("somebody is signed in")
			}
		})
	}
}

func TestTheSecretOfATrialIsGoodOnceAndForItsConnection(t *testing.T) {
	w := newWorld(t)
	w.saml("acme", nil, person("alice", "acme.test"))
	w.saml("globex", nil)
	id, to := w.trial("acme")
	for name, bad := range map[string]string{
		"no secret":             w.samlURL("acme", "test"),
		"an empty one":          w.samlURL("acme", "test") + "?test=",
		"another":               w.samlURL("acme", "test") + "?test=" + strings.Repeat("A", 52),
		"its id":                w.samlURL("acme", "test") + "?test=" + id,
		"at another connection": strings.Replace(to, "acme.acme-adfs", "globex.globex-adfs", 1),
	} {
		if p := w.bare("GET", bad, "", ""); p.Status != http.StatusBadRequest {
			t.Errorf("%s: status %d", name, p.Status)
		}
	}
	if p := w.bare("HEAD", to, "", ""); p.Status != http.StatusBadRequest {
		t.Errorf("a look: status %d", p.Status)
	}
	var mu sync.Mutex
	statuses := map[int]int{}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			p := w.bare("GET", to, "", "")
			mu.Lock()
			defer mu.Unlock()
			statuses[p.Status]++
		})
	}
	wg.Wait()
	if statuses[http.StatusSeeOther] != 1 || statuses[http.StatusBadRequest] != 19 {
		t.Errorf("statuses %v", statuses)
	}
	// One that nobody began is over in time, and one of before a reload is not known.
	late, to := w.trial("acme")
	w.clock.Advance(16 * time.Minute)
	if p := w.bare("GET", to, "", ""); p.Status != http.StatusBadRequest {
		t.Errorf("an old one: status %d", p.Status)
	}
	if _, err := w.running.Trial(late); !errors.Is(err, sso.ErrNoTrial) {
		t.Errorf("an old one: %v", err)
	}
	id, _ = w.trial("acme")
	w.load(func(*sso.Options) {})
	if _, err := w.running.Trial(id); !errors.Is(err, sso.ErrNoTrial) {
		t.Errorf("after a reload: %v", err)
	}
	for _, name := range [][2]string{{"acme", "other"}, {"other", "acme-adfs"}, {"", ""}} {
		if _, _, err := w.running.StartTrial(t.Context(), name[0], name[1]); err == nil {
			t.Errorf("a trial of %v", name)
		}
	}
}

func TestTheAnswerOfATrialIsGoodForNothingElse(t *testing.T) {
	w := newWorld(t)
	w.saml("acme", nil, person("alice", "acme.test"))
	id, to := w.trial("acme")
	u := w.browser()
	response, relay := u.get(to).as("alice").carried()
	form := url.Values{"SAMLResponse": {response}, "RelayState": {relay}}.Encode()
	// Somebody else's browser does not end it.
	w.browser().brings("acme", response, relay).sees(http.StatusBadRequest, "no longer open").nothing("acme", "alice@acme.test")
	if p := w.bare("POST", w.samlURL("acme", "acs"), formType, form); p.Status != http.StatusForbidden {
		t.Errorf("again: status %d", p.Status)
	}
	u.brings("acme", response, relay)
	u.nothing("acme", "alice@acme.test")
	if checks, report := w.told(id); !report.Done || !strings.HasSuffix(checks, "-assertion_replayed") {
		t.Errorf("it tells %s", checks)
	}
}

func TestATrialOfAConnectionWhoseProviderIsNotKnownSaysSo(t *testing.T) {
	w := newWorld(t)
	w.saml("acme", nil)
	w.update(func(tx store.Tx) error {
		s := w.samlStateIn(tx, "acme")
		s.Provider = nil
		return tx.PutSAMLState(s)
	})
	id, to := w.trial("acme")
	w.browser().get(to).sees(http.StatusForbidden, "is not known here yet")
	if checks, report := w.told(id); checks != "-metadata_missing" || !report.Done {
		t.Errorf("it tells %s", checks)
	}
	// And whoever signs in reads the same.
	w.browser().to("acme", "/", "alice@acme.test").sees(http.StatusForbidden, "is not known here yet")
}
