package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// control serves what only this machine's owner of the data directory may ask for, because no
// other process can open the embedded store meanwhile: a copy of it, what it knows,
// for explain, the commands that change it, and the domains. It is a socket in that directory, of
// mode 0600, so that the file system says who may.
func (g *gateway) control(ctx context.Context) (*http.Server, func(), error) {
	c := g.config()
	if c.Store.Badger == nil {
		return nil, func() {}, nil
	}
	path := controlSocket(string(c.Store.Badger.Dir))
	// The store's lock is ours, so a socket that is there was left by one that is gone.
	if err := ignoreGone(os.Remove(path)); err != nil {
		return nil, nil, err
	}
	l, err := listenPrivately(ctx, path)
	if err != nil {
		g.log.WarnContext(ctx, "no control socket: commands that need the store work only while orgate is stopped", "cause", err)
		return nil, func() {}, nil
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /backup", func(w http.ResponseWriter, r *http.Request) {
		if _, err := g.store.Backup(r.Context(), w); err != nil {
			g.log.ErrorContext(r.Context(), "backup", "cause", err)
			panic(http.ErrAbortHandler) // cut off, so that it is not taken for whole
		}
	})
	mux.HandleFunc("GET /known", g.serveKnown)
	mux.HandleFunc("POST /operations/{name}", g.serveOperation)
	mux.HandleFunc("GET /domains", domainsHandler(g.store, nil))
	mux.HandleFunc("POST /domains/verify", domainsHandler(g.store, g.domains))
	mux.HandleFunc("POST /audit/{what}", g.serveAudit)
	mux.HandleFunc("POST /saml/key", g.serveSAMLKey)
	mux.HandleFunc("POST /saml/test", g.serveStartTrial)
	mux.HandleFunc("GET /saml/test/{id}", g.serveTrial)
	s := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		if err := ended(s.Serve(l)); err != nil && !errors.Is(err, net.ErrClosed) {
			g.log.ErrorContext(ctx, "control socket", "cause", err)
		}
	}()
	return s, func() { _ = os.Remove(path) }, nil
}

// listenPrivately listens at a socket that nobody but us may open, at any time: it gets its mode in
// a directory that lets nobody else in, as the store's may do, and then its place.
func listenPrivately(ctx context.Context, path string) (_ net.Listener, err error) {
	dir, err := os.MkdirTemp(filepath.Dir(path), ".s")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	made := filepath.Join(dir, "s")
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", made)
	if err != nil {
		return nil, err
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // where it was made it is not any more
	if err := os.Chmod(made, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	if err := os.Rename(made, path); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func controlSocket(dir string) string { return filepath.Join(dir, "orgate.sock") }

// askRunning asks the process that has the store in dir, and hands the answer to read. A form
// is posted, if there is one.
func askRunning(ctx context.Context, dir, method, path string, form url.Values, read func(io.Reader) error) error {
	var dialer net.Dialer
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, "unix", controlSocket(dir))
	}}}
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, method, "http://orgate"+path, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("the store is in use, and the orgate that uses it does not answer at %s: %w", controlSocket(dir), err)
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
		return read(resp.Body)
	case http.StatusConflict: // it says what is wrong with what was asked
		text, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
		if err != nil {
			return err
		}
		return errors.New(strings.TrimSpace(string(text)))
	default:
		return fmt.Errorf("the running orgate answered %s", resp.Status)
	}
}
