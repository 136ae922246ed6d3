package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// indexVersion grows when rows get index entries that rows written before do not have.
const indexVersion = 5

const reindexBatch = 200

// Reindex gives rows that an older version wrote the index entries that they lack. It is called before the store
// is served, and does nothing where it was done. Several replicas may do it at once.
func (s *Store) Reindex(ctx context.Context) error {
	note := encodeKey(byte(kindNote), "indexes")
	have := 0
	err := s.engine.View(ctx, func(kv KV) error {
		b, err := kv.Get(note)
		if err == nil {
			have, err = readIndexVersion(b)
		} else if errors.Is(err, ErrNoKey) {
			have, err = 0, nil
		}
		return err
	})
	if err != nil || have == indexVersion {
		return err
	}
	if have > indexVersion {
		have = 0 // what a newer version wrote is not known to have what this one looks for
	}
	for _, step := range []struct {
		since int
		do    func() error
	}{
		{4, func() error { return reindex(ctx, s, domains()) }},
		{4, func() error { return reindex(ctx, s, connections()) }},
		{4, func() error { return reindex(ctx, s, memberships()) }},
		{4, func() error { return reindex(ctx, s, invitations()) }},
		{4, func() error { return reindex(ctx, s, totps()) }},
		{4, func() error { return reindex(ctx, s, passkeys()) }},
		// Of a million memberships few have one of these: the others are but read.
		{5, func() error { return reindex(ctx, s, memberships(), kindInOrganization) }},
		{5, func() error { return reindex(ctx, s, groups(), kindInOrganization) }},
	} {
		if step.since <= have {
			continue
		}
		if err := step.do(); err != nil {
			return fmt.Errorf("reindex: %w", err)
		}
	}
	return s.engine.Update(ctx, func(kv KV) error {
		if err := s.usable(kv); err != nil {
			return err
		}
		return kv.Set(note, []byte(strconv.Quote(strconv.Itoa(indexVersion))), time.Time{})
	})
}

// readIndexVersion reads the note of it, which is a number as a JSON string.
func readIndexVersion(note []byte) (int, error) {
	s, err := strconv.Unquote(string(note))
	if err != nil {
		return 0, fmt.Errorf("%w: version of the index entries: %w", ErrCorrupt, err)
	}
	v, err := strconv.Atoi(s)
	if err != nil {
		return 0, fmt.Errorf("%w: version of the index entries: %w", ErrCorrupt, err)
	}
	return v, nil
}

// reindex writes the index entries of all rows of a table, a batch at a time: those of some kinds or, without any, all.
func reindex[T any](ctx context.Context, s *Store, t table[T], kinds ...kind) error {
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
				fields := t.fields(v)
				if string(encodeKey(byte(t.kind), fields...)) != string(p.Key) {
					continue // another table has the same kind
				}
				ixs := slices.DeleteFunc(t.indexes(v), func(ix index) bool { return len(kinds) > 0 && !slices.Contains(kinds, ix.kind) })
				if len(ixs) == 0 {
					continue
				}
				// As if they were there: a unique one is the row's own.
				if err := putIndexes(&tx{kv: kv}, t, fields, ixs, ixs, true, p.Expires); err != nil {
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
