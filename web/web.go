// Package web is the pages of the login host that are about oneself: the account page,
// which shows where a person is signed in and ends what should not be; and the page that a link to the admin portal leads to.
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
	"github.com/orgate/orgate/internal/mail"
	"github.com/orgate/orgate/internal/outbox"
	"github.com/orgate/orgate/internal/page"
	"github.com/orgate/orgate/internal/text"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// A Store runs transactions; [store.Store] is one.
type Store interface {
	View(ctx context.Context, f func(store.Tx) error) error
	Update(ctx context.Context, f func(store.Tx) error) error
}

// Mail puts mails into the queue, in the transaction of what they are about; [mail.Queue] does.
type Mail interface {
	Put(tx outbox.Tx, to string, m mail.Composer, l text.Locale, expires, now time.Time) error
}

// Options are what a [Server] is made with. All are required, unless they say otherwise.
type Options struct {
	Store Store
	// PublicURL is the URL of the login host, without a path.
	PublicURL *url.URL
	Limits    session.Limits
	// Offered are the methods that this installation can ask for now.
	Offered policy.Methods
	// Social are the providers that anybody may sign in with.
	Social []Social
	// Mail puts mails into the queue; nil: none can be sent.
	Mail Mail
	// Home returns the URL of an organization's first page, empty if it has none; nil: none has.
	Home func(tenancy.OrgID) string
	// Brand returns what an organization's pages look like; nil: its name alone.
	Brand func(tenancy.Organization) page.Brand
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// Social is a provider that anybody may sign in with.
type Social struct {
	// Connection is what it is called in identities.
	Connection tenancy.ConnectionID
	// Name is what it is called in the configuration, and Label what people call it.
	Name, Label string
}

// A Server serves the pages. It is safe for concurrent use.
type Server struct {
	store      Store
	base, host string
	limits     session.Limits
	offered    policy.Methods
	social     []Social
	mail       Mail
	mails      bool
	home       func(tenancy.OrgID) string
	brand      func(tenancy.Organization) page.Brand
	now        func() time.Time
}

// New returns a server.
func New(o Options) (*Server, error) {
	if o.Store == nil || o.PublicURL == nil || o.PublicURL.Host == "" || o.Limits.Idle <= 0 || o.Limits.Absolute <= 0 {
		return nil, errors.New("web: store, public URL and limits of sessions are required")
	}
	s := &Server{store: o.Store, base: (&url.URL{Scheme: o.PublicURL.Scheme, Host: o.PublicURL.Host}).String(), limits: o.Limits, now: o.Now,
		host: o.PublicURL.Host, offered: o.Offered, social: o.Social, mail: o.Mail, mails: o.Mail != nil, home: o.Home, brand: o.Brand}
	if s.brand == nil {
		s.brand = func(o tenancy.Organization) page.Brand { return page.Brand{Organization: o.Name} }
	}
	if s.home == nil {
		s.home = func(tenancy.OrgID) string { return "" }
	}
	if s.now == nil {
		s.now = time.Now
	}
	return s, nil
}

// Routes returns the routes of the login host that are this package's. Their guard puts
// the session into the context by package signedin.
func (s *Server) Routes() []endpoint.Route {
	return []endpoint.Route{
		{Side: endpoint.Login, Pattern: "GET /portal/{token}", Access: endpoint.Public, Handle: s.portal},
		{Side: endpoint.Login, Pattern: "GET /account", Access: endpoint.SignedIn, Handle: s.account},
		{Side: endpoint.Login, Pattern: "POST /account/sessions/revoke", Access: endpoint.SignedIn, Handle: s.revoke},
		{Side: endpoint.Login, Pattern: "POST /account/name", Access: endpoint.SignedIn, Handle: s.change([]string{"name"}, s.rename)},
		{Side: endpoint.Login, Pattern: "POST /account/passkeys/rename", Access: endpoint.SignedIn, Handle: s.change([]string{"passkey", "name"}, s.renamePasskey)},
		{Side: endpoint.Login, Pattern: "POST /account/passkeys/remove", Access: endpoint.Confirmed, Handle: s.change([]string{"passkey"}, s.removePasskey)},
		{Side: endpoint.Login, Pattern: "POST /account/app/remove", Access: endpoint.Confirmed, Handle: s.change(nil, s.removeApp)},
		{Side: endpoint.Login, Pattern: "POST /account/organizations/leave", Access: endpoint.Confirmed, Handle: s.leave},
		{Side: endpoint.Login, Pattern: "POST /account/identities/unlink", Access: endpoint.Confirmed, Handle: s.change([]string{"identity"}, s.unlink)},
	}
}
