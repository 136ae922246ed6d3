package sso

import (
	"errors"
	"net/http"

	"github.com/orgate/orgate/internal/endpoint"
	"github.com/orgate/orgate/internal/page"
	"github.com/orgate/orgate/internal/text"
	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/store"
)

// resetLink is GET and POST /password-reset/{token}: what the link leads to that an app had made by the API. It shows, and uses
// nothing up: programs that read mail open links. The click goes where the code leads that is asked for on the
// sign-in pages, and the password is set there, if the policies accept one.
func (s *Server) resetLink(w http.ResponseWriter, r *http.Request) error {
	var reset factor.Reset
	err := s.store.View(r.Context(), func(tx store.Tx) (err error) {
		reset, err = factor.FindReset(tx, r.PathValue("token"), s.now())
		return err
	})
	if errors.Is(err, factor.ErrNone) || errors.Is(err, factor.ErrSpent) {
		s.count("reset_over")
		return &endpoint.Error{
			Status: http.StatusGone, Code: "reset_over", Title: text.T("This link is no longer good"),
			Text: text.T("It was used, is too old, or is not whole."), Hint: text.T("Sign in, or ask for a new password there."),
			ActionURL: s.url(pathSignIn), ActionText: text.T("Sign in"), Err: err,
		}
	}
	if err != nil {
		return unavailable(err)
	}
	if r.Method != http.MethodPost {
		return page.Continue{
			Title: text.T("Set a new password"), Text: text.T("You can set a new password for %s.", reset.Email),
			Action: s.url(pathResetLink + "/" + r.PathValue("token")), Button: text.T("Continue"),
		}.Render(w, r, http.StatusOK)
	}
	d, err := s.ensureDevice(w, r)
	if err != nil {
		return err
	}
	return s.goTo(w, r, d, pathPasswordNew, aim{}, step{Email: reset.Email, Reset: reset.ID, Sent: reset.CreatedAt})
}
