package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/orgate/orgate/config"
	"github.com/orgate/orgate/internal/heap"
	"github.com/orgate/orgate/internal/quiet"
	"github.com/orgate/orgate/internal/telemetry"
	"github.com/orgate/orgate/proxy"
)

func serveCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "serve --config FILE",
		Short: "Run; SIGHUP or a changed file reloads, SIGTERM drains",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			reader := config.NewReader(file, os.LookupEnv)
			cfg, err := reported(reader.Read, c.ErrOrStderr())
			if err != nil {
				return err
			}
			return serve(c.Context(), serving{reader: reader, config: cfg, stderr: c.ErrOrStderr()})
		},
	}
	configFlag(c, &file)
	return c
}

// serving is what serve is asked to do.
type serving struct {
	// reader reads the configuration again when it changes; config is what it read first.
	reader *config.Reader
	config *config.Config
	stderr io.Writer
	// ready is called once everything listens; nil: nobody asks. Its error ends serve.
	ready func(*gateway) error
}

// serve runs until ctx is done, and then drains.
func serve(ctx context.Context, s serving) (err error) {
	log, end, err := telemetry.Logger(s.stderr, s.config.Log.Format, s.config.Log.Level)
	if err != nil {
		return err
	}
	defer func() { _ = end.Close() }() // whoever would hear of it reads what can't be written
	heap.Limit(log)
	tracing, err := telemetry.NewTracing(ctx, version)
	if err != nil {
		return fmt.Errorf("tracing: %w", err)
	}
	defer closing(&err, 5*time.Second, tracing.Close)

	g, err := open(ctx, s.config, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.close()) }()

	// Work outlives the listeners: requests that drain need sessions and keys.
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	var background sync.WaitGroup
	defer background.Wait()
	defer stop()
	background.Go(func() { _ = g.proxy.Run(work) }) // it ends with work and no sooner

	// Mails and webhooks that are under way end while open requests do; what comes of these waits.
	mailing, stopMail := context.WithCancel(work)
	defer stopMail()
	background.Go(func() { _ = g.delivery().Run(mailing) }) // it ends with mailing and no sooner
	background.Go(func() { _ = g.webhooks().Run(mailing) })

	public := g.publicServer(tracing)
	var draining []drainer
	management, err := g.managementServer()
	if err != nil {
		return err
	}
	control, closeControl, err := g.control(ctx)
	if err != nil {
		return err
	}
	defer closeControl()

	// Both listen before either serves: a port that is taken ends it here.
	listen := net.ListenConfig{}
	front, err := listen.Listen(ctx, "tcp", s.config.Listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	back, err := listen.Listen(ctx, "tcp", s.config.Management.Listen)
	if err != nil {
		return errors.Join(fmt.Errorf("management.listen: %w", err), front.Close())
	}
	addresses := []any{"listen", front.Addr().String(), "management", back.Addr().String()}
	addr := front.Addr()
	switch {
	case !tracing.On():
		fast := proxy.Listen(front, public.TLSConfig, g.proxy, public)
		front, draining = fast, append(draining, fastServer{fast})
	case public.TLSConfig != nil:
		front = tls.NewListener(front, public.TLSConfig)
		fallthrough
	default:
		log.InfoContext(ctx, "requests are traced, so that none takes the fast path")
		draining = append(draining, public)
	}
	draining = append(draining, management)
	if control != nil {
		draining = append(draining, control)
	}
	stopIssuing, err := g.startIssuing(addr)
	if err != nil {
		return errors.Join(err, front.Close(), back.Close())
	}
	defer stopIssuing()
	failed := make(chan error, 2)
	background.Go(func() { failed <- ended(public.Serve(front)) })
	background.Go(func() { failed <- ended(management.Serve(back)) })
	background.Go(func() { g.reloads(work, s.reader) })
	background.Go(func() { g.prepareLogin(work) })
	background.Go(func() { g.domains.Run(work) })
	background.Go(func() { g.saml.Run(work) })
	background.Go(func() { g.finishRemovals(work) })
	if s.config.Store.Postgres != nil { // which others may use, of an older version
		background.Go(func() { g.settleIndexes(work) })
	}
	background.Go(func() { heap.Run(work) })
	background.Go(func() { quiet.Run(work, g.proxy.LetGo) })
	background.Go(func() { g.denials.Run(work) })
	background.Go(func() { _ = g.auditLogs().Run(work) }) // it ends with work and no sooner
	log.With(addresses...).InfoContext(ctx, "serving", "public_url", s.config.PublicURL.String(), "version", version)
	debug.FreeOSMemory() // what reading thousands of organizations has left behind
	g.ready.Store(true)
	if s.ready != nil {
		err = s.ready(g)
	}
	if err == nil {
		select {
		case <-ctx.Done():
			err = g.leave(failed)
		case err = <-failed:
		}
	}
	stopMail()
	return errors.Join(err, g.drain(draining...))
}

// A drainer is a server that can end.
type drainer interface {
	Shutdown(ctx context.Context) error
	Close() error
}

// A fastServer is the public server with the fast path in it.
type fastServer struct{ *proxy.Listener }

// Close closes all connections at once.
func (s fastServer) Close() error { return s.Abort() }

// leave says that no more requests should come, and still serves those that do until whoever sends them may have
// noticed.
func (g *gateway) leave(failed <-chan error) error {
	g.ready.Store(false)
	delay := g.config().Limits.DrainDelay
	if delay == 0 {
		return nil
	}
	g.log.Info("not ready any more; new requests are still served", "for", delay.String())
	select {
	case <-time.After(delay):
		return nil
	case err := <-failed:
		return err
	}
}

// drain lets open requests end, for as long as the configuration gives them.
func (g *gateway) drain(servers ...drainer) error {
	g.ready.Store(false)
	limit, cancel := context.WithTimeout(context.Background(), g.config().Limits.DrainTimeout)
	defer cancel()
	g.log.InfoContext(limit, "draining", "timeout", g.config().Limits.DrainTimeout.String())
	var err error
	for _, s := range servers {
		if e := s.Shutdown(limit); errors.Is(e, context.DeadlineExceeded) {
			g.log.WarnContext(limit, "open requests were cut off at the end of limits.drain_timeout")
			err = errors.Join(err, s.Close())
		} else {
			err = errors.Join(err, e)
		}
	}
	g.log.InfoContext(limit, "stopped")
	return err
}

// ended is what Serve returned, if it was not told to stop.
func ended(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// closing calls f with a limit, at the end of whoever defers it.
func closing(err *error, limit time.Duration, f func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	*err = errors.Join(*err, f(ctx))
}

// reloads reads the configuration again when a file of it changes or SIGHUP comes, until
// ctx is done.
func (g *gateway) reloads(ctx context.Context, reader *config.Reader) {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	changed := make(chan struct{}, 1)
	var watching sync.WaitGroup
	defer watching.Wait()
	watching.Go(func() {
		err := reader.Watch(ctx, func() {
			select {
			case changed <- struct{}{}:
			default: // one is waiting already
			}
		})
		if err != nil && ctx.Err() == nil {
			g.log.ErrorContext(ctx, "files are not watched; SIGHUP still reloads", "cause", err)
		}
	})
	for {
		select {
		case <-ctx.Done():
			return
		case <-hup:
		case <-changed:
		}
		g.reload(ctx, reader)
	}
}

// reload puts the configuration in force as it is now, or keeps the old one and says why.
func (g *gateway) reload(ctx context.Context, reader *config.Reader) {
	began := time.Now()
	next, err := reader.Read()
	if err == nil {
		err = g.put(ctx, next)
	}
	g.metrics.Reload(err == nil, time.Now())
	if err != nil {
		g.log.ErrorContext(ctx, "configuration refused; the old one stays in force", "faults", err.Error())
		return
	}
	g.log.InfoContext(ctx, "configuration in force", "organizations", len(next.Organizations), "took", time.Since(began).String())
}
