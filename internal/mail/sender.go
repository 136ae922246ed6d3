package mail

import (
	"context"
	"time"

	"github.com/orgate/orgate/internal/outbox"
)

// A Letter is a mail on its way: who gets it, and what it says.
type Letter struct {
	ID   outbox.ID // also of the mail's Message-ID, so that a second copy can be told
	To   string
	Date time.Time
	Content
}

// A Sender reaches a mail server.
type Sender interface {
	// Open connects. An error means that nothing can be sent now, whatever it is.
	Open(context.Context) (Connection, error)
	// Timeout is the longest that Open and each Send take.
	Timeout() time.Duration
}

// A Connection takes one mail after the other. It is for one goroutine.
type Connection interface {
	// Send returns nil once the server has taken the mail, and an error, which is a
	// [*SendError] wherever more is known than that it is worth another try.
	Send(context.Context, Letter) error
	Close() error
}

// A SendError says why the server has not taken a mail.
type SendError struct {
	// Permanent: it never will.
	Permanent bool
	// Broken: the connection is of no use any more.
	Broken bool
	// Reason is a few words, none of them the server's own: it has seen the mail, and may
	// quote from it.
	Reason string
}

func (e *SendError) Error() string { return e.Reason }
