package policy

import (
	"slices"
	"testing"
	"time"
)

// twoEach are the connections of these tests: acme has okta and adfs, globex has entra.
func twoEach(org string) []string {
	return map[string][]string{"acme": {"okta", "adfs"}, "globex": {"entra"}}[org]
}

func named(ways []Way) (names []string) {
	for _, w := range ways {
		names = append(names, w.String())
	}
	return names
}

func TestWays(t *testing.T) {
	offer := func(ms ...Method) func(*Facts) { return func(f *Facts) { f.Offered = MethodsOf(ms...) } }
	has := func(ms ...Method) func(*Facts) { return func(f *Facts) { f.Enrolled = MethodsOf(ms...) } }
	local := func(ms ...Method) Policy { return Policy{Methods: MethodsOf(ms...)} }
	sso := local(SSO)
	nowhere := func(f *Facts) { f.Email = "jo@nowhere.test" }
	tests := []struct {
		name     string
		f        Facts
		want     []string
		obstacle string
	}{
		{"any method", at().with(nowhere).with(offer(SSO, EmailCode)), []string{"email_code", "sso by entra"}, ""},
		{"the domain's provider, which has a choice of connections", at().domain(sso), []string{"sso by adfs", "sso by okta"}, ""},
		{"the connection that is named", at().domain(Policy{Methods: MethodsOf(SSO), Connection: "okta"}), []string{"sso by okta"}, ""},
		{"a second factor that is set up", at().own(Policy{Methods: MethodsOf(EmailCode), MFA: true}).with(has(TOTP, RecoveryCode)), []string{"email_code, recovery_code", "email_code, totp"}, ""},
		{"a second factor to set up", at().own(Policy{Methods: MethodsOf(EmailCode), MFA: true}).with(offer(EmailCode, TOTP)), []string{"email_code, totp"}, ""},
		{"no second factor to be had", at().own(Policy{Methods: MethodsOf(EmailCode), MFA: true}).with(offer(EmailCode)), nil, "The organization policy of globex asks for email_code, and a second factor; nothing of that can be asked for here."},
		{"the person's own second factor", at().own(local(Password)).with(has(TOTP, Password)), []string{"password, totp"}, ""},
		{"a passkey that verifies is both", at().own(Policy{Methods: MethodsOf(Passkey, EmailCode), MFA: true}).with(has(Passkey)), []string{"passkey (verified)", "email_code, passkey"}, ""},
		{"a passkey that the person has not", at().own(local(Passkey, EmailCode)), []string{"email_code"}, ""},
		{"unless it is to be set up", at().own(local(Passkey)).with(offer(Passkey)), []string{"passkey", "passkey (verified)"}, ""},
		{"two policies, two proofs", at().domain(local(Password)).own(local(EmailCode)), []string{"email_code, password"}, ""},
		{"two policies, one proof", at().domain(local(Password, EmailCode)).own(local(EmailCode, Social)), []string{"email_code"}, ""},
		{"the provider of an organization does not speak for the people of another", at().domain(local(SSO, EmailCode)).own(sso), nil,
			"The organization policy of globex asks for sso; no such proof yet. Next: sso by connection entra. But only the identity provider of the organization that acme.com belongs to may speak for the person."},
		{"a suspended organization", at().with(func(f *Facts) { f.OrganizationActive = false }), nil, "The organization is suspended or gone: nobody gets in."},
		{"whoever is no member", at().with(func(f *Facts) { f.Standing = NoMember }).with(offer(EmailCode)), nil, "The person is no member of globex, and no rule of it makes them one."},
		{"whoever may join, by a proof of the address", at().with(func(f *Facts) { f.Standing, f.MayJoin = NoMember, true }).with(offer(EmailCode, Password)), []string{"email_code"}, ""},
		{"the login host", at().domain(local(EmailCode)).with(func(f *Facts) { f.Organization = "" }), []string{"email_code"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ways, obstacle := Ways(tt.f, twoEach)
			if got := named(ways); !slices.Equal(got, tt.want) || obstacle != tt.obstacle {
				t.Errorf("got  %q, %s\nwant %q, %s", got, obstacle, tt.want, tt.obstacle)
			}
		})
	}
}

func TestAWayIsForAsLongAsThePoliciesSay(t *testing.T) {
	ways, _ := Ways(at().domain(Policy{MaxAge: time.Hour}).own(Policy{Methods: MethodsOf(EmailCode), MaxAge: 8 * time.Hour}), twoEach)
	if len(ways) != 1 || ways[0].For != time.Hour {
		t.Errorf("got %+v, want one for an hour", ways)
	}
}

// TestEveryWayLeadsInAndNoShorterOneDoes holds ways, over both policies, against the oracle.
func TestEveryWayLeadsInAndNoShorterOneDoes(t *testing.T) {
	s := newBothSpace(t)
	n, with := 0, 0
	for _, domain := range s.domain {
		for _, own := range s.own {
			for range 3 {
				f := s.draw(domain, own)
				f.ConfinedTo = ""
				ways, obstacle := Ways(f, twoEach)
				if (len(ways) == 0) != (obstacle != "") {
					t.Fatalf("%d ways, and the obstacle is %q\nfacts %+v", len(ways), obstacle, f)
				}
				if n++; len(ways) > 0 {
					with++
				}
				for i, w := range ways {
					g := w.given(f)
					if !policiesMet(&g) {
						t.Fatalf("%v does not meet the policies\nfacts %+v\ndomain %+v\nown %+v", w, f, domain, own)
					}
					for _, p := range w.Proofs {
						switch {
						case !f.Offered.Has(p.Method):
							t.Fatalf("%v has what is not offered\nfacts %+v", w, f)
						case p.Method == SSO && f.Domain != nil && f.Domain.Organization != p.Organization:
							t.Fatalf("%v has the word of a provider that may not speak\nfacts %+v", w, f)
						case p.Method == TOTP && f.Enrolled&second != 0 && !f.Enrolled.Has(TOTP) && f.Enrolled != MethodsOf(Passkey):
							t.Fatalf("%v sets up what replaces something\nfacts %+v", w, f)
						}
					}
					for k := range w.Proofs {
						if ok, _ := (Way{Proofs: w.Proofs[:k], SetUp: w.SetUp}).Suffices(f); ok {
							t.Fatalf("%v: %d proofs are enough\nfacts %+v", w, k, f)
						}
					}
					if i > 0 && ways[i-1].String() == w.String() && ways[i-1].For == w.For {
						t.Fatalf("%v is there twice", w)
					}
				}
			}
		}
	}
	t.Logf("%d facts, %d of them have a way in", n, with)
	if with == 0 || with == n {
		t.Error("the space shows nothing")
	}
}

func TestAWayNamesItsProofs(t *testing.T) {
	w := Way{Proofs: []Proof{{Method: TOTP}, verified(0), {Method: SSO, Connection: "okta"}}}
	if got := w.String(); got != "passkey (verified), sso by okta, totp" {
		t.Errorf("got %q", got)
	}
}
