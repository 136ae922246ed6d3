// Package signedin carries who is signed in on the login host from the guard that
// looked (package sso) to the pages that show it (packages sso and web), which must not
// know each other.
//
// It owns a context key and nothing else: it looks nothing up and decides nothing.
package signedin

import (
	"context"

	"github.com/orgate/orgate/session"
)

type key struct{}

// With returns a context of a request by the person of s, a live session of the login
// host. Only a guard may say so.
func With(ctx context.Context, s session.Session) context.Context {
	return context.WithValue(ctx, key{}, s)
}

// From returns the live login-host session of the request. ok is false on a route that
// no guard of endpoint.SignedIn stands before, and then nobody is signed in.
func From(ctx context.Context) (s session.Session, ok bool) {
	s, ok = ctx.Value(key{}).(session.Session)
	return s, ok
}
