// Package proxy is the data plane: every request to a host of ours comes here, and
// goes to the login host's pages, to a path of ours on a tenant host, to the app, or
// nowhere.
//
// A request is taken through the same steps in the same order, each in a file of its
// own: the shape of the request (check.go), its host (table.go), its session (grant.go,
// cache.go), the decision (decide.go), its headers (headers.go, preset.go) and the way
// to the app (forward.go). What is open while a session ends is ended too (flight.go).
//
// There are two ways through these steps. Plain requests that are forwarded are served on their own
// connections (listener.go, conn.go, fast.go, answer.go); everything else by net/http
// (exchange.go). Each step is one function that both call.
//
// It owns the tenant hosts' own paths under /.orgate/, forward-auth, the assertions
// that apps verify and the keys that sign them, and the cache of grants. It does not own
// how a person signs in (package sso), what a policy means (package policy), nor
// when a session ends (package session).
//
// The invariants: a request is forwarded at one place of each way, and only if policy.Decide said
// Allow for it; no header that an app could take for one of ours comes from a client; the
// path that was judged is the path that is forwarded, byte for byte; a grant that was
// loaded before a revocation is never used for a request that came after it.
package proxy
