package sso

import (
	"errors"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/orgate/orgate/internal/endpoint"
	"github.com/orgate/orgate/tenancy"
)

func TestAProviderIsNotAskedTwiceInARow(t *testing.T) {
	s := &Server{publicURL: &url.URL{Scheme: "https", Host: "login.test"}, count: func(string) {}}
	ask := turn{Ask: []tenancy.Connection{{ID: "conn_1"}}}
	for name, a := range map[string]aim{"the same": {Steps: 1, Last: "conn_1"}, "too many": {Steps: maxSteps, Last: "conn_2"}} {
		w := httptest.NewRecorder()
		err := s.leave(w, httptest.NewRequestWithContext(t.Context(), "GET", "/", nil), a, ask)
		if e, ok := errors.AsType[*endpoint.Error](err); !ok || e.Code != "sign_in_loop" {
			t.Errorf("%s: %v", name, err)
		}
		if w.Header().Get("Location") != "" || len(w.Result().Cookies()) != 0 {
			t.Errorf("%s: the browser is sent on", name)
		}
	}
}
