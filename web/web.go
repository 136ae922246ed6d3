// Package web is the pages of the login host that are about oneself: the account page,
// which shows where a person is signed in and ends what should not be.
//
// It owns what these pages show and which of it may be changed by whom. It does not own
// how people sign in (package sso), what a session is (session), or what pages look like
// (internal/page).
//
// The invariant: a page shows and ends what belongs to the person of the session alone,
// and to a session that is good in one organization only (SEMANTICS 1.3.2) it shows and
// ends nothing of what the person has elsewhere.
package web

import (
	"context"
	"errors"
	"net/url"
	"time"

	"github.com/orgate/orgate/internal/endpoint"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
)

// A Store runs transactions; [store.Store] is one.
type Store interface {
	View(ctx context.Context, f func(store.Tx) error) error
	Update(ctx context.Context, f func(store.Tx) error) error
}

// Options are what a [Server] is made with. All are required, unless they say otherwise.
type Options struct {
	Store Store
	// PublicURL is the URL of the login host, without a path.
	PublicURL *url.URL
	Limits    session.Limits
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// A Server serves the pages. It is safe for concurrent use.
type Server struct {
	store  Store
	base   string
	limits session.Limits
	now    func() time.Time
}

// New returns a server.
func New(o Options) (*Server, error) {
	if o.Store == nil || o.PublicURL == nil || o.PublicURL.Host == "" || o.Limits.Idle <= 0 || o.Limits.Absolute <= 0 {
		return nil, errors.New("web: store, public URL and limits of sessions are required")
	}
	s := &Server{store: o.Store, base: (&url.URL{Scheme: o.PublicURL.Scheme, Host: o.PublicURL.Host}).String(), limits: o.Limits, now: o.Now}
	if s.now == nil {
		s.now = time.Now
	}
	return s, nil
}

// Routes returns the routes of the login host that are this package's. Their guard puts
// the session into the context by package signedin.
func (s *Server) Routes() []endpoint.Route {
	return []endpoint.Route{
		{Side: endpoint.Login, Pattern: "GET /account", Access: endpoint.SignedIn, Handle: s.account},
		{Side: endpoint.Login, Pattern: "POST /account/sessions/revoke", Access: endpoint.SignedIn, Handle: s.revoke},
	}
}
