package invite_test

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/invite"
	"github.com/orgate/orgate/internal/mail"
	"github.com/orgate/orgate/internal/outbox"
	"github.com/orgate/orgate/internal/text"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/store/storetest"
	"github.com/orgate/orgate/tenancy"
)

var (
	noon      = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	public, _ = url.Parse("https://login.example.com")
)

type sent struct {
	to      string
	m       mail.Invitation
	content mail.Content
	expires time.Time
}

type postbox []sent

func (b *postbox) Put(_ outbox.Tx, to string, m mail.Composer, l text.Locale, expires, _ time.Time) error {
	*b = append(*b, sent{to, m.(mail.Invitation), m.Compose(l), expires})
	return nil
}

func begin(t *testing.T, s *store.Store, box *postbox, n tenancy.NewInvitation, now time.Time) (i tenancy.Invitation, token tenancy.InvitationToken, err error) {
	t.Helper()
	err = s.Update(t.Context(), func(tx store.Tx) (err error) {
		if i, token, err = tenancy.Invite(tx, tenancy.Rules{}, n, audit.System, now); err != nil {
			return err
		}
		return invite.Send(tx, box, public, i, token, text.German, now)
	})
	return i, token, err
}

func TestTheMailHasTheLinkAndTheAddressOnly(t *testing.T) {
	s := storetest.OpenAt(t, func() time.Time { return noon })
	err := s.Update(t.Context(), func(tx store.Tx) error {
		return errors.Join(
			tx.PutOrganization(tenancy.Organization{ID: "org_a", Slug: "acme", Name: "Acme <b>"}),
			tx.PutUser(tenancy.User{ID: "user_1", Email: "flo@acme.com", Name: "Flo\r\nBcc: x"}))
	})
	if err != nil {
		t.Fatal(err)
	}
	var box postbox
	i, token, err := begin(t, s, &box, tenancy.NewInvitation{Email: "jo@else.test", Organization: "org_a", Inviter: "user_1"}, noon)
	if err != nil || len(box) != 1 {
		t.Fatal(err, len(box))
	}
	m := box[0]
	link := "https://login.example.com/invitations/" + token.Reveal()
	if m.to != "jo@else.test" || m.m.URL != link || !m.expires.Equal(i.ExpiresAt) || m.m.Organization != "Acme <b>" {
		t.Errorf("%+v", m)
	}
	if !strings.Contains(m.content.Text, link) || !strings.Contains(m.content.Text, "lädt Sie ein") || strings.Contains(m.content.Subject, "\n") || strings.Contains(m.content.HTML, "<b>") && !strings.Contains(m.content.HTML, "&lt;b&gt;") {
		t.Errorf("%s\n%s\n%s", m.content.Subject, m.content.Text, m.content.HTML)
	}
	changes, err := s.Feed(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range changes {
		if strings.Contains(string(c.Event.Data), token.Reveal()) {
			t.Errorf("the token is in %s", c.Event.Data)
		}
	}
}

// Who is flooded is a mailbox, however it is spelled; what is refused leaves no invitation.
func TestNobodyIsFloodedWithInvitations(t *testing.T) {
	s := storetest.OpenAt(t, func() time.Time { return noon })
	var box postbox
	refused := 0
	for n := range 15 {
		i, _, err := begin(t, s, &box, tenancy.NewInvitation{Email: fmt.Sprintf("jo+%d@else.test", n)}, noon)
		if errors.Is(err, invite.ErrTooMany) {
			refused++
			if err := s.View(t.Context(), func(tx store.Tx) error { _, err := tx.Invitation(i.ID); return err }); !errors.Is(err, tenancy.ErrNotFound) {
				t.Errorf("an invitation that was not mailed is there: %v", err)
			}
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if len(box) != 10 || refused != 5 {
		t.Errorf("%d mailed, %d refused", len(box), refused)
	}
	if _, _, err := begin(t, s, &box, tenancy.NewInvitation{Email: "flo@else.test"}, noon); err != nil {
		t.Errorf("another: %v", err)
	}
	if _, _, err := begin(t, s, &box, tenancy.NewInvitation{Email: "jo+x@else.test"}, noon.Add(11*time.Minute)); err != nil {
		t.Errorf("later: %v", err)
	}
}
