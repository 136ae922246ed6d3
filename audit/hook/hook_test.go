package hook_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/audit/hook"
	"github.com/orgate/orgate/internal/seal"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/store/storetest"
	"github.com/orgate/orgate/tenancy"
)

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// A world is a store, and the rules.
type world struct {
	*testing.T
	s *store.Store
	r hook.Rules
}

func newWorld(t *testing.T) *world {
	box, err := seal.NewBox(seal.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	check := func(u string) error {
		if !strings.HasPrefix(u, "https://") {
			return errors.New("no")
		}
		return nil
	}
	return &world{t, storetest.OpenAt(t, func() time.Time { return noon }), hook.Rules{Box: box, CheckURL: check}}
}

func (w *world) try(f func(tx store.Tx) error) error { return w.s.Update(w.Context(), f) }

func (w *world) create(r hook.Rules, wish hook.Wish) (e hook.Endpoint, secret string, err error) {
	err = w.try(func(tx store.Tx) (err error) {
		e, secret, err = hook.Create(tx, r, wish, audit.System, noon)
		return err
	})
	return e, secret, err
}

func (w *world) events() (names []string) {
	w.Helper()
	changes, err := w.s.Feed(w.Context(), 0, 1000)
	if err != nil {
		w.Fatal(err)
	}
	for _, c := range changes {
		names = append(names, c.Event.Name)
	}
	return names
}

func TestAFreshSecretIsOfTheFormOfStandardWebhooksAndSealed(t *testing.T) {
	w := newWorld(t)
	e, secret, err := w.create(w.r, hook.Wish{URL: new("https://a.example/"), Events: []string{"user.created"}})
	if err != nil {
		t.Fatal(err)
	}
	text, ok := strings.CutPrefix(secret, "whsec_")
	if b, err := base64.StdEncoding.DecodeString(text); !ok || err != nil || len(b) != 32 {
		t.Errorf("secret of %d bytes: %v", len(b), err)
	}
	if _, other, err := w.create(w.r, hook.Wish{URL: new("https://b.example/")}); err != nil || other == secret {
		t.Errorf("two endpoints have one secret, or %v", err)
	}
	if got := hook.Open(w.r.Box, e, noon); len(got) != 1 || got[0] != secret {
		t.Errorf("%d secrets", len(got))
	}
	// It is sealed for its endpoint: put into another's row it is nothing.
	stolen := e
	stolen.ID = "we_2"
	if got := hook.Open(w.r.Box, stolen, noon); len(got) != 0 {
		t.Error("another endpoint signs with it")
	}
	if string(e.Secrets[0].Sealed) == secret || strings.Contains(string(e.Secrets[0].Sealed), text) {
		t.Error("it is not sealed")
	}
}

func TestOnlyASecretOfItsFormIsOne(t *testing.T) {
	long := base64.StdEncoding.EncodeToString(make([]byte, 65))
	for _, s := range []string{"", "whsec_", "hunter2", "whsec_" + long, "whsec_c2hvcnQ=", "whsec_" + strings.Repeat("!", 44), strings.Repeat("A", 44), "whsec_" + strings.Repeat("A", 43) + "B\n"} {
		if _, err := hook.SecretKey(s); !errors.Is(err, hook.ErrSecret) || s != "" && strings.Contains(err.Error(), s) && s != "whsec_" {
			t.Errorf("%q: %v", s, err)
		}
	}
	if b, err := hook.SecretKey("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"); err != nil || len(b) != 24 {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}

func TestAnEndpointIsRefusedForWhatIsWrongWithIt(t *testing.T) {
	w := newWorld(t)
	a, _, err := w.create(w.r, hook.Wish{URL: new("https://a.example/"), Events: []string{"user.created", "orgate.mail.failed", "user.created"}})
	if err != nil || len(a.Events) != 2 || a.Disabled {
		t.Fatalf("%+v, %v", a, err)
	}
	for _, c := range []struct {
		wish hook.Wish
		want error
	}{
		{hook.Wish{}, hook.ErrURL},
		{hook.Wish{URL: new("http://a.example/")}, hook.ErrURL},
		{hook.Wish{URL: new("https://a.example/")}, hook.ErrDuplicate},
		{hook.Wish{URL: new("https://b.example/"), Events: []string{"user.exploded"}}, hook.ErrEvent},
		{hook.Wish{URL: new("https://b.example/"), Events: []string{"vault.data.read"}}, hook.ErrEvent},
		{hook.Wish{URL: new("https://b.example/"), Events: []string{""}}, hook.ErrEvent},
		{hook.Wish{URL: new("https://b.example/"), Secret: "hunter2"}, hook.ErrSecret},
	} {
		if _, _, err := w.create(w.r, c.wish); !errors.Is(err, c.want) {
			t.Errorf("%+v: %v, want %v", c.wish, err, c.want)
		}
	}
	b, _, err := w.create(w.r, hook.Wish{URL: new("https://b.example/")})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		id   hook.ID
		wish hook.Wish
		want error
	}{
		{b.ID, hook.Wish{URL: new("https://a.example/")}, hook.ErrDuplicate}, {b.ID, hook.Wish{URL: new("ftp://a.example/")}, hook.ErrURL},
		{b.ID, hook.Wish{Events: []string{"x"}}, hook.ErrEvent}, {"we_none", hook.Wish{}, tenancy.ErrNotFound},
	} {
		err := w.try(func(tx store.Tx) error { _, err := hook.Update(tx, w.r, c.id, c.wish, audit.System, noon); return err })
		if !errors.Is(err, c.want) {
			t.Errorf("%s %+v: %v, want %v", c.id, c.wish, err, c.want)
		}
	}
	if got, want := fmt.Sprint(w.events()), "[orgate.webhook_endpoint.created orgate.webhook_endpoint.created]"; got != want {
		t.Errorf("events %v, want %v", got, want)
	}
}

func TestThereAreOnlySoManyEndpoints(t *testing.T) {
	w := newWorld(t)
	var e hook.Endpoint
	for i := range hook.MaxEndpoints {
		var err error
		if e, _, err = w.create(w.r, hook.Wish{URL: new(fmt.Sprintf("https://%d.example/", i))}); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := w.create(w.r, hook.Wish{URL: new("https://more.example/")}); !errors.Is(err, hook.ErrFull) {
		t.Errorf("one more: %v", err)
	}
	if err := w.try(func(tx store.Tx) error { return hook.Delete(tx, w.r, e.ID, audit.System, noon) }); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.create(w.r, hook.Wish{URL: new(e.URL)}); err != nil {
		t.Errorf("in place of a deleted one: %v", err)
	}
}

func TestWhatTheConfigurationOwnsIsReadOnlyElsewhere(t *testing.T) {
	w := newWorld(t)
	config := w.r
	config.Config = true
	e, _, err := w.create(config, hook.Wish{URL: new("https://a.example/")})
	if err != nil || !e.Managed {
		t.Fatalf("%+v, %v", e, err)
	}
	for what, f := range map[string]func(tx store.Tx, r hook.Rules) error{
		"update": func(tx store.Tx, r hook.Rules) error {
			_, err := hook.Update(tx, r, e.ID, hook.Wish{Events: []string{"user.created"}, Disabled: new(true)}, audit.System, noon)
			return err
		},
		"rotate": func(tx store.Tx, r hook.Rules) error {
			_, _, err := hook.Rotate(tx, r, e.ID, "", audit.System, noon)
			return err
		},
		"delete": func(tx store.Tx, r hook.Rules) error { return hook.Delete(tx, r, e.ID, audit.System, noon) },
	} {
		if err := w.try(func(tx store.Tx) error { return f(tx, w.r) }); !errors.Is(err, hook.ErrManaged) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, e := range w.events() {
		if e != audit.WebhookEndpointCreated {
			t.Errorf("event %s", e)
		}
	}
}

func TestTheEndpointsOfTheConfigurationAreWhatItSays(t *testing.T) {
	w := newWorld(t)
	const first, second = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	manage := func(want int, wishes ...hook.Wish) map[string]hook.Endpoint {
		t.Helper()
		before := len(w.events())
		if err := w.try(func(tx store.Tx) error { return hook.Manage(tx, w.r, wishes, audit.Actor{Type: "config"}, noon) }); err != nil {
			t.Fatal(err)
		}
		if n := len(w.events()) - before; n != want {
			t.Errorf("%d events, want %d", n, want)
		}
		byURL := map[string]hook.Endpoint{}
		err := w.s.View(t.Context(), func(tx store.Tx) error {
			es, err := hook.List(tx)
			for _, e := range es {
				byURL[e.URL] = e
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return byURL
	}
	wish := func(url, secret string, events ...string) hook.Wish {
		return hook.Wish{URL: &url, Secret: secret, Events: events}
	}
	if _, _, err := w.create(w.r, hook.Wish{URL: new("https://theirs.example/")}); err != nil {
		t.Fatal(err)
	}
	is := manage(1, wish("https://a.example/", first, "user.created"))
	a := is["https://a.example/"]
	if !a.Managed || a.Disabled || !a.Subscribed("user.created") || hook.Open(w.r.Box, a, noon)[0] != first {
		t.Errorf("made: %+v", a)
	}
	manage(0, wish("https://a.example/", first, "user.created"))
	is = manage(2, wish("https://a.example/", second, "user.deleted"))
	if b := is["https://a.example/"]; b.ID != a.ID || b.Subscribed("user.created") || len(hook.Open(w.r.Box, b, noon)) != 2 {
		t.Errorf("changed: %+v", b)
	}
	// Whoever operates it may disable it, and the next reading leaves that alone.
	if err := w.try(func(tx store.Tx) error {
		_, err := hook.Update(tx, w.r, a.ID, hook.Wish{Disabled: new(true)}, audit.System, noon)
		return err
	}); err != nil {
		t.Error(err)
	}
	if is = manage(0, wish("https://a.example/", second, "user.deleted")); !is["https://a.example/"].Disabled {
		t.Error("it was disabled by hand, and the configuration has enabled it")
	}
	// What leaves is disabled and kept; what comes back, or was somebody's, is the configuration's, and enabled.
	is = manage(1)
	if b := is["https://a.example/"]; b.Managed || !b.Disabled || is["https://theirs.example/"].Disabled {
		t.Errorf("gone: %+v", is)
	}
	is = manage(3, wish("https://a.example/", second, "user.deleted"), wish("https://theirs.example/", first, "user.created"))
	for _, e := range is {
		if !e.Managed || e.Disabled {
			t.Errorf("%+v", e)
		}
	}
}

// Whoever rotates twice wants the first secret gone.
func TestNoMoreThanTwoSecretsSign(t *testing.T) {
	w := newWorld(t)
	e, first, err := w.create(w.r, hook.Wish{URL: new("https://a.example/")})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		err := w.try(func(tx store.Tx) (err error) {
			e, _, err = hook.Rotate(tx, w.r, e.ID, "", audit.System, noon)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	got := hook.Open(w.r.Box, e, noon)
	if len(got) != 2 || got[0] == first || got[1] == first {
		t.Errorf("%d secrets sign, the first among them: %v", len(got), got[0] == first || len(got) > 1 && got[1] == first)
	}
}

// Two dead endpoints that are subscribed to each other's failures would keep each other busy for ever.
func TestAnEventAboutWebhooksMakesNoOther(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{audit.WebhookFailed, audit.WebhookEndpointUpdated, audit.UserCreated} {
		e, _, err := w.create(w.r, hook.Wish{URL: new("https://" + name + "/")})
		if err != nil {
			t.Fatal(err)
		}
		before := len(w.events())
		d := hook.Delivery{Endpoint: e.ID, Position: 1, Event: "event_1", Name: name, At: noon, QueuedAt: noon.Add(-hook.GiveUpAfter), Due: noon}
		var o hook.Outcome
		err = w.try(func(tx store.Tx) (err error) {
			if err := tx.PutWebhookDelivery(d); err != nil {
				return err
			}
			o, err = hook.Failed(tx, d, hook.Attempt{Error: "timeout"}, noon)
			return err
		})
		if err != nil || !o.GivenUp {
			t.Errorf("%s: %+v, %v", name, o, err)
		}
		want := 0
		if name == audit.UserCreated {
			want = 1
		}
		if n := len(w.events()) - before; n != want {
			t.Errorf("a %s that failed made %d events, want %d", name, n, want)
		}
	}
}

func TestAnEndpointHearsNothingOfItself(t *testing.T) {
	w := newWorld(t)
	var es []hook.Endpoint
	for _, u := range []string{"https://a.example/", "https://b.example/"} {
		e, _, err := w.create(w.r, hook.Wish{URL: &u, Events: audit.Subscribable()})
		if err != nil {
			t.Fatal(err)
		}
		es = append(es, e)
	}
	err := w.try(func(tx store.Tx) error {
		_, err := hook.Update(tx, w.r, es[0].ID, hook.Wish{Disabled: new(false)}, audit.System, noon)
		return err
	})
	if err == nil {
		err = w.try(func(tx store.Tx) error {
			start, _, err := hook.Start(tx)
			if err != nil {
				return err
			}
			entries, err := tx.EventsAfter(start, 10)
			if err != nil {
				return err
			}
			_, _, err = hook.Queue(tx, start, entries, noon)
			return err
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	// a is told of b's creation alone, b of a's update alone: it was created before b.
	for i, want := range []string{audit.WebhookEndpointCreated, audit.WebhookEndpointUpdated} {
		var got []string
		err := w.s.View(t.Context(), func(tx store.Tx) error {
			for d, err := range tx.WebhookDeliveries(es[i].ID) {
				if err != nil {
					return err
				}
				got = append(got, d.Name)
			}
			return nil
		})
		if err != nil || len(got) != 1 || got[0] != want {
			t.Errorf("endpoint %d is told of %v, %v; want %s", i, got, err, want)
		}
	}
}
