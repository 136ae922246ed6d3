// Package mail writes the mails that people get, and sees to it that they get there: a
// typed message for each occasion, a queue that they wait in, the operator's mail server,
// and the loop that brings one to the other.
//
// It owns what mails say and look like, how a mail server is spoken to, and what counts as
// delivered. It does not own the waiting (internal/outbox), nor who is to be told what,
// nor codes and links: they are made elsewhere and handed in.
//
// The invariant: what a person typed is text in every part of a mail, subject and headers
// included, and is never a link. A code is in the body of its mail, sealed while it waits,
// and nowhere else: not in the subject, a log line, an event, or an error.
package mail

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/orgate/orgate/internal/outbox"
	"github.com/orgate/orgate/internal/seal"
	"github.com/orgate/orgate/internal/text"
	"github.com/orgate/orgate/tenancy"
)

// A Composer is a message that can be written in the language of whoever gets it.
type Composer interface {
	// About says in a word what it is, for logs and events.
	About() string
	Compose(text.Locale) Content
}

// Content is what a mail says: the same as text and as HTML.
type Content struct {
	Subject string `json:"subject"`
	Text    string `json:"text"`
	HTML    string `json:"html"`
}

// String hides what may be a code.
func (Content) String() string { return "[mail]" }

// GoString hides it from %#v too.
func (Content) GoString() string { return "[mail]" }

// A Queue puts mails into the outbox. It is safe for concurrent use.
type Queue struct{ box *seal.Box }

// NewQueue returns a queue whose mails are sealed by box while they wait.
func NewQueue(box *seal.Box) *Queue { return &Queue{box} }

// Put has m sent to the address to, once the transaction is committed, and not after
// expires: the life of its code, if it has one. If too many mails wait, the error wraps
// [outbox.ErrFull].
func (q *Queue) Put(tx outbox.Tx, to string, m Composer, l text.Locale, expires, now time.Time) error {
	to, err := tenancy.ParseEmail(to)
	if err != nil {
		return fmt.Errorf("mail %s: %w", m.About(), err)
	}
	plain, err := json.Marshal(m.Compose(l))
	if err != nil {
		return fmt.Errorf("mail %s: %w", m.About(), err)
	}
	id := outbox.NewID(now)
	err = outbox.Enqueue(tx, outbox.Message{ID: id, To: to, About: m.About(), Sealed: q.box.Seal(purpose, about(id, to), plain), ExpiresAt: expires}, now)
	if err != nil {
		return fmt.Errorf("mail %s: %w", m.About(), err)
	}
	return nil
}

const purpose = "mail"

// about binds what is sealed to its address: whoever can write to the store, and has not
// the key, can't have a code sent to themselves.
func about(id outbox.ID, to string) string { return string(id) + " " + to }

// open returns what a message says.
func open(box *seal.Box, m outbox.Message) (c Content, err error) {
	plain, err := box.Open(purpose, about(m.ID, m.To), m.Sealed)
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(plain, &c); err != nil {
		return Content{}, seal.ErrOpen // and not the error of package json, which may quote it
	}
	return c, nil
}
