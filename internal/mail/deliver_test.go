package mail_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/mail"
	"github.com/orgate/orgate/internal/mail/mailtest"
	"github.com/orgate/orgate/internal/outbox"
	"github.com/orgate/orgate/internal/seal"
	"github.com/orgate/orgate/internal/text"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/store/badger"
	"github.com/orgate/orgate/store/storetest"
)

// secret is the code in every mail here: no log may have it.
const secret = "493817"

// A world is an installation that sends mail.
type world struct {
	*testing.T
	dir   string
	s     *store.Store
	box   *seal.Box
	clock *storetest.Clock

	mu      sync.Mutex
	counts  map[string]int
	changed chan struct{} // closed and made anew at each count
	log     bytes.Buffer
}

func newWorld(t *testing.T) *world {
	box, err := seal.NewBox(seal.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, dir: t.TempDir(), box: box, clock: storetest.NewClock(time.Now()), counts: map[string]int{}, changed: make(chan struct{})}
	w.open()
	t.Cleanup(func() {
		_ = w.s.Close() // some tests have done so
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, s := range []string{secret, password, "@acme.test", "Zürich", "Your code"} {
			if strings.Contains(w.log.String(), s) {
				t.Errorf("the log has %q:\n%s", s, w.log.String())
			}
		}
	})
	return w
}

// open opens the store in its directory, as a restart does.
func (w *world) open() {
	w.Helper()
	e, err := badger.Open(badger.Options{Dir: w.dir, Now: w.clock.Now})
	if err != nil {
		w.Fatal(err)
	}
	w.s = store.New(e, store.Options{Now: w.clock.Now})
}

// Write takes the log.
func (w *world) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.Write(p)
}

func (w *world) count(outcome string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts[outcome]++
	close(w.changed)
	w.changed = make(chan struct{})
}

// until waits until the outcome was counted so often.
func (w *world) until(outcome string, n int) {
	w.Helper()
	for limit := time.After(30 * time.Second); ; {
		w.mu.Lock()
		got, changed := w.counts[outcome], w.changed
		w.mu.Unlock()
		if got >= n {
			return
		}
		select {
		case <-changed:
		case <-limit:
			w.Fatalf("%s %d times, want %d; all: %v\n%s", outcome, got, n, w.counts, w.log.String())
		}
	}
}

func (w *world) counted(want map[string]int) {
	w.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if fmt.Sprint(w.counts) != fmt.Sprint(want) {
		w.Errorf("outcomes: %v, want %v", w.counts, want)
	}
}

// delivery returns one that sends by s.
func (w *world) delivery(s mail.Sender) *mail.Delivery {
	return &mail.Delivery{
		Store: w.s, Box: w.box, Sender: func() mail.Sender { return s }, Logger: slog.New(slog.NewJSONHandler(w, nil)),
		Now: w.clock.Now, Count: w.count, Poll: 10 * time.Millisecond, Grace: 10 * time.Second,
	}
}

// run runs a delivery; stop ends it, and waits for that.
func (w *world) run(d *mail.Delivery) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		_ = d.Run(ctx) // it ends with ctx
		close(done)
	}()
	stop = func() {
		cancel()
		<-done
	}
	w.Cleanup(stop)
	return stop
}

func (w *world) put(to ...string) {
	w.Helper()
	err := w.s.Update(w.Context(), func(tx store.Tx) error {
		for _, a := range to {
			m := mail.SignInCode{Organization: "Zürich", Host: "login.example.com", Code: secret, Minutes: 10}
			if err := mail.NewQueue(w.box).Put(tx, a, m, text.English, w.clock.Now().Add(10*time.Minute), w.clock.Now()); err != nil {
				return err
			}
		}
		return audit.Record(tx, audit.New("orgate.test", audit.System, w.clock.Now()), nil)
	})
	if err != nil {
		w.Fatal(err)
	}
}

// waiting returns the addresses of the mails that wait, due or leased.
func (w *world) waiting() (to []string) {
	w.Helper()
	err := w.s.View(context.WithoutCancel(w.Context()), func(tx store.Tx) error {
		to = nil
		for m, err := range tx.DueOutboxMessages(w.clock.Now().Add(time.Hour)) {
			if err != nil {
				return err
			}
			to = append(to, m.To)
		}
		return nil
	})
	if err != nil {
		w.Fatal(err)
	}
	return to
}

func (w *world) nothingWaits() {
	w.Helper()
	if to := w.waiting(); len(to) > 0 {
		w.Errorf("there wait still: %v", to)
	}
}

func (w *world) failures() (data []string) {
	w.Helper()
	changes, err := w.s.Feed(w.Context(), 0, 1000)
	if err != nil {
		w.Fatal(err)
	}
	for _, c := range changes {
		if strings.Contains(string(c.Event.Data), secret) {
			w.Errorf("a code is in an event: %s", c.Event.Data)
		}
		if c.Event.Name == audit.MailFailed {
			data = append(data, string(c.Event.Data))
		}
	}
	return data
}

func TestMailIsSentAtOnce(t *testing.T) {
	w := newWorld(t)
	server := mailtest.Start(t, mailtest.Config{TLS: "starttls", Username: "gate", Password: password})
	s := sender(server)
	s.Encryption, s.Username, s.Password = mail.StartTLS, "gate", password
	d := w.delivery(s)
	d.Poll = time.Hour // it is not found by looking for it
	w.run(d)
	for range 3 {
		w.put("jo@acme.test")
		m := server.Next(t)
		if m.Subject != "Your code to sign in to Zürich" || !strings.Contains(m.Text, secret) || !strings.Contains(m.HTML, secret) || m.To[0] != "jo@acme.test" {
			t.Errorf("arrived: %+v", m)
		}
	}
	w.until(mail.Sent, 3)
	w.counted(map[string]int{mail.Sent: 3})
	w.nothingWaits()
}

func TestAMailThatIsNotTakenIsTriedAgain(t *testing.T) {
	w := newWorld(t)
	server := mailtest.Start(t, mailtest.Config{})
	w.run(w.delivery(sender(server)))
	w.put("grey@acme.test", "bounce@acme.test", "quote@acme.test", "drop@acme.test", "jo@acme.test")
	if m := server.Next(t); m.To[0] != "jo@acme.test" {
		t.Errorf("arrived first: %v", m.To)
	}
	w.until(mail.Permanent, 2)
	w.until(mail.Temporary, 2)
	w.clock.Advance(10 * time.Second)
	w.until(mail.Temporary, 4)
	w.clock.Advance(30 * time.Second)
	if m := server.Next(t); m.To[0] != "grey@acme.test" || !strings.Contains(m.Text, secret) {
		t.Errorf("arrived after that: %+v", m)
	}
	w.until(mail.Temporary, 5)
	w.until(mail.Sent, 2)
	w.clock.Advance(10 * time.Minute)
	w.until(mail.Expired, 1)
	w.nothingWaits()
	w.counted(map[string]int{mail.Sent: 2, mail.Temporary: 5, mail.Permanent: 2, mail.Expired: 1})
	f := strings.Join(w.failures(), "\n")
	for _, want := range []string{
		`"email":"bounce@acme.test","about":"sign_in_code","tries":1,"expired":false,"reason":"550 5.1.1 at RCPT TO"`,
		`"email":"quote@acme.test","about":"sign_in_code","tries":1,"expired":false,"reason":"554 5.6.0 at the mail"`,
		`"email":"drop@acme.test","about":"sign_in_code","tries":3,"expired":true,`,
	} {
		if !strings.Contains(f, want) {
			t.Errorf("no event with %s:\n%s", want, f)
		}
	}
}

// freePort returns a port that nobody listens on.
func freePort(t *testing.T) int {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func TestMailSurvivesThatServerAndStoreAreDown(t *testing.T) {
	w := newWorld(t)
	port := freePort(t)
	s := sender(&mailtest.Server{Port: port})
	stop := w.run(w.delivery(s))
	w.put("jo@acme.test", "al@acme.test")
	w.until(mail.Unreachable, 1)
	stop()
	if err := w.s.Close(); err != nil {
		t.Fatal(err)
	}

	w.open()
	w.run(w.delivery(s))
	w.until(mail.Unreachable, 2)
	server := mailtest.Start(t, mailtest.Config{Port: port}) // the next try comes by itself
	a, b := server.Next(t), server.Next(t)
	if a.To[0] == b.To[0] || a.Session != b.Session {
		t.Errorf("arrived: %v and %v, on connections %s and %s", a.To, b.To, a.Session, b.Session)
	}
	w.until(mail.Sent, 2)
	w.nothingWaits()
	if f := w.failures(); len(f) > 0 {
		t.Errorf("failed: %v", f)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.counts[mail.Temporary] != 0 {
		t.Error("a server that is down counts as a try")
	}
}

func TestASlowServerBlocksNobody(t *testing.T) {
	w := newWorld(t)
	server := mailtest.Start(t, mailtest.Config{})
	s := sender(server)
	s.Limit = 3 * time.Second
	w.run(w.delivery(s))
	w.put("slow-1@acme.test")
	w.put("slow-2@acme.test")
	// People sign in meanwhile, and get their mails.
	began := time.Now()
	for i := range 5 {
		w.put(fmt.Sprintf("p%d@acme.test", i))
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("to ask for mail took %v", took)
	}
	for range 5 {
		if m := server.Next(t); !strings.HasPrefix(m.To[0], "p") {
			t.Errorf("arrived: %v", m.To)
		}
	}
	w.until(mail.Temporary, 2)
	w.until(mail.Sent, 5)
}

func TestTwoReplicasSendEachMailOnce(t *testing.T) {
	w := newWorld(t)
	server := mailtest.Start(t, mailtest.Config{})
	w.run(w.delivery(sender(server)))
	w.run(w.delivery(sender(server)))
	const n = 100
	for i := range n / 4 {
		var to []string
		for j := range 4 {
			to = append(to, fmt.Sprintf("p%d@acme.test", 4*i+j))
		}
		w.put(to...)
	}
	w.until(mail.Sent, n)
	w.counted(map[string]int{mail.Sent: n})
	w.nothingWaits()
	got := map[string]int{}
	for range n {
		got[server.Next(t).To[0]]++
	}
	if len(got) != n {
		t.Errorf("%d persons got a mail, want %d", len(got), n)
	}
}

// A dying sender sends by another one, and kills the process before or after.
type dying struct {
	mail.Sender
	kill   func()
	before bool
}

type dyingConnection struct {
	mail.Connection
	*dying
}

func (d *dying) Open(ctx context.Context) (mail.Connection, error) {
	c, err := d.Sender.Open(ctx)
	return dyingConnection{c, d}, err
}

func (c dyingConnection) Send(ctx context.Context, l mail.Letter) error {
	if c.before {
		c.kill()
		return errors.New("killed")
	}
	err := c.Connection.Send(ctx, l)
	c.kill()
	return err
}

func TestAKillCostsADuplicateAtMostAndNeverAMail(t *testing.T) {
	for name, before := range map[string]bool{"before it is sent": true, "between sending and saying so": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			server := mailtest.Start(t, mailtest.Config{})
			w.put("jo@acme.test")
			killed := make(chan struct{})
			// The store takes nothing any more: what the loop does after that is as if it did nothing.
			s := &dying{Sender: sender(server), before: before, kill: sync.OnceFunc(func() {
				_ = w.s.Close()
				close(killed)
			})}
			stop := w.run(w.delivery(s))
			<-killed
			stop()

			w.open()
			w.run(w.delivery(sender(server)))
			want := 1
			if !before {
				want = 2
			}
			w.clock.Advance(time.Minute) // the lease ends
			var ids []string
			for range want {
				ids = append(ids, server.Next(t).Header("Message-ID"))
			}
			if ids[0] != ids[len(ids)-1] {
				t.Errorf("one mail has the ids %v", ids)
			}
			w.until(mail.Sent, want)
			w.nothingWaits()
			w.clock.Advance(5 * time.Minute)
			w.put("al@acme.test")
			if m := server.Next(t); m.To[0] != "al@acme.test" {
				t.Errorf("once more: %v", m.To)
			}
		})
	}
}

func TestMailInFlightIsSentBeforeItStops(t *testing.T) {
	w := newWorld(t)
	server := mailtest.Start(t, mailtest.Config{})
	under, goOn := make(chan struct{}), make(chan struct{})
	s := &waiting{Sender: sender(server), under: under, goOn: goOn}
	stop := w.run(w.delivery(s))
	w.put("jo@acme.test")
	<-under
	stopped := make(chan struct{})
	go func() {
		stop()
		close(stopped)
	}()
	w.put("al@acme.test") // too late for this one
	close(goOn)
	<-stopped
	if m := server.Next(t); m.To[0] != "jo@acme.test" {
		t.Errorf("arrived: %v", m.To)
	}
	if to := w.waiting(); len(to) > 1 || len(to) == 1 && to[0] != "al@acme.test" {
		t.Errorf("there wait: %v", to)
	}
}

// A waiting sender sends by another one, when it is told to.
type waiting struct {
	mail.Sender
	under, goOn chan struct{}
	once        sync.Once
}

type waitingConnection struct {
	mail.Connection
	*waiting
}

func (d *waiting) Open(ctx context.Context) (mail.Connection, error) {
	c, err := d.Sender.Open(ctx)
	return waitingConnection{c, d}, err
}

func (c waitingConnection) Send(ctx context.Context, l mail.Letter) error {
	c.once.Do(func() { close(c.under) })
	select {
	case <-c.goOn:
	case <-ctx.Done():
	}
	return c.Connection.Send(ctx, l)
}

func TestMailThatIsCutOffIsDueAtOnceForTheNext(t *testing.T) {
	w := newWorld(t)
	server := mailtest.Start(t, mailtest.Config{})
	s := &waiting{Sender: sender(server), under: make(chan struct{}), goOn: make(chan struct{})}
	d := w.delivery(s)
	d.Grace = 10 * time.Millisecond
	stop := w.run(d)
	w.put("jo@acme.test", "al@acme.test")
	<-s.under
	began := time.Now()
	stop()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("to stop took %v", took)
	}
	w.run(w.delivery(sender(server))) // and the clock has not moved
	if a, b := server.Next(t), server.Next(t); a.To[0] == b.To[0] {
		t.Errorf("arrived: %v and %v", a.To, b.To)
	}
}

func TestAChangedServerIsThereForTheNextMail(t *testing.T) {
	w := newWorld(t)
	first, second := mailtest.Start(t, mailtest.Config{}), mailtest.Start(t, mailtest.Config{})
	var mu sync.Mutex
	var now mail.Sender
	set := func(s mail.Sender) {
		mu.Lock()
		defer mu.Unlock()
		now = s
	}
	d := w.delivery(nil)
	d.Sender = func() mail.Sender {
		mu.Lock()
		defer mu.Unlock()
		return now
	}
	w.run(d)
	w.put("a@acme.test") // there is no server yet: it waits
	set(sender(first))
	if m := first.Next(t); m.To[0] != "a@acme.test" {
		t.Errorf("arrived: %v", m.To)
	}
	set(sender(second))
	w.put("b@acme.test")
	if m := second.Next(t); m.To[0] != "b@acme.test" {
		t.Errorf("arrived: %v", m.To)
	}
	w.until(mail.Sent, 2)
}

// A mail goes to the address that it was sealed for, under a key that is known, or nowhere.
func TestAMailThatCanNotBeOpenedIsGivenUp(t *testing.T) {
	w := newWorld(t)
	server := mailtest.Start(t, mailtest.Config{})
	w.put("jo@acme.test")
	err := w.s.Update(t.Context(), func(tx store.Tx) error {
		for m, err := range tx.DueOutboxMessages(w.clock.Now()) {
			if err != nil {
				return err
			}
			m.To = "thief@acme.test"
			if err := tx.PutOutboxMessage(m); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	other, err := seal.NewBox(seal.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	err = w.s.Update(t.Context(), func(tx store.Tx) error {
		return mail.NewQueue(other).Put(tx, "al@acme.test", mail.NoAccount{Host: "login.example.com"}, text.German, w.clock.Now().Add(time.Hour), w.clock.Now())
	})
	if err != nil {
		t.Fatal(err)
	}
	w.run(w.delivery(sender(server)))
	w.until(mail.Permanent, 2)
	w.nothingWaits()
	w.put("jo@acme.test")
	if m := server.Next(t); m.To[0] != "jo@acme.test" {
		t.Errorf("arrived: %v", m.To)
	}
	if f := w.failures(); len(f) != 2 {
		t.Errorf("events: %v", f)
	}
}

func TestNobodyIsWrittenToAtAnAddressThatIsNone(t *testing.T) {
	w := newWorld(t)
	for _, to := range []string{"", "jo", "jo@acme.test\r\nBcc: al@acme.test", "a@b@acme.test", "Jo <jo@acme.test>", "jo@acme.test, al@acme.test", `"jo"@acme.test`, "-oQ/tmp@", strings.Repeat("a", 300) + "@acme.test"} {
		err := w.s.Update(t.Context(), func(tx store.Tx) error {
			return mail.NewQueue(w.box).Put(tx, to, mail.PasswordChanged{Host: "login.example.com"}, text.English, w.clock.Now().Add(time.Hour), w.clock.Now())
		})
		if err == nil || errors.Is(err, outbox.ErrFull) {
			t.Errorf("%q: %v", to, err)
		}
	}
	w.nothingWaits()
}

// A panicking sender has met an answer that its library can't read.
type panicking struct{ mail.Sender }

func (p panicking) Open(ctx context.Context) (mail.Connection, error) {
	c, err := p.Sender.Open(ctx)
	return panickingConnection{c}, err
}

type panickingConnection struct{ mail.Connection }

func (p panickingConnection) Send(context.Context, mail.Letter) error { panic("of " + secret) }

func TestAPanicWhileSendingIsAFailureOfThatMail(t *testing.T) {
	w := newWorld(t)
	server := mailtest.Start(t, mailtest.Config{})
	stop := w.run(w.delivery(panicking{sender(server)}))
	w.put("jo@acme.test")
	w.until(mail.Temporary, 1)
	stop()
	w.clock.Advance(10 * time.Second)
	w.run(w.delivery(sender(server)))
	server.Next(t)
}
