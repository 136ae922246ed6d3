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

// mailsFromProved, mailsToProved and guessesByProved limit what all browsers may do together, from one network address and for
// one mailbox, that have proved an address and in which its user is not known. Whoever has a domain has as many addresses as
// they like, and whoever had a mailbox for an hour as many browsers: what those have of their own must have an end.
func mailsFromProved() factor.Bucket {
	return factor.Bucket{Scope: "mail from, proved", Size: 1000, Every: time.Second}
}

func mailsToProved() factor.Bucket {
	return factor.Bucket{Scope: "mail to, proved", Size: 60, Every: 20 * time.Second}
}

func guessesByProved() factor.Bucket {
	b := factor.GuessesByStrangers()
	b.Scope = "guess by proved"
	return b
}

// An own is what somebody is counted by apart from strangers; empty: they are one.
type own struct {
	name   string
	proved bool // the address alone was proved in the browser, and its user is not known there
}

// own returns what whoever asks for a mail to an address, or guesses at a code that went there, is counted by in this browser.
// With codes alone: a first factor gives nobody new guesses at another (see [Server.finish]).
func (d device) own(user tenancy.UserID, email string, now time.Time) own {
	switch {
	case d.knows(user):
		return own{name: string(user)}
	case d.hasProved(email, now):
		return own{name: email, proved: true}
	}
	return own{}
}

// ownOf is own for a guess at an account.
func (d device) ownOf(what, account string, user tenancy.UserID, now time.Time) own {
	if what != factor.GuessEmailCode {
		account = ""
	}
	return d.own(user, account, now)
}

// attempt counts a guess at an account, or says how long to wait. Strangers' guesses and those
// in a browser where the person was signed in before, or has proved the address, are counted apart,
// so that nobody keeps a person out by guessing.
func (s *Server) attempt(tx store.Tx, r *http.Request, d device, what, account string, user tenancy.UserID, now time.Time) (wait time.Duration, err error) {
	ip, by := s.clientIP(r), d.ownOf(what, account, user, now)
	if wait, err = factor.GuessesFrom().Take(tx, source(network(ip), by), now); err != nil || wait > 0 {
		return wait, err
	}
	if wait, err = factor.GuessesAround().Take(tx, source(factor.Around(ip), by), now); err != nil || wait > 0 {
		return wait, err
	}
	if what == factor.GuessEmailCode && (by.name == "" || by.proved) {
		all := factor.GuessesByStrangers()
		if by.proved {
			all = guessesByProved()
		}
		if wait, err = all.Take(tx, account, now); err != nil || wait > 0 {
			return wait, err
		}
	}
	return factor.Guesses(what).Attempt(tx, s.guesser(r, d, what, account, by), now)
}

// succeeded forgets the guesses at an account.
func (s *Server) succeeded(tx store.Tx, r *http.Request, d device, what, account string, user tenancy.UserID, now time.Time) error {
	return factor.Guesses(what).Success(tx, s.guesser(r, d, what, account, d.ownOf(what, account, user, now)))
}

// guesser is what guesses at an account are counted under. Those at codes by mail are counted by
// network, so that a stranger elsewhere does not have the owner wait; all together they have
// [factor.GuessesByStrangers].
func (s *Server) guesser(r *http.Request, d device, what, account string, by own) string {
	switch {
	case by.name != "":
		return account + " " + d.name()
	case what == factor.GuessEmailCode:
		return account + " " + network(s.clientIP(r)).String()
	}
	return account
}

// source is what a network is known by to its buckets. Whoever is known in the browser has
// buckets of their own there: strangers in the same network are no reason to wait.
func source(p netip.Prefix, by own) string {
	if by.name != "" {
		return p.String() + " " + by.name
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
	ip, by := network(s.clientIP(r)), d.own(user, email, now)
	from, to := source(ip, by), tenancy.Mailbox(email)
	if by.name != "" {
		to += " " + d.name()
	}
	type taken struct {
		bucket factor.Bucket
		name   string
	}
	all := []taken{{mailsFrom(), from}, {mailsToFrom(), to + " " + from}, {factor.MailsTo(), to}, {factor.MailsInAll(), "all"}}
	if by.proved {
		all = append([]taken{{mailsFromProved(), ip.String()}, {mailsToProved(), tenancy.Mailbox(email)}}, all...)
	}
	for _, t := range all {
		if wait, err = t.bucket.Take(tx, t.name, now); err != nil || wait > 0 {
			return wait, err
		}
	}
	return 0, nil
}
