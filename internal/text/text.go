// Package text is what is said to people, in their language: messages that know their
// words only when it is known who reads them, one catalogue of translations, and the
// choice of the language.
//
// It owns how a message is put together and which languages there are. It does not own
// what is said (whoever says it writes the English at the place where it is said), nor
// where: pages, mails.
//
// The invariant: what a person or a provider wrote is only ever an argument of a message,
// never its format. A format is a literal of the source, and a test holds that each has
// its translation.
package text

import (
	"fmt"
	"html/template"
	"time"
)

// A Message is something to say. The zero Message says nothing.
type Message struct {
	format string
	args   []any
}

// T returns the message that English says as fmt.Sprintf(format, args...). The format must
// be a literal, or several joined by +, for it is the key of the catalogue. The only
// verbs are %s and %d. An argument may be a string (a name, an address), a whole number, a
// time, or another message.
func T(format string, args ...any) Message {
	if false {
		_ = fmt.Sprintf(format, args...) // has go vet check the arguments of T
	}
	return Message{format, args}
}

// verbatim is the format of what is the same in every language.
const verbatim = "%s"

// Verbatim returns the message that is s in every language: a name.
func Verbatim(s string) Message {
	if s == "" {
		return Message{}
	}
	return Message{verbatim, []any{s}}
}

// Moment returns the message that tells a time. Where people are is not known, so it is
// UTC and says so.
func Moment(t time.Time) Message {
	if t.IsZero() {
		return Message{}
	}
	return Message{verbatim, []any{t}}
}

// Wait returns the message that tells how long something takes, such as "5 minutes":
// rounded up, for who comes back too early is sent away again.
func Wait(d time.Duration) Message {
	up := func(unit time.Duration) int { return int((max(d, 0) + unit - 1) / unit) }
	switch s, m, h := up(time.Second), up(time.Minute), up(time.Hour); {
	case s <= 1:
		return T("one second")
	case s < 60:
		return T("%d seconds", s)
	case m <= 1:
		return T("one minute")
	case m < 120:
		return T("%d minutes", m)
	default:
		return T("%d hours", h)
	}
}

// IsZero reports whether m says nothing.
func (m Message) IsZero() bool { return m.format == "" }

// Or returns the first of the messages that says something.
func Or(messages ...Message) Message {
	for _, m := range messages {
		if !m.IsZero() {
			return m
		}
	}
	return Message{}
}

// String returns m in English, for programs and logs.
func (m Message) String() string { return m.In(English) }

// In returns m in a language. What has no translation is said in English.
func (m Message) In(l Locale) string {
	if m.IsZero() {
		return ""
	}
	args := make([]any, len(m.args))
	for i, a := range m.args {
		switch a := a.(type) {
		case Message:
			args[i] = a.In(l)
		case time.Time:
			args[i] = moment(l, a)
		default:
			args[i] = a
		}
	}
	return fmt.Sprintf(translated(l, m.format), args...)
}

// HTML is In for a page: what a person wrote is escaped like everything else, and is in
// an element of its own (<bdi>), so that a name in a script that runs the other way
// does not turn the sentence around it.
func (m Message) HTML(l Locale) template.HTML {
	if m.IsZero() {
		return ""
	}
	args := make([]any, len(m.args))
	for i, a := range m.args {
		switch a := a.(type) {
		case Message:
			args[i] = a.HTML(l)
		case time.Time:
			args[i] = template.HTMLEscapeString(moment(l, a))
		case int, int64:
			args[i] = a
		default:
			args[i] = "<bdi>" + template.HTMLEscapeString(fmt.Sprint(a)) + "</bdi>"
		}
	}
	return template.HTML(fmt.Sprintf(template.HTMLEscapeString(translated(l, m.format)), args...)) // every part is escaped
}
