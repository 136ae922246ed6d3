package tenancy_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

func (w *world) tryInvite(n tenancy.NewInvitation) (i tenancy.Invitation, token tenancy.InvitationToken, err error) {
	w.t.Helper()
	err = w.try(func(tx store.Tx) (err error) {
		i, token, err = tenancy.Invite(tx, anyRules, n, operator, w.now)
		return err
	})
	return i, token, err
}

func (w *world) invite(org tenancy.OrgID, email string) tenancy.Invitation {
	w.t.Helper()
	i, _, err := w.tryInvite(tenancy.NewInvitation{Email: email, Organization: org})
	if err != nil {
		w.t.Fatal(err)
	}
	return i
}

func (w *world) revoke(i tenancy.Invitation) {
	w.t.Helper()
	w.must(func(tx store.Tx) error {
		_, err := tenancy.RevokeInvitation(tx, i.ID, operator, w.now)
		return err
	})
}

func (w *world) tryAccept(i tenancy.InvitationID, u tenancy.UserID) (m tenancy.Membership, err error) {
	w.t.Helper()
	err = w.try(func(tx store.Tx) (err error) {
		_, m, err = tenancy.AcceptInvitation(tx, anyRules, i, u, w.now)
		return err
	})
	return m, err
}

func (w *world) lookUp(token tenancy.InvitationToken) (i tenancy.Invitation, err error) {
	w.t.Helper()
	err = w.try(func(tx store.Tx) (err error) {
		i, err = tenancy.LookUpInvitation(tx, token, w.now)
		return err
	})
	return i, err
}

func TestAnInvitationMakesAPendingMembershipAndAcceptingItAnActiveOne(t *testing.T) {
	w := newWorld(t)
	i, token, err := w.tryInvite(tenancy.NewInvitation{Email: "Jo@ELSE.test", Organization: w.acme.ID, Roles: []string{"admin"}})
	if err != nil || i.Email != "jo@else.test" || !strings.HasPrefix(string(i.ID), "invitation_") || !i.ExpiresAt.Equal(w.now.Add(7*24*time.Hour)) {
		t.Fatalf("%+v, %v", i, err)
	}
	w.wantEvents(audit.UserCreated, audit.MembershipCreated, audit.InvitationCreated)
	if m := w.membership(w.acme.ID, i.User); m.Status != pending || m.Roles[0] != "admin" {
		t.Errorf("membership is %+v", m)
	}
	if found, err := w.lookUp(token); err != nil || found.ID != i.ID {
		t.Errorf("by its token: %+v, %v", found, err)
	}
	if _, err := w.tryAccept(i.ID, i.User); !errors.Is(err, tenancy.ErrNotInvited) {
		t.Errorf("accepted with an address that nobody has proved: %v", err)
	}
	u := w.address("jo@else.test").User
	w.events()
	m, err := w.tryAccept(i.ID, u.ID)
	if err != nil || m.Status != active || m.Roles[0] != "admin" || u.ID != i.User {
		t.Errorf("%+v, %v", m, err)
	}
	w.wantEvents(audit.MembershipUpdated, audit.InvitationAccepted)
	if _, err := w.tryAccept(i.ID, u.ID); !errors.Is(err, tenancy.ErrInviteAccepted) || !errors.Is(err, tenancy.ErrInviteNotPending) {
		t.Errorf("accepted twice: %v", err)
	}
	if _, err := w.lookUp(token); err == nil {
		t.Error("a token that was used finds its invitation")
	}
	w.wantEvents()
}

func TestWhoCanNotBeInvitedIsNamed(t *testing.T) {
	for _, tt := range []struct {
		name   string
		before func(w *world)
		n      func(w *world) tenancy.NewInvitation
		want   error
	}{
		{"no address", nil, func(w *world) tenancy.NewInvitation { return tenancy.NewInvitation{Email: "jo"} }, nil},
		{"a member", func(w *world) { w.set(w.acme.ID, w.user("jo@else.test", true).ID, active) }, nil, tenancy.ErrAlreadyMember},
		{"a deactivated member", func(w *world) { w.set(w.acme.ID, w.user("jo@else.test", true).ID, inactive) }, nil, tenancy.ErrDeactivated},
		{"invited already", func(w *world) { w.invite(w.acme.ID, "jo@else.test") }, nil, tenancy.ErrInvited},
		{"no such role", nil, func(w *world) tenancy.NewInvitation {
			return tenancy.NewInvitation{Email: "jo@else.test", Organization: w.acme.ID, Roles: []string{"emperor"}}
		}, tenancy.ErrNoRole},
		{"a role of no organization", nil, func(w *world) tenancy.NewInvitation {
			return tenancy.NewInvitation{Email: "jo@else.test", Roles: []string{"admin"}}
		}, tenancy.ErrNoRole},
		{"no organization of that id", nil, func(w *world) tenancy.NewInvitation {
			return tenancy.NewInvitation{Email: "jo@else.test", Organization: "org_none"}
		}, tenancy.ErrNotFound},
		{"a suspended organization", func(w *world) {
			w.must(func(tx store.Tx) error { return tenancy.Suspend(tx, w.acme.ID, operator, w.now) })
		}, nil, tenancy.ErrNotFound},
		{"no inviter of that id", nil, func(w *world) tenancy.NewInvitation {
			return tenancy.NewInvitation{Email: "jo@else.test", Organization: w.acme.ID, Inviter: "user_none"}
		}, tenancy.ErrNotFound},
		{"no days", nil, func(w *world) tenancy.NewInvitation {
			return tenancy.NewInvitation{Email: "jo@else.test", ExpiresInDays: new(0)}
		}, tenancy.ErrExpiresTooSoon},
		{"31 days", nil, func(w *world) tenancy.NewInvitation {
			return tenancy.NewInvitation{Email: "jo@else.test", ExpiresInDays: new(31)}
		}, tenancy.ErrExpiresTooLate},
		{"to the app, with an account", func(w *world) { w.user("jo@else.test", true) }, func(w *world) tenancy.NewInvitation {
			return tenancy.NewInvitation{Email: "jo@else.test"}
		}, tenancy.ErrUserExists},
		{"to the app, invited already", func(w *world) { w.invite("", "jo@else.test") }, func(w *world) tenancy.NewInvitation {
			return tenancy.NewInvitation{Email: "jo@else.test"}
		}, tenancy.ErrInvited},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			if tt.before != nil {
				tt.before(w)
			}
			w.events()
			n := tenancy.NewInvitation{Email: "jo@else.test", Organization: w.acme.ID}
			if tt.n != nil {
				n = tt.n(w)
			}
			if i, token, err := w.tryInvite(n); err == nil || tt.want != nil && !errors.Is(err, tt.want) || i.ID != "" || token.Reveal() != "" {
				t.Errorf("got %+v, %v; want %v", i, err, tt.want)
			}
			w.wantEvents()
		})
	}
}

func TestAnInvitationToTheAppAndOneToAnOrganizationAreTwo(t *testing.T) {
	w := newWorld(t)
	w.invite(w.acme.ID, "jo@else.test")
	w.invite(w.globex.ID, "jo@else.test")
	w.invite("", "jo@else.test")
	w.events()
	u := w.address("jo@else.test").User
	// Whoever has an account has what the app invites to; joining takes a click for each.
	w.wantEvents(audit.UserUpdated, audit.InvitationAccepted)
	var open []tenancy.Invitation
	w.must(func(tx store.Tx) (err error) { open, err = tenancy.OpenInvitations(tx, u, w.now); return err })
	if len(open) != 2 || w.membership(w.acme.ID, u.ID).Status != pending {
		t.Errorf("open are %+v", open)
	}
}

func TestAnInvitationIsOverAtTheSecondAtWhichItExpires(t *testing.T) {
	for _, tt := range []struct {
		after time.Duration
		want  error
	}{{24*time.Hour - time.Second, nil}, {24 * time.Hour, tenancy.ErrInviteExpired}, {24*time.Hour + time.Second, tenancy.ErrInviteExpired}} {
		w := newWorld(t)
		u := w.user("jo@else.test", true)
		i, token, err := w.tryInvite(tenancy.NewInvitation{Email: "jo@else.test", Organization: w.acme.ID, ExpiresInDays: new(1)})
		if err != nil {
			t.Fatal(err)
		}
		w.now = w.now.Add(tt.after)
		if _, err := w.lookUp(token); !errors.Is(err, tt.want) {
			t.Errorf("after %v it is found: %v", tt.after, err)
		}
		if _, err := w.tryAccept(i.ID, u.ID); !errors.Is(err, tt.want) {
			t.Errorf("accepted after %v: %v, want %v", tt.after, err, tt.want)
		}
	}
}

func TestSendingAnInvitationAnewKillsTheLinkOfBefore(t *testing.T) {
	w := newWorld(t)
	i, old, err := w.tryInvite(tenancy.NewInvitation{Email: "jo@else.test", Organization: w.acme.ID, ExpiresInDays: new(3)})
	if err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(48 * time.Hour)
	w.events()
	var token tenancy.InvitationToken
	w.must(func(tx store.Tx) (err error) {
		i, token, err = tenancy.ResendInvitation(tx, i.ID, operator, w.now)
		return err
	})
	w.wantEvents(audit.InvitationResent)
	if !i.ExpiresAt.Equal(w.now.Add(72 * time.Hour)) {
		t.Errorf("it expires at %v", i.ExpiresAt)
	}
	if _, err := w.lookUp(old); !errors.Is(err, tenancy.ErrNotFound) {
		t.Errorf("the old link: %v", err)
	}
	if found, err := w.lookUp(token); err != nil || found.ID != i.ID {
		t.Errorf("the new link: %+v, %v", found, err)
	}
}

func TestSomebodyElseDoesNotAccept(t *testing.T) {
	w := newWorld(t)
	i := w.invite(w.acme.ID, "jo@acme.com")
	for _, email := range []string{"flo@acme.com", "jo@globex.com", "jo@mail.acme.com", "jo+1@acme.com"} {
		u := w.address(email).User
		w.events()
		if _, err := w.tryAccept(i.ID, u.ID); !errors.Is(err, tenancy.ErrNotInvited) {
			t.Errorf("%s: %v", email, err)
		}
		if w.membership(w.acme.ID, u.ID).Status != none {
			t.Errorf("%s is a member", email)
		}
		w.wantEvents()
	}
}

func TestWhoHasGivenUpTheInvitedAddressDoesNotAccept(t *testing.T) {
	w := newWorld(t)
	i, app := w.invite(w.acme.ID, "jo@else.test"), w.invite("", "flo@else.test")
	u := w.address("jo@else.test").User
	w.must(func(tx store.Tx) error {
		_, err := tenancy.ChangeEmail(tx, u.ID, "jo@new.test", operator, w.now)
		return err
	})
	for _, id := range []tenancy.InvitationID{i.ID, app.ID} {
		if _, err := w.tryAccept(id, u.ID); !errors.Is(err, tenancy.ErrNotInvited) {
			t.Errorf("%s: %v", id, err)
		}
	}
	// Nor does whoever gets it then: it is a pending membership of the other.
	if _, err := w.tryAccept(i.ID, w.address("jo@else.test").User.ID); !errors.Is(err, tenancy.ErrNotInvited) {
		t.Errorf("whoever has the address now: %v", err)
	}
}

func TestAnInvitationFallsWithTheRightOfWhoInvited(t *testing.T) {
	for _, tt := range []struct {
		name string
		then func(w *world, boss tenancy.UserID)
		want error
	}{
		{"nothing happens", func(*world, tenancy.UserID) {}, nil},
		{"one more role", func(w *world, boss tenancy.UserID) {
			w.must(func(tx store.Tx) error {
				_, err := tenancy.SetRoles(tx, anyRules, w.acme.ID, boss, tenancy.Grant{Roles: []string{"member", "admin"}}, operator, w.now)
				return err
			})
		}, nil},
		{"demoted", func(w *world, boss tenancy.UserID) {
			w.must(func(tx store.Tx) error {
				_, err := tenancy.SetRoles(tx, anyRules, w.acme.ID, boss, tenancy.Grant{Roles: []string{"member"}}, operator, w.now)
				return err
			})
		}, tenancy.ErrInviterGone},
		{"deactivated", func(w *world, boss tenancy.UserID) {
			w.must(func(tx store.Tx) error { return tenancy.DeactivateMembership(tx, w.acme.ID, boss, operator, w.now) })
		}, tenancy.ErrInviterGone},
		{"removed", func(w *world, boss tenancy.UserID) {
			w.must(func(tx store.Tx) error { return tenancy.RemoveMembership(tx, w.acme.ID, boss, operator, w.now) })
		}, tenancy.ErrInviterGone},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			boss, u := w.user("boss@acme.com", true), w.user("jo@else.test", true)
			w.must(func(tx store.Tx) error {
				_, err := tenancy.CreateMembership(tx, anyRules, w.acme.ID, boss.ID, asAdmin, operator, w.now)
				return err
			})
			i, token, err := w.tryInvite(tenancy.NewInvitation{Email: u.Email, Organization: w.acme.ID, Inviter: boss.ID})
			if err != nil {
				t.Fatal(err)
			}
			tt.then(w, boss.ID)
			if _, err := w.lookUp(token); !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
				t.Errorf("found: %v", err)
			}
			if _, err := w.tryAccept(i.ID, u.ID); !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
				t.Errorf("accepted: %v, want %v", err, tt.want)
			}
			if tt.want == nil {
				return
			}
			// Whoever sends it anew answers for it.
			w.must(func(tx store.Tx) error {
				_, _, err := tenancy.ResendInvitation(tx, i.ID, operator, w.now)
				return err
			})
			if _, err := w.tryAccept(i.ID, u.ID); err != nil {
				t.Errorf("sent anew: %v", err)
			}
		})
	}
}

func TestJITAndRemovalSettleTheInvitation(t *testing.T) {
	w := newWorld(t)
	i := w.invite(w.acme.ID, "jo@acme.com")
	w.events()
	if in := w.signIn(says(w.okta, "jo", "jo@acme.com")); in.Membership.Status != active {
		t.Fatalf("%+v", in)
	}
	w.wantEvents(audit.UserUpdated, audit.IdentityLinked, audit.MembershipUpdated, audit.InvitationAccepted)

	j := w.invite(w.acme.ID, "flo@else.test")
	w.events()
	w.must(func(tx store.Tx) error { return tenancy.RemoveMembership(tx, w.acme.ID, j.User, operator, w.now) })
	w.wantEvents(audit.MembershipDeleted, audit.InvitationRevoked)
	w.must(func(tx store.Tx) error {
		for id, want := range map[tenancy.InvitationID]tenancy.InvitationState{i.ID: tenancy.InvitationAccepted, j.ID: tenancy.InvitationRevoked} {
			if x, err := tx.Invitation(id); err != nil || x.State(w.now) != want {
				t.Errorf("%+v, %v; want %s", x, err, want)
			}
		}
		return nil
	})
}

func TestWhereOneWorkspaceIsTheMostAnInvitationToASecondIsNotAccepted(t *testing.T) {
	w := newWorld(t)
	u := w.user("jo@else.test", true)
	w.set(w.globex.ID, u.ID, active)
	i := w.invite(w.acme.ID, u.Email)
	w.events()
	err := w.try(func(tx store.Tx) error {
		_, _, err := tenancy.AcceptInvitation(tx, tenancy.Rules{SingleWorkspace: true}, i.ID, u.ID, w.now)
		return err
	})
	if !errors.Is(err, tenancy.ErrSingleWorkspace) {
		t.Errorf("got %v", err)
	}
	w.wantEvents()
}

func TestOfTwentyWhoAcceptAtOnceOneDoes(t *testing.T) {
	w := newWorld(t)
	u := w.user("jo@else.test", true)
	i := w.invite(w.acme.ID, u.Email)
	w.events()
	var wg sync.WaitGroup
	var mu sync.Mutex
	done := 0
	for range 20 {
		wg.Go(func() {
			err := w.s.Update(t.Context(), func(tx store.Tx) error {
				_, _, err := tenancy.AcceptInvitation(tx, anyRules, i.ID, u.ID, w.now)
				return err
			})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				done++
			} else if !errors.Is(err, tenancy.ErrInviteAccepted) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if done != 1 {
		t.Errorf("%d accepted", done)
	}
	w.wantEvents(audit.MembershipUpdated, audit.InvitationAccepted)
}

func TestTwentyInvitationsOfOneAddressAtOnceAreOne(t *testing.T) {
	for _, app := range []bool{true, false} {
		w := newWorld(t)
		var org tenancy.OrgID
		if !app {
			org = w.acme.ID
		}
		var wg sync.WaitGroup
		var mu sync.Mutex
		done := 0
		for range 20 {
			wg.Go(func() {
				_, _, err := w.tryInvite(tenancy.NewInvitation{Email: "jo@else.test", Organization: org})
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					done++
				} else if !errors.Is(err, tenancy.ErrInvited) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if done != 1 {
			t.Errorf("to the app: %v: %d made", app, done)
		}
	}
}

func TestTheTokenIsNeitherInRowsNorInEvents(t *testing.T) {
	w := newWorld(t)
	i, token, err := w.tryInvite(tenancy.NewInvitation{Email: "jo@else.test", Organization: w.acme.ID})
	if err != nil || len(token.Reveal()) != 43 {
		t.Fatal(err)
	}
	row, err := json.Marshal(i)
	if err != nil {
		t.Fatal(err)
	}
	var written strings.Builder
	written.WriteString(string(row) + fmt.Sprintf("%v %+v %#v %s", token, token, token, token))
	asJSON, _ := json.Marshal(token)
	written.WriteString(string(asJSON))
	for _, e := range w.changes() {
		written.WriteString(string(e.Data))
		if strings.Contains(string(e.Data), token.Hash()) {
			t.Errorf("the hash is in %s", e.Data)
		}
	}
	if strings.Contains(written.String(), token.Reveal()) || !strings.Contains(written.String(), `"state":"pending"`) || strings.Contains(written.String(), "accept_invitation_url") {
		t.Errorf("written: %s", written.String())
	}
	for _, s := range []string{"", "x", token.Reveal()[:42], token.Reveal() + "A", strings.Repeat("=", 43), "invitation_0123456789"} {
		if _, ok := tenancy.ParseInvitationToken(s); ok {
			t.Errorf("%q is a token", s)
		}
	}
}

// An inviteModel is what invitations of three people to one organization should be, told by a few lines.
type inviteModel struct {
	member  map[string]policy.Standing
	state   map[tenancy.InvitationID]tenancy.InvitationState
	open    map[string]tenancy.InvitationID // the newest of an address
	expires map[tenancy.InvitationID]time.Time
}

func (m *inviteModel) of(email string, now time.Time) (tenancy.InvitationID, error) {
	id, ok := m.open[email]
	switch {
	case !ok:
		return "invitation_none", tenancy.ErrNotFound
	case m.state[id] == tenancy.InvitationAccepted:
		return id, tenancy.ErrInviteAccepted
	case m.state[id] == tenancy.InvitationRevoked:
		return id, tenancy.ErrInviteRevoked
	case !now.Before(m.expires[id]):
		return id, tenancy.ErrInviteExpired
	}
	return id, nil
}

func TestInvitationsFollowTheModelWhateverHappens(t *testing.T) {
	did := map[string]int{}
	for seed := range uint64(15) {
		rnd := rand.New(rand.NewPCG(seed, 5))
		w := newWorld(t)
		people := []tenancy.User{w.user("jo@acme.com", true), w.user("flo@else.test", true), w.user("kim@else.test", true)}
		mo := inviteModel{map[string]policy.Standing{}, map[tenancy.InvitationID]tenancy.InvitationState{}, map[string]tenancy.InvitationID{}, map[tenancy.InvitationID]time.Time{}}
		byEvents := map[tenancy.InvitationID]tenancy.InvitationState{}
		w.events()
		for step := range 120 {
			u := people[rnd.IntN(len(people))]
			id, over := mo.of(u.Email, w.now)
			standing := mo.member[u.Email]
			var got, want error
			var events []string
			what := [...]string{"invite", "resend", "revoke", "accept", "deactivate", "remove", "create", "wait"}[rnd.IntN(8)]
			switch what {
			case "invite":
				days := 1 + rnd.IntN(3)
				switch {
				case over == nil:
					want = tenancy.ErrInvited
				case standing == active:
					want = tenancy.ErrAlreadyMember
				case standing == inactive:
					want = tenancy.ErrDeactivated
				default:
					if standing == none {
						events = append(events, audit.MembershipCreated)
					}
					events, mo.member[u.Email] = append(events, audit.InvitationCreated), pending
				}
				var i tenancy.Invitation
				i, _, got = w.tryInvite(tenancy.NewInvitation{Email: u.Email, Organization: w.acme.ID, ExpiresInDays: &days})
				if got == nil {
					mo.open[u.Email], mo.state[i.ID], mo.expires[i.ID] = i.ID, tenancy.InvitationPending, w.now.Add(time.Duration(days)*24*time.Hour)
				}
			case "resend":
				if want = over; want == nil {
					events = []string{audit.InvitationResent}
				}
				got = w.try(func(tx store.Tx) error {
					i, _, err := tenancy.ResendInvitation(tx, id, operator, w.now)
					if err == nil {
						mo.expires[id] = i.ExpiresAt
					}
					return err
				})
			case "revoke":
				if want = over; want == nil {
					events, mo.state[id], mo.member[u.Email] = []string{audit.InvitationRevoked, audit.MembershipDeleted}, tenancy.InvitationRevoked, none
				}
				got = w.try(func(tx store.Tx) error { _, err := tenancy.RevokeInvitation(tx, id, operator, w.now); return err })
			case "accept":
				if want = over; want == nil {
					events, mo.state[id], mo.member[u.Email] = []string{audit.MembershipUpdated, audit.InvitationAccepted}, tenancy.InvitationAccepted, active
				}
				_, got = w.tryAccept(id, u.ID)
			case "deactivate":
				switch standing {
				case none:
					want = tenancy.ErrNotFound
				case pending:
					want = tenancy.ErrState
				case active:
					events, mo.member[u.Email] = []string{audit.MembershipUpdated}, inactive
				case inactive:
				}
				got = w.try(func(tx store.Tx) error {
					return tenancy.DeactivateMembership(tx, w.acme.ID, u.ID, operator, w.now)
				})
			case "remove":
				if standing != none {
					events, mo.member[u.Email] = []string{audit.MembershipDeleted}, none
				}
				if standing == pending && over == nil {
					events, mo.state[id] = append(events, audit.InvitationRevoked), tenancy.InvitationRevoked
				}
				got = w.try(func(tx store.Tx) error { return tenancy.RemoveMembership(tx, w.acme.ID, u.ID, operator, w.now) })
			case "create":
				switch standing {
				case none:
					events, mo.member[u.Email] = []string{audit.MembershipCreated}, active
				case pending:
					want = tenancy.ErrState
				case active:
					want = tenancy.ErrTaken
				case inactive:
					events, mo.member[u.Email] = []string{audit.MembershipUpdated}, active
				}
				got = w.try(func(tx store.Tx) error {
					_, err := tenancy.CreateMembership(tx, anyRules, w.acme.ID, u.ID, tenancy.Grant{}, operator, w.now)
					return err
				})
			case "wait":
				w.now = w.now.Add(13 * time.Hour)
			}
			at := fmt.Sprintf("seed %d, step %d: %s of %s, who is %s, %v", seed, step, what, u.Email, standing, over)
			if !errors.Is(got, want) || (got == nil) != (want == nil) {
				t.Fatalf("%s: got %v, want %v", at, got, want)
			}
			if got == nil {
				did[what]++
			}
			if m := w.membership(w.acme.ID, u.ID); m.Status != mo.member[u.Email] {
				t.Fatalf("%s: membership is %s, want %s", at, m.Status, mo.member[u.Email])
			}
			var names []string
			for _, e := range w.changes() {
				names = append(names, e.Name)
				var d struct {
					ID    tenancy.InvitationID
					State tenancy.InvitationState
				}
				if strings.HasPrefix(e.Name, "invitation.") {
					if err := json.Unmarshal(e.Data, &d); err != nil {
						t.Fatal(err)
					}
					byEvents[d.ID] = d.State
				}
			}
			if fmt.Sprint(names) != fmt.Sprint(events) {
				t.Fatalf("%s: events are %q, want %q", at, names, events)
			}
			w.must(func(tx store.Tx) error {
				n := 0
				for i, err := range tx.InvitationsOf(w.acme.ID) {
					if err != nil {
						return err
					}
					n++
					want := mo.state[i.ID]
					if byEvents[i.ID] != want {
						t.Fatalf("%s: by the events %s is %s, want %s", at, i.ID, byEvents[i.ID], want)
					}
					if want == tenancy.InvitationPending && !w.now.Before(mo.expires[i.ID]) {
						want = tenancy.InvitationExpired
					}
					if i.State(w.now) != want {
						t.Fatalf("%s: %s is %s, want %s", at, i.ID, i.State(w.now), want)
					}
				}
				if n != len(mo.state) {
					t.Fatalf("%s: %d invitations, want %d", at, n, len(mo.state))
				}
				return nil
			})
		}
	}
	for _, what := range []string{"invite", "resend", "revoke", "accept", "deactivate", "remove", "create"} {
		if did[what] == 0 {
			t.Errorf("never done: %s", what)
		}
	}
}
