package sso

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/mail"
	"github.com/orgate/orgate/internal/page"
	"github.com/orgate/orgate/internal/text"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/sso/passkey"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

const passkeyUse = "passkey challenge"

// errAnotherPasskey: the passkey is of somebody else than the address that was typed.
var errAnotherPasskey = errors.New("passkey of another account")

// passkey is GET and POST /sign-in/passkey: a passkey as the first proof, of whoever has it,
// or as the second factor of whoever is signed in.
func (s *Server) passkey(w http.ResponseWriter, r *http.Request) error {
	v, err := s.visit(w, r, "credential")
	if err != nil {
		return err
	}
	second := v.turn.confirms(policy.Passkey)
	switch {
	case !second && !v.turn.Local.Has(policy.Passkey):
		return s.elsewhere(w, r, v)
	case r.Method != http.MethodPost:
		return s.askPasskey(w, r, v, text.Message{}, http.StatusOK)
	case v.step.Ceremony == nil:
		return s.askPasskey(w, r, v, text.T("That took too long. Try again."), http.StatusUnprocessableEntity)
	}
	ceremony := *v.step.Ceremony
	var kept factor.Passkey
	var shown passkey.Result
	err = s.store.View(r.Context(), func(tx store.Tx) (err error) {
		find := func(handle, id []byte) (c passkey.Credential, err error) {
			kept, err = tx.Passkey(base64.RawURLEncoding.EncodeToString(id))
			if errors.Is(err, tenancy.ErrNotFound) || err == nil && !bytes.Equal(handle, []byte(kept.User)) {
				return c, passkey.ErrUnknown
			}
			if err != nil {
				return c, err
			}
			return c, json.Unmarshal(kept.Credential, &c)
		}
		answer := []byte(v.form.Get("credential"))
		if second {
			shown, err = s.passkeys.FinishConfirm(ceremony, []byte(v.who.User), answer, find, s.now())
		} else {
			shown, err = s.passkeys.FinishLogin(ceremony, answer, find, s.now())
		}
		return err
	})
	if _, ok := errors.AsType[*passkey.Error](err); ok {
		return s.passkeyRefused(w, r, v, err)
	}
	if err != nil {
		return unavailable(err)
	}

	var res result
	err = s.store.Update(r.Context(), func(tx store.Tx) error {
		res = result{}
		now := s.now()
		if err := tx.Use(passkeyUse, challengeName(ceremony), now.Add(time.Hour)); err != nil {
			return err
		}
		// What was judged must be what is there: it may have been removed, or used, meanwhile.
		p, err := tx.Passkey(kept.ID)
		if errors.Is(err, tenancy.ErrNotFound) || err == nil && (p.User != kept.User || !bytes.Equal(p.Credential, kept.Credential)) {
			res.refused = factor.ErrWrong
			return nil
		}
		if err != nil {
			return err
		}
		u, err := tx.User(p.User)
		if err != nil {
			return err
		}
		if !second && v.step.Email != "" && v.step.Email != u.Email {
			res.refused = errAnotherPasskey
			return nil
		}
		v.step.Email = u.Email
		if err := s.rejudge(tx, r, &v, now); err != nil {
			return err
		}
		if v.turn.confirms(policy.Passkey) != second || !second && !v.turn.Local.Has(policy.Passkey) {
			return nil
		}
		used, err := json.Marshal(shown.Credential)
		if err != nil {
			return err
		}
		if err := factor.UsedPasskey(tx, p.User, p.ID, used, now); err != nil {
			return err
		}
		in, event := tenancy.SignedIn{User: u}, audit.MFASucceeded
		if second && v.who.User != u.ID {
			res.refused = errAnotherPasskey
			return nil
		}
		if !second {
			event = audit.PasskeySucceeded
			if in, err = arrived(tx, u, s.rules, now); isRefusal(err) {
				res.refused = err
				return nil
			} else if err != nil {
				return err
			}
		}
		proof := policy.Proof{Method: policy.Passkey, UserVerified: shown.UserVerified, At: now}
		return s.accept(tx, r, &v, proof, in, event, &res, now)
	})
	switch {
	case err != nil:
		return s.cannotEnter(v, err)
	case errors.Is(res.refused, errAnotherPasskey):
		s.count("passkey_wrong")
		return s.askPasskey(w, r, v, text.T("That passkey belongs to another account."), http.StatusUnprocessableEntity)
	case res.refused != nil:
		return s.passkeyRefused(w, r, v, res.refused)
	case res.who.ID == "":
		return s.follow(w, r, v.aim, v.turn)
	}
	return s.finish(w, r, policy.Passkey, res)
}

// passkeyRefused asks again. What was wrong is for the log.
func (s *Server) passkeyRefused(w http.ResponseWriter, r *http.Request, v visit, cause error) error {
	s.count("passkey_wrong")
	s.logRefused(r, "passkey", cause)
	return s.askPasskey(w, r, v, text.T("That passkey could not be accepted. Try again, or sign in another way."), http.StatusUnprocessableEntity)
}

// challengeName is what a challenge is remembered by.
func challengeName(c passkey.Ceremony) string {
	sum := sha256.Sum256([]byte(c.Challenge))
	return hex.EncodeToString(sum[:])
}

func (s *Server) askPasskey(w http.ResponseWriter, r *http.Request, v visit, fault text.Message, status int) error {
	d, err := s.ensureDevice(w, r)
	if err != nil {
		return err
	}
	second := v.turn.confirms(policy.Passkey)
	var allow []passkey.Credential
	if second {
		err := s.store.View(r.Context(), func(tx store.Tx) (err error) {
			allow, err = credentials(tx, v.who.User)
			return err
		})
		if err != nil {
			return unavailable(err)
		}
	}
	st := step{Email: v.step.Email}
	request, sealed, err := s.requestPasskey(d, st, v.who.User, allow)
	if err != nil {
		return err
	}
	p := page.UsePasskey{
		Brand: s.brand(v.turn.Organization), Action: s.at(pathPasskey, v.aim, ""), Hidden: map[string]string{paramStep: sealed},
		Email: v.step.Email, Request: request, Fault: fault, Other: s.otherWays(v, sealed),
	}
	if second && v.turn.Second != policy.MethodsOf(policy.Passkey) {
		p.Other = s.at(pathSecond, v.aim, "")
	}
	if v.turn.FirstTime && v.step.Email != "" {
		p.Other = s.at(pathWays, v.aim, sealed)
	}
	return p.Render(w, r, status)
}

// requestPasskey begins a ceremony: of one of the passkeys of the user, or, without any, of
// whatever passkey for us somebody has.
func (s *Server) requestPasskey(d device, st step, user tenancy.UserID, allow []passkey.Credential) (page.PasskeyRequest, string, error) {
	options, ceremony, err := s.passkeys.Login(s.now())
	if len(allow) > 0 {
		options, ceremony, err = s.passkeys.Confirm([]byte(user), allow, s.now())
	}
	if err != nil {
		return page.PasskeyRequest{}, "", err
	}
	st.Ceremony = &ceremony
	sealed, err := s.sealStep(d, st, s.now())
	return page.PasskeyRequest{Options: string(options)}, sealed, err
}

// credentials are the passkeys of the user, as package passkey knows them.
func credentials(tx store.Tx, user tenancy.UserID) ([]passkey.Credential, error) {
	var all []passkey.Credential
	for p, err := range tx.Passkeys(user) {
		if err != nil {
			return nil, err
		}
		var c passkey.Credential
		if err := json.Unmarshal(p.Credential, &c); err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

// passkeyNew is GET and POST /sign-in/passkey/new: sets up a passkey.
func (s *Server) passkeyNew(w http.ResponseWriter, r *http.Request) error {
	v, err := s.visit(w, r, "credential", "name")
	if err != nil {
		return err
	}
	if on, err := s.onSetUp(w, r, v, policy.Passkey, pathPasskeyNew); !on {
		return err
	}
	if r.Method != http.MethodPost {
		return s.askNewPasskey(w, r, v, text.Message{}, http.StatusOK)
	}
	if v.step.Ceremony == nil {
		return s.askNewPasskey(w, r, v, text.T("That took too long. Try again."), http.StatusUnprocessableEntity)
	}
	ceremony := *v.step.Ceremony
	made, err := s.passkeys.FinishRegister(ceremony, s.passkeyUser(v), []byte(v.form.Get("credential")), s.now())
	if _, ok := errors.AsType[*passkey.Error](err); ok {
		s.logRefused(r, "passkey", err)
		return s.askNewPasskey(w, r, v, text.T("That passkey could not be set up. Try again, or use another device."), http.StatusUnprocessableEntity)
	}
	if err != nil {
		return err
	}
	kept, err := json.Marshal(made)
	if err != nil {
		return err
	}
	return s.setUp(w, r, v, policy.Passkey, func(tx store.Tx, u tenancy.User, now time.Time) (policy.Proof, error) {
		if err := tx.Use(passkeyUse, challengeName(ceremony), now.Add(time.Hour)); err != nil {
			return policy.Proof{}, err
		}
		_, err := factor.AddPasskey(tx, factor.Passkey{
			ID: base64.RawURLEncoding.EncodeToString(made.ID), User: u.ID, Name: v.form.Get("name"), Credential: kept,
		}, audit.Actor{Type: "user", ID: string(u.ID)}, now)
		return policy.Proof{Method: policy.Passkey, UserVerified: true, At: now}, err
	}, mail.FactorAdded{Host: s.publicURL.Host, Factor: mail.Passkey}, func(err error) error {
		fault := text.T("That passkey could not be set up. Try again, or use another device.")
		switch {
		case errors.Is(err, factor.ErrExists):
			fault = text.T("That passkey is set up already.")
		case errors.Is(err, factor.ErrTooMany):
			fault = text.T("You have as many passkeys as anybody can have. Remove one first.")
		}
		return s.askNewPasskey(w, r, v, fault, http.StatusUnprocessableEntity)
	})
}

func (s *Server) passkeyUser(v visit) passkey.User {
	return passkey.User{Handle: []byte(v.who.User), Name: v.turn.Email, DisplayName: v.turn.Email}
}

func (s *Server) askNewPasskey(w http.ResponseWriter, r *http.Request, v visit, fault text.Message, status int) error {
	d, err := s.ensureDevice(w, r)
	if err != nil {
		return err
	}
	var exclude []passkey.Credential
	err = s.store.View(r.Context(), func(tx store.Tx) (err error) {
		exclude, err = credentials(tx, v.who.User)
		return err
	})
	if err != nil {
		return unavailable(err)
	}
	options, ceremony, err := s.passkeys.Register(s.passkeyUser(v), exclude, s.now())
	if err != nil {
		return err
	}
	sealed, err := s.sealStep(d, step{Ceremony: &ceremony}, s.now())
	if err != nil {
		return err
	}
	p := page.CreatePasskey{
		Brand: s.brand(v.turn.Organization), Action: s.at(pathPasskeyNew, v.aim, ""), Hidden: map[string]string{paramStep: sealed},
		Request: page.PasskeyRequest{Options: string(options)}, Fault: fault,
	}
	if v.aim.Next != "" {
		p.Skip = s.url(pathAccount)
	}
	return p.Render(w, r, status)
}
