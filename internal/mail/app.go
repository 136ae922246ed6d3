package mail

import (
	"time"

	"github.com/orgate/orgate/internal/text"
)

// The mails in this file bring what an app has asked for by the API: the reader types the code in the
// app, wherever that is, and not on our pages.

// AppSignInCode brings a code to sign in to an app with.
type AppSignInCode struct {
	Organization, Host string
	Code               string
	Minutes            int
}

// About implements [Composer].
func (AppSignInCode) About() string { return "app_sign_in_code" }

// Compose implements [Composer].
func (m AppSignInCode) Compose(l text.Locale) Content {
	s := site(m.Organization, m.Host)
	return letter{
		organization: m.Organization, host: m.Host, code: m.Code,
		subject:    text.T("Your code to sign in to %s", s),
		paragraphs: []text.Message{text.T("Enter this code to sign in to %s:", s)},
		after: append(appCodeNotes(m.Minutes),
			text.T("If it was not you who asked for it, ignore this mail: without the code nobody gets in.")),
	}.in(l)
}

// appCodeNotes is what is to be said of every code that is typed in an app.
func appCodeNotes(minutes int) []text.Message {
	return []text.Message{
		text.T("It works once and for %s.", text.Wait(time.Duration(minutes)*time.Minute)),
		text.T("Type it where you asked for it and nowhere else. Nobody will ever ask you for it: whoever does wants to get in as you."),
	}
}

// VerifyEmailCode brings a code to show with that the address is the reader's.
type VerifyEmailCode struct {
	Organization, Host string
	Code               string
	Minutes            int
}

// About implements [Composer].
func (VerifyEmailCode) About() string { return "verify_email" }

// Compose implements [Composer].
func (m VerifyEmailCode) Compose(l text.Locale) Content {
	s := site(m.Organization, m.Host)
	return letter{
		organization: m.Organization, host: m.Host, code: m.Code,
		subject:    text.T("Your code to confirm your address at %s", s),
		paragraphs: []text.Message{text.T("Enter this code to confirm that this is the address of your account at %s:", s)},
		after:      append(appCodeNotes(m.Minutes), text.T("If it was not you who asked for it, ignore this mail. Nothing has happened.")),
	}.in(l)
}

// AppChangeEmailCode brings a code to the address that is to become an account's.
type AppChangeEmailCode struct {
	Organization, Host string
	Code               string
	Minutes            int
}

// About implements [Composer].
func (AppChangeEmailCode) About() string { return "app_change_email" }

// Compose implements [Composer].
func (m AppChangeEmailCode) Compose(l text.Locale) Content {
	s := site(m.Organization, m.Host)
	return letter{
		organization: m.Organization, host: m.Host, code: m.Code,
		subject:    text.T("Your code for another address at %s", s),
		paragraphs: []text.Message{text.T("Enter this code to make this the address of your account at %s:", s)},
		after:      append(appCodeNotes(m.Minutes), text.T("If it was not you who asked for it, ignore this mail. Nothing has happened.")),
	}.in(l)
}

// ResetLink brings a link to set a new password with.
type ResetLink struct {
	Organization, Host string
	URL                string // made of configured URLs
	ExpiresAt          time.Time
}

// About implements [Composer].
func (ResetLink) About() string { return "reset_link" }

// Compose implements [Composer].
func (m ResetLink) Compose(l text.Locale) Content {
	s := site(m.Organization, m.Host)
	return letter{
		organization: m.Organization, host: m.Host,
		subject:    text.T("Set a new password at %s", s),
		paragraphs: []text.Message{text.T("You can set a new password for your account at %s.", s)},
		button:     text.T("Set a new password").In(l), link: m.URL,
		after: []text.Message{
			text.T("The link works once, until %s.", text.Moment(m.ExpiresAt)),
			text.T("If it was not you who asked for it, ignore this mail: your password stays as it is."),
		},
	}.in(l)
}
