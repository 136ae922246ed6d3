// Package outbox owns mail that waits to be sent: who may hold it, when it is tried again,
// and when it is given up.
//
// A message is put into it in the transaction of what it tells of, so that no code is
// made without its mail and no mail is sent of what was not committed. Whoever delivers
// claims messages for a while (a lease), so that several replicas share the work, and what
// a crash leaves behind is taken up by another: a message is sent once as a rule, twice if
// a process ends between sending and saying so, and never lost before it expires.
//
// It does not own what a mail says: that is sealed, and nothing here can read it. It does
// not own how mail is sent either (internal/mail).
//
// The invariant: there are never more than [Places] messages, so that whoever makes mails
// be sent can't fill the store; and none is handed out once it has expired.
package outbox

import (
	"errors"
	"iter"
	"time"

	"github.com/orgate/orgate/audit"
)

const (
	// Places is how many messages can wait, in all.
	Places = 10_000
	// MaxSealed is how long the sealed part of a message may be.
	MaxSealed = 64 << 10
	// MaxLife is how long a message may wait at most.
	MaxLife = 30 * 24 * time.Hour
)

// ErrFull says that too many messages wait.
var ErrFull = errors.New("too many mails wait to be sent")

// ID is mail_…
type ID string

// A Message is a mail that waits.
type Message struct {
	ID ID `json:"id"`
	// Place is which of the [Places] it has; no two messages have one.
	Place int    `json:"place"`
	To    string `json:"to"`
	// About says in a word what it is, for logs, metrics and events: "sign_in_code".
	About string `json:"about"`
	// Sealed is what the mail says, encrypted.
	Sealed []byte `json:"sealed"`

	CreatedAt time.Time `json:"created_at"`
	// NotBefore is when it is to be tried next.
	NotBefore time.Time `json:"not_before"`
	// ExpiresAt is when it is of no use any more: a mail with a code does not outlive the code.
	ExpiresAt time.Time `json:"expires_at"`
	// Tries have failed so far, and LastError is why the last one did, in a few words.
	Tries     int    `json:"tries,omitzero"`
	LastError string `json:"last_error,omitzero"`
	// LeasedUntil is until when it is somebody's who tries to send it; zero: nobody's.
	LeasedUntil time.Time `json:"leased_until,omitzero"`
}

// Due is when the message is next to be looked at: tried, tried by somebody else, or
// given up.
func (m Message) Due() time.Time {
	due := m.NotBefore
	if m.LeasedUntil.After(due) {
		due = m.LeasedUntil
	}
	return due
}

// Tx is the part of a transaction that this package needs. Getters return an error
// wrapping [tenancy.ErrNotFound] for what is not there.
type Tx interface {
	audit.Tx

	OutboxMessage(ID) (Message, error)
	// OutboxMessageAt returns the message that has the place.
	OutboxMessageAt(place int) (Message, error)
	// DueOutboxMessages yields the messages that are due at now, the longest due first.
	// The loop may change and delete what it is given.
	DueOutboxMessages(now time.Time) iter.Seq2[Message, error]
	// PutOutboxMessage returns an error wrapping [tenancy.ErrTaken] if the place is
	// another message's. The record expires some time after ExpiresAt.
	PutOutboxMessage(Message) error
	DeleteOutboxMessage(ID) error
}
