package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/orgate/orgate/session"
)

// Restore fills an empty store, of either engine, from a backup. It reads r twice: first
// to find every fault, so that a damaged or truncated backup leaves nothing behind. Should
// it be cut off later, the store refuses every transaction from then on.
//
// What a backup could bring back to life stays dead: every session of it is ended, and
// its hand-over codes are left out. Whoever signed out, or was put out, since the backup
// was made is not signed in by restoring it.
func (s *Store) Restore(ctx context.Context, r io.ReadSeeker) (Copied, error) {
	n, err := s.restore(ctx, r)
	if err != nil {
		return Copied{}, fmt.Errorf("restore: %w", err)
	}
	return n, nil
}

func (s *Store) restore(ctx context.Context, r io.ReadSeeker) (Copied, error) {
	start, err := r.Seek(0, io.SeekCurrent)
	if err != nil {
		return Copied{}, fmt.Errorf("a backup is read twice, from a file and not from a pipe: %w", err)
	}
	if err := verifyBackup(ctx, r); err != nil {
		return Copied{}, err
	}
	if _, err := r.Seek(start, io.SeekStart); err != nil {
		return Copied{}, err
	}
	in, err := newBackupReader(r)
	if err != nil {
		return Copied{}, err
	}
	s.complete.Store(false) // look again, at every transaction, until it is done
	note := encodeKey(byte(kindNote), "restoring")
	if err := s.engine.Update(ctx, func(kv KV) error {
		if err := empty(kv); err != nil {
			return err
		}
		return kv.Set(note, []byte("true"), time.Time{})
	}); err != nil {
		return Copied{}, err
	}
	if err := s.fill(ctx, in); err != nil {
		return Copied{}, fmt.Errorf("%w (the store can't be used now: empty it before the next try)", err)
	}
	err = s.engine.Update(ctx, func(kv KV) error {
		return errors.Join(kv.Advance(in.header.Head), kv.Delete(note))
	})
	return in.n, err
}

// verifyBackup reads a backup to its end.
func verifyBackup(ctx context.Context, r io.Reader) error {
	in, err := newBackupReader(r)
	if err != nil {
		return err
	}
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		_, err := in.read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// empty returns an error if anything was ever written.
func empty(kv KV) error {
	unfinished, err := restoring(kv)
	if err != nil {
		return err
	}
	if unfinished {
		return errors.New("an earlier restore into this store was cut off: empty it first")
	}
	for _, err := range kv.Scan(nil, nil, false) {
		if err != nil {
			return err
		}
		return errors.New("the store is not empty")
	}
	head, err := kv.Last()
	if err == nil && head != 0 {
		err = errors.New("the store is not empty: it has had events")
	}
	return err
}

// fill writes what in holds, in batches.
func (s *Store) fill(ctx context.Context, in *backupReader) error {
	for done := false; !done; {
		var batch []backupLine
		for size := 0; size < restoreBytes && len(batch) < restoreLines; {
			l, err := in.read()
			if errors.Is(err, io.EOF) {
				done = true
				break
			}
			if err != nil {
				return err
			}
			size += len(l.Value)
			batch = append(batch, l)
		}
		if err := s.engine.Update(ctx, func(kv KV) error { return s.fillBatch(kv, batch) }); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) fillBatch(kv KV, batch []backupLine) error {
	now := s.now()
	pos, err := kv.Last() // behind the backup's, where entries have expired since
	if err != nil {
		return err
	}
	for _, l := range batch {
		if !l.Expires.IsZero() && !l.Expires.After(now) {
			continue
		}
		if l.Position != 0 {
			if l.Position != pos+1 {
				if err := kv.Advance(l.Position - 1); err != nil {
					return err
				}
			}
			if err := kv.Append(l.Value, l.Expires); err != nil {
				return err
			}
			pos = l.Position
			continue
		}
		value := []byte(l.Value)
		switch l.kind() {
		case kindHandover:
			continue
		case kindSession:
			v, err := ended(l.Value, now)
			if err != nil {
				return err
			}
			value = v
		default: // as it was
		}
		key, err := l.encodedKey()
		if err != nil {
			return err
		}
		if err := kv.Set(key, value, l.Expires); err != nil {
			return err
		}
	}
	return nil
}

// ended returns the row of a session with its end in it.
func ended(row []byte, now time.Time) ([]byte, error) {
	var v session.Session
	if err := json.Unmarshal(row, &v); err != nil {
		return nil, errors.New("it is no session")
	}
	if v.EndedAt.IsZero() {
		v.EndedAt = now
	}
	return json.Marshal(v)
}
