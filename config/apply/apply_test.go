package apply_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/audit/hook"
	"github.com/orgate/orgate/config"
	"github.com/orgate/orgate/config/apply"
	"github.com/orgate/orgate/internal/seal"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/store/storetest"
	"github.com/orgate/orgate/tenancy"
)

var start = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// An installation is a store that configurations are applied to, one after the other.
type installation struct {
	t     testing.TB
	store *store.Store
	box   *seal.Box
	now   time.Time

	events []audit.Event // of the last apply
}

func install(t testing.TB) *installation {
	t.Helper()
	in := &installation{t: t, store: storetest.Open(t), now: start}
	in.rekey(bytes.Repeat([]byte("k"), 32))
	in.store.OnCommit(func(es []audit.Event) { in.events = append(in.events, es...) })
	return in
}

func (in *installation) rekey(keys ...[]byte) {
	in.t.Helper()
	box, err := seal.NewBox(keys...)
	if err != nil {
		in.t.Fatal(err)
	}
	in.box = box
}

const base = `version: 1
public_url: https://login.example.com
roles: [{ slug: admin, permissions: ["reports:delete"] }, { slug: member }]
apps:
  - { name: app, host: "{org}.example.com", upstream: "http://127.0.0.1:3000" }
organizations:
`

func read(t testing.TB, yaml string) *config.Config {
	t.Helper()
	c, err := config.ReadBytes("orgate.yaml", []byte(yaml), func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (in *installation) try(yaml string) (apply.Report, error) {
	in.t.Helper()
	in.events = nil
	in.now = in.now.Add(time.Minute)
	return apply.Apply(in.t.Context(), in.store, read(in.t, yaml), in.box, in.now)
}

func (in *installation) apply(organizations string) apply.Report {
	in.t.Helper()
	r, err := in.try(base + organizations)
	if err != nil {
		in.t.Fatal(err)
	}
	return r
}

func (in *installation) view(f func(store.Tx) error) {
	in.t.Helper()
	if err := in.store.View(in.t.Context(), f); err != nil {
		in.t.Fatal(err)
	}
}

func (in *installation) update(f func(store.Tx) error) {
	in.t.Helper()
	if err := in.store.Update(in.t.Context(), f); err != nil {
		in.t.Fatal(err)
	}
}

func (in *installation) organization(slug tenancy.Slug) (o tenancy.Organization) {
	in.t.Helper()
	in.view(func(tx store.Tx) (err error) { o, err = tx.OrganizationBySlug(slug); return err })
	return o
}

func (in *installation) connections(slug tenancy.Slug) map[string]tenancy.Connection {
	in.t.Helper()
	cs := map[string]tenancy.Connection{}
	in.view(func(tx store.Tx) error {
		for c, err := range tx.Connections(in.organization(slug).ID) {
			if err != nil {
				return err
			}
			cs[c.Name] = c
		}
		return nil
	})
	return cs
}

// verified returns whose domain it is; empty: nobody's.
func (in *installation) verified(domain string) (slug tenancy.Slug) {
	in.t.Helper()
	in.view(func(tx store.Tx) error {
		d, err := tx.VerifiedDomain(domain)
		if errors.Is(err, tenancy.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		o, err := tx.Organization(d.Organization)
		slug = o.Slug
		return err
	})
	return slug
}

func (in *installation) names() (names []string) {
	for _, e := range in.events {
		names = append(names, e.Name)
	}
	return names
}

func (in *installation) want(got, want apply.Report) {
	in.t.Helper()
	if got != want {
		in.t.Errorf("report = %+v, want %+v", got, want)
	}
}

const acme = `
  - slug: acme
    name: Acme Inc.
    hosts: [portal.acme.com]
    upstreams: { app: "http://10.1.2.3:3000" }
    domains: [{ name: acme.com, verified: true }, { name: acme.au }]
    domain_policy: { methods: [sso], connection: okta, auto_join: true }
    organization_policy: { mfa: required, max_age: 8h }
    jit: { sso: true }
    roles: { default: member, groups: [{ group: Admins, role: admin }] }
    connections:
      - { name: okta, type: oidc, issuer: "https://acme.okta.com", client_id: orgate, client_secret: hunter2, groups_claim: groups }
    limits: { requests: 100, open: 50 }
`

func TestAnOrganizationOfTheYAMLIsInTheStore(t *testing.T) {
	in := install(t)
	in.want(in.apply(acme), apply.Report{Created: 1})
	o, cs := in.organization("acme"), in.connections("acme")
	okta := cs["okta"]
	if o.Name != "Acme Inc." || !slices.Equal(o.Hosts, []string{"portal.acme.com"}) || o.Upstreams["app"] != "http://10.1.2.3:3000" || o.Suspended {
		t.Errorf("settings: %+v", o)
	}
	if o.Quota == nil || *o.Quota != (tenancy.Quota{Requests: 100, Open: 50}) {
		t.Errorf("limits: %+v", o.Quota)
	}
	if p := o.DomainPolicy; p == nil || p.Connection != string(okta.ID) || p.Methods.String() != "sso" || !o.AutoJoin {
		t.Errorf("domain policy: %+v", p)
	}
	if p := o.OrganizationPolicy; p == nil || p.Connection != "" || p.Methods != 0 || !p.MFA || p.MaxAge != 8*time.Hour || !o.JITSSO {
		t.Errorf("organization policy: %+v", p)
	}
	if o.DefaultRole != "member" || !slices.Equal(o.GroupRoles, []tenancy.GroupRole{{Group: "Admins", Role: "admin"}}) {
		t.Errorf("roles: %q, %v", o.DefaultRole, o.GroupRoles)
	}
	if in.verified("acme.com") != "acme" || in.verified("acme.au") != "" {
		t.Error("domains: acme.com is not verified, or acme.au is")
	}
	if at := o.Managed[tenancy.SectionConnections]; at != (tenancy.Origin{File: "orgate.yaml", Line: 17}) || len(o.Managed) != 5 {
		t.Errorf("managed: %v", o.Managed)
	}
	if c := okta.OIDC; okta.Type != "oidc" || okta.Disabled || c.Issuer != "https://acme.okta.com" || c.ClientID != "orgate" || c.GroupsClaim != "groups" || !slices.Equal(c.Scopes, []string{"email", "profile"}) {
		t.Errorf("connection: %+v", okta)
	}
	plain, err := in.box.Open("client secret", string(okta.ID), okta.OIDC.ClientSecret)
	if string(plain) != "hunter2" || err != nil {
		t.Errorf("secret = %q, %v", plain, err)
	}
	for _, e := range in.events {
		if e.Actor.Type != "config" {
			t.Errorf("%s by %+v", e.Name, e.Actor)
		}
		if bytes.Contains(e.Data, []byte("hunter2")) {
			t.Errorf("%s has the secret in it", e.Name)
		}
	}
	if names := in.names(); !slices.Contains(names, audit.OrganizationCreated) || slices.Contains(names, audit.OrganizationUpdated) {
		t.Errorf("events: %v", names)
	}
}

func TestWhatDidNotChangeIsNotWritten(t *testing.T) {
	in := install(t)
	in.apply(acme)
	before := in.organization("acme")
	in.want(in.apply(acme), apply.Report{Unchanged: 1})
	if len(in.events) > 0 || !before.UpdatedAt.Equal(in.organization("acme").UpdatedAt) {
		t.Errorf("written again: %v", in.names())
	}
}

func TestOnlyTheOrganizationThatChangedIsWritten(t *testing.T) {
	in := install(t)
	in.apply(acme + "  - slug: globex\n  - slug: initech\n")
	in.want(in.apply(acme+"  - slug: globex\n    name: Globex\n  - slug: initech\n"), apply.Report{Updated: 1, Unchanged: 2})
	if !slices.Equal(in.names(), []string{audit.OrganizationUpdated}) {
		t.Errorf("events: %v", in.names())
	}
}

func TestAChangeOfASecretAloneIsNoticedAndSealed(t *testing.T) {
	in := install(t)
	in.apply(acme)
	before := in.connections("acme")["okta"]
	in.want(in.apply(strings.Replace(acme, "hunter2", "hunter3", 1)), apply.Report{Updated: 1})
	after := in.connections("acme")["okta"]
	plain, err := in.box.Open("client secret", string(after.ID), after.OIDC.ClientSecret)
	if after.ID != before.ID || string(plain) != "hunter3" || err != nil {
		t.Errorf("secret = %q, %v, of %s, was %s", plain, err, after.ID, before.ID)
	}
	in.want(in.apply(strings.Replace(acme, "client_secret: hunter2, ", "", 1)), apply.Report{Updated: 1})
	if got := in.connections("acme")["okta"].OIDC.ClientSecret; len(got) != 0 {
		t.Error("a secret that was taken out is still there")
	}
}

func TestASecretThatDidNotChangeIsNotSealedAgain(t *testing.T) {
	in := install(t)
	in.apply(acme)
	before := in.connections("acme")["okta"]
	in.apply(strings.Replace(acme, "Acme Inc.", "Acme", 1))
	if after := in.connections("acme")["okta"]; !bytes.Equal(before.OIDC.ClientSecret, after.OIDC.ClientSecret) {
		t.Error("it was")
	}
	if slices.Contains(in.names(), audit.ConnectionUpdated) {
		t.Errorf("events: %v", in.names())
	}
}

func TestANewSecretsKeySealsEverythingAnewWithoutAChangeOfConnections(t *testing.T) {
	in := install(t)
	in.apply(acme)
	before := in.connections("acme")["okta"]
	older, newer := bytes.Repeat([]byte("k"), 32), bytes.Repeat([]byte("n"), 32)
	in.rekey(newer, older)
	in.apply(acme)
	if slices.Contains(in.names(), audit.ConnectionUpdated) {
		t.Errorf("events: %v", in.names())
	}
	in.rekey(newer) // the older one is taken out of service
	in.want(in.apply(acme), apply.Report{Unchanged: 1})
	after := in.connections("acme")["okta"]
	plain, err := in.box.Open("client secret", string(after.ID), after.OIDC.ClientSecret)
	if string(plain) != "hunter2" || err != nil || after.ID != before.ID {
		t.Errorf("secret = %q, %v", plain, err)
	}
}

func TestTheStoredDigestDoesNotLetASecretBeGuessed(t *testing.T) {
	in := install(t)
	in.apply(acme)
	first := in.organization("acme").ConfigDigest
	in.rekey(bytes.Repeat([]byte("x"), 32))
	in.apply(acme)
	if first == in.organization("acme").ConfigDigest {
		t.Error("it does not depend on the secrets key: whoever has the store can try secrets against it")
	}
}

func TestAnOrganizationThatLeavesIsSuspendedAndComesBackAsItWas(t *testing.T) {
	in := install(t)
	in.apply(acme + "  - slug: globex\n")
	id := in.organization("acme").ID
	in.want(in.apply("  - slug: globex\n"), apply.Report{Suspended: 1, Unchanged: 1})
	if o := in.organization("acme"); !o.Suspended || o.ID != id || len(in.connections("acme")) != 1 {
		t.Errorf("left: %+v", o)
	}
	if !slices.Equal(in.names(), []string{audit.OrganizationSuspended}) {
		t.Errorf("events: %v", in.names())
	}
	in.want(in.apply("  - slug: globex\n"), apply.Report{Unchanged: 1})
	in.want(in.apply(acme+"  - slug: globex\n"), apply.Report{Updated: 1, Unchanged: 1})
	if o := in.organization("acme"); o.Suspended || o.ID != id {
		t.Errorf("came back: %+v", o)
	}
	if !slices.Contains(in.names(), audit.OrganizationResumed) {
		t.Errorf("events: %v", in.names())
	}
}

func TestAnOrganizationThatTheYAMLDidNotMakeIsLeftAlone(t *testing.T) {
	in := install(t)
	in.update(func(tx store.Tx) error {
		_, err := tenancy.SaveOrganization(tx, tenancy.Organization{Slug: "initech", Name: "Initech"}, audit.System, in.now)
		return err
	})
	in.want(in.apply(acme), apply.Report{Created: 1})
	if o := in.organization("initech"); o.Suspended || len(o.Managed) != 0 {
		t.Errorf("initech: %+v", o)
	}
}

func TestASectionThatIsNotGivenIsLeftAlone(t *testing.T) {
	in := install(t)
	in.apply("  - slug: acme\n")
	o := in.organization("acme")
	if _, ok := o.Managed[tenancy.SectionDomains]; ok || len(o.Managed) != 1 {
		t.Fatalf("managed: %v", o.Managed)
	}
	in.update(func(tx store.Tx) error {
		o.JITSSO, o.DefaultRole = true, "admin"
		if _, err := tenancy.SaveOrganization(tx, o, audit.System, in.now); err != nil {
			return err
		}
		_, err := tenancy.AddDomain(tx, o.ID, "acme.com", tenancy.StrategyDNS, audit.System, in.now)
		return err
	})
	in.want(in.apply("  - slug: acme\n    name: Acme\n"), apply.Report{Updated: 1})
	if o := in.organization("acme"); !o.JITSSO || o.DefaultRole != "admin" || o.Name != "Acme" {
		t.Errorf("the API's sections were written: %+v", o)
	}
	in.view(func(tx store.Tx) error { _, err := tx.Domain(o.ID, "acme.com"); return err })

	// Given and empty is not the same as not given.
	in.apply("  - slug: acme\n    name: Acme\n    domains: []\n")
	in.view(func(tx store.Tx) error {
		if _, err := tx.Domain(o.ID, "acme.com"); !errors.Is(err, tenancy.ErrNotFound) {
			t.Errorf("domain = %v, want none", err)
		}
		return nil
	})
}

func TestASectionThatLeavesTheYAMLStaysAndIsNotManagedAnyMore(t *testing.T) {
	in := install(t)
	in.apply(acme)
	in.apply("  - slug: acme\n")
	o := in.organization("acme")
	if len(o.Managed) != 1 || o.DomainPolicy == nil || in.verified("acme.com") != "acme" || in.connections("acme")["okta"].Disabled {
		t.Errorf("%+v", o)
	}
}

// As the manual says; else nobody could take back what a file once gave.
func TestASectionThatIsGivenEmptyUndoesWhatItSaid(t *testing.T) {
	in := install(t)
	in.apply(acme)
	in.apply("  - slug: acme\n    domains: []\n    connections: []\n    jit: { sso: false }\n    roles: {}\n")
	o := in.organization("acme")
	if len(o.Managed) != 5 || o.DomainPolicy != nil || o.OrganizationPolicy != nil || o.AutoJoin || o.JITSSO || o.DefaultRole != "" || len(o.GroupRoles) > 0 {
		t.Errorf("%+v", o)
	}
	if in.verified("acme.com") != "" || !in.connections("acme")["okta"].Disabled {
		t.Errorf("acme.com is %q's, okta: %+v", in.verified("acme.com"), in.connections("acme")["okta"])
	}
}

func TestAHostAndADomainGoFromOneOrganizationToAnother(t *testing.T) {
	with := func(slug, host, domain string) string {
		return fmt.Sprintf("  - slug: %s\n    hosts: [%s]\n    domains: [{ name: %s, verified: true }]\n", slug, host, domain)
	}
	for name, steps := range map[string][2]string{
		"swapped":            {with("a", "one.com", "d1.com") + with("b", "two.com", "d2.com"), with("a", "two.com", "d2.com") + with("b", "one.com", "d1.com")},
		"from one that left": {with("a", "one.com", "d1.com"), with("b", "one.com", "d1.com")},
	} {
		t.Run(name, func(t *testing.T) {
			in := install(t)
			in.apply(steps[0])
			in.apply(steps[1])
			if o := in.organization("b"); !slices.Equal(o.Hosts, []string{"one.com"}) || in.verified("d1.com") != "b" {
				t.Errorf("b has %v, and d1.com is %s's", o.Hosts, in.verified("d1.com"))
			}
			in.apply(steps[0])
			if o := in.organization("a"); !slices.Equal(o.Hosts, []string{"one.com"}) || in.verified("d1.com") != "a" || o.Suspended {
				t.Errorf("back: a has %v, and d1.com is %s's", o.Hosts, in.verified("d1.com"))
			}
		})
	}
}

func TestADomainThatWasProvedByDNSAndIsStillClaimedIsNotTaken(t *testing.T) {
	in := install(t)
	const first = "  - slug: a\n    domains: [{ name: acme.com }]\n"
	in.apply(first)
	in.update(func(tx store.Tx) error {
		return tenancy.VerifyDomain(tx, in.organization("a").ID, "acme.com", tenancy.StrategyDNS, audit.System, in.now)
	})
	const second = "  - slug: b\n    domains: [{ name: acme.com, verified: true }]\n"
	_, err := in.try(base + first + second)
	if !errors.Is(err, tenancy.ErrTaken) || !strings.Contains(err.Error(), "organization a has proved by DNS that the domain acme.com is its own") {
		t.Errorf("err = %v, want ErrTaken", err)
	}
	if in.verified("acme.com") != "a" || len(in.events) > 0 {
		t.Errorf("it is %s's; events: %v", in.verified("acme.com"), in.names())
	}
	// Given up by the one, it may be said to be the other's.
	in.apply("  - slug: a\n    domains: []\n" + second)
	if in.verified("acme.com") != "b" {
		t.Errorf("it is %s's", in.verified("acme.com"))
	}
}

func TestADomainThatIsNotSaidToBeVerifiedIsToBeProved(t *testing.T) {
	in := install(t)
	in.apply(acme)
	in.update(func(tx store.Tx) error {
		due, err := tenancy.DueChecks(tx, 10, in.now)
		if len(due) != 1 || due[0].Domain.Name != "acme.au" {
			t.Errorf("due: %+v", due)
		}
		return err
	})
}

func TestWhatBelongsToAnOrganizationOfTheAPIIsNotTakenAndNothingIsWritten(t *testing.T) {
	in := install(t)
	in.update(func(tx store.Tx) error {
		o, err := tenancy.SaveOrganization(tx, tenancy.Organization{Slug: "initech", Name: "Initech", Hosts: []string{"portal.acme.com"}}, audit.System, in.now)
		if err != nil {
			return err
		}
		return tenancy.SetDomains(tx, o.ID, []tenancy.DomainClaim{{Name: "acme.com", Verified: true}}, audit.System, in.now)
	})
	_, err := in.try(base + "  - slug: globex\n" + acme)
	if !errors.Is(err, tenancy.ErrTaken) {
		t.Fatalf("err = %v, want ErrTaken", err)
	}
	for _, want := range []string{"orgate.yaml:9: acme: the host portal.acme.com is organization initech's", "orgate.yaml:13: acme: the domain acme.com is organization initech's"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v\ndoes not say %q", err, want)
		}
	}
	if len(in.events) > 0 {
		t.Errorf("written: %v", in.names())
	}
}

func TestAConnectionThatLeftIsDisabledAndFoundAgain(t *testing.T) {
	in := install(t)
	in.apply(acme)
	before := in.connections("acme")["okta"]
	without := "  - slug: acme\n    connections: []\n"
	in.apply(without)
	if c := in.connections("acme")["okta"]; !c.Disabled || c.ID != before.ID {
		t.Errorf("left: %+v", c)
	}
	in.apply(acme)
	if c := in.connections("acme")["okta"]; c.Disabled || c.ID != before.ID {
		t.Errorf("back: %+v", c)
	}
}

func TestAnotherIssuerIsAnotherConnection(t *testing.T) {
	in := install(t)
	in.apply(acme)
	before := in.connections("acme")["okta"]
	in.apply(strings.Replace(acme, "https://acme.okta.com", "https://login.acme.com", 1))
	after := in.connections("acme")["okta"]
	if after.ID == before.ID {
		t.Error("same id: a subject of the new provider would be taken for the old provider's")
	}
	if p := in.organization("acme").DomainPolicy; p.Connection != string(after.ID) {
		t.Errorf("the policy asks for %s, want %s", p.Connection, after.ID)
	}
}

func TestTheRolesOfTheInstallationAreThoseOfTheYAML(t *testing.T) {
	in := install(t)
	roles := func() map[string]int {
		m := map[string]int{}
		in.view(func(tx store.Tx) error {
			for r, err := range tx.Roles("") {
				if err != nil {
					return err
				}
				m[r.Slug] = r.Priority
			}
			return nil
		})
		return m
	}
	in.apply("  - slug: acme\n")
	if got := roles(); !maps.Equal(got, map[string]int{"admin": 0, "member": 1}) {
		t.Errorf("roles = %v", got)
	}
	in.apply("  - slug: acme\n")
	if len(in.events) > 0 {
		t.Errorf("written again: %v", in.names())
	}
	if _, err := in.try(strings.Replace(base, "{ slug: admin, permissions: [\"reports:delete\"] }", "{ slug: owner }", 1) + "  - slug: acme\n"); err != nil {
		t.Fatal(err)
	}
	if got := roles(); !maps.Equal(got, map[string]int{"owner": 0, "member": 1}) {
		t.Errorf("roles = %v", got)
	}
}

func many(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `
  - slug: t%d
    name: Tenant %d
    domains: [{ name: t%d.com, verified: true }]
    domain_policy: { methods: [sso], connection: okta, auto_join: true }
    jit: { sso: true }
    roles: { default: member, groups: [{ group: Admins, role: admin }] }
    connections:
      - { name: okta, type: oidc, issuer: "https://t%d.okta.com", client_id: orgate, client_secret: "secret of tenant %d", groups_claim: groups }
`, i, i, i, i, i)
	}
	return b.String()
}

func TestARunThatEndsInTheMiddleIsFinishedByTheNext(t *testing.T) {
	in := install(t)
	const n = 250
	ctx, cancel := context.WithCancel(t.Context())
	commits := 0
	in.store.OnCommit(func([]audit.Event) {
		if commits++; commits == 3 { // the roles, and two batches
			cancel()
		}
	})
	if _, err := apply.Apply(ctx, in.store, read(t, base+many(n)), in.box, in.now); err == nil {
		t.Fatal("the run was not ended")
	}
	in.want(in.apply(many(n)), apply.Report{Created: 50, Unchanged: 200})
	in.want(in.apply(many(n)), apply.Report{Unchanged: n})
}

func TestLinesThatMovedAreBroughtUpToDateWithoutAnEvent(t *testing.T) {
	in := install(t)
	in.apply(acme)
	in.want(in.apply("\n\n\n"+acme), apply.Report{Unchanged: 1})
	if o := in.organization("acme"); o.Managed[tenancy.SectionDomains].Line != 15 || len(in.events) > 0 {
		t.Errorf("managed: %v, events %v", o.Managed, in.names())
	}
}

func BenchmarkApply(b *testing.B) {
	c := read(b, base+many(10_000))
	b.Run("first/10000", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			in := install(b)
			b.StartTimer()
			if _, err := apply.Apply(b.Context(), in.store, c, in.box, start); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("unchanged/10000", func(b *testing.B) {
		in := install(b)
		if _, err := apply.Apply(b.Context(), in.store, c, in.box, start); err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if r, err := apply.Apply(b.Context(), in.store, c, in.box, start); err != nil || r.Unchanged != 10_000 {
				b.Fatal(r, err)
			}
		}
	})
}

func TestWebhooksOfTheYAMLAreManagedByIt(t *testing.T) {
	in := install(t)
	endpoints := func() (es []hook.Endpoint) {
		t.Helper()
		in.view(func(tx store.Tx) (err error) { es, err = hook.List(tx); return err })
		return es
	}
	const with = `webhooks: [{ url: https://a.example/hooks, secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", events: [user.created] }]
`
	text := strings.Replace(base, "organizations:\n", "", 1)
	if _, err := in.try(text + with); err != nil {
		t.Fatal(err)
	}
	es := endpoints()
	if len(es) != 1 || !es[0].Managed || es[0].Disabled || es[0].URL != "https://a.example/hooks" || hook.Open(in.box, es[0], in.now)[0] != "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" {
		t.Errorf("endpoints %+v", es)
	}
	if len(in.events) == 0 || in.events[len(in.events)-1].Actor.Type != "config" {
		t.Errorf("events %+v", in.events)
	}
	if _, err := in.try(text + with); err != nil || len(in.events) != 0 {
		t.Errorf("once more: %v, %d events", err, len(in.events))
	}
	if _, err := in.try(text); err != nil {
		t.Fatal(err)
	}
	if es := endpoints(); len(es) != 1 || es[0].Managed || !es[0].Disabled {
		t.Errorf("it left the YAML: %+v", es)
	}
}

// Keys of the YAML are good while it gives them, and none is for everything because its organization is not there.
func TestTheYAMLGivesAPIKeysAndTakesThemAway(t *testing.T) {
	in := install(t)
	hash := func(secret string) string {
		sum := sha256.Sum256([]byte(secret))
		return hex.EncodeToString(sum[:])
	}
	with := func(keys string) string {
		return strings.Replace(base, "apps:", "management: { api_keys: ["+keys+"] }\napps:", 1) + "  - slug: acme\n"
	}
	must := func(keys string, want ...string) {
		t.Helper()
		if _, err := in.try(with(keys)); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range in.events {
			if strings.Contains(e.Name, "api_key") {
				got = append(got, e.Name)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: events %q, want %q", keys, got, want)
		}
	}
	find := func(secret string) (k session.APIKey, err error) {
		in.view(func(tx store.Tx) error {
			k, _, err = session.FindAPIKey(tx, session.SecretOf(secret), in.now)
			return nil
		})
		return k, err
	}
	a, b := "{ name: a, hash: sha256:"+hash("sk_a")+" }", "{ name: b, hash: sha256:"+hash("sk_b")+", organization: acme, read_only: true }"
	must(a+","+b, audit.APIKeyCreated, audit.APIKeyCreated)
	must(a + "," + b)
	all, err := find("sk_a")
	one, err2 := find("sk_b")
	if err != nil || err2 != nil || all.Organization != "" || all.ReadOnly || one.Organization == "" || !one.ReadOnly {
		t.Errorf("%+v %v, %+v %v", all, err, one, err2)
	}
	err = in.store.Update(t.Context(), func(tx store.Tx) error { return session.RevokeAPIKey(tx, all.ID, audit.System, in.now) })
	if !errors.Is(err, session.ErrConfigured) {
		t.Errorf("revoked otherwise: %v", err)
	}
	must(b, audit.APIKeyRevoked)
	if _, err := find("sk_a"); !errors.Is(err, session.ErrEnded) {
		t.Errorf("taken out: %v", err)
	}
	must(a+","+b, audit.APIKeyCreated)
	must(strings.Replace(a, " }", ", read_only: true }", 1)+","+b, audit.APIKeyUpdated)
	if k, err := find("sk_a"); err != nil || !k.ReadOnly || k.ID != all.ID {
		t.Errorf("%+v, %v", k, err)
	}
	if _, err := in.try(with(strings.Replace(a, " }", ", organization: nobody }", 1))); err == nil || !strings.Contains(err.Error(), `a is for the organization "nobody"`) {
		t.Errorf("an organization that is not there: %v", err)
	}
	if k, err := find("sk_a"); err != nil || !k.ReadOnly {
		t.Errorf("what was refused changed the key: %+v, %v", k, err)
	}
	for _, bad := range []string{"{ name: a, hash: sk_a }", "{ name: a, hash: sha256:00 }", "{ name: a }", a + "," + strings.Replace(a, "name: a", "name: c", 1), a + "," + strings.Replace(b, "name: b", "name: a", 1)} {
		if _, err := config.ReadBytes("orgate.yaml", []byte(with(bad)), func(string) (string, bool) { return "", false }); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

// Whoever makes an organization by the API gives it a name, and so a slug. The YAML must not take its members for those of
// the customer that the operator means.
func TestAnOrganizationOfTheAPIDoesNotBecomeOneOfTheYAML(t *testing.T) {
	in := install(t)
	in.apply("  - slug: globex\n")
	err := in.store.Update(t.Context(), func(tx store.Tx) error {
		_, err := tenancy.SaveOrganization(tx, tenancy.Organization{Slug: "acme", Name: "Squatter"}, audit.System, in.now)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := in.try(base + "  - slug: acme\n  - slug: globex\n"); !errors.Is(err, tenancy.ErrTaken) || !strings.Contains(err.Error(), "orgate.yaml:7: acme") {
		t.Errorf("taken over: %v", err)
	}
	if len(in.events) > 0 {
		t.Errorf("events %v", in.events)
	}
	in.apply("  - slug: globex\n") // and without it, all is well
}

// Where the YAML gives no roles they are the API's, and a reload leaves them alone; where it gives some, they are its own.
func TestRolesThatTheYAMLDoesNotGiveAreLeftAlone(t *testing.T) {
	in := install(t)
	none := strings.Replace(base, "roles: [{ slug: admin, permissions: [\"reports:delete\"] }, { slug: member }]\n", "", 1) + "  - slug: acme\n"
	slugs := func() (list []string) {
		in.view(func(tx store.Tx) error {
			list = nil
			for r, err := range tx.Roles("") {
				if err != nil {
					return err
				}
				list = append(list, r.Slug)
			}
			return nil
		})
		return list
	}
	for _, want := range []string{"member", "clerk member", "clerk member"} {
		if _, err := in.try(none); err != nil {
			t.Fatal(err)
		}
		if want != "member" {
			err := in.store.Update(t.Context(), func(tx store.Tx) error {
				_, err := tenancy.CreateRole(tx, tenancy.Role{Slug: "clerk", Name: "Clerk"}, audit.System, in.now)
				if errors.Is(err, tenancy.ErrTaken) {
					return nil
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if got := strings.Join(slugs(), " "); got != want {
			t.Errorf("roles %q, want %q", got, want)
		}
	}
	in.apply("  - slug: acme\n")
	if got := strings.Join(slugs(), " "); got != "admin member" {
		t.Errorf("roles of the YAML are %q", got)
	}
	if at := read(t, base+"  - slug: acme\n").RolesAt; at != (tenancy.Origin{File: "orgate.yaml", Line: 3}) {
		t.Errorf("they are at %v", at)
	}
}
