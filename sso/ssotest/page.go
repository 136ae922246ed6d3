package ssotest

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"strings"
)

//go:embed page
var pages embed.FS

var templates = template.Must(template.New("").Option("missingkey=error").ParseFS(pages, "page/*.html"))

// base is what every page of the provider shows.
type base struct {
	Name   string // the provider's
	Prefix string // of its paths
}

func (p *Provider) base() base { return base{Name: p.options.Name, Prefix: p.prefix} }

// peoplePage lets somebody choose who to be.
type peoplePage struct {
	base
	Action, Request, Application string
	People                       []personEntry
}

type personEntry struct {
	Subject, Name, Email, Note, Initials string
	Hinted                               bool // the application thinks that it is this one
	Current                              bool // signed in here
}

// logoutPage asks whether to sign out.
type logoutPage struct {
	base
	Action, Client, To, State string
}

// messagePage says one thing.
type messagePage struct {
	base
	Title, Text string
}

// homePage is seen by whoever opens the issuer in a browser.
type homePage struct {
	base
	Issuer string
	People []personEntry
}

func (p *Provider) home(w http.ResponseWriter, _ *http.Request) {
	data := homePage{base: p.base(), Issuer: p.options.Issuer}
	for _, x := range p.options.People {
		data.People = append(data.People, personEntry{Name: x.Name, Email: x.Email, Note: x.Note, Initials: initials(x)})
	}
	p.render(w, http.StatusOK, "home.html", data)
}

func (p *Provider) refuse(w http.ResponseWriter, status int, text string) {
	p.render(w, status, "message.html", messagePage{base: p.base(), Title: "That did not work", Text: text})
}

func (p *Provider) render(w http.ResponseWriter, status int, name string, data any) {
	render(w, status, name, data)
}

func render(w http.ResponseWriter, status int, name string, data any) {
	var b bytes.Buffer
	if err := templates.ExecuteTemplate(&b, name, data); err != nil {
		http.Error(w, "template failed", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = b.WriteTo(w)
}

func style(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "max-age=3600")
	http.ServeFileFS(w, r, pages, "page/style.css")
}

// initials returns one or two letters for a person's picture.
func initials(x Person) string {
	name := x.Name
	if name == "" {
		name = x.Subject
	}
	var out strings.Builder
	for i, word := range strings.Fields(name) {
		if i < 2 {
			out.WriteString(strings.ToUpper(string([]rune(word)[:1])))
		}
	}
	return out.String()
}
