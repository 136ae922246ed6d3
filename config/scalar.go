package config

import (
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/orgate/orgate/tenancy"
)

// A Secret is a value that nothing prints: no log, no error, no JSON, no %v.
type Secret struct{ value string }

// Reveal returns the secret itself, for its use and nothing else.
func (s Secret) Reveal() string { return s.value }

// IsZero reports whether no secret was given.
func (s Secret) IsZero() bool { return s.value == "" }

// String implements [fmt.Stringer] and shows nothing.
func (s Secret) String() string { return hidden }

// GoString implements [fmt.GoStringer] and shows nothing.
func (s Secret) GoString() string { return hidden }

// MarshalText implements [encoding.TextMarshaler] and shows nothing.
func (s Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// LogValue implements [slog.LogValuer] and shows nothing.
func (s Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

const hidden = "[secret]"

// Keys are secret keys of at least 32 bytes each.
type Keys []Key

// A Key is a secret key. Like [Secret], nothing prints it.
type Key struct{ Secret }

// Bytes returns the key.
func (k Key) Bytes() []byte { return []byte(k.value) }

// Bytes returns the keys, the current one first.
func (ks Keys) Bytes() [][]byte {
	var out [][]byte
	for _, k := range ks {
		out = append(out, k.Bytes())
	}
	return out
}

const minKey = 32

// parseKey reads a key: hex or base64 (with + and / or - and _, padded or not) of at least 32
// bytes, or a text of at least 32 bytes. Its errors never quote it.
func parseKey(s string) (Key, error) {
	if b, err := hex.DecodeString(s); err == nil && len(b) >= minKey {
		return Key{Secret{string(b)}}, nil
	}
	for _, e := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		if b, err := e.Strict().DecodeString(strings.TrimRight(s, "=")); err == nil && len(b) >= minKey {
			return Key{Secret{string(b)}}, nil
		}
	}
	if len(s) < minKey {
		return Key{}, fmt.Errorf("has %d bytes: a key needs %d or more", len(s), minKey)
	}
	if subtle.ConstantTimeCompare([]byte(strings.Repeat(s[:1], len(s))), []byte(s)) == 1 {
		return Key{}, errors.New("is one character again and again: that is no key")
	}
	return Key{Secret{s}}, nil
}

// A Path is the name of a file or directory. A relative one starts at the directory of
// the YAML file that it is written in.
type Path string

// A URL is an absolute http or https URL of a host and nothing more: the root of a site.
type URL struct{ *url.URL }

// An Origin is where an app is: scheme, host and port.
type Origin struct{ *url.URL }

// An Issuer is the URL of an identity provider. It may have a path, and is kept as written:
// issuers are compared byte for byte.
type Issuer string

// parseSite reads scheme://host[:port] with no more than a slash after it. Its errors never quote
// the URL, which may hold a password.
func parseSite(s string) (*url.URL, error) {
	u, err := parseURL(s)
	if err != nil {
		return nil, err
	}
	switch {
	case strings.Trim(u.Path, "/") != "" || u.RawPath != "":
		return nil, fmt.Errorf("has the path %q: only scheme, host and port can be given", u.Path)
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.Contains(s, "#"):
		return nil, errors.New("has a query or a fragment: only scheme, host and port can be given")
	}
	u.Path = ""
	return u, nil
}

func parseURL(s string) (*url.URL, error) {
	for i := range len(s) {
		// url.Parse lets blanks through in places, and browsers read \ as /.
		if s[i] <= ' ' || s[i] >= 0x7f || s[i] == '\\' {
			return nil, fmt.Errorf("is no URL: byte 0x%02x at %d", s[i], i)
		}
	}
	u, err := url.Parse(s)
	switch {
	case err != nil, u.Opaque != "":
		return nil, errors.New("is not an http or https URL with a host")
	case u.User != nil:
		return nil, errors.New("has a user name or password: those do not belong in a URL here")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New("is not an http or https URL")
	case u.Hostname() == "":
		return nil, errors.New("has no host")
	}
	if p := u.Port(); p != "" || strings.HasSuffix(u.Host, ":") {
		if n, err := strconv.ParseUint(p, 10, 16); err != nil || n == 0 {
			return nil, fmt.Errorf("has the port %q: want 1 to 65535", p)
		}
	}
	return u, nil
}

func isLocalhost(host string) bool {
	host = strings.ToLower(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// isLoopback reports whether host is localhost, a name under it or a loopback address.
func isLoopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return isLocalhost(host) || err == nil && a.Unmap().IsLoopback()
}

// A HostPattern is the tenant hosts of an app: a host in which one whole label stands for
// the organization's slug. The zero HostPattern matches nothing.
type HostPattern struct{ before, after string }

const slugLabel = "{org}"

// ParseHostPattern reads a pattern such as "{org}.example.com".
func ParseHostPattern(s string) (HostPattern, error) {
	before, after, ok := strings.Cut(s, slugLabel)
	switch {
	case !ok:
		return HostPattern{}, fmt.Errorf("has no %s: one label must stand for the organization's slug", slugLabel)
	case strings.Contains(after, slugLabel):
		return HostPattern{}, fmt.Errorf("has %s twice", slugLabel)
	case before != "" && !strings.HasSuffix(before, "."), !strings.HasPrefix(after, "."):
		return HostPattern{}, fmt.Errorf("has %s as a part of a label: it must be a whole one", slugLabel)
	}
	h, port, err := tenancy.ParseHost(before + "x" + after)
	switch {
	case err != nil:
		return HostPattern{}, fmt.Errorf("is not a host with %s as one of its labels", slugLabel)
	case port != "":
		return HostPattern{}, errors.New("has a port: tenant hosts have that of public_url")
	case string(h) != before+"x"+after:
		return HostPattern{}, fmt.Errorf("is not written as hosts are compared: write %q",
			string(h[:len(before)])+slugLabel+string(h[len(before)+1:]))
	}
	return HostPattern{before, after}, nil
}

// Host returns the host of the organization with that slug.
func (p HostPattern) Host(slug tenancy.Slug) tenancy.Host {
	return tenancy.Host(p.before + string(slug) + p.after)
}

// Match returns the slug that host has in place of {org}.
func (p HostPattern) Match(host tenancy.Host) (tenancy.Slug, bool) {
	s, ok := strings.CutPrefix(string(host), p.before)
	if !ok || p.after == "" {
		return "", false
	}
	s, ok = strings.CutSuffix(s, p.after)
	if !ok || s == "" || strings.Contains(s, ".") {
		return "", false
	}
	return tenancy.Slug(s), true
}

// String returns the pattern as it is written.
func (p HostPattern) String() string { return p.before + slugLabel + p.after }

// overlaps returns a host that both patterns match, if there is one.
func (p HostPattern) overlaps(q HostPattern) (string, bool) {
	a, b := strings.Split(p.String(), "."), strings.Split(q.String(), ".")
	if len(a) != len(b) {
		return "", false
	}
	for i := range a {
		switch {
		case a[i] == slugLabel:
			a[i] = b[i]
		case b[i] != slugLabel && a[i] != b[i]:
			return "", false
		}
	}
	return strings.ReplaceAll(strings.Join(a, "."), slugLabel, "acme"), true
}

// A Size is a number of bytes, such as 64KiB.
type Size int64

type sizeUnit struct {
	name  string
	bytes int64
}

// sizeUnits are the biggest first; a bare number is in bytes.
func sizeUnits() []sizeUnit {
	return []sizeUnit{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"", 1}}
}

func parseSize(s string) (Size, error) {
	for _, u := range sizeUnits() {
		if digits, ok := strings.CutSuffix(s, u.name); ok {
			n, err := strconv.ParseUint(digits, 10, 40)
			if err != nil || int64(n) > (1<<50)/u.bytes {
				break
			}
			return Size(int64(n) * u.bytes), nil
		}
	}
	return 0, errors.New("is not a size: want a number of bytes, or one with KiB, MiB or GiB")
}

// String returns the size with the biggest unit that divides it.
func (s Size) String() string {
	for _, u := range sizeUnits() {
		if s != 0 && int64(s)%u.bytes == 0 {
			return strconv.FormatInt(int64(s)/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// parseAddrPort reads an address and a port, as they are written together.
func parseAddrPort(s string) (netip.AddrPort, error) {
	ap, err := netip.ParseAddrPort(s)
	if err != nil || ap.Port() == 0 {
		return netip.AddrPort{}, errors.New("is not an IP address and a port")
	}
	return ap, nil
}

// parsePrefix reads a range of addresses, or a single one.
func parsePrefix(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, errors.New("is not an address or a range of addresses")
	}
	if p != p.Masked() {
		return netip.Prefix{}, fmt.Errorf("has bits after the prefix: write %s", p.Masked())
	}
	return p, nil
}
