package session

import (
	"cmp"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/tenancy"
)

// A Regime is under what people sign in.
type Regime struct {
	Settings Settings
	// Offered: see [policy.Facts].
	Offered policy.Methods
}

// A Person is somebody who is known: who they are, what they have set up, and where they
// belong.
type Person struct {
	User        tenancy.User
	Enrolled    policy.Methods
	Memberships []tenancy.Membership
}

// A Change is what another regime means for somebody who wants in.
type Change uint8

// The changes.
const (
	// Unchanged: what was enough is enough, and nothing less is.
	Unchanged Change = iota
	// LockedOut: there was a way in, and is none any more.
	LockedOut
	// LetIn: there was no way in, and is one.
	LetIn
	// AskedMore: a way in is not enough any more, or not for as long.
	AskedMore
	// AskedLess: every way in is enough still, and there is a new one, or one lasts longer.
	AskedLess

	changes = iota
)

// String returns the change in words.
func (c Change) String() string {
	return [changes]string{"unchanged", "locked out", "let in", "asked for more", "asked for less"}[c]
}

// An Impact is what another regime means for the people who enter one organization.
type Impact struct {
	// Organization that they enter; empty: the login host alone, for people who are
	// members of none.
	Organization tenancy.OrgID
	Slug         tenancy.Slug
	// Counts are of people, by [Change]; Names are the addresses of the first of them.
	Counts [changes]int
	Names  [changes][]string
	// Obstacles say why people are locked out: each reason once, the first few.
	Obstacles []string
}

// maxObstacles is how many reasons are kept of each organization.
const maxObstacles = 3

// A Comparison judges known people under two regimes. It reads settings, and nothing else:
// whoever makes it says who there is.
type Comparison struct {
	before, after regime
	now           time.Time
	names         int
	impacts       map[tenancy.OrgID]*Impact
	judged        map[circumstance]verdict
	people        int
}

// NewComparison begins a comparison that keeps so many names of each organization and change.
func NewComparison(before, after Regime, names int, now time.Time) *Comparison {
	return &Comparison{
		before: newRegime(before), after: newRegime(after), now: now, names: names,
		impacts: map[tenancy.OrgID]*Impact{}, judged: map[circumstance]verdict{},
	}
}

// A circumstance is all that the ways of a person depend on, beside the regime: people of one
// are judged together.
type circumstance struct {
	organization tenancy.OrgID
	standing     policy.Standing
	domain       string
	enrolled     policy.Methods
}

type verdict struct {
	change   Change
	obstacle string
}

// Add judges how a person enters each organization that they are an active member of; with
// none, how they sign in on the login host.
func (c *Comparison) Add(p Person) error {
	c.people++
	alone := true
	for _, m := range p.Memberships {
		if m.Status != policy.Active {
			continue
		}
		alone = false
		if err := c.add(p, m.Organization, m.Status); err != nil {
			return err
		}
	}
	if alone {
		return c.add(p, "", policy.NoMember)
	}
	return nil
}

func (c *Comparison) add(p Person, org tenancy.OrgID, standing policy.Standing) error {
	at := circumstance{org, standing, tenancy.EmailDomain(p.User.Email), p.Enrolled}
	v, ok := c.judged[at]
	if !ok {
		var err error
		if v, err = c.judge(p.User.Email, at); err != nil {
			return err
		}
		c.judged[at] = v
	}
	i, err := c.impact(org)
	if err != nil {
		return err
	}
	i.Counts[v.change]++
	if v.change == Unchanged {
		return nil
	}
	if len(i.Names[v.change]) < c.names {
		i.Names[v.change] = append(i.Names[v.change], p.User.Email)
	}
	if v.change == LockedOut && len(i.Obstacles) < maxObstacles && !slices.Contains(i.Obstacles, v.obstacle) {
		i.Obstacles = append(i.Obstacles, v.obstacle)
	}
	return nil
}

func (c *Comparison) impact(org tenancy.OrgID) (*Impact, error) {
	if i, ok := c.impacts[org]; ok {
		return i, nil
	}
	i := &Impact{Organization: org}
	for _, r := range []*regime{&c.after, &c.before} {
		k, err := r.lookUp(org)
		if err != nil {
			return nil, err
		}
		i.Slug = cmp.Or(i.Slug, k.Slug)
	}
	c.impacts[org] = i
	return i, nil
}

// People is how many were added.
func (c *Comparison) People() int { return c.people }

// Impacts are those of the organizations for whose people something changes, by slug.
func (c *Comparison) Impacts() []Impact {
	var all []Impact
	for _, i := range c.impacts {
		if i.Counts != ([changes]int{Unchanged: i.Counts[Unchanged]}) {
			all = append(all, *i)
		}
	}
	slices.SortFunc(all, func(a, b Impact) int { return strings.Compare(string(a.Slug), string(b.Slug)) })
	return all
}

// Total adds up impacts: people who enter several organizations count in each.
func Total(impacts []Impact) (counts [changes]int) {
	for i := range impacts {
		for change, n := range impacts[i].Counts {
			counts[change] += n
		}
	}
	return counts
}

// judge compares the ways in.
func (c *Comparison) judge(email string, at circumstance) (verdict, error) {
	before, was, _, err := c.before.ways(email, at, c.now)
	if err != nil {
		return verdict{}, err
	}
	after, is, obstacle, err := c.after.ways(email, at, c.now)
	if err != nil {
		return verdict{}, err
	}
	switch {
	case len(was) == 0 && len(is) == 0:
		return verdict{}, nil
	case len(is) == 0:
		return verdict{LockedOut, obstacle}, nil
	case len(was) == 0:
		return verdict{change: LetIn}, nil
	}
	for _, w := range was {
		if ok, err := c.after.good(w, after); err != nil || !ok {
			return verdict{change: AskedMore}, err
		}
	}
	for _, w := range is {
		if ok, err := c.before.good(w, before); err != nil || !ok {
			return verdict{change: AskedLess}, err
		}
	}
	return verdict{}, nil
}

// A regime is a Regime and what was read of it.
type regime struct {
	Regime
	orgs map[tenancy.OrgID]known
}

func newRegime(r Regime) regime { return regime{r, map[tenancy.OrgID]known{}} }

// settingsTx is a transaction of which nothing but the settings may be asked.
type settingsTx struct {
	Tx
	settings Settings
}

func (t settingsTx) Organization(id tenancy.OrgID) (tenancy.Organization, error) {
	return t.settings.Organization(id)
}

func (t settingsTx) Connections(id tenancy.OrgID) iter.Seq2[tenancy.Connection, error] {
	return t.settings.Connections(id)
}

func (t settingsTx) VerifiedDomain(name string) (tenancy.Domain, error) {
	return t.settings.VerifiedDomain(name)
}

func (r *regime) lookUp(id tenancy.OrgID) (known, error) {
	g := gathering{tx: settingsTx{settings: r.Settings}, orgs: r.orgs}
	return g.lookUp(id)
}

// ways gathers the facts of somebody who is not signed in yet, as [Gather] does, and returns
// with them every way in.
func (r *regime) ways(email string, at circumstance, now time.Time) (f policy.Facts, ways []policy.Way, obstacle string, err error) {
	g := gathering{tx: settingsTx{settings: r.Settings}, orgs: r.orgs, q: Query{Organization: at.organization}}
	g.view.Facts = policy.Facts{
		Now: now, Organization: string(at.organization), OrganizationActive: at.organization == "",
		Offered: r.Offered, Enrolled: at.enrolled, Standing: at.standing, Email: email,
	}
	for _, step := range []func() error{g.organization, g.domain} {
		if err := step(); err != nil {
			return f, nil, "", err
		}
	}
	f = g.view.Facts
	ways, obstacle = policy.Ways(f, r.answering)
	return f, ways, obstacle, nil
}

// answering are the ids of the connections of an organization that is known already.
func (r *regime) answering(org string) (ids []string) {
	for _, c := range r.orgs[tenancy.OrgID(org)].active {
		ids = append(ids, string(c.ID))
	}
	return ids
}

// good reports whether a way of the other regime can be gone here, is enough, and for as long.
func (r *regime) good(w policy.Way, f policy.Facts) (bool, error) {
	for _, p := range w.Proofs {
		if p.Method != policy.SSO {
			if !r.Offered.Has(p.Method) {
				return false, nil
			}
			continue
		}
		k, err := r.lookUp(tenancy.OrgID(p.Organization))
		if err != nil {
			return false, err
		}
		if !r.Offered.Has(policy.SSO) || !slices.ContainsFunc(k.active, func(c tenancy.Connection) bool { return string(c.ID) == p.Connection }) {
			return false, nil
		}
	}
	ok, again := w.Suffices(f)
	return ok && (again == 0 || w.For != 0 && again >= w.For), nil
}
