package mail

import "github.com/orgate/orgate/internal/text"

// LinkCode brings a code that lets an account at a social provider open the account of the
// address that it gets to. Whoever has the code talked out of them lets the other in for good,
// so it says what it does.
type LinkCode struct {
	Organization, Host string
	Provider           string // what the provider is called, such as "Google"
	Code               string
	Minutes            int
}

// About implements [Composer].
func (LinkCode) About() string { return "link_code" }

// Compose implements [Composer].
func (m LinkCode) Compose(l text.Locale) Content {
	s, provider := site(m.Organization, m.Host), typed(m.Provider)
	return letter{
		organization: m.Organization, host: m.Host, code: m.Code,
		subject: text.T("Your code to sign in to %s by %s", s, provider),
		paragraphs: []text.Message{
			text.T("Somebody, probably you, signed in to %s with an account at %s that has this address. It is the first time.", s, provider),
			text.T("Enter this code to let that account sign in as you from now on:"),
		},
		after: append(codeNotes(m.Host, m.Minutes),
			text.T("If it was not you who asked for it, ignore this mail: without the code nobody gets in.")),
	}.in(l)
}

// ProfileCode brings a code that shows to an app whose address an account at a social provider has.
type ProfileCode struct {
	Host     string
	Provider string // what the provider is called, such as "Google"
	App      string // what the app is called
	Code     string
	Minutes  int
}

// About implements [Composer].
func (ProfileCode) About() string { return "profile_code" }

// Compose implements [Composer].
func (m ProfileCode) Compose(l text.Locale) Content {
	app, provider := site(m.App, m.Host), typed(m.Provider)
	return letter{
		host: m.Host, code: m.Code,
		subject: text.T("Your code to go on to %s", app),
		paragraphs: []text.Message{
			text.T("Somebody, probably you, goes to %s by an account at %s that has this address.", app, provider),
			text.T("Enter this code to have %s told that the address is yours:", app),
		},
		after: append(codeNotes(m.Host, m.Minutes), text.T("If it was not you who asked for it, ignore this mail: without the code nothing is told.")),
	}.in(l)
}

// IdentityLinked tells that an account at a social provider opens the account from now on.
type IdentityLinked struct {
	Organization, Host string
	Provider           string
}

// About implements [Composer].
func (IdentityLinked) About() string { return "identity_linked" }

// Compose implements [Composer].
func (m IdentityLinked) Compose(l text.Locale) Content {
	s := site(m.Organization, m.Host)
	return letter{
		organization: m.Organization, host: m.Host,
		subject:    text.T("Your account at %s has a new way to sign in", s),
		paragraphs: []text.Message{text.T("From now on your account at %s opens your account at %s.", typed(m.Provider), s)},
		after:      []text.Message{notYou(s)},
	}.in(l)
}
