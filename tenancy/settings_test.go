package tenancy_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

func TestNothingIsWrittenWhenNothingChanges(t *testing.T) {
	w := newWorld(t)
	w.changeOrg(w.acme.ID, func(o *tenancy.Organization) {
		o.Hosts, o.DomainPolicy = []string{"portal.acme.com"}, &policy.Policy{MFA: true, MaxAge: time.Hour}
		o.Managed = map[tenancy.Section]tenancy.Origin{tenancy.SectionRoles: {File: "orgate.yaml", Line: 3}}
	})
	w.must(func(tx store.Tx) error {
		return tenancy.SaveRole(tx, tenancy.Role{Organization: w.acme.ID, Slug: "boss", Permissions: []string{"a"}}, operator, w.now)
	})
	w.events()
	w.now = w.now.Add(time.Hour)
	w.must(func(tx store.Tx) error {
		o, err := tx.Organization(w.acme.ID)
		if err != nil {
			return err
		}
		was := o.UpdatedAt
		o.Upstreams, o.GroupRoles = map[string]string{}, []tenancy.GroupRole{} // as a reader of YAML may leave them
		o.CreatedAt, o.UpdatedAt, o.Suspended = time.Time{}, time.Time{}, true // not for the caller to say
		saved, err := tenancy.SaveOrganization(tx, o, operator, w.now)
		if err != nil || !saved.UpdatedAt.Equal(was) || saved.Suspended {
			t.Errorf("organization is %+v, %v", saved, err)
		}
		if err := tenancy.SetDomains(tx, w.acme.ID, []tenancy.DomainClaim{{Name: "acme.com", Verified: true}}, operator, w.now); err != nil {
			return err
		}
		c := w.okta
		c.CreatedAt, c.UpdatedAt = time.Time{}, time.Time{}
		if _, err := tenancy.SaveConnection(tx, c, operator, w.now); err != nil {
			return err
		}
		if err := tenancy.SaveRole(tx, tenancy.Role{Organization: w.acme.ID, Slug: "boss", Permissions: []string{"a"}}, operator, w.now); err != nil {
			return err
		}
		for _, do := range []func() error{
			func() error { return tenancy.Resume(tx, w.acme.ID, operator, w.now) },
			func() error { return tenancy.RemoveDomain(tx, w.acme.ID, "gone.com", operator, w.now) },
			func() error { return tenancy.RemoveConnection(tx, w.acme.ID, "conn_gone", operator, w.now) },
			func() error { return tenancy.RemoveConnection(tx, w.acme.ID, w.entra.ID, operator, w.now) }, // Globex's
			func() error { return tenancy.RemoveRole(tx, w.acme.ID, "gone", operator, w.now) },
			func() error {
				return tenancy.VerifyDomain(tx, w.acme.ID, "acme.com", tenancy.StrategyManual, operator, w.now)
			},
		} {
			if err := do(); err != nil {
				return err
			}
		}
		return nil
	})
	w.wantEvents()
}

func TestEachChangeHasItsEvent(t *testing.T) {
	w := newWorld(t)
	disabled := w.okta
	disabled.Disabled = true
	renamed := w.okta
	renamed.Name = "okta-2"
	for _, tt := range []struct {
		name string
		do   func(tx store.Tx) error
		want []string
	}{
		{"rename", func(tx store.Tx) error {
			o := w.acme
			o.Name = "Acme Inc."
			_, err := tenancy.SaveOrganization(tx, o, operator, w.now)
			return err
		}, []string{audit.OrganizationUpdated}},
		{"suspend twice", func(tx store.Tx) error {
			return errors.Join(tenancy.Suspend(tx, w.acme.ID, operator, w.now), tenancy.Suspend(tx, w.acme.ID, operator, w.now))
		}, []string{audit.OrganizationSuspended}},
		{"resume", func(tx store.Tx) error { return tenancy.Resume(tx, w.acme.ID, operator, w.now) }, []string{audit.OrganizationResumed}},
		{"claim two more domains, prove one", func(tx store.Tx) error {
			return tenancy.SetDomains(tx, w.acme.ID, []tenancy.DomainClaim{{Name: "acme.com", Verified: true}, {Name: "acme.au"}, {Name: "acme.nz", Verified: true}}, operator, w.now)
		}, []string{audit.DomainCreated, audit.DomainCreated, audit.DomainVerified}},
		{"prove the other by DNS", func(tx store.Tx) error {
			return tenancy.VerifyDomain(tx, w.acme.ID, "acme.au", tenancy.StrategyDNS, operator, w.now)
		}, []string{audit.DomainVerified}},
		{"say no more that they are proved", func(tx store.Tx) error {
			return tenancy.SetDomains(tx, w.acme.ID, []tenancy.DomainClaim{{Name: "acme.com", Verified: true}, {Name: "acme.au"}, {Name: "acme.nz"}}, operator, w.now)
		}, []string{audit.DomainUpdated}},
		{"lose a proof", func(tx store.Tx) error { return tenancy.FailDomain(tx, w.acme.ID, "acme.au", operator, w.now) }, []string{audit.DomainVerificationFailed}},
		{"give them up", func(tx store.Tx) error {
			return tenancy.SetDomains(tx, w.acme.ID, []tenancy.DomainClaim{{Name: "acme.com", Verified: true}}, operator, w.now)
		}, []string{audit.DomainDeleted, audit.DomainDeleted}},
		{"disable", func(tx store.Tx) error { _, err := tenancy.SaveConnection(tx, disabled, operator, w.now); return err }, []string{audit.ConnectionDeactivated}},
		{"enable", func(tx store.Tx) error { _, err := tenancy.SaveConnection(tx, w.okta, operator, w.now); return err }, []string{audit.ConnectionActivated}},
		{"rename the connection", func(tx store.Tx) error { _, err := tenancy.SaveConnection(tx, renamed, operator, w.now); return err }, []string{audit.ConnectionUpdated}},
		{"a connection to be enabled later", func(tx store.Tx) error {
			_, err := tenancy.SaveConnection(tx, tenancy.Connection{Organization: w.acme.ID, Name: "later", Type: "saml", Disabled: true}, operator, w.now)
			return err
		}, []string{audit.ConnectionCreated}},
		{"remove the connection", func(tx store.Tx) error {
			return tenancy.RemoveConnection(tx, w.acme.ID, w.okta.ID, operator, w.now)
		}, []string{audit.ConnectionDeleted}},
		{"roles", func(tx store.Tx) error {
			return errors.Join(
				tenancy.SaveRole(tx, tenancy.Role{Slug: "x"}, operator, w.now), tenancy.SaveRole(tx, tenancy.Role{Slug: "x", Priority: 1}, operator, w.now), tenancy.RemoveRole(tx, "", "x", operator, w.now),
				tenancy.SaveRole(tx, tenancy.Role{Organization: w.acme.ID, Slug: "x"}, operator, w.now), tenancy.SaveRole(tx, tenancy.Role{Organization: w.acme.ID, Slug: "x", Priority: 1}, operator, w.now), tenancy.RemoveRole(tx, w.acme.ID, "x", operator, w.now),
			)
		}, []string{audit.RoleCreated, audit.RoleUpdated, audit.RoleDeleted, audit.OrganizationRoleCreated, audit.OrganizationRoleUpdated, audit.OrganizationRoleDeleted}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w.t = t
			w.must(tt.do)
			es := w.changes()
			var names []string
			for _, e := range es {
				names = append(names, e.Name)
				if strings.Contains(string(e.Data), "secret") || strings.Contains(string(e.Data), "c2VhbGVk") { // "sealed"
					t.Errorf("%s has a secret: %s", e.Name, e.Data)
				}
				if e.Actor != operator || e.Organization != string(w.acme.ID) && !strings.HasPrefix(e.Name, "role.") {
					t.Errorf("%s is by %v about %q", e.Name, e.Actor, e.Organization)
				}
			}
			if !slices.Equal(names, tt.want) {
				t.Errorf("events are %q, want %q", names, tt.want)
			}
		})
	}
}

func TestADomainIsVerifiedInOneOrganization(t *testing.T) {
	w := newWorld(t)
	claim := func(org tenancy.OrgID, name string, verified bool) error {
		return w.try(func(tx store.Tx) error {
			if _, err := tenancy.AddDomain(tx, org, name, tenancy.StrategyDNS, operator, w.now); err != nil || !verified {
				return err
			}
			return tenancy.VerifyDomain(tx, org, name, tenancy.StrategyDNS, operator, w.now)
		})
	}
	if err := claim(w.globex.ID, "acme.com", false); err != nil {
		t.Errorf("to hope for it: %v", err)
	}
	if err := claim(w.globex.ID, "acme.com", true); !errors.Is(err, tenancy.ErrTaken) || !strings.Contains(err.Error(), "acme.com") {
		t.Errorf("to have it: %v", err)
	}
	w.must(func(tx store.Tx) error { return tenancy.FailDomain(tx, w.acme.ID, "acme.com", operator, w.now) })
	if err := claim(w.globex.ID, "acme.com", true); err != nil {
		t.Errorf("when it is free: %v", err)
	}
	if err := w.try(func(tx store.Tx) error {
		return tenancy.VerifyDomain(tx, w.acme.ID, "acme.com", tenancy.StrategyDNS, operator, w.now)
	}); !errors.Is(err, tenancy.ErrTaken) {
		t.Errorf("to have it back: %v", err)
	}
	for name, want := range map[string]error{"gmail.com": tenancy.ErrPublicDomain, "ACME.org": nil, "acme": nil, "1.2.3.4": nil} {
		if err := claim(w.acme.ID, name, true); err == nil || want != nil && !errors.Is(err, want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := claim("org_gone", "x.com", false); !errors.Is(err, tenancy.ErrNotFound) {
		t.Errorf("of no organization: %v", err)
	}
}

func TestSlugsHostsAndConnectionNamesAreUnique(t *testing.T) {
	w := newWorld(t)
	w.changeOrg(w.acme.ID, func(o *tenancy.Organization) { o.Hosts = []string{"portal.acme.com"} })
	for name, f := range map[string]func(tx store.Tx) error{
		"slug": func(tx store.Tx) error {
			_, err := tenancy.SaveOrganization(tx, tenancy.Organization{Slug: "acme"}, operator, w.now)
			return err
		},
		"host": func(tx store.Tx) error {
			o := w.globex
			o.Hosts = []string{"portal.acme.com"}
			_, err := tenancy.SaveOrganization(tx, o, operator, w.now)
			return err
		},
		"connection": func(tx store.Tx) error {
			_, err := tenancy.SaveConnection(tx, tenancy.Connection{Organization: w.acme.ID, Name: "okta", Type: "oidc"}, operator, w.now)
			return err
		},
		"role of the installation": func(tx store.Tx) error {
			return tenancy.SaveRole(tx, tenancy.Role{Organization: w.acme.ID, Slug: "admin", Permissions: []string{"everything"}}, operator, w.now)
		},
	} {
		w.events()
		if err := w.try(f); !errors.Is(err, tenancy.ErrTaken) {
			t.Errorf("%s: %v", name, err)
		}
		w.wantEvents()
	}
	w.must(func(tx store.Tx) error { // of another organization: no matter
		_, err := tenancy.SaveConnection(tx, tenancy.Connection{Organization: w.globex.ID, Name: "okta", Type: "oidc"}, operator, w.now)
		return err
	})
}

func TestWhatIsNoSettingIsNotSaved(t *testing.T) {
	w := newWorld(t)
	save := func(change func(o *tenancy.Organization)) func(tx store.Tx) error {
		return func(tx store.Tx) error {
			o := w.acme
			change(&o)
			_, err := tenancy.SaveOrganization(tx, o, operator, w.now)
			return err
		}
	}
	connection := func(c tenancy.Connection) func(tx store.Tx) error {
		return func(tx store.Tx) error { _, err := tenancy.SaveConnection(tx, c, operator, w.now); return err }
	}
	role := func(r tenancy.Role) func(tx store.Tx) error {
		return func(tx store.Tx) error { return tenancy.SaveRole(tx, r, operator, w.now) }
	}
	for name, f := range map[string]func(tx store.Tx) error{
		"slug":                            save(func(o *tenancy.Organization) { o.Slug = "Acme" }),
		"host in upper case":              save(func(o *tenancy.Organization) { o.Hosts = []string{"Portal.acme.com"} }),
		"host with a port":                save(func(o *tenancy.Organization) { o.Hosts = []string{"portal.acme.com:443"} }),
		"host that is an address":         save(func(o *tenancy.Organization) { o.Hosts = []string{"10.0.0.1"} }),
		"organization that is gone":       save(func(o *tenancy.Organization) { o.ID = "org_gone" }),
		"connection without a name":       connection(tenancy.Connection{Organization: w.acme.ID, Type: "oidc"}),
		"connection of no type":           connection(tenancy.Connection{Organization: w.acme.ID, Name: "x", Type: "ldap"}),
		"connection of no organization":   connection(tenancy.Connection{Organization: "org_gone", Name: "x", Type: "oidc"}),
		"another organization's":          connection(tenancy.Connection{ID: w.entra.ID, Organization: w.acme.ID, Name: "x", Type: "oidc"}),
		"role without a name":             role(tenancy.Role{}),
		"role with a comma":               role(tenancy.Role{Slug: "a,b"}),
		"role in upper case":              role(tenancy.Role{Slug: "Admin"}),
		"role that is long":               role(tenancy.Role{Slug: strings.Repeat("a", 49)}),
		"permission with a comma":         role(tenancy.Role{Slug: "x", Permissions: []string{"a,b"}}),
		"permission with a line end":      role(tenancy.Role{Slug: "x", Permissions: []string{"a\r\nX-Org-Role: admin"}}),
		"permission that is empty":        role(tenancy.Role{Slug: "x", Permissions: []string{""}}),
		"no role that every member has":   func(tx store.Tx) error { return tenancy.RemoveRole(tx, "", "member", operator, w.now) },
		"suspend what is gone":            func(tx store.Tx) error { return tenancy.Suspend(tx, "org_gone", operator, w.now) },
		"verify what was never claimed":   func(tx store.Tx) error { return tenancy.VerifyDomain(tx, w.acme.ID, "x.com", "dns", operator, w.now) },
		"domain of another, by its owner": func(tx store.Tx) error { return tenancy.FailDomain(tx, w.globex.ID, "acme.com", operator, w.now) },
	} {
		w.events()
		if err := w.try(f); err == nil {
			t.Errorf("%s: saved", name)
		}
		w.wantEvents()
	}
}

func TestASectionThatTheYAMLOwnsSaysWhere(t *testing.T) {
	o := tenancy.Organization{Managed: map[tenancy.Section]tenancy.Origin{tenancy.SectionDomains: {File: "tenants/acme.yaml", Line: 12}}}
	err := tenancy.CheckManaged(o, tenancy.SectionDomains)
	if m, ok := errors.AsType[*tenancy.ManagedError](err); !ok || m.File != "tenants/acme.yaml" || m.Line != 12 || !errors.Is(err, tenancy.ErrManaged) {
		t.Errorf("got %v", err)
	}
	if want := "domains: managed by configuration, at tenants/acme.yaml:12"; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
	if err := tenancy.CheckManaged(o, tenancy.SectionRoles); err != nil {
		t.Errorf("a section that it leaves out: %v", err)
	}
}

func TestAUserWhoIsMadeInAdvanceHasProvedNothing(t *testing.T) {
	w := newWorld(t)
	var u tenancy.User
	for range 2 {
		w.must(func(tx store.Tx) (err error) {
			u, err = tenancy.EnsureUser(tx, "jo@acme.com", operator, w.now)
			return err
		})
	}
	w.wantEvents(audit.UserCreated)
	if u.EmailVerified || u.Email != "jo@acme.com" {
		t.Errorf("got %+v", u)
	}
	if in := w.signIn(says(w.okta, "1", "jo@acme.com")); in.User.ID != u.ID || !in.Cleanse {
		t.Errorf("got %+v", in)
	}
}
