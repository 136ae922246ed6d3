package web

import (
	"mime"
	"net/http"
	"net/url"

	"github.com/orgate/orgate/internal/endpoint"
	"github.com/orgate/orgate/internal/text"
)

// readForm reads a small form that has each of the fields exactly once.
func readForm(w http.ResponseWriter, r *http.Request, fields ...string) (url.Values, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, &endpoint.Error{Status: http.StatusUnsupportedMediaType, Code: "unsupported_media_type", Title: text.T("This form can't be read"), Text: text.T("It was not sent by one of our pages.")}
	}
	r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
	err := r.ParseForm()
	broken := err != nil
	for _, f := range fields {
		broken = broken || len(r.PostForm[f]) != 1
	}
	if broken {
		return nil, &endpoint.Error{Status: http.StatusBadRequest, Code: "bad_request", Title: text.T("This form can't be read"), Text: text.T("It was not sent by one of our pages."), Err: err}
	}
	return r.PostForm, nil
}
