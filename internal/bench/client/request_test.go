package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// serve starts an app and returns a visit of it with the cookies.
func serve(t *testing.T, app http.HandlerFunc, cookies ...string) *visit {
	t.Helper()
	s := httptest.NewServer(app)
	t.Cleanup(s.Close)
	address := strings.TrimPrefix(s.URL, "http://")
	return &visit{address: address, host: address, path: "/", cookies: cookies, connections: 3}
}

func TestEachCookieIsSentOnce(t *testing.T) {
	var mu sync.Mutex
	sent := map[string]int{}
	v := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		sent[r.Header.Get("Cookie")]++
	}, "s=1", "s=2", "s=3", "s=4", "s=5")
	if err := once(v); err != nil {
		t.Fatal(err)
	}
	for _, c := range v.cookies {
		if sent[c] != 1 {
			t.Errorf("%s was sent %d times", c, sent[c])
		}
	}
}

func TestWhoeverIsSentToSignInIsAnError(t *testing.T) {
	v := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Cookie") == "s=4" {
			http.Redirect(w, r, "/sign-in", http.StatusFound)
		}
	}, "s=1", "s=2", "s=3", "s=4", "s=5")
	if err := once(v); err == nil || !strings.Contains(err.Error(), "302 Found, location \"/sign-in\"") {
		t.Errorf("error %v", err)
	}
}

func TestAnUploadThatDidNotArriveWholeIsAnError(t *testing.T) {
	v := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("7\n")) })
	v.bytes = 8
	if err := upload(v); err == nil || !strings.Contains(err.Error(), "7") {
		t.Errorf("error %v", err)
	}
}
