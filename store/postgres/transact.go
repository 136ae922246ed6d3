package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/orgate/orgate/store"
)

// View implements [store.Engine].
func (e *Engine) View(ctx context.Context, f func(store.KV) error) error {
	ctx, cancel := e.bounded(ctx)
	defer cancel()
	return e.again(ctx, func() error {
		tx, err := e.pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
		if err != nil {
			return err
		}
		defer e.rollback(tx)
		kv := e.begin(ctx, tx, true)
		return kv.outcome(f(kv))
	})
}

// Update implements [store.Engine].
func (e *Engine) Update(ctx context.Context, f func(store.KV) error) error {
	ctx, cancel := e.bounded(ctx)
	defer cancel()
	appended := false
	err := e.again(ctx, func() error {
		tx, err := e.pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.Serializable})
		if err != nil {
			return err
		}
		defer e.rollback(tx)
		kv := e.begin(ctx, tx, false)
		if err := kv.outcome(f(kv)); err != nil {
			return err
		}
		if err := kv.flush(); err != nil {
			return err
		}
		appended = len(kv.appended) > 0
		if err := context.Cause(ctx); err != nil {
			return err
		}
		return e.commit(ctx, tx)
	})
	if err == nil && appended {
		e.bell.ring()
		e.notify(ctx)
	}
	return err
}

// commit sends COMMIT and waits for the answer whatever becomes of ctx: between the two
// nobody knows whether the change holds.
func (e *Engine) commit(ctx context.Context, tx pgx.Tx) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.timeout)
	defer cancel()
	err := tx.Commit(ctx)
	if err == nil || retryable(err) {
		return err
	}
	if _, answered := errors.AsType[*pgconn.PgError](err); answered || errors.Is(err, pgx.ErrTxCommitRollback) {
		return classify(err)
	}
	return &inDoubt{err}
}

// inDoubt: the connection was lost after COMMIT was sent. It is never tried again.
type inDoubt struct{ cause error }

func (d *inDoubt) Error() string {
	return "the database did not answer whether the change was made: " + d.cause.Error()
}
func (d *inDoubt) Unwrap() []error { return []error{store.ErrUnavailable, d.cause} }

// refused is the error of a transaction's function: it goes to the caller as it is.
type refused struct{ error }

// outcome tells what the database did wrong from what the function did not want.
func (t *transaction) outcome(err error) error {
	switch {
	case t.broken != nil:
		return t.broken
	case err != nil:
		return refused{err}
	}
	return nil
}

// again runs attempt until it succeeds, fails for good, or ctx is done. Conflicts are
// tried again without limit; lost connections twice, as a pool hands out dead ones
// after the database was restarted.
func (e *Engine) again(ctx context.Context, attempt func() error) error {
	lost := 0
	for n := 0; ; n++ {
		err := e.inTurn(ctx, n, attempt)
		if r, ok := err.(refused); ok { //nolint:errorlint // made by outcome, never wrapped
			return r.error
		}
		switch {
		case err == nil:
			return nil
		case retryable(err):
		case ctx.Err() != nil:
			return ended(ctx, err)
		case disconnected(err) && lost < 2:
			lost++
		default:
			return classify(err)
		}
		pause := time.NewTimer(rand.N(time.Duration(min(n+1, 20)) * 2 * time.Millisecond))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return ended(ctx, err)
		}
	}
}

// inTurn runs the first attempts freely, and later ones one at a time.
func (e *Engine) inTurn(ctx context.Context, n int, attempt func() error) error {
	if n < 2 {
		return attempt()
	}
	select {
	case e.turn <- struct{}{}:
		defer func() { <-e.turn }()
		return attempt()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

var errTimeout = fmt.Errorf("%w: the database did not answer in time", store.ErrUnavailable)

// bounded gives ctx the engine's limit, so that a database that hangs is one that is gone.
func (e *Engine) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, e.timeout, errTimeout)
}

// ended is why ctx is done, and what it interrupted.
func ended(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	if err == nil || errors.Is(err, cause) {
		return cause
	}
	if d, ok := errors.AsType[*inDoubt](err); ok {
		return d
	}
	return fmt.Errorf("%w (%w)", cause, err)
}

// rollback ends what is left of a transaction; on one that was committed it does nothing.
func (e *Engine) rollback(tx pgx.Tx) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = tx.Rollback(ctx) // an error closes the connection, which rolls back too
}

// retryable: serialization failure, deadlock; or two replicas that migrate at once, of
// which one finds a row, type or table that was not there when it looked.
func retryable(err error) bool {
	pe, ok := errors.AsType[*pgconn.PgError](err)
	return ok && slices.Contains([]string{"40001", "40P01", "23505", "42710", "42P07"}, pe.Code)
}

// disconnected: the transaction is gone with its connection, and nothing was committed.
func disconnected(err error) bool {
	if _, ok := errors.AsType[*inDoubt](err); ok {
		return false
	}
	if pe, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pe.Code == "57P01" || pe.Code == "57P02" || pe.Code[:2] == "08"
	}
	return pgconn.SafeToRetry(err) || errors.Is(err, errConnection)
}

// errConnection marks errors of statements that the server did not answer.
var errConnection = errors.New("connection lost")
