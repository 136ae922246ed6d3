package sso

import (
	"context"
	"crypto/subtle"
	"errors"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/orgate/orgate/internal/cookie"
	"github.com/orgate/orgate/internal/endpoint"
	"github.com/orgate/orgate/internal/signedin"
	"github.com/orgate/orgate/internal/text"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
)

// Guard stands before the routes of the login host that are for [endpoint.SignedIn]. It
// lets in whoever has a live session that meets the policy of their own domain, which
// binds on the login host too; package signedin has the session from then on.
//
// A session that is good in one organization alone (SEMANTICS 1.3.2) is let in if it is
// good there now, with its ConfinedTo set, which each page must heed: the word of one
// organization's identity provider must not open what a person has elsewhere.
func (s *Server) Guard(r *http.Request) (*http.Request, error) {
	var who session.Session
	var live bool
	var d policy.Decision
	err := s.store.View(r.Context(), func(tx store.Tx) (err error) {
		who, live, err = s.liveIn(tx, r)
		if err != nil || !live {
			return err
		}
		_, d, err = s.judge(tx, who.ConfinedTo, who, "", 0, s.now())
		return err
	})
	switch {
	case err != nil:
		return r, unavailable(err)
	case !live:
		return r, &endpoint.Error{
			Status: http.StatusUnauthorized, Code: "not_signed_in", Title: text.T("You are not signed in"),
			Text: text.T("This page is about you, so it needs to know who you are."), ActionURL: s.url(pathSignIn), ActionText: text.T("Sign in"),
		}
	case d.Verdict != policy.Allow:
		return r, &endpoint.Error{
			Status: http.StatusUnauthorized, Code: "proof_missing", Title: text.T("Please sign in again"),
			Text: text.T("Your organization asks for more than you have proved so far."), ActionURL: s.url(pathSignIn), ActionText: text.T("Go on"),
		}
	}
	if err := s.touch(r.Context(), who); err != nil {
		return r, unavailable(err)
	}
	return r.WithContext(signedin.With(r.Context(), who)), nil
}

// Confirm stands before the routes that are for [endpoint.Confirmed]: those that change how
// the person signs in. It is Guard for whoever has proved a moment ago all that is asked of
// them, second factor included: whoever finds an unlocked browser changes nothing.
func (s *Server) Confirm(r *http.Request) (*http.Request, error) {
	r, err := s.Guard(r)
	if err != nil {
		return r, err
	}
	who, _ := signedin.From(r.Context())
	fresh := false
	err = s.store.View(r.Context(), func(tx store.Tx) (err error) {
		fresh, err = s.provedFreshly(tx, who)
		return err
	})
	if err != nil {
		return r, unavailable(err)
	}
	if !fresh {
		return r, s.proofTooOld(nextAccount)
	}
	return r, nil
}

// proofTooOld asks whoever would change how they sign in to prove who they are anew.
func (s *Server) proofTooOld(n next) *endpoint.Error {
	return &endpoint.Error{
		Status: http.StatusForbidden, Code: "proof_too_old", Title: text.T("Please confirm that it is you"),
		Text: text.T("It has been a while since you proved who you are. What you sent was not carried out."), Hint: text.T("Confirm it, and do it again."),
		ActionURL: s.at(pathSignIn, aim{Fresh: true, Next: n}, ""), ActionText: text.T("Confirm"),
	}
}

// current returns the live session of this browser on the login host.
func (s *Server) current(r *http.Request) (who session.Session, live bool, err error) {
	if _, ok := s.jar.Read(r.Header, cookie.Login); !ok {
		return session.Session{}, false, nil
	}
	err = s.store.View(r.Context(), func(tx store.Tx) (err error) {
		who, live, err = s.liveIn(tx, r)
		return err
	})
	if err != nil {
		return session.Session{}, false, unavailable(err)
	}
	return who, live, nil
}

// liveIn is current inside of a transaction. A cookie that stands for nothing is no
// error: it is what everybody has after a while.
func (s *Server) liveIn(tx store.Tx, r *http.Request) (who session.Session, live bool, err error) {
	value, ok := s.jar.Read(r.Header, cookie.Login)
	if !ok {
		return session.Session{}, false, nil
	}
	token, ok := session.ParseToken(value)
	if !ok {
		return session.Session{}, false, nil
	}
	who, _, err = session.Live(tx, token.Hash(), "", s.limits, s.now())
	if errors.Is(err, session.ErrEnded) {
		return session.Session{}, false, nil
	}
	if err != nil {
		return session.Session{}, false, err
	}
	return who, true, nil
}

// touch records that a session was used, now and then.
func (s *Server) touch(ctx context.Context, who session.Session) error {
	now := s.now()
	if now.Sub(who.SeenAt) < s.limits.Touch() {
		return nil
	}
	return s.store.Update(ctx, func(tx store.Tx) error { return session.Touch(tx, who.ID, s.limits, now) })
}

// setLogin gives the browser the token of its session.
func (s *Server) setLogin(w http.ResponseWriter, t session.Token) {
	s.jar.Set(w, cookie.Login, t.Reveal(), s.limits.Absolute)
}

// browser is what a session records of the browser.
func (s *Server) browser(r *http.Request) session.Browser {
	b := session.Browser{UserAgent: clip(r.UserAgent(), 512)}
	if ip := s.clientIP(r); ip.IsValid() {
		b.RemoteIP = ip.WithZone("").String()
	}
	return b
}

// clip returns s as valid text of at most n bytes and of printable characters, for
// records and logs that strangers write into.
func clip(s string, n int) string {
	s = strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) || c == utf8.RuneError {
			return -1
		}
		return c
	}, s[:min(len(s), n)])
	return s
}

// sameSecret compares in constant time.
func sameSecret(a, b string) bool {
	return a != "" && subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1
}

// later returns the later of two times.
func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
