package policy

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestStandingsAndMethodsAreStoredByName(t *testing.T) {
	for s, name := range map[Standing]string{NoMember: "none", Pending: "pending", Active: "active", Inactive: "inactive"} {
		b, err := json.Marshal(s)
		if err != nil || string(b) != `"`+name+`"` || s.String() != name {
			t.Errorf("%v: %s, %v, want %q", s, b, err, name)
		}
		var got Standing
		if err := json.Unmarshal(b, &got); err != nil || got != s {
			t.Errorf("%s: %v, %v, want %v", b, got, err, s)
		}
	}
	for m := SSO; m < endOfMethods; m++ {
		b, err := json.Marshal(m)
		var got Method
		if err != nil || json.Unmarshal(b, &got) != nil || got != m {
			t.Errorf("%v: %s, %v, read as %v", m, b, err, got)
		}
	}
	p := Policy{Methods: MethodsOf(SSO, EmailCode), Connection: "okta", MFA: true, MaxAge: time.Hour}
	b, err := json.Marshal(p)
	var got Policy
	if err != nil || json.Unmarshal(b, &got) != nil || got != p {
		t.Errorf("%+v: %s, %v, read as %+v", p, b, err, got)
	}
}

func TestWhatIsNoStandingOrMethodIsRefused(t *testing.T) {
	s, m := Active, SSO
	for _, text := range []string{"", "Active", "activ", "0", "active "} {
		if err := s.UnmarshalText([]byte(text)); err == nil || s != Active {
			t.Errorf("standing %q: %v, %v", text, s, err)
		}
	}
	if b, err := Standing(9).MarshalText(); err == nil {
		t.Errorf("standing 9: %q", b)
	}
	if Standing(9).String() != "none" {
		t.Errorf("standing 9 is %v", Standing(9))
	}
	for _, text := range []string{"", "none", "SSO", "otp"} {
		if err := json.Unmarshal([]byte(`"`+text+`"`), &m); err == nil {
			t.Errorf("method %q: %v", text, m)
		}
	}
	for _, m := range []Method{0, endOfMethods, 255} {
		if b, err := m.MarshalText(); err == nil || m.String() != "none" {
			t.Errorf("method %d: %q, %v", uint8(m), b, m)
		}
		if Methods(1<<15 | 1).Has(m) {
			t.Errorf("the set has %d", uint8(m))
		}
	}
}

func TestEveryReasonSourceAndVerdictHasALabel(t *testing.T) {
	labels := map[string]bool{}
	check := func(kind, label string, i int) {
		t.Helper()
		if strings.Trim(label, "abcdefghijklmnopqrstuvwxyz_") != "" || label == "" {
			t.Errorf("%s %d: %q is no label", kind, i, label)
		}
		if labels[kind+label] {
			t.Errorf("%s %d: %q is another's", kind, i, label)
		}
		labels[kind+label] = true
	}
	for r := Unspecified; r <= ConditionFailed; r++ {
		check("reason", r.String(), int(r))
	}
	for s := ByDefault; s <= ByPerson; s++ {
		check("source", s.String(), int(s))
	}
	for v := Deny; v <= Join; v++ {
		check("verdict", v.String(), int(v))
	}
	for want, got := range map[string]string{"mfa_missing": MFAMissing.String(), "membership_to_make": MembershipToMake.String(), "domain_policy": ByDomainPolicy.String()} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestExplain(t *testing.T) {
	byOkta := Policy{Methods: MethodsOf(SSO), Connection: "conn_1"}
	named := func(f *Facts) { f.Domain.ConnectionName = "okta" }
	hasTOTP := func(f *Facts) { f.Enrolled = MethodsOf(TOTP, RecoveryCode) }
	fresh := func(f *Facts) { f.Fresh = 10 * time.Minute }
	admins := compile(t, RuleSpec{Path: "/admin/**", Role: "admin"})
	tests := []struct {
		f    Facts
		want string
	}{
		{Facts{}, "The organization is suspended or gone: nobody gets in."},
		{at().domain(byOkta).with(named), "The domain policy of acme.com asks for sso by connection okta; nobody is signed in yet. Next: sso by connection okta."},
		{at(ago(EmailCode, 0)).domain(byOkta), "The domain policy of acme.com asks for sso by connection conn_1; no such proof yet. Next: sso by connection conn_1."},
		{at().with(func(f *Facts) { f.Offered = MethodsOf(EmailCode, Password, Passkey) }), "Somebody must be signed in; nobody is signed in yet. Next: email_code, password or passkey."},
		{at(ago(EmailCode, 0)).own(Policy{Methods: MethodsOf(SSO, EmailCode), MFA: true}).with(func(f *Facts) { f.Enrolled = second }),
			"The organization policy of globex asks for sso or email_code, and a second factor; no second factor yet. Next: passkey, totp or recovery_code."},
		{at(ago(EmailCode, 0)).own(Policy{MFA: true}),
			"The organization policy of globex asks for any first proof, and a second factor; no second factor yet. Next: enrol one (passkey or totp)."},
		{at(ago(EmailCode, time.Hour)).own(Policy{Methods: MethodsOf(EmailCode), MFA: true}),
			"The organization policy of globex asks for email_code, and a second factor; to enrol one, the first proof must be no older than 10m. Next: email_code."},
		{at(ago(EmailCode, time.Hour)).own(Policy{Methods: MethodsOf(EmailCode), MaxAge: time.Minute}),
			"The organization policy of globex asks for email_code, no older than 1m; the proof there is has grown too old. Next: email_code."},
		{at(ago(Passkey, 0)).own(Policy{Methods: MethodsOf(Passkey, EmailCode), MFA: true}),
			"The organization policy of globex asks for email_code or passkey, and a second factor; no second factor yet. Next: email_code."},
		{at(ago(EmailCode, 0)).own(Policy{Methods: MethodsOf(EmailCode)}).with(hasTOTP),
			"The person has set up an authenticator app, so a local first proof needs a second factor; no second factor yet. Next: totp or recovery_code."},
		{at(ago(EmailCode, 0)).with(hasTOTP).with(func(f *Facts) { f.Offered = MethodsOf(EmailCode) }),
			"The person has set up an authenticator app, so a local first proof needs a second factor; nothing of that can be asked for here."},
		{at(ago(EmailCode, 0), ago(TOTP, 2*time.Hour)).own(Policy{MaxAge: 90 * time.Minute}).with(hasTOTP),
			"The person has set up an authenticator app, so a local first proof needs a second factor, no older than 1h30m; the proof there is has grown too old. Next: totp or recovery_code."},
		{at(ago(EmailCode, 0), ago(TOTP, 2*time.Hour)).with(hasTOTP).with(fresh),
			"The person has set up an authenticator app, so a local first proof needs a second factor. This page asks for proofs no older than 10m; the proof there is has grown too old. Next: totp or recovery_code."},
		{at(ago(EmailCode, 0)).with(fresh).with(func(f *Facts) { f.Enrolled = MethodsOf(Passkey) }),
			"The person has a passkey, so a local first proof needs a second factor where factors are changed. This page asks for proofs no older than 10m; no second factor yet. Next: passkey."},
		{at(ago(EmailCode, time.Hour)).with(fresh).with(func(f *Facts) { f.Offered = MethodsOf(EmailCode) }),
			"Somebody must be signed in. This page asks for proofs no older than 10m; the proof there is has grown too old. Next: email_code."},
		{at(ago(EmailCode, time.Hour)).own(Policy{Methods: MethodsOf(EmailCode), MaxAge: time.Hour}).with(fresh),
			"The organization policy of globex asks for email_code, no older than 1h. This page asks for proofs no older than 10m; the proof there is has grown too old. Next: email_code."},
		{at(ago(EmailCode, time.Hour)).own(Policy{Methods: MethodsOf(EmailCode), MaxAge: time.Minute}).with(fresh),
			"The organization policy of globex asks for email_code, no older than 1m; the proof there is has grown too old. Next: email_code."},
		{at().own(Policy{Methods: MethodsOf(SSO)}).with(func(f *Facts) { f.Own.NoSSO = true }),
			"The organization policy of globex asks for sso; nothing of that can be asked for here."},
		{at().own(Policy{Methods: MethodsOf(TOTP)}),
			"The organization policy of globex asks for nothing that is a first proof; nothing of that can be asked for here."},
		{at(sso("initech", "ping", 0)).with(func(f *Facts) { f.ConfinedTo, f.Offered = "initech", MethodsOf(EmailCode) }),
			"The session is good in organization initech only, whose identity provider does not speak for the person's address elsewhere. Next: email_code."},
		{at(ago(EmailCode, 0)), "Every policy is met by an active member of globex; no route rule matches."},
		{at(ago(EmailCode, 0)).own(Policy{MaxAge: time.Hour}), "Every policy is met by an active member of globex; no route rule matches. A proof grows too old at 2026-03-01T13:00:00Z."},
		{at(ago(EmailCode, 0)).with(func(f *Facts) { f.Organization = "" }), "Every policy is met; no organization is asked for."},
		{at(ago(EmailCode, 0)).with(func(f *Facts) { f.Standing = NoMember }), "The person is no member of globex, and no rule of it makes them one."},
		{at(ago(EmailCode, 0)).with(func(f *Facts) { f.Standing, f.MayJoin = NoMember, true }), "Everything is proved, and the domain rules of globex make the person a member."},
		{at(ago(EmailCode, 0)).with(func(f *Facts) { f.Standing = Pending }), "The person is invited to globex and has not accepted."},
		{at(ago(EmailCode, 0)).with(func(f *Facts) { f.Standing = Inactive }), "The membership in globex is deactivated."},
		{at(ago(EmailCode, 0)).with(func(f *Facts) { f.Rule = compile(t, RuleSpec{Path: "/healthz", Access: "public"}) }),
			`Route rule "/healthz (access public)" lets anyone in.`},
		{at(ago(EmailCode, 0)).with(func(f *Facts) { f.Rule, f.Roles = admins, []string{"member", "editor"} }),
			`Route rule "/admin/** (role admin)" asks for the role admin; the member has member, editor.`},
		{at(ago(EmailCode, 0)).with(func(f *Facts) { f.Rule, f.Roles = admins, []string{"admin"} }),
			`Every policy is met by an active member of globex, and so is route rule "/admin/** (role admin)".`},
		{at(ago(EmailCode, 0)).with(func(f *Facts) { f.Rule = compile(t, RuleSpec{Path: "/r", Permission: "r:d"}) }),
			`Route rule "/r (permission r:d)" asks for the permission r:d; no role of the member has it (none).`},
		{at(ago(EmailCode, 0)).with(func(f *Facts) { f.Rule = compile(t, RuleSpec{Path: "/p", When: "member.guest"}) }),
			`The condition of route rule "/p (when member.guest)" does not hold.`},
		{at(ago(EmailCode, 0)).with(func(f *Facts) { f.Rule = compile(t, RuleSpec{Path: "/p", When: "member.attributes.x == 1"}) }),
			`The condition of route rule "/p (when member.attributes.x == 1)" can't be evaluated, which denies ("evaluating a condition: no such key: x").`},
	}
	for _, tt := range tests {
		d := Decide(&tt.f)
		if got := d.Explain(&tt.f); got != tt.want {
			t.Errorf("%v %v\ngot  %s\nwant %s", d.Verdict, d.Reason, got, tt.want)
		}
	}
	// A decision and facts that do not belong together are no reason to fall over.
	for r := Unspecified; r <= ConditionFailed+1; r++ {
		for s := ByDefault; s <= ByPerson; s++ {
			if (Decision{Reason: r, Source: s, Verdict: Prove}).Explain(&Facts{}) == "" {
				t.Errorf("%v by %v is not explained", r, s)
			}
		}
	}
}
