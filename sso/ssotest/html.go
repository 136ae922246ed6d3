package ssotest

import (
	"bytes"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/html"
)

// A Page is where a browser arrived.
type Page struct {
	URL    *url.URL
	Status int
	Header http.Header
	Body   string
	// Trail is every request on the way, the page's own the last.
	Trail []Hop

	// Of HTML pages:
	Title string
	Text  string // what is read, blanks collapsed
	Forms []Form
	Links []Link
}

// A Link is an <a>.
type Link struct{ Href, Label string }

// A Form is a <form>.
type Form struct {
	Action  *url.URL
	Method  string
	Fields  []Field
	Buttons []Button

	id string
}

// A Field is what a form submits.
type Field struct {
	Name, Value string
	Type        string // of an <input>; or textarea, select
	Off         bool   // a box that is not ticked
}

// A Button submits its form.
type Button struct{ Name, Value, Label string }

// has reports whether the form has a field of that name.
func (f Form) has(name string) bool {
	return slices.ContainsFunc(f.Fields, func(x Field) bool { return x.Name == name })
}

// values returns what is in the form.
func (f Form) values() url.Values {
	v := url.Values{}
	for _, x := range f.Fields {
		if x.Name != "" && !x.Off {
			v.Add(x.Name, x.Value)
		}
	}
	return v
}

// fill returns what the form submits with values; ok is false if it can't take them.
func (f Form) fill(values map[string]string) (body url.Values, ok bool) {
	body = f.values()
	pressed := false
	for name, v := range values {
		button := slices.ContainsFunc(f.Buttons, func(b Button) bool { return b.Name == name && b.Value == v })
		if !button && !f.has(name) {
			return nil, false
		}
		body.Set(name, v)
		pressed = pressed || button
	}
	if !pressed && len(f.Buttons) > 0 && f.Buttons[0].Name != "" {
		body.Set(f.Buttons[0].Name, f.Buttons[0].Value)
	}
	return body, true
}

// parsePage reads an answer.
func parsePage(u *url.URL, resp *http.Response, body []byte) *Page {
	p := &Page{URL: u, Status: resp.StatusCode, Header: resp.Header, Body: string(body)}
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
		return p
	}
	root, err := html.Parse(bytes.NewReader(body))
	if err != nil {
		return p
	}
	p.read(root, nil)
	// A control may belong to a form elsewhere in the page, by its id.
	for d := range root.Descendants() {
		if id := attribute(d, "form"); d.Type == html.ElementNode && id != "" {
			if i := slices.IndexFunc(p.Forms, func(f Form) bool { return f.id == id }); i >= 0 {
				p.Forms[i].readControl(d)
			}
		}
	}
	p.Text = strings.Join(strings.Fields(text(root)), " ")
	return p
}

func (p *Page) read(n *html.Node, form *Form) {
	if n.Type == html.ElementNode {
		switch n.Data {
		case "title":
			p.Title = label(n)
		case "a":
			if href := attribute(n, "href"); href != "" {
				p.Links = append(p.Links, Link{href, label(n)})
			}
		case "form":
			p.readForm(n)
			return
		case "input", "textarea", "select", "button":
			if form != nil && !hasAttribute(n, "form") {
				form.readControl(n)
			}
		}
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		p.read(c, form)
	}
}

func (p *Page) readForm(n *html.Node) {
	f := Form{Method: http.MethodGet, id: attribute(n, "id")}
	if strings.EqualFold(attribute(n, "method"), "post") {
		f.Method = http.MethodPost
	}
	action, err := p.URL.Parse(attribute(n, "action"))
	if err != nil {
		return // nothing that could be submitted
	}
	f.Action = action
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		p.read(c, &f)
	}
	p.Forms = append(p.Forms, f)
}

func (f *Form) readControl(n *html.Node) {
	if hasAttribute(n, "disabled") {
		return
	}
	name, value, typ := attribute(n, "name"), attribute(n, "value"), strings.ToLower(attribute(n, "type"))
	switch {
	case n.Data == "button" && (typ == "" || typ == "submit"):
		f.Buttons = append(f.Buttons, Button{name, value, label(n)})
	case n.Data == "input" && typ == "submit":
		f.Buttons = append(f.Buttons, Button{name, value, value})
	case n.Data == "button" || typ == "button" || typ == "reset" || typ == "image" || typ == "file":
	case typ == "checkbox" || typ == "radio":
		if !hasAttribute(n, "value") {
			value = "on"
		}
		f.Fields = append(f.Fields, Field{name, value, typ, !hasAttribute(n, "checked")})
	case n.Data == "textarea":
		f.Fields = append(f.Fields, Field{Name: name, Value: text(n), Type: n.Data})
	case n.Data == "select":
		f.Fields = append(f.Fields, Field{Name: name, Value: selected(n), Type: n.Data})
	default:
		f.Fields = append(f.Fields, Field{Name: name, Value: value, Type: typ})
	}
}

// selected returns the value of the selected option, or of the first.
func selected(n *html.Node) string {
	first, found := "", false
	for d := range n.Descendants() {
		if d.Type != html.ElementNode || d.Data != "option" {
			continue
		}
		v := attribute(d, "value")
		if hasAttribute(d, "selected") {
			return v
		}
		if !found {
			first, found = v, true
		}
	}
	return first
}

func attribute(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func hasAttribute(n *html.Node, key string) bool {
	return slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == key })
}

// label returns the text of an element on one line.
func label(n *html.Node) string { return strings.Join(strings.Fields(text(n)), " ") }

// text returns the text inside n, without scripts, styles and the page's title, with a
// blank where an element other than b, i, em, strong, code and a begins.
func text(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.ElementNode && !slices.Contains([]string{"b", "i", "em", "strong", "code", "a"}, d.Data) {
			b.WriteByte(' ')
		}
		if d.Type == html.TextNode && d.Parent.Data != "script" && d.Parent.Data != "style" && d.Parent.Data != "title" || d.Type == html.TextNode && n.Data == "title" {
			b.WriteString(d.Data)
		}
	}
	return b.String()
}
