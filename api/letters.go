package api

import (
	"time"

	"github.com/orgate/orgate/internal/mail"
	"github.com/orgate/orgate/internal/text"
	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// noticeLife is how long a mail that only tells is worth sending.
const noticeLife = 72 * time.Hour

// box seals what is kept secret.
func (c *call) box() factor.Sealer { return c.api.Webhooks().Box }

// mailTo puts a mail to an address of the user into the queue, in their language. Where no mails can be sent, it is the app that
// sends what the answer has.
func (c *call) mailTo(tx store.Tx, u tenancy.User, address string, m mail.Composer, expires time.Time) error {
	queue := c.api.Mail()
	if queue == nil {
		return nil
	}
	return queue.Put(tx, address, m, text.Negotiate(u.Locale), expires, c.now)
}

// notify tells a user what was changed about their account.
func (c *call) notify(tx store.Tx, u tenancy.User, m mail.Composer) error {
	return c.mailTo(tx, u, u.Email, m, c.now.Add(noticeLife))
}
