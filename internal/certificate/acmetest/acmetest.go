// Package acmetest is an authority that issues certificates by ACME on this machine, for tests: that
// of Let's Encrypt for just that (pebble), in this process.
//
// It owns the authority, and a DNS in which every name is at one address. It looks for whoever asks
// there, at one port, as authorities do at 443.
package acmetest

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"

	"net/http"
)

// An Authority issues certificates.
type Authority struct {
	// Directory is where it is asked.
	Directory string
	// CA is the certificate that its own address is checked against, in PEM; Issued are the
	// roots of what it issues.
	CA     []byte
	Issued *x509.CertPool

	t      testing.TB
	store  *db.MemoryStore
	orders atomic.Int64
}

// hasty makes it neither wait nor ask to be asked again, as it does at random so that clients learn to take it.
var hasty = sync.OnceValue(func() error {
	return errors.Join(os.Setenv("PEBBLE_VA_NOSLEEP", "1"), os.Setenv("PEBBLE_WFE_NONCEREJECT", "0"))
})

// New starts an authority that lasts as long as the test. It looks for who asks at that address, and
// issues for so long.
func New(t testing.TB, at netip.AddrPort, life time.Duration) *Authority {
	t.Helper()
	if err := hasty(); err != nil {
		t.Fatal(err)
	}
	quiet := log.New(io.Discard, "", 0)
	store := db.NewMemoryStore()
	profiles := map[string]ca.Profile{"default": {Description: "of tests", ValidityPeriod: uint64(life.Seconds())}}
	issuer := ca.New(quiet, store, "", "ecdsa", 0, 1, profiles)
	front := wfe.New(quiet, store, va.New(quiet, 1, int(at.Port()), false, resolver(t, at.Addr()), store), issuer, []string{"ca.test"}, false, false, 1, 1)
	a := &Authority{Issued: x509.NewCertPool(), t: t, store: store}
	handler := front.Handler()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/order-plz") {
			a.orders.Add(1)
		}
		handler.ServeHTTP(w, r)
	}))
	server.Config.ErrorLog = quiet
	server.StartTLS()
	t.Cleanup(server.Close)
	a.Directory = server.URL + wfe.DirectoryPath
	a.CA = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	root, err := x509.ParseCertificate(issuer.GetRootCert(0).DER)
	if err != nil {
		t.Fatal(err)
	}
	a.Issued.AddCert(root)
	return a
}

// Orders returns how many certificates were asked for.
func (a *Authority) Orders() int { return int(a.orders.Load()) }

// Refuse has it issue nothing for a host from now on.
func (a *Authority) Refuse(host string) {
	a.t.Helper()
	if err := a.store.AddBlockedDomain(host); err != nil {
		a.t.Fatal(err)
	}
}

// resolver starts a DNS in which every name is at that address.
func resolver(t testing.TB, at netip.Addr) (addr string) {
	t.Helper()
	listen := net.ListenConfig{}
	l, err := listen.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &dns.Server{Listener: l, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		answer := new(dns.Msg).SetReply(q)
		for _, question := range q.Question {
			if question.Qtype == dns.TypeA {
				answer.Answer = append(answer.Answer, &dns.A{Hdr: dns.RR_Header{Name: question.Name, Rrtype: dns.TypeA, Class: dns.ClassINET}, A: at.AsSlice()})
			}
		}
		_ = w.WriteMsg(answer) // who has asked asks again
	})}
	var done sync.WaitGroup
	done.Go(func() { _ = server.ActivateAndServe() }) // until it is shut down
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		done.Wait()
	})
	return l.Addr().String()
}
