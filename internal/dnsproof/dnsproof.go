// Package dnsproof looks for a TXT record at the servers that a domain itself names as
// its own, and says whether it is there: what a cache or one server among several says, it
// does not take for an answer.
//
// It owns how the servers are found, asked and compared. It does not own what follows from
// the answer, nor when to ask, and knows no store.
//
// The invariants: Present and Absent are said only if the zone's servers agree, at least two of
// them where it has two; and no byte is sent to an address that a stranger named and that [Options.Allow]
// did not let pass, as a name server may have any address that its owner cares to write down.
package dnsproof

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"time"
)

// What bounds one look.
const (
	DefaultTimeout = 20 * time.Second // in all
	DefaultTry     = 2 * time.Second  // for one question to one server by one protocol

	maxServers   = 4        // that are asked, of those that the zone names
	maxAddresses = 2        // of one server
	maxLabels    = 16       // of a name, so that the way up to its zone has an end
	maxRecords   = 64       // in one answer
	maxMessage   = 16 << 10 // bytes of one answer
	udpTries     = 2
)

// Options say how to ask.
type Options struct {
	// Resolver finds the domain's servers; the zero AddrPort: those of ResolvConf.
	Resolver netip.AddrPort
	// ResolvConf is where the system's resolvers are; empty: /etc/resolv.conf.
	ResolvConf string
	// Allow returns nil if a name server at this address may be asked. It must be set.
	Allow func(netip.AddrPort) error
	// Port is where name servers are asked; 0: 53.
	Port uint16
	// Timeout is how long one look may take, and Try how long one try of one question; 0: the defaults.
	Timeout, Try time.Duration
}

// A Client looks for records. It is safe for concurrent use, and holds nothing open.
type Client struct{ o Options }

// New returns a client.
func New(o Options) *Client {
	o.Port = cmp.Or(o.Port, 53)
	o.ResolvConf = cmp.Or(o.ResolvConf, "/etc/resolv.conf")
	o.Timeout = cmp.Or(o.Timeout, DefaultTimeout)
	o.Try = cmp.Or(o.Try, DefaultTry)
	return &Client{o}
}

// Sighting is what a look came to. The zero Sighting is Unclear.
type Sighting uint8

const (
	// Unclear is that nothing is known, neither that the record is there nor that it is not.
	Unclear Sighting = iota
	// Present is that the zone's servers have the record.
	Present
	// Absent is that the zone's servers do not have it.
	Absent
)

// A Reason is why it came to that, in a word that is one of these.
type Reason string

// The reasons.
const (
	Found Reason = "found"

	// Of Absent.
	NoName     Reason = "no_such_name"
	NoRecord   Reason = "no_record"
	OtherValue Reason = "other_value"
	// Aliases: the name is an alias of an alias. One alias is followed.
	Aliases Reason = "too_many_aliases"

	// Of Unclear.
	Contradiction    Reason = "contradiction"       // the servers do not agree
	TooFew           Reason = "too_few_servers"     // one answered, and there is another
	Timeout          Reason = "timeout"             // none answered
	Unreachable      Reason = "unreachable"         // nor can be reached
	ServerFailure    Reason = "server_failure"      // SERVFAIL, REFUSED and the like
	NotAuthoritative Reason = "not_authoritative"   // it says itself that it does not know
	BadAnswer        Reason = "bad_answer"          // too long, or no answer to what was asked
	NotAllowed       Reason = "address_not_allowed" // the server is where we do not go
	NoServers        Reason = "no_servers"          // the zone has none, or they have no address
	NoResolver       Reason = "no_resolver"         // our own resolver fails
	Canceled         Reason = "canceled"
)

// An Outcome is what a look came to, and why. Err says it in more words, for logs; it never
// quotes what a server sent, except for its names.
type Outcome struct {
	Sighting Sighting
	Reason   Reason
	Err      error
}

// Look looks for a TXT record at name that says value, and nothing beside it. An alias
// (CNAME) at name is followed once, to another name of whatever domain.
func (c *Client) Look(ctx context.Context, name, value string) Outcome {
	within, cancel := context.WithTimeout(ctx, c.o.Timeout)
	defer cancel()
	at, ok := canonical(name + ".")
	if !ok {
		return unclear(NoServers, fmt.Errorf("%.80q is not a name that can be looked up", name))
	}
	for range 2 {
		o, alias := c.lookAt(within, at, value)
		switch {
		case ctx.Err() != nil:
			return unclear(Canceled, context.Cause(ctx))
		case alias == "":
			return o
		}
		at = alias
	}
	return Outcome{Absent, Aliases, fmt.Errorf("%s is an alias of an alias", name)}
}

// lookAt asks the servers of the zone that at is in. alias is set if they agree that it is one.
func (c *Client) lookAt(ctx context.Context, at, value string) (o Outcome, alias string) {
	servers, err := c.servers(ctx, at)
	if err != nil {
		return unclear(reasonOf(err), err), ""
	}
	return agree(c.ask(ctx, servers, at, value))
}

func unclear(r Reason, err error) Outcome { return Outcome{Unclear, r, err} }
