package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// indexVersion grows when rows get index entries that rows written before do not have.
const indexVersion = "4"

const reindexBatch = 200

// Reindex gives rows that an older version wrote the index entries that they lack. It is called before the store
// is served, and does nothing where it was done. Several replicas may do it at once.
func (s *Store) Reindex(ctx context.Context) error {
	note := encodeKey(byte(kindNote), "indexes")
	var have string
	err := s.engine.View(ctx, func(kv KV) error {
		b, err := kv.Get(note)
		if err == nil {
			have, err = strconv.Unquote(string(b))
		} else if errors.Is(err, ErrNoKey) {
			have, err = "", nil
		}
		return err
	})
	if err != nil || have == indexVersion {
		return err
	}
	for _, step := range []func() error{
		func() error { return reindex(ctx, s, domains()) },
		func() error { return reindex(ctx, s, connections()) },
		func() error { return reindex(ctx, s, memberships()) },
		func() error { return reindex(ctx, s, invitations()) },
		func() error { return reindex(ctx, s, totps()) },
		func() error { return reindex(ctx, s, passkeys()) },
	} {
		if err := step(); err != nil {
			return fmt.Errorf("reindex: %w", err)
		}
	}
	return s.engine.Update(ctx, func(kv KV) error {
		if err := s.usable(kv); err != nil {
			return err
		}
		return kv.Set(note, []byte(strconv.Quote(indexVersion)), time.Time{})
	})
}

// reindex writes the index entries of all rows of a table, a batch at a time.
func reindex[T any](ctx context.Context, s *Store, t table[T]) error {
	prefix := []byte{byte(t.kind)}
	var from []byte
	for more := true; more; {
		var next []byte
		err := s.engine.Update(ctx, func(kv KV) error {
			if err := s.usable(kv); err != nil {
				return err
			}
			n := 0
			more = false
			for p, err := range kv.Scan(prefix, from, false) {
				if err != nil {
					return err
				}
				if n++; n > reindexBatch {
					next, more = p.Key[len(prefix):], true
					break
				}
				v, err := decode(t, p.Value)
				if err != nil {
					return err
				}
				// As if they were there: a unique one is the row's own.
				if err := putIndexes(&tx{kv: kv}, t, t.fields(v), t.indexes(v), t.indexes(v), true, p.Expires); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		from = next
	}
	return nil
}
