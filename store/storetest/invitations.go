package storetest

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

func invitation(id, email string, org tenancy.OrgID) tenancy.Invitation {
	return tenancy.Invitation{
		ID: tenancy.InvitationID(id), Email: email, Organization: org, Token: "hash of " + id, Days: 7, CreatedAt: noon, ExpiresAt: noon.Add(7 * 24 * time.Hour),
	}
}

func invitationIDs(t testing.TB, seq func(func(tenancy.Invitation, error) bool)) []string {
	t.Helper()
	return list(t, seq, func(i tenancy.Invitation) string { return string(i.ID) })
}

func invitationRows(t *testing.T, h Harness) {
	s := open(t, h, nil)
	a, b, c := invitation("invitation_1", "jo@acme.com", "org_a"), invitation("invitation_2", "jo@acme.com", "org_b"), invitation("invitation_3", "flo@acme.com", "")
	put(t, s, a, b, c)
	found := func(step string, byToken, toJo, ofA []string) {
		t.Helper()
		look(t, s, func(tx store.Tx) {
			var tokens []string
			for _, hash := range []string{"hash of invitation_1", "hash of invitation_2", "hash of invitation_3", "another", ""} {
				i, err := tx.InvitationByToken(hash)
				if err == nil {
					tokens = append(tokens, string(i.ID))
				} else if !errors.Is(err, tenancy.ErrNotFound) {
					t.Errorf("%s: by token: %v", step, err)
				}
			}
			if !slices.Equal(tokens, byToken) {
				t.Errorf("%s: by token %q, want %q", step, tokens, byToken)
			}
			if got := invitationIDs(t, tx.InvitationsTo("jo@acme.com")); !slices.Equal(got, toJo) {
				t.Errorf("%s: to jo %q, want %q", step, got, toJo)
			}
			if got := invitationIDs(t, tx.InvitationsOf("org_a")); !slices.Equal(got, ofA) {
				t.Errorf("%s: of org_a %q, want %q", step, got, ofA)
			}
			if got := invitationIDs(t, tx.Invitations()); len(got) != 3 {
				t.Errorf("%s: all are %q", step, got)
			}
		})
	}
	found("made", []string{"invitation_1", "invitation_2", "invitation_3"}, []string{"invitation_1", "invitation_2"}, []string{"invitation_1"})

	a.Token = "another"
	put(t, s, a)
	found("sent anew", []string{"invitation_2", "invitation_3", "invitation_1"}, []string{"invitation_1", "invitation_2"}, []string{"invitation_1"})

	a.AcceptedAt, b.RevokedAt = noon, noon
	put(t, s, a, b)
	found("settled", []string{"invitation_3"}, nil, []string{"invitation_1"})

	do(t, s, func(tx store.Tx) error {
		if err := tx.PutInvitation(tenancy.Invitation{ID: "invitation_4", Email: "jo@acme.com"}); err == nil || errors.Is(err, tenancy.ErrTaken) {
			t.Errorf("without a token: %v", err)
		}
		if err := first(tx.InvitationsOf("")); err == nil || errors.Is(err, tenancy.ErrNotFound) {
			t.Errorf("those of no organization: %v, want an error that is not ErrNotFound", err)
		}
		if _, err := tx.Invitation("invitation_9"); !errors.Is(err, tenancy.ErrNotFound) {
			t.Errorf("one that is not there: %v", err)
		}
		return nil
	})
	taken := invitation("invitation_5", "kim@acme.com", "org_a")
	taken.Token = c.Token
	if err := s.Update(t.Context(), func(tx store.Tx) error { return tx.PutInvitation(taken) }); !errors.Is(err, tenancy.ErrTaken) {
		t.Errorf("two with one token: %v", err)
	}
}

// restoredInvitations: what was open then may have been accepted or taken back since.
func restoredInvitations(t *testing.T, h Harness) {
	clock := NewClock(noon)
	from := open(t, h, clock.Now)
	accepted := invitation("invitation_2", "flo@acme.com", "org_a")
	accepted.AcceptedAt = noon
	put(t, from, invitation("invitation_1", "jo@acme.com", "org_a"), accepted)
	b := backup(t, from)
	clock.Advance(time.Second)
	to := open(t, h, clock.Now)
	if _, err := to.Restore(t.Context(), bytes.NewReader(b)); err != nil {
		t.Fatal(err)
	}
	look(t, to, func(tx store.Tx) {
		for id, want := range map[tenancy.InvitationID]tenancy.InvitationState{"invitation_1": tenancy.InvitationRevoked, "invitation_2": tenancy.InvitationAccepted} {
			if i, err := tx.Invitation(id); err != nil || i.State(clock.Now()) != want {
				t.Errorf("%s is %s, %v; want %s", id, i.State(clock.Now()), err, want)
			}
		}
		if _, err := tx.InvitationByToken("hash of invitation_1"); !errors.Is(err, tenancy.ErrNotFound) {
			t.Errorf("its link works again: %v", err)
		}
		if got := invitationIDs(t, tx.InvitationsTo("jo@acme.com")); len(got) != 0 {
			t.Errorf("open are %q", got)
		}
	})
	put(t, to, invitation("invitation_3", "jo@acme.com", "org_a"))
}
