// Package dnstest is a small DNS on this machine for tests: one resolver, and as many name
// servers as a test wants, each at an address of 127.0.0.0/8 of its own, by UDP and TCP.
//
// It owns what they answer, be it right or wrong. It does not own who asks.
package dnstest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// A Net is a resolver and the name servers that it knows of.
type Net struct {
	// Resolver is where the resolver is asked; Port is that of all name servers.
	Resolver netip.AddrPort
	Port     uint16

	t testing.TB

	mu      sync.Mutex
	zones   map[string][]string // zone → its servers' names
	records []dns.RR            // that the resolver knows beside
	fails   map[string]int      // name → rcode
	servers int
}

// New starts a resolver that knows of nothing.
func New(t testing.TB) *Net {
	t.Helper()
	n := &Net{t: t, zones: map[string][]string{}, fails: map[string]int{}}
	n.Resolver = n.free(func() (netip.AddrPort, error) { return n.listen("127.0.0.1", 0, dns.HandlerFunc(n.resolve)) })
	n.Port = n.Resolver.Port()
	return n
}

// free tries until what listen asks for is not taken by another program.
func (n *Net) free(listen func() (netip.AddrPort, error)) netip.AddrPort {
	n.t.Helper()
	for try := 1; ; try++ {
		at, err := listen()
		if err == nil {
			return at
		}
		if try == 20 {
			n.t.Fatal(err)
		}
	}
}

// listen serves h by UDP and TCP at one port; 0: any.
func (n *Net) listen(host string, port uint16, h dns.Handler) (netip.AddrPort, error) {
	n.t.Helper()
	config := net.ListenConfig{}
	pc, err := config.ListenPacket(context.Background(), "udp", fmt.Sprintf("%s:%d", host, port))
	if err != nil {
		return netip.AddrPort{}, err
	}
	l, err := config.Listen(context.Background(), "tcp", pc.LocalAddr().String())
	if err != nil {
		_ = pc.Close()
		return netip.AddrPort{}, err
	}
	for _, s := range []*dns.Server{{PacketConn: pc, Handler: h}, {Listener: l, Handler: h}} {
		started := make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		done := make(chan struct{})
		go func() {
			_ = s.ActivateAndServe() // it ends when it is shut down
			close(done)
		}()
		<-started
		n.t.Cleanup(func() {
			_ = s.Shutdown() // its connections end with it
			<-done
		})
	}
	return netip.MustParseAddrPort(pc.LocalAddr().String()), nil
}

// Zone says that the zone is served by these, each of which may be at Net or anywhere.
func (n *Net) Zone(zone string, servers ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.zones[dns.Fqdn(zone)] = servers
}

// Knows has the resolver know records, as they are written in a zone file.
func (n *Net) Knows(records ...string) {
	n.t.Helper()
	for _, r := range records {
		rr, err := dns.NewRR(r)
		if err != nil {
			n.t.Fatal(err)
		}
		n.mu.Lock()
		n.records = append(n.records, rr)
		n.mu.Unlock()
	}
}

// Fail has the resolver answer every question about name with this code.
func (n *Net) Fail(name string, rcode int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.fails[dns.Fqdn(name)] = rcode
}

func (n *Net) resolve(w dns.ResponseWriter, q *dns.Msg) {
	n.mu.Lock()
	defer n.mu.Unlock()
	m := new(dns.Msg).SetReply(q)
	m.RecursionAvailable = true
	name, typ := strings.ToLower(q.Question[0].Name), q.Question[0].Qtype
	if rcode, ok := n.fails[name]; ok {
		m.Rcode = rcode
		_ = w.WriteMsg(m)
		return
	}
	known := false
	for _, rr := range n.records {
		if strings.EqualFold(rr.Header().Name, name) {
			known = true
			if rr.Header().Rrtype == typ || rr.Header().Rrtype == dns.TypeCNAME {
				m.Answer = append(m.Answer, rr)
			}
			if alias, ok := rr.(*dns.CNAME); ok && typ == dns.TypeNS { // which resolvers follow
				for _, s := range n.zones[alias.Target] {
					m.Answer = append(m.Answer, &dns.NS{Hdr: header(alias.Target, typ), Ns: dns.Fqdn(s)})
				}
			}
		}
	}
	if servers, ok := n.zones[name]; ok {
		known = true
		for _, s := range servers {
			if typ == dns.TypeNS {
				m.Answer = append(m.Answer, &dns.NS{Hdr: header(name, typ), Ns: dns.Fqdn(s)})
			}
		}
	}
	if !known {
		m.Rcode = dns.RcodeNameError
	}
	m.Truncate(size(w))
	_ = w.WriteMsg(m)
}

// size is how long an answer may be.
func size(w dns.ResponseWriter) int {
	if w.RemoteAddr().Network() == "udp" {
		return dns.MinMsgSize
	}
	return dns.MaxMsgSize
}

func header(name string, typ uint16) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: typ, Class: dns.ClassINET, Ttl: 60}
}

// A Server is a name server.
type Server struct {
	Name string
	Addr netip.AddrPort

	mu      sync.Mutex
	records []dns.RR
	handle  dns.HandlerFunc
	asked   []string // "udp TXT name."
}

// Server starts a name server with this name, at an address of its own, which the resolver knows.
func (n *Net) Server(name string) *Server {
	n.t.Helper()
	s := &Server{Name: dns.Fqdn(name)}
	s.Addr = n.free(func() (netip.AddrPort, error) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.servers++
		return n.listen(fmt.Sprintf("127.0.1.%d", n.servers), n.Port, s)
	})
	n.Knows(fmt.Sprintf("%s 60 IN A %s", s.Name, s.Addr.Addr()))
	return s
}

// Set replaces the records that the server has of that name by TXT records with these values.
func (s *Server) Set(name string, values ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name = dns.Fqdn(name)
	s.records = slices.DeleteFunc(s.records, func(rr dns.RR) bool { return rr.Header().Name == name })
	for _, v := range values {
		var parts []string
		for ; len(v) > 255; v = v[255:] {
			parts = append(parts, v[:255])
		}
		s.records = append(s.records, &dns.TXT{Hdr: header(name, dns.TypeTXT), Txt: append(parts, v)})
	}
}

// Alias makes name an alias of target.
func (s *Server) Alias(name, target string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records = append(s.records, &dns.CNAME{Hdr: header(dns.Fqdn(name), dns.TypeCNAME), Target: dns.Fqdn(target)})
}

// Handle has f answer in place of the server; nil: the server again.
func (s *Server) Handle(f dns.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handle = f
}

// Asked returns what the server was asked since it was called last, such as "udp TXT a.example.".
func (s *Server) Asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := s.asked
	s.asked = nil
	return asked
}

// ServeDNS implements [dns.Handler].
func (s *Server) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	s.mu.Lock()
	s.asked = append(s.asked, fmt.Sprintf("%s %s %s", w.RemoteAddr().Network(), dns.TypeToString[q.Question[0].Qtype], q.Question[0].Name))
	handle := s.handle
	s.mu.Unlock()
	if handle == nil {
		handle = s.Answer
	}
	handle(w, q)
}

// Answer answers as an authoritative server does.
func (s *Server) Answer(w dns.ResponseWriter, q *dns.Msg) { _ = w.WriteMsg(s.Reply(q, size(w))) }

// Reply is the right answer, in up to so many bytes.
func (s *Server) Reply(q *dns.Msg, size int) *dns.Msg {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := new(dns.Msg).SetReply(q)
	m.Authoritative = true
	m.Rcode = dns.RcodeNameError
	for _, rr := range s.records {
		if !strings.EqualFold(rr.Header().Name, q.Question[0].Name) {
			continue
		}
		m.Rcode = dns.RcodeSuccess
		if rr.Header().Rrtype == q.Question[0].Qtype || rr.Header().Rrtype == dns.TypeCNAME {
			m.Answer = append(m.Answer, rr)
		}
	}
	m.Truncate(size)
	return m
}

// Allow lets this machine be asked, and nobody else.
func Allow(ap netip.AddrPort) error {
	if !ap.Addr().Unmap().IsLoopback() {
		return errors.New("not of the test")
	}
	return nil
}
