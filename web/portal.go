package web

import (
	"errors"
	"net/http"

	"github.com/orgate/orgate/internal/endpoint"
	"github.com/orgate/orgate/internal/page"
	"github.com/orgate/orgate/internal/text"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// portal is GET /portal/{token}: what a link to the admin portal leads to. Whoever has the link sees for which organization and what it
// is, and can change nothing. A link that is over and one that never was are one page.
func (s *Server) portal(w http.ResponseWriter, r *http.Request) error {
	var l tenancy.PortalLink
	var o tenancy.Organization
	token, ok := tenancy.ParsePortalToken(r.PathValue("token"))
	err := tenancy.ErrNotFound
	if ok {
		err = s.store.View(r.Context(), func(tx store.Tx) (err error) {
			l, o, err = tenancy.OpenPortalLink(tx, token, s.now())
			return err
		})
	}
	if errors.Is(err, tenancy.ErrNotFound) {
		return &endpoint.Error{
			Status: http.StatusGone, Code: "portal_link_over", Title: text.T("This link is not open any more"),
			Text: text.T("A link to the set-up works for five minutes."), Hint: text.T("Go back to the app and open the set-up there once more."), Err: err,
		}
	}
	if err != nil {
		return err
	}
	return page.Portal{Brand: s.brand(o), Organization: o.Name, Intent: string(l.Intent), Until: text.Moment(l.ExpiresAt), Back: l.ReturnURL}.Render(w, r, http.StatusOK)
}
