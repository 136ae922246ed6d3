package postgres

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

const channel = "orgate_feed"

// A bell wakes whoever waits for it.
type bell struct {
	mu sync.Mutex
	ch chan struct{}
}

func (b *bell) wait() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch == nil {
		b.ch = make(chan struct{})
	}
	return b.ch
}

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch != nil {
		close(b.ch)
		b.ch = nil
	}
}

// Wake implements [store.Engine].
func (e *Engine) Wake() <-chan struct{} { return e.bell.wait() }

// notify wakes the other replicas. It comes after the commit and may fail: they also poll.
func (e *Engine) notify(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if _, err := e.pool.Exec(ctx, `NOTIFY `+channel); err != nil {
		e.logger.LogAttrs(ctx, slog.LevelDebug, "can't notify the other replicas", slog.Any("cause", err))
	}
}

// listen rings the bell when another replica has committed, on a connection of its own,
// until ctx is done. A database that can't do it is asked again now and then.
func (e *Engine) listen(ctx context.Context, cfg *pgx.ConnConfig) {
	for pause := time.Second; ; pause = min(pause*2, 30*time.Second) {
		began := time.Now()
		err := e.listenOnce(ctx, cfg)
		if ctx.Err() != nil {
			return
		}
		e.logger.LogAttrs(ctx, slog.LevelDebug, "not listening for changes of other replicas; polling goes on", slog.Any("cause", err))
		if time.Since(began) > time.Minute {
			pause = time.Second
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}

func (e *Engine) listenOnce(ctx context.Context, cfg *pgx.ConnConfig) error {
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(closing)
	}()
	if _, err := conn.Exec(ctx, `LISTEN `+channel); err != nil {
		return err
	}
	for {
		if _, err := conn.WaitForNotification(ctx); err != nil {
			return err
		}
		e.bell.ring()
	}
}

// sweep removes what has expired, a little at a time. Nobody sees it any more; this only
// gives the space back.
func (e *Engine) sweep(ctx context.Context) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		for _, sql := range []string{
			`DELETE FROM orgate_kv WHERE key IN (SELECT key FROM orgate_kv WHERE expires_at > 0 AND expires_at <= $1 LIMIT 1000)`,
			`DELETE FROM orgate_feed WHERE id IN (SELECT id FROM orgate_feed WHERE expires_at > 0 AND expires_at <= $1 AND position IS NOT NULL LIMIT 1000)`,
		} {
			for {
				tag, err := e.pool.Exec(ctx, sql, e.now().UnixMicro())
				if err != nil {
					e.logger.LogAttrs(ctx, slog.LevelDebug, "can't remove what has expired; tried again in a minute", slog.Any("cause", err))
				}
				if err != nil || tag.RowsAffected() < 1000 {
					break
				}
			}
		}
	}
}
