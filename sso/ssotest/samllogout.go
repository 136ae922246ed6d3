package ssotest

import (
	"bytes"
	"compress/flate"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/beevik/etree"
)

// A SAMLMessage is to be carried to an application by the browser.
type SAMLMessage struct {
	// URL is where to go: all of it with the redirect binding.
	URL string
	// Form is what to post there; nil: nothing, the binding is redirect.
	Form url.Values
}

// A SAMLLogoutAsk is what a LogoutRequest is to be for.
type SAMLLogoutAsk struct {
	// SLO is where it goes.
	SLO string
	// NameID and SessionIndex are who is to be signed out; an empty SessionIndex: of all
	// sessions.
	NameID, NameIDFormat, SessionIndex string
	RelayState                         string
	// Post is the binding; false: redirect.
	Post bool
}

// LogoutRequest makes a request to sign somebody out, signed as its binding is.
func (p *SAMLProvider) LogoutRequest(ask SAMLLogoutAsk, faults ...SAMLFaults) SAMLMessage {
	return p.carry("SAMLRequest", p.logoutRequest(ask), ask.RelayState, ask.Post, faults)
}

func (p *SAMLProvider) logoutRequest(ask SAMLLogoutAsk) *etree.Element {
	m := p.message("LogoutRequest", ask.SLO)
	m.CreateAttr("NotOnOrAfter", p.options.Now().UTC().Add(assertionLife).Format(samlTime))
	id := m.CreateElement("saml2:NameID")
	id.CreateAttr("xmlns:saml2", nsSAML)
	format := ask.NameIDFormat
	if format == "" {
		format = p.options.NameIDFormat
	}
	id.CreateAttr("Format", format)
	id.SetText(ask.NameID)
	if ask.SessionIndex != "" {
		m.CreateElement("saml2p:SessionIndex").SetText(ask.SessionIndex)
	}
	return m
}

// carry signs a message and puts it into a binding. NothingSigned leaves the signature out,
// Response is how it is made.
func (p *SAMLProvider) carry(name string, m *etree.Element, relay string, post bool, faults []SAMLFaults) SAMLMessage {
	var how SAMLSigning
	signed := true
	for _, f := range faults {
		if !f.Response.isZero() {
			how = f.Response
		}
		signed = signed && f.Signed != NothingSigned
	}
	to := m.SelectAttrValue("Destination", "")
	doc := etree.NewDocumentWithRoot(m)
	editTree(m, faults, func(f SAMLFaults) func(*etree.Element) { return f.Edit })
	if post && signed {
		p.sign(m, how)
	}
	editTree(m, faults, func(f SAMLFaults) func(*etree.Element) { return f.After })
	text, err := doc.WriteToString()
	if err != nil {
		panic(err) // never: a string takes everything
	}
	text = edited(text, faults, func(f SAMLFaults) func(string) string { return f.XML })
	encoded := func(raw []byte) string {
		return edited(base64.StdEncoding.EncodeToString(raw), faults, func(f SAMLFaults) func(string) string { return f.Encoded })
	}
	if post {
		form := url.Values{name: {encoded([]byte(text))}}
		if relay != "" {
			form.Set("RelayState", relay)
		}
		return SAMLMessage{URL: to, Form: form}
	}
	query := name + "=" + url.QueryEscape(encoded(deflate(text)))
	if relay != "" {
		query += "&RelayState=" + url.QueryEscape(relay)
	}
	if signed {
		query = p.signQuery(query, how)
	}
	sep := "?"
	if strings.Contains(to, "?") {
		sep = "&"
	}
	return SAMLMessage{URL: to + sep + query}
}

// signQuery adds SigAlg and Signature.
func (p *SAMLProvider) signQuery(query string, how SAMLSigning) string {
	key := p.Key()
	if how.Key != nil {
		key = *how.Key
	}
	if how.Method == "" {
		how.Method = RSASHA256
	}
	query += "&SigAlg=" + url.QueryEscape(how.Method)
	value, err := how.value([]byte(query), key)
	if err != nil {
		panic(err) // a test asked for what can't be signed
	}
	return query + "&Signature=" + url.QueryEscape(base64.StdEncoding.EncodeToString(value))
}

// SignSAMLQuery signs a query of the redirect binding as an application does.
func SignSAMLQuery(query string, key *rsa.PrivateKey) (string, error) {
	query += "&SigAlg=" + url.QueryEscape(RSASHA256)
	h := crypto.SHA256.New()
	h.Write([]byte(query))
	value, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, h.Sum(nil))
	if err != nil {
		return "", err
	}
	return query + "&Signature=" + url.QueryEscape(base64.StdEncoding.EncodeToString(value)), nil
}

func deflate(text string) []byte {
	var b bytes.Buffer
	z, err := flate.NewWriter(&b, flate.DefaultCompression)
	if err != nil {
		panic(err) // never: the level is good
	}
	_, _ = z.Write([]byte(text)) // a bytes.Buffer takes everything
	_ = z.Close()
	return b.Bytes()
}

// inflated undoes deflate, in base64.
func inflated(packed string) []byte {
	raw, err := base64.StdEncoding.DecodeString(packed)
	if err != nil {
		panic(err) // never: we packed it
	}
	text, err := io.ReadAll(flate.NewReader(bytes.NewReader(raw)))
	if err != nil {
		panic(err) // never: we packed it
	}
	return text
}

// Logout ends all sessions of a person at the provider, as its administrator would, and
// returns what the person's browser is to carry to the applications that they used: one
// request for each session of each, by redirect or by POST.
func (p *SAMLProvider) Logout(subject string, post bool, faults ...SAMLFaults) []SAMLMessage {
	var ended []*samlSession
	p.mu.Lock()
	for cookie, s := range p.sessions {
		if s.person == subject {
			ended = append(ended, s)
			delete(p.sessions, cookie)
		}
	}
	sps := slices.Clone(p.sps)
	p.mu.Unlock()
	var out []SAMLMessage
	for _, s := range ended {
		for _, sp := range sps {
			if name := s.names[sp.EntityID]; name.value != "" && sp.SLO != "" {
				ask := SAMLLogoutAsk{SLO: sp.SLO, NameID: name.value, NameIDFormat: name.format, SessionIndex: s.index, Post: post}
				out = append(out, p.LogoutRequest(ask, faults...))
			}
		}
	}
	return out
}

// Sessions returns how many sessions a person has at the provider.
func (p *SAMLProvider) Sessions(subject string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, s := range p.sessions {
		if s.person == subject {
			n++
		}
	}
	return n
}

// slo takes an application's LogoutRequest, or its answer to ours.
func (p *SAMLProvider) slo(w http.ResponseWriter, r *http.Request) {
	if r.FormValue("SAMLResponse") != "" {
		p.logoutAnswered(w, r)
		return
	}
	in, err := p.input(r, "SAMLRequest")
	var sp SAMLServiceProvider
	if err == nil {
		sp, err = p.accept(in, "LogoutRequest", "/slo", true)
	}
	if err == nil && sp.SLO == "" {
		p.refuse(w, http.StatusBadRequest, "This application has no address for an answer.")
		return
	}
	if err != nil {
		p.refuse(w, http.StatusBadRequest, "That is no good request: "+err.Error()+".")
		return
	}
	name := childText(in.root, "NameID")
	var indexes []string
	for _, x := range in.root.SelectElements("SessionIndex") {
		indexes = append(indexes, x.Text())
	}
	p.mu.Lock()
	for cookie, s := range p.sessions {
		if s.names[sp.EntityID].value == name && (indexes == nil || slices.Contains(indexes, s.index)) {
			delete(p.sessions, cookie)
		}
	}
	p.mu.Unlock()
	http.SetCookie(w, &http.Cookie{Name: sessionCookie, Path: p.prefix + "/", HttpOnly: true, SameSite: http.SameSiteLaxMode, MaxAge: -1})
	to := p.carry("SAMLResponse", p.logoutResponse(sp.SLO, in.root.SelectAttrValue("ID", "")), in.relay, false, []SAMLFaults{p.misbehaviour()})
	http.Redirect(w, r, to.URL, http.StatusSeeOther)
}

func (p *SAMLProvider) logoutResponse(to, inResponseTo string) *etree.Element {
	m := p.message("LogoutResponse", to)
	m.CreateAttr("InResponseTo", inResponseTo)
	m.CreateElement("saml2p:Status").CreateElement("saml2p:StatusCode").CreateAttr("Value", statusPrefix+"Success")
	return m
}

// LogoutResponse makes an answer to an application's LogoutRequest.
func (p *SAMLProvider) LogoutResponse(slo, inResponseTo, relay string, post bool, faults ...SAMLFaults) SAMLMessage {
	return p.carry("SAMLResponse", p.logoutResponse(slo, inResponseTo), relay, post, faults)
}

// logoutAnswered takes the answer to a LogoutRequest of ours.
func (p *SAMLProvider) logoutAnswered(w http.ResponseWriter, r *http.Request) {
	in, err := p.input(r, "SAMLResponse")
	if err == nil {
		_, err = p.accept(in, "LogoutResponse", "/slo", true)
	}
	if err != nil {
		p.refuse(w, http.StatusBadRequest, "That is no good answer: "+err.Error()+".")
		return
	}
	p.mu.Lock()
	p.hits["logout-answer"]++
	p.mu.Unlock()
	render(w, http.StatusOK, "message.html", messagePage{base: p.base(), Title: "Signed out", Text: "You are signed out here."})
}
