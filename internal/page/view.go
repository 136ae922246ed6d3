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

	"github.com/orgate/orgate/internal/text"
)

//go:embed templates
var templates embed.FS

// One view for each page. They are parsed once; a broken one stops the program before
// it serves anything.
var (
	signIn        = parse[SignIn]("sign_in.html")
	choose        = parse[Choose]("choose.html")
	enterCode     = parse[EnterCode]("enter_code.html")
	enterPassword = parse[EnterPassword]("enter_password.html")
	usePasskey    = parse[UsePasskey]("use_passkey.html")
	secondFactor  = parse[SecondFactor]("second_factor.html")
	newPassword   = parse[NewPassword]("new_password.html")
	createPasskey = parse[CreatePasskey]("create_passkey.html")
	enrollChoice  = parse[EnrollChoice]("enroll_choice.html")
	enrollTOTP    = parse[EnrollTOTP]("enroll_totp.html")
	recoveryCodes = parse[RecoveryCodes]("recovery_codes.html")
	organizations = parse[Organizations]("organizations.html")
	invitation    = parse[Invitation]("invitation.html")
	invitations   = parse[Invitations]("invitations.html")
	account       = parse[Account]("account.html")
	changeEmail   = parse[ChangeEmail]("change_email.html")
	signedOut     = parse[SignedOut]("signed_out.html")
	signOut       = parse[SignOut]("sign_out.html")
	proceed       = parse[Continue]("continue.html")
	confirm       = parse[Confirm]("confirm.html")
	leaving       = parse[Leaving]("leaving.html")
	carrying      = parse[Carrying]("carrying.html")
	portal        = parse[Portal]("portal.html")
	notice        = parse[Notice]("notice.html")
	failure       = parse[failurePage]("error.html")
)

// A view is one template, in each language, and the type of the data it shows.
type view[T any] struct {
	in map[text.Locale]*template.Template
}

func parse[T any](name string) view[T] {
	v := view[T]{map[text.Locale]*template.Template{}}
	for _, l := range text.Locales() {
		t := template.New(name).Option("missingkey=error").Funcs(template.FuncMap{
			"asset":    asset,
			"href":     href,
			"monogram": monogram,
			"hue":      hue,
			"logo":     logo,
			"sheet":    brandSheet,
			"seconds":  seconds,
			"wait":     text.Wait,
			"lang":     func() text.Locale { return l },
			"t": func(said any, args ...any) (string, error) {
				m, err := message(said, args)
				return m.In(l), err
			},
			"rich": func(said any, args ...any) (template.HTML, error) {
				m, err := message(said, args)
				return m.HTML(l), err
			},
		})
		v.in[l] = template.Must(t.ParseFS(templates, "templates/base.html", "templates/"+name))
	}
	return v
}

// message is what the functions t and rich of the templates are given: a message that
// somebody made, or the format of one and its arguments. t makes plain text of it, for
// titles and attributes; rich sets apart what people wrote.
func message(said any, args []any) (text.Message, error) {
	switch said := said.(type) {
	case text.Message:
		return said, nil
	case string:
		return text.T(said, args...), nil
	}
	return text.Message{}, fmt.Errorf("%T says nothing", said)
}

// needs is what a page needs beyond its own stylesheet.
type needs struct {
	brand      Brand
	formAction []string
	script     bool // of ours
}

// A frame is what base.html shows around a page.
type frame[T any] struct {
	Page  T
	Brand Brand
}

// locale is the language of whoever sent r.
func locale(r *http.Request) text.Locale {
	return text.Negotiate(strings.Join(r.Header.Values("Accept-Language"), ","))
}

// render writes the page. Nothing is written if the template fails.
func (v view[T]) render(w http.ResponseWriter, r *http.Request, status int, data T, n needs) error {
	t := v.in[locale(r)]
	policy, err := contentPolicy(n)
	if err != nil {
		return fmt.Errorf("page %s: %w", t.Name(), err)
	}
	var buf bytes.Buffer
	if err := t.ExecuteTemplate(&buf, "base.html", frame[T]{data, n.brand}); err != nil {
		return fmt.Errorf("page %s: %w", t.Name(), err)
	}
	w.Header().Add("Vary", "Accept-Language")
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
// to those of n.formAction. No page may connect to anything: the script has a form to post.
func contentPolicy(n needs) (string, error) {
	sources := []string{"'self'"}
	for _, a := range n.formAction {
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
	script := ""
	if n.script {
		script = " script-src 'self';"
	}
	return "default-src 'none'; style-src 'self';" + script + " img-src 'self' data:; form-action " + strings.Join(sources, " ") +
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
