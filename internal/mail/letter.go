package mail

import (
	"bytes"
	_ "embed"
	"html/template"
	"net/url"
	"strings"
	"unicode"

	"github.com/orgate/orgate/internal/text"
)

//go:embed letter.html
var letterFile string

var letterPage = template.Must(template.New("letter.html").Option("missingkey=error").Parse(letterFile))

// A letter is what every mail is made of.
type letter struct {
	organization string // whose name is on top; empty: the host
	host         string // where it comes from
	subject      text.Message
	paragraphs   []text.Message
	code         string
	button, link string // what is said in the place of the button, and where it leads
	after        []text.Message
}

// A view is a letter in one language, as the template shows it.
type view struct {
	Locale       text.Locale
	Subject      string
	From         string
	Paragraphs   []template.HTML
	Code         string
	Button, Link string
	After        []template.HTML
	Sent         template.HTML
}

// in writes the letter in a language.
func (m letter) in(l text.Locale) Content {
	v := view{Locale: l, Subject: oneLine(m.subject.In(l)), From: site(m.organization, m.host), Code: m.code, Button: m.button, Link: configured(m.link)}
	sent := text.T("This mail comes from %s.", m.host)
	var b strings.Builder
	for _, p := range m.paragraphs {
		v.Paragraphs = append(v.Paragraphs, p.HTML(l))
		b.WriteString(p.In(l) + "\n\n")
	}
	if v.Code != "" {
		b.WriteString("    " + v.Code + "\n\n")
	}
	if v.Link != "" {
		b.WriteString(v.Link + "\n\n")
	}
	for _, p := range m.after {
		v.After = append(v.After, p.HTML(l))
		b.WriteString(p.In(l) + "\n\n")
	}
	v.Sent = sent.HTML(l)
	b.WriteString("-- \n" + v.From + "\n" + sent.In(l) + "\n")
	var page bytes.Buffer
	if err := letterPage.Execute(&page, v); err != nil {
		panic(err) // the template and its data are both ours
	}
	return Content{Subject: v.Subject, Text: b.String(), HTML: page.String()}
}

// site is what people know the place by: the organization's name or, without one, the host.
func site(organization, host string) string {
	if o := typed(organization); o != "" {
		return o
	}
	return host
}

// maxTyped is how much is shown of what somebody typed.
const maxTyped = 100

// typed returns what somebody typed as it may stand in a sentence: one line, without what
// can't be seen or turns the text around it, and not so that a mail program makes a link of
// it. Whoever may choose a name would else choose where the reader goes.
func typed(s string) string {
	var b strings.Builder
	n, linking := 0, false
	for _, r := range oneLine(s) {
		if n++; n > maxTyped {
			b.WriteString("…")
			break
		}
		if linking && !unicode.IsSpace(r) {
			b.WriteRune('\u2060') // WORD JOINER: takes no room, and is in no address
		}
		linking = strings.ContainsRune(".。．｡:/@", r)
		b.WriteRune(r)
	}
	return b.String()
}

// oneLine returns s with a blank for whatever is no letter, sign or blank: line ends, which
// would end a header; control characters, which terminals obey; and what turns the
// direction of the text.
func oneLine(s string) string {
	return strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		switch {
		case r == '\u200c', r == '\u200d', r == '\u2060': // between letters, in some scripts; and ours
			return r
		case unicode.IsPrint(r) && r != unicode.ReplacementChar:
			return r
		default:
			return ' '
		}
	}, s)), " ")
}

// configured returns the link, if it is an http or https URL: anything else is left out.
func configured(link string) string {
	u, err := url.Parse(link)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || strings.ContainsFunc(link, unicode.IsSpace) {
		return ""
	}
	return u.String()
}
