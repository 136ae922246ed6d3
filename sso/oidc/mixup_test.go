package oidc

import (
	"errors"
	"net/url"
	"testing"
)

func TestWhatWasSaidAtTheStartOfIssHoldsAtItsEnd(t *testing.T) {
	c := Connection{ID: "c", Issuer: "https://idp.test", ClientID: "x"}
	for _, announced := range []bool{false, true} {
		_, err := answer(Flow{ResponseIssuer: true}, metadata{ResponseIssuer: announced}, c, url.Values{"code": {"code"}})
		if e, ok := errors.AsType[*Error](err); !ok || e.Code != CodeResponseIssuer {
			t.Errorf("announced now: %v: %v", announced, err)
		}
	}
	if code, err := answer(Flow{}, metadata{}, c, url.Values{"code": {"code"}}); code != "code" || err != nil {
		t.Errorf("%q, %v", code, err)
	}
}
