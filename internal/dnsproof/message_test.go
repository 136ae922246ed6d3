package dnsproof

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

var asked = question{"_orgate-challenge.acme.example.", dnsmessage.TypeTXT}

// answer packs a right answer, changed by f.
func answer(t testing.TB, f func(m *dnsmessage.Message)) []byte {
	t.Helper()
	name := dnsmessage.MustNewName(asked.name)
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: 7, Response: true, Authoritative: true},
		Questions: []dnsmessage.Question{{Name: name, Type: asked.typ, Class: dnsmessage.ClassINET}},
		Answers: []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: name, Type: asked.typ, Class: dnsmessage.ClassINET},
			Body:   &dnsmessage.TXTResource{TXT: []string{"one ", "two"}},
		}},
	}
	if f != nil {
		f(&m)
	}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestTheStringsOfARecordAreOneText(t *testing.T) {
	r, err := parse(answer(t, nil), 7, asked)
	if err != nil || len(r.records) != 1 || r.records[0].text != "one two" || !r.authoritative {
		t.Errorf("got %+v, %v", r, err)
	}
}

// FuzzParse holds that whatever is read is an answer to what was asked, and bounded.
func FuzzParse(f *testing.F) {
	f.Add(answer(f, nil), uint16(7))
	f.Add(answer(f, func(m *dnsmessage.Message) { m.RCode, m.Answers = dnsmessage.RCodeNameError, nil }), uint16(7))
	f.Add(answer(f, func(m *dnsmessage.Message) { m.Questions, m.RCode = nil, dnsmessage.RCodeServerFailure }), uint16(7))
	f.Add(answer(f, func(m *dnsmessage.Message) { m.Truncated = true }), uint16(7))
	f.Add(answer(f, func(m *dnsmessage.Message) {
		h := m.Answers[0].Header
		for typ, b := range map[dnsmessage.Type]dnsmessage.ResourceBody{
			dnsmessage.TypeCNAME: &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName("Else.example.")},
			dnsmessage.TypeNS:    &dnsmessage.NSResource{NS: dnsmessage.MustNewName("n s.example.")},
			dnsmessage.TypeA:     &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}},
			dnsmessage.TypeAAAA:  &dnsmessage.AAAAResource{},
		} {
			h.Type = typ
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: b})
		}
	}), uint16(7))
	f.Add([]byte("\x00\x07\x84\x00\xff\xff\xff\xff\xff\xff\xff\xff\xc0\x0c\x00\x10\x00\x01"), uint16(7))
	f.Fuzz(func(t *testing.T, msg []byte, id uint16) {
		r, err := parse(msg, id, asked)
		if err != nil {
			return
		}
		var p dnsmessage.Parser
		h, err := p.Start(msg)
		if err != nil || h.ID != id || !h.Response {
			t.Fatal("it is no answer to the question of that id")
		}
		q, err := p.Question()
		if (err != nil || !strings.EqualFold(q.Name.String(), asked.name)) && (r.code == dnsmessage.RCodeSuccess || r.code == dnsmessage.RCodeNameError) {
			t.Fatal("it answers another question")
		}
		if len(r.records) > maxRecords || r.truncated && len(r.records) > 0 {
			t.Fatalf("%d records", len(r.records))
		}
		for _, rec := range r.records {
			if rec.target != "" {
				if again, ok := canonical(rec.target); !ok || again != rec.target {
					t.Fatalf("target %q", rec.target)
				}
			}
		}
		if v := hear(r, asked.name, "one two"); v.Sighting == Present && !slices.ContainsFunc(r.of(asked.name, asked.typ), func(rec record) bool { return rec.text == "one two" }) {
			t.Fatal("what is not there is present")
		}
	})
}

func TestANameIsLabelsOfLettersDigitsHyphensAndUnderscores(t *testing.T) {
	for in, want := range map[string]string{
		"NS1.Acme.example.": "ns1.acme.example.", "_x.acme-1.example.": "_x.acme-1.example.", strings.Repeat("a.", 16): strings.Repeat("a.", 16),
		"": "", ".": "", "com.": "", "acme.example": "", "a..b.": "", ".a.b.": "", "a b.example.": "", "a\n.example.": "", "\u212a.example.": "",
		strings.Repeat("a.", 17): "", strings.Repeat("a", 64) + ".example.": "", strings.Repeat(strings.Repeat("a", 63)+".", 4): "", "*.example.": "", `a\.b.example.`: "",
	} {
		if got, ok := canonical(in); got != want || ok != (want != "") {
			t.Errorf("canonical(%q) = %q, %v", in, got, ok)
		}
	}
}

func TestTheSystemsResolversAreThoseOfItsFile(t *testing.T) {
	for text, want := range map[string]string{
		"":                               "[127.0.0.1:53]",
		"search x\nnameserver 192.0.2.1": "[192.0.2.1:53]",
		"# nameserver 192.0.2.9\n;nameserver 192.0.2.8\nnameserver\t2001:db8::1 # c\nnameserver fe80::1%eth0\nnameserver nonsense\nnameserver 192.0.2.1\nnameserver 192.0.2.2\n": "[[2001:db8::1]:53 [fe80::1%eth0]:53 192.0.2.1:53]",
		"options ndots:5\r\nnameserver 192.0.2.1\r\n": "[192.0.2.1:53]",
		"nameserver": "[127.0.0.1:53]",
		strings.Repeat("x", 70_000) + "\nnameserver 192.0.2.1\n": "[127.0.0.1:53]",
	} {
		if got := fmt.Sprint(parseResolvConf([]byte(text))); got != want {
			t.Errorf("%.80q: %s, want %s", text, got, want)
		}
	}
	c := New(Options{ResolvConf: "testdata/not there"})
	if _, err := c.resolvers(); reasonOf(err) != NoResolver {
		t.Errorf("got %v", err)
	}
}

func FuzzResolvConf(f *testing.F) {
	f.Add([]byte("nameserver 192.0.2.1\nnameserver ::1\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		servers := parseResolvConf(text)
		if len(servers) == 0 || len(servers) > 3 || slices.ContainsFunc(servers, func(a netip.AddrPort) bool { return !a.IsValid() || a.Port() != 53 }) {
			t.Errorf("got %v", servers)
		}
	})
}
