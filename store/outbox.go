package store

import (
	"fmt"
	"iter"
	"time"

	"github.com/orgate/orgate/internal/outbox"
)

// MailRecordLife is how long a mail that was not sent is kept after it expired, for whoever
// delivers mail to notice that it was not.
const MailRecordLife = time.Hour

func outboxMessages() table[outbox.Message] {
	return table[outbox.Message]{
		kind: kindMail, name: "mail",
		fields: func(m outbox.Message) []string { return []string{string(m.ID)} },
		indexes: func(m outbox.Message) []index {
			return []index{
				{kindMailPlace, []string{place(m.Place)}, true},
				{kindMailDue, []string{sortable(m.Due()), string(m.ID)}, false},
			}
		},
		expires: func(m outbox.Message) time.Time { return m.ExpiresAt.Add(MailRecordLife) },
	}
}

func place(n int) string { return fmt.Sprintf("%05d", n) }

func (t *tx) OutboxMessage(id outbox.ID) (outbox.Message, error) {
	return get(t, outboxMessages(), string(id))
}

func (t *tx) OutboxMessageAt(n int) (outbox.Message, error) {
	return find(t, outboxMessages(), kindMailPlace, place(n))
}

func (t *tx) DueOutboxMessages(now time.Time) iter.Seq2[outbox.Message, error] {
	return func(yield func(outbox.Message, error) bool) {
		for m, err := range findAll(t, outboxMessages(), kindMailDue) {
			if err == nil && m.Due().After(now) || !yield(m, err) {
				return
			}
		}
	}
}

func (t *tx) PutOutboxMessage(m outbox.Message) error { return put(t, outboxMessages(), m) }

func (t *tx) DeleteOutboxMessage(id outbox.ID) error { return remove(t, outboxMessages(), string(id)) }
