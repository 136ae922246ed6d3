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

// Mixed is for how long, after the first of a version, orgates of the version before may still run on the same store; see [Store.Settle].
const Mixed = 24 * time.Hour

// The notes about index entries: of which version they are, and since when rows without them may still be written.
func noteOfIndexes() []byte  { return encodeKey(byte(kindNote), "indexes") }
func noteOfSettling() []byte { return encodeKey(byte(kindNote), "indexes settling") }

// settled is what the second note says when nothing is left to do.
const settled = "settled"

// An indexStep writes entries that rows of versions before one have not.
type indexStep struct {
	since int
	do    func(context.Context, *Store) error
}

func indexSteps() []indexStep {
	return []indexStep{
		{4, func(ctx context.Context, s *Store) error { return reindex(ctx, s, domains()) }},
		{4, func(ctx context.Context, s *Store) error { return reindex(ctx, s, connections()) }},
		{4, func(ctx context.Context, s *Store) error { return reindex(ctx, s, memberships()) }},
		{4, func(ctx context.Context, s *Store) error { return reindex(ctx, s, invitations()) }},
		{4, func(ctx context.Context, s *Store) error { return reindex(ctx, s, totps()) }},
		{4, func(ctx context.Context, s *Store) error { return reindex(ctx, s, passkeys()) }},
		// Of a million memberships few have one of these: the others are but read.
		{5, func(ctx context.Context, s *Store) error { return reindex(ctx, s, memberships(), kindInOrganization) }},
		{5, func(ctx context.Context, s *Store) error { return reindex(ctx, s, groups(), kindInOrganization) }},
	}
}

// young reports whether an orgate of the version before, which may run on the same store for a while, does not write the entry. It is
// written with its row each time, as it may not be there although the row claims it.
func (ix index) young() bool {
	return ix.kind == kindInOrganization && len(ix.fields) > 1 && (ix.fields[1] == "admin" || ix.fields[1] == "admin group")
}

// Reindex gives rows that an older version wrote the index entries that they lack. It is called before the store
// is served, and does nothing where it was done. Several replicas may do it at once.
func (s *Store) Reindex(ctx context.Context) error {
	have, err := s.indexed(ctx)
	if err != nil || have == indexVersion {
		return err
	}
	if have > indexVersion {
		have = 0 // what a newer version wrote is not known to have what this one looks for
	}
	if err := s.reindexSince(ctx, have+1); err != nil {
		return err
	}
	return s.engine.Update(ctx, func(kv KV) error {
		if err := s.usable(kv); err != nil {
			return err
		}
		if err := kv.Delete(noteOfSettling()); err != nil { // of an update before this one
			return err
		}
		return kv.Set(noteOfIndexes(), []byte(strconv.Quote(strconv.Itoa(indexVersion))), time.Time{})
	})
}

// Indexed reports whether the rows that there are have the index entries of this version. Where it is not so, what is found by them
// is not all that there is.
func (s *Store) Indexed(ctx context.Context) (bool, error) {
	have, err := s.indexed(ctx)
	return have == indexVersion, err
}

func (s *Store) indexed(ctx context.Context) (have int, err error) {
	err = s.engine.View(ctx, func(kv KV) error {
		b, err := kv.Get(noteOfIndexes())
		if errors.Is(err, ErrNoKey) {
			have = 0
			return nil
		}
		if err == nil {
			have, err = readIndexVersion(b)
		}
		return err
	})
	return have, err
}

// Settle is what Reindex did last, once more: rows that an orgate of the version before wrote since, on a store that
// it shares, lack their entries too. It is called some minutes after each start, and again when [Mixed] has passed since its first
// call. From then on it does nothing but say that it is done: to read a million memberships, a batch at a time, takes a while.
func (s *Store) Settle(ctx context.Context) (done bool, err error) {
	note := noteOfSettling()
	now := s.now()
	var since time.Time
	if err := s.engine.Update(ctx, func(kv KV) error {
		if err := s.usable(kv); err != nil {
			return err
		}
		done, since = false, now
		b, err := kv.Get(note)
		if errors.Is(err, ErrNoKey) {
			return kv.Set(note, []byte(strconv.Quote(now.UTC().Format(time.RFC3339))), time.Time{})
		}
		if err != nil {
			return err
		}
		said, err := strconv.Unquote(string(b))
		if done = err == nil && said == settled; err == nil && !done {
			since, err = time.Parse(time.RFC3339, said)
		}
		if err != nil {
			return fmt.Errorf("%w: since when index entries settle: %w", ErrCorrupt, err)
		}
		return nil
	}); err != nil || done {
		return done, err
	}
	if err := s.reindexSince(ctx, indexVersion); err != nil {
		return false, err
	}
	if now.Sub(since) < Mixed {
		return false, nil
	}
	return true, s.engine.Update(ctx, func(kv KV) error { return kv.Set(note, []byte(strconv.Quote(settled)), time.Time{}) })
}

// reindexSince does the steps of that version and later ones.
func (s *Store) reindexSince(ctx context.Context, version int) error {
	for _, step := range indexSteps() {
		if step.since < version {
			continue
		}
		if err := step.do(ctx, s); err != nil {
			return fmt.Errorf("reindex: %w", err)
		}
	}
	return nil
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
