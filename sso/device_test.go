package sso

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/session"
)

// TestABrowserKeepsTheLatestAddressesAndTellsNoneOfThem: not even whoever reads what is sealed sees an address, or that two
// browsers have the same one.
func TestABrowserKeepsTheLatestAddressesAndTellsNoneOfThem(t *testing.T) {
	s := flowServer(t)
	now := time.Unix(1_700_000_000, 0).UTC()
	s.now = func() time.Time { return now }
	var both [2]device
	for i := range both {
		d := device{Secret: session.NewToken()}
		d.Token = d.Secret.Reveal()
		for n := range maxDeviceProved + 2 {
			w := httptest.NewRecorder()
			if err := s.noteProved(w, d, fmt.Sprintf("p%d@elsewhere.test", n)); err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
			r.AddCookie(w.Result().Cookies()[0])
			ok := false
			if d, ok = s.device(r); !ok {
				t.Fatal("no device")
			}
		}
		both[i] = d
		for n := range maxDeviceProved + 2 {
			email := fmt.Sprintf("p%d@elsewhere.test", n)
			if got := d.hasProved(email, now.Add(deviceProved-time.Second)); got != (n >= 2) {
				t.Errorf("%s: %v", email, got)
			}
			if d.hasProved(email, now.Add(deviceProved)) {
				t.Errorf("%s is proved for ever", email)
			}
		}
		if b, err := json.Marshal(d); err != nil || strings.Contains(string(b), "elsewhere") || d.hasProved("", now) || len(d.Proved) != maxDeviceProved {
			t.Errorf("%s, %v", b, err)
		}
	}
	if both[0].Proved[0].Sum == both[1].Proved[0].Sum {
		t.Error("two browsers with one address can be told to be")
	}
	// What was proved again is there once, and what is too old is forgotten.
	now = now.Add(deviceProved)
	w := httptest.NewRecorder()
	if err := s.noteProved(w, both[0], "p6@elsewhere.test"); err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
	r.AddCookie(w.Result().Cookies()[0])
	if d, _ := s.device(r); len(d.Proved) != 1 || !d.hasProved("p6@elsewhere.test", now) {
		t.Errorf("%+v", d.Proved)
	}
}
