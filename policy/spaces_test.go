package policy

import "time"

// The spaces of facts that the invariants are held against.

func spaceOfProofs() []Proof {
	old := 2 * time.Hour
	return []Proof{
		ago(EmailCode, 0), ago(EmailCode, 30*time.Minute), ago(EmailCode, old), ago(EmailCode, -time.Hour),
		ago(Passkey, 0), verified(0), verified(old), ago(Social, 0),
		sso("globex", "entra", 0), sso("globex", "other", 0), sso("globex", "entra", old),
		sso("acme", "okta", 0), sso("acme", "okta", 30*time.Minute), sso("acme", "adfs", 0), sso("initech", "ping", 0),
		{Method: SSO, At: noon},
		ago(TOTP, 0), ago(TOTP, old), ago(TOTP, -time.Hour), ago(RecoveryCode, 0),
	}
}

func spaceOfPolicies() []Policy {
	return []Policy{
		{},
		{Methods: MethodsOf(SSO)},
		{Methods: MethodsOf(SSO), Connection: "okta"},
		{Methods: MethodsOf(SSO), Connection: "entra"},
		{Methods: MethodsOf(SSO, EmailCode), MFA: true},
		{Methods: MethodsOf(EmailCode), MFA: true, MaxAge: time.Hour},
		{Methods: MethodsOf(Passkey, EmailCode)},
		{Connection: "entra", MFA: true},
		{MFA: true},
		{MaxAge: time.Hour},
		{Methods: MethodsOf(TOTP)},
	}
}

// eachPolicyState goes through policies, confinement and what is offered, for sessions of
// the given proofs.
func eachPolicyState(sessions [][]Proof, offers []Methods, yield func(*Facts)) {
	bounds := []*Bound{nil}
	for i, p := range spaceOfPolicies() {
		bounds = append(bounds, bound("globex", p))
		if i%2 == 0 {
			bounds = append(bounds, bound("acme", p))
		}
	}
	bounds = append(bounds, &Bound{Organization: "globex", NoSSO: true}, &Bound{Organization: "globex", NoSSO: true, Policy: Policy{Methods: MethodsOf(SSO)}})
	for _, proofs := range sessions {
		for _, domain := range bounds {
			for _, own := range bounds {
				if own != nil && own.Organization != "globex" {
					continue
				}
				for _, confined := range []string{"", "globex", "initech"} {
					for _, offered := range offers {
						for i := range 4 {
							f := at(proofs...)
							f.Domain, f.Own, f.ConfinedTo, f.Offered = domain, own, confined, offered
							switch i {
							case 1:
								f.Enrolled = MethodsOf(TOTP, RecoveryCode)
							case 2:
								f.Enrolled = MethodsOf(Password, Passkey)
							case 3:
								f.Organization = ""
							}
							if domain == nil {
								f.Email = ""
							}
							yield(&f)
						}
					}
				}
			}
		}
	}
}

func everyOffer() []Methods {
	return []Methods{0, MethodsOf(SSO), MethodsOf(EmailCode, RecoveryCode), MethodsOf(SSO, EmailCode, Passkey), first | second}
}

func sessionsOfOne() [][]Proof {
	sessions := [][]Proof{nil}
	for _, p := range spaceOfProofs() {
		sessions = append(sessions, []Proof{p})
	}
	return sessions
}

func sessionsOfTwo() (sessions [][]Proof) {
	ps := spaceOfProofs()
	for i := range ps {
		for j := range i {
			sessions = append(sessions, []Proof{ps[i], ps[j]})
		}
	}
	return sessions
}
