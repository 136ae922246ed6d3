package api

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/orgate/orgate/internal/accesstoken"
	"github.com/orgate/orgate/internal/endpoint"
	"github.com/orgate/orgate/session/client"
	"github.com/orgate/orgate/store"
)

// What a browser is sent to, and what needs no API key in the header. On this listener the former leads on to the
// login host, where people sign in: an SDK makes the addresses, and knows this one.

// open are the operations that need no API key.
func (a *API) open() []operation {
	return []operation{
		{"GET /user_management/authorize", a.toLoginHost(false)},
		{"GET /sso/authorize", a.toLoginHost(true)},
		{"POST /user_management/authenticate", a.authenticate},
		{"GET /user_management/sessions/logout", a.signOut},
		{"GET /sso/jwks/{clientId}", a.keySet},
		{"POST /sso/token", a.profileToken},
		{"GET /sso/profile", a.profile},
	}
}

// openHandler makes a handler of an operation that is for whoever reaches the listener.
func (a *API) openHandler(do func(*call) error) endpoint.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if a.Admit != nil {
			let, err := a.Admit(r)
			if err != nil {
				return err
			}
			r = let
		}
		return asAnswer(do(&call{api: a, ctx: r.Context(), w: w, r: r, now: a.Now().UTC()}))
	}
}

// Issuer is that of the access tokens of a client. public is the URL of the login host.
func Issuer(public *url.URL, client string) string {
	return (&url.URL{Scheme: public.Scheme, Host: public.Host, Path: "/user_management/" + client}).String()
}

// toLoginHost sends the browser on, with what it was sent with, if it names a client and an address of that client's:
// all else is judged there, and told the client from there.
func (a *API) toLoginHost(profile bool) func(*call) error {
	return func(c *call) error {
		q, err := readQuery(c.r)
		if err != nil {
			return err
		}
		if _, err := client.ReadAuthorization(a.Clients(), q, profile, c.now); errors.Is(err, client.ErrStranger) {
			return strangerError(err)
		}
		public := a.PublicURL()
		return c.redirect((&url.URL{Scheme: public.Scheme, Host: public.Host, Path: c.r.URL.Path, RawQuery: q.Encode()}).String())
	}
}

func strangerError(err error) error {
	return &Error{Status: http.StatusBadRequest, Code: "invalid_redirect_uri", Message: "There is no such client_id, or redirect_uri is not one of that client's. The configuration has them under clients.", Err: err}
}

func readQuery(r *http.Request) (url.Values, error) {
	if len(r.URL.RawQuery) > maxQuery {
		return nil, invalid(Fault{"invalid", "", "the query is too long"})
	}
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, invalid(Fault{"invalid", "", "the query is not well-formed"})
	}
	return q, nil
}

func (c *call) redirect(to string) error {
	http.Redirect(c.w, c.r, to, http.StatusFound)
	return nil
}

// signOut sends the browser to the login host, where the person is asked: a link alone signs nobody out.
func (a *API) signOut(c *call) error {
	q := c.query()
	id, ok := q.text("session_id")
	if !ok {
		q.fault("required", "session_id", "session_id is required")
	}
	to, _ := q.text("return_to")
	if err := q.done(); err != nil {
		return err
	}
	public := a.PublicURL()
	values := url.Values{"session_id": {id}}
	if to != "" {
		values.Set("return_to", to)
	}
	return c.redirect((&url.URL{Scheme: public.Scheme, Host: public.Host, Path: c.r.URL.Path, RawQuery: values.Encode()}).String())
}

// keySet publishes the keys by which the access tokens of a client are verified.
func (a *API) keySet(c *call) error {
	if err := c.noQuery(); err != nil {
		return err
	}
	id := c.r.PathValue("clientId")
	if _, ok := a.Clients().Find(id); !ok {
		return notFound("Client", id)
	}
	var set accesstoken.KeySet
	err := c.view(func(tx store.Tx) (err error) {
		set, err = accesstoken.Keys(tx)
		return err
	})
	if err != nil {
		return err
	}
	h := c.w.Header()
	h.Set("Cache-Control", "public, max-age=60")
	return c.answer(http.StatusOK, set)
}
