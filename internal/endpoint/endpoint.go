// Package endpoint is how every page and API of orgate's own is served: routes that
// say who may call them, handlers that return errors, and one place that turns an
// error into an answer and a log line which share an id.
//
// It owns request ids, the security headers of our own answers, and same-origin
// proof on every POST. It does not own what an answer looks like (a [Renderer]
// does), sessions (a [Guard] does), or anything on the way to the app.
package endpoint

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"sync"

	"github.com/orgate/orgate/internal/text"
)

// Access says who may call a route. The zero Access is no one, so a route that
// forgets to say is refused at start.
type Access uint8

// The accesses. All but NoOne and Public need a guard.
const (
	NoOne     Access = iota
	Public           // anyone at all
	SignedIn         // a person with a live session on this host
	Confirmed        // the same, who has proved a moment ago all that is asked of them
	Operator         // whoever reaches the management listener
	APIKey           // a management API key
	Link             // whoever has a link to it that orgate made, and that is still good
)

// String returns the name that the golden route table shows.
func (a Access) String() string {
	return [...]string{"no one", "public", "signed in", "confirmed", "operator", "api key", "link"}[a]
}

// Side is the host or listener that a route is on.
type Side uint8

// The sides.
const (
	Tenant     Side = 1 + iota // under /.orgate/ on every tenant host
	Login                      // the login host
	Management                 // the management listener
)

// String returns the name that the golden route table shows.
func (s Side) String() string { return [...]string{"", "tenant", "login", "management"}[s] }

// A Route is one path of ours.
type Route struct {
	Side    Side
	Pattern string // as http.ServeMux reads it, with a method: "GET /sign-in"
	Access  Access
	// CrossSite lets a POST come from another site. For protocol endpoints only,
	// which rest on a signature or on state instead of on the browser's word.
	CrossSite bool
	Handle    Handler
}

// A Handler serves a request or returns an error, having written nothing. An
// [*Error] is shown; any other error is a 500 whose text stays in the log.
type Handler func(w http.ResponseWriter, r *http.Request) error

// A Guard lets a request through, with what it learnt of the caller in the
// request's context, or returns the error to answer with.
type Guard func(r *http.Request) (*http.Request, error)

// An Error is a failure that the caller is told about. Title, Text and Hint are
// shown to people; Err is logged and never shown.
type Error struct {
	Status int
	Code   string       // for programs: "unknown_host"; also the metric label
	Title  text.Message // a heading
	Text   text.Message // what is wrong
	Hint   text.Message // what to do now
	// Organization is the name of the organization that the page speaks for; may be empty.
	Organization string
	// Action is a link that the page offers, such as signing in again; may be empty.
	ActionURL  string
	ActionText text.Message
	Header     http.Header // more headers, such as Retry-After
	Err        error
}

// Error implements error, for logs.
func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%d %s: %v", e.Status, e.Code, e.Err)
	}
	return fmt.Sprintf("%d %s: %s", e.Status, e.Code, e.Text)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// AsError returns err as an [*Error]; what is not one becomes a 500 that says
// nothing of the cause.
func AsError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{
		Status: http.StatusInternalServerError, Code: "internal_error", Title: text.T("Something went wrong on our side"),
		Text: text.T("Your request could not be finished."), Hint: text.T("Try again. If it goes on, tell the people who run this service the id below."), Err: err,
	}
}

// A Renderer writes an error as an answer. id is also in the log.
type Renderer interface {
	RenderError(w http.ResponseWriter, r *http.Request, e *Error, id string)
}

// Options are what a mux is made with. All are required but Guards.
type Options struct {
	Guards   map[Access]Guard
	Renderer Renderer
	Logger   *slog.Logger
}

// New returns a handler for routes, or an error that names every route which can't
// be served: one without Access or handler, or with an Access that has no guard.
func New(routes []Route, o Options) (http.Handler, error) {
	var faults []error
	mux := http.NewServeMux()
	csrf := http.NewCrossOriginProtection()
	for _, rt := range routes {
		guard := o.Guards[rt.Access]
		switch {
		case rt.Access == NoOne:
			faults = append(faults, fmt.Errorf("route %q does not say who may call it", rt.Pattern))
			continue
		case rt.Access != Public && guard == nil:
			faults = append(faults, fmt.Errorf("route %q is for %v, and there is no guard for that", rt.Pattern, rt.Access))
			continue
		case rt.Handle == nil || rt.Side == 0 || !strings.Contains(rt.Pattern, " "):
			faults = append(faults, fmt.Errorf("route %q has no handler, side or method", rt.Pattern))
			continue
		}
		mux.HandleFunc(rt.Pattern, func(w http.ResponseWriter, r *http.Request) {
			secure(w.Header())
			err := func() error {
				if !rt.CrossSite {
					if err := csrf.Check(r); err != nil {
						return &Error{Status: http.StatusForbidden, Code: "cross_origin", Title: text.T("This request came from another site"),
							Text: text.T("For your safety it was not carried out."), Hint: text.T("Go back, reload the page and try again."), Err: err}
					}
				}
				if guard != nil && rt.Access != Public {
					let, err := guard(r)
					if err != nil {
						return err
					}
					r = let
				}
				return rt.Handle(w, r)
			}()
			if err != nil {
				Fail(w, r, err, o)
			}
		})
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, pattern := mux.Handler(r); pattern == "" {
			secure(w.Header())
			// ServeMux answers 405 with Allow by itself; anything else unknown is ours to say.
			probe := &statusProbe{header: http.Header{}}
			mux.ServeHTTP(probe, r)
			if probe.status == http.StatusMethodNotAllowed {
				Fail(w, r, &Error{Status: http.StatusMethodNotAllowed, Code: "method_not_allowed", Title: text.T("This address does not work that way"),
					Text: text.T("The page is there, but not for a %s request.", r.Method), Header: http.Header{"Allow": probe.header["Allow"]}}, o)
				return
			}
			Fail(w, r, &Error{Status: http.StatusNotFound, Code: "not_found", Title: text.T("There is no such page"), Text: text.T("The address may be mistyped, or the link too old.")}, o)
			return
		}
		mux.ServeHTTP(w, r)
	}), nil
}

// Fail logs err once and answers with it.
func Fail(w http.ResponseWriter, r *http.Request, err error, o Options) {
	e, id := AsError(err), RequestID(r.Context())
	level := slog.LevelInfo
	switch {
	case r.Context().Err() != nil:
		level = slog.LevelDebug
	case e.Status >= 500:
		level = slog.LevelError
	}
	attrs := []slog.Attr{slog.String("request_id", id), slog.String("code", e.Code), slog.Int("status", e.Status), slog.String("route", cmp.Or(r.Pattern, "none"))}
	if e.Err != nil {
		attrs = append(attrs, slog.String("cause", e.Err.Error()))
	}
	o.Logger.LogAttrs(r.Context(), level, "refused", attrs...)
	maps.Copy(w.Header(), e.Header)
	o.Renderer.RenderError(w, r, e, id)
}

// secure sets the headers that every answer of ours has.
func secure(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
}

// RequestIDKey is what a request's context has its id under, a string.
type RequestIDKey struct{}

// WithRequestID gives the request's context an id: a fresh one, never the client's.
func WithRequestID(ctx context.Context) context.Context {
	return context.WithValue(ctx, RequestIDKey{}, NewRequestID())
}

// A draw is the randomness of many ids, as to ask for that of one costs nearly as much.
type draw struct {
	random [64 * idLength]byte
	left   int
}

// idLength is that of an id: with 5 bits a character, 130 bits.
const idLength = 26

var draws = sync.Pool{New: func() any { return &draw{} }}

// NewRequestID returns a fresh id for a request, as [rand.Text] would.
func NewRequestID() string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	d := draws.Get().(*draw)
	defer draws.Put(d)
	if d.left == 0 {
		rand.Read(d.random[:]) // it can't fail
		d.left = len(d.random)
	}
	id := d.random[d.left-idLength : d.left]
	d.left -= idLength
	for i := range id {
		id[i] = alphabet[id[i]%32]
	}
	return string(id)
}

// RequestID returns the id of the request, or "" outside of one.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(RequestIDKey{}).(string)
	return id
}

// statusProbe learns which status ServeMux would answer with.
type statusProbe struct {
	header http.Header
	status int
}

func (p *statusProbe) Header() http.Header         { return p.header }
func (p *statusProbe) WriteHeader(s int)           { p.status = s }
func (p *statusProbe) Write(b []byte) (int, error) { return len(b), nil }
