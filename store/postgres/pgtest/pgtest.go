// Package pgtest starts a real PostgreSQL for a test, in a temporary directory, on
// loopback, and ends it with the test.
package pgtest

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/orgate/orgate/internal/need"
)

// A Server is a running PostgreSQL.
type Server struct {
	t    testing.TB
	set  string
	bin  string
	dir  string
	port int
	n    int
}

// Start makes a fresh cluster and starts it. Its commits reach the operating system but not the disk: power loss is
// not under test, and the server may be killed. settings are more of postgresql.conf's,
// such as "fsync=on".
func Start(t testing.TB, settings ...string) *Server {
	t.Helper()
	initdb := need.Debian(t, "postgresql", "/usr/lib/postgresql/*/bin/initdb", "initdb")
	dir, err := os.MkdirTemp("", "orgate-pg-") //nolint:usetesting // t.TempDir's path may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s := &Server{t: t, bin: filepath.Dir(initdb), dir: dir, port: freePort(t)}
	for _, c := range settings {
		s.set += " -c " + c
	}
	if os.Geteuid() == 0 { // the server refuses to run as root
		if out, err := exec.CommandContext(t.Context(), "chown", "postgres", dir).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	s.run("initdb", "-D", dir+"/data", "-A", "trust", "-U", "orgate", "-E", "UTF8", "--no-locale", "-N")
	s.Up()
	t.Cleanup(s.Down)
	return s
}

// Up starts the server on the port it had.
func (s *Server) Up() {
	s.t.Helper()
	s.run("pg_ctl", "-D", s.dir+"/data", "-w", "-l", s.dir+"/log", "-o",
		fmt.Sprintf("-c listen_addresses=127.0.0.1 -c port=%d -c unix_socket_directories=%s -c fsync=off -c full_page_writes=off -c max_connections=200%s", s.port, s.dir, s.set), "start")
}

// Down stops it, cutting every connection.
func (s *Server) Down() {
	s.t.Helper()
	if _, err := os.Stat(s.dir + "/data/postmaster.pid"); err == nil {
		s.run("pg_ctl", "-D", s.dir+"/data", "-m", "immediate", "-w", "stop")
	}
}

// URL returns the connection URL of a fresh, empty database.
func (s *Server) URL() string {
	s.t.Helper()
	s.n++
	name := fmt.Sprintf("orgate%d", s.n)
	conn, err := pgx.Connect(context.Background(), s.url("postgres"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(context.Background(), "CREATE DATABASE "+name); err != nil {
		s.t.Fatal(err)
	}
	return s.url(name)
}

func (s *Server) url(database string) string {
	return fmt.Sprintf("postgres://orgate@127.0.0.1:%d/%s?sslmode=disable", s.port, database)
}

// run calls one of PostgreSQL's programs, as the user postgres if the test runs as root.
func (s *Server) run(program string, args ...string) {
	s.t.Helper()
	args = append([]string{filepath.Join(s.bin, program)}, args...)
	if os.Geteuid() == 0 {
		args = append([]string{"runuser", "-u", "postgres", "--"}, args...)
	}
	cmd := exec.CommandContext(context.Background(), args[0], args[1:]...) // also runs in cleanups
	cmd.Dir = s.dir
	// Not a pipe: the server inherits it and would keep it open.
	var out *os.File
	if f, err := os.Create(filepath.Join(s.dir, "out")); err == nil {
		out = f
		defer f.Close()
	}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		said, _ := os.ReadFile(filepath.Join(s.dir, "out"))
		log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
		s.t.Fatalf("%s: %v\n%s%s", strings.Join(args, " "), err, said, bytes.TrimSpace(log))
	}
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
