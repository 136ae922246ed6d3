package web_test

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// link makes an organization with a link to its portal, made at that time.
func (s *site) link(l tenancy.PortalLink, at time.Time) (org tenancy.OrgID, token string) {
	s.t.Helper()
	err := s.store.Update(s.t.Context(), func(tx store.Tx) error {
		o, err := tenancy.SaveOrganization(tx, tenancy.Organization{Slug: "acme", Name: "Acme <Inc.>"}, audit.System, at)
		if err != nil {
			return err
		}
		l.Organization = o.ID
		_, t, err := tenancy.CreatePortalLink(tx, l, audit.System, at)
		org, token = o.ID, t.Reveal()
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return org, token
}

func TestALinkToThePortalSaysWhatItWillBeAndChangesNothing(t *testing.T) {
	s := newSite(t)
	_, token := s.link(tenancy.PortalLink{Intent: tenancy.PortalSSO, ReturnURL: "https://app.example.com/settings"}, time.Now())
	for range 2 { // it is no one-time link
		w := s.get("/portal/" + token)
		body := w.Body.String()
		if w.Code != 200 || !strings.Contains(body, "Single sign\u2011on for <bdi>Acme &lt;Inc.&gt;</bdi>") || !strings.Contains(body, `href="https://app.example.com/settings"`) {
			t.Errorf("%d %s", w.Code, body)
		}
		if strings.Contains(body, "<form") || strings.Contains(body, token) || w.Header().Get("Referrer-Policy") != "no-referrer" || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("the page can be posted, or tells its address: %v %s", w.Header(), body)
		}
	}
	r := httptest.NewRequestWithContext(t.Context(), "POST", "https://login.test/portal/"+token, nil)
	w := httptest.NewRecorder()
	if s.handler.ServeHTTP(w, r); w.Code != 405 {
		t.Errorf("POST: %d", w.Code)
	}
}

func TestALinkToThePortalThatIsOverIsLikeOneThatNeverWas(t *testing.T) {
	s := newSite(t)
	org, open := s.link(tenancy.PortalLink{}, time.Now())
	if w := s.get("/portal/" + open); w.Code != 200 || !strings.Contains(w.Body.String(), "The set-up of") {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	var over string
	err := s.store.Update(t.Context(), func(tx store.Tx) error {
		_, t, err := tenancy.CreatePortalLink(tx, tenancy.PortalLink{Organization: org}, audit.System, time.Now().Add(-tenancy.PortalLinkLife))
		over = t.Reveal()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	never := s.get("/portal/" + strings.Repeat("A", 43))
	for what, path := range map[string]string{"over": over, "malformed": "x", "too long": strings.Repeat("A", 5000)} {
		w := s.get("/portal/" + path)
		if w.Code != 410 || !strings.Contains(w.Body.String(), "This link is not open any more") || len(w.Body.String()) != len(never.Body.String()) {
			t.Errorf("%s: %d %s", what, w.Code, w.Body)
		}
	}
	if err := s.store.Update(t.Context(), func(tx store.Tx) error { return tenancy.Suspend(tx, org, audit.System, time.Now()) }); err != nil {
		t.Fatal(err)
	}
	if w := s.get("/portal/" + open); w.Code != 410 {
		t.Errorf("of a suspended organization: %d", w.Code)
	}
}
