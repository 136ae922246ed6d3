package sso

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/orgate/orgate/internal/page"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/sso/saml"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// paramRelay, in the query of …/start, is what a provider that began a sign-in itself sent along.
const paramRelay = "relay"

// leaveBySAML sends the browser to a SAML provider. The flow lacks what is SAML's own.
func (s *Server) leaveBySAML(w http.ResponseWriter, r *http.Request, f flow, c tenancy.Connection, t turn) error {
	now := s.now()
	var p samlParty
	err := s.store.View(r.Context(), func(tx store.Tx) (err error) {
		p, err = s.samlParty(tx, c, now)
		return err
	})
	if err != nil {
		return unavailable(err)
	}
	if err := p.known(); err != nil {
		return err
	}
	m, started, err := p.Start(saml.StartRequest{LoginHint: t.Hint, MaxAge: t.MaxAge, ForceLogin: f.Aim.Another}, now)
	if err != nil {
		return err
	}
	// Asking who is there is a courtesy to whoever wants to be another: nothing is made of an
	// answer that ignores it.
	started.ForceLogin = false
	f.SAML = started
	if err := s.samlFlows.keep(w, r, f, now); err != nil {
		return err
	}
	s.count("sent_to_provider")
	return s.carry(w, r, m, t.Organization, c.Name)
}

// carry has the browser carry a message to a provider.
func (s *Server) carry(w http.ResponseWriter, r *http.Request, m saml.Message, org tenancy.Organization, name string) error {
	if m.Binding == saml.Redirect {
		return s.sendTo(w, r, m.URL, org, name)
	}
	fields := map[string]string{m.Name: m.Value}
	if m.RelayState != "" {
		fields["RelayState"] = m.RelayState
	}
	return page.Carrying{Brand: s.brand(org), Action: m.URL, Hidden: fields, Name: name}.Render(w, r, http.StatusOK)
}

// samlStart is GET /sso/saml/{connection}/start: a provider sent the browser here of its own accord,
// and is asked now, so that what it says is an answer.
func (s *Server) samlStart(w http.ResponseWriter, r *http.Request) error {
	p, err := s.samlAt(r)
	if err != nil {
		return err
	}
	now := s.now()
	relay := relayOf(r.URL.Query().Get(paramRelay))
	a := aim{Home: p.row.Organization, Path: s.pathOf(p.row.Organization, relay)}
	live, _ := s.samlFlows.begun(r, now)
	bounced := 0
	for _, b := range live {
		if b.flow.Connection != p.row.ID {
			continue
		}
		if b.flow.Aim.Home != "" && now.Sub(b.flow.SAML.StartedAt) < bounceWithin {
			bounced++
		}
		if sameSecret(b.flow.SAML.State, relay) {
			// It was an answer to what we asked, and does not say so: to ask again would go
			// round in circles.
			s.samlFlows.clear(w, relay)
			return s.failed(r, b.flow, p.org, "", b.flow.SAML.Check(p.Connection, saml.Assertion{}, relay, now))
		}
	}
	if bounced >= maxBounces {
		// Neither what was asked nor RelayState comes back from there, and it answers at once.
		s.count("sign_in_loop")
		return s.looping(a, fmt.Errorf("connection %s is asked again after %d answers that say nothing of a request", p.row.ID, bounced))
	}
	return s.leave(w, r, a, turn{Ask: []tenancy.Connection{p.row}, Organization: p.org})
}

// maxBounces is how many times within bounceWithin one browser is sent back to a provider that began
// by itself: a person with many tabs is slower than that.
const (
	maxBounces   = 3
	bounceWithin = time.Minute
)

// maxRelay is how long a RelayState may be that is looked at. The specification has 80 bytes, and providers
// that are sent to by a link of their own, more.
const maxRelay = 1024

// relayOf returns what came as RelayState; of one that is too long, nothing: a part of it would lead
// to another page than was meant.
func relayOf(s string) string {
	if len(s) > maxRelay {
		return ""
	}
	return s
}

// pathOf returns the path in a RelayState of a provider's own: a path, or a URL of one of the
// organization's own hosts, of which the path alone is taken. Anything else leads to the first page.
func (s *Server) pathOf(org tenancy.OrgID, relay string) string {
	if u, err := url.Parse(relay); err == nil && u.Host != "" && u.Scheme == s.publicURL.Scheme && u.User == nil {
		if owner, ok := s.organizationAt(u.Host); !ok || owner != org {
			return ""
		}
		relay = u.RequestURI()
	}
	path, ok := session.ParseReturnPath(relay)
	if !ok {
		return ""
	}
	return path
}

// homePath is a path at an organization's app.
func (s *Server) homePath(home, path string) string {
	if path == "" {
		return home
	}
	return strings.TrimSuffix(home, "/") + path
}
