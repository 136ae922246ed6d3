package api

import (
	"errors"
	"time"

	"github.com/orgate/orgate/internal/mail"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/session/client"
	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// What a person proves to a client, and the client passes on, is kept without being a session until it is enough: a
// session that lacks a factor would be one more thing that each door has to know about.

// proceed goes on with a sign-in by what is proved so far: it ends in a session, or says what is missing and gives
// the client a token with which to bring it.
func (s *signIn) proceed(tx store.Tx, p client.Pending) (any, error, error) {
	// It is judged as the session that it would be.
	who := session.Session{ID: "pending", User: p.User, Proofs: p.Proofs, CreatedAt: s.now, SeenAt: s.now, ExpiresAt: s.now.Add(s.api.Limits().Absolute)}
	v, stop, err := s.judge(tx, "", who)
	if err == nil && stop == nil && !v.User.EmailVerified {
		return nil, otherStep(), nil
	}
	if err != nil || stop != nil {
		return s.wait(tx, p, stop, err)
	}
	if p.Invitation != "" {
		i, err := tx.Invitation(p.Invitation)
		if err == nil && i.AcceptedUser == "" {
			err = tenancy.CheckInvitation(tx, i, s.now)
		}
		if notGood(err) {
			return nil, invitationInvalid(err), nil
		}
		if err != nil {
			return nil, nil, err
		}
		if p.Organization, stop, err = s.acceptInvitation(tx, who, i, p.Organization); err != nil || stop != nil {
			return s.wait(tx, p, stop, err)
		}
	}
	if p.Organization == "" {
		orgs, err := selectable(tx, p.User)
		if err != nil {
			return nil, nil, err
		}
		if len(orgs) > 1 {
			return s.wait(tx, p, stepUp("organization_selection_required", "The user must choose an organization to finish their authentication.",
				map[string]any{"user": tenancy.ShowUser(v.User), "organizations": orgs}), nil)
		}
		if len(orgs) == 1 {
			p.Organization = orgs[0].ID
		}
	}
	if p.Organization != "" {
		if v, stop, err = s.judge(tx, p.Organization, who); err != nil || stop != nil {
			return s.wait(tx, p, stop, err)
		}
	}
	done, err := s.begin(tx, p, v)
	return done, nil, err
}

// begin makes the sessions of a sign-in that is complete.
func (s *signIn) begin(tx store.Tx, p client.Pending, v session.View) (authenticated, error) {
	limits := s.api.Limits()
	who, _, err := session.Begin(tx, p.User, p.Proofs[0], nil, "", s.browser, limits, s.now)
	if err != nil {
		return authenticated{}, err
	}
	for _, proof := range p.Proofs[1:] {
		if who, _, err = session.AddProof(tx, who.ID, proof, nil, "", s.now); err != nil {
			return authenticated{}, err
		}
	}
	made, err := session.BeginForClient(tx, who.ID, s.client.ID, p.Organization, s.browser, limits, s.now)
	if err != nil {
		return authenticated{}, err
	}
	next, err := client.IssueRefresh(tx, made)
	if err != nil {
		return authenticated{}, err
	}
	return s.tokens(tx, made, who, v, next)
}

// resumable are the refusals that a client can do something about with a token.
func resumable(code string) bool {
	switch code {
	case "mfa_challenge", "mfa_enrollment", "organization_selection_required", "email_verification_required":
		return true
	default:
		return false
	}
}

// wait keeps what is proved so far for whoever brings what stop asks for.
func (s *signIn) wait(tx store.Tx, p client.Pending, stop *Error, err error) (any, error, error) {
	if err != nil || !resumable(stop.Code) {
		return nil, refusal(stop), err
	}
	if s.browser.RemoteIP != "" || s.browser.UserAgent != "" {
		p.Browser = client.Browser{UserAgent: s.browser.UserAgent, RemoteIP: s.browser.RemoteIP}
	}
	token, err := client.IssuePending(tx, p, s.now)
	if err != nil {
		return nil, nil, err
	}
	return nil, stop.with("pending_authentication_token", token.Reveal()), nil
}

// resume returns the pending authentication of a token, if what was proved in it is proved still.
func (s *signIn) resume(tx store.Tx, token string) (p client.Pending, u tenancy.User, refused, err error) {
	p, why, err := client.LookAtPending(tx, token, s.client.ID, s.now)
	if err != nil {
		return p, u, nil, err
	}
	invalid := func(why error) error {
		return wrongProof("invalid_pending_authentication_token", "The pending authentication token is not good, or not any more. The person begins anew.", why)
	}
	if why != nil {
		return p, u, invalid(why), nil
	}
	u, err = tx.User(p.User)
	if errors.Is(err, tenancy.ErrNotFound) || err == nil && u.Email != p.Email {
		return p, u, invalid(errors.New("the account is gone, or has another address")), nil
	}
	if err != nil {
		return p, u, nil, err
	}
	for _, proof := range p.Proofs {
		var since time.Time // of what was proved
		switch proof.Method {
		case policy.Password:
			kept, e := tx.Password(u.ID)
			since, err = kept.UpdatedAt, e
		case policy.TOTP:
			kept, e := tx.TOTP(u.ID)
			since, err = kept.CreatedAt, e
		default: // the address, which is compared above
			continue
		}
		if err != nil && !errors.Is(err, tenancy.ErrNotFound) {
			return p, u, nil, err
		}
		if err != nil || since.After(proof.At) {
			return p, u, invalid(errors.New("the password or the authenticator app was changed since")), nil
		}
	}
	if s.browser.RemoteIP == "" && s.browser.UserAgent == "" {
		s.browser.RemoteIP, s.browser.UserAgent = p.Browser.RemoteIP, p.Browser.UserAgent
	}
	return p, u, nil, nil
}

// An organizationName is an organization that can be chosen.
type organizationName struct {
	ID   tenancy.OrgID `json:"id"`
	Name string        `json:"name"`
}

// selectable are the organizations that a user is an active member of.
func selectable(tx store.Tx, user tenancy.UserID) ([]organizationName, error) {
	var orgs []organizationName
	for m, err := range tx.Memberships(user) {
		if err != nil {
			return nil, err
		}
		if m.Status != policy.Active {
			continue
		}
		o, err := tx.Organization(m.Organization)
		if errors.Is(err, tenancy.ErrNotFound) || err == nil && o.Suspended {
			continue
		}
		if err != nil {
			return nil, err
		}
		orgs = append(orgs, organizationName{o.ID, o.Name})
	}
	return orgs, nil
}

// otherStep is for a step whose turn it is not.
func otherStep() error {
	return badRequest("invalid_pending_authentication_token", "Another step comes first.")
}

// byOrganization goes on in the organization that the person chose.
func (s *signIn) byOrganization() error {
	token, org := s.body.required("pending_authentication_token"), s.body.required("organization_id")
	if err := s.body.done(); err != nil {
		return err
	}
	return s.answerIn(func(tx store.Tx) (any, error, error) {
		p, _, refused, err := s.resume(tx, token)
		if err != nil || refused != nil {
			return nil, refused, err
		}
		if p.Code != "" {
			return nil, otherStep(), nil
		}
		if err := client.UsePending(tx, p, s.now); err != nil {
			return nil, nil, err
		}
		p.Organization, p.Invitation = tenancy.OrgID(org), ""
		return s.proceed(tx, p)
	})
}

// byTOTP adds the answer to a challenge of the person's authenticator app.
func (s *signIn) byTOTP() error {
	token, challenge, code := s.body.required("pending_authentication_token"), s.body.required("authentication_challenge_id"), s.body.required("code")
	if err := s.body.done(); err != nil {
		return err
	}
	return s.answerIn(func(tx store.Tx) (any, error, error) {
		p, u, refused, err := s.resume(tx, token)
		if err != nil || refused != nil {
			return nil, refused, err
		}
		if p.Code != "" {
			return nil, otherStep(), nil
		}
		asked, err := tx.Challenge(challenge)
		if err != nil && !errors.Is(err, tenancy.ErrNotFound) {
			return nil, nil, err
		}
		if err != nil || asked.User != p.User {
			return nil, badRequest("user_mismatch", "The challenge is not of the user who is signing in."), nil
		}
		if stop, err := besideAnother(tx, asked); err != nil || stop != nil {
			return nil, refusal(stop), err
		}
		answered, err := factor.UseChallenge(tx, s.box(), challenge, code, s.person(p.User), s.now)
		if err != nil {
			return nil, nil, err
		}
		if answered.Refused != nil {
			refused := codeRefused(answered.Refused)
			return nil, refused, s.tellFailed(tx, mfaEvents, u, refused)
		}
		if err := s.tell(tx, mfaEvents, u); err != nil {
			return nil, nil, err
		}
		if answered.Confirmed {
			if err := s.notify(tx, u, mail.FactorAdded{Host: s.api.PublicURL().Host, Factor: mail.AuthenticatorApp}); err != nil {
				return nil, nil, err
			}
		}
		if err := client.UsePending(tx, p, s.now); err != nil {
			return nil, nil, err
		}
		p.Proofs = append(p.Proofs, policy.Proof{Method: policy.TOTP, At: s.now})
		return s.proceed(tx, p)
	})
}

// besideAnother refuses a challenge of a factor that is only being set up, by somebody who has a second factor. A
// password would be enough to set one up, and the passkey that is there would never be asked for.
func besideAnother(tx store.Tx, asked factor.Challenge) (*Error, error) {
	f, err := factor.ByID(tx, asked.Factor)
	if errors.Is(err, factor.ErrNone) || err == nil && !f.Unconfirmed {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	have, err := factor.Enrolled(tx, asked.User)
	if err != nil || !have.Has(policy.Passkey) && !have.Has(policy.TOTP) {
		return nil, err
	}
	return wrongProof("authentication_factor_not_confirmed", "The user has another second factor, and proves that one first, on the sign-in pages.", nil), nil
}
