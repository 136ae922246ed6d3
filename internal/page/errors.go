package page

import (
	"encoding/json"
	"html/template"
	"net/http"
	"strconv"
	"strings"

	"github.com/orgate/orgate/internal/endpoint"
	"github.com/orgate/orgate/internal/text"
)

// Errors renders errors: as a page for whoever asks for HTML, as JSON
// ({"code", "message", "hint", "request_id", "sign_in_url"?}) for everybody else.
type Errors struct{}

// RenderError implements [endpoint.Renderer]. Headers that are set already stay, save
// for those that describe the body and those that protect it.
func (Errors) RenderError(w http.ResponseWriter, r *http.Request, e *endpoint.Error, id string) {
	w.Header().Add("Vary", "Accept")
	if !WantsHTML(r) {
		writeJSON(w, e, id)
		return
	}
	writePage(w, r, failure, e, id)
}

// failurePage is what the error page shows.
type failurePage struct {
	Brand             Brand
	Status            int
	Icon, Tone        string
	Title, Text, Hint text.Message
	ActionURL         string
	ActionText        text.Message
	ID                string
}

// writePage shows e with v, or without a template if that fails.
func writePage(w http.ResponseWriter, r *http.Request, v view[failurePage], e *endpoint.Error, id string) {
	p := failurePage{
		Brand: Brand{Organization: e.Organization}, Status: status(e), Title: e.Title, Text: e.Text, Hint: e.Hint, ID: id,
	}
	p.Title = text.Or(p.Title, text.T("Something went wrong"))
	p.Icon, p.Tone = appearance(p.Status)
	// An error must be shown even if its link can't be.
	if _, err := href(e.ActionURL); err == nil {
		p.ActionURL, p.ActionText = e.ActionURL, text.Or(e.ActionText, text.T("Continue"))
	}
	if err := v.render(w, r, p.Status, p, needs{brand: p.Brand}); err != nil {
		l := locale(r)
		last := strings.NewReplacer("{lang}", string(l), "{title}", template.HTMLEscapeString(p.Title.In(l)), "{id}", template.HTMLEscapeString(id),
			"{text}", string(text.T("This page could not be shown as it should be. Try again in a moment.").HTML(l)),
			"{reference}", string(text.T("Reference:").HTML(l)))
		send(w, p.Status, "default-src 'none'; frame-ancestors 'none'", withoutDirections([]byte(last.Replace(lastResort))))
	}
}

// lastResort is the error page that needs no template and no stylesheet.
const lastResort = `<!doctype html>
<html lang="{lang}">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title></head>
<body><main><h1>{title}</h1><p>{text}</p><p>{reference} {id}</p></main></body>
</html>
`

// appearance says how grave an error looks: shut doors and wrong addresses are nobody's
// fault and keep a calm colour, waiting is amber, and only what broke is red.
func appearance(status int) (icon, tone string) {
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return "lock.svg", "calm"
	case status == http.StatusNotFound, status == http.StatusGone, status == http.StatusMethodNotAllowed:
		return "lost.svg", "calm"
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable, status == http.StatusGatewayTimeout, status == http.StatusRequestTimeout:
		return "wait.svg", "wait"
	case status >= 500:
		return "alert.svg", "fault"
	}
	return "alert.svg", "wait"
}

// status is that of e, or 500 if e forgot to say or says something that is no error.
func status(e *endpoint.Error) int {
	if e.Status < 400 || e.Status > 599 {
		return http.StatusInternalServerError
	}
	return e.Status
}

func writeJSON(w http.ResponseWriter, e *endpoint.Error, id string) {
	answer := struct {
		Code      string `json:"code"`
		Message   string `json:"message"`
		Hint      string `json:"hint,omitzero"`
		RequestID string `json:"request_id"`
		SignInURL string `json:"sign_in_url,omitzero"`
	}{Code: e.Code, Message: text.Or(e.Text, e.Title).String(), Hint: e.Hint.String(), RequestID: id}
	if e.Status == http.StatusUnauthorized {
		answer.SignInURL = e.ActionURL
	}
	body, err := json.Marshal(answer)
	if err != nil {
		panic(err) // strings always marshal
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	protect(h)
	w.WriteHeader(status(e))
	w.Write(body) //nolint:errcheck // the client is gone, and there is nobody to tell
}
