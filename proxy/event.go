package proxy

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// heard are the events that this replica committed itself and has acted on, so that it
// does not act on them a second time when the feed brings them.
type heard struct{ ids *lru.Cache[string, struct{}] }

func newHeard() *heard {
	ids, err := lru.New[string, struct{}](8192)
	if err != nil {
		panic(err) // only for a size below 1
	}
	return &heard{ids}
}

// committed acts on what this replica has just committed. When it returns, a request
// that begins is judged by the new state.
func (p *Proxy) committed(events []audit.Event) {
	p.act(context.Background(), events)
	for i := range events {
		p.heard.ids.Add(events[i].ID, struct{}{})
	}
}

// changed acts on what the feed brings.
func (p *Proxy) changed(changes []store.Change) error {
	events := make([]audit.Event, 0, len(changes))
	for i := range changes {
		if !p.heard.ids.Contains(changes[i].Event.ID) {
			events = append(events, changes[i].Event)
		}
	}
	p.act(context.Background(), events)
	return nil
}

// act drops the grants that events concern, and reads the organizations that changed.
func (p *Proxy) act(ctx context.Context, events []audit.Event) {
	var scopes []scope
	var orgs []tenancy.OrgID
	for i := range events {
		e := &events[i]
		scopes = append(scopes, scopesOf(e)...)
		switch kindOf(e.Name) {
		case "organization":
			if e.Organization != "" && !slices.Contains(orgs, tenancy.OrgID(e.Organization)) {
				orgs = append(orgs, tenancy.OrgID(e.Organization))
			}
		case "signing_key":
			p.keys.changed()
		}
	}
	if len(orgs) > 0 {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		p.refresh(ctx, orgs...)
	}
	if len(scopes) > 0 {
		p.reevaluate(p.grants.invalidate(scopes...))
	}
}

// kindOf returns what an event is about, by its name.
func kindOf(name string) string {
	kind, _, _ := strings.Cut(strings.TrimPrefix(name, "orgate."), ".")
	return kind
}

// harmless reports whether an event changes nothing that a grant is made of. Every other
// one, also one that nobody has thought of yet, drops the grants of whatever it
// names, and all grants if it names nothing.
func harmless(name string) bool {
	switch name {
	case audit.SessionCreated, audit.UserCreated:
		return true
	}
	switch kindOf(name) {
	case "authentication", "invitation", "magic_auth", "email_verification", "password_reset", "api_key", "dsync", "action", "signing_key", "mail", "webhook", "webhook_endpoint",
		"portal_link", "access", "audit_log":
		return true
	}
	return false
}

// scopesOf says whose grants an event drops.
func scopesOf(e *audit.Event) []scope {
	if harmless(e.Name) {
		return nil
	}
	switch kind := kindOf(e.Name); {
	case kind == "organization_domain":
		var data struct {
			Domain string `json:"domain"`
			Failed struct {
				Domain string `json:"domain"`
			} `json:"organization_domain"` // of a verification that failed
		}
		err := json.Unmarshal(e.Data, &data)
		domain := strings.ToLower(cmp.Or(data.Domain, data.Failed.Domain))
		if err != nil || domain == "" {
			return []scope{{kind: everything}}
		}
		return []scope{{byEmailDomain, domain}, {byOrganization, e.Organization}}
	case kind == "role" || kind == "permission":
		return []scope{{kind: everything}}
	case e.Session != "":
		return []scope{{bySession, e.Session}}
	case e.User != "":
		return []scope{{byUser, e.User}}
	case e.Organization != "":
		return []scope{{byOrganization, e.Organization}}
	default:
		return []scope{{kind: everything}}
	}
}
