package ssotest

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// postPage carries a message to an application.
type postPage struct {
	base
	Application, Action string
	Fields              []postField
}

type postField struct{ Name, Value string }

// samlHomePage is seen by whoever opens the entity id in a browser.
type samlHomePage struct {
	base
	EntityID     string
	People       []personEntry
	Applications []SAMLServiceProvider
}

func (p *SAMLProvider) base() base { return base{Name: p.options.Name, Prefix: p.prefix} }

// title is what a service provider is called on pages.
func (sp SAMLServiceProvider) title() string {
	if sp.Name != "" {
		return sp.Name
	}
	return sp.EntityID
}

func (p *SAMLProvider) home(w http.ResponseWriter, _ *http.Request) {
	data := samlHomePage{base: p.base(), EntityID: p.options.EntityID}
	for _, x := range p.options.People {
		data.People = append(data.People, personEntry{Name: x.Name, Email: x.Email, Note: x.Note, Initials: initials(x)})
	}
	p.mu.Lock()
	data.Applications = slices.Clone(p.sps)
	p.mu.Unlock()
	for i := range data.Applications {
		data.Applications[i].Name = data.Applications[i].title()
	}
	render(w, http.StatusOK, "samlhome.html", data)
}

func (p *SAMLProvider) peoplePage(id string, req *samlRequest, s *samlSession) peoplePage {
	data := peoplePage{base: p.base(), Action: p.prefix + "/people", Request: id, Application: req.sp.title()}
	for _, x := range p.options.People {
		e := personEntry{Subject: x.Subject, Name: x.Name, Email: x.Email, Note: x.Note, Initials: initials(x)}
		e.Hinted = req.hint != "" && (strings.EqualFold(req.hint, x.Email) || req.hint == x.Subject)
		e.Current = s != nil && s.person == x.Subject
		if e.Name == "" {
			e.Name = x.Subject
		}
		data.People = append(data.People, e)
	}
	// Who was hinted at comes first; the others keep their order.
	slices.SortStableFunc(data.People, func(a, b personEntry) int {
		return strings.Compare(strconv.FormatBool(b.Hinted), strconv.FormatBool(a.Hinted))
	})
	return data
}

// form shows the page whose form goes to an application, by itself where scripts run.
func (p *SAMLProvider) form(w http.ResponseWriter, sp SAMLServiceProvider, to string, values url.Values) {
	data := postPage{base: p.base(), Application: sp.title(), Action: to}
	for _, k := range slices.Sorted(maps.Keys(values)) {
		if v := values.Get(k); v != "" {
			data.Fields = append(data.Fields, postField{k, v})
		}
	}
	render(w, http.StatusOK, "samlpost.html", data)
}

func (p *SAMLProvider) refuse(w http.ResponseWriter, status int, text string) {
	p.options.Log.Info("refused", "text", text)
	render(w, status, "message.html", messagePage{base: p.base(), Title: "That did not work", Text: text})
}

func submitScript(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "max-age=3600")
	http.ServeFileFS(w, r, pages, "page/submit.js")
}
