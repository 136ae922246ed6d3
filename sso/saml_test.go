package sso_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/internal/egress"
	"github.com/orgate/orgate/sso/ssotest"
	"github.com/orgate/orgate/sso/upkeep"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// saml gives an organization, beside nothing else, a connection to a SAML provider of its own: its
// name is slug-adfs. The keeper looks after it before this returns.
func (w *world) saml(slug string, edit func(*tenancy.Organization, *tenancy.SAMLConnection, *ssotest.SAMLOptions), people ...ssotest.Person) *ssotest.SAMLProvider {
	w.t.Helper()
	o := tenancy.Organization{ID: org(slug), Slug: tenancy.Slug(slug), Name: strings.ToUpper(slug[:1]) + slug[1:], JITSSO: true, CreatedAt: w.clock.Now(), UpdatedAt: w.clock.Now()}
	c := tenancy.SAMLConnection{}
	p := ssotest.SAMLOptions{Name: slug, People: people, Now: w.clock.Now}
	if edit != nil {
		edit(&o, &c, &p)
	}
	idp := ssotest.StartSAML(w.t, p)
	c.MetadataURL = idp.EntityID() + "/metadata"
	w.update(func(tx store.Tx) error {
		now := w.clock.Now()
		err := errors.Join(
			tx.PutOrganization(o),
			tx.PutRole(tenancy.Role{Slug: "member"}),
			tx.PutDomain(tenancy.Domain{ID: tenancy.DomainID("org_domain_" + slug), Organization: o.ID, Name: slug + ".test", State: tenancy.DomainVerified, Strategy: "manual", CreatedAt: now, UpdatedAt: now}),
			tx.PutConnection(tenancy.Connection{ID: conn(slug), Organization: o.ID, Name: slug + "-adfs", Type: "saml", CreatedAt: now, UpdatedAt: now, SAML: &c}),
			tx.PutSAMLState(tenancy.SAMLState{Organization: o.ID, Connection: conn(slug), Next: now}),
		)
		return err
	})
	w.mu.Lock()
	w.orgs[w.host(slug)] = o.ID
	w.mu.Unlock()
	w.upkeep(slug)
	idp.Trust(ssotest.SAMLServiceProvider{
		EntityID: w.samlURL(slug, "metadata"), Name: slug, ACS: w.samlURL(slug, "acs"), SLO: w.samlURL(slug, "slo"), Certificate: w.samlState(slug).Keys[0].Certificate,
	})
	return idp
}

func (w *world) samlURL(slug, what string) string {
	return w.login("/sso/saml/" + slug + "." + slug + "-adfs/" + what)
}

func (w *world) samlState(slug string) (s tenancy.SAMLState) {
	w.t.Helper()
	w.view(func(tx store.Tx) (err error) {
		s, err = tx.SAMLState(org(slug), conn(slug))
		return err
	})
	return s
}

// upkeep has a keeper look after what is due, until the connection of slug was looked after.
func (w *world) upkeep(slug string) {
	w.t.Helper()
	before := w.samlState(slug)
	ctx, cancel := context.WithCancel(w.t.Context())
	k := upkeep.New(upkeep.Options{
		Store: w.store, Box: w.box, Now: w.clock.Now, Logger: slog.New(slog.NewJSONHandler(w.log, nil)), Poll: 10 * time.Millisecond,
		Egress: egress.New(egress.Options{AllowLoopback: true, MaxBody: upkeep.MaxMetadata, Timeout: 5 * time.Second}),
	})
	done := make(chan struct{})
	go func() { defer close(done); k.Run(ctx) }()
	for s := before; !s.FetchedAt.After(before.FetchedAt) && s.Faults == before.Faults; s = w.samlState(slug) {
		select {
		case <-w.t.Context().Done():
			w.t.Fatal("the connection was not looked after")
		case <-time.After(5 * time.Millisecond): // asked again; nothing tells us
		}
	}
	cancel()
	<-done
}

func TestSigningInBySAML(t *testing.T) {
	w := newWorld(t)
	w.saml("acme", nil, person("alice", "acme.test"))
	u := w.browser().to("acme", "/reports?q=1", "alice@acme.test").as("alice").press("Continue")
	u.inApp("acme", "alice@acme.test").sees(http.StatusOK, "at /reports?q=1")
}
