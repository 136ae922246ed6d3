package config

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/audit/hook"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session/client"
	"github.com/orgate/orgate/sso/saml"
	"github.com/orgate/orgate/tenancy"
)

// A grammar is how one kind of value is written.
type grammar struct {
	// name is the kind in words, for the manual and for faults.
	name string
	// parse reads the value. Its error is a predicate, such as "is not a
	// duration": the decoder puts the value, or the key if the value may not be
	// shown, in front.
	parse func(string) (any, error)
	// hint is what is allowed, in words, and example a value; each may be empty.
	hint, example string
	// never is set where the empty string is never right.
	never bool
	// quiet values may hold a secret (a password in a URL) and are never shown.
	quiet bool
	// pattern and schema are for editors: a pattern that every right value
	// matches, and the JSON type.
	pattern string
	schema  string
}

// a returns the name with its article.
func (g grammar) a() string {
	switch {
	case g.name == "text", g.name == "true or false":
		return g.name
	case strings.ContainsRune("aei", rune(g.name[0])):
		return "an " + g.name
	default:
		return "a " + g.name
	}
}

// advice is the hint at what could stand in a field.
func (g grammar) advice(f *field) string {
	example := cmp.Or(f.example, g.example)
	switch {
	case g.hint != "" && example != "":
		return g.hint + ", such as " + example
	case example != "":
		return "such as " + example
	default:
		return g.hint
	}
}

// grammars knows the grammar of every scalar type, and of every string by the name in the
// tag as.
type grammars struct {
	byType map[reflect.Type]grammar
	byName map[string]grammar
}

var (
	roleSlug   = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,47}$`)
	permission = regexp.MustCompile(`^[A-Za-z0-9*][A-Za-z0-9:._/*-]{0,127}$`)
	scope      = regexp.MustCompile(`^[!#-\[\]-~]{1,128}$`) // RFC 6749, 3.3
	headerName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]{0,63}$`)
	colour     = regexp.MustCompile(`^#[0-9a-fA-F]{6}$`)
	keyHash    = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	shortName  = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)
)

const maxText = 4096

func newGrammars() grammars {
	g := grammars{byType: map[reflect.Type]grammar{}, byName: map[string]grammar{}}
	t := func(zero any, gr grammar) { g.byType[reflect.TypeOf(zero)] = gr }

	t("", grammar{name: "text", parse: parseText})
	t(true, grammar{name: "true or false", parse: parseBool, schema: "boolean"})
	t(0, grammar{name: "number", parse: parseInt, hint: "a number without a unit", schema: "integer"})
	t(time.Duration(0), grammar{
		name: "duration", parse: parseDuration, hint: "a number and a unit, ns to h", example: "1h30m",
		pattern: `^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$|^0$`,
	})
	t(Size(0), grammar{name: "size", parse: wrap(parseSize), example: "10MiB", pattern: `^[0-9]+([KMG]iB)?$`})
	t(netip.Prefix{}, grammar{name: "address or range", parse: wrap(parsePrefix), example: "10.0.0.0/8", never: true})
	t(netip.AddrPort{}, grammar{name: "address and port", parse: wrap(parseAddrPort), example: "127.0.0.1:53", never: true})
	t(Secret{}, grammar{name: "secret", parse: parseSecret, quiet: true})
	t(Key{}, grammar{name: "key", parse: wrap(parseKey), quiet: true, hint: "make one with: openssl rand -base64 32"})
	t(Path(""), grammar{name: "path", parse: parsePath})
	t(URL{}, grammar{
		name: "URL", parse: func(s string) (any, error) { u, err := parseSite(s); return URL{u}, err },
		quiet: true, never: true, pattern: `^https?://[^/?#@]+/?$`,
	})
	t(Origin{}, grammar{
		name: "URL", parse: func(s string) (any, error) { u, err := parseSite(s); return Origin{u}, err },
		quiet: true, never: true, pattern: `^https?://[^/?#@]+/?$`,
	})
	t(Issuer(""), grammar{name: "URL", parse: parseIssuer, quiet: true, never: true, pattern: `^https?://[^?#@]+$`})
	t(HostPattern{}, grammar{
		name: "host with {org}", parse: wrap(ParseHostPattern), never: true, pattern: `^([a-z0-9-]+\.)*\{org\}(\.[a-z0-9-]+)+$`,
	})
	t(policy.Method(0), grammar{name: "sign-in method", parse: wrap(policy.ParseMethod)})
	t(tenancy.Slug(""), grammar{
		name: "slug", parse: foreign("slug", tenancy.ParseSlug), hint: "lower-case letters, digits and hyphens",
		pattern: `^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`,
	})
	t(tenancy.Host(""), grammar{name: "host", parse: parseCustomHost, example: "portal.acme.com", never: true})

	n := func(name string, gr grammar) { g.byName[name] = gr }
	n("address", grammar{name: "host and port", parse: parseAddress, example: `":8080"`, never: true, pattern: `^.*:[0-9]{1,5}$`})
	n("server", grammar{name: "host", parse: parseServer, never: true})
	n("mailbox", grammar{name: "mail address", parse: parseMailbox, never: true})
	n("endpoint", grammar{name: "URL", parse: parseEndpoint, quiet: true, never: true, pattern: `^https?://[^#@]+$`})
	n("certificate", grammar{name: "certificate in PEM", parse: parseCertificate, never: true, example: `"${file:idp.pem}"`})
	n("domain", grammar{name: "domain", parse: foreign("domain", tenancy.ParseDomain), never: true})
	n("role", matching("role", roleSlug, "lower-case letters, digits, _ and -"))
	n("permission", matching("permission", permission, "letters, digits and : . _ / * -"))
	n("scope", matching("scope", scope, "no blanks and no quotes"))
	n("header", matching("header name", headerName, "letters, digits and -"))
	n("colour", matching("colour", colour, "# and six hexadecimal digits"))
	n("webhook", grammar{name: "URL", parse: parseWebhook, quiet: true, never: true, pattern: `^https?://[^#@]+$`})
	n("event", grammar{name: "event", parse: parseEvent, hint: "docs/events.md has the list", never: true})
	n("client", grammar{name: "client id", parse: checked(client.CheckID), never: true, pattern: `^client_[0-9A-Za-z_]{1,57}$`})
	n("provider scope", grammar{name: "scope", parse: checked(client.CheckScope), never: true, pattern: `^[!#-+\--\[\]-~]{1,128}$`})
	n("redirect", grammar{name: "URL", parse: checked(client.CheckURI), quiet: true, never: true, pattern: `^https?://[^#@*]+$`})
	n("hash", matching("hash", keyHash, "sha256: and 64 hexadecimal digits"))
	n("name", matching("name", shortName, "lower-case letters, digits, _ and -"))
	return g
}

// of returns the grammar of a scalar type. ok is false for mappings and lists.
func (g grammars) of(t reflect.Type, as string) (gr grammar, ok bool) {
	if t.Kind() == reflect.String && as != "" {
		gr, ok = g.byName[as]
		return gr, ok
	}
	gr, ok = g.byType[t]
	return gr, ok
}

func wrap[T any](parse func(string) (T, error)) func(string) (any, error) {
	return func(s string) (any, error) { return parse(s) }
}

// foreign makes a predicate of the errors of a parser elsewhere.
func foreign[T any](what string, parse func(string) (T, error)) func(string) (any, error) {
	return func(s string) (any, error) {
		v, err := parse(s)
		if err != nil {
			text := err.Error()
			// The value is said by the decoder already.
			if _, after, ok := strings.Cut(text, strconv.Quote(s)+": "); ok {
				text = after
			}
			return nil, fmt.Errorf("is not a %s: %s", what, text)
		}
		return v, nil
	}
}

// checked makes a predicate of a check elsewhere.
func checked(check func(string) error) func(string) (any, error) {
	return func(s string) (any, error) {
		if err := check(s); err != nil {
			return nil, fmt.Errorf("is none to use: %w", err)
		}
		return s, nil
	}
}

func matching(what string, re *regexp.Regexp, hint string) grammar {
	return grammar{name: what, hint: hint, never: true, pattern: re.String(), parse: func(s string) (any, error) {
		if !re.MatchString(s) {
			return nil, fmt.Errorf("is not a %s", what)
		}
		return s, nil
	}}
}

func parseText(s string) (any, error) {
	if len(s) > maxText {
		return nil, fmt.Errorf("has %d bytes: at most %d are allowed", len(s), maxText)
	}
	if !utf8.ValidString(s) {
		return nil, errors.New("is not UTF-8")
	}
	for _, r := range s {
		// Control characters and the like would reach headers, logs and terminals.
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029' || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069' {
			return nil, fmt.Errorf("has the control character %U", r)
		}
	}
	return s, nil
}

func parseBool(s string) (any, error) {
	switch s {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return nil, errors.New("is not true or false")
}

func parseInt(s string) (any, error) {
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil {
		return nil, errors.New("is not a whole number")
	}
	return int(n), nil
}

func parseDuration(s string) (any, error) {
	d, err := time.ParseDuration(s)
	if err != nil {
		if days, ok := strings.CutSuffix(s, "d"); ok {
			if n, err := strconv.Atoi(days); err == nil && n > 0 && n < 36600 {
				return nil, fmt.Errorf("is not a duration: there is no unit for days, write %dh", n*24)
			}
		}
		return nil, errors.New("is not a duration")
	}
	if d < 0 {
		return nil, errors.New("is negative")
	}
	return d, nil
}

func parseSecret(s string) (any, error) {
	if len(s) > 1<<16 {
		return nil, errors.New("is longer than 64 KiB")
	}
	return Secret{s}, nil
}

func parsePath(s string) (any, error) {
	if strings.ContainsRune(s, 0) || len(s) > maxText {
		return nil, errors.New("is not the path of a file")
	}
	return Path(s), nil
}

func parseIssuer(s string) (any, error) {
	if _, err := parseEndpoint(s); err != nil {
		return nil, err
	}
	u, err := url.Parse(s)
	if err != nil {
		return nil, errors.New("is no URL")
	}
	if u.RawQuery != "" || u.ForceQuery || strings.Contains(s, "#") {
		return nil, errors.New("has a query or a fragment: those do not belong here")
	}
	return Issuer(s), nil
}

// parseEndpoint reads the URL of a place at an identity provider, which may have a query.
func parseEndpoint(s string) (any, error) {
	u, err := parseURL(s)
	if err != nil {
		return nil, err
	}
	if strings.Contains(s, "#") {
		return nil, errors.New("has a fragment: that does not belong here")
	}
	if u.Scheme == "http" && !isLoopback(u.Hostname()) {
		return nil, errors.New("is http: an identity provider must be asked by https, but for one at localhost")
	}
	return s, nil
}

func parseCertificate(s string) (any, error) {
	if len(s) > 1<<16 {
		return nil, errors.New("is longer than 64 KiB")
	}
	if _, err := saml.ParseCertificates([]byte(s)); err != nil {
		return nil, errors.New("is no certificate in PEM that a provider may sign with: RSA of 2048 bits or more, or ECDSA")
	}
	return s, nil
}

func parseWebhook(s string) (any, error) {
	u, err := parseURL(s)
	if err != nil {
		return nil, err
	}
	switch {
	case strings.Contains(s, "#"):
		return nil, errors.New("has a fragment: that does not belong here")
	case len(s) > hook.MaxURL:
		return nil, fmt.Errorf("has %d bytes: at most %d are allowed", len(s), hook.MaxURL)
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return nil, errors.New("is http: webhooks are sent by https, but for a receiver at localhost")
	}
	return s, nil
}

func parseEvent(s string) (any, error) {
	if _, ok := slices.BinarySearch(audit.Subscribable(), s); !ok {
		return nil, errors.New("is not an event that webhooks can be sent of")
	}
	return s, nil
}

// parseCustomHost reads a custom host. It must be written as hosts are compared, so
// that what the operator reads is what is matched.
func parseCustomHost(s string) (any, error) {
	h, port, err := tenancy.ParseHost(s)
	switch {
	case err != nil:
		return foreign("host", func(string) (any, error) { return nil, err })(s)
	case port != "":
		return nil, errors.New("has a port: hosts here have that of public_url")
	case string(h) != s:
		return nil, fmt.Errorf("is not written as hosts are compared: write %q", string(h))
	}
	return h, nil
}

func parseAddress(s string) (any, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return nil, errors.New("is not a host and a port")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || port != strconv.FormatUint(n, 10) {
		return nil, fmt.Errorf("has the port %q: want 0 to 65535", port)
	}
	if host != "" {
		if _, err := parseServer(host); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func parseServer(s string) (any, error) {
	if _, err := netip.ParseAddr(s); err == nil {
		return s, nil
	}
	if _, port, err := tenancy.ParseHost(s); err != nil || port != "" {
		return nil, errors.New("is not a host name or an address")
	}
	return s, nil
}

func parseMailbox(s string) (any, error) {
	a, err := mail.ParseAddress(s)
	if err != nil || strings.ContainsAny(s, "\r\n") {
		return nil, errors.New("is not a mail address")
	}
	for i := range len(a.Address) {
		// Few servers take others, and none passes them on for sure.
		if c := a.Address[i]; c <= ' ' || c >= 0x7f || c == '"' {
			return nil, errors.New("has an address that is not of plain ASCII")
		}
	}
	if _, err := parseText(a.Name); err != nil {
		return nil, fmt.Errorf("has a name that %w", err)
	}
	return s, nil
}
