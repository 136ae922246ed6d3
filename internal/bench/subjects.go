package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"time"
)

// A variant is a way in which orgate is run.
type variant struct {
	name   string // in the names of its subjects
	binary string
	log    bool // of each request, to a pipe that is read and forgotten
	tls    bool
}

// subjects starts each proxy that is asked for on the first core. The first two are what the
// others are compared with.
func (y *yard) subjects(ctx context.Context, o options, upstream string) ([]*subject, error) {
	wanted, err := regexp.Compile(o.subjects)
	if err != nil {
		return nil, err
	}
	ngx, err := y.nginxProxy(ctx, upstream)
	if err != nil {
		return nil, err
	}
	bare, err := y.bare(ctx, upstream)
	if err != nil {
		return nil, err
	}
	subjects := []*subject{ngx, bare}
	if name := "HAProxy"; wanted.MatchString(name) {
		if _, err := exec.LookPath("haproxy"); err == nil {
			s, err := y.haproxy(ctx, name, upstream)
			if err != nil {
				return nil, err
			}
			subjects = append(subjects, s)
		}
	}
	variants := []variant{{name: "orgate", binary: o.orgate}, {name: "orgate, access log", binary: o.orgate, log: true}, {name: "orgate over TLS", binary: o.orgate, tls: true}}
	if o.before != "" {
		variants = append(variants, variant{name: "orgate before", binary: o.before})
	}
	for _, v := range variants {
		all, err := y.routes(ctx, o, v, upstream, wanted)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", v.name, err)
		}
		subjects = append(subjects, all...)
	}
	return subjects, nil
}

// nginxProxy is nginx, passing requests on and nothing else.
func (y *yard) nginxProxy(ctx context.Context, upstream string) (*subject, error) {
	address, err := free(ctx)
	if err != nil {
		return nil, err
	}
	p, err := y.nginx(ctx, 0, "nginx", address, fmt.Sprintf(`upstream up { server %s; keepalive 512; keepalive_requests 100000000; }
  server { listen %s; location / { proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection ""; } }`, upstream, address))
	return &subject{name: "nginx proxy_pass", url: "http://" + address, process: p}, err
}

// bare is a ReverseProxy and nothing else.
func (y *yard) bare(ctx context.Context, upstream string) (*subject, error) {
	address, err := free(ctx)
	if err != nil {
		return nil, err
	}
	binary := filepath.Join(y.dir, "reverseproxy")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, "./internal/bench/reverseproxy").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, out)
	}
	p, err := y.start(ctx, 0, address, binary, "-listen", address, "-upstream", "http://"+upstream)
	return &subject{name: "httputil.ReverseProxy, tuned", url: "http://" + address, process: p}, err
}

// haproxy is HAProxy on one thread, with connections to the upstream that are shared.
func (y *yard) haproxy(ctx context.Context, name, upstream string) (*subject, error) {
	address, err := free(ctx)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(y.dir, "haproxy.cfg")
	err = os.WriteFile(file, fmt.Appendf(nil, `global
  nbthread 1
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  http-reuse always
frontend in
  bind %s
  default_backend up
backend up
  server up %s
`, address, upstream), 0o600)
	if err != nil {
		return nil, err
	}
	p, err := y.start(ctx, 0, address, "haproxy", "-q", "-db", "-f", file)
	return &subject{name: name, url: "http://" + address, process: p}, err
}

// routes starts orgate if one of its routes is wanted, signs somebody in, and returns those.
func (y *yard) routes(ctx context.Context, o options, v variant, upstream string, wanted *regexp.Regexp) ([]*subject, error) {
	var subjects []*subject
	for _, route := range []struct {
		name, path string
		signedIn   bool
	}{{"public route", "/public", false}, {"signed in", "", true}, {"signed in, role and CEL rule", "/rule", true}} {
		s := &subject{name: v.name + ", " + route.name, path: route.path}
		if route.signedIn {
			s.headers = []string{""} // its cookie, once there is one
		}
		// Of a variant, what differs is measured once; and nobody signs in where the certificate is made up.
		if wanted.MatchString(s.name) && (!v.log && !v.tls || v.log && route.path == "" || v.tls && !route.signedIn) {
			subjects = append(subjects, s)
		}
	}
	if len(subjects) == 0 {
		return nil, nil
	}
	dir, err := os.MkdirTemp(y.dir, "orgate-")
	if err != nil {
		return nil, err
	}
	g, err := y.gate(ctx, o, v, dir, upstream, "")
	if err != nil {
		return nil, err
	}
	var cookie string
	if !v.tls {
		if cookie, err = signIn(ctx, "http://acme.localhost:"+g.port+"/1k"); err != nil {
			return nil, err
		}
	}
	for _, s := range subjects {
		s.url, s.process, s.management = g.scheme+"://127.0.0.1:"+g.port, g.process, g.management
		if s.headers != nil {
			s.headers = []string{cookie}
		}
		s.headers = append(s.headers, "Host: acme.localhost:"+g.port)
	}
	return subjects, nil
}

// certificate writes a key and a certificate for *.localhost and returns the two files.
func certificate(dir string) (certFile, keyFile string, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"*.localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return "", "", err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", "", err
	}
	certFile, keyFile = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: secret}} {
		var b bytes.Buffer
		if err := pem.Encode(&b, block); err != nil {
			return "", "", err
		}
		if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
			return "", "", err
		}
	}
	return certFile, keyFile, nil
}
