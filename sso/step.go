package sso

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/sso/passkey"
	"github.com/orgate/orgate/tenancy"
)

const (
	stepPurpose = "sign-in step"
	// stepLife is how long a page may be left open before what it was about is over. Codes
	// and ceremonies have shorter lives of their own.
	stepLife = 30 * time.Minute
	maxStep  = 6 << 10
	// paramStep is the field and the parameter that carry a step.
	paramStep = "step"
)

// A step is where somebody is between two pages of a sign-in by local factors. The pages
// carry it, sealed for the browser that it was made in: strangers leave nothing with us, and
// whoever gets hold of it elsewhere has nothing. It proves nothing; what it says was asked for
// is judged anew by whoever receives it.
type step struct {
	Email string `json:"email,omitzero"`
	// Code is the e-mail code that was sent, and Purpose what for.
	Code    string         `json:"code,omitzero"`
	Purpose factor.Purpose `json:"purpose,omitzero"`
	// Sent is when, for the countdown of the page.
	Sent time.Time `json:"sent,omitzero"`
	// Reset is the e-mail code by which a password may be set, once, and not if one was set
	// after it was Sent: whoever did that may have wanted to be rid of who asked for it.
	Reset string `json:"reset,omitzero"`
	// NewCode is the e-mail code that was sent to the address that Email is to become, and
	// OldProved: the one to the old address was right.
	NewCode   string `json:"new_code,omitzero"`
	OldProved bool   `json:"old_proved,omitzero"`
	// Ceremony is the passkey that was asked for.
	Ceremony *passkey.Ceremony `json:"ceremony,omitzero"`
	// Secret is that of the authenticator app that is being set up.
	Secret string `json:"secret,omitzero"`
	// Social is what a social provider said of the person whose address is Email.
	Social *socialStep `json:"social,omitzero"`
	// User was signed in when the page was made, and what it sets up is theirs: somebody else
	// may sign in, in another tab, before it comes back.
	User      tenancy.UserID `json:"user,omitzero"`
	ExpiresAt time.Time      `json:"expires_at"`
}

// sealStep returns the step as a page carries it. One that came with a page is over when it
// was to be: else what may be done once could be kept for ever, by reloading.
func (s *Server) sealStep(d device, st step, now time.Time) (string, error) {
	if st.ExpiresAt.IsZero() {
		st.ExpiresAt = now.Add(stepLife)
	}
	plain, err := json.Marshal(st)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(s.box.Seal(stepPurpose, d.Token, plain)), nil
}

// openStep reads the step that a page of this browser carried. What is not one, or is too
// old, is none.
func (s *Server) openStep(d device, value string, now time.Time) (st step, ok bool) {
	if value == "" || len(value) > maxStep || d.Token == "" {
		return step{}, false
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(value)
	if err != nil {
		return step{}, false
	}
	plain, err := s.box.Open(stepPurpose, d.Token, sealed)
	if err != nil || json.Unmarshal(plain, &st) != nil || !now.Before(st.ExpiresAt) {
		return step{}, false
	}
	return st, true
}

// at returns the URL of a page of the sign-in that a is for, with a step; empty: none.
func (s *Server) at(path string, a aim, sealed string) string {
	q := s.values(a)
	if sealed != "" {
		q.Set(paramStep, sealed)
	}
	if len(q) == 0 {
		return s.url(path)
	}
	return s.url(path) + "?" + q.Encode()
}

// goTo sends the browser to a page of the sign-in.
func (s *Server) goTo(w http.ResponseWriter, r *http.Request, d device, path string, a aim, st step) error {
	sealed, err := s.sealStep(d, st, s.now())
	if err != nil {
		return err
	}
	http.Redirect(w, r, s.at(path, a, sealed), http.StatusSeeOther)
	return nil
}

// values are the parameters of /sign-in, and of the pages below it, that say what a sign-in
// is for.
func (a aim) values() url.Values {
	a.Request.LoginHint = ""
	q := a.Request.Values()
	if a.Another {
		q.Set(paramAnother, "1")
	}
	if a.Next != "" {
		q.Set(paramNext, string(a.Next))
	}
	if a.Fresh {
		q.Set(paramFresh, "1")
	}
	if a.Clicked != "" {
		q.Set(paramInvitation, a.Clicked)
	}
	return q
}
