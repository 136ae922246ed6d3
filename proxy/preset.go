package proxy

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
)

// A Field is a fact about the person that an app can be told in a header.
type Field string

// The fields.
const (
	UserID         Field = "user_id"
	UserEmail      Field = "user_email"
	UserName       Field = "user_name" // percent-encoded UTF-8
	OrgID          Field = "org_id"
	OrgSlug        Field = "org_slug"
	OrgName        Field = "org_name" // percent-encoded UTF-8
	MembershipID   Field = "membership_id"
	Role           Field = "role"        // the highest
	Roles          Field = "roles"       // all, comma-separated
	Permissions    Field = "permissions" // all, comma-separated
	AuthMethod     Field = "auth_method"
	AuthConnection Field = "auth_connection"
	AuthTime       Field = "auth_time" // Unix seconds
	Assertion      Field = "jwt"       // the signed assertion
	plainName      Field = "name"      // as other proxies send it: not encoded
	googleEmail    Field = "google_email"
	googleID       Field = "google_id"
)

// Fields returns the fields that a configuration may give names to.
func Fields() []Field {
	return []Field{UserID, UserEmail, UserName, OrgID, OrgSlug, OrgName, MembershipID, Role, Roles, Permissions, AuthMethod, AuthConnection, AuthTime, Assertion}
}

// Headers says in which headers an app is told who is there. The zero Headers is the
// preset "orgate".
type Headers struct {
	// Preset is "orgate", "oauth2-proxy", "authelia", "pomerium" or "iap". Empty, with
	// Names: those alone.
	Preset string
	// Names are names of one's own, by [Field]. They take the place of the preset's
	// for the same field.
	Names map[string]string
}

// A headerName is one header of a preset.
type headerName struct {
	field Field
	name  string // canonical
}

// presets are what other proxies send, so that an app made for one of them needs no
// change, beside our own.
func presets() map[string][]headerName {
	return map[string][]headerName{
		"orgate": {
			{UserID, "X-User-Id"}, {UserEmail, "X-User-Email"}, {UserName, "X-User-Name"},
			{OrgID, "X-Org-Id"}, {OrgSlug, "X-Org-Slug"}, {OrgName, "X-Org-Name"},
			{MembershipID, "X-Org-Membership-Id"}, {Role, "X-Org-Role"}, {Roles, "X-Org-Roles"}, {Permissions, "X-Org-Permissions"},
			{AuthMethod, "X-Auth-Method"}, {AuthConnection, "X-Auth-Connection"}, {AuthTime, "X-Auth-Time"},
			{Assertion, "X-Orgate-Jwt-Assertion"},
		},
		"oauth2-proxy": {
			{UserID, "X-Forwarded-User"}, {UserEmail, "X-Forwarded-Email"}, {Roles, "X-Forwarded-Groups"}, {UserEmail, "X-Forwarded-Preferred-Username"},
			{UserID, "X-Auth-Request-User"}, {UserEmail, "X-Auth-Request-Email"}, {Roles, "X-Auth-Request-Groups"}, {UserEmail, "X-Auth-Request-Preferred-Username"},
		},
		"authelia": {
			{UserEmail, "Remote-User"}, {Roles, "Remote-Groups"}, {plainName, "Remote-Name"}, {UserEmail, "Remote-Email"},
		},
		"pomerium": {
			{Assertion, "X-Pomerium-Jwt-Assertion"},
			{UserEmail, "X-Pomerium-Claim-Email"}, {UserID, "X-Pomerium-Claim-User"}, {plainName, "X-Pomerium-Claim-Name"}, {Roles, "X-Pomerium-Claim-Groups"},
		},
		"iap": {
			{googleEmail, "X-Goog-Authenticated-User-Email"}, {googleID, "X-Goog-Authenticated-User-Id"}, {Assertion, "X-Goog-Iap-Jwt-Assertion"},
		},
	}
}

// presetNames returns the names of all presets.
func presetNames() []string {
	var names []string
	for _, p := range presets() {
		for _, h := range p {
			names = append(names, h.name)
		}
	}
	return names
}

// compile returns the headers in a fixed order. It reports every fault.
func (h Headers) compile() ([]headerName, error) {
	name := h.Preset
	if name == "" && len(h.Names) == 0 {
		name = "orgate"
	}
	var list []headerName
	if name != "" {
		preset, ok := presets()[name]
		if !ok {
			return nil, fmt.Errorf("unknown header preset %q: want orgate, oauth2-proxy, authelia, pomerium or iap", name)
		}
		for _, p := range preset {
			if _, own := h.Names[string(p.field)]; !own {
				list = append(list, p)
			}
		}
	}
	var faults []error
	for _, f := range slices.Sorted(maps.Keys(h.Names)) {
		name := h.Names[f]
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		switch {
		case !slices.Contains(Fields(), Field(f)):
			faults = append(faults, fmt.Errorf("unknown header field %q", f))
		case !httpguts.ValidHeaderFieldName(name):
			faults = append(faults, fmt.Errorf("header name %q for %s is no token", name, f))
		case spokenFor(canonical):
			faults = append(faults, fmt.Errorf("header name %q for %s has a meaning of its own in HTTP", name, f))
		case slices.ContainsFunc(list, func(o headerName) bool { return fold(o.name) == fold(canonical) }):
			faults = append(faults, fmt.Errorf("header name %q is given twice", name))
		}
		list = append(list, headerName{Field(f), canonical})
	}
	return list, errors.Join(faults...)
}

// spokenFor reports whether a header can't be ours to set, because HTTP or the proxy
// itself gives it a meaning.
func spokenFor(canonical string) bool {
	return slices.Contains([]string{
		"Host", "Connection", "Content-Length", "Content-Type", "Content-Encoding", "Transfer-Encoding", "Trailer", "Te", "Upgrade", "Keep-Alive",
		"Proxy-Connection", "Proxy-Authorization", "Proxy-Authenticate", "Cookie", "Set-Cookie", "Expect", "Range", "Date",
		"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Request-Id", "Forwarded", "Accept", "Origin", "Referer", "User-Agent",
	}, canonical)
}

// personal reports whether what f says is the person's own; if not, it is said of others too.
func (f Field) personal() bool {
	switch f {
	case UserID, UserEmail, UserName, MembershipID, AuthTime, plainName, googleEmail, googleID:
		return true
	case OrgID, OrgSlug, OrgName, Role, Roles, Permissions, AuthMethod, AuthConnection, Assertion:
	}
	return false
}

// value returns what is said in a field; empty: nothing. The assertion is not among
// them: it is signed later.
func value(f Field, v *session.View, proof policy.Proof) string {
	switch f {
	case UserID:
		return string(v.User.ID)
	case UserEmail:
		return printable(v.User.Email)
	case UserName:
		return percentEncode(v.User.Name)
	case OrgID:
		return string(v.Organization.ID)
	case OrgSlug:
		return string(v.Organization.Slug)
	case OrgName:
		return percentEncode(v.Organization.Name)
	case MembershipID:
		return string(v.Membership.ID)
	case Role:
		if len(v.Roles) == 0 {
			return ""
		}
		return printable(v.Roles[0])
	case Roles:
		return joined(v.Roles)
	case Permissions:
		return joined(v.Permissions)
	case AuthMethod:
		return proof.Method.String()
	case AuthConnection:
		return printable(proof.Connection)
	case AuthTime:
		return strconv.FormatInt(proof.At.Unix(), 10)
	case plainName:
		return printable(v.User.Name)
	case googleEmail:
		return "accounts.google.com:" + printable(v.User.Email)
	case googleID:
		return "accounts.google.com:" + string(v.User.ID)
	case Assertion: // signed later
	}
	return ""
}

// prepare makes the header lines that do not change while g lives: the person's own, which it returns, and the others.
func (g *grant) prepare(names []headerName, v *session.View) []byte {
	k, proof, broken := &g.common.kind, g.proof(), false
	var own, others []byte
	for _, n := range names {
		if n.field == Assertion {
			k.assertionIn = append(k.assertionIn, n.name)
			continue
		}
		// What is empty is left out: absent is what an app tests for.
		s := value(n.field, v, proof)
		broken = broken || strings.ContainsFunc(s, isControl)
		switch {
		case s == "":
		case n.field.personal():
			own = appendField(own, n.name, s)
			g.lines++
		default:
			others = appendField(others, n.name, s)
			k.lines++
		}
	}
	if broken { // guardHead lets nothing through without them
		own, others = nil, nil
	}
	k.wire = string(others)
	return own
}

// lineCount is how many lines of headers there are to say of a person, without the assertion.
func (g *grant) lineCount() int { return int(g.lines) + g.common.lines }

// hasWire reports whether they could be written out.
func (g *grant) hasWire() bool {
	return (g.lines == 0 || g.wireLen > 0) && (g.common.lines == 0 || g.common.wire != "")
}

// fields are the names and values of the lines.
func (g *grant) fields() iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for _, wire := range [...]string{g.wire(), g.common.wire} {
			for wire != "" {
				var line string
				line, wire, _ = strings.Cut(wire, "\r\n")
				name, value, _ := strings.Cut(line, ": ")
				if !yield(name, value) {
					return
				}
			}
		}
	}
}

// set puts the headers of g into h; assertion is nil if the app asks for none, or there is none.
func (g *grant) set(h http.Header, assertion *assertion) {
	values := make([]string, 0, g.lineCount()+1)
	add := func(name, value string) {
		values = append(values, value)
		h[name] = values[len(values)-1:][:1:1]
	}
	for name, value := range g.fields() {
		add(name, value)
	}
	if assertion == nil {
		return
	}
	token := assertion.opening.text + assertion.rest
	for _, name := range g.common.assertionIn {
		add(name, token)
	}
}

// joined returns the list with commas between; a comma inside of an item would make
// it two, so it is encoded.
func joined(items []string) string {
	clean := make([]string, len(items))
	for i, s := range items {
		clean[i] = strings.ReplaceAll(printable(s), ",", "%2C")
	}
	return strings.Join(clean, ",")
}

// isControl reports whether r is nothing that a header line may have in it.
func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// printable returns s with every control byte percent-encoded: what a person or an
// identity provider typed must not end a header line.
func printable(s string) string {
	if !strings.ContainsFunc(s, isControl) {
		return strings.TrimSpace(s)
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' || c == 0x7f {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return strings.TrimSpace(b.String())
}

// percentEncode encodes everything but RFC 3986's unreserved characters, so that any
// decoder (decodeURIComponent, unquote, url.PathUnescape) gets the name back.
func percentEncode(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
