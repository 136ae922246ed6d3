package dnsproof

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/netip"
	"os"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// resolve asks our own resolver. Of what it says, only that a name or record is not there, or
// the records, comes back; whatever else it may say is an error.
func (c *Client) resolve(ctx context.Context, q question) (reply, error) {
	resolvers, err := c.resolvers()
	if err != nil {
		return reply{}, err
	}
	last := fail(NoResolver, "no resolver answers")
	for _, server := range resolvers {
		r, err := c.exchange(ctx, server, q, true)
		switch {
		case ctx.Err() != nil:
			return reply{}, context.Cause(ctx)
		case err != nil:
			last = fail(NoResolver, "resolver %s does not answer: %v", server, err)
		case r.code != dnsmessage.RCodeSuccess && r.code != dnsmessage.RCodeNameError:
			last = fail(NoResolver, "resolver %s says %v of %s", server, codeName(r.code), q.name)
		default:
			return r, nil
		}
	}
	return reply{}, last
}

// resolvers are read anew each time, as the system's may change.
func (c *Client) resolvers() ([]netip.AddrPort, error) {
	if c.o.Resolver.IsValid() {
		return []netip.AddrPort{c.o.Resolver}, nil
	}
	f, err := os.Open(c.o.ResolvConf)
	if err != nil {
		return nil, fail(NoResolver, "the system's resolver is not known: %v", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 64<<10))
	if err != nil {
		return nil, fail(NoResolver, "the system's resolver is not known: %v", err)
	}
	return parseResolvConf(text), nil
}

// parseResolvConf reads the first three name servers of resolv.conf(5); without any, it is the
// one on this machine.
func parseResolvConf(text []byte) (servers []netip.AddrPort) {
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan() && len(servers) < 3; {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 || fields[0] != "nameserver" {
			continue
		}
		if addr, err := netip.ParseAddr(fields[1]); err == nil {
			servers = append(servers, netip.AddrPortFrom(addr, 53))
		}
	}
	if len(servers) == 0 {
		servers = append(servers, netip.MustParseAddrPort("127.0.0.1:53"))
	}
	return servers
}

// codeName is a response code as people know it.
func codeName(c dnsmessage.RCode) string {
	switch c {
	case dnsmessage.RCodeServerFailure:
		return "SERVFAIL"
	case dnsmessage.RCodeRefused:
		return "REFUSED"
	case dnsmessage.RCodeNotImplemented:
		return "NOTIMP"
	case dnsmessage.RCodeFormatError:
		return "FORMERR"
	default:
		return c.String()
	}
}
