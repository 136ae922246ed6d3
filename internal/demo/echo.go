package demo

import (
	"bytes"
	"embed"
	"encoding/base64"
	"encoding/json"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

//go:embed echo.html echo.css mailbox.html
var files embed.FS

var echoPage = template.Must(template.ParseFS(files, "echo.html"))

// An echoed is one header as the app got it, and what it is for.
type echoed struct{ Name, Value, Meaning string }

var meanings = []struct{ name, meaning string }{
	{"X-Org-Name", "the organization, for people"},
	{"X-Org-Slug", "its host label"},
	{"X-Org-Id", "what your app keys its rows by"},
	{"X-Org-Role", "the person's highest role there"},
	{"X-Org-Roles", "all of the person's roles there"},
	{"X-Org-Permissions", "what those roles allow"},
	{"X-Org-Membership-Id", "this person in this organization"},
	{"X-User-Name", "the person; percent-encoded UTF-8"},
	{"X-User-Email", "the address that was proved"},
	{"X-User-Id", "the same person in every organization"},
	{"X-Auth-Method", "how the person proved it"},
	{"X-Auth-Connection", "by which identity provider"},
	{"X-Auth-Time", "and when"},
}

// Echo returns the app of the demo: it has no authentication code at all, and shows
// what orgate told it. /admin/ is for admins by a route rule, /public for everyone,
// /headers answers with the request's headers as JSON.
func Echo() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /echo.css", func(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, files, "echo.css") })
	mux.HandleFunc("GET /headers", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(r.Header) // the client has gone, if this fails
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		var page bytes.Buffer
		if err := echoPage.Execute(&page, echoData(r)); err != nil {
			http.Error(w, "the demo app can't show its page", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = page.WriteTo(w)
	})
	return mux
}

type echoView struct {
	Organization, Person, Path string
	SignedIn                   bool
	Headers                    []echoed
	Claims                     string
}

func echoData(r *http.Request) echoView {
	v := echoView{Organization: text(r.Header.Get("X-Org-Name")), Path: r.URL.Path, SignedIn: r.Header.Get("X-User-Id") != ""}
	if v.Person = text(r.Header.Get("X-User-Name")); v.Person == "" {
		v.Person = r.Header.Get("X-User-Email")
	}
	for _, m := range meanings {
		if value := r.Header.Get(m.name); value != "" {
			v.Headers = append(v.Headers, echoed{m.name, value, m.meaning})
		}
	}
	if parts := strings.Split(r.Header.Get("X-Orgate-Jwt-Assertion"), "."); len(parts) == 3 {
		// Shown, not trusted: an app verifies the signature first (docs/headers.md).
		if payload, err := base64.RawURLEncoding.DecodeString(parts[1]); err == nil {
			var indented bytes.Buffer
			if json.Indent(&indented, payload, "", "  ") == nil {
				v.Claims = indented.String()
			}
		}
	}
	var others []echoed
	for name, values := range r.Header {
		known := slices.ContainsFunc(v.Headers, func(h echoed) bool { return h.Name == name })
		if strings.HasPrefix(name, "X-") && !known && name != "X-Orgate-Jwt-Assertion" {
			others = append(others, echoed{name, strings.Join(values, ", "), ""})
		}
	}
	slices.SortFunc(others, func(a, b echoed) int { return strings.Compare(a.Name, b.Name) })
	v.Headers = append(v.Headers, others...)
	return v
}

// text undoes the percent-encoding of names; what is not encoded stays as it is.
func text(s string) string {
	if t, err := url.PathUnescape(s); err == nil {
		return t
	}
	return s
}
