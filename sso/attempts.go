package sso

import (
	"errors"
	"net/http"
	"net/netip"
	"time"

	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// Guesses are counted by account, by network address and by the network around that, in the
// store, before they are judged.

// mailsToFrom limits the mails to one mailbox that one network asks for, so that it does not
// take all that there is ([factor.MailsTo]), and mailsFrom those that one network address asks for.
func mailsToFrom() factor.Bucket {
	return factor.Bucket{Scope: "mail to, from", Size: 5, Every: 3 * time.Minute}
}

func mailsFrom() factor.Bucket {
	return factor.Bucket{Scope: "mail from", Size: 100, Every: 5 * time.Second}
}

// attempt counts a guess at an account, or says how long to wait. Strangers' guesses and those
// in a browser where the person was signed in before are counted apart, so that nobody keeps
// a person out by guessing.
func (s *Server) attempt(tx store.Tx, r *http.Request, d device, what, account string, user tenancy.UserID, now time.Time) (wait time.Duration, err error) {
	ip := s.clientIP(r)
	if wait, err = factor.GuessesFrom().Take(tx, source(network(ip), d, user), now); err != nil || wait > 0 {
		return wait, err
	}
	if wait, err = factor.GuessesAround().Take(tx, source(factor.Around(ip), d, user), now); err != nil || wait > 0 {
		return wait, err
	}
	if what == factor.GuessEmailCode && !d.knows(user) {
		if wait, err = factor.GuessesByStrangers().Take(tx, account, now); err != nil || wait > 0 {
			return wait, err
		}
	}
	return factor.Guesses(what).Attempt(tx, s.guesser(r, d, what, account, user), now)
}

// succeeded forgets the guesses at an account.
func (s *Server) succeeded(tx store.Tx, r *http.Request, d device, what, account string, user tenancy.UserID) error {
	return factor.Guesses(what).Success(tx, s.guesser(r, d, what, account, user))
}

// guesser is what guesses at an account are counted under. Those at codes by mail are counted by
// network, so that a stranger elsewhere does not have the owner wait; all together they have
// [factor.GuessesByStrangers].
func (s *Server) guesser(r *http.Request, d device, what, account string, user tenancy.UserID) string {
	switch {
	case d.knows(user):
		return account + " " + d.name()
	case what == factor.GuessEmailCode:
		return account + " " + network(s.clientIP(r)).String()
	}
	return account
}

// source is what a network is known by to its buckets. Whoever is known in the browser has
// buckets of their own there: strangers in the same network are no reason to wait.
func source(p netip.Prefix, d device, user tenancy.UserID) string {
	if d.knows(user) {
		return p.String() + " " + string(user)
	}
	return p.String()
}

// userAt is whose address it is; empty: nobody's. It is for counting, and tells nobody.
func userAt(tx store.Tx, email string) (tenancy.UserID, error) {
	u, err := tx.UserByEmail(email)
	if errors.Is(err, tenancy.ErrNotFound) {
		return "", nil
	}
	return u.ID, err
}

// mayMail takes one mail to the address from the buckets, or says how long to wait.
func (s *Server) mayMail(tx store.Tx, r *http.Request, d device, email string, now time.Time) (wait time.Duration, err error) {
	user, err := userAt(tx, email)
	if err != nil {
		return 0, err
	}
	from, to := source(network(s.clientIP(r)), d, user), tenancy.Mailbox(email)
	if d.knows(user) {
		to += " " + d.name()
	}
	for _, b := range []struct {
		bucket factor.Bucket
		name   string
	}{{mailsFrom(), from}, {mailsToFrom(), to + " " + from}, {factor.MailsTo(), to}, {factor.MailsInAll(), "all"}} {
		if wait, err = b.bucket.Take(tx, b.name, now); err != nil || wait > 0 {
			return wait, err
		}
	}
	return 0, nil
}
