package sso

import (
	"context"
	"errors"
	"net/http"

	"github.com/orgate/orgate/internal/endpoint"
	"github.com/orgate/orgate/internal/text"
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
		Status: http.StatusServiceUnavailable, Code: "store_unavailable", Title: text.T("Signing in is not possible right now"),
		Text: text.T("We can't reach our records."), Hint: text.T("Try again in a minute."), Header: http.Header{"Retry-After": {"30"}}, Err: err,
	}
}

// badRequest is for what no page of ours sends.
func badRequest(cause error) *endpoint.Error {
	return &endpoint.Error{
		Status: http.StatusBadRequest, Code: "bad_request", Title: text.T("This link is broken"),
		Text: text.T("The address of this page is not one that we made."), Hint: text.T("Go back to the app and start again from there."), Err: cause,
	}
}

// unknownHost is the page for a tenant host that is not there, or is suspended: who
// asks must not learn which.
func unknownHost() *endpoint.Error {
	return &endpoint.Error{
		Status: http.StatusNotFound, Code: "unknown_host", Title: text.T("There is nothing at this address"),
		Text: text.T("The address that sent you here belongs to nobody."), Hint: text.T("Check it for a typing mistake."),
	}
}

// noWay is the page for an address with which nobody can sign in here. It is all that a
// stranger is told, whether the address exists or not.
func (s *Server) noWay(a aim, org tenancy.Organization) *endpoint.Error {
	e := &endpoint.Error{
		Status: http.StatusForbidden, Code: "no_method", Title: text.T("There is no way to sign in here with this address"),
		Text: text.T("Nobody is set up to tell us who you are by this address."),
		Hint: text.T("Open your organization's own address, or use your work address."), ActionURL: s.again(a, false), ActionText: text.T("Use another address"),
	}
	if org.Name != "" {
		e.Organization = org.Name
		e.Hint = text.T("Use the address that %s knows you by, or ask the people who look after its sign-in.", org.Name)
	}
	return e
}

// looping is the page for a sign-in that gets nowhere.
func (s *Server) looping(a aim, cause error) *endpoint.Error {
	return &endpoint.Error{
		Status: http.StatusForbidden, Code: "sign_in_loop", Title: text.T("Signing in goes round in circles"),
		Text: text.T("What your identity provider says does not satisfy the rules that apply to you, however often it is asked."),
		Hint: text.T("Tell the people who look after your sign-in the id below."), ActionURL: s.again(a, true), ActionText: text.T("Use another account"), Err: cause,
	}
}

// refused says why somebody who has proved who they are does not get in. email is
// theirs.
func (s *Server) refused(a aim, d policy.Decision, org tenancy.Organization, email string) *endpoint.Error {
	var name any = org.Name
	if name == "" {
		name = text.T("this organization")
	}
	e := &endpoint.Error{
		Status: http.StatusForbidden, Code: "not_allowed", Title: text.T("You can't enter %s", name), Organization: org.Name,
		Text:      text.T("You are signed in as %s.", email),
		ActionURL: s.again(a, true), ActionText: text.T("Use another account"),
	}
	switch d.Reason {
	case policy.Suspended:
		return unknownHost()
	case policy.NotMember:
		e.Code, e.Title = "not_member", text.T("You are not a member of %s", name)
		e.Text = text.T("You are signed in as %s, and %s has no member with that address.", email, name)
		e.Hint = text.T("Ask somebody who looks after %s to invite you, or use another account.", name)
	case policy.InvitationOpen:
		e.Code, e.Title = "invitation_open", text.T("Your invitation is waiting")
		e.Text = text.T("You are signed in as %s. You were invited to %s and have not accepted yet.", email, name)
		e.Hint = text.T("Open the link in the invitation that was sent to you. If you can't find it, ask for a new one.")
	case policy.Deactivated:
		e.Code, e.Title = "deactivated", text.T("Your access to %s has ended", name)
		e.Text = text.T("You are signed in as %s, and your membership was deactivated.", email)
		e.Hint = text.T("If that is a mistake, ask somebody who looks after %s.", name)
	case policy.NoMethod:
		e.Code, e.Title = "no_method", text.T("There is no way to sign in that %s accepts", name)
		e.Text = text.T("You are signed in as %s. The rules that apply to you ask for a proof that can't be given here.", email)
		e.Hint = text.T("Tell the people who look after your sign-in the id below.")
	case policy.MFAMissing:
		e.Code, e.Title = "second_factor", text.T("%s asks for a second factor", name)
		e.Text = text.T("You are signed in as %s. A second factor is needed, and none can be asked for here.", email)
		e.Hint = text.T("Sign in by the identity provider of %s, or tell the people who look after your sign-in the id below.", name)
	default:
		e.Hint = text.T("Tell the people who look after your sign-in the id below.")
	}
	return e
}

// noOrganization is the page for somebody who is known and belongs nowhere.
func (s *Server) noOrganization(a aim, email string) *endpoint.Error {
	return &endpoint.Error{
		Status: http.StatusForbidden, Code: "no_organization", Title: text.T("You are not a member of any organization"),
		Text:      text.T("You are signed in as %s, and no organization here has you as an active member.", email),
		Hint:      text.T("Ask for an invitation, or use another account."),
		ActionURL: s.again(a, true), ActionText: text.T("Use another account"),
	}
}

// tooOld is the page for an answer that belongs to no sign-in of this browser.
func (s *Server) tooOld() *endpoint.Error {
	return &endpoint.Error{
		Status: http.StatusBadRequest, Code: "unknown_sign_in", Title: text.T("This sign-in is no longer open"),
		Text: text.T("It was started in another browser, or too long ago, or it is finished already."),
		Hint: text.T("If you were signing in, start again."), ActionURL: s.url(pathSignIn), ActionText: text.T("Start again"),
	}
}

// assertionRefused says what package tenancy did not believe, in words for the person;
// hint is for the operator's log.
func (s *Server) assertionRefused(f flow, org tenancy.Organization, email string, err error) (e *endpoint.Error, hint string) {
	email = clip(email, maxEmail)
	e = &endpoint.Error{
		Status: http.StatusForbidden, Organization: org.Name, Err: err,
		ActionURL: s.again(f.Aim, true), ActionText: text.T("Use another account"),
	}
	switch {
	case errors.Is(err, tenancy.ErrNotVouched):
		e.Code, e.Title = "not_vouched", text.T("This address is not one that %s can vouch for", org.Name)
		e.Text = text.T("The identity provider of %s says that you are %s, which is not on a domain of %s.", org.Name, email, org.Name)
		e.Hint = text.T("Use an account with an address of %s. If yours is one, tell the people who look after your sign-in the id below.", org.Name)
		hint = "the identity provider of " + string(org.Slug) + " vouches for an address that is on no verified domain of it: add the domain under domains, or invite the person"
		if email == "" {
			e.Text = text.T("The identity provider of %s did not say an address of yours that can be read.", org.Name)
			hint = "the provider sent no usable address: check the email claim"
		}
	case errors.Is(err, tenancy.ErrNotMember):
		e = s.refused(f.Aim, policy.Decision{Reason: policy.NotMember}, org, email)
		e.Text, e.Err = text.T("%s has no member with the address %s.", org.Name, email), err
		return e, "sign_up is invitation, and no rule of the organization makes a member of this person"
	case errors.Is(err, tenancy.ErrEmailUnproved):
		e.Code, e.Title = "email_unproved", text.T("Your address is not confirmed")
		e.Text = text.T("The identity provider of %s says that %s was never confirmed to be yours.", org.Name, email)
		e.Hint = text.T("Confirm your address there, then sign in again.")
		hint = "the provider sends email_verified: false"
	case errors.Is(err, tenancy.ErrIdentityConflict):
		e.Code, e.Title = "identity_conflict", text.T("This address belongs to another account")
		e.Text = text.T("The identity provider of %s knew %s as somebody else before.", org.Name, email)
		e.Hint = text.T("Tell the people who look after your sign-in the id below: they can say whether you are the same person.")
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
		Status: http.StatusConflict, Code: "another_person", Title: text.T("That is somebody else"), Organization: org.Name,
		Text:      text.T("You are signed in here with another address than %s, as which the identity provider of %s knows you.", clip(email, maxEmail), org.Name),
		Hint:      text.T("Sign in there with the account that belongs to your address, or leave the account that you are signed in with."),
		ActionURL: s.again(f.Aim, true), ActionText: text.T("Use another account"), Err: cause,
	}
}

// singleWorkspace is the page for somebody who would be a member of a second
// organization where one is the most.
func (s *Server) singleWorkspace(a aim, org tenancy.Organization, cause error) *endpoint.Error {
	return &endpoint.Error{
		Status: http.StatusForbidden, Code: "single_workspace", Title: text.T("You are a member of another organization already"), Organization: org.Name,
		Text: text.T("Here, everybody is a member of one organization at most."), Hint: text.T("Leave the other organization first, or use another account."),
		ActionURL: s.again(a, true), ActionText: text.T("Use another account"), Err: cause,
	}
}

// connectionGone is the page for a connection that is no longer what it was when the
// sign-in began.
func (s *Server) connectionGone(f flow, org tenancy.Organization, cause error) *endpoint.Error {
	return &endpoint.Error{
		Status: http.StatusForbidden, Code: "connection_gone", Title: text.T("This way to sign in was switched off"), Organization: org.Name,
		Text: text.T("It was changed while you were signing in."), Hint: text.T("Start again. If there is no other way for you, ask the people who look after your sign-in."),
		ActionURL: s.again(f.Aim, false), ActionText: text.T("Start again"), Err: cause,
	}
}
