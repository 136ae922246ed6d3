package api

import (
	"errors"
	"slices"
	"strings"

	"github.com/orgate/orgate/internal/accesstoken"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// An authenticated is the answer to a sign-in.
type authenticated struct {
	User         tenancy.UserObject `json:"user"`
	Organization tenancy.OrgID      `json:"organization_id,omitzero"`
	AccessToken  string             `json:"access_token"`
	RefreshToken string             `json:"refresh_token"`
	Method       string             `json:"authentication_method,omitzero"`
}

// tokens makes the answer of a session of the client. who is its parent, which holds the proofs.
func (s *signIn) tokens(tx store.Tx, made, who session.Session, v session.View, refresh session.Token) (authenticated, error) {
	c := accesstoken.Claims{
		Issuer: Issuer(s.api.PublicURL(), s.client.ID), Subject: string(made.User), Client: s.client.ID, Session: string(made.ID),
		Organization: string(made.Organization),
	}
	if made.Organization != "" {
		c.Roles, c.Permissions = v.Roles, v.Permissions
		if len(v.Roles) > 0 {
			c.Role = v.Roles[0]
		}
	}
	token, err := s.api.signer.Sign(tx, c, made.ExpiresAt, s.now)
	if errors.Is(err, accesstoken.ErrTooBig) {
		return authenticated{}, oauthError("token_too_big", "The access token would be too big: the roles have too many permissions.", err)
	}
	if err != nil {
		return authenticated{}, err
	}
	return authenticated{
		User: tenancy.ShowUser(v.User), Organization: made.Organization, AccessToken: token, RefreshToken: refresh.Reveal(), Method: methodOf(who.Proofs),
	}, nil
}

// methodOf is the reference's word for how a session came about; empty: it has none.
func methodOf(proofs []policy.Proof) string {
	for _, p := range proofs {
		switch p.Method {
		case policy.SSO:
			return "SSO"
		case policy.EmailCode:
			return "MagicAuth"
		case policy.Password:
			return "Password"
		case policy.Passkey:
			return "Passkey"
		case policy.Social:
			provider, _ := tenancy.SocialProvider(tenancy.ConnectionID(p.Connection))
			name, _, _ := strings.Cut(provider, ".")
			return map[string]string{
				"google": "GoogleOAuth", "github": "GitHubOAuth", "microsoft": "MicrosoftOAuth", "gitlab": "GitLabOAuth", "slack": "SlackOAuth", "linkedin": "LinkedInOAuth",
			}[name]
		default: // a second factor is not how it came about
		}
	}
	return ""
}

// judge asks the policies whether the session who may go on in an organization or, if org is empty, in none. It is
// what the sign-in pages and the proxy ask; stop says what is missing.
func (s *signIn) judge(tx store.Tx, org tenancy.OrgID, who session.Session) (v session.View, stop *Error, err error) {
	v, d, err := s.decide(tx, org, who, "")
	if err != nil {
		return v, nil, err
	}
	if d.Verdict == policy.Join {
		_, _, err := tenancy.Join(tx, s.api.Rules(), org, who.User, s.now)
		if errors.Is(err, tenancy.ErrSingleWorkspace) {
			return v, membershipNotFound(err), nil
		}
		if err != nil {
			return v, nil, err
		}
		if v, d, err = s.decide(tx, org, who, ""); err != nil {
			return v, nil, err
		}
	}
	if d.Verdict == policy.Allow && v.User.ID != "" {
		return v, nil, nil
	}
	stop, err = s.lacks(tx, v, d)
	return v, stop, err
}

func (s *signIn) decide(tx store.Tx, org tenancy.OrgID, who session.Session, email string) (session.View, policy.Decision, error) {
	v, err := session.Gather(tx, session.Query{Organization: org, Session: who, Email: email, Offered: s.api.Offered(), Now: s.now})
	if err != nil {
		return session.View{}, policy.Decision{}, err
	}
	return v, policy.Decide(&v.Facts), nil
}

func membershipNotFound(cause error) *Error {
	return oauthError("organization_membership_not_found", "The user has no active membership in this organization.", cause)
}

// lacks says what a decision that does not let somebody in asks for.
func (s *signIn) lacks(tx store.Tx, v session.View, d policy.Decision) (*Error, error) {
	switch d.Verdict {
	case policy.Prove:
		return s.lacksProof(tx, v, d)
	case policy.SecondFactor:
		e := stepUp("mfa_challenge", "The user must complete a multi-factor authentication challenge.", map[string]any{"user": tenancy.ShowUser(v.User)})
		factors, err := challengeable(tx, v.User.ID)
		return e.with("authentication_factors", factors), err
	case policy.Enroll:
		return stepUp("mfa_enrollment", "The user must enroll a second factor.", map[string]any{"user": tenancy.ShowUser(v.User)}), nil
	default:
	}
	switch {
	case d.Reason == policy.NoMethod:
		return oauthError("authentication_method_not_allowed", "There is no way of signing in here that the policies accept.", nil), nil
	case d.Reason == policy.Suspended && s.trusted:
		return oauthError("organization_not_found", "There is no such organization.", nil), nil
	default:
		return membershipNotFound(nil), nil
	}
}

// lacksProof is for a first proof that is missing.
func (s *signIn) lacksProof(tx store.Tx, v session.View, d policy.Decision) (*Error, error) {
	if d.Reason == policy.TooOld || d.Reason == policy.TooOldToEnroll {
		return oauthError("invalid_grant", "The sign-in was too long ago for the policies. The person signs in again.", nil), nil
	}
	var connections []tenancy.ConnectionID
	if d.Methods.Has(policy.SSO) && d.Organization != "" {
		var err error
		if connections, err = s.connections(tx, tenancy.OrgID(d.Organization), tenancy.ConnectionID(d.Connection)); err != nil {
			return nil, err
		}
	}
	email := v.User.Email
	if email == "" {
		email = v.Facts.Email
	}
	switch {
	case d.Source == policy.ByDomainPolicy:
		return oauthError("organization_authentication_methods_required", "The policy of the domain of this address asks for another way of signing in.", nil).
			with("email", email).with("sso_connection_ids", connections).with("auth_methods", methodsOf(d.Methods)), nil
	case len(connections) > 0 && d.Methods == policy.MethodsOf(policy.SSO):
		return oauthError("sso_required", "Must use SSO for selected organization", nil).with("email", email).with("connection_ids", connections).
			with("message", "Must use SSO for selected organization"), nil
	}
	return oauthError("authentication_method_not_allowed", "The policies ask for another way of signing in.", nil).
		with("email", email).with("auth_methods", methodsOf(d.Methods)), nil
}

// connections are those that would do.
func (s *signIn) connections(tx store.Tx, org tenancy.OrgID, id tenancy.ConnectionID) ([]tenancy.ConnectionID, error) {
	ids := []tenancy.ConnectionID{}
	for c, err := range tx.Connections(org) {
		if err != nil {
			return nil, err
		}
		if !c.Disabled && (id == "" || c.ID == id) {
			ids = append(ids, c.ID)
		}
	}
	slices.Sort(ids)
	return ids, nil
}

// methodsOf says which ways would do, in the words of the reference.
func methodsOf(ms policy.Methods) map[string]bool {
	social := ms.Has(policy.Social)
	return map[string]bool{
		"apple_oauth": false, "github_oauth": social, "google_oauth": social, "microsoft_oauth": social,
		"password": ms.Has(policy.Password), "magic_auth": ms.Has(policy.EmailCode), "passkey": ms.Has(policy.Passkey), "sso": ms.Has(policy.SSO),
	}
}

// A factorName is a factor that a challenge can be made of.
type factorName struct {
	ID   string `json:"id"`
	Type string `json:"type"`
}

func challengeable(tx store.Tx, user tenancy.UserID) ([]factorName, error) {
	t, err := tx.TOTP(user)
	if errors.Is(err, tenancy.ErrNotFound) {
		return []factorName{}, nil // a passkey, which is proved on the sign-in pages alone
	}
	if err != nil {
		return nil, err
	}
	return []factorName{{t.FactorID(), "totp"}}, nil
}

// accept accepts the invitation of a token for who, if they have proved to be whom it is for and the policies of its
// organization are met. It returns the organization to go on in: that of the invitation, or org if it has none.
func (s *signIn) accept(tx store.Tx, who session.Session, token string, org tenancy.OrgID) (tenancy.OrgID, *Error, error) {
	i, stop, err := s.invitationOf(tx, token)
	if err != nil || stop != nil {
		return org, stop, err
	}
	return s.acceptInvitation(tx, who, i, org)
}

func (s *signIn) invitationOf(tx store.Tx, token string) (tenancy.Invitation, *Error, error) {
	t, ok := tenancy.ParseInvitationToken(token)
	if !ok {
		return tenancy.Invitation{}, invitationInvalid(nil), nil
	}
	i, err := tenancy.LookUpInvitation(tx, t, s.now)
	if notGood(err) {
		return i, invitationInvalid(err), nil
	}
	return i, nil, err
}

func (s *signIn) acceptInvitation(tx store.Tx, who session.Session, i tenancy.Invitation, org tenancy.OrgID) (tenancy.OrgID, *Error, error) {
	v, d, err := s.decide(tx, i.Organization, who, "")
	if err != nil {
		return org, nil, err
	}
	to := org
	if i.Organization != "" {
		to = i.Organization
	}
	forAnother := oauthError("invitation_cannot_be_used_for_email", "The invitation is for another address, or the user has not proved theirs.", nil)
	if v.User.Email != i.Email {
		return org, forAnother, nil
	}
	waits := d.Reason == policy.InvitationOpen || d.Verdict == policy.Allow && i.Organization == ""
	switch {
	case i.AcceptedUser == v.User.ID, i.Organization != "" && (d.Verdict == policy.Allow || d.Verdict == policy.Join):
		return to, nil, nil // there is nothing to accept
	case !waits:
		stop, err := s.lacks(tx, v, d)
		return org, stop, err
	case !v.User.EmailVerified || v.Facts.ConfinedTo != "":
		// The provider of an organization that the person visits proves no address of theirs.
		return org, forAnother, nil
	}
	_, _, err = tenancy.AcceptInvitation(tx, s.api.Rules(), i.ID, who.User, s.now)
	switch {
	case errors.Is(err, tenancy.ErrNotInvited):
		return org, forAnother, nil
	case notGood(err), errors.Is(err, tenancy.ErrDeactivated), errors.Is(err, tenancy.ErrSingleWorkspace):
		return org, invitationInvalid(err), nil
	}
	return to, nil, err
}

func invitationInvalid(cause error) *Error {
	return oauthError("invitation_invalid", "The invitation can't be accepted: it was used, taken back or replaced, or it is too old.", cause)
}

// notGood reports whether err says that an invitation can't be accepted by anybody.
func notGood(err error) bool {
	return errors.Is(err, tenancy.ErrNotFound) || errors.Is(err, tenancy.ErrInviteNotPending) || errors.Is(err, tenancy.ErrInviterGone)
}
