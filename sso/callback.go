package sso

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/endpoint"
	"github.com/orgate/orgate/internal/text"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/sso/idp"
	"github.com/orgate/orgate/sso/oidc"
	"github.com/orgate/orgate/sso/saml"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

var (
	// errGone: the connection is not what it was when the sign-in began.
	errGone = errors.New("connection was disabled, changed or deleted, or its organization suspended")
	// errAnotherPerson: the provider answered for somebody else than who is signed in.
	errAnotherPerson = errors.New("the provider speaks of another person than the one who is signed in")
)

const (
	stateUse = "oidc state"
	// maxIDToken is how long an ID token may be to be kept as the hint for signing out.
	maxIDToken = 4 << 10
	// clockSkew is by how much our clock and a provider's may differ.
	clockSkew = time.Minute
)

// callback is GET /sso/oidc/callback, where providers send the browser back to that say in
// the answer that it is theirs, and GET /sso/oidc/callback/{organization}/{connection}, where
// the others do. It finds the flow by the state, and everything else by the flow: nothing
// that the answer says chooses the connection that judges it.
func (s *Server) callback(w http.ResponseWriter, r *http.Request) error {
	now := s.now()
	q, state, err := s.readCallback(r)
	if err != nil {
		return err
	}
	f, ok := s.flows.read(r, state, now)
	if !ok || s.url(r.URL.EscapedPath()) != f.OIDC.RedirectURI {
		// At another address than it was sent to it is another provider's answer: a hostile
		// one may have sent the browser there to get at the code.
		s.count("unknown_sign_in")
		return s.tooOld()
	}
	// It is answered now, whatever comes of it.
	s.flows.clear(w, state)

	var conn *tenancy.Connection
	var org tenancy.Organization
	err = s.store.View(r.Context(), func(tx store.Tx) (err error) {
		conn, org, err = s.asked(tx, f)
		return err
	})
	if err != nil && !errors.Is(err, errGone) {
		return unavailable(err)
	}
	var in oidc.Assertion
	if err == nil {
		var client oidc.Connection
		if client, err = s.client(*conn); err != nil {
			return err
		}
		// No transaction is open while the provider is asked.
		in, err = s.oidc.Finish(r.Context(), client, f.OIDC, q, now)
	}
	if err != nil {
		return s.toldClient(w, r, f.Aim, s.failed(r, f, org, in.Email, err))
	}

	return s.answered(w, r, f, *conn, org, s.saidByOIDC(f, in))
}

// A saying is what a provider says of a person, whatever it was said in.
type saying struct {
	tenancy.Assertion
	// AuthTime is when the person signed in there; zero: it does not say.
	AuthTime time.Time
	// up is the provider's session.
	up *session.UpstreamSession
	// use uses the answer up, in the transaction of the proof.
	use func(tx store.Tx, now time.Time) error
}

func (s *Server) saidByOIDC(f flow, a oidc.Assertion) saying {
	up := &session.UpstreamSession{Connection: f.Connection, Organization: f.Owner, Subject: a.Subject, SID: a.SID}
	if a.IDToken != "" && len(a.IDToken) <= maxIDToken {
		up.IDToken = s.box.Seal(idTokenPurpose, idTokenAbout(*up), []byte(a.IDToken))
	}
	return saying{
		Assertion: tenancy.Assertion{
			Connection: f.Connection, Organization: f.Owner, Subject: a.Subject,
			Email: a.Email, EmailVerified: a.EmailVerified, Name: a.Name,
			Groups: a.Groups, HasGroups: a.HasGroups, Attributes: a.Attributes,
		},
		AuthTime: a.AuthTime, up: up,
		use: func(tx store.Tx, _ time.Time) error {
			return tx.Use(stateUse, stateName(f), f.ExpiresAt.Add(time.Hour))
		},
	}
}

// answered makes a proof of what a provider says, and goes on.
func (s *Server) answered(w http.ResponseWriter, r *http.Request, f flow, conn tenancy.Connection, org tenancy.Organization, said saying) error {
	if f.Aim.App != nil && f.Aim.App.Profile {
		return s.answeredProfile(w, r, f, conn, org, said)
	}
	done, err := s.prove(r, f, said)
	if err != nil {
		return s.failed(r, f, org, said.Email, err)
	}
	s.setLogin(w, done.token)
	s.count("proved")
	s.log.InfoContext(r.Context(), "signed in", "request_id", endpoint.RequestID(r.Context()), "user", done.who.User, "session", done.who.ID,
		"organization", org.Slug, "connection", conn.Name, "new_user", done.in.NewUser, "new_member", done.in.NewMember)
	return s.follow(w, r, done.aim, done.turn)
}

// readCallback reads what a provider sent the browser back with.
func (s *Server) readCallback(r *http.Request) (q url.Values, state string, err error) {
	if r.Method != http.MethodGet {
		// A pattern for GET takes HEAD too, and a look, as link checkers and mail scanners
		// take it, must not use the answer up.
		return nil, "", &endpoint.Error{Status: http.StatusMethodNotAllowed, Code: "method_not_allowed", Title: text.T("This address does not work that way"), Header: http.Header{"Allow": {"GET"}}}
	}
	if len(r.URL.RawQuery) > maxQuery {
		return nil, "", badRequest(errors.New("query is too long"))
	}
	if q, err = url.ParseQuery(r.URL.RawQuery); err != nil {
		return nil, "", badRequest(err)
	}
	if len(q["state"]) != 1 {
		s.count("unknown_sign_in")
		return nil, "", s.tooOld()
	}
	return q, q.Get("state"), nil
}

// asked returns the connection that a flow was begun with, or errGone. org is set as far
// as it is known.
func (s *Server) asked(tx store.Tx, f flow) (c *tenancy.Connection, org tenancy.Organization, err error) {
	org, err = tx.Organization(f.Owner)
	if err != nil && !errors.Is(err, tenancy.ErrNotFound) {
		return nil, org, err
	}
	c, err = connection(tx, f.Owner, f.Connection)
	if err != nil {
		return nil, org, err
	}
	if c == nil || configured(*c) != f.Configured {
		return nil, org, errGone
	}
	return c, org, nil
}

// proved is what became of a sign-in.
type proved struct {
	in    tenancy.SignedIn
	who   session.Session
	token session.Token
	aim   aim
	turn  turn
}

// prove turns what was said into a proof in a session, in one transaction: the answer is
// used up, the person found or made, the session begun or added to, and what comes next
// found out. Of two that race with one answer, one does all of it and the other nothing.
func (s *Server) prove(r *http.Request, f flow, said saying) (done proved, err error) {
	err = s.store.Update(r.Context(), func(tx store.Tx) error {
		now := s.now()
		done = proved{aim: f.Aim}
		if err := said.use(tx, now); err != nil {
			return err
		}
		if _, _, err := s.asked(tx, f); err != nil {
			return err
		}
		var err error
		if done.in, err = tenancy.SignIn(tx, s.rules, said.Assertion, now); err != nil {
			return err
		}
		p := policy.Proof{Method: policy.SSO, Connection: string(f.Connection), Organization: string(f.Owner), At: provedAt(f, said.AuthTime, now)}
		if err := s.enter(tx, r, f.Aim.Another, p, said.up, &done, now); err != nil {
			return err
		}
		if err := s.recordSuccess(tx, r, f, done, now); err != nil {
			return err
		}
		done.aim.Steps, done.aim.Last, done.aim.Another = f.Aim.Steps+1, f.Connection, false
		if f.Aim.Home != "" && f.Aim.Steps == 0 && f.MaxAge == 0 {
			// They began at the provider, which nobody has asked yet how fresh it is.
			done.aim.Last = ""
		}
		done.turn, err = s.next(tx, done.aim, done.who, "", now)
		return err
	})
	return done, err
}

// enter adds the proof to the session of this browser if it is the same person's, and
// begins a new one otherwise. The proofs of two persons are never in one session: whoever
// asked for another account leaves the first, and to whoever did not it is said.
func (s *Server) enter(tx store.Tx, r *http.Request, another bool, p policy.Proof, up *session.UpstreamSession, done *proved, now time.Time) error {
	there, live, err := s.liveIn(tx, r)
	if err != nil {
		return err
	}
	user := done.in.User.ID
	if done.in.Cleanse {
		// A stranger may have made this account and be signed in to it (attack 76).
		if err := factor.Cleanse(tx, done.in, now); err != nil {
			return err
		}
		live = live && there.User != user
	}
	if live && there.User == user {
		done.who, done.token, err = session.AddProof(tx, there.ID, p, up, done.in.ConfinedTo, now)
		return err
	}
	if live {
		if !another {
			// Not even if nobody was signed in when the flow began: a flow can be begun by
			// a link, and be finished when its provider likes, with whom it likes.
			return errAnotherPerson
		}
		if err := session.End(tx, there.ID, audit.Actor{Type: "user", ID: string(there.User)}, now); err != nil {
			return err
		}
	}
	done.who, done.token, err = session.Begin(tx, user, p, up, done.in.ConfinedTo, s.browser(r), s.limits, now)
	return err
}

// provedAt is when the person proved it. If the provider says when they signed in there,
// that is believed so far as it makes the proof older: a session there of last week proves
// less than a password of now. An answer that was fresh enough for what we asked stays so for
// the moment, even where the clocks differ.
func provedAt(f flow, authTime, now time.Time) time.Time {
	at := now
	if !authTime.IsZero() && authTime.Before(now) {
		at = authTime
	}
	if f.MaxAge > 0 {
		at = later(at, now.Add(-f.MaxAge).Add(min(clockSkew, f.MaxAge/2)))
	}
	return at
}

// stateName is what a state is remembered by.
func stateName(f flow) string {
	sum := sha256.Sum256([]byte(f.state()))
	return hex.EncodeToString(sum[:])
}

// failed tells three audiences of a sign-in that did not succeed: the person, in words;
// the operator, in the log, with the check that failed and what to do; and the
// organization, as an event. email is whom the provider spoke of, if it came to that.
func (s *Server) failed(r *http.Request, f flow, org tenancy.Organization, email string, cause error, steps ...saml.Step) error {
	if errors.Is(cause, session.ErrUsed) {
		// The back button, or a second click: the first one did it all.
		s.count("unknown_sign_in")
		e := s.tooOld()
		e.Err = cause
		return e
	}
	e, hint := s.explain(f, org, email, cause)
	if e == nil {
		return unavailable(cause)
	}
	s.logFailure(r, tenancy.Connection{ID: f.Connection, Organization: f.Owner}, e.Code, hint, cause, steps...)
	s.count(e.Code)
	if x, ok := errors.AsType[*idp.Error](cause); ok && x.Code == idp.CodeCodeRefused {
		// Most likely a second click: then the first one is on its way, and needs the
		// state. That the code is used once is the provider's promise.
		return e
	}
	_, heard := s.failuresFrom.take(network(s.clientIP(r)))
	if heard {
		_, heard = s.failures.take(f.Connection)
	}
	err := s.store.Update(r.Context(), func(tx store.Tx) error {
		now := s.now()
		if f.state() != "" { // else what came was no answer to a flow of this browser
			if err := tx.Use(stateUse, stateName(f), f.ExpiresAt.Add(time.Hour)); err != nil {
				return err
			}
		}
		if !heard || org.ID == "" {
			return nil
		}
		return s.recordFailure(tx, r, f, email, e, now)
	})
	if err != nil && !errors.Is(err, session.ErrUsed) {
		s.log.ErrorContext(r.Context(), "failed sign-in is not recorded", "request_id", endpoint.RequestID(r.Context()), "cause", err)
	}
	return e
}

// explain finds the words; e is nil if the fault is our own.
func (s *Server) explain(f flow, org tenancy.Organization, email string, cause error) (e *endpoint.Error, hint string) {
	if _, ok := errors.AsType[*idp.Error](cause); ok {
		return s.providerRefused(f.Aim, org, cause)
	}
	switch {
	case errors.Is(cause, errGone):
		return s.connectionGone(f, org, cause), "the connection was disabled, changed or deleted, or the organization suspended, after the sign-in began"
	case errors.Is(cause, errAnotherPerson):
		return s.anotherPerson(f, org, email, cause), "the person has an account of somebody else open at the provider"
	}
	return s.assertionRefused(f, org, email, cause)
}

// logFailure is the line that an operator finds by the id on the person's page.
// With steps, it says all that was looked at before.
func (s *Server) logFailure(r *http.Request, c tenancy.Connection, check, hint string, cause error, steps ...saml.Step) {
	log := s.log.With("request_id", endpoint.RequestID(r.Context()),
		"organization_id", c.Organization, "connection_id", c.ID, "check", check, "hint", hint, "cause", cause.Error())
	if len(steps) > 0 {
		log = log.With("steps", lines(steps))
	}
	log.WarnContext(r.Context(), "sign-in failed")
}
