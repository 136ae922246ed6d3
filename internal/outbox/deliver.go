package outbox

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/id"
	"github.com/orgate/orgate/tenancy"
)

const (
	// probes is how many places are tried for a free one. They are single look-ups, so that
	// two who put messages in at once do not stand in each other's way, and a full
	// outbox costs no more than an empty one. It fails seldom while fewer than nine in ten
	// places are taken.
	probes = 32
	// maxExpired is how many expired messages one claim clears away.
	maxExpired = 64
	maxReason  = 200
)

// NewID returns the id of a new message.
func NewID(now time.Time) ID { return ID(id.New("mail", now)) }

// Enqueue has m sent: as soon as the transaction is committed, and never after m.ExpiresAt.
// It fills in what the caller leaves empty: ID, CreatedAt, NotBefore. If too many messages
// wait already, the error wraps [ErrFull].
func Enqueue(tx Tx, m Message, now time.Time) error {
	now = now.UTC().Truncate(time.Microsecond)
	if m.ID == "" {
		m.ID = NewID(now)
	}
	m.CreatedAt, m.NotBefore, m.ExpiresAt = now, m.NotBefore.UTC(), m.ExpiresAt.UTC()
	if m.NotBefore.Before(now) {
		m.NotBefore = now
	}
	m.Tries, m.LastError, m.LeasedUntil = 0, "", time.Time{}
	switch {
	case m.To == "" || m.About == "" || len(m.Sealed) == 0:
		return errors.New("mail without address, subject matter or content")
	case len(m.Sealed) > MaxSealed:
		return fmt.Errorf("mail of %d bytes, the most is %d", len(m.Sealed), MaxSealed)
	case !m.NotBefore.Before(m.ExpiresAt):
		return errors.New("mail that has expired before it is sent")
	case m.ExpiresAt.Sub(now) > MaxLife:
		return fmt.Errorf("mail that waits for %s, the most is %s", m.ExpiresAt.Sub(now), MaxLife)
	}
	for range probes {
		m.Place = rand.IntN(Places)
		switch _, err := tx.OutboxMessageAt(m.Place); {
		case errors.Is(err, tenancy.ErrNotFound):
			return tx.PutOutboxMessage(m)
		case err != nil:
			return err
		}
	}
	return ErrFull
}

// Claimed is what [Claim] found.
type Claimed struct {
	// Messages are to be sent: each ends in [Delivered], [Failed] or [Release].
	Messages []Message
	// Expired were given up, with their events.
	Expired []Message
}

// Claim takes up to limit messages that are due, for as long as the lease: nobody else gets
// them until then. It gives up what has expired.
func Claim(tx Tx, lease time.Duration, limit int, now time.Time) (c Claimed, err error) {
	now = now.UTC().Truncate(time.Microsecond)
	for m, err := range tx.DueOutboxMessages(now) {
		if err != nil {
			return Claimed{}, err
		}
		switch {
		case !now.Before(m.ExpiresAt):
			if m.LastError == "" {
				m.LastError = "it was not sent in time"
			}
			if err := giveUp(tx, m, true, now); err != nil {
				return Claimed{}, err
			}
			c.Expired = append(c.Expired, m)
		default:
			m.LeasedUntil = now.Add(lease)
			if err := tx.PutOutboxMessage(m); err != nil {
				return Claimed{}, err
			}
			c.Messages = append(c.Messages, m)
		}
		if len(c.Messages) == limit || len(c.Expired) == maxExpired {
			break
		}
	}
	return c, nil
}

// Delivered removes a message that was sent, whoever has the lease by now.
func Delivered(tx Tx, m Message) error { return tx.DeleteOutboxMessage(m.ID) }

// An Outcome is what became of a message that could not be sent.
type Outcome uint8

// The outcomes.
const (
	// Waiting: it is tried again later.
	Waiting Outcome = iota
	// Refused: the server will never take it; it is given up, with an event.
	Refused
	// Expired: there is no time for another try; it is given up, with an event.
	Expired
)

// Failed says that a claimed message could not be sent, and why, in a few words that hold
// no secret. If that is temporary it is tried again after a pause that grows with each
// try, for as long as the next one comes before it expires; else it is given up. It does
// nothing if the lease has passed to somebody else.
func Failed(tx Tx, m Message, temporary bool, why string, now time.Time) (Outcome, error) {
	now = now.UTC().Truncate(time.Microsecond)
	m, mine, err := held(tx, m)
	if err != nil || !mine {
		return Waiting, err
	}
	m.Tries++
	m.LastError = clip(why)
	m.LeasedUntil = time.Time{}
	m.NotBefore = now.Add(pause(m.Tries))
	switch {
	case !temporary:
		return Refused, giveUp(tx, m, false, now)
	case !m.NotBefore.Before(m.ExpiresAt):
		return Expired, giveUp(tx, m, true, now)
	default:
		return Waiting, tx.PutOutboxMessage(m)
	}
}

// Release gives a claimed message back untried, as the server could not be reached or the
// process ends: it is due again at once. why may be empty.
func Release(tx Tx, m Message, why string) error {
	m, mine, err := held(tx, m)
	if err != nil || !mine {
		return err
	}
	m.LeasedUntil = time.Time{}
	if why != "" {
		m.LastError = clip(why)
	}
	return tx.PutOutboxMessage(m)
}

// held returns the message as it is now, and whether the lease that m has is still its lease.
func held(tx Tx, m Message) (now Message, mine bool, err error) {
	now, err = tx.OutboxMessage(m.ID)
	if errors.Is(err, tenancy.ErrNotFound) {
		return m, false, nil
	}
	return now, err == nil && !now.LeasedUntil.IsZero() && now.LeasedUntil.Equal(m.LeasedUntil), err
}

// giveUp removes a message for good, and says so in an event that has nothing of its content.
func giveUp(tx Tx, m Message, expired bool, now time.Time) error {
	e := audit.New(audit.MailFailed, audit.System, now)
	data := struct {
		ID      ID     `json:"id"`
		Email   string `json:"email"`
		About   string `json:"about"`
		Tries   int    `json:"tries"`
		Expired bool   `json:"expired"`
		Reason  string `json:"reason"`
	}{m.ID, m.To, m.About, m.Tries, expired, m.LastError}
	if err := audit.Record(tx, e, data); err != nil {
		return err
	}
	return tx.DeleteOutboxMessage(m.ID)
}

// pause is how long to wait after so many tries have failed. A server that makes strangers
// come again (greylisting) mostly means five minutes: a code that lives ten gets through.
func pause(tries int) time.Duration {
	pauses := [...]time.Duration{
		10 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute,
		10 * time.Minute, 30 * time.Minute,
	}
	if tries > len(pauses) {
		return time.Hour
	}
	return pauses[max(tries, 1)-1]
}

// clip makes a reason one short line: part of it may be what a server said.
func clip(s string) string {
	var b strings.Builder
	for _, r := range s {
		if b.Len()+utf8.RuneLen(r) > maxReason {
			b.WriteString("…")
			break
		}
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			r = ' '
		}
		b.WriteRune(r)
	}
	return b.String()
}
