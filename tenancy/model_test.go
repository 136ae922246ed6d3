package tenancy_test

import (
	"encoding/json"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// A model is what memberships should be, told by the table of transitions alone: two
// organizations, three people. The store must agree with it after every step, and so must
// what the events say, when all that is known is the events.
type model struct {
	state map[[2]string]policy.Standing
	role  map[[2]string]string
}

func TestMembershipsFollowTheModelWhateverHappens(t *testing.T) {
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		w := newWorld(t)
		w.autoJoin()
		acme, globex := w.acme, w.globex
		people := []tenancy.User{w.user("jo@acme.com", true), w.user("flo@acme.com", true), w.user("guest@else.test", true)}
		w.events()
		mo := model{map[[2]string]policy.Standing{}, map[[2]string]string{}}
		byEvents := map[[2]string]policy.Standing{}
		rules := anyRules
		rules.SingleWorkspace = seed%2 == 1
		names := slices.Sorted(maps.Keys(actions))
		for step := range 150 {
			u := people[rnd.IntN(len(people))]
			org, other := acme, globex
			if rnd.IntN(3) == 0 {
				org, other = globex, acme
			}
			name := names[rnd.IntN(len(names))]
			at := *w
			at.acme = org // the actions act on this one

			key := [2]string{string(org.ID), string(u.ID)}
			elsewhere := mo.state[[2]string{string(other.ID), string(u.ID)}]
			mayJoin := org.ID == acme.ID && tenancy.EmailDomain(u.Email) == "acme.com"
			event, want := mo.step(rules, key, name, elsewhere, mayJoin)

			err := w.try(func(tx store.Tx) error { return actions[name](tx, rules, &at, u.ID) })
			if !errors.Is(err, want) || (err == nil) != (want == nil) {
				t.Fatalf("seed %d, step %d: %s of %s in %s: got %v, want %v", seed, step, name, u.Email, org.Slug, err, want)
			}
			m := w.membership(org.ID, u.ID)
			if m.Status != mo.state[key] || (m.Status != none && m.Roles[0] != mo.role[key]) {
				t.Fatalf("seed %d, step %d: %s: membership is %s with %q, want %s with %q", seed, step, name, m.Status, m.Roles, mo.state[key], mo.role[key])
			}
			for _, e := range w.changes() {
				if e.Name != event {
					t.Fatalf("seed %d, step %d: %s: event %s, want %q", seed, step, name, e.Name, event)
				}
				event = ""
				byEvents[[2]string{e.Organization, e.User}] = statusIn(t, e)
			}
			if event != "" {
				t.Fatalf("seed %d, step %d: %s: no event, want %s", seed, step, name, event)
			}
			if byEvents[key] != m.Status {
				t.Fatalf("seed %d, step %d: %s: the events say %s, the store %s", seed, step, name, byEvents[key], m.Status)
			}
		}
	}
}

// step changes the model by the table, and returns the error and the event that are due.
func (mo *model) step(r tenancy.Rules, key [2]string, name string, elsewhere policy.Standing, mayJoin bool) (event string, err error) {
	from := mo.state[key]
	i := slices.IndexFunc(transitions, func(tt transition) bool { return tt.from == from && tt.action == name })
	tt := transitions[i]
	if name == "join" && from == none && !mayJoin {
		return "", tenancy.ErrNotMember
	}
	if r.SingleWorkspace && tt.to == active && from != active && (elsewhere == active || elsewhere == inactive) {
		return "", tenancy.ErrSingleWorkspace
	}
	if tt.err != nil {
		return "", tt.err
	}
	role := tt.role
	if role == "auditor" {
		role = mo.role[key] // the table's word for the role it had
	}
	event = tt.event
	if name == "set roles" && mo.role[key] == "admin" {
		event = ""
	}
	mo.state[key], mo.role[key] = tt.to, role
	return event, nil
}

func statusIn(t *testing.T, e audit.Event) policy.Standing {
	if e.Name == audit.MembershipDeleted {
		return none
	}
	var d struct{ Status policy.Standing }
	if err := json.Unmarshal(e.Data, &d); err != nil {
		t.Fatal(err)
	}
	return d.Status
}
