package e2e

import (
	"net/http"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

const inForce = "configuration in force"

// reloads returns how often a configuration was put in force since the start.
func (s *site) reloads() int {
	return len(s.lines(func(l line) bool { return l.get("msg") == inForce }))
}

// change writes a configuration and waits until it is in force.
func (s *site) change(yaml string) {
	s.t.Helper()
	before := s.reloads()
	s.write(yaml)
	until(s.t, inForce, 10*time.Second, func() bool { return s.reloads() > before })
}

// TestAChangedFileIsInForceAtTheNextRequest, without anybody losing their session; and a
// broken one changes nothing but the log.
func TestAChangedFileIsInForceAtTheNextRequest(t *testing.T) {
	t.Parallel()
	s := standard(t)
	p := s.person(t, "p21")
	p.enter("acme", "/")
	good := s.head(s.badger()) + s.acme() + s.globex()

	stream := p.openEvents("acme")
	stricter := strings.Replace(good, `{ path: "/admin/**", role: admin }`, `{ path: "/**", role: admin }`, 1)
	s.change(stricter)
	if pg := p.fetch(s.at("acme", "/headers"), nil); pg.Status != http.StatusForbidden {
		t.Errorf("with the stricter rule: %d %s", pg.Status, pg.Body)
	}
	select {
	case <-stream:
	case <-time.After(time.Second):
		t.Error("a stream that the rule forbids is open still")
	}

	broken := strings.Replace(good, "public_url:", "public_ur1:", 1)
	s.write(broken)
	refused := func(l line) bool { return strings.HasPrefix(l.get("msg"), "configuration refused") }
	if faults := s.logged(refused)[0].get("faults"); !regexp.MustCompile(`orgate\.yaml:3:1: .*public_ur1`).MatchString(faults) || !strings.Contains(faults, "public_url") {
		t.Errorf("the log says %s", faults)
	}
	if pg := p.fetch(s.at("acme", "/headers"), nil); pg.Status != http.StatusForbidden {
		t.Errorf("with the broken file: %d %s", pg.Status, pg.Body)
	}

	s.change(good)
	if !p.isIn("acme") {
		t.Error("the session did not survive")
	}
	// A role that the configuration takes from a group is not there any more, once the
	// person comes again; a new connection secret, or the like, is tried at once.
	s.change(strings.Replace(good, "domain_policy: { methods: [sso] }", "domain_policy: { methods: [sso] }\n    organization_policy: { methods: [sso], max_age: 1s }", 1))
	until(t, "the proof is too old", 5*time.Second, func() bool { return !p.isIn("acme") })
}

// TestAnOrganizationThatLeavesTheFileIsClosedAndComesBackAsItWas.
func TestAnOrganizationThatLeavesTheFileIsClosedAndComesBackAsItWas(t *testing.T) {
	t.Parallel()
	s := standard(t)
	p := s.person(t, "p22")
	p.enter("acme", "/")
	before := p.told("acme")
	stream := p.openEvents("acme")

	s.change(s.head(s.badger()) + s.globex())
	missing := s.person(t, "nobody").fetch(s.at("nobody", "/"), nil)
	for what, pg := range map[string]int{"a member": p.fetch(s.at("acme", "/headers"), nil).Status, "a stranger": s.person(t, "nobody").fetch(s.at("acme", "/"), nil).Status, "a public route": p.fetch(s.at("acme", "/public"), nil).Status} {
		if pg != http.StatusNotFound || missing.Status != http.StatusNotFound {
			t.Errorf("%s: %d", what, pg)
		}
	}
	select {
	case <-stream:
	case <-time.After(time.Second):
		t.Error("a stream is open still")
	}

	s.change(s.head(s.badger()) + s.acme() + s.globex())
	p.enter("acme", "/")
	after := p.told("acme")
	for _, name := range []string{"X-User-Id", "X-Org-Id", "X-Org-Membership-Id", "X-Auth-Connection"} {
		if before.Get(name) != after.Get(name) {
			t.Errorf("%s was %s and is %s", name, before.Get(name), after.Get(name))
		}
	}
}

// TestAHangUpReloads, where files are not watched.
func TestAHangUpReloads(t *testing.T) {
	t.Parallel()
	s := standard(t)
	before := s.reloads()
	s.signal(syscall.SIGHUP)
	until(t, inForce, 10*time.Second, func() bool { return s.reloads() > before })
	s.person(t, "p23").enter("acme", "/")
}
