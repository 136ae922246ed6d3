// Package demo is the world around orgate for `orgate demo`: identity providers with
// people to be, an app that shows what it is told, a mailbox for everybody, and a
// configuration that joins them.
//
// It owns no part of the product, and serve does not reach it: the providers let anybody
// be anyone, and the mailbox shows everybody's mail.
package demo

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"text/template"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/orgate/orgate/sso/ssotest"
)

//go:embed orgate.yaml
var configuration string

// A World is the providers and the app, listening.
type World struct {
	// Port is where orgate is to listen, and the public port of every host.
	Port int
	// Management is the port of its management listener.
	Management int
	// Dir is where orgate keeps its data.
	Dir string

	App     string // URL of the app
	IDP     string // URL that the providers are under
	Mailbox string // URL of the page with everybody's mail
	SMTP    int    // port of the mail server that mail gets there by

	servers []*http.Server
	mail    *smtp.Server
	saml    map[string]*ssotest.SAMLProvider // by the organization's slug
}

// A Guest is somebody who is made a member beforehand, as an invitation would.
type Guest struct{ Organization, Email string }

// Guests of the demo: Alice of Acme also works at Globex, and so does Casey, who is nobody's.
func Guests() []Guest {
	return []Guest{{"globex", "alice@acme.test"}, {"globex", "casey@freelance.test"}}
}

// secret of the demo's clients: it protects nothing, as the providers have no passwords.
const secret = "demo"

type company struct {
	path, name string
	people     []ssotest.Person
}

func person(id, email, name, note string, groups ...string) ssotest.Person {
	return ssotest.Person{Subject: id, Email: email, EmailVerified: new(true), Name: name, Groups: append([]string{}, groups...), Note: note}
}

// companies are those with OpenID providers.
func companies() []company {
	return []company{
		{"acme", "Acme’s identity provider (demo)", []ssotest.Person{
			person("a-1", "alice@acme.test", "Alice Ashby", "in the group Admins; also works at Globex", "Admins", "Engineering"),
			person("a-2", "bob@acme.test", "Bob Baker", "in the group Engineering", "Engineering"),
			person("a-3", "zoe@elsewhere.test", "Zoë Zidane", "whose address is not at acme.test, so orgate refuses her"),
		}},
		{"globex", "Globex’s identity provider (demo)", []ssotest.Person{
			person("g-1", "hank@globex.test", "Hank Hill", "joins as he comes"),
		}},
		{"initech-staff", "Initech’s staff directory (demo)", []ssotest.Person{
			person("i-1", "milton@initech.test", "Milton Waddams", "is known to both of Initech’s providers"),
			person("i-2", "peter@initech.test", "Peter Gibbons", "in the group Managers", "Managers"),
		}},
		{"initech-partners", "Initech’s partner directory (demo)", []ssotest.Person{
			person("p-1", "milton@initech.test", "Milton Waddams", "is known to both of Initech’s providers"),
		}},
	}
}

// federated are those with SAML providers: the path is the slug, too, and the connection is
// called path-idp.
func federated() []company {
	return []company{
		{"umbrella", "Umbrella’s identity provider (demo, SAML)", []ssotest.Person{
			person("u-1", "ada@umbrella.test", "Ada Wong", "in the group Directors", "Directors", "Research"),
			person("u-2", "albert@umbrella.test", "Albert Wesker", "in the group Research", "Research"),
		}},
	}
}

// SAMLConnections of the demo: the slugs of organizations, and the names of their connections.
func SAMLConnections() map[string]string {
	names := map[string]string{}
	for _, c := range federated() {
		names[c.path] = c.path + "-idp"
	}
	return names
}

// New starts the app, the providers and the mailbox on loopback. port is where orgate will listen.
func New(ctx context.Context, port, management int, dir string, log *slog.Logger) (w *World, err error) {
	w = &World{Port: port, Management: management, Dir: dir}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.Close())
		}
	}()
	app, err := w.serve(ctx, "127.0.0.1:0", Echo(), log)
	if err != nil {
		return w, err
	}
	w.App = "http://" + app

	mux := http.NewServeMux()
	idp, err := w.serve(ctx, "127.0.0.1:0", mux, log)
	if err != nil {
		return w, err
	}
	_, idpPort, err := net.SplitHostPort(idp)
	if err != nil {
		return w, err
	}
	w.IDP = "http://idp.localhost:" + idpPort
	for _, c := range companies() {
		p, err := ssotest.New(ssotest.Options{Issuer: w.IDP + "/" + c.path, Name: c.name, People: c.people, Log: log, Clients: []ssotest.Client{{
			ID: "orgate", Secret: secret, Name: "the demo app",
			RedirectURIs:   []string{w.Login() + "/sso/oidc/callback"},
			PostLogoutURIs: []string{w.Login() + "/signed-out"},
		}}})
		if err != nil {
			return w, err
		}
		mux.Handle("/"+c.path+"/", p)
	}
	w.saml = map[string]*ssotest.SAMLProvider{}
	for _, c := range federated() {
		p, err := ssotest.NewSAML(ssotest.SAMLOptions{EntityID: w.IDP + "/" + c.path, Name: c.name, People: c.people, Log: log})
		if err != nil {
			return w, err
		}
		w.saml[c.path] = p
		w.TrustKey(c.path, nil)
		mux.Handle("/"+c.path+"/", p)
	}
	return w, w.takeMail(ctx, log)
}

// TrustKey gives an organization's SAML provider the certificate that orgate signs with there, as
// an administrator would by our metadata; without one, signing in works and signing out there does not.
func (w *World) TrustKey(slug string, certificate []byte) {
	at := w.Login() + "/sso/saml/" + slug + "." + SAMLConnections()[slug]
	w.saml[slug].Trust(ssotest.SAMLServiceProvider{
		EntityID: at + "/metadata", Name: "the demo app", ACS: at + "/acs", SLO: at + "/slo", Certificate: certificate,
	})
}

// takeMail starts the mailbox: the page beside orgate's port, if that is free, so that it
// is easy to find again.
func (w *World) takeMail(ctx context.Context, log *slog.Logger) error {
	box := &Mailbox{}
	page, err := w.serve(ctx, "127.0.0.1:"+strconv.Itoa(w.Port+1), box.Handler(), log)
	if err != nil {
		page, err = w.serve(ctx, "127.0.0.1:0", box.Handler(), log)
	}
	if err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(page)
	if err != nil {
		return err
	}
	w.Mailbox = "http://mail.localhost:" + port
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	w.SMTP = l.Addr().(*net.TCPAddr).Port
	w.mail = box.Server(log)
	go func() {
		if err := w.mail.Serve(l); err != nil && !errors.Is(err, smtp.ErrServerClosed) {
			log.ErrorContext(ctx, "demo mail server", "cause", err)
		}
	}()
	return nil
}

func (w *World) serve(ctx context.Context, address string, h http.Handler, log *slog.Logger) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return "", err
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	w.servers = append(w.servers, s)
	go func() {
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			log.ErrorContext(ctx, "demo server", "cause", err)
		}
	}()
	return l.Addr().String(), nil
}

// Close ends the app, the providers and the mailbox.
func (w *World) Close() error {
	var errs []error
	if w.mail != nil {
		errs = append(errs, w.mail.Close())
	}
	for _, s := range w.servers {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

// Login returns the URL of the login host, and Home that of an organization's tenant host.
func (w *World) Login() string { return w.Home("login") }

// Home returns the URL of an organization's tenant host.
func (w *World) Home(slug string) string {
	return "http://" + slug + ".localhost:" + strconv.Itoa(w.Port)
}

// Config returns the configuration, as a person would write it.
func (w *World) Config() ([]byte, error) {
	t, err := template.New("orgate.yaml").Option("missingkey=error").Parse(configuration)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, map[string]any{"Port": w.Port, "Management": w.Management, "Dir": strconv.Quote(w.Dir), "App": w.App, "IDP": w.IDP, "SMTP": w.SMTP, "Secret": secret}); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// Guide is what the demo prints: where to go, and what to try.
func (w *World) Guide() string {
	return fmt.Sprintf(`
orgate demo is running. Open one of these in a browser:

  %s
      Acme. You are sent to its identity provider, and are a member from then on. Be Alice
      (role admin, as she is in the group Admins) or Bob. Try /admin/.

  %s
      Globex. It asks for your address, as it has guests. Alice of Acme is one: go there as
      Alice, and you are in without signing in again; Bob is not. Be casey@freelance.test, who
      has no identity provider: a code by mail, and a second factor, which Globex asks of guests.

  %s
      Hooli. A start-up without an identity provider: be anybody@hooli.test. A code by mail
      shows that it is you, you set up a passkey, and are a member.

  %s
      Initech. It has two identity providers to choose from (be peter@initech.test), and
      asks again after ten minutes.

  %s
      Umbrella. Its identity provider speaks SAML. Be Ada (role admin, as she is in the group
      Directors) or Albert. Signing in can begin there, too: open %s/umbrella/
      and click on the demo app. You are asked whether you mean it, and are in.

  %s/organizations
      The picker: every organization that you can enter, and signing out everywhere.

  %s
      The mailbox: every mail that orgate sends, whoever it is for.

The configuration: %s/orgate.yaml (change it: it is reloaded)
Everything is in %s and goes when you press Ctrl-C.
`, w.Home("acme"), w.Home("globex"), w.Home("hooli"), w.Home("initech"), w.Home("umbrella"), w.IDP, w.Login(), w.Mailbox, w.Dir, w.Dir)
}
