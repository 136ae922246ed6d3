package api_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/orgate/orgate/api"
	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/audit/hook"
	"github.com/orgate/orgate/internal/endpoint"
	"github.com/orgate/orgate/internal/invite"
	"github.com/orgate/orgate/internal/mail"
	"github.com/orgate/orgate/internal/outbox"
	"github.com/orgate/orgate/internal/seal"
	"github.com/orgate/orgate/internal/text"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/session/client"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/store/storetest"
	"github.com/orgate/orgate/tenancy"
)

// A world is an API over a real store, with a key for everything.
type world struct {
	t      testing.TB
	s      *store.Store
	api    *api.API
	url    string
	secret string
	rules  tenancy.Rules
	roles  tenancy.Origin // where the configuration gives the roles of the installation
	log    *bytes.Buffer
	mails  []mail.Invitation
	sent   []sent // all other mails
	noMail bool   // no mail can be sent
	ways   policy.Methods
	apps   []api.App

	hookRules hook.Rules
	clients   client.Clients
	codes     []string // that were mailed

	mu  sync.Mutex
	now time.Time
}

func newWorld(t testing.TB) *world {
	return newWorldOn(t, func(w *world) *store.Store { return storetest.OpenAt(t, w.clock) })
}

// newWorldOn makes a world on the store that open returns.
func newWorldOn(t testing.TB, open func(*world) *store.Store) *world {
	w := &world{t: t, now: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC), rules: tenancy.Rules{DefaultRole: "member"}, log: new(bytes.Buffer)}
	w.ways = policy.MethodsOf(policy.EmailCode, policy.Password, policy.Passkey, policy.TOTP, policy.RecoveryCode)
	w.s = open(w)
	w.do(func(tx store.Tx) error {
		for i, r := range []tenancy.Role{{Slug: "admin", Permissions: []string{"reports:delete", "reports:read"}}, {Slug: "member", Permissions: []string{"reports:read"}}} {
			r.Priority = i
			if err := tenancy.SaveRole(tx, r, audit.System, w.now); err != nil {
				return err
			}
		}
		return nil
	})
	w.hookRules = hook.Rules{Box: newBox(t), CheckURL: func(u string) error {
		if !strings.HasPrefix(u, "https://") {
			return errors.New("no")
		}
		return nil
	}}
	var err error
	w.api, err = api.New(api.Options{
		Store: w.s, Logger: slog.New(slog.NewTextHandler(&lockedWriter{w: w.log}, nil)), Rules: func() tenancy.Rules { return w.rules }, RolesAt: func() tenancy.Origin { return w.roles },
		Limits: func() session.Limits { return session.Limits{Idle: time.Hour, Absolute: 24 * time.Hour} }, Now: w.clock,
		Offered: func() policy.Methods { return w.ways }, PublicURL: func() *url.URL { return &url.URL{Scheme: "https", Host: "login.example.com"} },
		Mail: func() invite.Mail {
			if w.noMail {
				return nil
			}
			return postbox{w}
		},
		Webhooks: w.hooks, Connections: anyConnection{w},
		Apps:          func() []api.App { return w.apps },
		RetentionDays: func() int { return 365 },
		ManagementURL: func() *url.URL { return &url.URL{Scheme: "http", Host: strings.TrimPrefix(w.url, "http://")} },
		Clients:       func() client.Clients { return w.clients },
	})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.api.ServeHTTP(rw, r.WithContext(endpoint.WithRequestID(r.Context())))
	}))
	t.Cleanup(srv.Close)
	w.url = srv.URL
	w.secret = w.key(session.APIKey{Name: "all"})
	return w
}

func newBox(t testing.TB) *seal.Box {
	t.Helper()
	box, err := seal.NewBox(seal.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	return box
}

func (w *world) hooks() hook.Rules { return w.hookRules }

func (w *world) box() *seal.Box { return w.hookRules.Box.(*seal.Box) }

// A sent is a mail that was put into the queue; those of transactions that were run again are there twice.
type sent struct {
	to, about string
	locale    text.Locale
	mail      mail.Composer
}

// A postbox is where the mails of a world are put.
type postbox struct{ w *world }

func (p postbox) Put(_ outbox.Tx, to string, m mail.Composer, l text.Locale, _, _ time.Time) error {
	if v, ok := m.(mail.VerifyEmailCode); ok {
		p.w.codes = append(p.w.codes, v.Code)
	}
	i, ok := m.(mail.Invitation)
	if !ok {
		p.w.mu.Lock()
		defer p.w.mu.Unlock()
		p.w.sent = append(p.w.sent, sent{to, m.About(), l, m})
		return nil
	}
	i.Host = fmt.Sprint(l, " to ", to) // it is but shown
	p.w.mails = append(p.w.mails, i)
	return nil
}

type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

// clock goes on a millisecond each time it is asked, so that ids are in the order in which things were made.
func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(time.Millisecond)
	return w.now
}

func (w *world) later(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) do(f func(store.Tx) error) {
	w.t.Helper()
	if err := w.s.Update(w.t.Context(), f); err != nil {
		w.t.Fatal(err)
	}
}

// key makes a key and returns its secret.
func (w *world) key(k session.APIKey) string {
	w.t.Helper()
	var secret session.Secret
	w.do(func(tx store.Tx) (err error) {
		_, secret, err = session.CreateAPIKey(tx, k, audit.System, w.clock())
		return err
	})
	return secret.Reveal()
}

// An answer is what came back.
type answer struct {
	t      testing.TB
	asked  string
	status int
	header http.Header
	body   []byte
	fields map[string]any
}

// as calls an operation with a key. pattern is that of the route, and args fill its parameters; a
// last one that is a string of the form ?… is the query, and one that is no string is the body.
func (w *world) as(secret, pattern string, args ...any) answer {
	w.t.Helper()
	method, path, _ := strings.Cut(pattern, " ")
	var body io.Reader
	query := ""
	for _, a := range args {
		switch a := a.(type) {
		case string:
			if a == "" {
				continue
			}
			if strings.HasPrefix(a, "?") {
				query = a
				continue
			}
			i, j := strings.Index(path, "{"), strings.Index(path, "}")
			if i < 0 {
				w.t.Fatalf("%s has no parameter for %q", pattern, a)
			}
			path = path[:i] + a + path[j+1:]
		default:
			b, err := json.Marshal(a)
			if err != nil {
				w.t.Fatal(err)
			}
			body = bytes.NewReader(b)
		}
	}
	return w.send(secret, pattern, method, path+query, body)
}

func (w *world) send(secret, pattern, method, target string, body io.Reader) answer {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.url+target, body)
	if err != nil {
		w.t.Fatal(err)
	}
	if secret != "" {
		r.Header.Set("Authorization", "Bearer "+secret)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	a := answer{t: w.t, asked: method + " " + target, status: resp.StatusCode, header: resp.Header, body: b}
	if len(b) > 0 && b[0] != '[' {
		if err := json.Unmarshal(b, &a.fields); err != nil {
			w.t.Errorf("%s: %v: %s", a.asked, err, b)
		}
	}
	if pattern != "" && !strings.Contains(target, "orgate.") { // events that the reference does not have
		reference(w.t).check(w.t, pattern, a.status, b)
	}
	return a
}

// call is [world.as] with the key for everything.
func (w *world) call(pattern string, args ...any) answer {
	w.t.Helper()
	return w.as(w.secret, pattern, args...)
}

// want fails unless the answer has the status.
func (a answer) want(status int) answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("%s: %d, want %d: %s", a.asked, a.status, status, a.body)
	}
	return a
}

// refused fails unless the answer has the status and the code.
func (a answer) refused(status int, code string) answer {
	a.t.Helper()
	if a.status != status || a.get("code") != code {
		a.t.Errorf("%s: %d %s, want %d %s: %s", a.asked, a.status, a.get("code"), status, code, a.body)
	}
	return a
}

// faults returns what is wrong, as field: code.
func (a answer) faults() []string {
	list, _ := a.fields["errors"].([]any)
	var all []string
	for _, f := range list {
		m := f.(map[string]any)
		all = append(all, fmt.Sprint(m["field"], ": ", m["code"]))
	}
	return all
}

// get returns a field as text, by its path.
func (a answer) get(path string) string {
	var v any = a.fields
	for name := range strings.SplitSeq(path, ".") {
		m, ok := v.(map[string]any)
		if !ok {
			return ""
		}
		v = m[name]
	}
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

func (a answer) id() string { return a.get("id") }

// ids of a list, or whatever else the field is that is named.
func (a answer) ids(field ...string) []string {
	name := "id"
	if len(field) > 0 {
		name = field[0]
	}
	list, ok := a.fields["data"].([]any)
	if !ok {
		a.t.Errorf("%s is no list: %s", a.asked, a.body)
	}
	ids := []string{}
	for _, x := range list {
		ids = append(ids, fmt.Sprint(x.(map[string]any)[name]))
	}
	return ids
}

func (w *world) organizationNamed(name string) string {
	w.t.Helper()
	return w.call("POST /organizations", map[string]any{"name": name}).want(201).id()
}

// head is the position of the last event.
func (w *world) head() uint64 {
	w.t.Helper()
	head, err := w.s.Head(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return head
}

// eventsSince returns the names of the events after a position.
func (w *world) eventsSince(pos uint64) []string {
	w.t.Helper()
	names := []string{}
	for {
		changes, err := w.s.Feed(w.t.Context(), pos, 1000)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, c := range changes {
			names = append(names, c.Event.Name)
			pos = c.Position
		}
		if len(changes) == 0 {
			return names
		}
	}
}

func same(t testing.TB, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

// anyConnection takes every connection of OIDC but one whose issuer is bad, as a stand-in for the configuration's rules, which are
// tested in package config.
type anyConnection struct{ w *world }

func (anyConnection) Check(in api.ConnectionInput) (tenancy.Connection, []api.Fault) {
	switch {
	case in.Issuer == "bad":
		return tenancy.Connection{}, []api.Fault{{Code: "invalid", Field: "issuer", Message: "issuer is no URL"}}
	case in.Type != "oidc" && in.Type != "saml":
		return tenancy.Connection{}, []api.Fault{{Code: "invalid", Field: "type", Message: "type is neither"}}
	}
	return tenancy.Connection{Name: in.Name, Type: in.Type, Disabled: in.Disabled, OIDC: &tenancy.OIDCConnection{Issuer: in.Issuer, ClientID: in.ClientID, Scopes: in.Scopes}}, nil
}

func (c anyConnection) Seal(id tenancy.ConnectionID, secret string) []byte {
	return c.w.hookRules.Box.Seal("client secret", string(id), []byte(secret))
}
