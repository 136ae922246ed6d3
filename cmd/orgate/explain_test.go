package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/config"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/store/storetest"
	"github.com/orgate/orgate/tenancy"
)

const explained = `version: 1
public_url: https://login.example.com
mail: { smtp: { host: smtp.example.com }, from: login@example.com }
apps:
  - { name: app, host: "{org}.example.com", upstream: "http://127.0.0.1:3000" }
organizations:
  - slug: acme
    domains: [{ name: acme.com, verified: true }]
    domain_policy: { methods: [sso] }
    organization_policy: { mfa: required }
    jit: { sso: true }
    connections:
      - { name: okta, type: oidc, issuer: "https://okta.example", client_id: orgate }
      - { name: adfs, type: oidc, issuer: "https://adfs.example", client_id: orgate }
  - slug: startup
    domains: [{ name: startup.com, verified: true }]
    domain_policy: { methods: [email_code, passkey], auto_join: true }
  - slug: vault
    organization_policy: { methods: [passkey] }
`

var local = policy.MethodsOf(policy.SSO, policy.EmailCode, policy.Password, policy.Passkey, policy.TOTP, policy.RecoveryCode)

// An explained installation has a store with people in it.
type installation struct {
	t     *testing.T
	yaml  string
	store *store.Store
	now   time.Time
}

func install(t *testing.T) *installation {
	in := &installation{t: t, yaml: explained, store: storetest.Open(t), now: time.Now()} // the clock of the store that is thrown away
	if err := applyTo(t.Context(), in.store, in.config(), in.now); err != nil {
		t.Fatal(err)
	}
	return in
}

func (in *installation) config() *config.Config {
	in.t.Helper()
	c, err := config.ReadBytes("orgate.yaml", []byte(in.yaml), func(string) (string, bool) { return "", false })
	if err != nil {
		in.t.Fatal(err)
	}
	return c
}

// person is a member of an organization, who has set up some factors.
func (in *installation) person(email, org string, has ...policy.Method) {
	in.t.Helper()
	err := in.store.Update(in.t.Context(), func(tx store.Tx) error {
		u, err := tenancy.EnsureUser(tx, email, audit.System, in.now)
		if err != nil {
			return err
		}
		if org != "" {
			o, err := tx.OrganizationBySlug(tenancy.Slug(org))
			if err != nil {
				return err
			}
			if _, err := tenancy.CreateMembership(tx, tenancy.Rules{}, o.ID, u.ID, tenancy.Grant{}, audit.System, in.now); err != nil {
				return err
			}
		}
		for _, m := range has {
			if err := setUp(tx, u.ID, m); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		in.t.Fatal(err)
	}
}

func (in *installation) knows(ctx context.Context, a asking, f func(known) error) error {
	return tell(ctx, in.store, a, f)
}

func (in *installation) explain(org, email string) string {
	in.t.Helper()
	var b strings.Builder
	x := explaining{cfg: in.config(), offered: local, org: org, email: email, now: in.now}
	if err := x.explain(in.t.Context(), &b, in.knows); err != nil {
		in.t.Fatal(err)
	}
	return b.String()
}

func TestExplainTakesThePersonInByEveryWay(t *testing.T) {
	for _, tt := range []struct {
		name, org, email string
		yaml             [2]string // this in place of that
		people           func(*installation)
		want             string
	}{
		{
			name: "the domain's provider, and no second factor", org: "acme", email: "jo@acme.com",
			want: `jo@acme.com: no account; acme.com is a verified domain of acme.
1. prove: The domain policy of acme.com asks for sso; nobody is signed in yet. Next: sso.
2. join: Connection adfs of acme vouches for jo@acme.com, and its just-in-time membership makes an active member of acme with the role member.
3. allow: Every policy is met by an active member of acme; no route rule matches.
Other ways:
- sso by okta: allow
`,
		},
		{
			name: "a guest with an authenticator app", org: "acme", email: "gus@else.com",
			people: func(in *installation) {
				in.person("gus@else.com", "acme", policy.TOTP, policy.RecoveryCode, policy.Password)
			},
			want: `gus@else.com: active member of acme, as a guest (member); else.com is nobody's verified domain; has set up password, totp, recovery_code.
1. prove: The organization policy of acme asks for any first proof, and a second factor; nobody is signed in yet. Next: sso, email_code, password or passkey. Not set up: passkey.
2. proved: Connection adfs of acme vouches for gus@else.com, in acme alone.
3. allow: Every policy is met by an active member of acme; no route rule matches.
Other ways:
- sso by okta: allow
- email_code, then totp: allow
- email_code, then recovery_code: allow
- password, then totp: allow
- password, then recovery_code: allow
`,
		},
		{
			name: "a second factor to set up", org: "acme", email: "gus@else.com", yaml: [2]string{"{ mfa: required }", "{ methods: [email_code], mfa: required }"},
			people: func(in *installation) { in.person("gus@else.com", "acme") },
			want: `gus@else.com: active member of acme, as a guest (member); else.com is nobody's verified domain; has set up no factor.
1. prove: The organization policy of acme asks for email_code, and a second factor; nobody is signed in yet. Next: email_code.
2. proved: gus@else.com is proved by email_code.
3. enroll: The organization policy of acme asks for email_code, and a second factor; no second factor yet. Next: enrol one (passkey or totp).
4. proved: The person shows passkey, which is set up now.
5. allow: Every policy is met by an active member of acme; no route rule matches.
Other ways:
- email_code, then totp, set up now: allow
`,
		},
		{
			name: "joining by domain", org: "startup", email: "flo@startup.com",
			want: `flo@startup.com: no account; startup.com is a verified domain of startup.
1. prove: The domain policy of startup.com asks for email_code or passkey; nobody is signed in yet. Next: email_code or passkey. Not set up: passkey.
2. proved: flo@startup.com is proved by email_code, and an account is made.
3. join: Everything is proved, and the domain rules of startup make the person a member.
4. allow: Every policy is met by an active member of startup; no route rule matches.
`,
		},
		{
			name: "single workspace", org: "startup", email: "flo@startup.com", yaml: [2]string{"apps:", "sign_in: { workspaces: single }\napps:"},
			people: func(in *installation) { in.person("flo@startup.com", "vault") },
			want: `flo@startup.com: no member of startup; startup.com is a verified domain of startup; has set up no factor.
1. prove: The domain policy of startup.com asks for email_code or passkey; nobody is signed in yet. Next: email_code or passkey. Not set up: passkey.
2. proved: flo@startup.com is proved by email_code.
3. join: Everything is proved, and the domain rules of startup make the person a member.
4. refuse: sign_in.workspaces is single, and the person is a member of another organization.
`,
		},
		{
			name: "closed sign-up", org: "vault", email: "eve@else.com", yaml: [2]string{"apps:", "sign_in: { sign_up: invitation }\napps:"},
			want: `eve@else.com: no account; else.com is nobody's verified domain.
1. prove: The organization policy of vault asks for passkey; nobody is signed in yet. Next: passkey. Not set up: passkey.
2. refuse: eve@else.com is proved by email_code, and no account is made: sign_in.sign_up is invitation, and neither an invitation nor the auto_join of a verified domain is there for it.
`,
		},
		{
			name: "closed sign-up, and a domain that joins", org: "startup", email: "flo@startup.com", yaml: [2]string{"apps:", "sign_in: { sign_up: invitation }\napps:"},
			want: `flo@startup.com: no account; startup.com is a verified domain of startup.
1. prove: The domain policy of startup.com asks for email_code or passkey; nobody is signed in yet. Next: email_code or passkey. Not set up: passkey.
2. proved: flo@startup.com is proved by email_code, and an account is made.
3. join: Everything is proved, and the domain rules of startup make the person a member.
4. allow: Every policy is met by an active member of startup; no route rule matches.
`,
		},
		{
			name: "a passkey to set up first", org: "vault", email: "gus@else.com",
			people: func(in *installation) { in.person("gus@else.com", "vault") },
			want: `gus@else.com: active member of vault, as a guest (member); else.com is nobody's verified domain; has set up no factor.
1. prove: The organization policy of vault asks for passkey; nobody is signed in yet. Next: passkey. Not set up: passkey.
2. proved: gus@else.com is proved by email_code.
3. proved: The person shows passkey, which is set up now.
4. allow: Every policy is met by an active member of vault; no route rule matches.
`,
		},
		{
			name: "a passkey that is there, and the person's own second factor", org: "vault", email: "gus@else.com",
			people: func(in *installation) { in.person("gus@else.com", "vault", policy.Passkey, policy.TOTP) },
			want: `gus@else.com: active member of vault, as a guest (member); else.com is nobody's verified domain; has set up passkey, totp.
1. prove: The organization policy of vault asks for passkey; nobody is signed in yet. Next: passkey.
2. proved: The person shows a passkey that verifies its user.
3. allow: Every policy is met by an active member of vault; no route rule matches.
Other ways:
- passkey that does not, then totp: allow
`,
		},
		{
			name: "both policies, one after the other", org: "vault", email: "jo@acme.com",
			people: func(in *installation) { in.person("jo@acme.com", "vault", policy.Passkey) },
			want: `jo@acme.com: active member of vault, as a guest (member); acme.com is a verified domain of acme; has set up passkey.
1. prove: The domain policy of acme.com asks for sso; nobody is signed in yet. Next: sso.
2. join: Connection adfs of acme vouches for jo@acme.com, and its just-in-time membership makes an active member of acme with the role member.
3. prove: The organization policy of vault asks for passkey; no such proof yet. Next: passkey.
4. proved: The person shows a passkey that verifies its user.
5. allow: Every policy is met by an active member of vault; no route rule matches.
Other ways:
- sso by adfs, then passkey that does not: allow
- sso by okta, then passkey that verifies its user: allow
- sso by okta, then passkey that does not: allow
`,
		},
		{
			name: "who is no member", org: "vault", email: "ann@acme.com", yaml: [2]string{"methods: [passkey] }\n", "methods: [email_code] }\n"},
			want: `ann@acme.com: no account; acme.com is a verified domain of acme.
1. prove: The domain policy of acme.com asks for sso; nobody is signed in yet. Next: sso.
2. join: Connection adfs of acme vouches for ann@acme.com, and its just-in-time membership makes an active member of acme with the role member.
3. prove: The organization policy of vault asks for email_code; no such proof yet. Next: email_code.
4. proved: ann@acme.com is proved by email_code.
5. deny: The person is no member of vault, and no rule of it makes them one.
Other ways:
- sso by okta, then email_code: deny: The person is no member of vault, and no rule of it makes them one.
`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := install(t)
			if tt.people != nil {
				tt.people(in)
			}
			in.yaml = strings.Replace(in.yaml, tt.yaml[0], tt.yaml[1], 1)
			if got := in.explain(tt.org, tt.email); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

func TestExplainKnowsPeopleAsTheirProvidersDo(t *testing.T) {
	in := install(t)
	sign := func(email, subject string) {
		t.Helper()
		err := in.store.Update(t.Context(), func(tx store.Tx) error {
			o, err := tx.OrganizationBySlug("acme")
			if err != nil {
				return err
			}
			for c, err := range tx.Connections(o.ID) {
				if err != nil {
					return err
				}
				if c.Name != "okta" {
					continue
				}
				if _, err := tenancy.SignIn(tx, tenancy.Rules{}, tenancy.Assertion{Connection: c.ID, Organization: o.ID, Subject: subject, Email: email}, in.now); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	sign("jo@acme.com", "00u1")
	in.yaml = strings.Replace(in.yaml, "methods: [sso] }", "methods: [sso], connection: okta }", 1)
	if got := in.explain("acme", "jo@acme.com"); !strings.Contains(got, "\n3. allow: ") || strings.Contains(got, "refuse") {
		t.Errorf("a known identity is taken for another:\n%s", got)
	}
}

func TestExplainAndDryRunChangeNothing(t *testing.T) {
	in := install(t)
	in.person("gus@else.com", "acme", policy.TOTP)
	copyOf := func() string {
		var b strings.Builder
		if _, err := in.store.Backup(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
		_, rows, _ := strings.Cut(b.String(), "\n") // the header has the time in it
		rows, _, _ = strings.Cut(rows, `{"rows"`)
		return rows
	}
	before := copyOf()
	in.explain("acme", "gus@else.com")
	in.explain("acme", "jo@acme.com")
	next := *in
	next.yaml = strings.Replace(in.yaml, "  - slug: vault", "  - slug: bank", 1)
	if _, err := dryRun(t.Context(), &strings.Builder{}, in.knows, in.config(), next.config(), in.now); err != nil {
		t.Fatal(err)
	}
	if after := copyOf(); after != before {
		t.Errorf("got\n%s\nwant\n%s", after, before)
	}
}

func TestNoSecretIsToldToACommand(t *testing.T) {
	in := install(t)
	in.person("gus@else.com", "acme", policy.TOTP, policy.Password)
	err := in.store.Update(t.Context(), func(tx store.Tx) error {
		o, err := tx.OrganizationBySlug("acme")
		if err != nil {
			return err
		}
		for c, err := range tx.Connections(o.ID) {
			if err != nil {
				return err
			}
			c.OIDC.ClientSecret = []byte("hunter2")
			if err := tx.PutConnection(c); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	connections, persons := 0, 0
	err = in.knows(t.Context(), asking{settings: true, everybody: true}, func(k known) error {
		switch {
		case k.Connection != nil:
			connections++
			if k.Connection.OIDC.ClientSecret != nil {
				return errors.New("a client secret is told")
			}
		case k.Person != nil:
			persons++
			if k.Person.Enrolled != policy.MethodsOf(policy.TOTP, policy.Password) || len(k.Person.Memberships) != 1 {
				t.Errorf("got %+v", k.Person)
			}
		}
		return nil
	})
	if err != nil || connections != 2 || persons != 1 {
		t.Errorf("%d connections, %d persons, %v", connections, persons, err)
	}
}
