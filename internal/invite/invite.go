// Package invite mails invitations: it makes the link, and sees to it that nobody is flooded.
//
// It owns the link and how many mails there may be. It does not own invitations (package
// tenancy), nor the mail's words (internal/mail), nor the page that the link leads to (package
// sso).
//
// The invariant: the token goes into the link, and the link to the address that was invited, in
// the transaction in which the token was made. Nothing here writes either down.
package invite

import (
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/orgate/orgate/internal/mail"
	"github.com/orgate/orgate/internal/outbox"
	"github.com/orgate/orgate/internal/text"
	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// Mail puts mails into the queue, in the transaction of what they are about; [mail.Queue] does.
type Mail interface {
	Put(tx outbox.Tx, to string, m mail.Composer, l text.Locale, expires, now time.Time) error
}

// ErrTooMany says that too many invitations were mailed in a short time; see [WaitError].
var ErrTooMany = errors.New("too many invitations were mailed in a short time")

// A WaitError says after how long another invitation can be mailed.
type WaitError struct{ Wait time.Duration }

func (e *WaitError) Error() string {
	return fmt.Sprintf("%v: try again in %v", ErrTooMany, e.Wait.Round(time.Second))
}

func (e *WaitError) Unwrap() error { return ErrTooMany }

// toMailbox limits the invitations that are mailed to one mailbox, and inAll those that are mailed
// at all: an app that lets its users invite must not be able to flood anybody by it.
func toMailbox() factor.Bucket {
	return factor.Bucket{Scope: "invitation to", Size: 10, Every: 10 * time.Minute}
}

func inAll() factor.Bucket {
	return factor.Bucket{Scope: "invitation", Size: 1000, Every: 100 * time.Millisecond}
}

// Link returns where the invitation of a token is accepted. public is the URL of the login host.
func Link(public *url.URL, t tenancy.InvitationToken) string {
	return (&url.URL{Scheme: public.Scheme, Host: public.Host, Path: "/invitations/" + t.Reveal()}).String()
}

// Send puts the mail with the link into the queue, in the language l. The error wraps [ErrTooMany]
// if there were too many; then the invitation must not be kept either, or with a token that
// nobody has.
func Send(tx store.Tx, m Mail, public *url.URL, i tenancy.Invitation, t tenancy.InvitationToken, l text.Locale, now time.Time) error {
	for _, b := range []struct {
		bucket factor.Bucket
		name   string
	}{{toMailbox(), tenancy.Mailbox(i.Email)}, {inAll(), "all"}} {
		wait, err := b.bucket.Take(tx, b.name, now)
		if err != nil {
			return err
		}
		if wait > 0 {
			return &WaitError{wait}
		}
	}
	c := mail.Invitation{Host: public.Host, URL: Link(public, t), ExpiresAt: i.ExpiresAt}
	if i.Organization != "" {
		o, err := tx.Organization(i.Organization)
		if err != nil {
			return err
		}
		c.Organization = o.Name
	}
	if i.Inviter != "" {
		u, err := tx.User(i.Inviter)
		if err != nil {
			return err
		}
		if c.Inviter = u.Name; c.Inviter == "" {
			c.Inviter = u.Email
		}
	}
	return m.Put(tx, i.Email, c, l, i.ExpiresAt, now)
}
