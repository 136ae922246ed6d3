package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// An endpoint is where a proxy is reached, and by which process.
type endpoint struct {
	process    *process
	address    string // host and port
	management string // of orgate
}

// nginx runs one with what is to be in its http block, which has the address to listen at for
// every %[1]s. by is the command that starts it; none: it is started by itself.
func (y *yard) nginx(ctx context.Context, core int, name, block string, by ...string) (endpoint, error) {
	address, err := free(ctx)
	if err != nil {
		return endpoint{}, err
	}
	dir := filepath.Join(y.dir, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return endpoint{}, err
	}
	conf := fmt.Sprintf(`daemon off; master_process off; worker_processes 1; worker_rlimit_nofile 20000; pid %[1]s/pid; error_log %[1]s/error.log;
events { worker_connections 19000; }
http {
  access_log off; keepalive_requests 100000000; client_body_temp_path %[1]s; proxy_temp_path %[1]s; fastcgi_temp_path %[1]s; uwsgi_temp_path %[1]s; scgi_temp_path %[1]s;
  `, dir) + fmt.Sprintf(block, address) + "\n}\n"
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(conf), 0o644); err != nil {
		return endpoint{}, err
	}
	p, err := y.start(ctx, core, address, append(by, "nginx", "-p", dir, "-c", file)...)
	return endpoint{process: p, address: address}, err
}

// lengths are those of the upstream's answers, by their names.
func lengths() map[string]int { return map[string]int{"1k": 1 << 10, "64k": 64 << 10} }

// upstream is nginx answering from memory, on the core of the load, started by a command if one is given. Short answers are
// in its configuration, with the fields that those of a file have: to read a file is work for the core of the load. So is a
// head above 1 KiB, which a signed-in one has, with the buffer that nginx has for it by default: it takes another one and reads once more.
func (y *yard) upstream(ctx context.Context, by ...string) (string, error) {
	www, short := filepath.Join(y.dir, "www"), ""
	for _, under := range []string{"/", "/public/", "/rule/"} {
		dir := filepath.Join(www, under)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(dir, "64k"), bytes.Repeat([]byte("x"), lengths()["64k"]), 0o644); err != nil {
			return "", err
		}
		short += fmt.Sprintf(`  location = %s1k { add_header Last-Modified "Thu, 01 Jan 2026 00:00:00 GMT"; add_header ETag '"1-400"'; add_header Accept-Ranges bytes; return 200 %s; }
`, under, strings.Repeat("x", lengths()["1k"]))
	}
	up, err := y.nginx(ctx, loadCore, "upstream", `client_header_buffer_size 4k; open_file_cache max=10; server { listen %[1]s reuseport; root `+www+`;
`+short+`}`, by...)
	return up.address, err
}

// nginxProxy is nginx, passing requests on and nothing else but what the directives say.
func (y *yard) nginxProxy(ctx context.Context, name, upstream, directives string) (endpoint, error) {
	return y.nginx(ctx, subjectCore, name, fmt.Sprintf(`upstream up { server %s; keepalive 512; keepalive_requests 100000000; }
  server { listen %%[1]s; location / { proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection ""; %s } }`, upstream, directives))
}

// nginxTLS is the same over TLS, by HTTP/1.1 and HTTP/2.
func (y *yard) nginxTLS(ctx context.Context, upstream string, c certificate) (endpoint, error) {
	return y.nginx(ctx, subjectCore, "nginx", fmt.Sprintf(`upstream up { server %s; keepalive 512; keepalive_requests 100000000; }
  server { listen %%[1]s ssl http2; ssl_certificate %s; ssl_certificate_key %s; ssl_protocols TLSv1.2 TLSv1.3;
    location / { proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection ""; } }`, upstream, c.cert, c.key))
}

// reverseProxy is a ReverseProxy and nothing else; over TLS, if there is a certificate.
func (y *yard) reverseProxy(ctx context.Context, upstream string, c certificate) (endpoint, error) {
	address, err := free(ctx)
	if err != nil {
		return endpoint{}, err
	}
	binary, err := y.programs.path(ctx, "reverseproxy")
	if err != nil {
		return endpoint{}, err
	}
	p, err := y.start(ctx, subjectCore, address, binary, "-listen", address, "-upstream", "http://"+upstream, "-cert", c.cert, "-key", c.key)
	return endpoint{process: p, address: address}, err
}

// haproxy is HAProxy on one thread, with connections to the upstream that are shared.
func (y *yard) haproxy(ctx context.Context, upstream string) (endpoint, error) {
	address, err := free(ctx)
	if err != nil {
		return endpoint{}, err
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
		return endpoint{}, err
	}
	p, err := y.start(ctx, subjectCore, address, "haproxy", "-q", "-db", "-f", file)
	return endpoint{process: p, address: address}, err
}
