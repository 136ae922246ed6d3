package session

import "time"

// ReplayLife is how long the answer to a request is kept for who asks again.
const ReplayLife = 24 * time.Hour

// A Replay is the answer to a request that changed something, for a program that did not hear it and asks
// again: the same name, of the same key, for the same request, is done once.
type Replay struct {
	Key  APIKeyID `json:"api_key_id"`
	Name Hash     `json:"name"` // of the Idempotency-Key
	// Request is the hash of what was asked.
	Request   Hash      `json:"request"`
	Status    int       `json:"status"`
	Body      []byte    `json:"body"`
	ExpiresAt time.Time `json:"expires_at"`
}

// Replays is the part of a transaction that is about answers that are kept.
type Replays interface {
	Replay(key APIKeyID, name Hash) (Replay, error)
	PutReplay(Replay) error // expires with ExpiresAt
}
