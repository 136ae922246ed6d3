// Command sessions signs people in to an organization by writing to orgate's embedded store
// while orgate is stopped: as many as nobody would wait for in a browser. It goes by the
// functions that a sign-in goes by, from what the identity provider says to the tenant
// host's own session, so that every row is one that orgate would have written. It prints the
// cookies, one a line.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"sync"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/cookie"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/store/badger"
	"github.com/orgate/orgate/tenancy"
)

func main() {
	dir := flag.String("dir", "", "the directory of the store")
	slug := flag.String("organization", "acme", "the organization, which has a connection that makes members")
	host := flag.String("host", "", "its host, without a port")
	count := flag.Int("count", 1, "how many people sign in, once each")
	flag.Parse()
	if err := run(context.Background(), *dir, tenancy.Slug(*slug), *host, *count, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

const (
	// atOnce is how many sign in by one transaction.
	atOnce = 50
	// writers is how many transactions are under way.
	writers = 4
)

func run(ctx context.Context, dir string, slug tenancy.Slug, host string, count int, to io.Writer) (err error) {
	e, err := badger.Open(badger.Options{Dir: dir})
	if err != nil {
		return err
	}
	s := store.New(e, store.Options{})
	defer func() { err = errors.Join(err, s.Close()) }()
	d := door{host: host}
	if err := s.View(ctx, func(tx store.Tx) error { return d.find(tx, slug) }); err != nil {
		return err
	}
	tokens := make([]session.Token, count)
	failed := make([]error, writers)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for from := w * atOnce; from < count && failed[w] == nil; from += writers * atOnce {
				failed[w] = s.Update(ctx, func(tx store.Tx) (err error) {
					for i := from; i < min(from+atOnce, count) && err == nil; i++ {
						tokens[i], err = d.signIn(past{tx}, i, time.Now())
					}
					return err
				})
			}
		})
	}
	wg.Wait()
	if err := errors.Join(failed...); err != nil {
		return err
	}
	out := bufio.NewWriter(to)
	for _, t := range tokens {
		fmt.Fprintf(out, "%s=%s\n", cookie.Jar{}.Name(cookie.Session), t.Reveal())
	}
	return out.Flush()
}

// past is a transaction of which no events are kept, as of what was long ago: orgate would write audit
// logs of half a million of them at first, in the background of what is to be measured.
type past struct{ store.Tx }

// Append implements [audit.Tx].
func (past) Append(audit.Event) error { return nil }

// A door is where people come in.
type door struct {
	org        tenancy.OrgID
	slug       tenancy.Slug
	host       string
	connection tenancy.ConnectionID
}

// find finds the organization and its first connection.
func (d *door) find(tx store.Tx, slug tenancy.Slug) error {
	org, err := tx.OrganizationBySlug(slug)
	if err != nil {
		return fmt.Errorf("organization %s: %w", slug, err)
	}
	d.org, d.slug = org.ID, slug
	for c, err := range tx.Connections(org.ID) {
		d.connection = c.ID
		return err
	}
	return fmt.Errorf("organization %s has no connection", slug)
}

// signIn has the i-th person come from the organization's identity provider, and returns the
// token of the session at its host.
func (d *door) signIn(tx past, i int, now time.Time) (session.Token, error) {
	limits := session.Limits{Idle: 12 * time.Hour, Absolute: 168 * time.Hour} // orgate's defaults
	subject := fmt.Sprintf("benchmark-%d", i)
	in, err := tenancy.SignIn(tx, tenancy.Rules{DefaultRole: "member"}, tenancy.Assertion{
		Connection: d.connection, Organization: d.org, Subject: subject, Email: fmt.Sprintf("person%d@%s.test", i, d.slug), EmailVerified: new(true),
		Name: fmt.Sprintf("Person %d", i), Groups: []string{"Admins"}, HasGroups: true,
	}, now)
	if err != nil {
		return session.Token{}, err
	}
	if in.Membership.Status != policy.Active {
		return session.Token{}, fmt.Errorf("person %d is no active member: does the connection make members (jit)?", i)
	}
	proof := policy.Proof{Method: policy.SSO, Connection: string(d.connection), Organization: string(d.org), At: now}
	upstream := &session.UpstreamSession{Connection: d.connection, Organization: d.org, Subject: subject}
	parent, _, err := session.Begin(tx, in.User.ID, proof, upstream, in.ConfinedTo, session.Browser{}, limits, now)
	if err != nil {
		return session.Token{}, err
	}
	attempt := session.NewToken().Hash()
	code, err := session.IssueHandover(tx, session.Handover{Attempt: attempt, Host: d.host, Organization: d.org, Parent: parent.ID}, now)
	if err != nil {
		return session.Token{}, err
	}
	r, err := session.Redeem(tx, code.Hash(), attempt, d.host, d.org, session.Browser{}, limits, now)
	return r.Token, errors.Join(err, r.Refused)
}
