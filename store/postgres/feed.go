package postgres

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/orgate/orgate/store"
)

// Append implements [store.KV]. Entries are inserted at the end of the transaction.
func (t *transaction) Append(data []byte, expires time.Time) error {
	switch {
	case t.readOnly:
		return store.ErrReadOnly
	case t.broken != nil:
		return t.broken
	}
	e := entry{expires: micros(expires), data: bytes.Clone(data)}
	if e.data == nil {
		e.data = []byte{}
	}
	if t.last != nil {
		*t.last++
		e.position = *t.last
	}
	t.appended = append(t.appended, e)
	return nil
}

// Advance implements [store.KV]. From here on this transaction holds the feed's lock and
// gives positions itself.
func (t *transaction) Advance(pos uint64) error {
	if t.readOnly {
		return store.ErrReadOnly
	}
	if t.last == nil {
		var last int64
		if err := t.tx.QueryRow(t.ctx, `SELECT position FROM orgate_feed_head FOR UPDATE`).Scan(&last); err != nil {
			return t.fail(err)
		}
		t.last = &last
		for i := range t.appended {
			*t.last++
			t.appended[i].position = *t.last
		}
	}
	*t.last = max(*t.last, int64(pos))
	return nil
}

// flush writes what Append and Advance have gathered.
func (t *transaction) flush() error {
	batch := &pgx.Batch{}
	for _, e := range t.appended {
		batch.Queue(`INSERT INTO orgate_feed (position, data, expires_at) VALUES (nullif($1::bigint, 0), $2, $3)`, e.position, e.data, e.expires)
	}
	if t.last != nil {
		batch.Queue(`UPDATE orgate_feed_head SET position = $1`, *t.last)
	}
	if batch.Len() == 0 {
		return nil
	}
	return t.fail(t.tx.SendBatch(t.ctx, batch).Close())
}

// Entries implements [store.KV]. What is committed and has no position yet comes last, as
// it will once it has one.
func (t *transaction) Entries(pos uint64, limit int) ([]store.Entry, error) {
	if t.broken != nil {
		return nil, t.broken
	}
	entries, err := read(t.tx.Query(t.ctx, `
		SELECT position, data, expires_at FROM (
			SELECT position, data, expires_at FROM orgate_feed WHERE position IS NOT NULL
			UNION ALL
			SELECT (SELECT position FROM orgate_feed_head) + row_number() OVER (ORDER BY id), data, expires_at FROM orgate_feed WHERE position IS NULL
		) AS feed WHERE position > $1 AND (expires_at = 0 OR expires_at > $2) ORDER BY position LIMIT $3`, int64(pos), t.now, limit))
	return entries, t.fail(err)
}

// Last implements [store.KV].
func (t *transaction) Last() (uint64, error) {
	if t.broken != nil {
		return 0, t.broken
	}
	var last int64
	err := t.tx.QueryRow(t.ctx, `SELECT (SELECT position FROM orgate_feed_head) + (SELECT count(*) FROM orgate_feed WHERE position IS NULL)`).Scan(&last)
	return uint64(last), t.fail(err)
}

// Feed implements [store.Engine].
func (e *Engine) Feed(ctx context.Context, pos uint64, limit int) (entries []store.Entry, err error) {
	ctx, cancel := e.bounded(ctx)
	defer cancel()
	err = e.again(ctx, func() error {
		if err := e.sequence(ctx); err != nil {
			return err
		}
		entries, err = read(e.pool.Query(ctx, `SELECT position, data, expires_at FROM orgate_feed WHERE position > $1 AND (expires_at = 0 OR expires_at > $2) ORDER BY position LIMIT $3`,
			int64(pos), e.now().UnixMicro(), limit))
		return err
	})
	return entries, err
}

// Head implements [store.Engine].
func (e *Engine) Head(ctx context.Context) (head uint64, err error) {
	ctx, cancel := e.bounded(ctx)
	defer cancel()
	err = e.again(ctx, func() error {
		if err := e.sequence(ctx); err != nil {
			return err
		}
		var last int64
		err := e.pool.QueryRow(ctx, `SELECT position FROM orgate_feed_head`).Scan(&last)
		head = uint64(last)
		return err
	})
	return head, err
}

// sequence gives positions to the entries that were committed since the last time. The
// row lock makes those who do it take turns, so positions are committed in their order;
// and what was committed when the lock was got, and no more, is visible to the
// statement behind it (read committed takes its snapshot for each statement).
func (e *Engine) sequence(ctx context.Context) error {
	var waiting bool
	if err := e.pool.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM orgate_feed WHERE position IS NULL)`).Scan(&waiting); err != nil || !waiting {
		return err
	}
	return pgx.BeginTxFunc(ctx, e.pool, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) error {
		var head int64
		if err := tx.QueryRow(ctx, `SELECT position FROM orgate_feed_head FOR UPDATE`).Scan(&head); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `
			UPDATE orgate_feed AS f SET position = $1 + w.n
			FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM orgate_feed WHERE position IS NULL) AS w
			WHERE f.id = w.id`, head)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE orgate_feed_head SET position = $1`, head+tag.RowsAffected())
		return err
	})
}

func read(rows pgx.Rows, err error) ([]store.Entry, error) {
	if err != nil {
		return nil, err
	}
	entries, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (e store.Entry, err error) {
		var position, expires int64
		err = row.Scan(&position, &e.Data, &expires)
		e.Position, e.Expires = uint64(position), fromMicros(expires)
		return e, err
	})
	if err != nil {
		return nil, fmt.Errorf("read the feed: %w", err)
	}
	return entries, nil
}
