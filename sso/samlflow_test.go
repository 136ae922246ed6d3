package sso

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/internal/cookie"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/sso/oidc"
	"github.com/orgate/orgate/sso/saml"
)

// The names of one kind begin as those of another do; no kind reads, clears or counts another's.
func TestFlowsOfOneKindAreNothingToAnother(t *testing.T) {
	s := flowServer(t)
	s.samlFlows, s.socialFlows = newSAMLFlows(s.box, s.jar), newSocialFlows(s.box, s.jar)
	now := time.Unix(1_700_000_000, 0).UTC()
	byOIDC := flow{OIDC: oidc.Flow{State: "state"}, ExpiresAt: now.Add(flowLife)}
	bySAML := flow{SAML: saml.Flow{State: "state", RequestID: "_x"}, ExpiresAt: now.Add(flowLife)}
	w := httptest.NewRecorder()
	r := func(cookies ...*http.Cookie) *http.Request {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
		for _, c := range cookies {
			r.AddCookie(c)
		}
		return r
	}
	if err := s.flows.keep(w, r(), byOIDC, now); err != nil {
		t.Fatal(err)
	}
	if err := s.samlFlows.keep(w, r(), bySAML, now); err != nil {
		t.Fatal(err)
	}
	s.jar.Set(w, answerCookie(session.NewToken()), "token", session.AnswerLife)
	all := w.Result().Cookies()
	if len(all) != 3 {
		t.Fatalf("cookies %v", all)
	}
	if f, ok := s.flows.read(r(all...), "state", now); !ok || f.SAML.State != "" {
		t.Errorf("of OIDC: %+v, %v", f, ok)
	}
	if f, ok := s.samlFlows.read(r(all...), "state", now); !ok || f.OIDC.State != "" {
		t.Errorf("of SAML: %+v, %v", f, ok)
	}
	// Under the other's name, each is nothing: they are sealed for their own kind.
	swapped := []*http.Cookie{{Name: all[0].Name, Value: all[1].Value}, {Name: all[1].Name, Value: all[0].Value}}
	if _, ok := s.flows.read(r(swapped...), "state", now); ok {
		t.Error("a flow of SAML is one of OIDC")
	}
	if _, ok := s.samlFlows.read(r(swapped...), "state", now); ok {
		t.Error("a flow of OIDC is one of SAML")
	}
	for kind, begun := range map[string]func() (live int, over []string){
		"OIDC": func() (int, []string) { live, over := s.flows.begun(r(all...), now); return len(live), over },
		"SAML": func() (int, []string) { live, over := s.samlFlows.begun(r(all...), now); return len(live), over },
	} {
		if live, over := begun(); live != 1 || len(over) != 0 {
			t.Errorf("%s: %d are live, and %v would be cleared", kind, live, over)
		}
	}
	if names := s.jar.Names(r(all...).Header, answerPrefix); len(names) != 1 || !strings.HasPrefix(names[0], cookie.Flow+"_answer_") {
		t.Errorf("answers %v", names)
	}
}
