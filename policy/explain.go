package policy

import (
	"cmp"
	"fmt"
	"strings"
	"time"
)

// maxCause is how much is shown of why a condition could not be evaluated: the text may
// quote what a client sent.
const maxCause = 200

// Explain says in a sentence or two which rule decided, and what it asks for. f are the
// facts that d was decided on. It is for `orgate explain` and the log: it names
// policies, rules and methods, and holds no secret.
func (d Decision) Explain(f *Facts) string {
	switch d.Reason {
	case Granted:
		return d.explainGrant(f)
	case PublicRoute:
		return fmt.Sprintf("Route rule %q lets anyone in.", f.ruleName())
	case Suspended:
		return "The organization is suspended or gone: nobody gets in."
	case NotSignedIn:
		return d.demand(f) + "; nobody is signed in yet." + d.next(f)
	case MethodMissing:
		return d.demand(f) + "; no such proof yet." + d.next(f)
	case TooOld:
		return d.demand(f) + "; the proof there is has grown too old." + d.next(f)
	case TooOldToEnroll:
		return d.demand(f) + fmt.Sprintf("; to enrol one, the first proof must be no older than %s.", spoken(EnrollWithin)) + d.next(f)
	case MFAMissing:
		return d.demand(f) + "; no second factor yet." + d.next(f)
	case NoMethod:
		return d.demand(f) + "; nothing of that can be asked for here."
	case Confined:
		return fmt.Sprintf("The session is good in organization %s only, whose identity provider does not speak for the person's address elsewhere.", f.ConfinedTo) + d.next(f)
	case NotMember:
		return fmt.Sprintf("The person is no member of %s, and no rule of it makes them one.", f.organizationName())
	case InvitationOpen:
		return fmt.Sprintf("The person is invited to %s and has not accepted.", f.organizationName())
	case Deactivated:
		return fmt.Sprintf("The membership in %s is deactivated.", f.organizationName())
	case MembershipToMake:
		return fmt.Sprintf("Everything is proved, and the domain rules of %s make the person a member.", f.organizationName())
	case RoleMissing:
		return fmt.Sprintf("%s asks for the role %s; the member has %s.", f.asker(), f.rule().Role, orNone(f.Roles))
	case PermissionMissing:
		return fmt.Sprintf("%s asks for the permission %s; no role of the member has it (%s).", f.asker(), f.rule().Permission, orNone(f.Roles))
	case ConditionFalse:
		return "The condition of " + lowered(f.asker()) + " does not hold."
	case ConditionFailed:
		return "The condition of " + lowered(f.asker()) + " can't be evaluated, which denies" + f.conditionCause() + "."
	default:
		return "No rule allows it."
	}
}

func (d Decision) explainGrant(f *Facts) string {
	var text string
	switch {
	case f.Organization == "":
		text = "Every policy is met; no organization is asked for."
	case f.Rule == nil:
		text = fmt.Sprintf("Every policy is met by an active member of %s; no route rule matches.", f.organizationName())
	default:
		text = fmt.Sprintf("Every policy is met by an active member of %s, and so is %s.", f.organizationName(), lowered(f.asker()))
	}
	switch {
	case f.rule().When != nil && f.rule().When.readsNow && d.ValidUntil.Equal(f.Now.Add(moment)):
		text += " Its condition looks at the clock, so what stays open is judged anew every second."
	case !d.ValidUntil.IsZero():
		text += " A proof grows too old at " + d.ValidUntil.UTC().Format(time.RFC3339) + "."
	}
	return text
}

// next says what comes next.
func (d Decision) next(f *Facts) string {
	switch d.Verdict {
	case Prove:
		return " Next: " + listOr(d.Methods, d.connectionName(f)) + "."
	case SecondFactor:
		return " Next: " + listOr(d.Methods, "") + "."
	case Enroll:
		return " Next: enrol one (" + listOr(d.Methods, "") + ")."
	default:
		return ""
	}
}

func (d Decision) connectionName(f *Facts) string {
	for _, b := range []*Bound{f.Domain, f.Own} {
		if b != nil && b.Organization == d.Organization && b.connection() == d.Connection {
			return b.connectionName()
		}
	}
	return d.Connection
}

// demand says what the rule that decided asks for, such as "The domain policy of acme.com
// asks for sso by connection okta", and what the page asks for besides.
func (d Decision) demand(f *Facts) string {
	var text string
	age := time.Duration(0) // that the rule asks for
	switch {
	case d.Source == ByDomainPolicy && f.Domain != nil:
		text, age = "The domain policy of "+f.Domain.demand(), f.Domain.MaxAge
	case d.Source == ByOrganizationPolicy && f.Own != nil:
		text, age = "The organization policy of "+f.Own.demand(), f.Own.MaxAge
	case d.Source == ByPerson:
		text = "The person has set up an authenticator app, so a local first proof needs a second factor"
		if !f.Enrolled.Has(TOTP) {
			text = "The person has a passkey, so a local first proof needs a second factor where factors are changed"
		}
		if d.MaxAge > 0 && d.MaxAge != f.Fresh {
			text, age = text+fmt.Sprintf(", no older than %s", spoken(d.MaxAge)), d.MaxAge
		}
	default:
		text = "Somebody must be signed in"
	}
	if f.Fresh > 0 && (age <= 0 || f.Fresh < age) {
		text += fmt.Sprintf(". This page asks for proofs no older than %s", spoken(f.Fresh))
	}
	return text
}

// spoken writes a duration without the zeros at its end.
func spoken(d time.Duration) string {
	text := d.String()
	if short, ok := strings.CutSuffix(text, "m0s"); ok {
		text = short + "m"
	}
	if short, ok := strings.CutSuffix(text, "h0m"); ok {
		text = short + "h"
	}
	return text
}

// demand says what the policy asks for, such as "acme.com asks for sso".
func (b *Bound) demand() string {
	text := cmp.Or(b.Name, b.Organization) + " asks for "
	switch {
	case b.Methods != 0:
		named := ""
		if b.Connection != "" {
			named = b.connectionName()
		}
		text += listOr(b.Methods&first, named)
	case b.Connection != "":
		text += "sso by connection " + b.connectionName() + ", or another first proof"
	default:
		text += "any first proof"
	}
	if b.MFA {
		text += ", and a second factor"
	}
	if b.MaxAge > 0 {
		text += fmt.Sprintf(", no older than %s", spoken(b.MaxAge))
	}
	return text
}

func (b *Bound) connectionName() string { return cmp.Or(b.ConnectionName, b.connection()) }

func (f *Facts) organizationName() string {
	if f.Own != nil && f.Own.Name != "" {
		return f.Own.Name
	}
	return cmp.Or(f.Organization, "no organization")
}

func (f *Facts) rule() Rule {
	if f.Rule == nil {
		return Rule{}
	}
	return *f.Rule
}

func (f *Facts) ruleName() string { return cmp.Or(f.rule().Name, f.rule().Pattern.String()) }

// asker names the rule at the beginning of a sentence. One that is of no route and has no name is that
// of a question that somebody asked.
func (f *Facts) asker() string {
	if f.rule().Name == "" && f.rule().Pattern.String() == "" {
		return "The check"
	}
	return fmt.Sprintf("Route rule %q", f.ruleName())
}

func lowered(s string) string { return strings.ToLower(s[:1]) + s[1:] }

// conditionCause is why the condition failed, as a Decision holds no text.
func (f *Facts) conditionCause() string {
	if f.failure == nil {
		return ""
	}
	text := strings.ToValidUTF8(f.failure.Error(), "")
	if len(text) > maxCause {
		text = strings.ToValidUTF8(text[:maxCause], "") + "…"
	}
	return fmt.Sprintf(" (%q)", text)
}

// listOr writes methods as "a, b or c". A connection goes with sso.
func listOr(ms Methods, connection string) string {
	var names []string
	for _, m := range ms.List() {
		name := m.String()
		if m == SSO && connection != "" {
			name += " by connection " + connection
		}
		names = append(names, name)
	}
	switch n := len(names); n {
	case 0:
		return "nothing that is a first proof"
	case 1:
		return names[0]
	default:
		return strings.Join(names[:n-1], ", ") + " or " + names[n-1]
	}
}

func orNone(words []string) string {
	if len(words) == 0 {
		return "none"
	}
	return strings.Join(words, ", ")
}
