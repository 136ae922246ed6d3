package session_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

func (w *world) in(org tenancy.OrgID, l login) session.View {
	w.t.Helper()
	return w.gather(session.Query{Organization: org, Session: w.reload(l.ID)})
}

func TestAMemberOfOneOrganizationIsNobodyInAnother(t *testing.T) {
	w := newWorld(t)
	jo := w.sso(w.okta, "jo@acme.com")
	v := w.in(w.acme.ID, jo)
	f := v.Facts
	if f.Standing != policy.Active || !slices.Equal(f.Roles, []string{"member"}) || !slices.Equal(f.Permissions, []string{"reports:read"}) || f.Guest || f.Email != "jo@acme.com" || !f.OrganizationActive || len(f.Proofs) != 1 || f.ConfinedTo != "" {
		t.Errorf("at Acme: %+v", f)
	}
	if v.User.ID != jo.User || v.Membership.Organization != w.acme.ID || v.DomainOrganization != w.acme.ID || len(v.Connections) != 1 {
		t.Errorf("at Acme: %+v", v)
	}
	f = w.in(w.globex.ID, jo).Facts
	if f.Standing != policy.NoMember || f.Roles != nil || f.Permissions != nil || f.MayJoin {
		t.Errorf("at Globex: %+v", f)
	}
}

func TestNothingThatAStrangerSaysHelpsThem(t *testing.T) {
	w := newWorld(t)
	w.sso(w.okta, "jo@acme.com")
	w.change(w.acme.ID, func(o *tenancy.Organization) { o.AutoJoin = true })
	v := w.gather(session.Query{Organization: w.acme.ID, Email: "Jo@Acme.com"})
	f := v.Facts
	if f.Standing != policy.NoMember || f.MayJoin || len(f.Proofs) != 0 || f.Roles != nil || v.User.ID != "" || v.Membership.ID != "" {
		t.Errorf("got %+v", v)
	}
	if f.Domain == nil || f.Domain.Organization != string(w.acme.ID) || f.Email != "jo@acme.com" {
		t.Errorf("the domain policy is not asked: %+v", f.Domain)
	}
	if v := w.gather(session.Query{Organization: w.acme.ID, Email: "jo@evil.test@acme.com"}); v.Facts.Domain != nil || v.Facts.Email != "" {
		t.Errorf("what is no address has a policy: %+v", v.Facts)
	}
	// Who is signed in is who they are, whatever they say.
	flo := w.sso(w.okta, "flo@acme.com")
	if v := w.gather(session.Query{Session: w.reload(flo.ID), Email: "jo@globex.com"}); v.Facts.Email != "flo@acme.com" || v.DomainOrganization != w.acme.ID {
		t.Errorf("got %s of %s", v.Facts.Email, v.DomainOrganization)
	}
}

// What somebody has set up is for themselves to know: an address alone does not tell.
func TestWhatAPersonHasSetUpIsAFactOfTheirOwnSession(t *testing.T) {
	w := newWorld(t)
	jo, flo := w.sso(w.okta, "jo@acme.com"), w.sso(w.okta, "flo@acme.com")
	w.must(func(tx store.Tx) error {
		return errors.Join(
			tx.PutTOTP(factor.TOTP{User: jo.User}),
			tx.PutPassword(factor.Password{User: jo.User}),
			tx.PutRecoveryCodes(factor.RecoveryCodes{User: jo.User}), // all used up
			tx.PutPasskey(factor.Passkey{ID: "flos", User: flo.User}),
			tx.PutRecoveryCodes(factor.RecoveryCodes{User: flo.User, Hashes: []session.Hash{{1}}}),
		)
	})
	for _, tt := range []struct {
		who  login
		want policy.Methods
	}{{jo, policy.MethodsOf(policy.Password, policy.TOTP)}, {flo, policy.MethodsOf(policy.Passkey, policy.RecoveryCode)}} {
		for _, org := range []tenancy.OrgID{"", w.acme.ID, w.globex.ID, "org_gone"} {
			if f := w.in(org, tt.who).Facts; f.Enrolled != tt.want {
				t.Errorf("%s at %q: has %v, want %v", f.Email, org, f.Enrolled, tt.want)
			}
		}
	}
	for _, q := range []session.Query{{Email: "jo@acme.com"}, {Organization: w.acme.ID, Email: "jo@acme.com"}, {Session: session.Session{ID: "session_forged", User: "user_gone"}}} {
		if f := w.gather(q).Facts; f.Enrolled != 0 {
			t.Errorf("a stranger learns of %v", f.Enrolled)
		}
	}
}

func TestWhoeverSetsUpAnAuthenticatorAppIsAskedForItInOpenSessions(t *testing.T) {
	w := newWorld(t)
	jo := w.sso(w.okta, "jo@acme.com")
	var byCode login
	w.must(func(tx store.Tx) (err error) {
		byCode.Session, byCode.token, err = session.Begin(tx, jo.User, policy.Proof{Method: policy.EmailCode, At: w.now}, nil, "", session.Browser{}, limits, w.now)
		return err
	})
	decide := func(l login, fresh time.Duration) policy.Decision {
		v := w.gather(session.Query{Organization: w.acme.ID, Session: w.reload(l.ID), Fresh: fresh})
		return policy.Decide(&v.Facts)
	}
	if d := decide(byCode, 0); d.Verdict != policy.Allow {
		t.Fatalf("before: %+v", d)
	}
	w.must(func(tx store.Tx) error { return tx.PutTOTP(factor.TOTP{User: jo.User}) })
	if d := decide(byCode, 0); d.Verdict != policy.SecondFactor || d.Methods != policy.MethodsOf(policy.TOTP) || d.Source != policy.ByPerson {
		t.Errorf("a session by code: %+v", d)
	}
	if d := decide(jo, 0); d.Verdict != policy.Allow {
		t.Errorf("a session by sso: %+v", d)
	}
	w.add(&byCode, policy.Proof{Method: policy.TOTP, At: w.now}, nil, "")
	if d := decide(byCode, time.Hour); d.Verdict != policy.Allow || !d.ValidUntil.Equal(w.now.Add(time.Hour)) {
		t.Errorf("having shown it: %+v", d)
	}
	w.now = w.now.Add(30 * time.Minute)
	if d := decide(byCode, time.Hour); d.Verdict != policy.Allow {
		t.Errorf("half an hour later: %+v", d)
	}
	if d := decide(byCode, 10*time.Minute); d.Verdict != policy.Prove || d.Reason != policy.TooOld || d.MaxAge != 10*time.Minute {
		t.Errorf("on a page that wants fresh proofs: %+v", d)
	}
}

func TestAnOrganizationThatIsGoneOrSuspendedIsNotActive(t *testing.T) {
	w := newWorld(t)
	jo := w.sso(w.okta, "jo@acme.com")
	if f := w.in("org_gone", jo).Facts; f.OrganizationActive || f.Organization != "org_gone" || f.Standing != policy.NoMember || f.Own != nil {
		t.Errorf("gone: %+v", f)
	}
	w.must(func(tx store.Tx) error { return tenancy.Suspend(tx, w.acme.ID, operator, w.now) })
	if f := w.in(w.acme.ID, jo).Facts; f.OrganizationActive {
		t.Errorf("suspended: %+v", f)
	}
	if f := w.gather(session.Query{}).Facts; !f.OrganizationActive || f.Organization != "" {
		t.Errorf("the login host: %+v", f)
	}
}

func TestASuspendedOrganizationsDomainPolicyBindsStill(t *testing.T) {
	w := newWorld(t)
	p := policy.Policy{Methods: policy.MethodsOf(policy.SSO)}
	w.change(w.acme.ID, func(o *tenancy.Organization) { o.DomainPolicy = &p })
	jo := w.sso(w.okta, "jo@acme.com")
	w.must(func(tx store.Tx) error { return tenancy.Suspend(tx, w.acme.ID, operator, w.now) })
	f := w.in(w.globex.ID, jo).Facts
	if f.Domain == nil || f.Domain.Policy != p || !f.Domain.NoSSO || len(f.Proofs) != 0 {
		t.Errorf("domain policy is %+v, proofs are %v", f.Domain, f.Proofs)
	}
}

func TestAProofByAConnectionThatDoesNotAnswerIsNone(t *testing.T) {
	for name, stop := range map[string]func(tx store.Tx, w *world) error{
		"disabled": func(tx store.Tx, w *world) error {
			c := w.okta
			c.Disabled = true
			_, err := tenancy.SaveConnection(tx, c, operator, w.now)
			return err
		},
		"removed": func(tx store.Tx, w *world) error {
			return tenancy.RemoveConnection(tx, w.acme.ID, w.okta.ID, operator, w.now)
		},
		"suspended": func(tx store.Tx, w *world) error { return tenancy.Suspend(tx, w.acme.ID, operator, w.now) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			jo := w.sso(w.okta, "jo@acme.com")
			w.add(&jo, policy.Proof{Method: policy.TOTP, At: w.now}, nil, "")
			w.must(func(tx store.Tx) error { return stop(tx, w) })
			for _, org := range []tenancy.OrgID{"", w.acme.ID, w.globex.ID} {
				v := w.in(org, jo)
				if len(v.Facts.Proofs) != 1 || v.Facts.Proofs[0].Method != policy.TOTP {
					t.Errorf("at %q: proofs are %v", org, v.Facts.Proofs)
				}
				if org == w.acme.ID && len(v.Connections) != 0 {
					t.Errorf("connections are %v", v.Connections)
				}
			}
		})
	}
}

func TestASessionThatIsOverOrNotOneProvesNothing(t *testing.T) {
	w := newWorld(t)
	jo := w.sso(w.okta, "jo@acme.com")
	child := w.enter(jo, acmeHost, w.acme.ID)
	forged := w.reload(child.ID)
	forged.Proofs = jo.Proofs
	nobody := w.reload(jo.ID)
	nobody.User = "user_gone"
	w.must(func(tx store.Tx) error { return session.End(tx, jo.ID, operator, w.now) })
	for name, s := range map[string]session.Session{"ended": w.reload(jo.ID), "a child": forged, "nobody's": nobody} {
		if v := w.gather(session.Query{Organization: w.acme.ID, Session: s}); len(v.Facts.Proofs) != 0 || v.Facts.MayJoin {
			t.Errorf("%s: %+v", name, v.Facts)
		}
	}
}

func TestWhatAnIdentityProviderSaysOfAGuestIsGoodInItsOwnOrganization(t *testing.T) {
	w := newWorld(t)
	w.invite("guest@else.test", w.acme.ID, w.globex.ID)
	guest := w.sso(w.okta, "guest@else.test")
	for _, org := range []tenancy.OrgID{"", w.acme.ID, w.globex.ID} {
		if f := w.in(org, guest).Facts; f.ConfinedTo != string(w.acme.ID) || f.Domain != nil || f.MayJoin {
			t.Errorf("at %q: confined to %q", org, f.ConfinedTo)
		}
	}
	if f := w.in(w.acme.ID, guest).Facts; !f.Guest || f.Standing != policy.Active {
		t.Errorf("guest: %v, %s", f.Guest, f.Standing)
	}
	w.add(&guest, policy.Proof{Method: policy.TOTP, At: w.now}, nil, "")
	if f := w.in(w.globex.ID, guest).Facts; f.ConfinedTo != string(w.acme.ID) || guest.ConfinedTo != w.acme.ID {
		t.Error("a second factor lifted the confinement")
	}
	// Globex's own provider says so too: good there as well, and nowhere else.
	w.must(func(tx store.Tx) error { _, err := w.assert(tx, w.entra, "guest@else.test"); return err })
	w.add(&guest, proof(w.entra, w.now), upstream(w.entra, "guest@else.test", ""), w.globex.ID)
	for org, want := range map[tenancy.OrgID]tenancy.OrgID{w.acme.ID: w.acme.ID, w.globex.ID: w.globex.ID} {
		if f := w.in(org, guest).Facts; f.ConfinedTo != string(want) {
			t.Errorf("at %s: confined to %q", org, f.ConfinedTo)
		}
	}
	if f := w.in("", guest).Facts; f.ConfinedTo == "" {
		t.Error("two that speak for themselves alone speak for everybody")
	}
	w.add(&guest, policy.Proof{Method: policy.EmailCode, At: w.now}, nil, "")
	if f := w.in("", guest).Facts; f.ConfinedTo != "" {
		t.Errorf("after a code to the address: confined to %q", f.ConfinedTo)
	}
}

func TestConfinementComesBackWithWhatLiftedItGone(t *testing.T) {
	w := newWorld(t)
	// Flo is of Globex, and Acme's provider knows her as a guest.
	flo := w.invite("flo@else.test", w.acme.ID, w.globex.ID)
	guest := w.sso(w.okta, "flo@else.test")
	w.must(func(tx store.Tx) error {
		return tenancy.SetDomains(tx, w.globex.ID, []tenancy.DomainClaim{{Name: "globex.com", Verified: true}, {Name: "else.test", Verified: true}}, operator, w.now)
	})
	w.must(func(tx store.Tx) error {
		in, err := w.assert(tx, w.entra, "flo@else.test")
		if in.User.ID != flo || in.ConfinedTo != "" {
			t.Errorf("got %s, confined to %q", in.User.ID, in.ConfinedTo)
		}
		return err
	})
	// Her address was proved for the first time, so what Acme's provider said is forgotten.
	w.add(&guest, proof(w.entra, w.now), upstream(w.entra, "flo@else.test", ""), "")
	if f := w.in("", guest).Facts; f.ConfinedTo != "" {
		t.Fatalf("confined to %q", f.ConfinedTo)
	}
	w.must(func(tx store.Tx) error {
		return tenancy.RemoveConnection(tx, w.globex.ID, w.entra.ID, operator, w.now)
	})
	if f := w.in("", guest).Facts; f.ConfinedTo != string(w.acme.ID) {
		t.Errorf("with Acme's proof alone it is confined to %q", f.ConfinedTo)
	}
}

func TestADomainThatMovesTakesItsPeopleWithIt(t *testing.T) {
	w := newWorld(t)
	jo := w.sso(w.okta, "jo@acme.com")
	w.change(w.globex.ID, func(o *tenancy.Organization) { o.AutoJoin = true })
	w.must(func(tx store.Tx) error {
		if err := tenancy.RemoveDomain(tx, w.acme.ID, "acme.com", operator, w.now); err != nil {
			return err
		}
		return tenancy.SetDomains(tx, w.globex.ID, []tenancy.DomainClaim{{Name: "globex.com", Verified: true}, {Name: "acme.com", Verified: true}}, operator, w.now)
	})
	v := w.in(w.globex.ID, jo)
	if v.Facts.ConfinedTo != string(w.acme.ID) || v.Facts.MayJoin || v.DomainOrganization != w.globex.ID {
		t.Errorf("Acme's word counts at Globex for an address that is Globex's now: %+v", v.Facts)
	}
}

func TestACodeThatCameBeforeADomainMovedJoinsNobodyToItsNewOwner(t *testing.T) {
	for name, prove := range map[string]func(tx store.Tx, w *world) error{
		"said": func(tx store.Tx, w *world) error {
			return tenancy.SetDomains(tx, w.globex.ID, []tenancy.DomainClaim{{Name: "globex.com", Verified: true}, {Name: "acme.com", Verified: true}}, operator, w.now)
		},
		"by DNS": func(tx store.Tx, w *world) error {
			if _, err := tenancy.AddDomain(tx, w.globex.ID, "acme.com", tenancy.StrategyDNS, operator, w.now); err != nil {
				return err
			}
			c, err := tenancy.StartCheck(tx, w.globex.ID, "acme.com", operator, w.now)
			if err != nil {
				return err
			}
			_, _, err = tenancy.Conclude(tx, c, tenancy.Present, "found", operator, w.now)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			jo := w.mailed("jo@acme.com")
			w.change(w.globex.ID, func(o *tenancy.Organization) { o.AutoJoin = true })
			w.now = w.now.Add(time.Minute)
			w.must(func(tx store.Tx) error {
				if err := tenancy.RemoveDomain(tx, w.acme.ID, "acme.com", operator, w.now); err != nil {
					return err
				}
				return prove(tx, w)
			})
			if f := w.in(w.globex.ID, jo).Facts; f.MayJoin {
				t.Error("a code that was sent to Acme's mailbox makes a member of Globex, whose address it is now")
			}
			w.now = w.now.Add(time.Minute)
			w.add(&jo, policy.Proof{Method: policy.EmailCode, At: w.now}, nil, "")
			if f := w.in(w.globex.ID, jo).Facts; !f.MayJoin {
				t.Error("with a code to what is Globex's mailbox now: may not join")
			}
		})
	}
}

func TestWhoeverProvesAnAddressMayJoinWhereItsDomainMay(t *testing.T) {
	w := newWorld(t)
	w.change(w.acme.ID, func(o *tenancy.Organization) { o.AutoJoin, o.JITSSO = true, false })
	jo := w.sso(w.okta, "jo@acme.com")
	if f := w.in(w.acme.ID, jo).Facts; !f.MayJoin {
		t.Error("by SSO of the domain's own organization: may not join")
	}
	if f := w.in(w.globex.ID, jo).Facts; f.MayJoin {
		t.Error("may join an organization whose domain it is not")
	}
	w.must(func(tx store.Tx) error {
		_, _, err := tenancy.Join(tx, tenancy.Rules{}, w.acme.ID, jo.User, w.now)
		return err
	})
	if f := w.in(w.acme.ID, jo).Facts; f.MayJoin || f.Standing != policy.Active {
		t.Errorf("having joined: %+v", f)
	}
	w.must(func(tx store.Tx) error { return session.Deactivate(tx, w.acme.ID, jo.User, operator, w.now) })
	if f := w.in(w.acme.ID, jo).Facts; f.MayJoin || f.Standing != policy.Inactive || f.Roles != nil || f.Permissions != nil {
		t.Errorf("deactivated: %+v", f)
	}
}

func TestAPasswordProvesNoAddress(t *testing.T) {
	w := newWorld(t)
	w.change(w.acme.ID, func(o *tenancy.Organization) { o.AutoJoin, o.JITSSO = true, false })
	jo := w.sso(w.okta, "jo@acme.com")
	var l login
	never := w.invite("flo@acme.com") // nobody has recorded a proof of her address
	for _, tt := range []struct {
		who    tenancy.UserID
		method policy.Method
		may    bool
	}{{jo.User, policy.Password, false}, {jo.User, policy.EmailCode, true}, {never, policy.EmailCode, false}} {
		w.must(func(tx store.Tx) (err error) {
			l.Session, l.token, err = session.Begin(tx, tt.who, policy.Proof{Method: tt.method, At: w.now}, nil, "", session.Browser{}, limits, w.now)
			return err
		})
		if f := w.in(w.acme.ID, l).Facts; f.MayJoin != tt.may {
			t.Errorf("%s by %s: may join is %v", tt.who, tt.method, f.MayJoin)
		}
	}
}

func TestAProofByAMethodThatIsNotOfferedAnyMoreIsNone(t *testing.T) {
	w := newWorld(t)
	var l login
	jo := w.mailed("jo@else.test")
	w.must(func(tx store.Tx) (err error) {
		l.Session, l.token, err = session.Begin(tx, jo.User, policy.Proof{Method: policy.Password, At: w.now}, nil, "", session.Browser{}, limits, w.now)
		return err
	})
	q := session.Query{Session: w.reload(l.ID), Now: w.now}
	for _, tt := range []struct {
		offered policy.Methods
		want    policy.Verdict
	}{{policy.MethodsOf(policy.SSO, policy.EmailCode, policy.Password), policy.Allow}, {policy.MethodsOf(policy.SSO, policy.EmailCode), policy.Prove}} {
		q.Offered = tt.offered
		err := w.s.View(t.Context(), func(tx store.Tx) error {
			v, err := session.Gather(tx, q)
			if d := policy.Decide(&v.Facts); err == nil && d.Verdict != tt.want {
				t.Errorf("with %s: %s", tt.offered, d.Verdict)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// mailed signs somebody in by a code to the address, and begins a session.
func (w *world) mailed(email string) (l login) {
	w.t.Helper()
	w.must(func(tx store.Tx) error {
		in, err := tenancy.SignInByAddress(tx, tenancy.Rules{}, tenancy.Proven{Email: email}, w.now)
		if err != nil {
			return err
		}
		l.Session, l.token, err = session.Begin(tx, in.User.ID, policy.Proof{Method: policy.EmailCode, At: w.now}, nil, "", session.Browser{}, limits, w.now)
		return err
	})
	return l
}

func TestABoundSaysWhichConnectionCanBeAsked(t *testing.T) {
	for _, tt := range []struct {
		name        string
		connections []string // an exclamation mark: disabled
		policy      string
		only        string
		noSSO       bool
		shown       string
	}{
		{"none", nil, "", "", true, ""},
		{"one", []string{"a"}, "", "a", false, "a"},
		{"one, disabled", []string{"!a"}, "", "", true, ""},
		{"two, one of them disabled", []string{"a", "!b"}, "", "a", false, "a"},
		{"two", []string{"b", "a"}, "", "", false, ""},
		{"two, one named", []string{"b", "a"}, "b", "", false, "b"},
		{"the named one is disabled", []string{"a", "!b"}, "b", "a", true, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			ids := map[string]string{}
			w.must(func(tx store.Tx) error {
				if err := tenancy.RemoveConnection(tx, w.acme.ID, w.okta.ID, operator, w.now); err != nil {
					return err
				}
				for _, name := range tt.connections {
					c := tenancy.Connection{Organization: w.acme.ID, Name: name, Type: "oidc", Disabled: name[0] == '!'}
					if c.Disabled {
						c.Name = name[1:]
					}
					c, err := tenancy.SaveConnection(tx, c, operator, w.now)
					if err != nil {
						return err
					}
					ids[c.Name] = string(c.ID)
				}
				return nil
			})
			p := policy.Policy{Connection: ids[tt.policy]}
			w.change(w.acme.ID, func(o *tenancy.Organization) { o.OrganizationPolicy, o.DomainPolicy = &p, &p })
			v := w.gather(session.Query{Organization: w.acme.ID, Email: "jo@acme.com"})
			for _, b := range []*policy.Bound{v.Facts.Own, v.Facts.Domain} {
				if b.Policy != p || b.Organization != string(w.acme.ID) || b.Only != ids[tt.only] || b.NoSSO != tt.noSSO || b.ConnectionName != tt.shown {
					t.Errorf("got %+v, want only %q, no SSO %v, shown %q", b, tt.only, tt.noSSO, tt.shown)
				}
			}
			if v.Facts.Own.Name != "acme" || v.Facts.Domain.Name != "acme.com" {
				t.Errorf("they are called %q and %q", v.Facts.Own.Name, v.Facts.Domain.Name)
			}
			if !slices.IsSortedFunc(v.Connections, func(a, b tenancy.Connection) int { return slices.Compare([]string{a.Name}, []string{b.Name}) }) {
				t.Errorf("connections are %v", v.Connections)
			}
		})
	}
}

func TestRolesComeByPriorityAndPermissionsTogether(t *testing.T) {
	w := newWorld(t)
	jo := w.sso(w.okta, "jo@acme.com")
	w.must(func(tx store.Tx) error {
		for _, r := range []tenancy.Role{
			{Slug: "top", Priority: 0, Organization: w.acme.ID, Permissions: []string{"top:all"}},
			{Slug: "boss", Priority: 0, Organization: w.globex.ID, Permissions: []string{"globex:all"}},
			{Slug: "gone", Priority: 5},
		} {
			if err := tenancy.SaveRole(tx, r, operator, w.now); err != nil {
				return err
			}
		}
		_, err := tenancy.SetRoles(tx, tenancy.Rules{}, w.acme.ID, jo.User, tenancy.Grant{Roles: []string{"gone", "admin", "top", "member", "admin"}}, operator, w.now)
		if err != nil {
			return err
		}
		return tenancy.RemoveRole(tx, "", "gone", operator, w.now)
	})
	v := w.in(w.acme.ID, jo)
	if want := []string{"member", "top", "admin"}; !slices.Equal(v.Roles, want) || !slices.Equal(v.Facts.Roles, want) {
		t.Errorf("roles are %q, want %q", v.Roles, want)
	}
	if want := []string{"reports:delete", "reports:read", "top:all"}; !slices.Equal(v.Permissions, want) || !slices.Equal(v.Facts.Permissions, want) {
		t.Errorf("permissions are %q, want %q", v.Permissions, want)
	}
	// Another organization's role of that name is not meant.
	w.must(func(tx store.Tx) error {
		m, err := tx.Membership(w.acme.ID, jo.User)
		m.Roles = []string{"boss"}
		if err != nil {
			return err
		}
		return tx.PutMembership(m)
	})
	if v := w.in(w.acme.ID, jo); len(v.Roles) != 0 || len(v.Permissions) != 0 {
		t.Errorf("roles are %q with %q", v.Roles, v.Permissions)
	}
}

func TestTheRoleMemberIsThereEvenIfNobodyDefinedIt(t *testing.T) {
	w := newWorld(t)
	jo := w.sso(w.okta, "jo@acme.com")
	w.must(func(tx store.Tx) error { return tx.DeleteRole("", "member") })
	if v := w.in(w.acme.ID, jo); !slices.Equal(v.Roles, []string{"member"}) || len(v.Permissions) != 0 {
		t.Errorf("roles are %q with %q", v.Roles, v.Permissions)
	}
}

// The facts and the judge together: what each of them promises is worth nothing alone.
func TestADecisionOnGatheredFacts(t *testing.T) {
	w := newWorld(t)
	sso := policy.Policy{Methods: policy.MethodsOf(policy.SSO)}
	w.change(w.acme.ID, func(o *tenancy.Organization) { o.DomainPolicy = &sso })
	jo := w.sso(w.okta, "jo@acme.com")
	w.invite("guest@else.test", w.acme.ID, w.globex.ID)
	guest := w.sso(w.okta, "guest@else.test")
	for _, tt := range []struct {
		name    string
		org     tenancy.OrgID
		who     login
		verdict policy.Verdict
		reason  policy.Reason
	}{
		{"a member", w.acme.ID, jo, policy.Allow, policy.Granted},
		{"no member", w.globex.ID, jo, policy.Deny, policy.NotMember},
		{"a guest", w.acme.ID, guest, policy.Allow, policy.Granted},
		{"a guest, elsewhere", w.globex.ID, guest, policy.Prove, policy.Confined},
		{"a guest, on the login host", "", guest, policy.Prove, policy.Confined},
		{"nowhere", "org_gone", jo, policy.Deny, policy.Suspended},
	} {
		v := w.in(tt.org, tt.who)
		if d := policy.Decide(&v.Facts); d.Verdict != tt.verdict || d.Reason != tt.reason {
			t.Errorf("%s: %v because %v, want %v because %v", tt.name, d.Verdict, d.Reason, tt.verdict, tt.reason)
		}
	}
}
