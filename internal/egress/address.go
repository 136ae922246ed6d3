package egress

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// CheckURL returns nil if raw is a URL that this client would call, or that it would
// send a browser to, as far as can be told without resolving its host: https, or http to a
// loopback host where that is allowed; a host; no user name or password.
//
// It is also what keeps javascript: and data: out of links that a provider gives us.
func (c *Client) CheckURL(raw string) error {
	if len(raw) > maxURL {
		return ErrURL
	}
	for i := range len(raw) {
		if raw[i] <= ' ' || raw[i] == 0x7f || raw[i] == '\\' {
			return ErrURL // url.Parse lets blanks through in places, browsers read \ as /
		}
	}
	u, err := url.Parse(raw)
	if err != nil {
		return ErrURL // not err: its text repeats what it was given
	}
	return c.options.check(u)
}

const maxURL = 2048

// CheckAddress returns nil if a client with these options would connect to ap, which somebody
// who may be an attacker has named. It is for what is called otherwise than by HTTP. AllowLoopback
// opens nothing here: it is for URLs that say themselves where they lead.
func (o Options) CheckAddress(ap netip.AddrPort) error { return o.judge(ap, false) }

func (o Options) check(u *url.URL) error {
	host := u.Hostname()
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return ErrScheme
	case u.Opaque != "" || host == "" || port(u.Port(), u.Scheme) == 0:
		return ErrURL
	case u.User != nil:
		return ErrUserinfo
	case u.Scheme == "http" && (!o.AllowLoopback || !isLoopbackHost(host)):
		return ErrScheme
	}
	return nil
}

// isLocalhost reports whether host is localhost or a name under it.
func isLocalhost(host string) bool {
	host = strings.ToLower(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// isLoopbackHost reports whether host names loopback by itself, without a resolver: only
// the spelling that netip knows, not 127.1 or 2130706433, which are names here.
func isLoopbackHost(host string) bool {
	addr, err := netip.ParseAddr(host)
	return isLocalhost(host) || err == nil && addr.Unmap().IsLoopback()
}

// isPrivate reports whether addr is in a range that AllowPrivate opens.
func isPrivate(addr netip.Addr) bool {
	return addr.IsPrivate() || netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64}), 10).Contains(addr)
}

// isMetadata reports whether addr gives credentials to whoever can reach it: the
// metadata services of clouds, where they are not link-local.
func isMetadata(addr netip.Addr) bool { return slices.Contains(metadata[:], addr) }

var metadata = [...]netip.Addr{
	netip.MustParseAddr("168.63.129.16"),   // Azure: a public address that leads inside
	netip.MustParseAddr("100.100.100.200"), // Alibaba
	netip.MustParseAddr("fd00:ec2::254"),   // AWS
	netip.MustParseAddr("fd20:ce::254"),    // Google
}

// isPublic reports whether addr is an ordinary address of the Internet. For IPv6 that
// is global unicast, 2000::/3, alone; what lies outside (NAT64, mapped, unique local, link
// local, ...) needs no list. Inside it, the ranges that carry an IPv4 address to who
// knows where are taken out: Teredo, 6to4.
func isPublic(addr netip.Addr) bool {
	if addr.Is6() && !netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20}), 3).Contains(addr) {
		return false
	}
	for _, p := range notPublic {
		if p.Contains(addr) {
			return false
		}
	}
	return true
}

// notPublic are the special-purpose ranges of the IANA registries.
var notPublic = [...]netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),       // this network
	netip.MustParsePrefix("10.0.0.0/8"),      // private
	netip.MustParsePrefix("100.64.0.0/10"),   // carrier-grade NAT
	netip.MustParsePrefix("127.0.0.0/8"),     // loopback
	netip.MustParsePrefix("169.254.0.0/16"),  // link local, and metadata services
	netip.MustParsePrefix("172.16.0.0/12"),   // private
	netip.MustParsePrefix("192.0.0.0/24"),    // protocol assignments
	netip.MustParsePrefix("192.0.2.0/24"),    // documentation
	netip.MustParsePrefix("192.88.99.0/24"),  // 6to4 relays
	netip.MustParsePrefix("192.168.0.0/16"),  // private
	netip.MustParsePrefix("198.18.0.0/15"),   // benchmarks
	netip.MustParsePrefix("198.51.100.0/24"), // documentation
	netip.MustParsePrefix("203.0.113.0/24"),  // documentation
	netip.MustParsePrefix("224.0.0.0/3"),     // multicast, reserved, broadcast
	netip.MustParsePrefix("2001::/23"),       // protocol assignments, Teredo among them
	netip.MustParsePrefix("2001:db8::/32"),   // documentation
	netip.MustParsePrefix("2002::/16"),       // 6to4
	netip.MustParsePrefix("3fff::/20"),       // documentation
}
