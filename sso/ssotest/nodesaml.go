package ssotest

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A NodeSAMLConfig configures npm's saml-idp. It has no people: whoever signs in types who they
// are, as userName (the NameID), email, displayName and groups, with commas between. What was typed last is
// what its form begins with.
type NodeSAMLConfig struct {
	// Issuer is its entity id.
	Issuer string
	// ACS, Audience and SLO are the addresses and the entity id of the application, the only one that
	// it has. SLO may be empty: then it has no logout.
	ACS, Audience, SLO string
	// RelayState is what it sends along when it begins a sign-in itself.
	RelayState string
}

// A NodeSAMLProvider is npm's saml-idp, running.
type NodeSAMLProvider struct {
	// URL is where a sign-in begins at the provider; its metadata is at /metadata below it.
	URL string
	// Certificate is the one that it signs with, in DER.
	Certificate []byte
}

// MetadataURL is where it publishes what it is.
func (p *NodeSAMLProvider) MetadataURL() string { return p.URL + "/metadata" }

// StartNodeSAML starts npm's saml-idp on a free port of loopback, with a key of its own, and ends
// it with the test. Where node or the package is not there the test is skipped, as by [StartNodeProvider].
func StartNodeSAML(t TB, c NodeSAMLConfig) *NodeSAMLProvider {
	t.Helper()
	node, modules := nodeWith(t, "saml-idp")
	dir, err := os.MkdirTemp("", "orgate-node-")
	if err != nil {
		t.Fatalf("ssotest: %v", err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	key, err := NewSAMLKey(2048)
	if err != nil {
		t.Fatalf("%v", err)
	}
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	err = errors.Join(
		os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: key.Certificate}), 0o600),
		os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key.Private)}), 0o600))
	if err != nil {
		t.Fatalf("ssotest: %v", err)
	}
	// It can't be told to take any port and say which: another may take this one first.
	for range 3 {
		port, err := anyPort(t)
		if err != nil {
			t.Fatalf("ssotest: %v", err)
		}
		args := []string{
			filepath.Join(modules, "saml-idp", "bin", "run.js"), "--host", "127.0.0.1", "--port", strconv.Itoa(port),
			"--issuer", c.Issuer, "--acsUrl", c.ACS, "--audience", c.Audience, "--cert", certFile, "--key", keyFile,
		}
		if c.SLO != "" {
			args = append(args, "--sloUrl", c.SLO)
		}
		if c.RelayState != "" {
			args = append(args, "--relayState", c.RelayState)
		}
		cmd := exec.Command(node, args...) //nolint:noctx // ended by Cleanup, when the test's context is gone already
		cmd.Dir = dir
		cmd.Env = append(slices.DeleteFunc(os.Environ(), func(s string) bool { // it would listen there
			return strings.HasPrefix(s, "PORT=") || strings.HasPrefix(s, "HOST=")
		}), "NODE_NO_WARNINGS=1")
		cmd.Stdout, cmd.Stderr = io.Discard, t.Output() // it prints every response
		if err := cmd.Start(); err != nil {
			t.Fatalf("ssotest: %v", err)
		}
		ended := make(chan struct{})
		go func() {
			_ = cmd.Wait() // killed, or it could not listen
			close(ended)
		}()
		if listens(port, ended) {
			t.Cleanup(func() {
				_ = cmd.Process.Kill()
				<-ended
			})
			return &NodeSAMLProvider{URL: fmt.Sprintf("http://127.0.0.1:%d", port), Certificate: key.Certificate}
		}
		_ = cmd.Process.Kill()
		<-ended
	}
	t.Fatalf("ssotest: saml-idp does not listen")
	return nil
}

func anyPort(t TB) (int, error) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// listens waits until something takes connections at a port, for half a minute at most, or until
// the process that is to do so has ended.
func listens(port int, ended <-chan struct{}) bool {
	limit := time.After(30 * time.Second)
	for {
		conn, err := net.DialTimeout("tcp", "127.0.0.1:"+strconv.Itoa(port), time.Second) //nolint:noctx // it has a limit of its own
		if err == nil {
			_ = conn.Close()
			return true
		}
		select {
		case <-ended:
			return false
		case <-limit:
			return false
		case <-time.After(20 * time.Millisecond):
		}
	}
}
