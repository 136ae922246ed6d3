package sso

import (
	"errors"
	"net/http"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/endpoint"
	"github.com/orgate/orgate/internal/text"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/sso/idp"
	"github.com/orgate/orgate/sso/saml"
	"github.com/orgate/orgate/store"
)

// samlLogoutUse is what a LogoutRequest is remembered as that was heeded.
const samlLogoutUse = "saml logout request"

// samlLogout is GET and POST /sso/saml/{connection}/slo: the provider says that its sessions have ended,
// and gets an answer by the same browser; or it answers our own request, which changes nothing
// and is believed nothing.
func (s *Server) samlLogout(w http.ResponseWriter, r *http.Request) error {
	p, err := s.samlAt(r)
	if err != nil {
		return err
	}
	binding, form := saml.Redirect, r.URL.Query()
	switch r.Method {
	case http.MethodPost:
		binding = saml.Post
		if form, err = readSAMLForm(w, r); err != nil {
			return err
		}
	case http.MethodGet:
	default: // HEAD: a look must not use a request up
		return &endpoint.Error{Status: http.StatusMethodNotAllowed, Code: "method_not_allowed", Title: text.T("This address does not work that way"), Header: http.Header{"Allow": {"GET, POST"}}}
	}
	if len(r.URL.RawQuery) > maxQuery {
		return badRequest(errors.New("query is too long"))
	}
	if form.Has("SAMLResponse") && !form.Has("SAMLRequest") {
		http.Redirect(w, r, pathSignedOut, http.StatusSeeOther)
		return nil
	}
	// Every request costs a signature to check, and a good one a write.
	if wait, ok := s.logouts.take(sender{network(s.clientIP(r)), p.row.ID}); !ok {
		return s.tooMany(wait)
	}
	if err := p.known(); err != nil {
		return s.logoutRefused(r, p, err)
	}
	out, err := p.ReadLogout(binding, r.URL.RawQuery, form, s.now())
	if err != nil {
		return s.logoutRefused(r, p, err)
	}
	ended, err := s.heed(r, p, out)
	if errors.Is(err, session.ErrUsed) {
		return s.logoutRefused(r, p, err)
	}
	if err != nil {
		return unavailable(err)
	}
	s.count("saml_logout")
	s.log.InfoContext(r.Context(), "logout by the identity provider", "request_id", endpoint.RequestID(r.Context()),
		"connection_id", p.row.ID, "sessions", ended)
	m, ok, err := p.AnswerLogout(out, form.Get("RelayState"), true, s.now())
	if err != nil {
		return err
	}
	if !ok {
		http.Redirect(w, r, pathSignedOut, http.StatusSeeOther)
		return nil
	}
	return s.carry(w, r, m, p.org, p.row.Name)
}

// heed ends the sessions that a logout names, and returns how many that were.
func (s *Server) heed(r *http.Request, p samlParty, out saml.Logout) (ended int, err error) {
	sids := out.SessionIndexes
	if len(sids) == 0 {
		sids = []string{""} // all of the person's
	}
	err = s.store.Update(r.Context(), func(tx store.Tx) error {
		ended = 0
		now := s.now()
		if err := tx.Use(samlLogoutUse, string(p.row.ID)+" "+nameOf(out.ID), out.ExpiresAt); err != nil {
			return err
		}
		by := audit.Actor{Type: "system", ID: string(p.row.ID), Name: "SAML single logout"}
		for _, sid := range sids {
			n, err := session.EndUpstream(tx, p.row.ID, out.Subject, sid, by, now)
			if err != nil {
				return err
			}
			ended += n
		}
		return nil
	})
	return ended, err
}

// logoutRefused is the page for a LogoutRequest that is none, and its line in the log.
func (s *Server) logoutRefused(r *http.Request, p samlParty, cause error) error {
	e := &endpoint.Error{
		Status: http.StatusBadRequest, Code: "logout_refused", Title: text.T("Signing out did not work"), Organization: p.org.Name,
		Text:      text.T("What your identity provider sent could not be accepted."),
		Hint:      text.T("You can sign out here by yourself."),
		ActionURL: s.url(pathSignOut), ActionText: text.T("Sign out"), Err: cause,
	}
	check, hint := e.Code, "the request came before"
	if x, ok := errors.AsType[*idp.Error](cause); ok {
		check, hint = string(x.Code), x.Hint
	}
	s.count("saml_logout_refused")
	s.log.WarnContext(r.Context(), "logout by the identity provider refused", "request_id", endpoint.RequestID(r.Context()),
		"organization_id", p.row.Organization, "connection_id", p.row.ID, "check", check, "hint", hint, "cause", cause.Error())
	return e
}
