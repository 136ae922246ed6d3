package sso

import (
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/endpoint"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// A visit is a request to one of the pages of a sign-in by local factors: what the sign-in
// is for, the browser, the step that it is at, who is signed in, and what comes next by
// the policies as they are now. A page whose turn it is not shows nothing and changes
// nothing: it sends the browser to where its turn is.
type visit struct {
	aim  aim
	dev  device
	step step
	// stale: the page carried a step that is over, or of another browser.
	stale bool
	form  url.Values
	who   session.Session
	turn  turn
}

// visit reads a request to a page. The fields are those of its form.
func (s *Server) visit(w http.ResponseWriter, r *http.Request, fields ...string) (v visit, err error) {
	if v.aim, err = s.aimOf(r); err != nil {
		return visit{}, err
	}
	carried := r.URL.Query().Get(paramStep)
	if r.Method == http.MethodPost {
		if v.form, err = readForm(w, r, append(fields, paramStep)...); err != nil {
			return visit{}, err
		}
		if f := v.form.Get(paramStep); f != "" {
			carried = f
		}
	}
	var known, ok bool
	if v.dev, known = s.device(r); known {
		v.step, ok = s.openStep(v.dev, carried, s.now())
	}
	v.stale = carried != "" && !ok
	if v.who, _, err = s.current(r); err != nil {
		return visit{}, err
	}
	if v.aim.Another {
		v.who = session.Session{}
	}
	v.turn, err = s.turn(r.Context(), v.aim, v.who, v.step.Email)
	return v, err
}

// rejudge judges anew inside of a transaction that is about to add a proof: what was asked for
// when the page was shown may not be what is asked for now.
func (s *Server) rejudge(tx store.Tx, r *http.Request, v *visit, now time.Time) error {
	who, live, err := s.liveIn(tx, r)
	if err != nil {
		return err
	}
	if !live || v.aim.Another {
		who = session.Session{}
	}
	v.who = who
	v.turn, err = s.next(tx, v.aim, who, v.step.Email, now)
	return err
}

// A result is what became of a local proof. Refused and Wait are answers, and no errors of
// the transaction: what was counted in it must stay counted.
type result struct {
	proved
	// complete: whatever the person can be asked for anywhere is proved, their own second
	// factor too.
	complete bool
	refused  error
	wait     time.Duration
}

// accept puts a local proof of the person into the session of this browser, and finds out
// what comes next.
func (s *Server) accept(tx store.Tx, r *http.Request, v *visit, p policy.Proof, in tenancy.SignedIn, event string, res *result, now time.Time) error {
	res.proved = proved{aim: v.aim, in: in}
	if err := s.enter(tx, r, v.aim.Another, p, nil, &res.proved, now); err != nil {
		return err
	}
	return s.settle(tx, r, res, now, event)
}

// settle records what was proved in a session, and finds out what comes next.
func (s *Server) settle(tx store.Tx, r *http.Request, res *result, now time.Time, events ...string) error {
	for _, event := range events {
		if err := s.recordLocal(tx, r, event, res.who, res.in.User.Email, nil, now); err != nil {
			return err
		}
	}
	_, d, err := s.judge(tx, "", res.who, "", 0, now)
	if err != nil {
		return err
	}
	res.complete = d.Verdict == policy.Allow
	res.aim.Another = false
	res.turn, err = s.next(tx, res.aim, res.who, "", now)
	return err
}

// finish gives the browser its session, and does what comes next.
func (s *Server) finish(w http.ResponseWriter, r *http.Request, method policy.Method, res result) error {
	s.setLogin(w, res.token)
	if res.complete {
		// Not before: else whoever has the password alone would have new guesses at the
		// second factor with each new browser.
		if err := s.remember(w, r, res.who.User); err != nil {
			return err
		}
	}
	s.count("proved")
	s.log.InfoContext(r.Context(), "signed in", "request_id", endpoint.RequestID(r.Context()), "user", res.who.User, "session", res.who.ID,
		"method", method.String(), "new_user", res.in.NewUser)
	return s.follow(w, r, res.aim, res.turn)
}

// arrived is who has proved a local factor of an account that is there.
func arrived(tx store.Tx, u tenancy.User, r tenancy.Rules, now time.Time) (tenancy.SignedIn, error) {
	if !u.EmailVerified {
		// Whoever made the account may not be whose address it is: a code by mail first.
		return tenancy.SignedIn{}, factor.ErrWrong
	}
	return tenancy.SignInByAddress(tx, r, tenancy.Proven{Email: u.Email}, now)
}

// isRefusal reports whether err is the answer to a proof, rather than a fault of ours.
func isRefusal(err error) bool {
	return errors.Is(err, factor.ErrWrong) || errors.Is(err, factor.ErrSpent) || errors.Is(err, factor.ErrNone) ||
		errors.Is(err, tenancy.ErrNotMember) || errors.Is(err, tenancy.ErrNotFound) || errors.Is(err, tenancy.ErrIdentityConflict)
}

// recordLocal tells of a local proof, or of one that failed.
func (s *Server) recordLocal(tx store.Tx, r *http.Request, event string, who session.Session, email string, failed *authenticationError, now time.Time) error {
	b := s.browser(r)
	a := factor.Attempt{User: who.User, Email: clip(email, maxEmail), Session: who.ID, IP: b.RemoteIP, UserAgent: b.UserAgent}
	if failed != nil {
		a.Failed, a.Message = failed.Code, failed.Message
	}
	by := audit.System
	if who.User != "" {
		by = audit.Actor{Type: "user", ID: string(who.User)}
	}
	return factor.RecordAttempt(tx, event, a, by, now)
}
