package dnsproof

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/net/dns/dnsmessage"
)

// A voice is what one server says.
type voice struct {
	Outcome
	// alias is what the name is an alias of; the outcome is Unclear then.
	alias string
}

// counts reports whether the server has said anything.
func (v voice) counts() bool { return v.Sighting != Unclear || v.alias != "" }

// contradicts reports whether two that say something do not say the same.
func (v voice) contradicts(w voice) bool { return v.Sighting != w.Sighting || v.alias != w.alias }

// ask asks all servers at once.
func (c *Client) ask(ctx context.Context, servers []server, at, value string) []voice {
	voices := make([]voice, len(servers))
	var asking sync.WaitGroup
	for i, s := range servers {
		asking.Go(func() { voices[i] = c.askOne(ctx, s, at, value) })
	}
	asking.Wait()
	return voices
}

// askOne asks a server at one address after the other, until it says something.
func (c *Client) askOne(ctx context.Context, s server, at, value string) voice {
	if len(s.addresses) == 0 {
		return voice{Outcome: unclear(reasonOf(s.err), s.err)}
	}
	var v voice
	for _, a := range s.addresses {
		// Right before it is dialled, and the address itself, not the name.
		if err := c.o.Allow(a); err != nil {
			v.Outcome = unclear(NotAllowed, fmt.Errorf("name server %s at %s: %w", s.name, a, err))
			continue
		}
		r, err := c.exchange(ctx, a, question{at, dnsmessage.TypeTXT}, false)
		if err != nil {
			v.Outcome = unclear(reasonOf(err), fmt.Errorf("name server %s at %s: %w", s.name, a, err))
			continue
		}
		v = hear(r, at, value)
		if v.counts() {
			return v
		}
		v.Err = fmt.Errorf("name server %s at %s: %w", s.name, a, v.Err)
	}
	return v
}

// hear says what a reply says of the record.
func hear(r reply, at, value string) voice {
	say := func(s Sighting, reason Reason, text string) voice {
		return voice{Outcome: Outcome{s, reason, errors.New(text)}}
	}
	switch {
	case r.code != dnsmessage.RCodeSuccess && r.code != dnsmessage.RCodeNameError:
		return say(Unclear, ServerFailure, "it says "+codeName(r.code))
	case !r.authoritative:
		return say(Unclear, NotAuthoritative, "it is not authoritative")
	}
	texts := r.of(at, dnsmessage.TypeTXT)
	switch aliases := r.of(at, dnsmessage.TypeCNAME); {
	case len(aliases) == 1 && len(texts) == 0 && aliases[0].target != "":
		return voice{alias: aliases[0].target}
	case len(aliases) > 0: // two, or to nowhere, or beside other records
		return say(Unclear, BadAnswer, "the alias there makes no sense")
	case r.code == dnsmessage.RCodeNameError && len(texts) == 0:
		return say(Absent, NoName, "there is no such name")
	case r.code == dnsmessage.RCodeNameError:
		return say(Unclear, BadAnswer, "it has records of a name that it says is not there")
	case len(texts) == 0:
		return say(Absent, NoRecord, "there is no TXT record")
	}
	for _, t := range texts {
		if t.text == value {
			return voice{Outcome: Outcome{Sighting: Present, Reason: Found}}
		}
	}
	return say(Absent, OtherValue, fmt.Sprintf("the TXT records there (%d) say something else", len(texts)))
}

// agree makes one outcome of what the servers say. At least two must have said it, unless
// there is only one; and none may contradict.
func agree(voices []voice) (o Outcome, alias string) {
	var said []voice
	var silent []error
	reason := TooFew
	for _, v := range voices {
		if v.counts() {
			said = append(said, v)
			continue
		}
		silent = append(silent, v.Err)
		reason = v.Reason
	}
	for _, v := range said {
		if v.contradicts(said[0]) {
			return unclear(Contradiction, errors.New("the name servers contradict one another")), ""
		}
	}
	switch {
	case len(said) == 0 && len(silent) == 0:
		return unclear(NoServers, errors.New("there are no name servers")), ""
	case len(said) == 0:
		return unclear(reason, errors.Join(silent...)), ""
	case len(said) < min(2, len(voices)):
		return unclear(TooFew, errors.Join(append([]error{errors.New("one name server alone has answered")}, silent...)...)), ""
	}
	return said[0].Outcome, said[0].alias
}
