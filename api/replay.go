package api

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// maxReplayName is how long an Idempotency-Key may be.
const maxReplayName = 255

// post makes something by f, in a transaction, and answers with it.
//
// Where the request has an Idempotency-Key, as SDKs send it with every POST, the answer is kept in the same
// transaction: whoever did not hear it and asks again gets it, and nothing is made twice. What was refused has
// made nothing, and is asked anew.
func (c *call) post(status int, f func(store.Tx) (any, error)) error {
	names := c.r.Header.Values("Idempotency-Key")
	if len(names) > 1 || len(names) == 1 && (names[0] == "" || len(names[0]) > maxReplayName) {
		return invalid(Fault{"invalid", "Idempotency-Key", "Idempotency-Key must be given once, with up to 255 characters"})
	}
	var answer json.RawMessage
	err := c.update(func(tx store.Tx) error {
		if len(names) == 0 {
			return c.make(tx, f, &answer)
		}
		r := session.Replay{Key: c.key.ID, Name: sha256.Sum256([]byte(names[0])), Request: c.digest(), Status: status, ExpiresAt: c.now.Add(session.ReplayLife)}
		switch kept, err := tx.Replay(r.Key, r.Name); {
		case err == nil && kept.Request != r.Request:
			return &Error{Status: http.StatusConflict, Code: "idempotency_key_reused", Message: "This Idempotency-Key was used for another request."}
		case err == nil:
			answer, status = kept.Body, kept.Status
			return nil
		case !errors.Is(err, tenancy.ErrNotFound):
			return err
		}
		if err := c.make(tx, f, &answer); err != nil {
			return err
		}
		r.Body = answer
		return tx.PutReplay(r)
	})
	if err != nil {
		return err
	}
	return c.answer(status, answer)
}

// make runs f and writes what it made.
func (c *call) make(tx store.Tx, f func(store.Tx) (any, error), answer *json.RawMessage) error {
	v, err := f(tx)
	if err == nil {
		*answer, err = json.Marshal(v)
	}
	return err
}

// digest is of what was asked.
func (c *call) digest() session.Hash {
	h := sha256.New()
	for _, part := range [][]byte{[]byte(c.r.Method), []byte(c.r.URL.RequestURI()), c.raw} {
		sum := sha256.Sum256(part)
		h.Write(sum[:])
	}
	return session.Hash(h.Sum(nil))
}
