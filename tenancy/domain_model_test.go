package tenancy_test

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// A claimKey is a domain in an organization.
type claimKey struct {
	org  tenancy.OrgID
	name string
}

// A claimModel is what is known of a claim from outside: what was said of it, and what looks
// into the DNS have seen.
type claimModel struct {
	state    tenancy.DomainState
	manual   bool
	since    time.Time   // when the hope began
	warnings []time.Time // since the record was seen last
}

// The DNS, as the model has it: whose record is there, and whether the servers answer.
type zone struct {
	record map[tenancy.OrgID]bool
	broken bool
}

func (z zone) sees(org tenancy.OrgID) tenancy.Sighting {
	switch {
	case z.broken:
		return tenancy.Unclear
	case z.record[org]:
		return tenancy.Present
	default:
		return tenancy.Absent
	}
}

// Two organizations that claim, prove, lose and give up two domains in any order. After each
// step the store has what the model has, and the events alone tell the same story.
func TestDomainsFollowTheModelWhateverHappens(t *testing.T) {
	reached := map[tenancy.Change]int{}
	for seed := range uint64(25) {
		m := &domainModel{w: newWorld(t), seed: seed, claims: map[claimKey]*claimModel{}, told: map[claimKey]tenancy.DomainState{}, zones: map[string]*zone{}, reached: reached}
		for _, n := range []string{"one.example", "two.example"} {
			m.zones[n] = &zone{record: map[tenancy.OrgID]bool{}}
		}
		m.run(rand.New(rand.NewPCG(seed, 2)))
	}
	for _, c := range []tenancy.Change{tenancy.ChangeVerified, tenancy.ChangeTaken, tenancy.ChangeExpired, tenancy.ChangeLapsing, tenancy.ChangeRecovered, tenancy.ChangeLapsed} {
		if reached[c] == 0 {
			t.Errorf("it never came to %s: %v", c, reached)
		}
	}
}

type domainModel struct {
	w       *world
	seed    uint64
	step    int
	claims  map[claimKey]*claimModel
	zones   map[string]*zone
	told    map[claimKey]tenancy.DomainState // by the events
	reached map[tenancy.Change]int
}

func (m *domainModel) fatalf(format string, args ...any) {
	m.w.t.Helper()
	m.w.t.Fatalf("seed %d, step %d: "+format, append([]any{m.seed, m.step}, args...)...)
}

func (m *domainModel) run(rnd *rand.Rand) {
	w := m.w
	for m.step = range 250 {
		org, name := w.acme, "one.example"
		if rnd.IntN(2) == 0 {
			org = w.globex
		}
		if rnd.IntN(2) == 0 {
			name = "two.example"
		}
		key, z := claimKey{org.ID, name}, m.zones[name]
		switch rnd.IntN(12) {
		case 0, 1:
			m.set(key, rnd.IntN(4) == 0)
		case 2:
			m.set(key, false)
		case 3:
			if rnd.IntN(3) == 0 {
				m.drop(key)
			}
		case 4:
			z.record[org.ID] = true
		case 5:
			if rnd.IntN(2) == 0 {
				delete(z.record, org.ID)
			}
		case 6:
			z.broken = !z.broken
		case 7:
			m.verify(key)
		default: // time, with checks every few hours, or none for weeks
			w.now = w.now.Add(time.Duration(1+rnd.IntN(24*3)) * time.Hour)
			if rnd.IntN(20) == 0 {
				w.now = w.now.Add(20 * day)
			}
		}
		if rnd.IntN(4) != 0 {
			m.check()
		}
		m.compare()
	}
}

// set says that the organization has the domain, or that it claims it.
func (m *domainModel) set(key claimKey, verified bool) {
	err := m.w.try(func(tx store.Tx) error {
		return tenancy.SetDomains(tx, key.org, m.said(key, tenancy.DomainClaim{Name: key.name, Verified: verified}), operator, m.w.now)
	})
	if owner := m.ownerOf(key.name); verified && owner != "" && owner != key.org {
		if !errors.Is(err, tenancy.ErrTaken) {
			m.fatalf("said to be a second one's: %v", err)
		}
		return
	}
	if err != nil {
		m.fatalf("set: %v", err)
	}
	c := m.claims[key]
	switch {
	case verified:
		m.claims[key] = &claimModel{state: tenancy.DomainVerified, manual: true}
	case c == nil, c.state == tenancy.DomainVerified && c.manual:
		m.claims[key] = &claimModel{state: tenancy.DomainPending, since: m.w.now}
	}
}

// said are all that is said of the organization's domains, with c.
func (m *domainModel) said(key claimKey, more ...tenancy.DomainClaim) []tenancy.DomainClaim {
	for k, c := range m.claims {
		if k.org == key.org && k.name != key.name {
			more = append(more, tenancy.DomainClaim{Name: k.name, Verified: c.state == tenancy.DomainVerified && c.manual})
		}
	}
	slug := "acme.com"
	if key.org == m.w.globex.ID {
		slug = "globex.com"
	}
	return append(more, tenancy.DomainClaim{Name: slug, Verified: true})
}

func (m *domainModel) drop(key claimKey) {
	if err := m.w.try(func(tx store.Tx) error { return tenancy.SetDomains(tx, key.org, m.said(key), operator, m.w.now) }); err != nil {
		m.fatalf("drop: %v", err)
	}
	delete(m.claims, key)
}

func (m *domainModel) verify(key claimKey) {
	var check tenancy.Check
	err := m.w.try(func(tx store.Tx) (err error) {
		check, err = tenancy.StartCheck(tx, key.org, key.name, operator, m.w.now)
		return err
	})
	switch c := m.claims[key]; {
	case c == nil:
		if !errors.Is(err, tenancy.ErrNotFound) {
			m.fatalf("verify what is not claimed: %v", err)
		}
		return
	case c.state == tenancy.DomainVerified && c.manual:
		if !errors.Is(err, tenancy.ErrState) {
			m.fatalf("verify what is said: %v", err)
		}
		return
	case c.state == tenancy.DomainFailed:
		c.state, c.since, c.warnings = tenancy.DomainPending, m.w.now, nil
	}
	if err != nil {
		m.fatalf("verify: %v", err)
	}
	m.conclude(check)
}

func (m *domainModel) check() {
	for _, c := range m.w.due() {
		m.conclude(c)
	}
}

// conclude is the model's own idea of what a look may change.
func (m *domainModel) conclude(check tenancy.Check) {
	key := claimKey{check.Domain.Organization, check.Domain.Name}
	c, now := m.claims[key], m.w.now
	if c == nil || c.manual && c.state == tenancy.DomainVerified || c.state == tenancy.DomainFailed {
		m.fatalf("%v is looked for: %+v", key, c)
	}
	seen := m.zones[key.name].sees(key.org)
	_, got := m.w.conclude(check, seen)
	want := tenancy.NoChange
	switch {
	case c.state == tenancy.DomainPending && seen == tenancy.Present && m.ownerOf(key.name) == "":
		want, *c = tenancy.ChangeVerified, claimModel{state: tenancy.DomainVerified}
	case c.state == tenancy.DomainPending && seen == tenancy.Present:
		want, c.state = tenancy.ChangeTaken, tenancy.DomainFailed
	case c.state == tenancy.DomainPending && now.Sub(c.since) >= 30*day:
		want, c.state = tenancy.ChangeExpired, tenancy.DomainFailed
	case c.state == tenancy.DomainPending, seen == tenancy.Unclear:
	case seen == tenancy.Present:
		if len(c.warnings) > 0 {
			want = tenancy.ChangeRecovered
		}
		c.warnings = nil
	case len(c.warnings) > 0 && now.Sub(c.warnings[len(c.warnings)-1]) < day:
	case len(c.warnings) == 7:
		if now.Sub(c.warnings[0]) < 7*day {
			m.fatalf("%v is to lapse after %v", key, now.Sub(c.warnings[0]))
		}
		want, c.state = tenancy.ChangeLapsed, tenancy.DomainFailed
	default:
		want = tenancy.ChangeLapsing
		c.warnings = append(c.warnings, now)
	}
	if got != want {
		m.fatalf("%v: a look that came to %d changed %q, want %q", key, seen, got, want)
	}
	m.reached[got]++
}

func (m *domainModel) ownerOf(name string) (owner tenancy.OrgID) {
	for k, c := range m.claims {
		if k.name == name && c.state == tenancy.DomainVerified {
			if owner != "" {
				m.fatalf("%s has two owners", name)
			}
			owner = k.org
		}
	}
	return owner
}

// compare holds the store and the events against the model.
func (m *domainModel) compare() {
	m.listen()
	for name := range m.zones {
		if got, want := m.w.owner(name), m.ownerOf(name); got != want {
			m.fatalf("%s is %q's, want %q's", name, got, want)
		}
	}
	for _, org := range []tenancy.OrgID{m.w.acme.ID, m.w.globex.ID} {
		for name := range m.zones {
			key := claimKey{org, name}
			c := m.claims[key]
			var d tenancy.Domain
			m.w.must(func(tx store.Tx) error { d, _ = tx.Domain(org, name); return nil })
			if c == nil {
				if d.ID != "" || m.told[key] != "" {
					m.fatalf("%v is there, and nobody claims it: %+v", key, d)
				}
				continue
			}
			if d.State != c.state || (d.Strategy == tenancy.StrategyManual) != c.manual && d.State == tenancy.DomainVerified {
				m.fatalf("%v is %s by %s, want %+v", key, d.State, d.Strategy, c)
			}
			if m.told[key] != d.State {
				m.fatalf("%v: the events say %s, the store %s", key, m.told[key], d.State)
			}
			// What can change by a look is looked for, and nothing else is.
			looked := d.State == tenancy.DomainPending || d.State == tenancy.DomainVerified && d.Strategy == tenancy.StrategyDNS
			if looked == d.Checks.Next.IsZero() {
				m.fatalf("%v is %s, and its next check is at %v", key, d.State, d.Checks.Next)
			}
		}
	}
}

// listen takes the story from the events alone.
func (m *domainModel) listen() {
	for _, e := range m.w.changes() {
		var data struct {
			Domain string
			State  tenancy.DomainState
			Failed struct {
				Domain string
				State  tenancy.DomainState
			} `json:"organization_domain"`
		}
		if err := json.Unmarshal(e.Data, &data); err != nil {
			m.fatalf("%s: %v", e.Name, err)
		}
		key := claimKey{tenancy.OrgID(e.Organization), data.Domain + data.Failed.Domain}
		if _, ours := m.zones[key.name]; !ours || !slices.Contains([]tenancy.OrgID{m.w.acme.ID, m.w.globex.ID}, key.org) {
			m.fatalf("%s is of %v", e.Name, key)
		}
		m.told[key] = data.State + data.Failed.State
		if e.Name == audit.DomainDeleted {
			delete(m.told, key)
		}
	}
}
