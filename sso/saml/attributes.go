package saml

import (
	"fmt"
	"slices"
	"strings"

	"github.com/beevik/etree"

	"github.com/orgate/orgate/sso/idp"
)

// An attribute is what a provider says under one name.
type attribute struct {
	name, friendly string
	values         []string
	// nested: a value is not text; such an attribute is nobody's address or group.
	nested bool
}

// Names that known providers use, where the connection says nothing else: the ones of standards
// first, as those are less likely to be something that a person may set on their own.
var (
	emailNames = []string{
		"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress", // Entra ID, ADFS, Auth0
		"urn:oid:0.9.2342.19200300.100.1.3",                                  // Shibboleth, SimpleSAMLphp
		"urn:oid:1.2.840.113549.1.9.1",                                       // Keycloak
		"email", "mail", "emailAddress", "email_address", "e-mail", "user.email",
	}
	fullNames = []string{
		"http://schemas.microsoft.com/identity/claims/displayname",
		"urn:oid:2.16.840.1.113730.3.1.241",
		"displayName", "display_name", "fullName", "full_name", "urn:oid:2.5.4.3", "cn", "name", "user.displayName",
	}
	firstNames = []string{
		"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/givenname",
		"urn:oid:2.5.4.42", "givenName", "given_name", "firstName", "first_name", "user.firstName",
	}
	lastNames = []string{
		"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/surname",
		"urn:oid:2.5.4.4", "sn", "surname", "family_name", "lastName", "last_name", "user.lastName",
	}
	groupNames = []string{
		msGroups,
		"http://schemas.xmlsoap.org/claims/Group", // ADFS
		"urn:oid:1.3.6.1.4.1.5923.1.5.1.1",        // isMemberOf
		"groups", "group", "memberOf", "isMemberOf", "user.groups",
		"http://schemas.microsoft.com/ws/2008/06/identity/claims/role", "roles", "role", // Keycloak: Role
	}
)

const (
	msGroups     = "http://schemas.microsoft.com/ws/2008/06/identity/claims/groups"
	msGroupsLink = "http://schemas.microsoft.com/claims/groups.link"
	// upnName is the sign-in name at Entra ID and ADFS, which often is the address.
	upnName = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name"
)

// readAttributes reads what else is said of the person.
func (c Connection) readAttributes(t *trail, a *Assertion, statements []*etree.Element) error {
	all, err := collect(statements)
	if err := t.note("attributes", names(all), err); err != nil {
		return err
	}
	used := map[string]bool{}
	pick := func(own string, known []string) *attribute {
		found := find(all, own, known)
		if found != nil {
			used[found.name] = true
		}
		return found
	}
	email, err := readEmail(a.NameID, pick(c.Attributes.Email, emailNames), c.Attributes.Email, all)
	if err := t.note("email", email, err); err != nil {
		return err
	}
	a.Email = email
	a.Name = readName(pick(c.Attributes.Name, fullNames), find(all, c.Attributes.FirstName, firstNames), find(all, c.Attributes.LastName, lastNames))
	if a.Name != "" {
		t.pass("name", fmt.Sprintf("%d bytes", len(a.Name)))
	}
	groups := pick(c.Attributes.Groups, groupNames)
	if own := c.Attributes.Groups; (own == "" || own == msGroups) && find(all, msGroupsLink, nil) != nil && (groups == nil || groups.name != msGroups) {
		// Entra does so for members of more than 150 groups. To sign the person in as if they
		// were in none, or still in those of last time, would both be wrong.
		return t.note("groups", "", fail(CodeGroups, nil, "too many for the assertion, says the provider (groups.link)"))
	}
	if groups != nil {
		a.HasGroups = true
		a.Groups, err = readGroups(groups)
		if err := t.note("groups", fmt.Sprintf("%d in %s: %s", len(a.Groups), groups.name, strings.Join(a.Groups, ", ")), err); err != nil {
			return err
		}
	}
	a.Attributes = keep(all, used)
	return nil
}

// collect reads the attributes of all statements. Some providers repeat an attribute for each of
// its values: those of one name are one.
func collect(statements []*etree.Element) ([]*attribute, error) {
	var all []*attribute
	byName := map[string]*attribute{}
	for _, statement := range statements {
		for _, el := range statement.ChildElements() {
			if !is(el, nsAssertion, "Attribute") {
				return nil, fail(CodeAttributes, nil, el.FullTag()+" among the attributes")
			}
			name, _ := attr(el, "Name")
			if name == "" || !isLabel(name, maxURL) {
				return nil, fail(CodeAttributes, nil, "an attribute's name is not plain text")
			}
			at := byName[name]
			if at == nil {
				if len(all) == maxNames {
					return nil, fail(CodeAttributes, nil, fmt.Sprintf("more than %d", maxNames))
				}
				at = &attribute{name: name}
				at.friendly, _ = attr(el, "FriendlyName")
				byName[name] = at
				all = append(all, at)
			}
			for _, v := range el.ChildElements() {
				if !is(v, nsAssertion, "AttributeValue") {
					return nil, fail(CodeAttributes, nil, v.FullTag()+" in an attribute")
				}
				if isNil(v) {
					continue
				}
				s, ok := textOf(v)
				at.nested = at.nested || !ok
				at.values = append(at.values, s)
			}
		}
	}
	return all, nil
}

// isNil reports whether a value says that it is none (xsi:nil).
func isNil(v *etree.Element) bool {
	for i := range v.Attr {
		if a := &v.Attr[i]; a.Key == "nil" && a.Space != "" && a.NamespaceURI() == nsInstance {
			return a.Value == "true" || a.Value == "1"
		}
	}
	return false
}

// names lists what came, without what it says.
func names(all []*attribute) string {
	if len(all) == 0 {
		return "none"
	}
	var b strings.Builder
	for i, at := range all {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(at.name)
		if b.Len() > idp.MaxDetail {
			break
		}
	}
	return b.String()
}

// find returns the attribute of the connection's own name for it, or if it has none the first of
// those that are known. A name is the attribute's Name before it is a FriendlyName.
func find(all []*attribute, own string, known []string) *attribute {
	same := strings.EqualFold
	if own != "" {
		known, same = []string{own}, func(a, b string) bool { return a == b }
	}
	for _, by := range []func(*attribute) string{
		func(at *attribute) string { return at.name },
		func(at *attribute) string { return at.friendly },
	} {
		for _, name := range known {
			for _, at := range all {
				if same(by(at), name) {
					return at
				}
			}
		}
	}
	return nil
}

// readEmail reads the person's address: of the attribute, or else of a NameID that is one.
func readEmail(n NameID, at *attribute, own string, all []*attribute) (string, error) {
	if at != nil {
		if at.nested {
			return "", fail(CodeEmail, nil, at.name+" has a value that is not text")
		}
		email := ""
		for _, v := range at.values {
			// Two addresses are two persons, for all that anybody knows.
			if email != "" && v != "" && v != email {
				return "", fail(CodeEmail, nil, at.name+" has several values")
			}
			if v != "" {
				email = v
			}
		}
		if email != "" {
			if !isAddress(email) {
				return "", fail(CodeEmail, nil, at.name+" is not an e-mail address")
			}
			return email, nil
		}
	}
	if own == "" {
		if (n.Format == formatEmail || n.Format == formatUnspecified || n.Format == "") && isAddress(n.Value) {
			return n.Value, nil
		}
		if upn := find(all, upnName, nil); upn != nil && !upn.nested && len(upn.values) == 1 && isAddress(upn.values[0]) {
			return upn.values[0], nil
		}
	}
	err := fail(CodeNoEmail, nil, "attributes that came: "+names(all))
	return "", err
}

// isAddress reports whether s may be an e-mail address, by its shape; whoever links people by it
// reads it more strictly.
func isAddress(s string) bool {
	local, domain, ok := strings.Cut(s, "@")
	return ok && local != "" && domain != "" && !strings.Contains(domain, "@") && len(s) <= maxSubject && idp.Plain(s) && !strings.ContainsAny(s, " \t<>(),;")
}

// readName reads how the person is called.
func readName(full, first, last *attribute) string {
	one := func(at *attribute) string {
		if at == nil || at.nested || len(at.values) == 0 {
			return ""
		}
		return strings.TrimSpace(idp.Printable(at.values[0], maxSubject))
	}
	if name := one(full); name != "" {
		return name
	}
	return strings.TrimSpace(one(first) + " " + one(last))
}

// readGroups reads names, each once, and nothing else. A list with anything else in it is
// refused whole, as nobody can say what the rest of it means. Space around a name is how the
// provider laid its document out, or split a list at its commas.
func readGroups(at *attribute) ([]string, error) {
	if at.nested {
		return nil, fail(CodeGroups, nil, at.name+" has a value that is not text")
	}
	if len(at.values) > maxGroups {
		return nil, fail(CodeGroups, nil, fmt.Sprintf("%d groups", len(at.values)))
	}
	groups, seen := make([]string, 0, len(at.values)), make(map[string]bool, len(at.values))
	for _, g := range at.values {
		g = strings.TrimSpace(g)
		if !isLabel(g, maxGroup) {
			return nil, fail(CodeGroups, nil, "a name is not plain text of at most 512 bytes")
		}
		if g != "" && !seen[g] {
			seen[g] = true
			groups = append(groups, g)
		}
	}
	return groups, nil
}

// keep returns what else is known of the person. Beyond the bound, names that come later in the
// alphabet are left out, so that the same assertion always gives the same attributes.
func keep(all []*attribute, used map[string]bool) map[string]any {
	sorted := slices.SortedFunc(slices.Values(all), func(a, b *attribute) int { return strings.Compare(a.name, b.name) })
	out, left := map[string]any{}, maxTogether
	for _, at := range sorted {
		if used[at.name] || at.nested || len(at.values) == 0 || len(at.values) > maxList || len(at.name) > maxSubject {
			continue
		}
		size := len(at.name)
		fits := true
		for _, v := range at.values {
			size += len(v)
			fits = fits && isLabel(v, maxAttribute)
		}
		if !fits || size > left {
			continue
		}
		left -= size // they are kept with the membership, with its events, and in caches
		if len(at.values) == 1 {
			out[at.name] = at.values[0]
		} else {
			out[at.name] = at.values
		}
		if len(out) == maxKept {
			break
		}
	}
	return out
}
