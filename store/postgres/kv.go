package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/orgate/orgate/store"
)

// page is how many rows a scan fetches at once.
const page = 200

// A transaction implements [store.KV].
type transaction struct {
	ctx      context.Context //nolint:containedctx // one transaction, one context: KV's methods take none
	tx       pgx.Tx
	now      int64 // microseconds, read once
	readOnly bool
	cursors  int

	appended []entry
	// last is the head of the feed, once this transaction has moved it (Advance).
	last *int64
	// broken is the first error of the database: the transaction is over, whatever its
	// function makes of it.
	broken error
}

// An entry waits for the end of the transaction. Its position is 0 but after Advance.
type entry struct {
	position, expires int64
	data              []byte
}

func (e *Engine) begin(ctx context.Context, tx pgx.Tx, readOnly bool) *transaction {
	return &transaction{ctx: ctx, tx: tx, now: e.now().UnixMicro(), readOnly: readOnly}
}

// fail remembers the first error of the database.
func (t *transaction) fail(err error) error {
	if err == nil {
		return nil
	}
	if _, answered := errors.AsType[*pgconn.PgError](err); !answered && t.ctx.Err() == nil {
		err = fmt.Errorf("%w: %w", errConnection, err)
	}
	if t.broken == nil {
		t.broken = err
	}
	return err
}

// Get implements [store.KV].
func (t *transaction) Get(key []byte) ([]byte, error) {
	if t.broken != nil {
		return nil, t.broken
	}
	var value []byte
	err := t.tx.QueryRow(t.ctx, `SELECT value FROM orgate_kv WHERE key = $1 AND (expires_at = 0 OR expires_at > $2)`, key, t.now).Scan(&value)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, store.ErrNoKey
	}
	return value, t.fail(err)
}

// Set implements [store.KV].
func (t *transaction) Set(key, value []byte, expires time.Time) error {
	if len(key) > store.MaxKey {
		return fmt.Errorf("%w: a key of %d bytes", store.ErrTooBig, len(key))
	}
	if value == nil {
		value = []byte{} // a nil slice would be NULL
	}
	return t.exec(`INSERT INTO orgate_kv (key, value, expires_at) VALUES ($1, $2, $3)
		ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at`, key, value, micros(expires))
}

// Delete implements [store.KV].
func (t *transaction) Delete(key []byte) error {
	return t.exec(`DELETE FROM orgate_kv WHERE key = $1`, key)
}

func (t *transaction) exec(sql string, args ...any) error {
	switch {
	case t.readOnly:
		return store.ErrReadOnly
	case t.broken != nil:
		return t.broken
	}
	_, err := t.tx.Exec(t.ctx, sql, args...)
	return t.fail(err)
}

// Scan implements [store.KV]. A cursor is not disturbed by what its transaction writes
// after it was declared. Declaring and fetching the first page are one round trip.
func (t *transaction) Scan(prefix, from []byte, reverse bool) iter.Seq2[store.Pair, error] {
	return func(yield func(store.Pair, error) bool) {
		if t.broken != nil {
			yield(store.Pair{}, t.broken)
			return
		}
		t.cursors++
		cursor := "c" + strconv.Itoa(t.cursors)
		where, order, args := bounds(prefix, from, reverse)
		args = append(args, t.now)
		declare := fmt.Sprintf(`DECLARE %s NO SCROLL CURSOR FOR SELECT key, value, expires_at FROM orgate_kv WHERE %s AND (expires_at = 0 OR expires_at > $%d) ORDER BY key %s`,
			cursor, where, len(args), order)
		fetch := fmt.Sprintf(`FETCH %d FROM %s`, page, cursor)

		batch := &pgx.Batch{}
		batch.Queue(declare, args...)
		batch.Queue(fetch)
		results := t.tx.SendBatch(t.ctx, batch)
		_, err := results.Exec()
		var pairs []store.Pair
		if err == nil {
			pairs, err = collect(results.Query())
		}
		if err = errors.Join(err, results.Close()); err != nil {
			yield(store.Pair{}, t.fail(err))
			return
		}
		for {
			for _, p := range pairs {
				if !yield(p, nil) {
					return // the cursor goes with the transaction
				}
			}
			if len(pairs) < page {
				return
			}
			if pairs, err = collect(t.tx.Query(t.ctx, fetch)); err != nil {
				yield(store.Pair{}, t.fail(err))
				return
			}
		}
	}
}

// bounds returns the condition for the keys with prefix, from prefix+from on or down, and
// the order they are yielded in.
func bounds(prefix, from []byte, reverse bool) (where, order string, args []any) {
	low, order := append([]byte{}, prefix...), "ASC"
	if reverse {
		order = "DESC"
	} else {
		low = append(low, from...)
	}
	where, args = `key >= $1::bytea`, []any{low}
	if reverse && len(from) > 0 {
		return where + ` AND key <= $2::bytea`, order, append(args, append(bytes.Clone(prefix), from...))
	}
	if end := after(prefix); end != nil {
		return where + ` AND key < $2::bytea`, order, append(args, end)
	}
	return where, order, args
}

// after returns the first key behind all that begin with prefix; nil: there is none.
func after(prefix []byte) []byte {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] < 0xff {
			end := bytes.Clone(prefix[:i+1])
			end[i]++
			return end
		}
	}
	return nil
}

func collect(rows pgx.Rows, err error) ([]store.Pair, error) {
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (p store.Pair, err error) {
		var expires int64
		err = row.Scan(&p.Key, &p.Value, &expires)
		p.Expires = fromMicros(expires)
		return p, err
	})
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return max(t.UnixMicro(), 1) // 0 means never
}

func fromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us)
}
