// Package reader reads the audit logs for whoever shows them: a page at a time, each in a transaction of its
// own, so that a log of a million entries holds up nobody and is never in memory at once.
//
// It owns paging, CSV and JSON, and the walk that verifies a chain. It does not own who may read (package api,
// cmd), nor what is right (package trail).
package reader

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/orgate/orgate/audit/trail"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// page is how many entries are read in one transaction.
const page = 500

// Entries yields the entries of a log that the filter has: the oldest first or, if newest, the newest first. It
// ends where the log ended when it began. What retention removes meanwhile is passed over.
func Entries(ctx context.Context, s *store.Store, l trail.Log, f trail.Filter, newest bool) iter.Seq2[trail.Entry, error] {
	return EntriesFrom(ctx, s, l, f, newest, 0)
}

// EntriesFrom is [Entries] from a number on, inclusive; 0: from the beginning.
func EntriesFrom(ctx context.Context, s *store.Store, l trail.Log, f trail.Filter, newest bool, from uint64) iter.Seq2[trail.Entry, error] {
	return func(yield func(trail.Entry, error) bool) {
		var end uint64
		err := s.View(ctx, func(tx store.Tx) error {
			h, err := tx.LogHead(l)
			end = h.Sequence
			if errors.Is(err, tenancy.ErrNotFound) || h.Deleted {
				end, err = 0, nil
			}
			return err
		})
		if err != nil {
			yield(trail.Entry{}, err)
			return
		}
		for end > 0 {
			var found []trail.Entry
			more := false
			next := from
			err := s.View(ctx, func(tx store.Tx) error {
				found, more = nil, false
				for e, err := range tx.LogEntries(l, from, newest) {
					if err != nil {
						return err
					}
					if len(found) == page {
						more, next = true, e.Sequence
						return nil
					}
					if e.Sequence <= end {
						found = append(found, e)
					} else if !newest {
						return nil
					}
				}
				return nil
			})
			if err != nil {
				yield(trail.Entry{}, err)
				return
			}
			for _, e := range found {
				if f.Has(e) && !yield(e, nil) {
					return
				}
			}
			if !more {
				return
			}
			from = next
		}
	}
}

// A Report is what verifying one log found.
type Report struct {
	Log trail.Log `json:"log"`
	// First is the number of the first entry that is there, and Head the last one that is right.
	First   uint64       `json:"first"`
	Entries uint64       `json:"entries"`
	Head    trail.Anchor `json:"head"`
	// Fault is the first thing that is wrong; empty: nothing is. At is the entry's number.
	Fault string `json:"fault,omitzero"`
	At    uint64 `json:"at,omitzero"`
	// Unknown are pinned entries that retention has removed.
	Unknown []uint64 `json:"unknown,omitzero"`
}

// restarts is how often retention may overtake a walk.
const restarts = 10

// Verify checks a log from its first entry to its last. Each of pins is an entry that was seen before.
func Verify(ctx context.Context, s *store.Store, l trail.Log, pins ...trail.Anchor) (Report, error) {
	for n := 0; ; n++ {
		r, overtaken, err := walk(ctx, s, l, pins)
		if err != nil || !overtaken {
			return r, err
		}
		if n == restarts {
			return r, fmt.Errorf("audit log %s: entries are removed faster than they can be read; try again", l)
		}
	}
}

func walk(ctx context.Context, s *store.Store, l trail.Log, pins []trail.Anchor) (r Report, overtaken bool, err error) {
	r.Log = l
	var v *trail.Verifier
	err = s.View(ctx, func(tx store.Tx) error {
		h, err := head(tx, l)
		if err != nil {
			return err
		}
		r.First = h.Anchor.Sequence + 1
		v, err = trail.NewVerifier(h, pins...)
		return err
	})
	for more := true; more && err == nil; {
		var batch []trail.Entry
		var h trail.Head
		var damaged error
		err = s.View(ctx, func(tx store.Tx) (err error) {
			batch, more, damaged = nil, false, nil
			if h, err = head(tx, l); err != nil {
				return err
			}
			for e, err := range tx.LogEntries(l, v.Next(), false) {
				if errors.Is(err, store.ErrCorrupt) {
					damaged = err
					return nil
				}
				if err != nil {
					return err
				}
				if len(batch) == page {
					more = true
					return nil
				}
				batch = append(batch, e)
			}
			return nil
		})
		if err != nil {
			break
		}
		if h.Anchor.Sequence >= v.Next() && h.Anchor.Sequence > r.First-1 {
			return r, true, nil
		}
		for _, e := range batch {
			if err = v.Add(e); err != nil {
				break
			}
		}
		switch {
		case err != nil:
		case damaged != nil:
			err = &trail.Fault{Log: l, Sequence: v.Next(), What: "it can't be read: " + damaged.Error()}
		case !more:
			r.Unknown, err = v.End(h)
		}
	}
	if v != nil {
		r.Head, r.Entries = v.Last(), v.Count()
	}
	if fault, ok := errors.AsType[*trail.Fault](err); ok {
		r.Fault, r.At, err = fault.What, fault.Sequence, nil
	}
	return r, false, err
}

// head returns the head of a log; of one that is not there, the beginning: entries without a head are a fault.
func head(tx store.Tx, l trail.Log) (trail.Head, error) {
	h, err := tx.LogHead(l)
	if errors.Is(err, tenancy.ErrNotFound) {
		return trail.Head{Log: l}, nil
	}
	if errors.Is(err, store.ErrCorrupt) {
		return h, &trail.Fault{Log: l, What: "the head of the chain can't be read"}
	}
	return h, err
}

// Logs returns the logs that there are: those that have a head, and those of all organizations.
func Logs(ctx context.Context, s *store.Store) (logs []trail.Log, err error) {
	err = s.View(ctx, func(tx store.Tx) error {
		logs = []trail.Log{trail.Installation}
		gone := map[trail.Log]bool{trail.Installation: true}
		for o, err := range tx.Organizations() {
			if err != nil {
				return err
			}
			l := trail.LogOf(o.ID)
			gone[l] = true
			logs = append(logs, l)
		}
		for h, err := range tx.LogHeads() {
			if err != nil {
				return err
			}
			if !gone[h.Log] && !h.Deleted {
				logs = append(logs, h.Log)
			}
		}
		return nil
	})
	return logs, err
}

// Waiting returns how many events are committed and in no log yet, up to limit.
func Waiting(ctx context.Context, s *store.Store, limit int) (n int, err error) {
	var pos uint64
	err = s.View(ctx, func(tx store.Tx) (err error) { pos, err = tx.LogPosition(); return err })
	if err != nil {
		return 0, err
	}
	changes, err := s.Feed(ctx, pos, limit)
	return len(changes), err
}
