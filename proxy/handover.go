package proxy

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/cookie"
	"github.com/orgate/orgate/internal/endpoint"
	"github.com/orgate/orgate/internal/page"
	"github.com/orgate/orgate/internal/text"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

func notFoundIsNil(err error) error {
	if errors.Is(err, tenancy.ErrNotFound) {
		return nil
	}
	return err
}

// callback is GET /.orgate/callback: it swaps the one-time code that the login host made
// for a session on this host. The browser must be the one that began: it holds the
// attempt cookie that the code was made for.
func (x *exchange) callback(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet { // a pattern for GET takes HEAD too, and a look must not use the code up
		return &endpoint.Error{Status: http.StatusMethodNotAllowed, Code: "method_not_allowed", Title: text.T("This address does not work that way"), Header: http.Header{"Allow": {"GET"}}}
	}
	q, err := query(r, "code")
	if err != nil {
		return err
	}
	code, ok := session.ParseToken(q["code"])
	if !ok {
		return x.handoverError("bad_code", nil)
	}
	held := map[session.Hash]string{} // hash of an attempt → name of its cookie
	for _, name := range x.attempts(r) {
		if value, ok := x.st.jar.Read(r.Header, name); ok {
			if t, ok := session.ParseToken(value); ok {
				held[t.Hash()] = name
			}
		}
	}
	old := x.token(r.Header["Cookie"])
	browser := session.Browser{UserAgent: clip(r.UserAgent(), 512), RemoteIP: x.clientIP}

	var redeemed session.Redeemed
	var used string // name of the attempt cookie
	err = x.p.store.Update(r.Context(), func(tx store.Tx) error {
		used = ""
		// The code says which of the browser's attempts it is the answer to. If it is
		// the answer to none, redeeming it says so, and spends it.
		var attempt session.Hash
		switch h, err := tx.Handover(code.Hash()); {
		case err == nil:
			if name, ok := held[h.Attempt]; ok {
				attempt, used = h.Attempt, name
			}
		case !errors.Is(err, tenancy.ErrNotFound):
			return err
		}
		var err error
		redeemed, err = session.Redeem(tx, code.Hash(), attempt, x.place.authority, x.place.org.id, browser, x.st.limits, x.p.now())
		if err != nil || redeemed.Refused != nil {
			return err
		}
		return x.endOld(tx, old)
	})
	switch {
	case err != nil:
		return unavailable(err)
	case redeemed.Refused != nil:
		return x.handoverError("", redeemed.Refused)
	}
	path, ok := session.ParseReturnPath(redeemed.ReturnTo)
	if !ok {
		path = "/"
	}
	x.clear = false
	x.st.jar.Clear(w, used)
	x.st.jar.Set(w, cookie.Session, redeemed.Token.Reveal(), redeemed.Session.ExpiresAt.Sub(x.p.now()))
	http.Redirect(w, r, path, http.StatusSeeOther)
	return nil
}

// endOld ends the session that the browser had on this host before: its cookie is about
// to be replaced, and nobody would be able to sign it out any more.
func (x *exchange) endOld(tx store.Tx, token session.Hash) error {
	if token == (session.Hash{}) {
		return nil
	}
	s, err := tx.SessionByToken(token)
	if err != nil {
		return notFoundIsNil(err)
	}
	if s.Parent == "" || s.Host != string(x.place.host) || s.Organization != x.place.org.id {
		return nil
	}
	return session.End(tx, s.ID, audit.Actor{Type: "user", ID: string(s.User)}, x.p.now())
}

// handoverError is the page for a code that was refused. What went wrong is in the log; the
// person is told what to do, which is the same in each case.
func (x *exchange) handoverError(code string, cause error) error {
	e := &endpoint.Error{
		Status: http.StatusBadRequest, Code: code, Title: text.T("This sign-in can't be finished"), Organization: x.place.org.name,
		Text: text.T("The link has expired or was used already."), Hint: text.T("Sign in again: it takes no longer than the first time."),
		ActionURL: signInPath, ActionText: text.T("Sign in again"), Err: cause,
	}
	switch {
	case code != "":
	case errors.Is(cause, session.ErrUsed):
		e.Code = "code_used"
	case errors.Is(cause, session.ErrForeign):
		e.Code, e.Text = "code_foreign", text.T("It was begun in another browser or for another address, or too long ago.")
	case errors.Is(cause, session.ErrExpired):
		e.Code = "code_expired"
	case errors.Is(cause, session.ErrEnded):
		e.Code, e.Text = "session_ended", text.T("You were signed out in the meantime.")
	default:
		e.Code = "code_refused"
	}
	return e
}

// askSignOut is GET /.orgate/sign-out. It asks for a click: a picture on somebody else's
// page must not sign anybody out.
func (x *exchange) askSignOut(w http.ResponseWriter, r *http.Request) error {
	if _, err := query(r); err != nil {
		return err
	}
	if err := x.authorize(r); err != nil {
		return err
	}
	if x.grant.nobody() {
		x.clearSession()
		http.Redirect(w, r, x.signedOutURL(), http.StatusSeeOther)
		return nil
	}
	return page.SignOut{Brand: page.Brand{Organization: x.place.org.name}, Email: x.grant.email(), Action: signOutPath, Stay: "/",
		// The answer to the form is a redirect to the login host, which browsers hold
		// against form-action too.
		FormAction: []string{x.st.issuer}}.Render(w, r, http.StatusOK)
}

// signOut is POST /.orgate/sign-out. It ends the session of this browser on the login host,
// and with it those on all tenant hosts: somebody who signs out and then finds themselves
// signed in again by one click was not signed out.
func (x *exchange) signOut(w http.ResponseWriter, r *http.Request) error {
	token := x.token(r.Header["Cookie"])
	err := x.p.store.Update(r.Context(), func(tx store.Tx) error {
		if token == (session.Hash{}) {
			return nil
		}
		s, err := tx.SessionByToken(token)
		if err != nil {
			return notFoundIsNil(err)
		}
		if s.Parent == "" || s.Host != string(x.place.host) {
			return nil
		}
		return session.End(tx, s.Parent, audit.Actor{Type: "user", ID: string(s.User)}, x.p.now())
	})
	if err != nil {
		return unavailable(err)
	}
	x.clear = false
	x.st.jar.Clear(w, cookie.Session)
	for _, name := range x.attempts(r) {
		x.st.jar.Clear(w, name)
	}
	http.Redirect(w, r, x.signedOutURL(), http.StatusSeeOther)
	return nil
}

func (x *exchange) signedOutURL() string {
	return x.st.loginURL("/signed-out", url.Values{"host": {x.place.authority}})
}

// clip returns at most n bytes of s.
func clip(s string, n int) string { return s[:min(len(s), n)] }
