// Package mailtest runs a mail server from npm for tests: one that nobody here wrote, with
// TLS, authentication, and answers that go wrong on demand.
package mailtest

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/internal/need"
)

// A Config is how the server is. What it does with a mail is in the first word of the
// recipient's address, up to a hyphen: "bounce" (550), "grey" (451 twice, then taken),
// "drop" (the connection ends), "slow" (no answer), "quote" (554, with all of the mail).
type Config struct {
	// Address of loopback, 127.0.0.1 if empty, and Port; 0: a free one.
	Address string `json:"address,omitzero"`
	Port    int    `json:"port,omitzero"`
	// TLS is "starttls", "implicit" or "none", the default.
	TLS string `json:"tls"`
	// Username and Password that it wants; without, it wants none. Methods of AUTH that it
	// offers; nil: PLAIN and LOGIN.
	Username string   `json:"username,omitzero"`
	Password string   `json:"password,omitzero"`
	Methods  []string `json:"methods,omitzero"`
	// RefuseSender has it refuse every MAIL FROM.
	RefuseSender bool `json:"refuseSender,omitzero"`
}

// A Mail is one that the server has taken.
type Mail struct {
	From    string   `json:"from"`
	To      []string `json:"to"`
	Subject string   `json:"subject"`
	Text    string   `json:"text"`
	HTML    string   `json:"html"`
	Headers []string `json:"headers"` // as they came, folded lines and all
	Secure  bool     `json:"secure"`
	User    string   `json:"user"`
	HELO    string   `json:"helo"`
	// Session is the same for mails that came on one connection, and Transaction counts
	// them.
	Session     string `json:"session"`
	Transaction int    `json:"transaction"`
}

// A Server is a mail server on loopback.
type Server struct {
	Port int
	// CA is what its certificate, for localhost and 127.0.0.1, is signed by, in PEM.
	CA []byte
	// Mails are those that it has taken, in order.
	Mails <-chan Mail

	stop func()
}

// Start starts a server, and ends it with the test.
func Start(t testing.TB, c Config) *Server {
	t.Helper()
	_, file, _, _ := runtime.Caller(0)
	dir := filepath.Join(filepath.Dir(file), "node")
	node := need.Tool(t, "install Node.js 20 or later", "node")
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "smtp-server")); err != nil {
		need.Missing(t, "npm's smtp-server", "make tools")
	}
	if c.TLS == "" {
		c.TLS = "none"
	}
	cert, key := certificate(t)
	settings, err := json.Marshal(struct {
		Config
		Cert string `json:"cert"`
		Key  string `json:"key"`
	}{c, string(cert), string(key)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, node, filepath.Join(dir, "smtp.mjs"))
	cmd.Env = append(os.Environ(), "ORGATE_TEST_SMTP="+string(settings))
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe() // the server ends when this does
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	mails := make(chan Mail, 10_000)
	s := &Server{CA: cert, Mails: mails}
	ended := make(chan struct{})
	s.stop = func() {
		cancel()
		_ = stdin.Close()
		<-ended
	}
	t.Cleanup(s.Stop)

	// The first line comes when the port is open: nothing to poll.
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, 1<<20)
	var began struct {
		Port int `json:"port"`
	}
	if lines.Scan() {
		_ = json.Unmarshal(lines.Bytes(), &began) // see below
	}
	s.Port = began.Port
	go func() {
		for lines.Scan() {
			var m Mail
			if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
				panic(err) // the script is ours
			}
			mails <- m
		}
		_ = cmd.Wait() // it is killed
		close(mails)
		close(ended)
	}()
	if s.Port == 0 {
		t.Fatal("the mail server ended before it listened")
	}
	return s
}

// Stop ends the server, at once.
func (s *Server) Stop() {
	s.stop()
}

// Next returns the next mail that the server takes.
func (s *Server) Next(t testing.TB) Mail {
	t.Helper()
	select {
	case m, ok := <-s.Mails:
		if !ok {
			t.Fatal("no mail: the server has ended")
		}
		return m
	case <-time.After(30 * time.Second):
		t.Fatal("no mail came")
	}
	return Mail{}
}

// Header returns the value of a header as it came; empty if it is not there.
func (m Mail) Header(name string) string {
	for _, h := range m.Headers {
		if k, v, ok := strings.Cut(h, ":"); ok && strings.EqualFold(k, name) {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

func certificate(t testing.TB) (cert, key []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "mail server of a test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
}
