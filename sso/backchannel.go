package sso

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"mime"
	"net/http"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/endpoint"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/sso/idp"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

const (
	maxLogoutBody = 64 << 10
	logoutUse     = "oidc logout token"
)

// backchannelLogout is POST /sso/oidc/backchannel-logout/{organization}/{connection}, by
// which a provider tells us that a session there has ended (OpenID Connect Back-Channel
// Logout 1.0). The connection is the address's, never one that the token names; anybody
// can post here, so that what is not there answers as what is wrong.
func (s *Server) backchannelLogout(w http.ResponseWriter, r *http.Request) error {
	ended, err := s.logout(w, r)
	if err != nil {
		if e, ok := errors.AsType[*idp.Error](err); ok && (e.Code == idp.CodeUnreachable || e.Code == idp.CodeSlow || e.Code == idp.CodeUnavailable) {
			return s.answerLogout(w, r, http.StatusServiceUnavailable, string(e.Code), err)
		} else if ok {
			return s.answerLogout(w, r, http.StatusBadRequest, string(e.Code), err)
		}
		if errors.Is(err, session.ErrUsed) || errors.Is(err, errBadLogout) {
			return s.answerLogout(w, r, http.StatusBadRequest, "invalid_request", err)
		}
		return unavailable(err)
	}
	s.count("backchannel_logout")
	s.log.InfoContext(r.Context(), "back-channel logout", "request_id", endpoint.RequestID(r.Context()),
		"connection_id", r.PathValue("connection"), "sessions", ended)
	w.WriteHeader(http.StatusOK)
	return nil
}

// errBadLogout: a logout request that is none, or for a connection that is not there.
var errBadLogout = errors.New("not a logout request for a connection of ours")

// logout ends what a logout token says has ended, and returns how many sessions that were.
func (s *Server) logout(w http.ResponseWriter, r *http.Request) (ended int, err error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/x-www-form-urlencoded" {
		return 0, errBadLogout
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxLogoutBody)
	if err := r.ParseForm(); err != nil {
		return 0, errBadLogout
	}
	raw := r.PostForm["logout_token"]
	if len(raw) != 1 {
		return 0, errBadLogout
	}
	var conn *tenancy.Connection
	err = s.store.View(r.Context(), func(tx store.Tx) (err error) {
		conn, err = addressed(tx, clip(r.PathValue("organization"), 64), clip(r.PathValue("connection"), 64))
		return err
	})
	if err != nil {
		return 0, err
	}
	if conn == nil || conn.OIDC == nil {
		return 0, errBadLogout
	}
	// Every token costs a signature to check, and a good one a write.
	if wait, ok := s.logouts.take(sender{network(s.clientIP(r)), conn.ID}); !ok {
		return 0, s.tooMany(wait)
	}
	client, err := s.client(*conn)
	if err != nil {
		return 0, err
	}
	out, err := s.oidc.VerifyLogout(r.Context(), client, raw[0], s.now())
	if err != nil {
		return 0, err
	}
	sum := sha256.Sum256([]byte(out.JTI))
	err = s.store.Update(r.Context(), func(tx store.Tx) (err error) {
		if err := tx.Use(logoutUse, string(conn.ID)+" "+hex.EncodeToString(sum[:]), out.ExpiresAt); err != nil {
			return err
		}
		by := audit.Actor{Type: "system", ID: string(conn.ID), Name: "back-channel logout"}
		ended, err = session.EndUpstream(tx, conn.ID, out.Subject, out.SID, by, s.now())
		return err
	})
	return ended, err
}

// addressed returns the usable connection that an address names: by the organization's slug
// and the connection's name, as operators know them, or by the ids of both. nil: none.
func addressed(tx store.Tx, org, conn string) (*tenancy.Connection, error) {
	id := tenancy.OrgID(org)
	if o, err := tx.OrganizationBySlug(tenancy.Slug(org)); err == nil {
		id = o.ID
	} else if !errors.Is(err, tenancy.ErrNotFound) {
		return nil, err
	}
	for c, err := range tx.Connections(id) {
		if err != nil {
			return nil, err
		}
		if c.Name == conn {
			return connection(tx, id, c.ID)
		}
	}
	return connection(tx, id, tenancy.ConnectionID(conn))
}

// answerLogout refuses in the form that the specification asks for (2.8).
func (s *Server) answerLogout(w http.ResponseWriter, r *http.Request, status int, code string, cause error) error {
	s.count("backchannel_logout_refused")
	s.log.WarnContext(r.Context(), "back-channel logout refused", "request_id", endpoint.RequestID(r.Context()),
		"connection_id", clip(r.PathValue("connection"), 64), "check", code, "cause", cause.Error())
	body, err := json.Marshal(map[string]string{"error": "invalid_request", "error_description": code})
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(body) //nolint:errcheck // the provider is gone, and there is nobody to tell
	return nil
}
