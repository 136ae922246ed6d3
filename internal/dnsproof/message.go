package dnsproof

import (
	"errors"
	"net/netip"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// A question is what is asked: one name in lower case with its last dot, and one type.
type question struct {
	name string
	typ  dnsmessage.Type
}

// A reply is an answer, as far as it matters.
type reply struct {
	code          dnsmessage.RCode
	authoritative bool
	truncated     bool
	records       []record
}

// A record is one of an answer. name and target are canonical.
type record struct {
	name   string
	typ    dnsmessage.Type
	target string     // of NS and CNAME; empty: not a name that can be looked up
	text   string     // of TXT
	addr   netip.Addr // of A and AAAA
}

var (
	// errForeign: a message that answers another question, or none. Somebody may be
	// guessing ids, to have an answer of theirs taken for the server's.
	errForeign   = errors.New("message is no answer to what was asked")
	errMalformed = &failure{BadAnswer, "answer is malformed"}
	errTooLong   = &failure{BadAnswer, "answer is too long"}
)

// pack writes a question. There is no EDNS in it: an answer of more than 512 bytes is read
// by TCP, and every server understands what is left.
func (q question) pack(id uint16, recursive bool) ([]byte, error) {
	name, err := dnsmessage.NewName(q.name)
	if err != nil {
		return nil, err
	}
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: id, RecursionDesired: recursive},
		Questions: []dnsmessage.Question{{Name: name, Type: q.typ, Class: dnsmessage.ClassINET}},
	}
	return m.Pack()
}

// parse reads an answer to q.
func parse(msg []byte, id uint16, q question) (reply, error) {
	var p dnsmessage.Parser
	h, err := p.Start(msg)
	if err != nil || h.ID != id || !h.Response || h.OpCode != 0 {
		return reply{}, errForeign
	}
	qs, err := questions(&p)
	if err != nil {
		return reply{}, err
	}
	// Some servers that fail leave the question out.
	if len(qs) == 0 && h.RCode != dnsmessage.RCodeSuccess && h.RCode != dnsmessage.RCodeNameError {
		return reply{code: h.RCode}, nil
	}
	if len(qs) != 1 || lower(qs[0].Name) != q.name || qs[0].Type != q.typ || qs[0].Class != dnsmessage.ClassINET {
		return reply{}, errForeign
	}
	r := reply{code: h.RCode, authoritative: h.Authoritative, truncated: h.Truncated}
	if r.truncated {
		return r, nil // what is there of it may be anything
	}
	for {
		h, err := p.AnswerHeader()
		if errors.Is(err, dnsmessage.ErrSectionDone) {
			return r, nil
		}
		if err != nil {
			return reply{}, errMalformed
		}
		if len(r.records) == maxRecords {
			return reply{}, errTooLong
		}
		rec, err := body(&p, h)
		if err != nil {
			return reply{}, errMalformed
		}
		r.records = append(r.records, rec)
	}
}

// questions reads no more than two: a message may announce 65,535.
func questions(p *dnsmessage.Parser) (qs []dnsmessage.Question, err error) {
	for len(qs) < 2 {
		q, err := p.Question()
		if errors.Is(err, dnsmessage.ErrSectionDone) {
			return qs, nil
		}
		if err != nil {
			return nil, errForeign
		}
		qs = append(qs, q)
	}
	return qs, nil
}

// body reads one record. Those of other types and classes are kept without what they say.
func body(p *dnsmessage.Parser, h dnsmessage.ResourceHeader) (record, error) {
	r := record{name: lower(h.Name), typ: h.Type}
	if h.Class != dnsmessage.ClassINET {
		return record{}, p.SkipAnswer()
	}
	switch h.Type {
	case dnsmessage.TypeNS:
		b, err := p.NSResource()
		r.target, _ = canonical(lower(b.NS))
		return r, err
	case dnsmessage.TypeCNAME:
		b, err := p.CNAMEResource()
		r.target, _ = canonical(lower(b.CNAME))
		return r, err
	case dnsmessage.TypeTXT:
		b, err := p.TXTResource()
		r.text = strings.Join(b.TXT, "")
		return r, err
	case dnsmessage.TypeA:
		b, err := p.AResource()
		r.addr = netip.AddrFrom4(b.A)
		return r, err
	case dnsmessage.TypeAAAA:
		b, err := p.AAAAResource()
		r.addr = netip.AddrFrom16(b.AAAA)
		return r, err
	default:
		return r, p.SkipAnswer()
	}
}

// of yields the records of that name and type. Others may be in an answer for good reasons,
// and for bad ones.
func (r reply) of(name string, typ dnsmessage.Type) (rs []record) {
	for _, rec := range r.records {
		if rec.name == name && rec.typ == typ {
			rs = append(rs, rec)
		}
	}
	return rs
}

// lower returns a name of a message in lower case. It may hold any bytes.
func lower(n dnsmessage.Name) string { return lowerASCII(n.String()) }

// lowerASCII folds A to Z and nothing else: Unicode's folding makes a k of the Kelvin sign.
func lowerASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// canonical returns a name with its last dot, in lower case; ok is false for what is not labels of letters, digits, - and _,
// or is only one label. Nothing else is looked up, or shown in a log.
func canonical(name string) (_ string, ok bool) {
	name = lowerASCII(name)
	labels := strings.Split(strings.TrimSuffix(name, "."), ".")
	if len(name) > 254 || !strings.HasSuffix(name, ".") || len(labels) < 2 || len(labels) > maxLabels {
		return "", false
	}
	for _, l := range labels {
		if l == "" || len(l) > 63 {
			return "", false
		}
		for i := range len(l) {
			if c := l[i]; strings.IndexByte("abcdefghijklmnopqrstuvwxyz0123456789-_", c) < 0 {
				return "", false
			}
		}
	}
	return name, true
}
