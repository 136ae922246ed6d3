package ssotest

import (
	"cmp"
	"context"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// DialLocalhost dials as browsers do: localhost and every name under it are 127.0.0.1,
// which Go's resolver does not know. It is for http.Transport.DialContext.
func DialLocalhost(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err == nil && isLocalhost(host) {
		address = net.JoinHostPort("127.0.0.1", port)
	}
	return (&net.Dialer{}).DialContext(ctx, network, address)
}

func isLocalhost(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// trustworthy reports whether browsers treat the URL like https: Secure cookies are kept
// and sent there.
func trustworthy(u *url.URL) bool {
	addr, err := netip.ParseAddr(u.Hostname())
	return u.Scheme == "https" || isLocalhost(u.Hostname()) || err == nil && addr.IsLoopback()
}

// site returns what two URLs must share to be of one site: the scheme and the host's
// last two labels. (No list of public suffixes: for test hosts the last label is the suffix.)
func site(u *url.URL) string {
	host := u.Hostname()
	if _, err := netip.ParseAddr(host); err == nil {
		return u.Scheme + "://" + host
	}
	labels := strings.Split(host, ".")
	return u.Scheme + "://" + strings.Join(labels[max(0, len(labels)-2):], ".")
}

// A Jar keeps cookies as browsers do, with the rules that Go's jar leaves out: Secure
// cookies on localhost, the __Host- and __Secure- prefixes, and SameSite.
type Jar struct {
	mu   sync.Mutex
	kept []kept
}

type kept struct {
	http.Cookie
	host     string // lower case
	hostOnly bool
	until    time.Time // zero: until the browser is closed
}

// Set keeps the cookies that an answer of u set, but for those that a browser would not.
func (j *Jar) Set(u *url.URL, cookies []*http.Cookie) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, c := range cookies {
		k := kept{Cookie: *c, host: strings.ToLower(u.Hostname()), hostOnly: c.Domain == ""}
		if !k.hostOnly {
			domain := strings.ToLower(strings.TrimPrefix(c.Domain, "."))
			if k.host != domain && !strings.HasSuffix(k.host, "."+domain) || !strings.Contains(domain, ".") {
				continue // not its domain, or a whole top-level one
			}
			k.host = domain
		}
		if !strings.HasPrefix(c.Path, "/") {
			path := cmp.Or(u.Path, "/")
			k.Path = path[:max(1, strings.LastIndex(path, "/"))]
		}
		host, secure := strings.HasPrefix(c.Name, "__Host-"), strings.HasPrefix(c.Name, "__Secure-")
		if (host || secure || c.SameSite == http.SameSiteNoneMode) && !c.Secure || c.Secure && !trustworthy(u) || host && (!k.hostOnly || c.Path != "/") {
			continue
		}
		j.kept = slices.DeleteFunc(j.kept, func(o kept) bool {
			return o.Name == k.Name && o.host == k.host && o.hostOnly == k.hostOnly && o.Path == k.Path
		})
		switch {
		case c.MaxAge < 0 || c.MaxAge == 0 && !c.Expires.IsZero() && c.Expires.Before(time.Now()):
			continue
		case c.MaxAge > 0:
			k.until = time.Now().Add(time.Duration(c.MaxAge) * time.Second)
		default:
			k.until = c.Expires
		}
		j.kept = append(j.kept, k)
	}
}

// Cookies returns what a browser sends to u when its person goes there by themselves.
func (j *Jar) Cookies(u *url.URL) []*http.Cookie { return j.cookies(u, false, true) }

// cookies returns what is sent to u. crossSite: another site's page causes the request;
// safe: it is a GET that goes to the address bar, which Lax cookies survive.
func (j *Jar) cookies(u *url.URL, crossSite, safe bool) []*http.Cookie {
	j.mu.Lock()
	defer j.mu.Unlock()
	host, path := strings.ToLower(u.Hostname()), cmp.Or(u.Path, "/")
	var out []*http.Cookie
	for _, k := range j.kept {
		mine := k.host == host || !k.hostOnly && strings.HasSuffix(host, "."+k.host)
		below := path == k.Path || strings.HasPrefix(path, strings.TrimSuffix(k.Path, "/")+"/")
		withheld := crossSite && (k.SameSite == http.SameSiteStrictMode || !safe && k.SameSite != http.SameSiteNoneMode)
		if mine && below && !withheld && (!k.Secure || trustworthy(u)) && (k.until.IsZero() || k.until.After(time.Now())) {
			out = append(out, &http.Cookie{Name: k.Name, Value: k.Value, Quoted: k.Quoted})
		}
	}
	return out
}

// Clear forgets everything.
func (j *Jar) Clear() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.kept = nil
}
