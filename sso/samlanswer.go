package sso

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"time"

	"github.com/orgate/orgate/internal/cookie"
	"github.com/orgate/orgate/internal/endpoint"
	"github.com/orgate/orgate/internal/page"
	"github.com/orgate/orgate/internal/text"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/sso/idp"
	"github.com/orgate/orgate/sso/saml"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

const (
	// maxSAMLForm is how long a form with a message of a provider may be: one of a megabyte,
	// with every byte of it escaped in the worst way that browsers do.
	maxSAMLForm = 3 << 20
	// assertionUse is what an assertion is remembered as that was taken.
	assertionUse = "saml assertion"
	// answerPurpose is what waiting assertions are sealed for; each is about its connection.
	answerPurpose = "saml answer"
	// paramAnswer is the id of a waiting answer.
	paramAnswer = "answer"
	// answerPrefix is what the names of cookies with the tokens of answers begin with.
	answerPrefix = cookie.Flow + "_answer_"
)

// samlACS is POST /sso/saml/{connection}/acs, where a provider has the browser post what it says. The
// browser sends no cookies along, as the form was on another site. So this only verifies, and
// keeps what is good for the browser to come for by itself.
func (s *Server) samlACS(w http.ResponseWriter, r *http.Request) error {
	p, err := s.samlAt(r)
	if err != nil {
		return err
	}
	form, err := readSAMLForm(w, r)
	if err != nil {
		return err
	}
	now := s.now()
	f := flow{Aim: aim{Home: p.row.Organization}, Connection: p.row.ID, Owner: p.row.Organization}
	relay := relayOf(form.Get("RelayState"))
	said, steps, err := p.consume(form.Get("SAMLResponse"), now)
	s.trials.received(relay, steps)
	if err != nil {
		s.trials.refused(relay, err)
		return s.atHome(s.failed(r, f, p.org, said.Email, err, steps...), p)
	}
	if said.InResponseTo == "" && s.trials.waits(relay) {
		// Whoever tries is told, and neither asked for a click nor sent there again.
		err := saml.Flow{}.Check(p.Connection, said, relay, now)
		s.trials.refused(relay, err)
		return s.atHome(s.failed(r, f, p.org, said.Email, err, steps...), p)
	}
	if said.InResponseTo == "" && !p.row.SAML.IDPInitiated {
		s.count("unsolicited")
		to := s.url(samlPath(p.org, p.row, "start")) + "?" + url.Values{paramRelay: {relay}}.Encode()
		http.Redirect(w, r, to, http.StatusSeeOther)
		return nil
	}
	id, token, err := s.keepAnswer(r, p, said, relay, now)
	if errors.Is(err, session.ErrUsed) {
		err = replayed(said)
		s.trials.refused(relay, err)
		return s.atHome(s.failed(r, f, p.org, said.Email, err, steps...), p)
	}
	if err != nil {
		return unavailable(err)
	}
	s.jar.Set(w, answerCookie(id), token.Reveal(), session.AnswerLife)
	to := s.url(samlPath(p.org, p.row, "finish")) + "?" + url.Values{paramAnswer: {id.Reveal()}}.Encode()
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}

// consume is [saml.Connection.Consume] of a party whose provider is known.
func (p samlParty) consume(response string, now time.Time) (saml.Assertion, []saml.Step, error) {
	if err := p.known(); err != nil {
		return saml.Assertion{}, nil, err
	}
	return p.Consume(response, now)
}

// replayed says that an assertion has come before.
func replayed(a saml.Assertion) error {
	return &idp.Error{
		Protocol: "saml", Code: "assertion_replayed", Text: text.T("This answer of your identity provider was used already. Please start again."),
		Hint:   "the page was reloaded, or somebody sent a copy of an answer",
		Detail: "assertion " + idp.Printable(a.ID, 100), Retry: true,
	}
}

// atHome has an error page that came of no flow lead to the organization's app.
func (s *Server) atHome(err error, p samlParty) error {
	if e, ok := errors.AsType[*endpoint.Error](err); ok && e.ActionURL != "" {
		if home := s.tenants.Home(p.row.Organization); home != "" {
			e.ActionURL = home
		}
	}
	return err
}

// readSAMLForm reads what a provider has a browser post. An artifact, which would have us call
// out to whoever is in it, is refused before anything is looked at (attack 70).
func readSAMLForm(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, badRequest(fmt.Errorf("content type of a SAML form: %w", errOrNone(err)))
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxSAMLForm)
	if err := r.ParseForm(); err != nil {
		return nil, badRequest(err)
	}
	if len(r.PostForm["SAMLart"]) > 0 {
		return nil, badRequest(errors.New("an artifact, which is not taken"))
	}
	for _, name := range []string{"SAMLResponse", "SAMLRequest", "RelayState"} {
		if len(r.PostForm[name]) > 1 {
			return nil, badRequest(errors.New("repeated field"))
		}
	}
	return r.PostForm, nil
}

var errNotAForm = errors.New("not a form")

func errOrNone(err error) error {
	if err == nil {
		return errNotAForm
	}
	return err
}

// answerCookie is the name of the cookie that holds an answer's token.
func answerCookie(id session.Token) string {
	h := id.Hash()
	return answerPrefix + hex.EncodeToString(h[:8])
}

// A keptAnswer is what is sealed of an answer that waits.
type keptAnswer struct {
	Said saml.Assertion `json:"said"`
	// Configured is the connection as it was when this was believed.
	Configured string `json:"configured"`
}

// keepAnswer keeps a verified assertion for its browser. The same one is kept once.
func (s *Server) keepAnswer(r *http.Request, p samlParty, said saml.Assertion, relay string, now time.Time) (id, token session.Token, err error) {
	plain, err := json.Marshal(keptAnswer{said, configured(p.row)})
	if err != nil {
		return id, token, err
	}
	a := session.Answer{
		Connection: p.row.ID, Organization: p.row.Organization, Subject: said.Subject, SID: said.SessionIndex, RelayState: relay,
		Sealed: s.box.Seal(answerPurpose, string(p.row.ID), plain),
	}
	err = s.store.Update(r.Context(), func(tx store.Tx) (err error) {
		// By whom it is for, and not by the connection's id: one that is made anew has another.
		if err := tx.Use(assertionUse, nameOf(p.EntityID)+" "+nameOf(said.ID), said.ExpiresAt); err != nil {
			return err
		}
		id, token, err = session.KeepAnswer(tx, a, now)
		return err
	})
	return id, token, err
}

// nameOf is what a message of that id is remembered by.
func nameOf(id string) string {
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:])
}

// A waiting is an answer that a browser has come for.
type waiting struct {
	id, token  session.Token
	relay      string
	said       saml.Assertion
	configured string
}

// waitingAt returns the answer of that id which waits for this browser at this connection. One whose
// session at the provider has ended meanwhile would make a session that is over before it begins.
func (s *Server) waitingAt(r *http.Request, p samlParty, raw string, now time.Time) (waiting, error) {
	id, ok := session.ParseToken(raw)
	if !ok {
		return waiting{}, s.tooOld()
	}
	value, _ := s.jar.Read(r.Header, answerCookie(id))
	token, ok := session.ParseToken(value)
	if !ok {
		return waiting{}, s.tooOld()
	}
	var a session.Answer
	err := s.store.View(r.Context(), func(tx store.Tx) (err error) {
		a, err = session.LookAtAnswer(tx, id.Hash(), token.Hash(), now)
		return err
	})
	switch {
	case errors.Is(err, session.ErrExpired):
		e := s.tooOld()
		e.Err = err
		return waiting{}, e
	case err != nil:
		return waiting{}, unavailable(err)
	case a.Connection != p.row.ID || a.Organization != p.row.Organization:
		return waiting{}, s.tooOld()
	}
	plain, err := s.box.Open(answerPurpose, string(a.Connection), a.Sealed)
	if err != nil {
		return waiting{}, fmt.Errorf("waiting answer: %w", err)
	}
	var kept keptAnswer
	if err := json.Unmarshal(plain, &kept); err != nil {
		return waiting{}, fmt.Errorf("waiting answer: %w", err)
	}
	if end := kept.Said.SessionEnd; !end.IsZero() && !now.Before(end) {
		return waiting{}, s.tooOld()
	}
	return waiting{id: id, token: token, relay: a.RelayState, said: kept.Said, configured: kept.Configured}, nil
}

// tidyAnswers takes answers from the browser that are too many. Whoever has a browser post one after
// the other would else fill it up, until it drops the cookie that it is signed in by.
func (s *Server) tidyAnswers(w http.ResponseWriter, r *http.Request, keep session.Token) {
	names := s.jar.Names(r.Header, answerPrefix)
	if len(names) <= maxFlows {
		return
	}
	for _, name := range names {
		if name != answerCookie(keep) {
			s.jar.Clear(w, name)
		}
	}
}

// spokenOf returns the address of whom an answer is about, as a person knows them: that of the user whom the
// subject is known to be, as at many a provider everybody writes their address themselves, and
// what would be signed in to is not that address. Else as the provider says.
func (s *Server) spokenOf(r *http.Request, p samlParty, said saml.Assertion) (email string, err error) {
	email = said.Email
	err = s.store.View(r.Context(), func(tx store.Tx) error {
		i, err := tx.Identity(p.row.ID, said.Subject)
		if errors.Is(err, tenancy.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		u, err := tx.User(i.User)
		if errors.Is(err, tenancy.ErrNotFound) {
			return nil
		}
		email = u.Email
		return err
	})
	return email, unavailable(err)
}

// samlFinish is GET /sso/saml/{connection}/finish: the browser comes for the answer that was posted. One to
// a flow of this browser is taken at once; one that the provider began is taken when the person
// says so, as anybody can have a browser post an answer for somebody else (login CSRF).
func (s *Server) samlFinish(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet {
		return &endpoint.Error{Status: http.StatusMethodNotAllowed, Code: "method_not_allowed", Title: text.T("This address does not work that way"), Header: http.Header{"Allow": {"GET, POST"}}}
	}
	p, err := s.samlAt(r)
	if err != nil {
		return err
	}
	now := s.now()
	raw := r.URL.Query().Get(paramAnswer)
	a, err := s.waitingAt(r, p, raw, now)
	if err != nil {
		s.count("unknown_sign_in")
		return err
	}
	s.tidyAnswers(w, r, a.id)
	if a.said.InResponseTo == "" {
		if !p.row.SAML.IDPInitiated {
			s.count("unknown_sign_in")
			return s.tooOld()
		}
		email, err := s.spokenOf(r, p, a.said)
		if err != nil {
			return err
		}
		return page.Continue{
			Brand: s.brand(p.org), Title: text.T("Sign in to %s?", p.org.Name),
			Text:   text.T("The identity provider of %s says that you are %s. If you did not just come from there, close this page.", p.org.Name, clip(email, maxEmail)),
			Action: s.url(samlPath(p.org, p.row, "finish")), Hidden: map[string]string{paramAnswer: raw}, Button: text.T("Sign in"),
		}.Render(w, r, http.StatusOK)
	}
	f, ok := s.samlFlows.read(r, a.relay, now)
	if !ok || f.Connection != p.row.ID || f.Owner != p.row.Organization {
		s.count("unknown_sign_in")
		return s.tooOld()
	}
	// It is answered now, whatever comes of it.
	s.samlFlows.clear(w, a.relay)
	s.jar.Clear(w, answerCookie(a.id))
	if err := f.SAML.Check(p.Connection, a.said, a.relay, now); err != nil {
		s.trials.refused(a.relay, err)
		return s.toldClient(w, r, f.Aim, s.failed(r, f, p.org, a.said.Email, err))
	}
	if f.Test != "" {
		return s.endTrial(w, r, f, p, a)
	}
	return s.answered(w, r, f, p.row, p.org, s.saidBySAML(f, a))
}

// samlConfirmed is POST /sso/saml/{connection}/finish: the person says that they mean it. Whoever was
// signed in as somebody else has chosen to be another.
func (s *Server) samlConfirmed(w http.ResponseWriter, r *http.Request) error {
	p, err := s.samlAt(r)
	if err != nil {
		return err
	}
	form, err := readForm(w, r, paramAnswer)
	if err != nil {
		return err
	}
	now := s.now()
	a, err := s.waitingAt(r, p, form.Get(paramAnswer), now)
	if err == nil && (a.said.InResponseTo != "" || !p.row.SAML.IDPInitiated) {
		err = s.tooOld()
	}
	if err != nil {
		s.count("unknown_sign_in")
		return err
	}
	s.jar.Clear(w, answerCookie(a.id))
	f := flow{
		Aim:        aim{Home: p.row.Organization, Path: s.pathOf(p.row.Organization, a.relay), Another: true},
		Connection: p.row.ID, Owner: p.row.Organization, Configured: a.configured,
	}
	return s.answered(w, r, f, p.row, p.org, s.saidBySAML(f, a))
}

func (s *Server) saidBySAML(f flow, a waiting) saying {
	said := a.said
	return saying{
		Assertion: tenancy.Assertion{
			Connection: f.Connection, Organization: f.Owner, Subject: said.Subject,
			Email: said.Email, Name: said.Name, Groups: said.Groups, HasGroups: said.HasGroups, Attributes: said.Attributes,
			Unasked: said.InResponseTo == "",
		},
		AuthTime: said.AuthTime,
		up: &session.UpstreamSession{
			Connection: f.Connection, Organization: f.Owner, Subject: said.Subject, SID: said.SessionIndex, EndsAt: said.SessionEnd,
			NameID: &session.NameID{Format: said.NameID.Format, NameQualifier: said.NameID.NameQualifier, SPNameQualifier: said.NameID.SPNameQualifier},
		},
		use: func(tx store.Tx, now time.Time) error {
			if _, err := session.TakeAnswer(tx, a.id.Hash(), a.token.Hash(), now); err != nil {
				return err
			}
			if f.state() == "" {
				return nil
			}
			return tx.Use(stateUse, stateName(f), f.ExpiresAt.Add(time.Hour))
		},
	}
}
