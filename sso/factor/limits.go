package factor

import (
	"fmt"
	"time"

	"github.com/orgate/orgate/tenancy"
)

// The limits that the sign-in pages and the API have in common: whoever is told to wait by the one has not
// got new tries by the other.

// What is guessed at, as counters know it; see [Guesses].
const (
	GuessEmailCode = "email_code"
	GuessPassword  = "password"
	GuessSecond    = "second"
	GuessSetUp     = "set up"
	// GuessApp is at an authenticator app that is nobody's second factor; see [APIFactor].
	GuessApp = "app"
)

// Guesses slows down who guesses at one account: five at once, then pauses that double from
// a second to a quarter of an hour.
func Guesses(what string) Backoff {
	return Backoff{Scope: "guess " + what, Free: 5, Base: time.Second, Max: 15 * time.Minute, Forget: 24 * time.Hour}
}

// GuessesByStrangers limits the guesses at codes to one address by all who were never signed in
// there in their browser. Each code has few tries, but whoever guesses from many networks gets
// many codes: at a mail a minute, one in a million is hit in months.
func GuessesByStrangers() Bucket {
	return Bucket{Scope: "guess by strangers", Size: 100, Every: 5 * time.Minute}
}

// MailsTo limits the mails to one mailbox, and MailsInAll all that are sent: whoever can have us send
// mail must not be able to flood anybody, or spoil the name of the operator's mail server.
func MailsTo() Bucket { return Bucket{Scope: "mail to", Size: 20, Every: time.Minute} }

// MailsInAll is for all mails that anybody can ask for; see [MailsTo].
func MailsInAll() Bucket { return Bucket{Scope: "mail", Size: 1000, Every: 100 * time.Millisecond} }

// A WaitError says that there were too many tries, or mails, and after how long there may be another.
type WaitError struct{ Wait time.Duration }

// Error says how long to wait.
func (e *WaitError) Error() string {
	return fmt.Sprintf("too many in a short time: wait %v", e.Wait.Round(time.Second))
}

// sendsTo limits what an app may have sent to one mailbox: three at once of one kind, and three a minute.
func sendsTo(what string) Bucket {
	return Bucket{Scope: "sent by API " + what, Size: 3, Every: 20 * time.Second}
}

// triesByAPI limits the guesses that an app passes on for one person, or one challenge: ten at once, and ten a minute.
func triesByAPI(what string) Bucket {
	return Bucket{Scope: "tried by API " + what, Size: 10, Every: 6 * time.Second}
}

// MaySend takes one mail, of the kind what, to the address from what an app may have sent; the error is a
// [*WaitError] if there were too many, and then nothing must be made that would be sent. It counts whether
// orgate sends the mail or the app does: a code that can be asked for without end can be guessed.
func MaySend(tx Tx, what, email string, now time.Time) error {
	for _, b := range []struct {
		bucket Bucket
		name   string
	}{{sendsTo(what), tenancy.Mailbox(email)}, {MailsTo(), tenancy.Mailbox(email)}, {MailsInAll(), "all"}} {
		if wait, err := b.bucket.Take(tx, b.name, now); err != nil {
			return err
		} else if wait > 0 {
			return &WaitError{wait}
		}
	}
	return nil
}
