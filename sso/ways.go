package sso

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/orgate/orgate/internal/mail"
	"github.com/orgate/orgate/internal/outbox"
	"github.com/orgate/orgate/internal/page"
	"github.com/orgate/orgate/internal/text"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/sso/passkey"
	"github.com/orgate/orgate/tenancy"
)

// Mail puts mails into the queue, in the transaction of what they are about; [mail.Queue] does.
type Mail interface {
	Put(tx outbox.Tx, to string, m mail.Composer, l text.Locale, expires, now time.Time) error
}

// Passkeys runs WebAuthn ceremonies; [passkey.RelyingParty] does.
type Passkeys interface {
	Register(u passkey.User, exclude []passkey.Credential, now time.Time) (json.RawMessage, passkey.Ceremony, error)
	FinishRegister(c passkey.Ceremony, u passkey.User, response []byte, now time.Time) (passkey.Credential, error)
	Login(now time.Time) (json.RawMessage, passkey.Ceremony, error)
	FinishLogin(c passkey.Ceremony, response []byte, find passkey.Find, now time.Time) (passkey.Result, error)
	Confirm(handle []byte, allow []passkey.Credential, now time.Time) (json.RawMessage, passkey.Ceremony, error)
	FinishConfirm(c passkey.Ceremony, handle, response []byte, find passkey.Find, now time.Time) (passkey.Result, error)
}

// fieldWay, in the form of the page with all ways, is the one that was chosen.
const (
	fieldWay        = "way"
	fieldConnection = "connection"
	wayFirstTime    = "first_time"
)

// A way is one of the proofs that would do.
type way struct {
	method     policy.Method
	connection tenancy.Connection // of SSO
	provider   SocialProvider     // of Social
	firstTime  bool               // a code first, and then something is set up
}

// ways are the proofs that would do next, in the order to offer them.
func (s *Server) ways(t turn) []way {
	var ways []way
	for _, c := range t.Ask {
		ways = append(ways, way{method: policy.SSO, connection: c})
	}
	for _, m := range [...]policy.Method{policy.Passkey, policy.EmailCode, policy.Password} {
		if t.Local.Has(m) {
			ways = append(ways, way{method: m})
		}
	}
	if t.Local.Has(policy.Social) {
		for _, p := range s.socials(t.MaxAge) {
			ways = append(ways, way{method: policy.Social, provider: p})
		}
	}
	if t.FirstTime {
		ways = append(ways, way{method: policy.EmailCode, firstTime: true})
	}
	return ways
}

// chosen is the way that a form names, if it is one of those that would do.
func chosen(ways []way, name, connection string) (way, bool) {
	for _, w := range ways {
		switch {
		case connection != "":
			if w.method == policy.SSO && string(w.connection.ID) == connection {
				return w, true
			}
		case w.firstTime:
			if name == wayFirstTime {
				return w, true
			}
		case w.method == policy.Social:
			if name == waySocial+w.provider.Name {
				return w, true
			}
		case w.method != policy.SSO && w.method.String() == name:
			return w, true
		}
	}
	return way{}, false
}

// goBy begins a proof. A mail is sent by a click alone: a link to a page of ours, on
// whatever page it is, sends nobody mail.
func (s *Server) goBy(w http.ResponseWriter, r *http.Request, a aim, t turn, by way) error {
	switch by.method {
	case policy.SSO:
		t.Ask = []tenancy.Connection{by.connection}
		return s.leave(w, r, a, t)
	case policy.Password, policy.Passkey:
		path := pathPassword
		if by.method == policy.Passkey {
			path = pathPasskey
		}
		d, err := s.ensureDevice(w, r)
		if err != nil {
			return err
		}
		return s.goTo(w, r, d, path, a, step{Email: t.Email})
	case policy.EmailCode:
		if r.Method == http.MethodPost {
			return s.sendCode(w, r, a, t.Email, factor.ForSignIn)
		}
	case policy.Social:
		if r.Method == http.MethodPost {
			return s.leaveSocial(w, r, a, t, by.provider, "")
		}
	default: // no way by itself
	}
	return s.askWay(w, r, a, t)
}

// offerPasskey lets the page that asks for the address take a passkey instead, where one may
// do: it says whose it is.
func (s *Server) offerPasskey(w http.ResponseWriter, r *http.Request, a aim, p *page.SignIn) error {
	t, err := s.turn(r.Context(), a, session.Session{}, "")
	if err != nil || !t.Local.Has(policy.Passkey) {
		return err
	}
	d, err := s.ensureDevice(w, r)
	if err != nil {
		return err
	}
	request, sealed, err := s.requestPasskey(d, step{}, "", nil)
	if err != nil {
		return err
	}
	request.Action = s.at(pathPasskey, a, "")
	p.Passkey, p.Hidden = &request, map[string]string{paramStep: sealed}
	return nil
}

// otherWay is GET /sign-in/ways: all the proofs that would do.
func (s *Server) otherWay(w http.ResponseWriter, r *http.Request) error {
	v, err := s.visit(w, r)
	if err != nil {
		return err
	}
	if v.turn.Email == "" || len(s.ways(v.turn)) == 0 || v.turn.Second != 0 || v.turn.Create != 0 || v.turn.Refused != nil || v.turn.To != "" {
		return s.elsewhere(w, r, v)
	}
	return s.askWay(w, r, v.aim, v.turn)
}

// askWay shows the page with all the proofs that would do.
func (s *Server) askWay(w http.ResponseWriter, r *http.Request, a aim, t turn) error {
	s.count("asked_choice")
	p := page.Choose{
		Brand: s.brand(t.Organization), Action: s.at(pathSignIn, a, ""), Hidden: map[string]string{"email": t.Email}, Email: t.Email,
		Change: s.again(a, true),
	}
	if a.Invitation != "" {
		p.Change = "" // it is for one address
	}
	for _, by := range s.ways(t) {
		c := page.Choice{Name: fieldWay, Value: by.method.String(), Kind: by.method.String()}
		switch {
		case by.firstTime && t.Local.Has(policy.Passkey):
			c.Value, c.Kind = wayFirstTime, "first_passkey"
		case by.firstTime:
			c.Value, c.Kind = wayFirstTime, "first_password"
		case by.method == policy.SSO:
			c.Name, c.Value, c.Label = fieldConnection, string(by.connection.ID), by.connection.Name
		case by.method == policy.Social:
			c = by.choice()
		}
		p.Choices = append(p.Choices, c)
	}
	return p.Render(w, r, http.StatusOK)
}
