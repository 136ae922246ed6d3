package policy

import (
	"testing"
	"time"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// The people and connections of these tests: acme owns acme.com and has the connections
// okta and adfs; globex is where its people visit, and has the connection entra.
func ago(m Method, d time.Duration) Proof { return Proof{Method: m, At: noon.Add(-d)} }

func sso(org, conn string, d time.Duration) Proof {
	return Proof{Method: SSO, Organization: org, Connection: conn, At: noon.Add(-d)}
}

func verified(d time.Duration) Proof {
	return Proof{Method: Passkey, UserVerified: true, At: noon.Add(-d)}
}

func bound(org string, p Policy) *Bound {
	b := &Bound{Policy: p, Organization: org, Name: org}
	if org == "globex" {
		b.Only = "entra"
	}
	return b
}

// at returns the facts of somebody signed in at globex by ps, on no verified domain.
func at(ps ...Proof) Facts {
	return Facts{
		Now: noon, OrganizationActive: true, Organization: "globex", Standing: Active,
		Proofs: ps, Offered: MethodsOf(SSO, EmailCode, Password, Passkey, Social, TOTP, RecoveryCode),
		Email: "jo@acme.com",
	}
}

func (f Facts) domain(p Policy) Facts {
	f.Domain = bound("acme", p)
	f.Domain.Name = "acme.com"
	return f
}
func (f Facts) own(p Policy) Facts { f.Own = bound("globex", p); return f }
func (f Facts) with(change func(*Facts)) Facts {
	change(&f)
	return f
}

func compile(t testing.TB, s RuleSpec) *Rule {
	t.Helper()
	r, err := s.Compile()
	if err != nil {
		t.Fatal(err)
	}
	return &r
}

func TestDecide(t *testing.T) {
	const minute, hour = time.Minute, time.Hour
	acmeOnly := Policy{Methods: MethodsOf(SSO)}
	byOkta := Policy{Methods: MethodsOf(SSO), Connection: "okta"}
	code := Policy{Methods: MethodsOf(EmailCode)}
	mfa := Policy{MFA: true}
	codeMFA := Policy{Methods: MethodsOf(EmailCode), MFA: true}
	public := compile(t, RuleSpec{Path: "/healthz", Access: "public"})
	admins := compile(t, RuleSpec{Path: "/admin/**", Role: "admin"})
	deleters := compile(t, RuleSpec{Path: "/reports/**", Permission: "reports:delete"})
	staff := compile(t, RuleSpec{Path: "/payroll/**", When: `member.attributes.seniority == "staff"`})

	prove := func(r Reason, s Source, ms ...Method) Decision {
		return Decision{Verdict: Prove, Reason: r, Source: s, Methods: MethodsOf(ms...)}
	}
	deny := func(r Reason, s Source) Decision { return Decision{Reason: r, Source: s} }
	to := func(d Decision, org, conn string) Decision { d.Organization, d.Connection = org, conn; return d }
	aged := func(d Decision, age time.Duration) Decision { d.MaxAge = age; return d }
	until := func(d Decision, u time.Time) Decision { d.ValidUntil = u; return d }
	askTwo := func(s Source, ms ...Method) Decision {
		return Decision{Verdict: SecondFactor, Reason: MFAMissing, Source: s, Methods: MethodsOf(ms...)}
	}
	hasTOTP := func(f *Facts) { f.Enrolled = MethodsOf(TOTP, RecoveryCode) }
	fresh := func(f *Facts) { f.Fresh = 10 * minute }
	undated := func(age time.Duration) Proof { p := ago(Social, age); p.Undated = true; return p }
	allow := Decision{Verdict: Allow, Reason: Granted, Source: ByMembership, Identified: true}

	tests := []struct {
		name string
		f    Facts
		want Decision
	}{
		{"the zero facts", Facts{}, deny(Suspended, ByOrganizationState)},

		// The organization, and public routes.
		{"a suspended organization, public route", at(ago(EmailCode, 0)).with(func(f *Facts) { f.OrganizationActive, f.Rule = false, public }), deny(Suspended, ByOrganizationState)},
		{"a public route, nobody signed in", at().with(func(f *Facts) { f.Rule = public }), Decision{Verdict: Allow, Reason: PublicRoute, Source: ByRoute}},
		{"a public route, a member", at(ago(EmailCode, 0)).with(func(f *Facts) { f.Rule = public }), Decision{Verdict: Allow, Reason: PublicRoute, Source: ByRoute, Identified: true}},
		{"a public route, a member who owes a second factor is nobody", at(ago(EmailCode, 0)).own(mfa).with(func(f *Facts) { f.Rule = public }), Decision{Verdict: Allow, Reason: PublicRoute, Source: ByRoute}},
		{"a public route, a deactivated member is nobody", at(ago(EmailCode, 0)).with(func(f *Facts) { f.Rule, f.Standing = public, Inactive }), Decision{Verdict: Allow, Reason: PublicRoute, Source: ByRoute}},
		{"a public rule does not open the login host", at().with(func(f *Facts) { f.Rule, f.Organization, f.Offered = public, "", MethodsOf(EmailCode) }), prove(NotSignedIn, BySession, EmailCode)},

		// No policy.
		{"nobody signed in, no policies", at().with(func(f *Facts) { f.Offered = MethodsOf(EmailCode, TOTP) }), prove(NotSignedIn, BySession, EmailCode)},
		{"no policies, any first proof", at(ago(Social, 100*hour)), allow},
		{"a proof by a method that is not offered", at(ago(EmailCode, 0)).with(func(f *Facts) { f.Offered = MethodsOf(Passkey) }), prove(MethodMissing, BySession, Passkey)},
		{"nor where a policy names it", at(ago(EmailCode, 0)).own(Policy{Methods: MethodsOf(EmailCode, Passkey)}).with(func(f *Facts) { f.Offered = MethodsOf(Passkey) }), prove(MethodMissing, ByOrganizationPolicy, Passkey)},
		{"a second factor is no first proof", at(ago(TOTP, 0), ago(RecoveryCode, 0)).with(func(f *Facts) { f.Offered = MethodsOf(EmailCode) }), prove(MethodMissing, BySession, EmailCode)},
		{"nothing offered", at().with(func(f *Facts) { f.Offered = 0 }), deny(NoMethod, BySession)},
		{"only second factors offered", at().with(func(f *Facts) { f.Offered = second &^ MethodsOf(Passkey) }), deny(NoMethod, BySession)},
		{"a proof from the future", at(ago(EmailCode, -2*minute)).with(func(f *Facts) { f.Offered = MethodsOf(EmailCode) }), prove(MethodMissing, BySession, EmailCode)},
		{"a proof from a clock a little ahead", at(ago(EmailCode, -30*time.Second)), allow},

		// SSO, of one's own and of others.
		{"sso by the organization's own provider", at(sso("globex", "entra", 0)).own(acmeOnly), allow},
		{"sso by a foreign provider does not meet sso", at(sso("acme", "okta", 0)).domain(Policy{}).own(acmeOnly), to(prove(MethodMissing, ByOrganizationPolicy, SSO), "globex", "entra")},
		{"a foreign provider speaks for its verified domain where nothing is asked", at(sso("acme", "okta", 0)).domain(Policy{}), allow},
		{"and on the login host", at(sso("acme", "okta", 0)).domain(byOkta).with(func(f *Facts) { f.Organization = "" }), Decision{Verdict: Allow, Reason: Granted, Source: BySession, Identified: true}},
		{"a foreign provider does not speak for an address on no verified domain", at(sso("acme", "okta", 0)).with(func(f *Facts) { f.Offered = MethodsOf(EmailCode) }), prove(MethodMissing, BySession, EmailCode)},
		{"a foreign provider does not speak for another's domain", at(sso("initech", "ping", 0)).domain(Policy{}).with(func(f *Facts) { f.Offered = MethodsOf(EmailCode) }), prove(MethodMissing, BySession, EmailCode)},
		{"who came by sso is exempt, whoever's provider it was", at(sso("acme", "okta", 0)).domain(acmeOnly).own(mfa).with(func(f *Facts) { f.Enrolled, f.Offered = second&^(1<<Passkey), MethodsOf(SSO, TOTP) }), allow},
		{"one's own provider does", at(sso("globex", "entra", 0)).own(mfa), allow},
		{"the wrong connection of the right organization", at(sso("acme", "adfs", 0)).domain(byOkta), to(prove(MethodMissing, ByDomainPolicy, SSO), "acme", "okta")},
		{"the named connection's id in another organization", at(sso("globex", "okta", 0)).domain(byOkta), to(prove(MethodMissing, ByDomainPolicy, SSO), "acme", "okta")},
		{"an sso proof that names nobody", at(Proof{Method: SSO, At: noon}).with(func(f *Facts) { f.Own = &Bound{}; f.Offered = MethodsOf(EmailCode) }), prove(MethodMissing, BySession, EmailCode)},
		{"a choice of connections is left to the person", at().domain(acmeOnly), to(prove(NotSignedIn, ByDomainPolicy, SSO), "acme", "")},
		{"sso asked by an organization without a connection", at().own(acmeOnly).with(func(f *Facts) { f.Own.NoSSO = true }), deny(NoMethod, ByOrganizationPolicy)},
		{"address unknown: it may lead to a provider", at().own(Policy{}).with(func(f *Facts) { f.Own.NoSSO, f.Email, f.Offered = true, "", MethodsOf(SSO) }), prove(NotSignedIn, BySession, SSO)},
		{"address known, and it does not", at().own(Policy{}).with(func(f *Facts) { f.Own.NoSSO, f.Offered = true, MethodsOf(SSO) }), deny(NoMethod, BySession)},

		// Confined sessions.
		{"confined, at home", at(sso("globex", "entra", 0)).with(func(f *Facts) { f.ConfinedTo = "globex" }), allow},
		{"confined elsewhere", at(sso("initech", "ping", 0)).with(func(f *Facts) { f.ConfinedTo, f.Offered = "initech", MethodsOf(EmailCode) }), prove(Confined, BySession, EmailCode)},
		{"confined, on the login host", at(sso("globex", "entra", 0)).with(func(f *Facts) { f.Organization, f.ConfinedTo, f.Offered = "", "globex", MethodsOf(EmailCode) }), prove(Confined, BySession, EmailCode)},

		// Both policies.
		{"one proof for both is asked for", at().domain(Policy{Methods: MethodsOf(SSO, EmailCode)}).own(Policy{Methods: MethodsOf(EmailCode, Password)}), prove(NotSignedIn, ByDomainPolicy, EmailCode)},
		{"the stricter age of both", at().domain(Policy{MaxAge: hour}).own(Policy{Methods: MethodsOf(EmailCode), MaxAge: minute}), aged(prove(NotSignedIn, ByDomainPolicy, EmailCode), minute)},
		{"sso of two organizations is two proofs: the domain's first", at().domain(byOkta).own(acmeOnly), to(prove(NotSignedIn, ByDomainPolicy, SSO), "acme", "okta")},
		{"also where the domain's has a choice of connections", at().domain(acmeOnly).own(acmeOnly), to(prove(NotSignedIn, ByDomainPolicy, SSO), "acme", "")},
		{"then the organization's", at(sso("acme", "okta", 0)).domain(byOkta).own(acmeOnly), to(prove(MethodMissing, ByOrganizationPolicy, SSO), "globex", "entra")},
		{"and both are met", at(sso("acme", "okta", 0), sso("globex", "entra", 0)).domain(byOkta).own(acmeOnly), allow},
		{"where the policies can't both be met nobody is sent to sign in", at().domain(byOkta).own(acmeOnly).with(func(f *Facts) { f.Own.NoSSO = true }), deny(NoMethod, ByOrganizationPolicy)},
		{"the domain policy binds on the login host", at(ago(EmailCode, 0)).domain(byOkta).with(func(f *Facts) { f.Organization = "" }), to(prove(MethodMissing, ByDomainPolicy, SSO), "acme", "okta")},
		{"the organization policy does not", at(ago(EmailCode, 0)).domain(code).own(acmeOnly).with(func(f *Facts) { f.Organization = "" }), Decision{Verdict: Allow, Reason: Granted, Source: BySession, Identified: true}},
		{"the domain policy binds a guest elsewhere", at(ago(EmailCode, 0)).domain(byOkta).own(Policy{}), to(prove(MethodMissing, ByDomainPolicy, SSO), "acme", "okta")},

		// Second factors.
		{"mfa, one is enrolled", at(ago(EmailCode, hour)).own(codeMFA).with(func(f *Facts) { f.Enrolled = second }), Decision{Verdict: SecondFactor, Reason: MFAMissing, Source: ByOrganizationPolicy, Methods: second}},
		{"mfa, none is enrolled, a fresh first factor", at(ago(EmailCode, minute)).own(codeMFA), Decision{Verdict: Enroll, Reason: MFAMissing, Source: ByOrganizationPolicy, Methods: MethodsOf(TOTP, Passkey)}},
		{"mfa, none is enrolled, an old first factor", at(ago(EmailCode, hour)).own(codeMFA), aged(prove(TooOldToEnroll, ByOrganizationPolicy, EmailCode), EnrollWithin)},
		{"no second factor is enrolled after sso", at(sso("acme", "okta", hour)).domain(byOkta).own(mfa), allow},
		{"mfa met by totp", at(ago(EmailCode, 0), ago(TOTP, 0)).own(codeMFA), allow},
		{"but not by one from the future", at(ago(EmailCode, 0), ago(TOTP, -time.Hour)).own(codeMFA), Decision{Verdict: Enroll, Reason: MFAMissing, Source: ByOrganizationPolicy, Methods: MethodsOf(TOTP, Passkey)}},
		{"mfa met by a recovery code", at(ago(EmailCode, 0), ago(RecoveryCode, 0)).own(codeMFA), allow},
		{"mfa met by a passkey after a password", at(ago(Password, 0), ago(Passkey, 0)).own(mfa), allow},
		{"mfa met by a passkey that verified its user", at(verified(0)).own(mfa), allow},
		{"unless passkeys do not stand first", at(verified(0)).own(codeMFA), prove(MethodMissing, ByOrganizationPolicy, EmailCode)},
		{"then it stands second", at(ago(EmailCode, 0), verified(0)).own(codeMFA), allow},
		{"two passkeys are one factor", at(ago(Passkey, 0), ago(Passkey, minute)).own(mfa).with(func(f *Facts) { f.Enrolled, f.Offered = second&^(1<<Passkey), MethodsOf(Passkey, TOTP) }), Decision{Verdict: SecondFactor, Reason: MFAMissing, Source: ByOrganizationPolicy, Methods: MethodsOf(TOTP)}},
		{"two first factors are no second", at(ago(Password, 0), ago(EmailCode, 0)).own(mfa).with(func(f *Facts) { f.Enrolled = second }), Decision{Verdict: SecondFactor, Reason: MFAMissing, Source: ByOrganizationPolicy, Methods: second}},
		{"no second factor to be had", at(ago(EmailCode, 0)).own(codeMFA).with(func(f *Facts) { f.Offered = MethodsOf(SSO, EmailCode) }), deny(NoMethod, ByOrganizationPolicy)},
		{"no second factor to be had, but sso", at(ago(EmailCode, 0)).own(mfa).with(func(f *Facts) { f.Offered = MethodsOf(SSO, EmailCode) }), to(prove(MFAMissing, ByOrganizationPolicy, SSO), "globex", "entra")},
		{"recovery codes are not enrolled", at(ago(EmailCode, 0)).own(codeMFA).with(func(f *Facts) { f.Offered = MethodsOf(EmailCode, RecoveryCode) }), deny(NoMethod, ByOrganizationPolicy)},

		{"no second factor to be had, but sso at home", at(ago(EmailCode, 0)).domain(Policy{}).own(mfa).with(func(f *Facts) { f.Own.NoSSO, f.Offered = true, MethodsOf(SSO, EmailCode) }), to(prove(MFAMissing, ByOrganizationPolicy, SSO), "acme", "")},
		{"what the person has is asked for, and nothing else", at(ago(EmailCode, 0)).own(codeMFA).with(func(f *Facts) { f.Enrolled = MethodsOf(Password, Passkey) }), askTwo(ByOrganizationPolicy, Passkey)},
		{"none is enrolled in place of one that is not offered", at(ago(EmailCode, 0)).own(codeMFA).with(func(f *Facts) { f.Enrolled, f.Offered = MethodsOf(Passkey), MethodsOf(EmailCode, TOTP) }), deny(NoMethod, ByOrganizationPolicy)},
		{"nor of an authenticator app", at(ago(EmailCode, 0)).own(codeMFA).with(func(f *Facts) { f.Enrolled, f.Offered = MethodsOf(TOTP), MethodsOf(EmailCode, Passkey) }), deny(NoMethod, ByOrganizationPolicy)},
		{"nor of recovery codes", at(ago(EmailCode, 0)).own(codeMFA).with(func(f *Facts) { f.Enrolled, f.Offered = MethodsOf(RecoveryCode), MethodsOf(EmailCode, Passkey) }), deny(NoMethod, ByOrganizationPolicy)},
		{"a passkey alone wants another first proof, not to enrol", at(ago(Passkey, 0)).own(mfa).with(func(f *Facts) { f.Enrolled = MethodsOf(Passkey) }), to(prove(MFAMissing, ByOrganizationPolicy, SSO, EmailCode, Password, Social), "globex", "entra")},
		{"nor to use up recovery codes", at(ago(Passkey, 0)).own(mfa).with(func(f *Facts) { f.Enrolled, f.Offered = MethodsOf(Passkey, RecoveryCode), second|MethodsOf(EmailCode) }), prove(MFAMissing, ByOrganizationPolicy, EmailCode)},
		{"an identity provider need not know them", at(ago(Passkey, 0)).own(Policy{Methods: MethodsOf(SSO, Passkey), MFA: true}).with(func(f *Facts) { f.Enrolled = MethodsOf(Passkey) }), Decision{Verdict: Enroll, Reason: MFAMissing, Source: ByOrganizationPolicy, Methods: MethodsOf(TOTP)}},
		{"where no other stands first, a second is enrolled", at(ago(Passkey, 0)).own(Policy{Methods: MethodsOf(Passkey), MFA: true}).with(func(f *Facts) { f.Enrolled = MethodsOf(Passkey) }), Decision{Verdict: Enroll, Reason: MFAMissing, Source: ByOrganizationPolicy, Methods: MethodsOf(TOTP)}},

		// The person's own second factor.
		{"whoever has an authenticator app is asked for it where no policy asks", at(ago(EmailCode, 0)).with(hasTOTP), askTwo(ByPerson, TOTP, RecoveryCode)},
		{"where the policies ask for less", at(ago(EmailCode, 0)).domain(code).own(code).with(hasTOTP), askTwo(ByPerson, TOTP, RecoveryCode)},
		{"and on the login host", at(ago(EmailCode, 0)).with(hasTOTP).with(func(f *Facts) { f.Organization = "" }), askTwo(ByPerson, TOTP, RecoveryCode)},
		{"a policy that asks for it itself is named", at(ago(EmailCode, 0)).own(codeMFA).with(hasTOTP), askTwo(ByOrganizationPolicy, TOTP, RecoveryCode)},
		{"a passkey is one more, for who has it", at(ago(EmailCode, 0)).with(func(f *Facts) { f.Enrolled = MethodsOf(TOTP, Passkey) }), askTwo(ByPerson, Passkey, TOTP)},
		{"having shown it they are in", at(ago(EmailCode, 0), ago(TOTP, 0)).domain(code).with(hasTOTP), allow},
		{"it is no first proof", at(ago(TOTP, 0)).with(hasTOTP).with(func(f *Facts) { f.Offered = MethodsOf(EmailCode, TOTP) }), prove(MethodMissing, BySession, EmailCode)},
		{"who came by sso is exempt", at(sso("globex", "entra", 0)).own(acmeOnly).with(hasTOTP), allow},
		{"by that of their own domain too", at(sso("acme", "okta", 0)).domain(byOkta).with(hasTOTP), allow},
		{"and so is who came by a passkey that verified them", at(verified(0)).with(hasTOTP), allow},
		{"but not by one that did not", at(ago(Passkey, 0)).with(hasTOTP), askTwo(ByPerson, TOTP, RecoveryCode)},
		{"sso that the policy does not take exempts nobody", at(ago(EmailCode, 0), sso("acme", "okta", 0)).domain(byOkta).own(code).with(hasTOTP), askTwo(ByPerson, TOTP, RecoveryCode)},
		{"a passkey asks for nothing by being there", at(ago(EmailCode, 0)).with(func(f *Facts) { f.Enrolled = MethodsOf(Password, Passkey, RecoveryCode) }), allow},
		{"but where factors are changed it does", at(ago(EmailCode, 0)).with(func(f *Facts) { f.Enrolled, f.Fresh = MethodsOf(Password, Passkey, RecoveryCode), 10*minute }), aged(askTwo(ByPerson, Passkey, RecoveryCode), 10*minute)},
		{"an authenticator app that can't be asked for lets nobody past it", at(ago(EmailCode, 0)).with(hasTOTP).with(func(f *Facts) { f.Offered = MethodsOf(EmailCode, Passkey) }), deny(NoMethod, ByPerson)},
		{"nobody joins without it", at(ago(EmailCode, 0)).with(hasTOTP).with(func(f *Facts) { f.Standing, f.MayJoin = NoMember, true }), askTwo(ByPerson, TOTP, RecoveryCode)},
		{"a public route does not announce who has not shown it", at(ago(EmailCode, 0)).with(hasTOTP).with(func(f *Facts) { f.Rule = public }), Decision{Verdict: Allow, Reason: PublicRoute, Source: ByRoute}},

		// Pages that ask for fresh proofs.
		{"fresh enough for the page", at(ago(EmailCode, 9*minute)).with(fresh), until(allow, noon.Add(minute))},
		{"not fresh enough for the page", at(ago(EmailCode, 10*minute)).with(fresh).with(func(f *Facts) { f.Offered = MethodsOf(EmailCode) }), aged(prove(TooOld, BySession, EmailCode), 10*minute)},
		{"of both proofs", at(ago(EmailCode, 0), ago(TOTP, 10*minute)).with(hasTOTP).with(fresh), aged(Decision{Verdict: SecondFactor, Reason: TooOld, Source: ByPerson, Methods: MethodsOf(TOTP, RecoveryCode)}, 10*minute)},
		{"of sso too", at(sso("acme", "okta", hour)).domain(byOkta).with(fresh).with(func(f *Facts) { f.Organization = "" }), aged(to(prove(TooOld, ByDomainPolicy, SSO), "acme", "okta"), 10*minute)},
		{"a stricter policy stays stricter", at(ago(EmailCode, 2*minute)).own(Policy{Methods: MethodsOf(EmailCode), MaxAge: minute}).with(fresh), aged(prove(TooOld, ByOrganizationPolicy, EmailCode), minute)},
		{"a laxer one does not loosen the page", at(ago(EmailCode, 20*minute)).own(Policy{Methods: MethodsOf(EmailCode), MaxAge: hour}).with(fresh), aged(prove(TooOld, ByOrganizationPolicy, EmailCode), 10*minute)},

		// Age.
		{"fresh enough", at(ago(EmailCode, 59*minute)).own(Policy{MaxAge: hour}), until(allow, noon.Add(minute))},
		{"undated, where nothing is said of age", at(undated(0)).own(Policy{Methods: MethodsOf(Social)}), allow},
		{"undated, it is too old however new", at(undated(0)).own(Policy{Methods: MethodsOf(Social), MaxAge: 8760 * hour}), aged(prove(TooOld, ByOrganizationPolicy, Social), 8760*hour)},
		{"undated, nothing is set up on it", at(undated(0)).own(Policy{Methods: MethodsOf(Social), MFA: true}), aged(prove(TooOldToEnroll, ByOrganizationPolicy, Social), EnrollWithin)},
		{"undated, beside a proof with a date", at(ago(EmailCode, 0), undated(0)).own(Policy{Methods: MethodsOf(Social, EmailCode), MaxAge: hour}), until(allow, noon.Add(hour))},
		{"at max_age it is too old", at(ago(EmailCode, hour)).own(Policy{Methods: MethodsOf(EmailCode), MaxAge: hour}), aged(prove(TooOld, ByOrganizationPolicy, EmailCode), hour)},
		{"the second factor grows old too", at(ago(EmailCode, 0), ago(TOTP, hour)).own(Policy{MFA: true, MaxAge: hour}).with(func(f *Facts) { f.Enrolled, f.Offered = second&^(1<<Passkey), MethodsOf(EmailCode, TOTP) }), aged(Decision{Verdict: SecondFactor, Reason: TooOld, Source: ByOrganizationPolicy, Methods: MethodsOf(TOTP)}, hour)},
		{"valid until the older factor is too old", at(ago(EmailCode, 10*minute), ago(TOTP, 20*minute)).own(Policy{MFA: true, MaxAge: hour}), until(allow, noon.Add(40*minute))},
		{"the youngest proof counts", at(ago(EmailCode, 50*minute), ago(EmailCode, 10*minute)).own(Policy{MaxAge: hour}), until(allow, noon.Add(50*minute))},
		{"the earlier end of two policies", at(ago(EmailCode, 10*minute)).domain(Policy{MaxAge: 20 * minute}).own(Policy{MaxAge: hour}), until(allow, noon.Add(10*minute))},
		{"a foreign provider's proof grows old too", at(sso("acme", "okta", hour)).domain(byOkta).own(Policy{MaxAge: hour}), aged(to(prove(TooOld, ByOrganizationPolicy, SSO, EmailCode, Password, Passkey, Social), "acme", "okta"), hour)},

		// Membership.
		{"no member", at(ago(EmailCode, 0)).with(func(f *Facts) { f.Standing = NoMember }), deny(NotMember, ByMembership)},
		{"may join", at(ago(EmailCode, 0)).with(func(f *Facts) { f.Standing, f.MayJoin = NoMember, true }), Decision{Verdict: Join, Reason: MembershipToMake, Source: ByMembership}},
		{"nobody joins before everything is proved", at().with(func(f *Facts) { f.Standing, f.MayJoin, f.Offered = NoMember, true, MethodsOf(EmailCode) }), prove(NotSignedIn, BySession, EmailCode)},
		{"invited", at(ago(EmailCode, 0)).with(func(f *Facts) { f.Standing = Pending }), deny(InvitationOpen, ByMembership)},
		{"deactivated", at(ago(EmailCode, 0)).with(func(f *Facts) { f.Standing = Inactive }), deny(Deactivated, ByMembership)},
		{"who was deactivated may not join", at(ago(EmailCode, 0)).with(func(f *Facts) { f.Standing, f.MayJoin = Inactive, true }), deny(Deactivated, ByMembership)},
		{"a standing that is none", at(ago(EmailCode, 0)).with(func(f *Facts) { f.Standing, f.MayJoin = 9, true }), deny(Unspecified, ByMembership)},

		// Route rules.
		{"role", at(ago(EmailCode, 0)).with(func(f *Facts) { f.Rule, f.Roles = admins, []string{"member", "admin"} }), Decision{Verdict: Allow, Reason: Granted, Source: ByRoute, Identified: true}},
		{"no role", at(ago(EmailCode, 0)).with(func(f *Facts) { f.Rule, f.Roles = admins, []string{"member"} }), deny(RoleMissing, ByRoute)},
		{"no role, not signed in", at().with(func(f *Facts) { f.Rule, f.Offered = admins, MethodsOf(EmailCode) }), prove(NotSignedIn, BySession, EmailCode)},
		{"permission", at(ago(EmailCode, 0)).with(func(f *Facts) { f.Rule, f.Permissions = deleters, []string{"reports:delete"} }), Decision{Verdict: Allow, Reason: Granted, Source: ByRoute, Identified: true}},
		{"no permission", at(ago(EmailCode, 0)).with(func(f *Facts) { f.Rule, f.Roles = deleters, []string{"reports:delete"} }), deny(PermissionMissing, ByRoute)},
		{"condition", at(ago(EmailCode, 0)).with(func(f *Facts) { f.Rule, f.Attributes = staff, map[string]any{"seniority": "staff"} }), Decision{Verdict: Allow, Reason: Granted, Source: ByRoute, Identified: true}},
		{"condition false", at(ago(EmailCode, 0)).with(func(f *Facts) { f.Rule, f.Attributes = staff, map[string]any{"seniority": "intern"} }), deny(ConditionFalse, ByRoute)},
		{"condition about an attribute that is not there", at(ago(EmailCode, 0)).with(func(f *Facts) { f.Rule = staff }), deny(ConditionFailed, ByRoute)},
		{"condition that was never compiled", at(ago(EmailCode, 0)).with(func(f *Facts) { f.Rule = &Rule{When: &Condition{}} }), deny(ConditionFailed, ByRoute)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Decide(&tt.f); got != tt.want {
				t.Errorf("got  %+v\nwant %+v\n%s", got, tt.want, got.Explain(&tt.f))
			}
		})
	}
}

func TestTheZeroDecisionDenies(t *testing.T) {
	if d := (Decision{}); d.Verdict != Deny || d.Identified {
		t.Errorf("the zero Decision is %v", d.Verdict)
	}
}

// busy is an allow that looks at everything but a condition: both policies, what the person
// has set up, and how fresh the page wants it.
func busy(t testing.TB) Facts {
	f := at(ago(EmailCode, 9*time.Minute), ago(TOTP, 8*time.Minute), sso("globex", "entra", time.Minute)).
		domain(Policy{Methods: MethodsOf(EmailCode), MFA: true, MaxAge: time.Hour}).
		own(Policy{Methods: MethodsOf(SSO), Connection: "entra", MaxAge: time.Hour})
	f.Rule = compile(t, RuleSpec{Path: "/reports/**", Methods: []string{"DELETE"}, Role: "admin", Permission: "reports:delete"})
	f.Enrolled, f.Fresh = MethodsOf(Password, Passkey, TOTP, RecoveryCode), 10*time.Minute
	f.Roles = []string{"member", "editor", "admin"}
	f.Permissions = []string{"reports:create", "reports:edit", "reports:delete"}
	return f
}

func TestAnAllowAllocatesNothing(t *testing.T) {
	rule := busy(t)
	rules := Rules{{}, *rule.Rule}
	if n := testing.AllocsPerRun(100, func() {
		f := rule // as a caller has it: on the stack
		f.Rule = rules.Match("DELETE", "/reports/7")
		if d := Decide(&f); d.Verdict != Allow {
			t.Fatal(d.Explain(&f))
		}
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

func TestAskingAllocatesNothing(t *testing.T) {
	for _, want := range []Verdict{Prove, SecondFactor, Enroll} {
		f := busy(t)
		switch want {
		case SecondFactor:
			f.Proofs = append(f.Proofs[:0:0], f.Proofs[0], f.Proofs[2])
		case Enroll:
			f.Proofs, f.Enrolled = append(f.Proofs[:0:0], f.Proofs[0], f.Proofs[2]), MethodsOf(Password)
		default:
			f.Proofs = nil
		}
		if n := testing.AllocsPerRun(100, func() {
			if d := Decide(&f); d.Verdict != want {
				t.Fatalf("got %+v, want %v", d, want)
			}
		}); n != 0 {
			t.Errorf("%v: %v allocations, want none", want, n)
		}
	}
}

func BenchmarkDecide(b *testing.B) {
	f := busy(b)
	b.ReportAllocs()
	for b.Loop() {
		if Decide(&f).Verdict != Allow {
			b.Fatal("not allowed")
		}
	}
}

func BenchmarkDecideSecondFactor(b *testing.B) {
	f := busy(b)
	f.Proofs = append(f.Proofs[:0:0], f.Proofs[0], f.Proofs[2])
	b.ReportAllocs()
	for b.Loop() {
		if Decide(&f).Verdict != SecondFactor {
			b.Fatal("not asked")
		}
	}
}

func BenchmarkDecideWithCondition(b *testing.B) {
	f := busy(b)
	f.Rule = compile(b, RuleSpec{Path: "/payroll/**", When: `member.attributes.seniority == "staff"`})
	f.Attributes = map[string]any{"seniority": "staff"}
	b.ReportAllocs()
	for b.Loop() {
		if Decide(&f).Verdict != Allow {
			b.Fatal("not allowed")
		}
	}
}
