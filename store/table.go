package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/orgate/orgate/tenancy"
)

// A table says how the objects of one type are kept.
type table[T any] struct {
	kind kind
	name string // for errors
	// fields are those of the row's key.
	fields func(T) []string
	// indexes are the entries by which the row is found otherwise; nil: none.
	indexes func(T) []index
	// expires is when the row and its index entries go; nil: never.
	expires func(T) time.Time
}

// An index is one index entry of a row.
type index struct {
	kind   kind
	fields []string
	// unique: no other row may have it.
	unique bool
}

// claims reports whether the row v has an index entry of that key. An index is a hint:
// an entry that its row does not claim (any more) finds nothing, so that an entry that
// should be gone and is not opens no door.
func (t table[T]) claims(v T, key []byte) bool {
	if t.indexes == nil {
		return false
	}
	return slices.ContainsFunc(t.indexes(v), func(ix index) bool {
		return string(encodeKey(byte(ix.kind), ix.fields...)) == string(key)
	})
}

func (t table[T]) notFound() error { return fmt.Errorf("%s: %w", t.name, tenancy.ErrNotFound) }

// lookupKey is the key for a getter: fields that no row can have find nothing.
func lookupKey(k kind, fields []string) (key []byte, ok bool, err error) {
	key, err = k.key(fields...)
	if errors.Is(err, errBadField) {
		return nil, false, nil
	}
	return key, err == nil, err
}

// get returns the row of that key.
func get[T any](tx *tx, t table[T], fields ...string) (T, error) {
	var none T
	key, ok, err := lookupKey(t.kind, fields)
	if err != nil {
		return none, fmt.Errorf("%s: %w", t.name, err)
	}
	if !ok {
		return none, t.notFound()
	}
	return read(tx, t, key)
}

func read[T any](tx *tx, t table[T], key []byte) (v T, err error) {
	b, err := tx.kv.Get(key)
	if errors.Is(err, ErrNoKey) {
		return v, t.notFound()
	}
	if err != nil {
		return v, fmt.Errorf("%s: %w", t.name, err)
	}
	return decode(t, b)
}

func decode[T any](t table[T], b []byte) (v T, err error) {
	if err := json.Unmarshal(b, &v); err != nil {
		var none T
		// The error of package json may quote the value, which may be a secret's hash.
		return none, fmt.Errorf("%s: %w: row is not the JSON that was written", t.name, ErrCorrupt)
	}
	return v, nil
}

// put writes the row of v, adds and removes index entries to match, and returns an
// error wrapping [tenancy.ErrTaken] if a unique one is another row's.
func put[T any](tx *tx, t table[T], v T) error {
	fields := t.fields(v)
	for i, f := range fields {
		if f == "" && (i > 0 || !t.kind.ownedByOrganization()) { // which has its own error
			return fmt.Errorf("%s: %w: field %d is empty", t.name, errBadField, i)
		}
	}
	key, err := t.kind.key(fields...)
	if err != nil {
		return fmt.Errorf("%s: %w", t.name, err)
	}
	var expires time.Time
	if t.expires != nil {
		expires = t.expires(v)
	}

	var old T
	var had []index
	moved := true // the index entries must be written even if they are the same
	if t.indexes != nil {
		switch old, err = read(tx, t, key); {
		case err == nil:
			had = t.indexes(old)
			moved = t.expires != nil && !t.expires(old).Equal(expires)
		case !errors.Is(err, tenancy.ErrNotFound):
			return err
		}
		if err := putIndexes(tx, t, fields, had, t.indexes(v), moved, expires); err != nil {
			return err
		}
	}

	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("%s: %w", t.name, err)
	}
	return tx.kv.Set(key, b, expires)
}

func putIndexes[T any](tx *tx, t table[T], fields []string, had, has []index, moved bool, expires time.Time) error {
	old := make(map[string]bool, len(had))
	for _, ix := range had {
		old[string(encodeKey(byte(ix.kind), ix.fields...))] = true
	}
	target, err := json.Marshal(fields)
	if err != nil {
		return fmt.Errorf("%s: %w", t.name, err)
	}
	kept := make(map[string]bool, len(has))
	for _, ix := range has {
		key, err := ix.kind.key(ix.fields...)
		if err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
		// No getter could tell "" from "not given". Only a provider's session id may lack.
		if ix.kind != kindSessionByUpstream && slices.Contains(ix.fields, "") {
			return fmt.Errorf("%s: %w: empty field in index %q", t.name, errBadField, byte(ix.kind))
		}
		if kept[string(key)] {
			continue
		}
		kept[string(key)] = true
		if old[string(key)] && !moved && !ix.young() {
			continue
		}
		if ix.unique && !old[string(key)] {
			_, err := lookup(tx, t, key)
			if err == nil {
				return fmt.Errorf("%s: %w", t.name, tenancy.ErrTaken)
			}
			if !errors.Is(err, tenancy.ErrNotFound) {
				return err
			}
		}
		if err := tx.kv.Set(key, target, expires); err != nil {
			return err
		}
	}
	for key := range old {
		if !kept[key] {
			if err := tx.kv.Delete([]byte(key)); err != nil {
				return err
			}
		}
	}
	return nil
}

// remove deletes a row and its index entries. A row that is not there is no error.
func remove[T any](tx *tx, t table[T], fields ...string) error {
	key, ok, err := lookupKey(t.kind, fields)
	if err != nil {
		return fmt.Errorf("%s: %w", t.name, err)
	}
	if !ok {
		return nil
	}
	if t.indexes != nil {
		v, err := read(tx, t, key)
		if errors.Is(err, tenancy.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, ix := range t.indexes(v) {
			if err := tx.kv.Delete(encodeKey(byte(ix.kind), ix.fields...)); err != nil {
				return err
			}
		}
	}
	return tx.kv.Delete(key)
}

// find returns the row that the index entry leads to.
func find[T any](tx *tx, t table[T], k kind, fields ...string) (T, error) {
	var none T
	key, ok, err := lookupKey(k, fields)
	if err != nil {
		return none, fmt.Errorf("%s: %w", t.name, err)
	}
	if !ok {
		return none, t.notFound()
	}
	return lookup(tx, t, key)
}

func lookup[T any](tx *tx, t table[T], key []byte) (T, error) {
	var none T
	b, err := tx.kv.Get(key)
	if errors.Is(err, ErrNoKey) {
		return none, t.notFound()
	}
	if err != nil {
		return none, fmt.Errorf("%s: %w", t.name, err)
	}
	return follow(tx, t, key, b)
}

// follow returns the row that an index entry leads to, if the row claims the entry.
func follow[T any](tx *tx, t table[T], key, target []byte) (T, error) {
	var none T
	var fields []string
	if err := json.Unmarshal(target, &fields); err != nil {
		return none, fmt.Errorf("%s: %w: bad index entry", t.name, ErrCorrupt)
	}
	v, err := get(tx, t, fields...)
	if err != nil {
		return none, err
	}
	if !t.claims(v, key) {
		return none, t.notFound()
	}
	return v, nil
}

// all yields the rows whose keys begin with the fields, in the order of their keys.
func all[T any](tx *tx, t table[T], fields ...string) iter.Seq2[T, error] {
	return scan(tx, t, t.kind, fields, func(p Pair) (T, error) { return decode(t, p.Value) })
}

// findAll yields the rows that the index entries which begin with the fields lead to, as
// they are when their turn comes: the loop may change or delete rows.
func findAll[T any](tx *tx, t table[T], k kind, fields ...string) iter.Seq2[T, error] {
	return scan(tx, t, k, fields, func(p Pair) (T, error) { return follow(tx, t, p.Key, p.Value) })
}

// scan yields what row makes of the entries of kind k that begin with the fields. An entry that
// leads to no row is passed over.
func scan[T any](tx *tx, t table[T], k kind, fields []string, row func(Pair) (T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		prefix, ok, err := lookupKey(k, fields)
		if err != nil {
			yield(none, fmt.Errorf("%s: %w", t.name, err))
			return
		}
		if !ok {
			return
		}
		for p, err := range tx.kv.Scan(prefix, nil, false) {
			if err != nil {
				yield(none, fmt.Errorf("%s: %w", t.name, err))
				return
			}
			v, err := row(p)
			if errors.Is(err, tenancy.ErrNotFound) {
				continue
			}
			if !yield(v, err) || err != nil {
				return
			}
		}
	}
}
