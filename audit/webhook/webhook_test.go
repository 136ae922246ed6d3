package webhook_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/audit/hook"
	"github.com/orgate/orgate/audit/webhook"
	"github.com/orgate/orgate/internal/seal"
	"github.com/orgate/orgate/store"
)

func TestAnEventArrivesSignedAsTheAPIShowsIt(t *testing.T) {
	w := newWorld(t)
	r := w.receiver(nil)
	w.endpoint(r.URL + "/hooks?x=1")
	stop := w.start()
	ids := w.happen("user.created", 1)
	g := w.next(r)
	w.outcome(webhook.Sent)
	stop()
	if err := verify(w.secrets[0], g, noon); err != nil {
		t.Error(err)
	}
	if err := verifyWorkOS(w.secrets[0], g, noon); err != nil {
		t.Error(err)
	}
	if verify("whsec_"+strings.Repeat("A", 43)+"=", g, noon) == nil || verifyWorkOS("whsec_x", g, noon) == nil {
		t.Error("it is also signed with another secret")
	}
	h := g.header
	if g.id != ids[0] || h.Get("webhook-id") != ids[0] || h.Get("Content-Type") != "application/json" || !strings.HasPrefix(h.Get("User-Agent"), "orgate") {
		t.Errorf("headers %v", h)
	}
	var e struct {
		Object, ID, Event string
		CreatedAt         time.Time `json:"created_at"`
		Data              struct{ Object, ID string }
		Context           struct{ Actor struct{ Source string } }
	}
	if err := json.Unmarshal(g.body, &e); err != nil || e.Object != "event" || e.Event != "user.created" || !e.CreatedAt.Equal(noon) || e.Data.Object != "user" || e.Context.Actor.Source != "system" {
		t.Errorf("%s: %v", g.body, err)
	}
}

func TestEventsComeInTheOrderOfTheFeed(t *testing.T) {
	w := newWorld(t)
	r := w.receiver(nil)
	e := w.endpoint(r.URL)
	stop := w.start()
	var ids []string
	for range 10 {
		ids = append(ids, w.happen("user.created", 20)...)
	}
	w.gets(r, ids...)
	stop()
	if left := w.waiting(e.ID); len(left) != 0 {
		t.Errorf("%d deliveries still wait", len(left))
	}
}

func TestAnEndpointGetsWhatItIsSubscribedToAndNoMore(t *testing.T) {
	w := newWorld(t)
	r := w.receiver(nil)
	w.happen("user.created", 1) // before there was an endpoint
	e := w.endpointFor(r.URL, "user.created")
	stop := w.start()
	w.happen("user.updated", 2)
	first := w.happen("user.created", 1)
	w.gets(r, first...)
	w.update(e.ID, hook.Wish{Events: []string{"user.updated"}})
	w.happen("user.created", 2)
	second := w.happen("user.updated", 1)
	w.gets(r, second...)
	w.update(e.ID, hook.Wish{Events: []string{}}) // to nothing
	w.happen("user.created", 1)
	w.happen("user.updated", 1)
	w.update(e.ID, hook.Wish{Events: []string{"user.created"}})
	stop()
	w.start()
	third := w.happen("user.created", 1)
	w.gets(r, third...)
	w.getsNothing(r)
}

// What waits for a second try is not sent any more once its endpoint does not want it.
func TestWhatIsNotSubscribedToAnyMoreIsDropped(t *testing.T) {
	w := newWorld(t)
	r := w.receiver(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusTeapot) })
	e := w.endpoint(r.URL)
	w.start()
	w.happen("user.created", 1)
	w.next(r)
	w.outcome(webhook.Failed)
	w.update(e.ID, hook.Wish{Events: []string{"user.deleted"}})
	w.clock.Advance(time.Minute)
	w.outcome(webhook.Dropped)
	w.getsNothing(r)
}

func TestADisabledEndpointIsSentNothing(t *testing.T) {
	w := newWorld(t)
	r, other := w.receiver(nil), w.receiver(nil)
	e := w.endpoint(r.URL)
	w.endpoint(other.URL)
	off, on := true, false
	w.update(e.ID, hook.Wish{Disabled: &off})
	w.start()
	w.gets(other, w.happen("user.created", 3)...)
	w.update(e.ID, hook.Wish{Disabled: &on})
	ids := w.happen("user.created", 1)
	w.gets(other, ids...)
	w.gets(r, ids...)
	w.getsNothing(r)
}

func TestADeletedEndpointIsSentNothingAndLeavesNothing(t *testing.T) {
	w := newWorld(t)
	r := w.receiver(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusInternalServerError) })
	other := w.receiver(nil)
	e := w.endpoint(r.URL)
	w.endpoint(other.URL)
	stop := w.start()
	w.gets(other, w.happen("user.created", 500)...)
	for range 5 { // and then it is left alone for a while
		w.next(r)
	}
	w.do(func(tx store.Tx) error { return hook.Delete(tx, w.rules(), e.ID, audit.System, noon) })
	w.gets(other, w.happen("user.created", 500)...)
	gone := func() (gone bool) {
		w.look(func(tx store.Tx) error {
			gone = true
			for x, err := range tx.WebhookEndpoints() {
				gone = gone && err == nil && x.ID != e.ID
			}
			return nil
		})
		return gone
	}
	for !gone() {
		w.gets(other, w.happen("user.created", 1)...) // a turn of the queue, at least
	}
	stop()
	if left := w.waiting(e.ID); len(left) != 0 {
		t.Errorf("%d deliveries are left", len(left))
	}
	// The URL is free again.
	w.endpoint(r.URL)
}

func TestARestartInTheMiddleOfADeliveryLosesNothing(t *testing.T) {
	w := newWorld(t)
	hang := make(chan struct{})
	r := w.receiver(func(_ http.ResponseWriter, req *http.Request) {
		select {
		case <-hang:
		case <-req.Context().Done():
		}
	})
	w.endpoint(r.URL)
	d := w.deliverer()
	d.Grace = 0
	stop := w.run(d)
	ids := w.happen("user.created", 3)
	w.gets(r, ids[0]) // and has not answered
	stop()
	late := w.happen("user.created", 2) // while nobody delivers
	close(hang)
	w.start()
	w.gets(r, append(slices.Clone(ids), late...)...)
}

func TestWhatIsUnderWayAtTheEndMayEnd(t *testing.T) {
	w := newWorld(t)
	hang := make(chan struct{})
	r := w.receiver(func(http.ResponseWriter, *http.Request) { <-hang })
	e := w.endpoint(r.URL)
	d := w.deliverer()
	d.Grace = patience
	stop := w.run(d)
	w.happen("user.created", 1)
	w.next(r)
	time.AfterFunc(10*time.Millisecond, func() { close(hang) })
	stop()
	w.outcome(webhook.Sent)
	if left := w.waiting(e.ID); len(left) != 0 {
		t.Error("it was delivered, and that is not written down")
	}
}

// The wake-up is lost here, as nobody is there to hear it.
func TestWhatWasCommittedWhileNobodyRanIsDelivered(t *testing.T) {
	w := newWorld(t)
	r := w.receiver(nil)
	w.endpoint(r.URL)
	w.start()()
	var ids []string
	for range 5 {
		ids = append(ids, w.happen("user.created", 200)...)
		w.happen("user.updated", 300)
		w.clock.Advance(24 * time.Hour)
	}
	w.start()
	seen := map[string]int{}
	for range ids { // it is far behind, so several come at a time
		seen[w.next(r).id]++
	}
	for _, id := range ids {
		if seen[id] != 1 {
			t.Errorf("%s came %d times", id, seen[id])
		}
	}
}

func TestTwoDeliverersOnOneStoreDeliverOnce(t *testing.T) {
	w := newWorld(t)
	r := w.receiver(nil)
	e := w.endpoint(r.URL)
	stopA, stopB := w.start(), w.start()
	var ids []string
	for range 20 {
		ids = append(ids, w.happen("user.created", 10)...)
	}
	w.gets(r, ids...)
	stopA() // the other takes over, whichever it was
	more := w.happen("user.created", 10)
	w.gets(r, more...)
	stopB()
	w.getsNothing(r)
	if left := w.waiting(e.ID); len(left) != 0 {
		t.Errorf("%d deliveries still wait", len(left))
	}
}

// Whoever is gone without a word is missed when the lease ends.
func TestALeaseEndsByItself(t *testing.T) {
	w := newWorld(t)
	r := w.receiver(nil)
	w.endpoint(r.URL)
	w.do(func(tx store.Tx) error {
		_, err := hook.Hold(tx, "gone", 15*time.Second, noon)
		return err
	})
	w.start()
	ids := w.happen("user.created", 1)
	w.clock.Advance(15 * time.Second)
	w.gets(r, ids...)
}

// Whoever has lost the lease, to a replica that thought it gone, stops.
func TestWhoeverHasLostTheLeaseDeliversNoMore(t *testing.T) {
	w := newWorld(t)
	r := w.receiver(nil)
	w.endpoint(r.URL)
	d := w.deliverer()
	d.SetLease(30 * time.Millisecond)
	w.run(d)
	w.gets(r, w.happen("user.created", 1)...)
	w.do(func(tx store.Tx) error {
		return tx.PutWebhookLease(hook.Lease{Holder: "another", Until: noon.Add(time.Minute)})
	})
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !strings.Contains(w.log.String(), "delivered by another replica") {
		<-tick.C
	}
	ids := w.happen("user.created", 3)
	w.clock.Advance(time.Minute - 1)
	w.getsNothing(r)
	w.clock.Advance(1)
	w.gets(r, ids...)
}

func TestATryThatFailsIsRepeatedInGrowingPausesAndThenGivenUp(t *testing.T) {
	w := newWorld(t)
	r := w.receiver(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusServiceUnavailable) })
	e := w.endpoint(r.URL)
	w.start()
	ids := w.happen("user.created", 1)
	var total time.Duration
	for i, p := range hook.Pauses() {
		w.gets(r, ids[0])
		w.outcome(webhook.Failed)
		ds := w.waiting(e.ID)
		if len(ds) != 1 || len(ds[0].Attempts) != i+1 {
			t.Fatalf("after %d tries: %+v", i+1, ds)
		}
		a := ds[0].Attempts[i]
		if a.Status != 503 || a.Error != "status" || a.Took <= 0 || !a.At.Equal(w.clock.Now()) {
			t.Errorf("try %d: %+v", i+1, a)
		}
		if wait := ds[0].Due.Sub(w.clock.Now()); wait > p || wait < p*9/10 {
			t.Errorf("after %d tries it waits %v, want up to %v", i+1, wait, p)
		}
		total += p
		w.clock.Advance(p + time.Minute) // and no endpoint is held for longer
	}
	w.gets(r, ids[0])
	w.outcome(webhook.GivenUp)
	if total < 60*time.Hour || total > 72*time.Hour {
		t.Errorf("tries go over %v, want about three days", total)
	}
	if len(w.waiting(e.ID)) != 0 {
		t.Error("what was given up still waits")
	}
	told := w.told(audit.WebhookFailed)
	if len(told) != 1 || !strings.Contains(told[0], `"webhook_endpoint_id":"`+string(e.ID)+`","event_id":"`+ids[0]+`","event":"user.created","attempts":10,"status":503,"error":"status"`) {
		t.Errorf("events: %v", told)
	}
	// One event is no reason to disable it, after however long.
	if d := w.told(audit.WebhookEndpointDisabled); len(d) != 0 {
		t.Errorf("disabled: %v", d)
	}
}

func TestAnEndpointThatOnlyFailsForDaysIsDisabled(t *testing.T) {
	w := newWorld(t)
	r := w.receiver(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusInternalServerError) })
	e := w.endpoint(r.URL)
	// All that others are told of it comes once: nothing feeds itself.
	other := w.receiver(nil)
	w.endpointFor(other.URL, audit.WebhookFailed, audit.WebhookEndpointDisabled)
	stop := w.start()
	w.happen("user.created", 3)
	for range 3 {
		w.outcome(webhook.Failed)
	}
	if d := w.told(audit.WebhookEndpointDisabled); len(d) != 0 {
		t.Fatalf("disabled at once: %v", d)
	}
	w.clock.Advance(hook.DisableAfter)
	if g := w.next(other); g.name != audit.WebhookFailed { // too old for yet another try
		t.Errorf("told of %s", g.name)
	}
	disabled := false
	for !disabled {
		disabled = w.next(other).name == audit.WebhookEndpointDisabled
	}
	stop()
	w.look(func(tx store.Tx) error {
		if e, err := hook.Get(tx, e.ID); err != nil || !e.Disabled {
			t.Errorf("endpoint %+v, %v", e, err)
		}
		return nil
	})
	if d := w.told(audit.WebhookEndpointDisabled); len(d) != 1 || !strings.Contains(d[0], `"status":"disabled"`) {
		t.Errorf("events: %v", d)
	}
}

func TestAReceiverThatComesBackGetsAllThatItMissed(t *testing.T) {
	w := newWorld(t)
	broken := make(chan struct{})
	r := w.receiver(func(rw http.ResponseWriter, _ *http.Request) {
		select {
		case <-broken:
		default:
			rw.WriteHeader(http.StatusBadGateway)
		}
	})
	e := w.endpoint(r.URL)
	stop := w.start()
	ids := w.happen("user.created", 50)
	for range 5 {
		w.outcome(webhook.Failed)
	}
	close(broken)
	seen := map[string]bool{}
	for len(w.waiting(e.ID)) > 0 {
		w.clock.Advance(time.Second)
		select {
		case g := <-r.got:
			seen[g.id] = true
		case <-time.After(time.Millisecond):
		}
	}
	stop()
	for range len(r.got) {
		seen[(<-r.got).id] = true
	}
	for _, id := range ids {
		if !seen[id] {
			t.Errorf("%s never came", id)
		}
	}
	w.look(func(tx store.Tx) error {
		if _, err := tx.WebhookHealth(e.ID); err == nil {
			t.Error("it still counts as failing")
		}
		return nil
	})
}

// While the secret changes hands, what is sent is good for whoever has either.
func TestARotatedSecretSignsForADayYet(t *testing.T) {
	w := newWorld(t)
	r := w.receiver(nil)
	e := w.endpoint(r.URL)
	old, fresh := w.secrets[0], ""
	w.do(func(tx store.Tx) (err error) {
		_, fresh, err = hook.Rotate(tx, w.rules(), e.ID, "", audit.System, noon)
		return err
	})
	w.start()
	check := func(oldIsGood bool) {
		t.Helper()
		w.happen("user.created", 1)
		g := w.next(r)
		now := w.clock.Now()
		if err := verify(fresh, g, now); err != nil {
			t.Errorf("with the new secret: %v", err)
		}
		if err := verifyWorkOS(fresh, g, now); err != nil {
			t.Errorf("with the new secret: %v", err)
		}
		if err := verify(old, g, now); (err == nil) != oldIsGood {
			t.Errorf("with the old secret: %v, good: %v", err, oldIsGood)
		}
	}
	check(true)
	w.clock.Advance(hook.SecretOverlap - time.Second)
	check(true)
	w.clock.Advance(time.Second)
	check(false)
}

// An older secrets_key is needed until somebody has delivered under the new one, and no longer.
func TestSecretsAreSealedAnewUnderTheNewKey(t *testing.T) {
	w := newWorld(t)
	older, newer := seal.NewKey(), seal.NewKey()
	box := func(keys ...[]byte) *seal.Box {
		b, err := seal.NewBox(keys...)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	w.box = box(older)
	r := w.receiver(nil)
	w.endpoint(r.URL)
	for _, w.box = range []*seal.Box{box(newer, older), box(newer)} {
		stop := w.start()
		w.happen("user.created", 1)
		if err := verify(w.secrets[0], w.next(r), noon); err != nil {
			t.Error(err)
		}
		stop()
	}
}

func TestOneEventIsSentAgainToWhoeverAsks(t *testing.T) {
	w := newWorld(t)
	r := w.receiver(nil)
	e := w.endpoint(r.URL)
	w.start()
	ids := w.happen("user.created", 3)
	w.gets(r, ids...)
	not := w.happen("user.updated", 1) // it is not subscribed to that
	for _, id := range []string{ids[1], not[0]} {
		w.do(func(tx store.Tx) error { return hook.Redeliver(tx, e.ID, id, w.clock.Now()) })
		w.gets(r, id)
	}
}

// It was sent, and that is not written down yet: the wish is not taken for fulfilled.
func TestASecondRoundIsNotEndedByTheFirst(t *testing.T) {
	w := newWorld(t)
	hang := make(chan struct{})
	r := w.receiver(func(http.ResponseWriter, *http.Request) { <-hang })
	e := w.endpoint(r.URL)
	stop := w.start()
	ids := w.happen("user.created", 1)
	w.gets(r, ids...)
	w.do(func(tx store.Tx) error { return hook.Redeliver(tx, e.ID, ids[0], noon) })
	close(hang)
	w.gets(r, ids...)
	w.outcome(webhook.Sent)
	w.outcome(webhook.Sent)
	stop()
	w.getsNothing(r)
	if n := len(w.waiting(e.ID)); n != 0 {
		t.Errorf("%d still wait", n)
	}
}

func TestAllSinceATimeIsSentAgainInItsOrder(t *testing.T) {
	w := newWorld(t)
	r := w.receiver(nil)
	e := w.endpoint(r.URL)
	w.start()
	w.gets(r, w.happen("user.created", 300)...)
	w.clock.Advance(time.Hour)
	since := w.clock.Now()
	var ids []string
	for range 3 {
		ids = append(ids, w.happen("user.created", 150)...)
		w.happen("user.updated", 150)
	}
	w.gets(r, ids...)
	w.do(func(tx store.Tx) error { return hook.RedeliverSince(tx, e.ID, since, w.clock.Now()) })
	w.gets(r, ids...)
	w.getsNothing(r)
}
