package dnsproof_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/orgate/orgate/internal/dnsproof"
	"github.com/orgate/orgate/internal/dnsproof/dnstest"
	"github.com/orgate/orgate/internal/egress"
)

const (
	name  = "_orgate-challenge.acme.example"
	value = "orgate-domain-verification=m5Oztg3jdK4NJLgs8uIlIprMw"
)

// A rig is acme.example at two name servers.
type rig struct {
	*dnstest.Net
	a, b *dnstest.Server
	o    dnsproof.Options
}

func newRig(t *testing.T) *rig {
	n := dnstest.New(t)
	r := &rig{Net: n, a: n.Server("ns1.acme.example"), b: n.Server("ns2.other.example")}
	n.Zone("acme.example", r.a.Name, r.b.Name)
	r.o = dnsproof.Options{Resolver: n.Resolver, Port: n.Port, Allow: dnstest.Allow, Try: 5 * time.Second, Timeout: time.Minute}
	return r
}

// impatient is for tests in which somebody is silent.
func (r *rig) impatient() { r.o.Try = 500 * time.Millisecond }

// both sets the record at both servers.
func (r *rig) both(values ...string) {
	r.a.Set(name, values...)
	r.b.Set(name, values...)
}

func (r *rig) look(t *testing.T) dnsproof.Outcome {
	t.Helper()
	return dnsproof.New(r.o).Look(t.Context(), name, value)
}

func (r *rig) want(t *testing.T, s dnsproof.Sighting, reason dnsproof.Reason) {
	t.Helper()
	o := r.look(t)
	if o.Sighting != s || o.Reason != reason {
		t.Errorf("got %d, %s, %v; want %d, %s", o.Sighting, o.Reason, o.Err, s, reason)
	}
	if (o.Err == nil) != (reason == dnsproof.Found) {
		t.Errorf("%s comes with %v", o.Reason, o.Err)
	}
}

// refuse answers with a code.
func refuse(rcode int) dns.HandlerFunc {
	return func(w dns.ResponseWriter, q *dns.Msg) { _ = w.WriteMsg(new(dns.Msg).SetRcode(q, rcode)) }
}

// changed answers with what f makes of the right answer.
func changed(s *dnstest.Server, f func(m *dns.Msg)) dns.HandlerFunc {
	return func(w dns.ResponseWriter, q *dns.Msg) {
		m := s.Reply(q, dns.MaxMsgSize)
		f(m)
		_ = w.WriteMsg(m)
	}
}

func silent(dns.ResponseWriter, *dns.Msg) {}

func TestTheRecordIsThereIfTheZonesServersHaveIt(t *testing.T) {
	for _, tt := range []struct {
		name   string
		values []string
		seen   dnsproof.Sighting
		reason dnsproof.Reason
	}{
		{"the value", []string{value}, dnsproof.Present, dnsproof.Found},
		{"the value among others", []string{"v=spf1 -all", value, "other"}, dnsproof.Present, dnsproof.Found},
		{"no such name", nil, dnsproof.Absent, dnsproof.NoName},
		{"another value", []string{value[:len(value)-1] + "x"}, dnsproof.Absent, dnsproof.OtherValue},
		{"in quotes", []string{`"` + value + `"`}, dnsproof.Absent, dnsproof.OtherValue},
		{"with a blank", []string{value + " "}, dnsproof.Absent, dnsproof.OtherValue},
		{"in lower case", []string{strings.ToLower(value)}, dnsproof.Absent, dnsproof.OtherValue},
		{"as a part", []string{"x" + value}, dnsproof.Absent, dnsproof.OtherValue},
		{"with more after it", []string{value + "x"}, dnsproof.Absent, dnsproof.OtherValue},
		{"empty", []string{""}, dnsproof.Absent, dnsproof.OtherValue},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			r.both(tt.values...)
			r.want(t, tt.seen, tt.reason)
			want := []string{"udp TXT " + name + "."}
			if a, b := r.a.Asked(), r.b.Asked(); !slices.Equal(a, want) || !slices.Equal(b, want) {
				t.Errorf("asked %q and %q", a, b)
			}
		})
	}
}

func TestANameWithOtherRecordsHasNoTXTRecord(t *testing.T) {
	r := newRig(t)
	for _, s := range []*dnstest.Server{r.a, r.b} {
		s.Handle(changed(s, func(m *dns.Msg) { m.Rcode = dns.RcodeSuccess }))
	}
	r.want(t, dnsproof.Absent, dnsproof.NoRecord)
}

// What one server does, while the other is right, in both of the cases that matter.
func TestWhatOneServerSaysAloneIsNothing(t *testing.T) {
	for _, tt := range []struct {
		name   string
		handle func(s *dnstest.Server) dns.HandlerFunc
		reason dnsproof.Reason
	}{
		{"SERVFAIL", func(*dnstest.Server) dns.HandlerFunc { return refuse(dns.RcodeServerFailure) }, dnsproof.TooFew},
		{"REFUSED", func(*dnstest.Server) dns.HandlerFunc { return refuse(dns.RcodeRefused) }, dnsproof.TooFew},
		{"NOTIMP", func(*dnstest.Server) dns.HandlerFunc { return refuse(dns.RcodeNotImplemented) }, dnsproof.TooFew},
		{"FORMERR without the question", func(*dnstest.Server) dns.HandlerFunc {
			return func(w dns.ResponseWriter, q *dns.Msg) {
				m := new(dns.Msg).SetRcode(q, dns.RcodeFormatError)
				m.Question = nil
				_ = w.WriteMsg(m)
			}
		}, dnsproof.TooFew},
		{"silence", func(*dnstest.Server) dns.HandlerFunc { return silent }, dnsproof.TooFew},
		{"not authoritative", func(s *dnstest.Server) dns.HandlerFunc {
			return changed(s, func(m *dns.Msg) { m.Authoritative = false })
		}, dnsproof.TooFew},
		{"not authoritative, and no such name", func(s *dnstest.Server) dns.HandlerFunc {
			return changed(s, func(m *dns.Msg) { m.Authoritative, m.Rcode, m.Answer = false, dns.RcodeNameError, nil })
		}, dnsproof.TooFew},
		{"a referral", func(s *dnstest.Server) dns.HandlerFunc {
			return changed(s, func(m *dns.Msg) {
				m.Authoritative, m.Answer = false, nil
				m.Ns = []dns.RR{&dns.NS{Hdr: dns.RR_Header{Name: "acme.example.", Rrtype: dns.TypeNS, Class: dns.ClassINET}, Ns: "evil.example."}}
			})
		}, dnsproof.TooFew},
		{"another question", func(s *dnstest.Server) dns.HandlerFunc {
			return changed(s, func(m *dns.Msg) { m.Question[0].Name = "evil.example." })
		}, dnsproof.TooFew},
		{"no question", func(s *dnstest.Server) dns.HandlerFunc { return changed(s, func(m *dns.Msg) { m.Question = nil }) }, dnsproof.TooFew},
		{"two questions", func(s *dnstest.Server) dns.HandlerFunc {
			return changed(s, func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) })
		}, dnsproof.TooFew},
		{"another id", func(s *dnstest.Server) dns.HandlerFunc { return changed(s, func(m *dns.Msg) { m.Id++ }) }, dnsproof.TooFew},
		{"a question in place of an answer", func(s *dnstest.Server) dns.HandlerFunc {
			return changed(s, func(m *dns.Msg) { m.Response = false })
		}, dnsproof.TooFew},
		{"a record of no such name", func(s *dnstest.Server) dns.HandlerFunc {
			return func(w dns.ResponseWriter, q *dns.Msg) {
				s.Set(name, value)
				m := s.Reply(q, dns.MaxMsgSize)
				m.Rcode = dns.RcodeNameError
				_ = w.WriteMsg(m)
			}
		}, dnsproof.TooFew},
		{"too many records", func(*dnstest.Server) dns.HandlerFunc {
			return func(w dns.ResponseWriter, q *dns.Msg) {
				m := new(dns.Msg).SetReply(q)
				m.Authoritative = true
				for range 65 {
					m.Answer = append(m.Answer, &dns.TXT{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeTXT, Class: dns.ClassINET}, Txt: []string{value}})
				}
				_ = w.WriteMsg(m)
			}
		}, dnsproof.TooFew},
		{"an answer of 60 KiB", func(*dnstest.Server) dns.HandlerFunc {
			return func(w dns.ResponseWriter, q *dns.Msg) {
				m := new(dns.Msg).SetReply(q)
				m.Authoritative = true
				for range 60 {
					var texts []string
					for range 4 {
						texts = append(texts, strings.Repeat("x", 250))
					}
					m.Answer = append(m.Answer, &dns.TXT{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeTXT, Class: dns.ClassINET}, Txt: texts})
				}
				if w.RemoteAddr().Network() == "udp" {
					m.Truncate(dns.MinMsgSize)
				}
				_ = w.WriteMsg(m)
			}
		}, dnsproof.TooFew},
		{"truncated by TCP too", func(s *dnstest.Server) dns.HandlerFunc { return changed(s, func(m *dns.Msg) { m.Truncated = true }) }, dnsproof.TooFew},
		{"half a message", func(*dnstest.Server) dns.HandlerFunc {
			return func(w dns.ResponseWriter, q *dns.Msg) {
				b, _ := new(dns.Msg).SetReply(q).Pack()
				binary.BigEndian.PutUint16(b[6:], 7) // seven answers are announced
				_, _ = w.Write(b)
			}
		}, dnsproof.TooFew},
		{"noise", func(*dnstest.Server) dns.HandlerFunc {
			return func(w dns.ResponseWriter, _ *dns.Msg) { _, _ = w.Write([]byte("\xff\x00\xffnoise")) }
		}, dnsproof.TooFew},
		{"two aliases of one name", func(s *dnstest.Server) dns.HandlerFunc {
			return changed(s, func(m *dns.Msg) {
				for _, t := range []string{"x.example.", "y.example."} {
					m.Answer = append(m.Answer, &dns.CNAME{Hdr: dns.RR_Header{Name: name + ".", Rrtype: dns.TypeCNAME, Class: dns.ClassINET}, Target: t})
				}
				m.Rcode = dns.RcodeSuccess
			})
		}, dnsproof.TooFew},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.impatient()
			r.a.Set(name, value)
			r.b.Handle(tt.handle(r.b))
			r.want(t, dnsproof.Unclear, tt.reason)
			r.a.Set(name) // gone
			r.want(t, dnsproof.Unclear, tt.reason)
			r.a.Handle(tt.handle(r.a))
			if o := r.look(t); o.Sighting != dnsproof.Unclear {
				t.Errorf("both: %+v", o)
			}
		})
	}
}

func TestServersThatContradictOneAnotherSayNothing(t *testing.T) {
	r := newRig(t)
	r.a.Set(name, value)
	r.want(t, dnsproof.Unclear, dnsproof.Contradiction)
	r.b.Set(name, "other")
	r.want(t, dnsproof.Unclear, dnsproof.Contradiction)
	r.b.Set(name)
	r.b.Alias(name, "else.example")
	r.want(t, dnsproof.Unclear, dnsproof.Contradiction)
	// Two of four against one is no vote.
	c, d := r.Server("ns3.acme.example"), r.Server("ns4.acme.example")
	r.Zone("acme.example", r.a.Name, r.b.Name, c.Name, d.Name)
	r.b.Set(name)
	c.Set(name, value)
	r.want(t, dnsproof.Unclear, dnsproof.Contradiction)
}

func TestTwoOfManyServersAreEnoughIfTheOthersAreSilent(t *testing.T) {
	r := newRig(t)
	r.impatient()
	c := r.Server("ns3.acme.example")
	r.Zone("acme.example", r.a.Name, r.b.Name, c.Name, "gone.example")
	r.both(value)
	c.Handle(silent)
	r.want(t, dnsproof.Present, dnsproof.Found)
}

func TestAZoneWithOneServerHasOneVoice(t *testing.T) {
	r := newRig(t)
	r.Zone("acme.example", r.a.Name)
	r.want(t, dnsproof.Absent, dnsproof.NoName)
	r.a.Set(name, value)
	r.want(t, dnsproof.Present, dnsproof.Found)
	// Two names of one machine are one server; but a second one that can't be found is a second one.
	r.Knows("ns9.acme.example. 60 IN A " + r.a.Addr.Addr().String())
	r.Zone("acme.example", r.a.Name, "ns9.acme.example")
	r.want(t, dnsproof.Present, dnsproof.Found)
	for _, s := range []string{"gone.example", "single", "white\\032space.example"} {
		r.Zone("acme.example", r.a.Name, s)
		r.want(t, dnsproof.Unclear, dnsproof.TooFew)
	}
}

func TestAResolverThatSendsNonsenseIsNotBelieved(t *testing.T) {
	r := newRig(t)
	r.both(value)
	r.Zone("acme.example", r.a.Name, "b\\.ad.example")
	r.want(t, dnsproof.Unclear, dnsproof.NoResolver)
}

func TestNoMoreThanFourServersAreAsked(t *testing.T) {
	r := newRig(t)
	all := []*dnstest.Server{r.a, r.b}
	for i := range 7 {
		all = append(all, r.Server(fmt.Sprintf("ns%d.many.example", i)))
	}
	var names []string
	for _, s := range all {
		names = append(names, s.Name)
		s.Set(name, value)
	}
	r.Zone("acme.example", names...)
	r.want(t, dnsproof.Present, dnsproof.Found)
	asked := 0
	for _, s := range all {
		asked += len(s.Asked())
	}
	if asked != 4 {
		t.Errorf("asked %d times, want 4", asked)
	}
}

func TestALongAnswerIsReadByTCP(t *testing.T) {
	r := newRig(t)
	values := []string{value}
	for i := range 20 {
		values = append(values, fmt.Sprint(i, strings.Repeat("x", 200)))
	}
	values = append(values, strings.Repeat("y", 1000))
	r.both(values...)
	r.want(t, dnsproof.Present, dnsproof.Found)
	if got := r.a.Asked(); len(got) != 2 || !strings.HasPrefix(got[1], "tcp ") {
		t.Errorf("asked %q", got)
	}
}

// Whoever guesses ids of UDP must not be listened to a second time.
func TestAfterAForeignAnswerTheServerIsAskedByTCP(t *testing.T) {
	r := newRig(t)
	r.both()
	for _, s := range []*dnstest.Server{r.a, r.b} {
		s.Handle(func(w dns.ResponseWriter, q *dns.Msg) {
			if w.RemoteAddr().Network() == "tcp" {
				s.Answer(w, q)
				return
			}
			m := s.Reply(q, dns.MaxMsgSize)
			m.Rcode = dns.RcodeSuccess
			m.Answer = []dns.RR{&dns.TXT{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeTXT, Class: dns.ClassINET}, Txt: []string{value}}}
			m.Id++
			_ = w.WriteMsg(m)
			m.Id--
			_ = w.WriteMsg(m)
		})
	}
	r.want(t, dnsproof.Absent, dnsproof.NoName)
	if got := r.a.Asked(); len(got) != 2 || !strings.HasPrefix(got[1], "tcp ") {
		t.Errorf("asked %q", got)
	}
}

func TestAServerThatHearsOnlyTCPIsAskedByTCP(t *testing.T) {
	r := newRig(t)
	r.impatient()
	r.both(value)
	for _, s := range []*dnstest.Server{r.a, r.b} {
		s.Handle(func(w dns.ResponseWriter, q *dns.Msg) {
			if w.RemoteAddr().Network() == "tcp" {
				s.Answer(w, q)
			}
		})
	}
	r.want(t, dnsproof.Present, dnsproof.Found)
}

func TestAQuestionThatIsWrittenInAnotherCaseIsTheSame(t *testing.T) {
	r := newRig(t)
	r.both(value)
	upper := func(m *dns.Msg) {
		m.Question[0].Name = strings.ToUpper(m.Question[0].Name)
		for _, rr := range m.Answer {
			rr.Header().Name = strings.ToUpper(rr.Header().Name)
		}
	}
	r.a.Handle(changed(r.a, upper))
	r.want(t, dnsproof.Present, dnsproof.Found)
}

func TestRecordsOfOtherNamesAndTypesProveNothing(t *testing.T) {
	r := newRig(t)
	for _, s := range []*dnstest.Server{r.a, r.b} {
		s.Handle(changed(s, func(m *dns.Msg) {
			m.Rcode = dns.RcodeSuccess
			txt := func(name string, class uint16) dns.RR {
				return &dns.TXT{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeTXT, Class: class}, Txt: []string{value}}
			}
			m.Answer = []dns.RR{
				txt("acme.example.", dns.ClassINET), txt("evil.example.", dns.ClassINET), txt(name+".", dns.ClassCHAOS),
				&dns.SPF{Hdr: dns.RR_Header{Name: name + ".", Rrtype: dns.TypeSPF, Class: dns.ClassINET}, Txt: []string{value}},
			}
			m.Ns = []dns.RR{txt(name+".", dns.ClassINET)}
			m.Extra = []dns.RR{txt(name+".", dns.ClassINET)}
		}))
	}
	r.want(t, dnsproof.Absent, dnsproof.NoRecord)
}

func TestTheClosestZoneIsAsked(t *testing.T) {
	r := newRig(t)
	com := r.Server("a.tld.example")
	r.Zone("example", com.Name)
	com.Set(name, value) // which it has no say in
	r.want(t, dnsproof.Absent, dnsproof.NoName)
	// The name delegated by itself.
	own := r.Server("ns.own.example")
	r.Zone(name, own.Name)
	own.Set(name, value)
	r.want(t, dnsproof.Present, dnsproof.Found)
	if got := slices.Concat(r.a.Asked(), com.Asked()); len(got) != 2-1 {
		t.Errorf("servers of other zones were asked: %q", got)
	}
}

// A domain that expired is in the zone above it, whose servers say that it is not there.
func TestADomainThatIsGoneIsAbsentAsTheZoneAboveItSays(t *testing.T) {
	n := dnstest.New(t)
	a, b := n.Server("a.tld.example"), n.Server("b.tld.example")
	n.Zone("example", a.Name, b.Name)
	r := &rig{Net: n, a: a, b: b, o: dnsproof.Options{Resolver: n.Resolver, Port: n.Port, Allow: dnstest.Allow}}
	r.want(t, dnsproof.Absent, dnsproof.NoName)
	// But where it is there, and its own servers are not to be found, they refer us on.
	for _, s := range []*dnstest.Server{a, b} {
		s.Handle(changed(s, func(m *dns.Msg) { m.Authoritative, m.Rcode = false, dns.RcodeSuccess }))
	}
	r.want(t, dnsproof.Unclear, dnsproof.NotAuthoritative)
}

func TestWithoutItsZoneNothingIsKnown(t *testing.T) {
	r := newRig(t)
	r.both(value)
	for _, code := range []int{dns.RcodeServerFailure, dns.RcodeRefused, dns.RcodeFormatError} {
		for _, n := range []string{name, "acme.example"} {
			r := newRig(t)
			r.both(value)
			r.Fail(n, code)
			r.want(t, dnsproof.Unclear, dnsproof.NoResolver)
		}
	}
	r.Fail(r.a.Name, dns.RcodeServerFailure) // its address
	r.want(t, dnsproof.Unclear, dnsproof.TooFew)
	n := dnstest.New(t)
	r = &rig{Net: n, o: dnsproof.Options{Resolver: n.Resolver, Port: n.Port, Allow: dnstest.Allow}}
	r.want(t, dnsproof.Unclear, dnsproof.NoServers)
	r.Zone("acme.example")
	r.want(t, dnsproof.Unclear, dnsproof.NoServers)
	r.Zone("acme.example", "gone.example", "gone2.example")
	r.want(t, dnsproof.Unclear, dnsproof.NoServers)
	if o := dnsproof.New(r.o).Look(t.Context(), "bad name\r\n", value); o.Sighting != dnsproof.Unclear {
		t.Errorf("a name that is none: %+v", o)
	}
}

func TestOneAliasIsFollowedToItsOwnServers(t *testing.T) {
	r := newRig(t)
	c, d := r.Server("ns1.proofs.test"), r.Server("ns2.proofs.test")
	r.Zone("proofs.test", c.Name, d.Name)
	for _, s := range []*dnstest.Server{r.a, r.b} {
		s.Alias(name, "acme.proofs.test")
		s.Set("acme.proofs.test", value) // of a zone that is not theirs
	}
	r.want(t, dnsproof.Absent, dnsproof.NoName)
	c.Set("acme.proofs.test", value)
	r.want(t, dnsproof.Unclear, dnsproof.Contradiction)
	d.Set("acme.proofs.test", value)
	r.want(t, dnsproof.Present, dnsproof.Found)
	// And no further.
	for _, s := range []*dnstest.Server{c, d} {
		s.Set("acme.proofs.test")
		s.Alias("acme.proofs.test", "third.proofs.test")
		s.Set("third.proofs.test", value)
	}
	r.want(t, dnsproof.Absent, dnsproof.Aliases)
}

func TestAliasesThatLeadInACircleEnd(t *testing.T) {
	for _, target := range []string{name, "other.acme.example"} {
		r := newRig(t)
		for _, s := range []*dnstest.Server{r.a, r.b} {
			s.Alias(name, target)
			s.Alias("other.acme.example", name)
		}
		r.want(t, dnsproof.Absent, dnsproof.Aliases)
		if n := len(r.a.Asked()); n > 2 {
			t.Errorf("asked %d times", n)
		}
	}
}

// The apex of another zone: a resolver that follows the alias names that zone's servers, when
// it is asked for those of the alias.
func TestAnAliasOfAnApexDoesNotMoveTheNameToThatZone(t *testing.T) {
	r := newRig(t)
	c := r.Server("ns1.proofs.test")
	r.Zone("proofs.test", c.Name)
	r.Knows(name + ". 60 IN CNAME proofs.test.")
	for _, s := range []*dnstest.Server{r.a, r.b} {
		s.Alias(name, "proofs.test")
	}
	c.Set("proofs.test", value)
	r.want(t, dnsproof.Present, dnsproof.Found)
}

// Attacks 109 and 110: whoever owns a domain writes down where its name servers are.
func TestNameServersInsideAreNotAsked(t *testing.T) {
	// A service of this machine that no stranger may reach, by UDP and by TCP.
	inside := dnstest.New(t)
	inside.Server("at.an.address.that.the.rig.has.test")
	inside.Server("at.another.test")
	victim := inside.Server("victim.test")
	victim.Set(name, value)
	for _, addr := range []string{
		victim.Addr.Addr().String(), "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.0.1", "100.64.0.1", "169.254.169.254", "168.63.129.16", "0.0.0.0", "224.0.0.1", "255.255.255.255",
		"::1", "::", "::ffff:" + victim.Addr.Addr().String(), "64:ff9b::7f00:101", "2002:7f00:101::", "fe80::1", "fd00::1", "fd00:ec2::254",
	} {
		typ := "A"
		if strings.Contains(addr, ":") {
			typ = "AAAA"
		}
		r := newRig(t)
		r.o.Port = victim.Addr.Port()
		r.o.Allow = egress.Options{AllowLoopback: true, Ports: []uint16{victim.Addr.Port()}}.CheckAddress
		r.Knows("in1.evil.test. 60 IN "+typ+" "+addr, "in2.evil.test. 60 IN "+typ+" "+addr)
		r.Zone("acme.example", "in1.evil.test", "in2.evil.test")
		r.want(t, dnsproof.Unclear, dnsproof.NotAllowed)
		// Nor by an alias.
		r = newRig(t)
		r.o.Allow = func(ap netip.AddrPort) error {
			if ap == r.a.Addr || ap == r.b.Addr {
				return nil
			}
			return egress.Options{}.CheckAddress(ap)
		}
		for _, s := range []*dnstest.Server{r.a, r.b} {
			s.Alias(name, "proof.evil.test")
		}
		r.Knows("in1.evil.test. 60 IN " + typ + " " + addr)
		r.Zone("evil.test", "in1.evil.test")
		r.want(t, dnsproof.Unclear, dnsproof.NotAllowed)
	}
	if asked := victim.Asked(); len(asked) > 0 {
		t.Errorf("it was asked %q", asked)
	}
}

func TestASecondAddressIsAskedWhenTheFirstIsSilent(t *testing.T) {
	r := newRig(t)
	r.both(value)
	r.Knows("ns5.acme.example. 60 IN A 10.0.0.1", "ns5.acme.example. 60 IN A "+r.b.Addr.Addr().String())
	r.Zone("acme.example", r.a.Name, "ns5.acme.example")
	r.want(t, dnsproof.Present, dnsproof.Found)
}

// A server that sends a byte now and then, by TCP alone.
func TestASlowServerCostsBoundedTime(t *testing.T) {
	r := newRig(t)
	r.impatient()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.2.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				if _, err := conn.Write([]byte{0, 100}); err != nil {
					return
				}
				tick := time.NewTicker(20 * time.Millisecond)
				defer tick.Stop()
				for ctx.Err() == nil {
					<-tick.C
					if _, err := conn.Write([]byte{0}); err != nil {
						return
					}
				}
			}()
		}
	}()
	slow := netip.MustParseAddrPort(l.Addr().String())
	r.o.Port = slow.Port() // nobody hears UDP there
	r.Knows("slow.example. 60 IN A 127.0.2.1")
	r.Zone("acme.example", "slow.example")
	began := time.Now()
	r.want(t, dnsproof.Unclear, dnsproof.Timeout)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
	// All in all, too.
	r = newRig(t)
	r.o.Timeout, r.o.Try = 200*time.Millisecond, 10*time.Second
	r.a.Handle(silent)
	r.b.Handle(silent)
	began = time.Now()
	r.want(t, dnsproof.Unclear, dnsproof.Timeout)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestALookThatIsCalledOffSaysNothing(t *testing.T) {
	r := newRig(t)
	r.o.Timeout, r.o.Try = time.Minute, time.Minute
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for _, s := range []*dnstest.Server{r.a, r.b} {
		s.Handle(func(dns.ResponseWriter, *dns.Msg) { cancel() })
	}
	if o := dnsproof.New(r.o).Look(ctx, name, value); o.Sighting != dnsproof.Unclear || o.Reason != dnsproof.Canceled {
		t.Errorf("got %+v", o)
	}
}

func TestNoErrorQuotesWhatAServerSent(t *testing.T) {
	r := newRig(t)
	r.both("hunter2\r\n\x1b[31m")
	r.Zone("acme.example", r.a.Name, r.b.Name, "hunter2\\010.example", "hunter2\\027.example")
	if o := r.look(t); o.Err == nil || strings.Contains(o.Err.Error(), "hunter2") {
		t.Errorf("got %v", o.Err)
	}
}
