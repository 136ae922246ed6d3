package sso

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/endpoint"
	"github.com/orgate/orgate/internal/mail"
	"github.com/orgate/orgate/internal/page"
	"github.com/orgate/orgate/internal/text"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/session/client"
	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

const (
	// profileStepPurpose is no other step's: what is sealed for it opens on no page of a sign-in, and the reverse.
	profileStepPurpose = "profile step"
	// maxProfileStep leaves room in a query for what else is in it.
	maxProfileStep = maxQuery - 512
	profileUse     = "social profile"
)

// errTooLong: what is to be carried along does not fit into an address.
var errTooLong = errors.New("state, redirect URI and what is carried with them are too long together")

// A profileStep is what a social provider said of somebody, for an app, while a code is on its way to the address. Like
// a [step] it is carried by the page, sealed for the browser that it was made in.
type profileStep struct {
	App client.Authorization `json:"app"`
	// Provider said it, as it was Configured then.
	Provider   string `json:"provider"`
	Configured string `json:"configured"`
	Said       saidOf `json:"said"`
	// State is the hash of that of the flow: what was said once is told once.
	State string `json:"state"`
	// Code is the e-mail code, and Sent when it was.
	Code  string    `json:"code"`
	Sent  time.Time `json:"sent"`
	Until time.Time `json:"until"`
}

// about is what the code is for, besides the address: this account at this provider, and this app.
func (st profileStep) about() string {
	return st.Said.Proof.Connection + " " + st.App.Client + " " + st.Said.Subject
}

func (s *Server) sealProfileStep(d device, st profileStep) (string, error) {
	plain, err := json.Marshal(st)
	if err != nil {
		return "", err
	}
	sealed := base64.RawURLEncoding.EncodeToString(s.box.Seal(profileStepPurpose, d.Token, plain))
	if len(sealed) > maxProfileStep {
		return "", errTooLong
	}
	return sealed, nil
}

func (s *Server) openProfileStep(d device, value string, now time.Time) (st profileStep, ok bool) {
	if value == "" || len(value) > maxProfileStep || d.Token == "" {
		return profileStep{}, false
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(value)
	if err != nil {
		return profileStep{}, false
	}
	plain, err := s.box.Open(profileStepPurpose, d.Token, sealed)
	if err != nil || json.Unmarshal(plain, &st) != nil || !now.Before(st.Until) {
		return profileStep{}, false
	}
	return st, true
}

// sendProfileCode sends a code to the address that a provider named, whoever has it, and leads to the page that asks for it. A
// page may be minutes old: nothing is mailed of what the policies do not take by now, or of what was told.
func (s *Server) sendProfileCode(w http.ResponseWriter, r *http.Request, p SocialProvider, st profileStep) error {
	d, err := s.ensureDevice(w, r)
	if err != nil {
		return err
	}
	c, ok := s.clients.Find(st.App.Client)
	if !ok || !c.MayRedirect(st.App.RedirectURI) {
		return unknownClient(errors.New("the client was changed since"))
	}
	var wait time.Duration
	sealed := ""
	err = s.store.Update(r.Context(), func(tx store.Tx) (err error) {
		now := s.now()
		if err := s.stillWanted(tx, st, now); err != nil {
			return err
		}
		if wait, err = s.mayMail(tx, r, d, st.Said.Email, now); err != nil || wait > 0 {
			return err
		}
		code, digits, err := factor.NewEmailCode(tx, factor.ForProfile, st.Said.Email, st.about(), d.Secret, now)
		if err != nil {
			return err
		}
		st.Code, st.Sent = code.ID, now
		if sealed, err = s.sealProfileStep(d, st); err != nil {
			return err
		}
		m := mail.ProfileCode{Host: s.publicURL.Host, Provider: p.Label, App: calledApp(c, st.App.RedirectURI), Code: digits, Minutes: int(factor.EmailCodeLife / time.Minute)}
		if err := s.mail.Put(tx, st.Said.Email, m, s.locale(r), code.ExpiresAt, now); err != nil {
			return err
		}
		return factor.RecordCode(tx, code, "", audit.System, now)
	})
	switch {
	case errors.Is(err, errTooLong):
		return s.refuseClient(w, r, st.App, client.Fault{Code: "invalid_request", Text: errTooLong.Error()})
	case errors.Is(err, session.ErrUsed):
		return s.notTold(err)
	case errors.Is(err, errNotSocial):
		return s.notTaken(w, r, p, st, err)
	case err != nil:
		return unavailable(err)
	case wait > 0:
		return s.tooMany(wait)
	}
	s.count("profile_code_sent")
	http.Redirect(w, r, s.url(pathProfileCode)+"?"+url.Values{paramStep: {sealed}}.Encode(), http.StatusSeeOther)
	return nil
}

// stillWanted is nil if the word of the provider is wanted: the policies of the address take it, and nobody was told of it yet.
func (s *Server) stillWanted(tx store.Tx, st profileStep, now time.Time) error {
	used, err := tx.Used(profileUse, st.State)
	if err == nil && used {
		err = session.ErrUsed
	}
	if err != nil {
		return err
	}
	takes, err := s.takesSocial(tx, st.Said.Email, st.Said.Proof, now)
	if err == nil && !takes {
		err = errNotSocial
	}
	return err
}

// notTaken tells the app that the policies of the address take no word of the provider.
func (s *Server) notTaken(w http.ResponseWriter, r *http.Request, p SocialProvider, st profileStep, cause error) error {
	e, hint := s.explainSocial(aim{}, p, st.Said.Email, cause)
	s.logSocial(r, p, e.Code, hint, cause)
	return s.refuseClient(w, r, st.App, faultOf(e))
}

// A profileVisit is a request to the page of a code for a profile.
type profileVisit struct {
	visit // its browser and form alone
	step  profileStep
	from  SocialProvider
	app   client.Client
}

// profileVisit reads a request to the page. refused is for the app: what the step says is wanted no more.
func (s *Server) profileVisit(w http.ResponseWriter, r *http.Request, fields ...string) (v profileVisit, refused *client.Fault, err error) {
	if len(r.URL.RawQuery) > maxQuery {
		return v, nil, badRequest(errors.New("query is too long"))
	}
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil || len(q[paramStep]) > 1 {
		return v, nil, badRequest(errors.New("not one step"))
	}
	carried := q.Get(paramStep)
	if r.Method == http.MethodPost {
		if v.form, err = readForm(w, r, append(fields, paramStep)...); err != nil {
			return v, nil, err
		}
		carried = v.form.Get(paramStep)
	}
	ok := false
	if v.dev, ok = s.device(r); ok {
		v.step, ok = s.openProfileStep(v.dev, carried, s.now())
	}
	if !ok {
		return v, nil, s.notTold(errors.New("no step of this browser"))
	}
	if v.app, ok = s.clients.Find(v.step.App.Client); !ok || !v.app.MayRedirect(v.step.App.RedirectURI) {
		return v, nil, unknownClient(errors.New("the client was changed since"))
	}
	if v.from, ok = s.socialNamed(v.step.Provider); !ok || v.from.configured() != v.step.Configured || string(v.from.Connection()) != v.step.Said.Proof.Connection || s.mail == nil {
		return v, &client.Fault{Code: "connection_invalid", Text: "the provider was changed, or taken out"}, nil
	}
	return v, nil, nil
}

// profileCode is GET and POST /sign-in/social/profile: the code that proves the address which a social provider named, to
// an app that is told of it.
func (s *Server) profileCode(w http.ResponseWriter, r *http.Request) error {
	v, refused, err := s.profileVisit(w, r, "code")
	switch {
	case err != nil:
		return err
	case refused != nil:
		return s.refuseClient(w, r, v.step.App, *refused)
	case r.Method != http.MethodPost:
		return s.askProfileCode(w, r, v, text.Message{}, http.StatusOK)
	}
	to, wait, wrong, err := s.proveProfile(r, v)
	switch {
	case errors.Is(err, session.ErrUsed):
		return s.notTold(err)
	case errors.Is(err, errNotSocial):
		return s.notTaken(w, r, v.from, v.step, err)
	case err != nil:
		if e, ok := errors.AsType[*endpoint.Error](err); ok {
			return e
		}
		return unavailable(err)
	case wait > 0:
		return s.tooMany(wait)
	case errors.Is(wrong, factor.ErrSpent):
		s.count("code_spent")
		return s.askProfileCode(w, r, v, text.T("This code is no longer good. Ask for a new one."), http.StatusUnprocessableEntity)
	case wrong != nil:
		s.count("code_wrong")
		return s.askProfileCode(w, r, v, text.T("That is not the code. Check the newest mail from us."), http.StatusUnprocessableEntity)
	}
	if err := s.noteProved(w, v.dev, v.step.Said.Email); err != nil {
		return err
	}
	s.count("sent_to_client")
	return s.sendTo(w, r, to, tenancy.Organization{}, "")
}

// proveProfile judges the code and, if it is right, makes the one that the app is told of the person by. wait and wrong are
// answers, and no errors of the transaction.
func (s *Server) proveProfile(r *http.Request, v profileVisit) (to string, wait time.Duration, wrong, err error) {
	st := v.step
	err = s.store.Update(r.Context(), func(tx store.Tx) error {
		to, wait, wrong = "", 0, nil
		now := s.now()
		// They may have changed since the code was sent.
		switch takes, err := s.takesSocial(tx, st.Said.Email, st.Said.Proof, now); {
		case err != nil:
			return err
		case !takes:
			return errNotSocial
		}
		j, w, err := s.judgeCode(tx, r, v.visit, mailed{st.Code, factor.ForProfile, st.Said.Email, st.about()}, now)
		if wait, wrong = w, j.Refused; err != nil || wait > 0 || wrong != nil {
			return err
		}
		if err := tx.Use(profileUse, st.State, st.Until.Add(time.Hour)); err != nil {
			return err
		}
		to, err = s.tellProfile(tx, r, st.App, v.from, st.Said, now)
		return err
	})
	return to, wait, wrong, err
}

// askProfileCode shows the page that asks for the code. It says the same of every address.
func (s *Server) askProfileCode(w http.ResponseWriter, r *http.Request, v profileVisit, fault text.Message, status int) error {
	sealed, err := s.sealProfileStep(v.dev, v.step)
	if err != nil {
		return err
	}
	return page.EnterCode{
		Brand: s.brand(tenancy.Organization{}), Action: s.url(pathProfileCode), Hidden: map[string]string{paramStep: sealed},
		Email: v.step.Said.Email, Fault: fault, Resend: s.url(pathProfileResend), ResendAfter: max(0, resendAfter-s.now().Sub(v.step.Sent)),
		Change: s.askProfileAgain(v.step.App),
		Lead: text.T("%s asks %s who you are. We sent a code of six digits to %s: it shows that the address is yours.",
			calledApp(v.app, v.step.App.RedirectURI), v.from.Label, v.step.Said.Email),
	}.Render(w, r, status)
}

// resendProfile is POST /sign-in/social/profile/resend.
func (s *Server) resendProfile(w http.ResponseWriter, r *http.Request) error {
	v, refused, err := s.profileVisit(w, r)
	switch {
	case err != nil:
		return err
	case refused != nil:
		return s.refuseClient(w, r, v.step.App, *refused)
	}
	if wait := resendAfter - s.now().Sub(v.step.Sent); wait > 0 {
		return s.tooMany(wait)
	}
	return s.sendProfileCode(w, r, v.from, v.step)
}
