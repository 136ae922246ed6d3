package sso_test

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/beevik/etree"

	"github.com/orgate/orgate/sso/saml"
	"github.com/orgate/orgate/sso/ssotest"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// form has the browser post a form of a page of another site.
func (u *user) form(from, to string, fields url.Values) *user {
	u.w.t.Helper()
	at, err1 := url.Parse(from)
	action, err2 := url.Parse(to)
	if err := errors.Join(err1, err2); err != nil {
		u.w.t.Fatal(err)
	}
	f := ssotest.Form{Action: action, Method: http.MethodPost}
	for name, values := range fields {
		for _, v := range values {
			f.Fields = append(f.Fields, ssotest.Field{Name: name, Value: v})
		}
	}
	p, err := u.Submit(u.w.t.Context(), &ssotest.Page{URL: at, Header: http.Header{}, Forms: []ssotest.Form{f}}, nil)
	return u.did(p, err)
}

// brings has the browser post a response at the ACS of slug's connection, as a page of its provider does.
func (u *user) brings(slug, response, relay string) *user {
	u.w.t.Helper()
	fields := url.Values{"SAMLResponse": {response}}
	if relay != "" {
		fields.Set("RelayState", relay)
	}
	return u.form("https://idp.example/", u.w.samlURL(slug, "acs"), fields)
}

// asksFor is what a response to slug's connection must be for.
func (w *world) asksFor(slug, inResponseTo string) ssotest.SAMLAsk {
	return ssotest.SAMLAsk{ACS: w.samlURL(slug, "acs"), Audience: w.samlURL(slug, "metadata"), InResponseTo: inResponseTo, Certificate: w.samlState(slug).Keys[0].Certificate}
}

// carried is the form of the provider's page that the person is on, not yet pressed.
func (u *user) carried() (response, relay string) {
	u.w.t.Helper()
	for _, f := range u.p.Forms {
		for _, x := range f.Fields {
			switch x.Name {
			case "SAMLResponse":
				response = x.Value
			case "RelayState":
				relay = x.Value
			}
		}
	}
	if response == "" {
		u.w.t.Fatalf("%s carries no response: %s", u.p.URL, u.p.Text)
	}
	return response, relay
}

// requestID is the id of the request that a response answers.
func requestID(t testing.TB, response string) string {
	t.Helper()
	text, err := base64.StdEncoding.DecodeString(response)
	if err != nil {
		t.Fatal(err)
	}
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(text); err != nil {
		t.Fatal(err)
	}
	return doc.Root().SelectAttrValue("InResponseTo", "")
}

// begun has a browser begin a flow at slug, and returns the request's id and the RelayState.
func (u *user) begun(slug, email, subject string) (id, relay string) {
	u.w.t.Helper()
	response, relay := u.to(slug, "/", email).as(subject).carried()
	return requestID(u.w.t, response), relay
}

// failedOnce fails the test unless the log has one line of a failed sign-in with that check, steps, and
// the id that the page shows; and returns the line.
func (u *user) failedOnce(check string) string {
	u.w.t.Helper()
	var found []string
	for line := range strings.SplitSeq(u.w.log.String(), "\n") {
		if strings.Contains(line, `"sign-in failed"`) {
			found = append(found, line)
		}
	}
	if len(found) != 1 {
		u.w.t.Fatalf("%d lines of a failed sign-in:\n%s", len(found), u.w.log)
	}
	_, id, _ := strings.Cut(found[0], `"request_id":"`)
	id, _, _ = strings.Cut(id, `"`)
	if id == "" || !strings.Contains(u.p.Body, id) {
		u.w.t.Errorf("the page does not show the id of %s", found[0])
	}
	if check != "" && !strings.Contains(found[0], `"check":"`+check+`"`) {
		u.w.t.Errorf("the check is not %s: %s", check, found[0])
	}
	return found[0]
}

// nothing fails the test unless nobody was made or signed in at slug, and this browser is not.
func (u *user) nothing(slug, email string) *user {
	u.w.t.Helper()
	if c := u.w.census(slug); c != (census{}) {
		u.w.t.Errorf("the store has %+v", c)
	}
	if u.cookie("orgate_login") != "" {
		u.w.t.Error("the browser is signed in")
	}
	u.w.nobody(email)
	return u
}

// moreSAML gives an organization that is there another SAML connection.
func (w *world) moreSAML(slug, name string, people ...ssotest.Person) *ssotest.SAMLProvider {
	w.t.Helper()
	idp := ssotest.StartSAML(w.t, ssotest.SAMLOptions{Name: name, People: people, Now: w.clock.Now})
	known, err := saml.ParseMetadata(idp.Metadata(), "", w.clock.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	record, err := known.Record()
	if err != nil {
		w.t.Fatal(err)
	}
	id := tenancy.ConnectionID("conn_" + slug + name)
	w.update(func(tx store.Tx) error {
		now := w.clock.Now()
		s := w.samlStateIn(tx, slug)
		// It has a key like the first: how keys are made is not what is tested with it.
		key := s.Keys[0]
		plain, err := w.box.Open(tenancy.SAMLKeyPurpose, tenancy.SAMLKeyAbout(conn(slug), key.ID), key.Private)
		if err != nil {
			return err
		}
		key.Private = w.box.Seal(tenancy.SAMLKeyPurpose, tenancy.SAMLKeyAbout(id, key.ID), plain)
		return errors.Join(
			tx.PutConnection(tenancy.Connection{ID: id, Organization: org(slug), Name: name, Type: "saml", CreatedAt: now, UpdatedAt: now, SAML: &tenancy.SAMLConnection{Provider: &record}}),
			tx.PutSAMLState(tenancy.SAMLState{Organization: org(slug), Connection: id, Next: now.AddDate(1, 0, 0), Keys: []tenancy.SAMLKey{key}}),
		)
	})
	at := func(what string) string { return w.login("/sso/saml/" + slug + "." + name + "/" + what) }
	idp.Trust(ssotest.SAMLServiceProvider{EntityID: at("metadata"), ACS: at("acs"), SLO: at("slo"), Certificate: w.samlState(slug).Keys[0].Certificate})
	return idp
}

func (w *world) samlStateIn(tx store.Tx, slug string) tenancy.SAMLState {
	w.t.Helper()
	s, err := tx.SAMLState(org(slug), conn(slug))
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// bare makes one request, without cookies, and follows nothing.
func (w *world) bare(method, to, contentType, body string) *ssotest.Page {
	w.t.Helper()
	return w.fetch(w.browser(), method, to, contentType, body)
}

func (w *world) fetch(u *user, method, to, contentType, body string) *ssotest.Page {
	w.t.Helper()
	req, err := http.NewRequestWithContext(context.WithoutCancel(w.t.Context()), method, to, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	p, err := u.Fetch(req)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

const formType = "application/x-www-form-urlencoded"

func decoded(t testing.TB, encoded string) string {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func encodedText(b []byte) string { return base64.StdEncoding.EncodeToString(b) }
