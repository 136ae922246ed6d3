package mail

import (
	"time"

	"github.com/orgate/orgate/internal/text"
)

// In every message Organization is the name of the organization that it is about, for
// people, or empty, and Host is the login host: where the reader is to type a code, and the
// only place that has anything to do with it.

// SignInCode brings a code to sign in with.
type SignInCode struct {
	Organization, Host string
	Code               string
	Minutes            int // that the code lives
}

// About implements [Composer].
func (SignInCode) About() string { return "sign_in_code" }

// Compose implements [Composer].
func (m SignInCode) Compose(l text.Locale) Content {
	s := site(m.Organization, m.Host)
	return letter{
		organization: m.Organization, host: m.Host, code: m.Code,
		subject:    text.T("Your code to sign in to %s", s),
		paragraphs: []text.Message{text.T("Enter this code to sign in to %s:", s)},
		after: append(codeNotes(m.Host, m.Minutes),
			text.T("If it was not you who asked for it, ignore this mail: without the code nobody gets in.")),
	}.in(l)
}

// codeNotes is what is to be said of every code.
func codeNotes(host string, minutes int) []text.Message {
	return []text.Message{
		text.T("It works once and for %s, in the browser that asked for it.", text.Wait(time.Duration(minutes)*time.Minute)),
		text.T("Type it at %s and nowhere else. Nobody will ever ask you for it: whoever does wants to get in as you.", host),
	}
}

// NoAccount says that somebody without an account tried to sign in, to the address that
// was typed: only who can read its mail learns that there is no account.
type NoAccount struct {
	Organization, Host string
}

// About implements [Composer].
func (NoAccount) About() string { return "no_account" }

// Compose implements [Composer].
func (m NoAccount) Compose(l text.Locale) Content {
	s := site(m.Organization, m.Host)
	return letter{
		organization: m.Organization, host: m.Host,
		subject: text.T("Signing in to %s", s),
		paragraphs: []text.Message{
			text.T("Somebody, probably you, wanted to sign in to %s with this address. There is no account with it.", s),
			text.T("If you have an account, it is under another address. If not, ask for an invitation."),
		},
		after: []text.Message{text.T("If it was not you, ignore this mail. Nothing has happened.")},
	}.in(l)
}

// ResetPassword brings a code to set a new password with.
type ResetPassword struct {
	Organization, Host string
	Code               string
	Minutes            int
}

// About implements [Composer].
func (ResetPassword) About() string { return "reset_password" }

// Compose implements [Composer].
func (m ResetPassword) Compose(l text.Locale) Content {
	s := site(m.Organization, m.Host)
	return letter{
		organization: m.Organization, host: m.Host, code: m.Code,
		subject:    text.T("Your code for a new password at %s", s),
		paragraphs: []text.Message{text.T("Enter this code to set a new password at %s:", s)},
		after: append(codeNotes(m.Host, m.Minutes),
			text.T("If it was not you who asked for it, ignore this mail: your password stays as it is.")),
	}.in(l)
}

// ChangeEmailCode brings a code to agree to a new address with: one to the address of the
// account as it is, and another one to the new address.
type ChangeEmailCode struct {
	Organization, Host string
	Code               string
	Minutes            int
	// Email is the new address, and ToNew says that this mail goes there.
	Email string
	ToNew bool
}

// About implements [Composer].
func (ChangeEmailCode) About() string { return "change_email" }

// Compose implements [Composer].
func (m ChangeEmailCode) Compose(l text.Locale) Content {
	s := site(m.Organization, m.Host)
	c := letter{
		organization: m.Organization, host: m.Host, code: m.Code,
		subject:    text.T("Your code for another address at %s", s),
		paragraphs: []text.Message{text.T("The address of your account at %s is to become %s. Enter this code if you want that:", s, typed(m.Email))},
		after: append(codeNotes(m.Host, m.Minutes),
			text.T("If it was not you who asked for it, somebody else is signed in as you: sign out everywhere on your account page.")),
	}
	if m.ToNew {
		c.paragraphs = []text.Message{text.T("Enter this code to make this the address of your account at %s:", s)}
		c.after = append(codeNotes(m.Host, m.Minutes), text.T("If it was not you who asked for it, ignore this mail. Nothing has happened."))
	}
	return c.in(l)
}

// EmailChanged tells the old address that it is no longer that of the account.
type EmailChanged struct {
	Organization, Host string
	Email              string // the new one
}

// About implements [Composer].
func (EmailChanged) About() string { return "email_changed" }

// Compose implements [Composer].
func (m EmailChanged) Compose(l text.Locale) Content {
	s := site(m.Organization, m.Host)
	return letter{
		organization: m.Organization, host: m.Host,
		subject:    text.T("Your address at %s was changed", s),
		paragraphs: []text.Message{text.T("The address of your account at %s is now %s. Mail about your account goes there from now on.", s, typed(m.Email))},
		after:      []text.Message{notYou(s)},
	}.in(l)
}

// notYou is what to do about a change that somebody else made.
func notYou(site string) text.Message {
	return text.T("If it was not you, somebody else is in your account: tell the people who run %s at once.", site)
}

// PasswordChanged tells that the account has a new password.
type PasswordChanged struct {
	Organization, Host string
}

// About implements [Composer].
func (PasswordChanged) About() string { return "password_changed" }

// Compose implements [Composer].
func (m PasswordChanged) Compose(l text.Locale) Content {
	s := site(m.Organization, m.Host)
	return letter{
		organization: m.Organization, host: m.Host,
		subject:    text.T("Your password at %s was changed", s),
		paragraphs: []text.Message{text.T("Your account at %s has a new password. You were signed out wherever else you were signed in.", s)},
		after:      []text.Message{notYou(s)},
	}.in(l)
}

// A Factor is what somebody can prove beside an e-mail address, as mails call it.
type Factor uint8

// The factors.
const (
	Passkey Factor = iota + 1
	AuthenticatorApp
	RecoveryCodes
	Password
)

func (f Factor) message() text.Message {
	switch f {
	case Passkey:
		return text.T("a passkey")
	case AuthenticatorApp:
		return text.T("an authenticator app")
	case RecoveryCodes:
		return text.T("recovery codes")
	case Password:
		return text.T("a password")
	default:
		return text.T("a way to sign in")
	}
}

// FactorAdded tells that one more thing opens the account.
type FactorAdded struct {
	Organization, Host string
	Factor             Factor
}

// About implements [Composer].
func (FactorAdded) About() string { return "factor_added" }

// Compose implements [Composer].
func (m FactorAdded) Compose(l text.Locale) Content {
	s := site(m.Organization, m.Host)
	return letter{
		organization: m.Organization, host: m.Host,
		subject:    text.T("Your account at %s has a new way to sign in", s),
		paragraphs: []text.Message{text.T("New in your account at %s: %s.", s, m.Factor.message())},
		after:      []text.Message{notYou(s)},
	}.in(l)
}

// FactorRemoved tells that something does not open the account any more.
type FactorRemoved struct {
	Organization, Host string
	Factor             Factor
}

// About implements [Composer].
func (FactorRemoved) About() string { return "factor_removed" }

// Compose implements [Composer].
func (m FactorRemoved) Compose(l text.Locale) Content {
	s := site(m.Organization, m.Host)
	return letter{
		organization: m.Organization, host: m.Host,
		subject:    text.T("A way to sign in to %s was removed", s),
		paragraphs: []text.Message{text.T("Removed from your account at %s: %s.", s, m.Factor.message())},
		after:      []text.Message{notYou(s)},
	}.in(l)
}

// MFAReset tells that the people who run the place took away the second factors.
type MFAReset struct {
	Organization, Host string
}

// About implements [Composer].
func (MFAReset) About() string { return "mfa_reset" }

// Compose implements [Composer].
func (m MFAReset) Compose(l text.Locale) Content {
	s := site(m.Organization, m.Host)
	return letter{
		organization: m.Organization, host: m.Host,
		subject: text.T("Your second factors at %s were reset", s),
		paragraphs: []text.Message{
			text.T("The people who run %s have removed your authenticator app, your passkeys and your recovery codes, and have signed you out everywhere.", s),
			text.T("Set up a second factor anew when you sign in next."),
		},
		after: []text.Message{text.T("If you have not asked for that, ask them why.")},
	}.in(l)
}

// Invitation asks somebody to join an organization or, without one, to have an account.
type Invitation struct {
	Organization, Host string
	Inviter            string // the name of whoever invites; may be empty
	URL                string // leads to the invitation; made of configured URLs
	ExpiresAt          time.Time
}

// About implements [Composer].
func (Invitation) About() string { return "invitation" }

// Compose implements [Composer].
func (m Invitation) Compose(l text.Locale) Content {
	s := site(m.Organization, m.Host)
	c := letter{
		organization: m.Organization, host: m.Host,
		subject:    text.T("You are invited to %s", s),
		paragraphs: []text.Message{text.T("You are invited to join %s.", s)},
		button:     text.T("See the invitation").In(l), link: m.URL,
		after: []text.Message{text.T("If you did not expect it, ignore this mail: nothing happens unless you accept.")},
	}
	if who := typed(m.Inviter); who != "" {
		c.paragraphs = []text.Message{text.T("%s invites you to join %s.", who, s)}
	}
	if !m.ExpiresAt.IsZero() {
		c.after = append([]text.Message{text.T("The invitation is open until %s.", text.Moment(m.ExpiresAt))}, c.after...)
	}
	return c.in(l)
}
