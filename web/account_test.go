package web_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/internal/endpoint"
	"github.com/orgate/orgate/internal/mail"
	"github.com/orgate/orgate/internal/outbox"
	"github.com/orgate/orgate/internal/page"
	"github.com/orgate/orgate/internal/signedin"
	"github.com/orgate/orgate/internal/text"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/store/storetest"
	"github.com/orgate/orgate/tenancy"
	"github.com/orgate/orgate/web"
)

var limits = session.Limits{Idle: time.Hour, Absolute: 24 * time.Hour}

// A site is the account page, with whoever the test says signed in.
type site struct {
	t       *testing.T
	store   *store.Store
	handler http.Handler
	who     session.Session
	mails   int
}

// Put implements web.Mail.
func (s *site) Put(outbox.Tx, string, mail.Composer, text.Locale, time.Time, time.Time) error {
	s.mails++
	return nil
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, store: storetest.Open(t)}
	pages, err := web.New(web.Options{Store: s.store, PublicURL: &url.URL{Scheme: "https", Host: "login.test"}, Limits: limits, Mail: s})
	if err != nil {
		t.Fatal(err)
	}
	in := func(r *http.Request) (*http.Request, error) {
		return r.WithContext(signedin.With(r.Context(), s.who)), nil
	}
	s.handler, err = endpoint.New(pages.Routes(), endpoint.Options{Renderer: page.Errors{}, Logger: slog.New(slog.DiscardHandler), Guards: map[endpoint.Access]endpoint.Guard{
		endpoint.SignedIn:  in,
		endpoint.Confirmed: in,
	}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// session signs somebody in, in a browser of that name.
func (s *site) session(user tenancy.UserID, browser string, confined tenancy.OrgID) session.Session {
	s.t.Helper()
	var made session.Session
	err := s.store.Update(s.t.Context(), func(tx store.Tx) error {
		now := time.Now()
		if err := tx.PutUser(tenancy.User{ID: user, Email: string(user) + "@acme.test", Name: "Name of " + string(user), EmailVerified: true, CreatedAt: now, UpdatedAt: now}); err != nil {
			return err
		}
		var err error
		made, _, err = session.Begin(tx, user, policy.Proof{Method: policy.EmailCode, At: now}, nil, confined,
			session.Browser{UserAgent: browser, RemoteIP: "192.0.2.1"}, limits, now)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return made
}

func (s *site) alive(id session.ID) bool {
	s.t.Helper()
	var x session.Session
	err := s.store.View(s.t.Context(), func(tx store.Tx) (err error) {
		x, err = tx.Session(id)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return x.Alive(limits, time.Now()) == nil
}

func (s *site) get(path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(s.t.Context(), "GET", "https://login.test"+path, nil)
	r.Header.Set("Accept", "text/html")
	s.handler.ServeHTTP(w, r)
	return w
}

func (s *site) revoke(form url.Values) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(s.t.Context(), "POST", "https://login.test/account/sessions/revoke", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	s.handler.ServeHTTP(w, r)
	return w
}

func TestTheAccountPageShowsOnesOwnSessionsAndNobodyElses(t *testing.T) {
	s := newSite(t)
	s.who = s.session("user_alice", "Firefox/140.0 Linux", "")
	s.session("user_alice", "Chrome/140.0 Windows", "")
	s.session("user_bob", "Safari/1 iPhone", "")
	ended := s.session("user_alice", "Edg/1 Android", "")
	s.revoke(url.Values{"session": {string(ended.ID)}})
	w := s.get("/account")
	body := w.Body.String()
	if w.Code != http.StatusOK {
		t.Fatalf("%d: %s", w.Code, body)
	}
	for _, want := range []string{"Name of user_alice", "user_alice@acme.test", "Firefox on Linux", "Chrome on Windows", "192.0.2.1", "This browser"} {
		if !strings.Contains(body, want) {
			t.Errorf("does not show %q", want)
		}
	}
	for _, not := range []string{"iPhone", "user_bob", "Android"} {
		if strings.Contains(body, not) {
			t.Errorf("shows %q", not)
		}
	}
}

func TestNobodyEndsWhatIsNotTheirs(t *testing.T) {
	s := newSite(t)
	bob := s.session("user_bob", "", "")
	free := s.session("user_alice", "", "")
	other := s.session("user_alice", "", "")
	guest := s.session("user_alice", "", "org_globex")
	guestToo := s.session("user_alice", "", "org_globex")

	s.who = free
	if w := s.revoke(url.Values{"session": {string(bob.ID)}}); w.Code != http.StatusSeeOther || !s.alive(bob.ID) {
		t.Errorf("bob's session, by alice: %d", w.Code)
	}
	if a, b := s.revoke(url.Values{"session": {string(bob.ID)}}), s.revoke(url.Values{"session": {"session_none"}}); a.Code != b.Code || a.Header().Get("Location") != b.Header().Get("Location") {
		t.Error("a session of another and none are told apart")
	}
	// Alice, whom globex alone vouches for, may be globex's administrator.
	s.who = guest
	s.revoke(url.Values{"session": {string(other.ID)}})
	if !s.alive(other.ID) {
		t.Error("a confined session ended one that is not")
	}
	if body := s.get("/account").Body.String(); strings.Contains(body, string(other.ID)) || !strings.Contains(body, string(guestToo.ID)) || strings.Contains(body, "everywhere") {
		t.Error("a confined session is shown what is elsewhere, or not its own")
	}
	s.revoke(url.Values{"session": {string(guestToo.ID)}})
	if s.alive(guestToo.ID) {
		t.Error("a confined session can't end its like")
	}
	s.who = free
	s.revoke(url.Values{"session": {string(other.ID)}})
	if s.alive(other.ID) {
		t.Error("alice can't end her own")
	}
	if w := s.revoke(url.Values{"session": {string(free.ID)}}); w.Header().Get("Location") != "/signed-out" || s.alive(free.ID) {
		t.Errorf("her own, here: %s", w.Header().Get("Location"))
	}
}

func TestABrokenFormChangesNothing(t *testing.T) {
	s := newSite(t)
	s.who = s.session("user_alice", "", "")
	mine := string(s.who.ID)
	for name, tt := range map[string]struct {
		form url.Values
		want int
	}{
		"nothing": {url.Values{}, http.StatusBadRequest},
		"twice":   {url.Values{"session": {mine, mine}}, http.StatusBadRequest},
		"empty":   {url.Values{"session": {""}}, http.StatusSeeOther},
		"endless": {url.Values{"session": {strings.Repeat("a", 100)}}, http.StatusSeeOther},
		"huge":    {url.Values{"session": {strings.Repeat("a", 1<<20)}}, http.StatusBadRequest},
	} {
		if w := s.revoke(tt.form); w.Code != tt.want {
			t.Errorf("%s: %d", name, w.Code)
		}
	}
	if !s.alive(s.who.ID) {
		t.Error("the session has ended")
	}
}
