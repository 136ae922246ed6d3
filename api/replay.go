package api

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/orgate/orgate/audit/hook"
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
	return c.postKept(status, nil, f)
}

// postSecret is [call.post] for an answer with a secret, which is kept sealed: nothing else that is stored can tell it.
func (c *call) postSecret(status int, f func(store.Tx) (any, error)) error {
	return c.postKept(status, c.api.Webhooks().Box, f)
}

const (
	keptPurpose  = "kept answer"
	askedPurpose = "kept request"
)

// postKept is both; without a box the answer is kept as it is.
func (c *call) postKept(status int, box hook.Sealer, f func(store.Tx) (any, error)) error {
	names := c.r.Header.Values("Idempotency-Key")
	if len(names) > 1 || len(names) == 1 && (names[0] == "" || len(names[0]) > maxReplayName) {
		return invalid(Fault{"invalid", "Idempotency-Key", "Idempotency-Key must be given once, with up to 255 characters"})
	}
	var answer json.RawMessage
	var why error // it was refused
	err := c.update(func(tx store.Tx) error {
		why = nil
		if len(names) == 0 {
			return c.make(tx, f, &answer, &why)
		}
		r := session.Replay{Key: c.key.ID, Name: sha256.Sum256([]byte(names[0])), Request: c.digest(), Status: status, ExpiresAt: c.now.Add(session.ReplayLife)}
		switch kept, err := tx.Replay(r.Key, r.Name); {
		case err == nil && kept.Request != r.Request:
			return &Error{Status: http.StatusConflict, Code: "idempotency_key_reused", Message: "This Idempotency-Key was used for another request."}
		case err == nil:
			status = kept.Status
			answer, err = unseal(box, kept)
			return err
		case !errors.Is(err, tenancy.ErrNotFound):
			return err
		}
		err := c.make(tx, f, &answer, &why)
		if err != nil || why != nil {
			return err
		}
		if r.Body, err = sealed(box, r, answer); err != nil {
			return err
		}
		return tx.PutReplay(r)
	})
	if err = cmp.Or(err, why); err != nil {
		return err
	}
	return c.answer(status, answer)
}

// once is [call.post] for what works once by itself, and whose request has a secret that nothing must be kept of, not even
// a digest: an Idempotency-Key is of no use to it.
func (c *call) once(status int, f func(store.Tx) (any, error)) error {
	var answer json.RawMessage
	var why error
	err := c.update(func(tx store.Tx) error {
		why = nil
		return c.make(tx, f, &answer, &why)
	})
	if err = cmp.Or(err, why); err != nil {
		return err
	}
	return c.answer(status, answer)
}

// A refused is returned by what was refused and has changed something all the same, such as how often it was tried: it is
// committed, and the answer is the error.
type refused struct{ why error }

// sealed is how the answer is kept: as it is, or as JSON of what seals it.
func sealed(box hook.Sealer, r session.Replay, answer json.RawMessage) (json.RawMessage, error) {
	if box == nil {
		return answer, nil
	}
	return json.Marshal(box.Seal(keptPurpose, string(r.Key)+" "+r.Name.String(), answer))
}

func unseal(box hook.Sealer, r session.Replay) (json.RawMessage, error) {
	if box == nil {
		return r.Body, nil
	}
	var b []byte
	if err := json.Unmarshal(r.Body, &b); err != nil {
		return nil, err
	}
	b, err := box.Open(keptPurpose, string(r.Key)+" "+r.Name.String(), b)
	if err != nil { // the key that it was sealed under is gone
		return nil, &Error{Status: http.StatusConflict, Code: "idempotency_key_reused", Message: "This was done, and its answer can't be told again.", Err: err}
	}
	return b, nil
}

// make runs f and writes what it made.
func (c *call) make(tx store.Tx, f func(store.Tx) (any, error), answer *json.RawMessage, why *error) error {
	v, err := f(tx)
	if err != nil {
		return err
	}
	if r, ok := v.(refused); ok {
		*why = r.why
		return nil
	}
	*answer, err = json.Marshal(v)
	return err
}

// digest is of what was asked, under a key: what was asked may be a password, which a fast hash in a stolen store
// would give away to whoever guesses.
func (c *call) digest() session.Hash {
	h := sha256.New()
	for _, part := range [][]byte{[]byte(c.r.Method), []byte(c.r.URL.RequestURI()), c.raw} {
		sum := sha256.Sum256(part)
		h.Write(sum[:])
	}
	return session.Hash(c.api.Webhooks().Box.Digest(askedPurpose, h.Sum(nil)))
}
