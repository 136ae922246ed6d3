// Package postgres is the engine for several replicas: package store's keys, values
// and feed in three tables of a database that speaks PostgreSQL.
//
// It owns those tables, their migrations and the connection pool. It does not own what
// the keys mean. It needs serializable transactions, row locks and cursors, and no more:
// LISTEN/NOTIFY only wakes followers up sooner, who also poll, so that a database or a
// connection pooler without it serves as well.
//
// The invariant: an entry of the feed has its position only once it is committed, and
// positions are given under one row lock, so no entry ever appears before one that was
// already read.
package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/orgate/orgate/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Options say how to open the engine.
type Options struct {
	// URL is a connection string or URL as libpq reads it. It holds a password, so it is
	// never logged.
	URL string
	// MaxConns bounds the pool; 0: four for each CPU, at least eight.
	MaxConns int
	// Timeout ends a transaction that takes longer, with [store.ErrUnavailable]; 0: 15 s.
	Timeout time.Duration
	// Now is the clock that expiry is judged by; nil: time.Now.
	Now    func() time.Time
	Logger *slog.Logger // nil: none
}

// An Engine implements [store.Engine].
type Engine struct {
	pool    *pgxpool.Pool
	now     func() time.Time
	logger  *slog.Logger
	timeout time.Duration

	// turn is held by whoever tries again after a conflict: transactions of this
	// replica that keep colliding go one at a time instead of colliding on.
	turn chan struct{}

	bell bell
	stop context.CancelCauseFunc
	done sync.WaitGroup
}

// Open connects, brings the tables up to date and starts the listener and the sweeper.
// A database that can't be reached is an error wrapping [store.ErrUnavailable].
func Open(ctx context.Context, o Options) (*Engine, error) {
	cfg, err := pgxpool.ParseConfig(o.URL)
	if err != nil {
		// The error of the parser may quote the URL, and with it the password.
		return nil, errors.New("store.postgres.url is not a PostgreSQL connection URL: want postgres://user:password@host:5432/database")
	}
	if o.MaxConns > 0 {
		cfg.MaxConns = int32(o.MaxConns)
	} else {
		cfg.MaxConns = max(cfg.MaxConns, 8)
	}
	cfg.ConnConfig.ConnectTimeout = 5 * time.Second
	if cfg.ConnConfig.RuntimeParams["application_name"] == "" {
		cfg.ConnConfig.RuntimeParams["application_name"] = "orgate"
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Timeout == 0 {
		o.Timeout = 15 * time.Second
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	running, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	e := &Engine{pool: pool, now: o.Now, logger: o.Logger, timeout: o.Timeout, turn: make(chan struct{}, 1), stop: stop}
	if err := e.migrate(ctx); err != nil {
		stop(store.ErrClosed)
		pool.Close()
		if errors.Is(err, store.ErrUnavailable) {
			return nil, fmt.Errorf("%w (check store.postgres.url, that the database runs, and that it lets this machine in)", err)
		}
		return nil, fmt.Errorf("bring the tables up to date: %w", err)
	}
	e.done.Go(func() { e.listen(running, cfg.ConnConfig) })
	e.done.Go(func() { e.sweep(running) })
	return e, nil
}

// Close ends the listener, the sweeper and the pool.
func (e *Engine) Close() error {
	e.stop(store.ErrClosed)
	e.done.Wait()
	e.pool.Close()
	return nil
}

// Health returns nil if the database answers.
func (e *Engine) Health(ctx context.Context) error {
	if err := e.pool.Ping(ctx); err != nil {
		return classify(err)
	}
	return nil
}

// classify wraps the sentinel that err stands for. Errors of the network and of a server
// that shuts down are ErrUnavailable; the cause stays for the log. pgx never puts
// the password into an error.
func classify(err error) error {
	if err == nil || errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrClosed) {
		return err
	}
	if pe, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch pe.Code[:2] {
		case "08", "53", "57", "25": // connection, resources, operator intervention, read-only standby
			return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
		case "XX": // data corrupted, index corrupted
			return fmt.Errorf("%w: %w", store.ErrCorrupt, err)
		}
		return err
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, pgx.ErrNoRows) {
		return err
	}
	if err.Error() == "closed pool" {
		return store.ErrClosed
	}
	return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
}
