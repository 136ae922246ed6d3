package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/orgate/orgate/internal/dnsproof/dnstest"
)

func TestMain(m *testing.M) { testscript.Main(m, map[string]func(){"orgate": main}) }

// TestCommandLine runs the scripts in testdata: what somebody at a terminal sees.
//
// Beside the usual commands, "exits N program args..." asks for an exit status,
// "serving" waits until the program that was started answers at $MANAGEMENT, "metrics" prints
// what it counts, and "envsubst file" puts variables into a file. "dns ZONE" starts name
// servers for a zone, with a resolver at $RESOLVER, and "setrecord [VALUE]" sets the record there that the last
// command has printed. "receiver" starts a receiver of webhooks at $RECEIVER, and "received" waits for
// one, prints it, and sets $EVENT to its id; "webhookid" sets $WEBHOOK to that of the last list.
func TestCommandLine(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			for _, name := range []string{"LISTEN", "MANAGEMENT"} {
				port, err := freeTestPort()
				if err != nil {
					return err
				}
				e.Setenv(name, "127.0.0.1:"+port)
				if name == "LISTEN" {
					e.Setenv("PORT", port)
				}
			}
			e.Values["name servers"] = &nameServers{t: t}
			e.Values["webhooks"] = &receiver{t: t, got: make(chan []byte, 1000)}
			return nil
		},
		Condition: func(what string) (bool, error) {
			if what == "root" {
				return os.Geteuid() == 0, nil
			}
			return false, errors.New("unknown condition")
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "serving": awaitServing, "metrics": metrics, "envsubst": envsubst, "dns": startDNS, "setrecord": setRecord, "invitation": invitationID, "receiver": startReceiver, "received": received, "webhookid": webhookID},
	})
}

// freeTestPort returns a port that is free, and not one that the system gives to whoever asks
// for any.
func freeTestPort() (string, error) {
	var err error
	for range 100 {
		port := strconv.Itoa(20_000 + rand.IntN(12_000))
		var l net.Listener
		if l, err = (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:"+port); err == nil {
			return port, l.Close()
		}
	}
	return "", err
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits N program args...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	code := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		e, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		code = e.ExitCode()
	}
	if code != want {
		ts.Fatalf("exit status %d, want %d", code, want)
	}
}

func envsubst(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		name = ts.MkAbs(name)
		b, err := os.ReadFile(name)
		ts.Check(err)
		ts.Check(os.WriteFile(name, []byte(os.Expand(string(b), ts.Getenv)), 0o600))
	}
}

// nameServers are those of one script.
type nameServers struct {
	t   *testing.T
	all []*dnstest.Server
}

func startDNS(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: dns ZONE")
	}
	servers, _ := ts.Value("name servers").(*nameServers)
	n := dnstest.New(servers.t)
	servers.all = []*dnstest.Server{n.Server("ns1." + args[0]), n.Server("ns2." + args[0])}
	n.Zone(args[0], servers.all[0].Name, servers.all[1].Name)
	ts.Setenv("RESOLVER", n.Resolver.String())
	ts.Setenv("DNSPORT", strconv.Itoa(int(n.Port)))
}

func setRecord(ts *testscript.TestScript, neg bool, args []string) {
	shown := regexp.MustCompile(`TXT record +(\S+)\n +value +(\S+)\n`).FindStringSubmatch(ts.ReadFile("stdout"))
	if neg || len(args) > 1 || shown == nil {
		ts.Fatalf("usage: setrecord [VALUE], after a command that shows a record")
	}
	servers, _ := ts.Value("name servers").(*nameServers)
	for _, s := range servers.all {
		s.Set(shown[1], append(args, shown[2])[0])
	}
}

// invitationID keeps the id that the last command has shown as INVITATION.
func invitationID(ts *testscript.TestScript, neg bool, args []string) {
	id := regexp.MustCompile(`invitation_\w+`).FindString(ts.ReadFile("stdout"))
	if neg || len(args) > 0 || id == "" {
		ts.Fatalf("usage: invitation, after a command that shows one")
	}
	ts.Setenv("INVITATION", id)
}

// A receiver of webhooks is that of one script.
type receiver struct {
	t   *testing.T
	got chan []byte
}

func startReceiver(ts *testscript.TestScript, _ bool, _ []string) {
	r, _ := ts.Value("webhooks").(*receiver)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		if b, err := io.ReadAll(req.Body); err == nil && req.Header.Get("WorkOS-Signature") != "" {
			r.got <- b
		}
	}))
	r.t.Cleanup(server.Close)
	ts.Setenv("RECEIVER", server.URL)
}

func webhookID(ts *testscript.TestScript, _ bool, _ []string) {
	id, _, _ := strings.Cut(ts.ReadFile("stdout"), ":")
	ts.Setenv("WEBHOOK", id)
}

func received(ts *testscript.TestScript, _ bool, _ []string) {
	r, _ := ts.Value("webhooks").(*receiver)
	select {
	case b := <-r.got:
		_, err := ts.Stdout().Write(append(b, '\n'))
		ts.Check(err)
		var e struct{ ID string }
		ts.Check(json.Unmarshal(b, &e))
		ts.Setenv("EVENT", e.ID)
	case <-time.After(30 * time.Second):
		ts.Fatalf("no webhook comes")
	}
}

func metrics(ts *testscript.TestScript, _ bool, _ []string) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+ts.Getenv("MANAGEMENT")+"/metrics", nil)
	ts.Check(err)
	resp, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer resp.Body.Close()
	_, err = io.Copy(ts.Stdout(), resp.Body)
	ts.Check(err)
}

func awaitServing(ts *testscript.TestScript, _ bool, _ []string) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for limit := time.After(30 * time.Second); ; {
		select {
		case <-limit:
			ts.Fatalf("it does not serve")
		case <-tick.C:
		}
		req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+ts.Getenv("MANAGEMENT")+"/readyz", nil)
		ts.Check(err)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			continue
		}
		ts.Check(resp.Body.Close())
		if resp.StatusCode == http.StatusOK {
			return
		}
	}
}
