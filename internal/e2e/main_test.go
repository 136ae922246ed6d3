package e2e

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/orgate/orgate/sso/ssotest"
)

// slowPath has the program serve every request by net/http: both ways must pass these tests.
var slowPath = flag.Bool("slow-path", false, "serve every request by net/http")

func TestMain(m *testing.M) {
	code, err := build(m)
	shared.close()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// binary is the program under test, built once.
var binary string

func build(m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "orgate-e2e-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "orgate")
	cmd := exec.CommandContext(context.Background(), "go", "build", "-o", binary, "github.com/orgate/orgate/cmd/orgate")
	if out, err := cmd.CombinedOutput(); err != nil {
		return 1, fmt.Errorf("build orgate: %w\n%s", err, out)
	}
	return m.Run(), nil
}

// freePort returns a port of loopback that is free, and likely to stay so until it is used:
// it is not one of those that the system gives to whoever asks for any, and is returned once.
func freePort(t testing.TB) int {
	t.Helper()
	for range 100 {
		port := 20_000 + rand.IntN(12_000)
		if _, ok := given.LoadOrStore(port, true); ok { // nobody may listen there yet
			continue
		}
		l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			_ = l.Close() // nobody has connected
			return port
		}
	}
	t.Fatal("no free port")
	return 0
}

// given are the ports that freePort has returned.
var given sync.Map

// sites is how many installations can share the certified provider at a time.
const sites = 20

// everyone is whom the providers know. Each test has persons of its own, so that no test
// sees what another did.
func everyone() []ssotest.Person {
	verified := true
	person := func(subject, email, name string, groups ...string) ssotest.Person {
		return ssotest.Person{Subject: subject, Email: email, EmailVerified: &verified, Name: name, Groups: append([]string{}, groups...)}
	}
	people := []ssotest.Person{
		person("alice", "alice@acme.test", "Alice Åshby", "Admins", "Engineering"),
		person("bob", "bob@acme.test", "Bob Baker", "Engineering"),
		person("zoe", "zoe@elsewhere.test", "Zoë Zidane", "Admins"),
	}
	for i := range 31 {
		people = append(people, person(fmt.Sprintf("p%d", i), fmt.Sprintf("p%d@acme.test", i), fmt.Sprintf("Person %d", i), "Engineering"))
	}
	return people
}

// clientSecret is what every installation here has with its provider.
const clientSecret = "e2e-client-secret-that-no-log-may-hold"

// shared is what several tests use: it lives until the last of them is done.
var shared fixtures

type fixtures struct {
	mu       sync.Mutex
	ports    []int
	certi    *ssotest.NodeProvider
	cleanups []func()
}

// certified returns the certified provider, and a port of those that it sends browsers
// back to.
func certified(t *testing.T) (issuer string, port int) {
	t.Helper()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.certi == nil {
		client := ssotest.Client{ID: "orgate", Secret: clientSecret}
		for range sites {
			p := freePort(t)
			shared.ports = append(shared.ports, p)
			client.RedirectURIs = append(client.RedirectURIs, fmt.Sprintf("http://login.localhost:%d/sso/oidc/callback", p))
			client.PostLogoutURIs = append(client.PostLogoutURIs, fmt.Sprintf("http://login.localhost:%d/signed-out", p))
		}
		shared.certi = ssotest.StartNodeProvider(lasting{t, &shared}, ssotest.NodeConfig{Clients: []ssotest.Client{client}, People: everyone()})
	}
	if len(shared.ports) == 0 {
		t.Fatal("more than so many installations: raise sites")
	}
	port = shared.ports[0]
	shared.ports = shared.ports[1:]
	t.Cleanup(func() {
		shared.mu.Lock()
		defer shared.mu.Unlock()
		shared.ports = append(shared.ports, port)
	})
	return shared.certi.Issuer, port
}

func (f *fixtures) close() {
	for _, c := range f.cleanups {
		c()
	}
}

// lasting is a test on behalf of which something is started that outlives it.
type lasting struct {
	*testing.T
	f *fixtures
}

func (l lasting) Cleanup(c func())         { l.f.cleanups = append(l.f.cleanups, c) }
func (l lasting) Context() context.Context { return context.Background() }
func (l lasting) Output() io.Writer        { return os.Stderr }

// until waits for what comes in its own time.
func until(t testing.TB, what string, limit time.Duration, done func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(limit); !done(); {
		select {
		case <-end:
			if done() { // the machine may have been busy with something else
				return
			}
			t.Fatalf("after %v still not: %s", limit, what)
		case <-tick.C:
		}
	}
}

// run runs the program with arguments to its end.
func run(t testing.TB, stdin io.Reader, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(context.Background(), binary, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// begin runs the program with arguments, and tells how it ended.
func begin(t testing.TB, out io.Writer, args ...string) (ended <-chan int) {
	t.Helper()
	cmd := exec.CommandContext(context.Background(), binary, args...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	code := make(chan int, 1)
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait() // how it ended is in its ProcessState
		code <- cmd.ProcessState.ExitCode()
		close(done)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-done
	})
	return code
}
