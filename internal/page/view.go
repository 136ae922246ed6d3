package page

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

//go:embed templates
var templates embed.FS

// One view for each page. They are parsed once; a broken one stops the program before
// it serves anything.
var (
	signIn        = parse[SignIn]("sign_in.html")
	choose        = parse[Choose]("choose.html")
	organizations = parse[Organizations]("organizations.html")
	account       = parse[Account]("account.html")
	signedOut     = parse[SignedOut]("signed_out.html")
	signOut       = parse[SignOut]("sign_out.html")
	proceed       = parse[Continue]("continue.html")
	leaving       = parse[Leaving]("leaving.html")
	notice        = parse[Notice]("notice.html")
	failure       = parse[failurePage]("error.html")
)

// A view is one template and the type of the data it shows.
type view[T any] struct{ t *template.Template }

func parse[T any](name string) view[T] {
	t := template.New(name).Option("missingkey=error").Funcs(template.FuncMap{
		"asset":    asset,
		"href":     href,
		"monogram": monogram,
		"hue":      hue,
	})
	return view[T]{template.Must(t.ParseFS(templates, "templates/base.html", "templates/"+name))}
}

// render writes the page. Nothing is written if the template fails.
func (v view[T]) render(w http.ResponseWriter, status int, data T, formAction ...string) error {
	policy, err := contentPolicy(formAction)
	if err != nil {
		return fmt.Errorf("page %s: %w", v.t.Name(), err)
	}
	var buf bytes.Buffer
	if err := v.t.ExecuteTemplate(&buf, "base.html", data); err != nil {
		return fmt.Errorf("page %s: %w", v.t.Name(), err)
	}
	send(w, status, policy, withoutDirections(buf.Bytes()))
	return nil
}

// send writes a finished page. A page is safe whoever asked for it: the headers are set
// here as well as by the routes of ours, because the proxy shows errors outside of those.
func send(w http.ResponseWriter, status int, policy string, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Content-Security-Policy", policy)
	protect(h)
	if bytes.Contains(body, []byte("<form")) {
		// Under no-referrer a browser posts a form with "Origin: null". One that sends no
		// Sec-Fetch-Site beside it, as over plain HTTP, could then not be told from
		// another site's. Other sites learn no more by this than by no-referrer.
		h.Set("Referrer-Policy", "same-origin")
	}
	w.WriteHeader(status)
	w.Write(body) //nolint:errcheck // the client is gone, and there is nobody to tell
}

// protect keeps an answer of ours out of caches, frames, sniffing and referrers.
func protect(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
}

// contentPolicy returns the policy of a page whose forms may lead to our own host and
// to those of allowed.
func contentPolicy(allowed []string) (string, error) {
	sources := []string{"'self'"}
	for _, a := range allowed {
		o, err := origin(a)
		if a == "https:" {
			o, err = a, nil
		}
		if err != nil {
			return "", fmt.Errorf("form action: %w", err)
		}
		if !slices.Contains(sources, o) {
			sources = append(sources, o)
		}
	}
	return "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action " + strings.Join(sources, " ") +
		"; frame-ancestors 'none'; base-uri 'none'", nil
}

// A host with anything else in it could end the directive and begin another, or be a
// pattern that matches hosts nobody meant.
var plainHost = regexp.MustCompile(`^(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?$`)

// origin returns scheme and host of an absolute http or https URL.
func origin(raw string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return "", fmt.Errorf("not a URL: %q", raw)
	}
	host := strings.ToLower(u.Host)
	if u.Scheme != "https" && u.Scheme != "http" || u.User != nil || !plainHost.MatchString(host) {
		return "", fmt.Errorf("not an http or https URL of a plain host: %q", raw)
	}
	return u.Scheme + "://" + host, nil
}

// href lets a link or form lead to a path of ours or to an http or https URL and fails
// for the rest. html/template would defuse a foreign scheme too, but leave a dead link
// on the page; a URL that an identity provider gave us is worth an error.
func href(raw string) (string, error) {
	if strings.HasPrefix(raw, "/") && !strings.HasPrefix(raw, "//") && !strings.HasPrefix(raw, `/\`) {
		return raw, nil
	}
	if _, err := origin(raw); err != nil {
		return "", fmt.Errorf("link: %w", err)
	}
	return raw, nil
}
