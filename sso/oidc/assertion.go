package oidc

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"time"

	"github.com/orgate/orgate/sso/idp"
)

// An Assertion is what a provider says of a person, verified to be its word. Whether the
// provider is to be believed is not decided here.
type Assertion struct {
	// Subject names the person at this provider: 1 to 255 bytes, compared exactly.
	Subject string
	// Email as the provider wrote it; never empty.
	Email string
	// EmailVerified is the provider's own word on the address; nil: it says nothing.
	EmailVerified *bool
	Name          string
	// Groups of the connection's groups claim, at most 1,000.
	Groups []string
	// HasGroups: the provider sent the claim, even an empty one.
	HasGroups bool
	// Attributes are the claims that have no meaning in the protocol, as strings,
	// booleans, float64 and []string; nested ones and those beyond the bounds are left out.
	Attributes map[string]any
	// AuthTime is when the person signed in at the provider; zero: it does not say.
	AuthTime time.Time
	// SID is the provider's session, for back-channel logout; may be empty.
	SID string
	// IDToken is the hint that [Providers.LogoutURL] wants. It is as secret as the
	// person's data in it.
	IDToken string
}

// assert turns verified claims into an assertion, asking userinfo for what they lack.
func (p *provider) assert(ctx context.Context, m metadata, c Connection, cs claims, t tokens) (Assertion, error) {
	a := Assertion{IDToken: t.id}
	a.Subject, _ = cs.subject() // checked
	a.AuthTime, _, _ = cs.instant("auth_time")
	sid, err := cs.text("sid")
	if err != nil || len(sid) > maxSubject || !idp.Plain(sid) {
		return Assertion{}, fail(CodeClaims, nil, "sid is not plain text of at most 255 bytes")
	}
	a.SID = sid

	if c.GroupsClaim != "" && isDistributed(cs, c.GroupsClaim) {
		// Entra does so for members of more than 200 groups. To sign the person in as if
		// they were in none, or still in those of last time, would both be wrong.
		return Assertion{}, fail(CodeGroups, nil, "too many for the token, says the provider (_claim_names)")
	}
	more := claims{}
	if m.Userinfo != "" && (cs.lacks("email") || c.GroupsClaim != "" && !cs.has(c.GroupsClaim)) {
		if more, err = p.userinfo(ctx, m, a.Subject, t); err != nil {
			return Assertion{}, err
		}
	}
	if err := a.readEmail(cs, more); err != nil {
		return Assertion{}, err
	}
	for _, from := range []claims{cs, more} {
		if a.Name == "" {
			a.Name, _ = from.text("name")
		}
		if c.GroupsClaim != "" && !a.HasGroups && from.has(c.GroupsClaim) {
			if a.Groups, err = from.groups(c.GroupsClaim); err != nil {
				return Assertion{}, err
			}
			a.HasGroups = true
		}
	}
	a.Name = idp.Printable(a.Name, maxSubject)
	a.Attributes = attributes(c.GroupsClaim, cs, more)
	return a, nil
}

// readEmail reads address and email_verified, both from one place: one document's word
// says nothing of the address in another.
func (a *Assertion) readEmail(cs, more claims) error {
	from := cs
	if cs.lacks("email") {
		from = more
	}
	var err error
	if a.Email, err = from.text("email"); err != nil {
		return fail(CodeClaims, nil, err.Error())
	}
	if a.Email == "" {
		return fail(CodeNoEmail, nil, "")
	}
	if len(a.Email) > maxSubject || !idp.Plain(a.Email) {
		return fail(CodeClaims, nil, "email is not plain text of at most 255 bytes")
	}
	if a.EmailVerified, err = from.boolean("email_verified"); err != nil {
		return fail(CodeClaims, nil, err.Error())
	}
	return nil
}

// userinfo asks the provider for more about the person.
func (p *provider) userinfo(ctx context.Context, m metadata, subject string, t tokens) (claims, error) {
	if err := p.egress.CheckURL(m.Userinfo); err != nil {
		return nil, fail(CodeForbidden, err, "userinfo_endpoint: "+err.Error())
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, m.Userinfo, nil)
	if err != nil {
		return nil, fail(CodeForbidden, nil, "userinfo_endpoint")
	}
	req.Header.Set("Authorization", "Bearer "+t.access)
	// A signed answer (application/jwt) is not JSON, and refused: nobody asked for one.
	b, err := doJSON(p.egress, req, "userinfo_endpoint", maxDocument, CodeUserinfo)
	if err != nil {
		return nil, err
	}
	cs, err := parseClaims(b)
	if err != nil {
		return nil, fail(CodeUserinfo, nil, err.Error())
	}
	// Core 5.3.2: else an access token of somebody else, slipped in, brings their claims.
	if sub, err := cs.subject(); err != nil || sub != subject {
		return nil, fail(CodeUserinfo, nil, "sub is not the ID token's")
	}
	return cs, nil
}

// isDistributed reports whether the claim is not in the document, but said to be elsewhere.
// We do not go there: it would be a call to wherever the document says.
func isDistributed(cs claims, name string) bool {
	var elsewhere map[string]json.RawMessage
	return !cs.has(name) && cs.has("_claim_names") && json.Unmarshal(cs["_claim_names"], &elsewhere) == nil && elsewhere[name] != nil
}

// groups reads the groups claim: strings, each once, and nothing else. A list with
// anything else in it is refused whole, as nobody can say what the rest of it means.
func (cs claims) groups(name string) ([]string, error) {
	list, err := cs.texts(name)
	if err != nil {
		return nil, fail(CodeGroups, nil, err.Error())
	}
	if len(list) > maxGroups {
		return nil, fail(CodeGroups, nil, fmt.Sprintf("%d groups", len(list)))
	}
	groups, seen := make([]string, 0, len(list)), make(map[string]bool, len(list))
	for _, g := range list {
		if len(g) > maxGroup || !idp.Plain(g) {
			return nil, fail(CodeGroups, nil, "a name is not plain text of at most 512 bytes")
		}
		if g != "" && !seen[g] {
			seen[g] = true
			groups = append(groups, g)
		}
	}
	return groups, nil
}

// attributes collects what else is known of the person. The ID token's word goes before
// userinfo's. Beyond the bound, names that come later in the alphabet are left out, so that
// the same claims always give the same attributes.
func attributes(groupsClaim string, cs, more claims) map[string]any {
	all := maps.Clone(more)
	maps.Copy(all, cs)
	out, left := map[string]any{}, maxTogether
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if name == "" || name == groupsClaim || len(name) > maxSubject || !idp.Plain(name) || slices.Contains(protocolClaims[:], name) {
			continue
		}
		size := len(name) + len(all[name])
		if v, ok := all.attribute(name); ok && size <= left {
			left -= size // they are kept with the membership, with its events, and in caches
			out[name] = v
		}
		if len(out) == maxAttributes {
			break
		}
	}
	return out
}

// attribute returns a claim as a plain value; ok is false if it is none, or too large.
func (cs claims) attribute(name string) (v any, ok bool) {
	if !cs.has(name) {
		return nil, false
	}
	fits := func(s string) bool { return len(s) <= maxAttribute && idp.Plain(s) }
	switch cs[name][0] {
	case '"':
		s, err := cs.text(name)
		return s, err == nil && fits(s)
	case 't', 'f':
		return string(cs[name]) == "true", true
	case '[':
		list, err := cs.texts(name)
		return list, err == nil && len(list) <= maxList && !slices.ContainsFunc(list, func(s string) bool { return !fits(s) })
	case '{':
		return nil, false
	}
	var f float64
	err := json.Unmarshal(cs[name], &f)
	return f, err == nil && math.Abs(f) <= 1<<53 // beyond it, numbers that differ are equal
}
