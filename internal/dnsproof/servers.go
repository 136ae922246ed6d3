package dnsproof

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"golang.org/x/net/dns/dnsmessage"
)

// A server is one name server of a zone.
type server struct {
	name      string
	addresses []netip.AddrPort
	// err is why it has no address.
	err error
}

// servers finds the servers of the closest zone that has at in it.
func (c *Client) servers(ctx context.Context, at string) ([]server, error) {
	for zone := at; zone != ""; _, zone, _ = strings.Cut(zone, ".") {
		r, err := c.resolve(ctx, question{zone, dnsmessage.TypeNS})
		if err != nil {
			return nil, err
		}
		// Only those of the zone itself: where zone is an alias, a resolver follows it, and
		// names the servers of another zone.
		var names []string
		for _, rec := range r.of(zone, dnsmessage.TypeNS) {
			if !slices.Contains(names, rec.target) {
				names = append(names, rec.target)
			}
		}
		if len(names) > 0 {
			return c.addresses(ctx, names), nil
		}
	}
	return nil, fail(NoServers, "no zone has %s in it", at)
}

// addresses looks up where the servers are. Of many, it takes some at random.
func (c *Client) addresses(ctx context.Context, names []string) []server {
	rand.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	all := make([]server, min(len(names), maxServers))
	var lookups sync.WaitGroup
	for i := range all {
		lookups.Go(func() { all[i] = c.locate(ctx, names[i]) })
	}
	lookups.Wait()
	// One machine under two names has one voice.
	var asked []netip.AddrPort
	var servers []server
	for _, s := range all {
		known := len(s.addresses)
		s.addresses = slices.DeleteFunc(s.addresses, func(a netip.AddrPort) bool { return slices.Contains(asked, a) })
		if known > 0 && len(s.addresses) == 0 {
			continue
		}
		s.addresses = s.addresses[:min(len(s.addresses), maxAddresses)]
		asked = append(asked, s.addresses...)
		servers = append(servers, s)
	}
	return servers
}

// locate looks up the addresses of one server, those of IPv4 first.
func (c *Client) locate(ctx context.Context, name string) server {
	s := server{name: name}
	if name == "" { // it counts as one, and says nothing
		s.err = fail(NoServers, "a name server has a name that can't be looked up")
		return s
	}
	for _, typ := range []dnsmessage.Type{dnsmessage.TypeA, dnsmessage.TypeAAAA} {
		r, err := c.resolve(ctx, question{name, typ})
		if err != nil {
			s.err = err
			continue
		}
		for _, rec := range r.of(name, typ) {
			s.addresses = append(s.addresses, netip.AddrPortFrom(rec.addr, c.o.Port))
		}
	}
	if len(s.addresses) == 0 && s.err == nil {
		s.err = fail(NoServers, "name server %s has no address", name)
	}
	return s
}
