package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strconv"

	"github.com/orgate/orgate/internal/endpoint"
	"github.com/orgate/orgate/internal/text"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// An Error is what a program is told. Message is for the people who write it.
type Error struct {
	Status  int
	Code    string
	Message string
	Faults  []Fault // one for each field that is wrong
	// Paths are, in place of Faults, where an entry of an audit log is wrong, as JSON pointers.
	Paths  []string
	Header http.Header
	// OAuth: it is told as token endpoints tell errors (RFC 6749, 5.2) too, in error and error_description. Extra
	// is what is told besides.
	OAuth bool
	Extra map[string]any
	Err   error // for the log
}

// A Fault says what is wrong with one field of a request.
type Fault struct {
	Code    string `json:"code"`
	Field   string `json:"field,omitzero"` // its path, such as domain_data[0].state
	Message string `json:"message"`
}

// Error implements error, for logs.
func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s: %v", e.Code, e.Err)
	}
	return e.Code
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

func unauthorized(cause error) error {
	return &Error{Status: http.StatusUnauthorized, Code: "unauthorized", Message: "Unauthorized", Err: cause}
}

func notFound(what, id string) error {
	return &Error{Status: http.StatusNotFound, Code: "entity_not_found", Message: fmt.Sprintf("%s not found: '%s'.", what, clip(id))}
}

func conflict(code, message string) error {
	return &Error{Status: http.StatusConflict, Code: code, Message: message}
}

func badRequest(code, message string) error {
	return &Error{Status: http.StatusBadRequest, Code: code, Message: message}
}

// invalid says which fields of a request are wrong.
func invalid(faults ...Fault) error {
	return &Error{Status: http.StatusUnprocessableEntity, Code: "invalid_request_parameters", Message: "Validation failed", Faults: faults}
}

func clip(s string) string {
	const most = 80
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

// asAnswer makes of an error one that the adapter of package endpoint answers with.
func asAnswer(err error) error {
	if err == nil {
		return nil
	}
	e, ok := errors.AsType[*Error](err)
	if !ok {
		if e = general(err); e == nil {
			return err
		}
	}
	return &endpoint.Error{Status: e.Status, Code: e.Code, Header: e.Header, Err: e}
}

// general says what the errors of the packages below mean where the operation did not.
func general(err error) *Error {
	if m, ok := errors.AsType[*tenancy.ManagedError](err); ok {
		return &Error{
			Status: http.StatusConflict, Code: "managed_by_config", Err: err,
			Message: fmt.Sprintf("The configuration owns the %s of this organization, at %s:%d. Change it there.", m.Section, m.File, m.Line),
		}
	}
	switch {
	case errors.Is(err, tenancy.ErrNotFound):
		return &Error{Status: http.StatusNotFound, Code: "entity_not_found", Message: "Not found.", Err: err}
	case errors.Is(err, tenancy.ErrExternalIDTaken):
		return &Error{Status: http.StatusBadRequest, Code: "external_id_already_used", Message: "The external_id is used by another.", Err: err}
	case errors.Is(err, tenancy.ErrExternalID):
		return &Error{Status: http.StatusUnprocessableEntity, Code: "invalid_request_parameters", Message: "Validation failed", Err: err,
			Faults: []Fault{{"invalid", "external_id", "external_id must be up to 128 ASCII characters"}}}
	case errors.Is(err, tenancy.ErrMetadata):
		return &Error{Status: http.StatusBadRequest, Code: "invalid_metadata", Message: "Metadata has up to 50 keys of up to 40 characters, with values of up to 600 characters.", Err: err}
	case errors.Is(err, tenancy.ErrSingleWorkspace):
		return &Error{Status: http.StatusConflict, Code: "single_workspace", Message: "The user is a member of another organization, and this installation allows one.", Err: err}
	case errors.Is(err, store.ErrUnavailable), errors.Is(err, store.ErrClosed):
		return &Error{Status: http.StatusServiceUnavailable, Code: "unavailable", Message: "The store does not answer. Try again.", Err: err}
	}
	return nil
}

// renderer writes errors in the shape of the reference.
type renderer struct{}

// RenderError implements [endpoint.Renderer].
func (renderer) RenderError(w http.ResponseWriter, _ *http.Request, e *endpoint.Error, id string) {
	answer := map[string]any{"code": e.Code, "message": text.Or(e.Text, e.Title).String(), "request_id": id}
	if own, ok := errors.AsType[*Error](e.Err); ok {
		answer["message"] = own.Message
		if len(own.Paths) > 0 {
			at := []map[string]string{}
			for _, p := range own.Paths {
				at = append(at, map[string]string{"instancePath": p})
			}
			answer["errors"] = at
		}
		if own.OAuth {
			answer["error"], answer["error_description"] = own.Code, own.Message
		}
		if len(own.Faults) > 0 {
			answer["errors"] = own.Faults
		}
		maps.Copy(answer, own.Extra)
	}
	if e.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	write(w, e.Status, answer)
}

func write(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // our own objects always marshal
	}
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(status)
	w.Write(b) //nolint:errcheck // the client is gone, and there is nobody to tell
}

// answer writes an object.
func (c *call) answer(status int, v any) error {
	write(c.w, status, v)
	return nil
}

// nothing answers without a body.
func (c *call) nothing(status int) error {
	c.w.WriteHeader(status)
	return nil
}
