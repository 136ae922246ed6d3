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

// A password is hashed slowly, so nothing else that is kept may be a quick way to try words.
func TestNothingIsKeptOfARequestThatWordsCanBeTriedAgainst(t *testing.T) {
	w := newWorld(t)
	const users, jo = "/user_management/users", `{"email":"jo@acme.com","password":"correct horse battery"}`
	status, first := w.named(w.secret, "jo-1", users, jo)
	if status != 201 {
		t.Fatalf("%d %s", status, first)
	}
	if _, again := w.named(w.secret, "jo-1", users, jo); again != first {
		t.Errorf("%s, and %s", first, again)
	}
	h := sha256.New()
	for _, part := range []string{"POST", users, jo} {
		sum := sha256.Sum256([]byte(part))
		h.Write(sum[:])
	}
	guess := session.Hash(h.Sum(nil))
	w.do(func(tx store.Tx) error {
		key, err := tx.APIKeyByHash(session.SecretOf(w.secret).Hash())
		if err != nil {
			return err
		}
		r, err := tx.Replay(key.ID, hashOf("jo-1"))
		if err == nil && r.Request == guess {
			t.Error("whoever has the store can try passwords against what is kept of the request")
		}
		return err
	})
}

func hashOf(name string) [32]byte { return sha256.Sum256([]byte(name)) }
