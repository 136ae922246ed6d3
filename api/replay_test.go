package api_test

import (
	"crypto/sha256"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
)

func (w *world) named(secret, name, path, body string) (status int, text string) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), "POST", w.url+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+secret)
	r.Header.Set("Idempotency-Key", name)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Error(err)
		return 0, ""
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Error(err)
	}
	return resp.StatusCode, string(b)
}

func TestARequestThatIsSentAgainIsDoneOnce(t *testing.T) {
	w := newWorld(t)
	const users, jo = "/user_management/users", `{"email":"jo@acme.com"}`
	at := w.head()
	answers := make([]string, 20)
	var asking sync.WaitGroup
	for i := range answers {
		asking.Go(func() {
			status, text := w.named(w.secret, "retry-1", users, jo)
			if status != 201 {
				t.Errorf("%d %s", status, text)
			}
			answers[i] = text
		})
	}
	asking.Wait()
	for _, a := range answers {
		if a != answers[0] {
			t.Errorf("%s, and %s", a, answers[0])
		}
	}
	same(t, "events", w.eventsSince(at), []string{audit.UserCreated})

	if status, text := w.named(w.secret, "retry-1", users, `{"email":"flo@acme.com"}`); status != 409 || !strings.Contains(text, "idempotency_key_reused") {
		t.Errorf("another request of that name: %d %s", status, text)
	}
	if status, text := w.named(w.secret, "retry-2", users, jo); status != 400 {
		t.Errorf("another name: %d %s", status, text)
	}
	if status, text := w.named(w.key(session.APIKey{Name: "other"}), "retry-1", users, jo); status != 400 {
		t.Errorf("another key: %d %s", status, text)
	}
	// What was refused is asked anew.
	w.call("DELETE /user_management/users/{id}", w.call("GET /user_management/users").ids()[0]).want(200)
	if status, text := w.named(w.secret, "retry-2", users, jo); status != 201 {
		t.Errorf("again, when it can be done: %d %s", status, text)
	}
	w.later(24*time.Hour + time.Minute)
	if status, _ := w.named(w.secret, "retry-1", users, jo); status != 400 {
		t.Errorf("a day later it is a new request: %d", status)
	}
	if status, _ := w.named(w.secret, strings.Repeat("x", 256), users, jo); status != 422 {
		t.Errorf("an endless name: %d", status)
	}
}

func TestNothingThatIsKeptOfARequestHelpsToGuessThePasswordInIt(t *testing.T) {
	w := newWorld(t)
	const path, body = "/user_management/users", `{"email":"jo@acme.com","password":"correct horse battery staple"}`
	if status, text := w.named(w.secret, "retry-1", path, body); status != 201 {
		t.Fatalf("%d %s", status, text)
	}
	var kept session.Replay
	w.do(func(tx store.Tx) error {
		k, _, err := session.FindAPIKey(tx, session.SecretOf(w.secret), w.clock())
		if err == nil {
			kept, err = tx.Replay(k.ID, hashOf("retry-1"))
		}
		return err
	})
	h := sha256.New()
	for _, part := range []string{"POST", path, body} {
		sum := sha256.Sum256([]byte(part))
		h.Write(sum[:])
	}
	if kept.Request == session.Hash(h.Sum(nil)) {
		t.Error("a digest that anybody can make is kept of the request")
	}
	if status, text := w.named(w.secret, "retry-1", path, body); status != 201 {
		t.Errorf("again: %d %s", status, text)
	}
}

func hashOf(name string) [32]byte { return sha256.Sum256([]byte(name)) }
