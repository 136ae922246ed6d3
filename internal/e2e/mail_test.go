package e2e

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/internal/mail"
	"github.com/orgate/orgate/internal/mail/mailtest"
	"github.com/orgate/orgate/internal/seal"
	"github.com/orgate/orgate/internal/text"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/store/postgres"
	"github.com/orgate/orgate/store/postgres/pgtest"
)

// TestMailReachesTheServerOfTheConfigurationInForceAndSurvivesAKill puts mails into the
// shared store from another process, as another replica does.
func TestMailReachesTheServerOfTheConfigurationInForceAndSurvivesAKill(t *testing.T) {
	t.Parallel()
	const password, code = "e2e-password-of-the-mail-server", "739164"
	database := pgtest.Start(t).URL() // a new one at each call
	first := mailtest.Start(t, mailtest.Config{TLS: "none", Username: "gate", Password: password})
	second := mailtest.Start(t, mailtest.Config{TLS: "none", Username: "gate", Password: password})
	s := newSite(t)
	s.secrets.add(password, code)
	configuration := func(port int) string {
		return fmt.Sprintf("mail: { smtp: { host: 127.0.0.1, port: %d, username: gate, password: %s, timeout: 1s }, from: Orgate <login@example.com> }\n", port, password) +
			s.head(s.postgres(database)) + s.acme()
	}
	s.write(configuration(first.Port))
	s.start()

	e, err := postgres.Open(t.Context(), postgres.Options{URL: database, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	db := store.New(e, store.Options{})
	t.Cleanup(func() { db.Close() })
	box, err := seal.NewBox([]byte(secretsKey))
	if err != nil {
		t.Fatal(err)
	}
	put := func(to string) {
		t.Helper()
		err := db.Update(t.Context(), func(tx store.Tx) error {
			m := mail.SignInCode{Organization: "Acme Inc.", Host: "login.localhost", Code: code, Minutes: 10}
			return mail.NewQueue(box).Put(tx, to, m, text.English, time.Now().Add(10*time.Minute), time.Now())
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	put("p1@acme.test")
	if m := first.Next(t); m.To[0] != "p1@acme.test" || !strings.Contains(m.Text, code) || m.User != "gate" || m.HELO != "login.localhost" {
		t.Errorf("arrived: %+v", m)
	}

	s.change(configuration(second.Port))
	put("p2@acme.test")
	if m := second.Next(t); m.To[0] != "p2@acme.test" {
		t.Errorf("arrived: %+v", m)
	}

	// A server that says nothing: when it is spoken to, the mail is somebody's, and not sent.
	hanging, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer hanging.Close()
	s.change(configuration(hanging.Addr().(*net.TCPAddr).Port))
	put("p3@acme.test")
	c, err := hanging.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s.kill()
	s.write(configuration(first.Port))
	s.start()
	if m := first.Next(t); m.To[0] != "p3@acme.test" {
		t.Errorf("arrived: %+v", m)
	}
	until(t, "nothing waits", 10*time.Second, func() bool {
		waits := false
		err := db.View(context.WithoutCancel(t.Context()), func(tx store.Tx) error {
			waits = false
			for _, err := range tx.DueOutboxMessages(time.Now().Add(time.Hour)) {
				waits = true
				return err
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return !waits
	})
	until(t, "three mails are in the log", 10*time.Second, func() bool {
		return len(s.lines(func(l line) bool { return l.get("msg") == "mail sent" && l.get("about") == "sign_in_code" })) == 3
	})
}
