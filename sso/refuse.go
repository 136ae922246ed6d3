package sso

import (
	"context"
	"errors"
	"net/http"

	"github.com/orgate/orgate/internal/endpoint"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// unavailable says that the store could not be asked. Whatever it was, nobody gets in.
func unavailable(err error) error {
	if _, ok := errors.AsType[*endpoint.Error](err); ok || err == nil {
		return err
	}
	if errors.Is(err, context.Canceled) || !errors.Is(err, store.ErrUnavailable) {
		return err // an ordinary internal error, or nobody there to answer
	}
	return &endpoint.Error{
		Status: http.StatusServiceUnavailable, Code: "store_unavailable", Title: "Signing in is not possible right now",
		Text: "We can't reach our records.", Hint: "Try again in a minute.", Header: http.Header{"Retry-After": {"30"}}, Err: err,
	}
}

// badRequest is for what no page of ours sends.
func badRequest(cause error) *endpoint.Error {
	return &endpoint.Error{
		Status: http.StatusBadRequest, Code: "bad_request", Title: "This link is broken",
		Text: "The address of this page is not one that we made.", Hint: "Go back to the app and start again from there.", Err: cause,
	}
}

// unknownHost is the page for a tenant host that is not there, or is suspended: who
// asks must not learn which.
func unknownHost() *endpoint.Error {
	return &endpoint.Error{
		Status: http.StatusNotFound, Code: "unknown_host", Title: "There is nothing at this address",
		Text: "The address that sent you here belongs to nobody.", Hint: "Check it for a typing mistake.",
	}
}

// noWay is the page for an address with which nobody can sign in here. It is all that a
// stranger is told, whether the address exists or not.
func (s *Server) noWay(a aim, org tenancy.Organization) *endpoint.Error {
	e := &endpoint.Error{
		Status: http.StatusForbidden, Code: "no_method", Title: "There is no way to sign in here with this address",
		Text: "Nobody is set up to tell us who you are by this address.",
		Hint: "Open your organization's own address, or use your work address.", ActionURL: s.again(a, false), ActionText: "Use another address",
	}
	if org.Name != "" {
		e.Organization = org.Name
		e.Hint = "Use the address that " + org.Name + " knows you by, or ask the people who look after its sign-in."
	}
	return e
}

// looping is the page for a sign-in that gets nowhere.
func (s *Server) looping(a aim, cause error) *endpoint.Error {
	return &endpoint.Error{
		Status: http.StatusForbidden, Code: "sign_in_loop", Title: "Signing in goes round in circles",
		Text: "What your identity provider says does not satisfy the rules that apply to you, however often it is asked.",
		Hint: "Tell the people who look after your sign-in the id below.", ActionURL: s.again(a, true), ActionText: "Use another account", Err: cause,
	}
}

// refused says why somebody who has proved who they are does not get in. email is
// theirs.
func (s *Server) refused(a aim, d policy.Decision, org tenancy.Organization, email string) *endpoint.Error {
	name := org.Name
	if name == "" {
		name = "this organization"
	}
	e := &endpoint.Error{
		Status: http.StatusForbidden, Code: "not_allowed", Title: "You can't enter " + name, Organization: org.Name,
		Text:      "You are signed in as " + email + ".",
		ActionURL: s.again(a, true), ActionText: "Use another account",
	}
	switch d.Reason {
	case policy.Suspended:
		return unknownHost()
	case policy.NotMember:
		e.Code, e.Title = "not_member", "You are not a member of "+name
		e.Text = "You are signed in as " + email + ", and " + name + " has no member with that address."
		e.Hint = "Ask somebody who looks after " + name + " to invite you, or use another account."
	case policy.InvitationOpen:
		e.Code, e.Title = "invitation_open", "Your invitation is waiting"
		e.Text = "You are signed in as " + email + ". You were invited to " + name + " and have not accepted yet."
		e.Hint = "Open the link in the invitation that was sent to you. If you can't find it, ask for a new one."
	case policy.Deactivated:
		e.Code, e.Title = "deactivated", "Your access to "+name+" has ended"
		e.Text = "You are signed in as " + email + ", and your membership was deactivated."
		e.Hint = "If that is a mistake, ask somebody who looks after " + name + "."
	case policy.NoMethod:
		e.Code, e.Title = "no_method", "There is no way to sign in that "+name+" accepts"
		e.Text = "You are signed in as " + email + ". The rules that apply to you ask for a proof that can't be given here."
		e.Hint = "Tell the people who look after your sign-in the id below."
	case policy.MFAMissing:
		e.Code, e.Title = "second_factor", name+" asks for a second factor"
		e.Text = "You are signed in as " + email + ". A second factor is needed, and none can be asked for here."
		e.Hint = "Sign in by the identity provider of " + name + ", or tell the people who look after your sign-in the id below."
	default:
		e.Hint = "Tell the people who look after your sign-in the id below."
	}
	return e
}

// noOrganization is the page for somebody who is known and belongs nowhere.
func (s *Server) noOrganization(a aim, email string) *endpoint.Error {
	return &endpoint.Error{
		Status: http.StatusForbidden, Code: "no_organization", Title: "You are not a member of any organization",
		Text:      "You are signed in as " + email + ", and no organization here has you as an active member.",
		Hint:      "Ask for an invitation, or use another account.",
		ActionURL: s.again(a, true), ActionText: "Use another account",
	}
}

// tooOld is the page for an answer that belongs to no sign-in of this browser.
func (s *Server) tooOld() *endpoint.Error {
	return &endpoint.Error{
		Status: http.StatusBadRequest, Code: "unknown_sign_in", Title: "This sign-in is no longer open",
		Text: "It was started in another browser, or too long ago, or it is finished already.",
		Hint: "If you were signing in, start again.", ActionURL: s.url(pathSignIn), ActionText: "Start again",
	}
}

// assertionRefused says what package tenancy did not believe, in words for the person;
// hint is for the operator's log.
func (s *Server) assertionRefused(f flow, org tenancy.Organization, email string, err error) (e *endpoint.Error, hint string) {
	email = clip(email, maxEmail)
	e = &endpoint.Error{
		Status: http.StatusForbidden, Organization: org.Name, Err: err,
		ActionURL: s.again(f.Aim, true), ActionText: "Use another account",
	}
	switch {
	case errors.Is(err, tenancy.ErrNotVouched):
		e.Code, e.Title = "not_vouched", "This address is not one that "+org.Name+" can vouch for"
		e.Text = "The identity provider of " + org.Name + " says that you are " + email + ", which is not on a domain of " + org.Name + "."
		e.Hint = "Use an account with an address of " + org.Name + ". If yours is one, tell the people who look after your sign-in the id below."
		hint = "the identity provider of " + string(org.Slug) + " vouches for an address that is on no verified domain of it: add the domain under domains, or invite the person"
		if email == "" {
			e.Text = "The identity provider of " + org.Name + " did not say an address of yours that can be read."
			hint = "the provider sent no usable address: check the email claim"
		}
	case errors.Is(err, tenancy.ErrNotMember):
		e = s.refused(f.Aim, policy.Decision{Reason: policy.NotMember}, org, email)
		e.Text, e.Err = org.Name+" has no member with the address "+email+".", err
		return e, "sign_up is invitation, and no rule of the organization makes a member of this person"
	case errors.Is(err, tenancy.ErrEmailUnproved):
		e.Code, e.Title = "email_unproved", "Your address is not confirmed"
		e.Text = "The identity provider of " + org.Name + " says that " + email + " was never confirmed to be yours."
		e.Hint = "Confirm your address there, then sign in again."
		hint = "the provider sends email_verified: false"
	case errors.Is(err, tenancy.ErrIdentityConflict):
		e.Code, e.Title = "identity_conflict", "This address belongs to another account"
		e.Text = "The identity provider of " + org.Name + " knew " + email + " as somebody else before."
		e.Hint = "Tell the people who look after your sign-in the id below: they can say whether you are the same person."
		hint = "the address came with a new subject (it was given to another person, or the account was made anew), or from a domain that was another organization's; if it is the same person: orgate user unlink --email ADDRESS"
	case errors.Is(err, tenancy.ErrSingleWorkspace):
		return s.singleWorkspace(f.Aim, org, err), "sign_in.workspaces is single"
	case errors.Is(err, tenancy.ErrNotFound):
		return s.connectionGone(f, org, err), "the connection was disabled, changed or deleted, or the organization suspended, after the sign-in began"
	default:
		return nil, ""
	}
	return e, hint
}

// anotherPerson is the page for somebody who is signed in, was asked for one more proof,
// and came back from the provider as somebody else.
func (s *Server) anotherPerson(f flow, org tenancy.Organization, email string, cause error) *endpoint.Error {
	return &endpoint.Error{
		Status: http.StatusConflict, Code: "another_person", Title: "That is somebody else", Organization: org.Name,
		Text:      "You are signed in here with another address than " + clip(email, maxEmail) + ", as which the identity provider of " + org.Name + " knows you.",
		Hint:      "Sign in there with the account that belongs to your address, or leave the account that you are signed in with.",
		ActionURL: s.again(f.Aim, true), ActionText: "Use another account", Err: cause,
	}
}

// singleWorkspace is the page for somebody who would be a member of a second
// organization where one is the most.
func (s *Server) singleWorkspace(a aim, org tenancy.Organization, cause error) *endpoint.Error {
	return &endpoint.Error{
		Status: http.StatusForbidden, Code: "single_workspace", Title: "You are a member of another organization already", Organization: org.Name,
		Text: "Here, everybody is a member of one organization at most.", Hint: "Leave the other organization first, or use another account.",
		ActionURL: s.again(a, true), ActionText: "Use another account", Err: cause,
	}
}

// connectionGone is the page for a connection that is no longer what it was when the
// sign-in began.
func (s *Server) connectionGone(f flow, org tenancy.Organization, cause error) *endpoint.Error {
	return &endpoint.Error{
		Status: http.StatusForbidden, Code: "connection_gone", Title: "This way to sign in was switched off", Organization: org.Name,
		Text: "It was changed while you were signing in.", Hint: "Start again. If there is no other way for you, ask the people who look after your sign-in.",
		ActionURL: s.again(f.Aim, false), ActionText: "Start again", Err: cause,
	}
}
