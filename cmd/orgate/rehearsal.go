package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// A rehearsal takes a person through a sign-in, in a transaction that is never committed, by
// the same operations as a real one: each proof that is asked for is taken as given.
type rehearsal struct {
	explaining
	// picks are which of the ways that are open are gone, one after the other; then the first.
	picks []int

	session session.Session
	said    []saying
	choices []choice
}

// A saying is a line of what happened.
type saying struct{ what, why string }

// A choice is one of several ways to go on.
type choice struct {
	picked, of int
	name       string
}

// A way is one of the ways to go on.
type way struct {
	name string
	give func(store.Tx) error
}

// maxSteps is more than any policies can ask for.
const maxSteps = 12

// errStop: the rehearsal is over, and has said why. Nothing of it is kept.
var errStop = errors.New("rehearsal is over")

// rehearse goes one way.
func (x explaining) rehearse(ctx context.Context, scratch *store.Store, picks []int) (rehearsal, error) {
	var r rehearsal
	err := scratch.Update(ctx, func(tx store.Tx) error {
		r = rehearsal{explaining: x, picks: picks}
		o, err := r.organization(tx)
		if err != nil {
			return err
		}
		for range maxSteps {
			if err := r.step(tx, o); err != nil {
				return err
			}
		}
		return errStop
	})
	if errors.Is(err, errStop) {
		err = nil
	}
	return r, err
}

// step asks what comes next, and does it.
func (r *rehearsal) step(tx store.Tx, o tenancy.Organization) error {
	v, err := session.Gather(tx, session.Query{Organization: o.ID, Session: r.session, Email: r.email, Offered: r.offered, Now: r.now})
	if err != nil {
		return err
	}
	f := v.Facts
	d, err := r.decide(&f, o)
	if err != nil {
		return err
	}
	if d.Verdict == policy.Allow || d.Verdict == policy.Deny {
		return r.stop(d.Verdict.String(), d.Explain(&f))
	}
	if d.Verdict == policy.Join {
		r.say(d.Verdict.String(), d.Explain(&f))
		_, _, err := tenancy.Join(tx, r.cfg.Rules(), o.ID, v.User.ID, r.now)
		if errors.Is(err, tenancy.ErrSingleWorkspace) {
			return r.stop("refuse", "sign_in.workspaces is single, and the person is a member of another organization.")
		}
		return err
	}
	has, err := r.has(tx)
	if err != nil {
		return err
	}
	why := d.Explain(&f)
	if missing := d.Methods & policy.MethodsOf(policy.Password, policy.Passkey) &^ has; d.Verdict == policy.Prove && missing != 0 {
		why += " Not set up: " + missing.String() + "."
	}
	r.say(d.Verdict.String(), why)
	ways, err := r.ways(tx, d, has)
	if err != nil {
		return err
	}
	if len(ways) == 0 {
		return r.stop("refuse", "There is no way to go on: nothing of that is there to ask for.")
	}
	return r.pick(ways).give(tx)
}

// pick chooses among the ways.
func (r *rehearsal) pick(ways []way) way {
	i := 0
	if n := len(r.choices); n < len(r.picks) {
		i = r.picks[n]
	}
	r.choices = append(r.choices, choice{i, len(ways), ways[i].name})
	return ways[i]
}

// has is what the person has set up, whether they are signed in yet or not.
func (r *rehearsal) has(tx store.Tx) (policy.Methods, error) {
	u, err := tx.UserByEmail(r.email)
	if errors.Is(err, tenancy.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return tx.Enrolled(u.ID)
}

// ways are those in which the person can do what d asks for.
func (r *rehearsal) ways(tx store.Tx, d policy.Decision, has policy.Methods) (ways []way, err error) {
	add := func(name string, give func(store.Tx) error) { ways = append(ways, way{name, give}) }
	const setUpLocal = 1<<policy.Password | 1<<policy.Passkey
	// Whoever is asked for nothing but what they have to set up first, proves the address by
	// a code, and sets it up.
	firstTime := d.Verdict == policy.Prove && d.Methods&^setUpLocal == 0 && d.Methods&has == 0
	for _, m := range d.Methods.List() {
		switch {
		case m == policy.SSO:
			conns, err := r.connections(tx, d)
			if err != nil {
				return nil, err
			}
			for _, c := range conns {
				add("sso by "+c.Name, func(tx store.Tx) error { return r.assert(tx, c) })
			}
		case d.Verdict == policy.SecondFactor:
			add(m.String(), func(tx store.Tx) error { return r.prove(tx, policy.Proof{Method: m}, m.String()) })
		case d.Verdict == policy.Enroll:
			add(m.String()+", set up now", func(tx store.Tx) error { return r.enroll(tx, m) })
		case firstTime:
			add("email_code, then "+m.String()+", set up now", func(tx store.Tx) error { return r.comeFirst(tx, m) })
		case m == policy.EmailCode || m == policy.Social:
			add(m.String(), func(tx store.Tx) error { return r.arrive(tx, m) })
		case m == policy.Passkey && has.Has(m):
			add("passkey that verifies its user", func(tx store.Tx) error {
				return r.prove(tx, policy.Proof{Method: m, UserVerified: true}, "a passkey that verifies its user")
			})
			add("passkey that does not", func(tx store.Tx) error {
				return r.prove(tx, policy.Proof{Method: m}, "a passkey that does not verify its user")
			})
		case has.Has(m):
			add(m.String(), func(tx store.Tx) error { return r.prove(tx, policy.Proof{Method: m}, m.String()) })
		}
	}
	return ways, nil
}

func (r *rehearsal) connections(tx store.Tx, d policy.Decision) (conns []tenancy.Connection, err error) {
	if d.Organization == "" {
		return nil, nil // only the address could tell, and it does not
	}
	for c, err := range tx.Connections(tenancy.OrgID(d.Organization)) {
		if err != nil {
			return nil, err
		}
		if !c.Disabled && (d.Connection == "" || string(c.ID) == d.Connection) {
			conns = append(conns, c)
		}
	}
	slices.SortFunc(conns, func(a, b tenancy.Connection) int { return strings.Compare(a.Name, b.Name) })
	return conns, nil
}

// assert takes the identity provider as having answered.
func (r *rehearsal) assert(tx store.Tx, c tenancy.Connection) error {
	subject, err := r.subject(tx, c)
	if err != nil {
		return err
	}
	o, err := tx.Organization(c.Organization)
	if err != nil {
		return err
	}
	in, err := tenancy.SignIn(tx, r.cfg.Rules(), tenancy.Assertion{Connection: c.ID, Organization: c.Organization, Subject: subject, Email: r.email}, r.now)
	if err != nil {
		if !isAnswer(err) {
			return err
		}
		return r.stop("refuse", fmt.Sprintf("Connection %s of %s says that this is %s, and that is refused: %v.", c.Name, o.Slug, r.email, err))
	}
	vouches := fmt.Sprintf("Connection %s of %s vouches for %s", c.Name, o.Slug, r.email)
	if in.ConfinedTo != "" {
		vouches += ", in " + string(o.Slug) + " alone"
	}
	if in.NewMember {
		r.say("join", fmt.Sprintf("%s, and its just-in-time membership makes an active member of %s with the role %s.",
			vouches, o.Slug, strings.Join(in.Membership.Roles, ", ")))
	} else {
		r.say("proved", vouches+".")
	}
	p := policy.Proof{Method: policy.SSO, Connection: string(c.ID), Organization: string(c.Organization)}
	return r.keep(tx, in.User.ID, p, &session.UpstreamSession{Connection: c.ID, Organization: c.Organization, Subject: subject}, in.ConfinedTo)
}

// isAnswer reports whether a sign-in was refused, rather than that it failed.
func isAnswer(err error) bool {
	for _, refusal := range []error{tenancy.ErrNotVouched, tenancy.ErrEmailUnproved, tenancy.ErrIdentityConflict, tenancy.ErrSingleWorkspace, tenancy.ErrNotMember, tenancy.ErrNotFound} {
		if errors.Is(err, refusal) {
			return true
		}
	}
	return false
}

// subject is how the provider knows the person: as it did, or else for the first time.
func (r *rehearsal) subject(tx store.Tx, c tenancy.Connection) (string, error) {
	u, err := tx.UserByEmail(r.email)
	if errors.Is(err, tenancy.ErrNotFound) {
		return r.email, nil
	}
	if err != nil {
		return "", err
	}
	for i, err := range tx.Identities(u.ID) {
		if err != nil {
			return "", err
		}
		if i.Connection == c.ID {
			return i.Subject, nil
		}
	}
	return r.email, nil
}

// arrive takes the address as proved: by a code that was sent to it, or by a social provider
// that has proved it.
func (r *rehearsal) arrive(tx store.Tx, m policy.Method) error {
	text := r.email + " is proved by " + m.String()
	in, err := tenancy.SignInByAddress(tx, r.cfg.Rules(), tenancy.Proven{Email: r.email}, r.now)
	switch {
	case errors.Is(err, tenancy.ErrNotMember):
		return r.stop("refuse", text+", and no account is made: sign_in.sign_up is invitation, and neither an invitation nor the auto_join of a verified domain is there for it.")
	case errors.Is(err, tenancy.ErrIdentityConflict):
		return r.stop("refuse", text+", but an organization's provider knew this person, whose domain it is not any more: orgate user unlink says that it is the same person.")
	case err != nil:
		return err
	}
	if in.NewUser {
		text += ", and an account is made"
	}
	r.say("proved", text+".")
	return r.keep(tx, in.User.ID, policy.Proof{Method: m}, nil, "")
}

// comeFirst is for whoever has none of the factors that are asked for: they prove the address, and set
// one up.
func (r *rehearsal) comeFirst(tx store.Tx, m policy.Method) error {
	if err := r.arrive(tx, policy.EmailCode); err != nil {
		return err
	}
	if err := setUp(tx, r.session.User, m); err != nil {
		return err
	}
	return r.prove(tx, policy.Proof{Method: m, UserVerified: m == policy.Passkey}, m.String()+", which is set up now")
}

func (r *rehearsal) enroll(tx store.Tx, m policy.Method) error {
	if err := setUp(tx, r.session.User, m); err != nil {
		return err
	}
	return r.prove(tx, policy.Proof{Method: m}, m.String()+", which is set up now")
}

// prove takes a local factor of the person as shown.
func (r *rehearsal) prove(tx store.Tx, p policy.Proof, what string) error {
	r.say("proved", "The person shows "+what+".")
	user := r.session.User
	if user == "" {
		u, err := tx.UserByEmail(r.email)
		if err != nil {
			return err
		}
		user = u.ID
	}
	return r.keep(tx, user, p, nil, "")
}

// keep adds a proof to the session.
func (r *rehearsal) keep(tx store.Tx, user tenancy.UserID, p policy.Proof, up *session.UpstreamSession, confined tenancy.OrgID) (err error) {
	p.At = r.now
	if r.session.ID == "" {
		limits := session.Limits{Idle: r.cfg.Session.Idle, Absolute: r.cfg.Session.Absolute}
		r.session, _, err = session.Begin(tx, user, p, up, confined, session.Browser{}, limits, r.now)
	} else {
		r.session, _, err = session.AddProof(tx, r.session.ID, p, up, confined, r.now)
	}
	return err
}

// decide judges the request, if there is one, as the proxy would at the first app: by the rule
// that matches, and by those that would if the app took the path for one in another case, or a
// method that no rule can name for another.
func (r *rehearsal) decide(f *policy.Facts, o tenancy.Organization) (policy.Decision, error) {
	if r.path == "" {
		return policy.Decide(f), nil
	}
	path, err := policy.CanonicalPath(r.path)
	if err != nil {
		return policy.Decision{}, fmt.Errorf("--path: %w", err)
	}
	app := r.cfg.Apps[0]
	f.Request = policy.Request{Method: strings.ToUpper(r.method), Path: path, Host: string(app.Host.Host(o.Slug)), RemoteIP: r.ip, Country: r.country}
	f.Rule = app.Rules.Match(f.Request.Method, path)
	return app.Rules.Decide(f), nil
}

func (r *rehearsal) say(what, why string) { r.said = append(r.said, saying{what, why}) }

func (r *rehearsal) stop(what, why string) error {
	r.say(what, why)
	return errStop
}

// brief tells of the way in one line: what was chosen, and how it ends.
func (r *rehearsal) brief() string {
	var names []string
	for _, c := range r.choices {
		names = append(names, c.name)
	}
	text := strings.Join(names, ", then ")
	if len(r.said) == 0 {
		return text
	}
	end := r.said[len(r.said)-1]
	if text += ": " + end.what; end.what != policy.Allow.String() {
		text += ": " + end.why
	}
	return text
}
