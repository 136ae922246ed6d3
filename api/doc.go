// Package api is the management API: what programs ask of organizations, users,
// memberships and the rest, in the paths, fields, envelopes and error codes of the WorkOS API, so
// that its SDKs work.
//
// It owns authentication by API key, the shape of requests and answers, paging, rate limits, and which
// operations of the reference are there (reference.txt has them all; those that are not
// there answer not_implemented, never a false success). It does not own what an operation means
// (packages tenancy and session, by whose functions everything is changed, with the events in the
// same transaction), nor how any of it is stored.
//
// The invariants: no operation runs without a live key; a key for one organization
// finds nothing of another, in paths, queries, bodies and cursors alike; a read-only key changes
// nothing; an answer is written only after its transaction was committed.
package api
