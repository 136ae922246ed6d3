// Package badger is the embedded engine of package store: one directory, one process,
// nothing to install. It is the only importer of Badger.
//
// It owns how the contract of [store.Engine] is kept on Badger: one writer that commits
// in groups (docs/adr/0001), expiry by the engine's clock, the feed, durable
// writes, small memory, and clear errors for what disks do. It does not own what keys
// and values mean.
//
// The invariants: what was answered is on the disk; the feed has no gaps; nothing is
// written once a write has failed.
package badger

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	badgerdb "github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"

	"github.com/orgate/orgate/store"
)

// Options say where an engine keeps its data.
type Options struct {
	// Dir is the directory, made with mode 0700 if it is not there. It must be
	// on a disk that flushes when asked and knows flock.
	Dir string
	// InMemory keeps everything in memory, for tests and the demo; Dir is ignored.
	InMemory bool
	// Now is the clock of expiry; nil: time.Now.
	Now func() time.Time
	// Logger hears of Badger's own troubles; nil: nobody does.
	Logger *slog.Logger
	// MinFree is how many bytes must be free on the disk for an update to begin;
	// 0: 64 MiB. Badger maps its files, and a mapped file on a full disk ends the process.
	MinFree uint64
}

const (
	defaultMinFree = 64 << 20
	// memTable decides how big a transaction may be (15 % of it), and most of the memory.
	memTable = 8 << 20
	// maxValue is how big a value may be; in memory there is no value log for bigger ones.
	maxValue = 1_000_000
	// closingRoom is more than Badger writes on closing, which is every memory table.
	closingRoom = 4 * memTable
	// A value of this size goes to the value log.
	bigValue = 64 << 10
)

// An Engine is a [store.Engine] in one directory.
type Engine struct {
	db  *badgerdb.DB
	now func() time.Time
	log *slog.Logger

	// free returns how many bytes are free on the disk; nil in memory.
	free    func() (uint64, error)
	minFree uint64
	commit  func(*badgerdb.Txn) error

	requests chan *request // to the writer; never closed
	closing  chan struct{} // closed by Close
	stopped  sync.WaitGroup
	close    func() error // once

	// running counts transactions; Close waits for them, so that none meets a closed
	// database. No new one is counted once closed is set.
	running sync.WaitGroup
	gate    sync.Mutex
	closed  bool

	// failed is the first failure of a commit. A flush that failed is not tried
	// again: the kernel may have dropped the pages and would report success.
	failed atomic.Pointer[error]

	wakeMu sync.Mutex
	wake   chan struct{}
}

var _ store.Engine = (*Engine)(nil)

// Open opens the directory, which no other process may have open: it returns an error
// wrapping [store.ErrLocked] then, and one wrapping [store.ErrCorrupt] if the files
// are damaged.
func Open(o Options) (*Engine, error) {
	e := &Engine{
		now: o.Now, log: o.Logger, minFree: o.MinFree,
		requests: make(chan *request, 256),
		closing:  make(chan struct{}),
		wake:     make(chan struct{}),
		commit:   (*badgerdb.Txn).Commit,
	}
	if e.now == nil {
		e.now = time.Now
	}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	if e.minFree == 0 {
		e.minFree = defaultMinFree
	}
	if !o.InMemory {
		if o.Dir == "" {
			return nil, errors.New("no directory for the store")
		}
		if err := os.MkdirAll(o.Dir, 0o700); err != nil {
			return nil, fmt.Errorf("store directory: %w", err)
		}
		// A directory that was there is the operator's: a volume of Kubernetes belongs
		// to a group. But Badger leaves its files readable to whoever gets at them.
		if info, err := os.Stat(o.Dir); err == nil && info.Mode().Perm()&0o007 != 0 {
			e.log.Warn("store directory is open to other users", "dir", o.Dir, "mode", info.Mode().Perm().String())
		}
		e.free = func() (uint64, error) { return freeBytes(o.Dir) }
		// A first start on a full disk must not leave half a database.
		if err := e.roomLeft(); err != nil {
			return nil, err
		}
	}

	db, err := openDB(o, e.log)
	if err != nil {
		return nil, err
	}
	e.db = db
	e.close = sync.OnceValue(e.shutDown)

	w, err := newWriter(e)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	e.stopped.Go(w.run)
	if !o.InMemory {
		e.stopped.Go(e.collect)
	}
	return e, nil
}

// openDB opens Badger.
func openDB(o Options, log *slog.Logger) (db *badgerdb.DB, err error) {
	defer func() {
		if p := recover(); p != nil {
			db, err = nil, openError(o.Dir, fmt.Errorf("panic: %v", p))
		}
	}()
	opt := badgerdb.DefaultOptions(o.Dir).WithValueThreshold(bigValue)
	if o.InMemory {
		opt = badgerdb.DefaultOptions("").WithInMemory(true).WithValueThreshold(1 << 20)
	}
	opt = opt.
		WithLogger(logger{log}).
		WithSyncWrites(!o.InMemory).
		WithDetectConflicts(false). // one writer
		WithMetricsEnabled(false).
		WithChecksumVerificationMode(options.OnBlockRead). // verify has read whole tables
		WithVerifyValueChecksum(true).
		WithCompression(options.None).
		WithMemTableSize(memTable).
		WithNumMemtables(2).
		WithNumLevelZeroTables(2).
		WithNumLevelZeroTablesStall(4).
		WithNumCompactors(2).
		WithBlockCacheSize(4 << 20).
		WithIndexCacheSize(4 << 20).
		WithValueLogFileSize(16 << 20)
	if !o.InMemory {
		held, err := lock(o.Dir)
		if err != nil {
			return nil, openError(o.Dir, fmt.Errorf("directory lock: %w", err))
		}
		err = verify(o.Dir, opt)
		_ = held.Close() // and Badger takes the lock
		if err != nil {
			return nil, openError(o.Dir, err)
		}
	}
	db, err = badgerdb.Open(opt)
	if err != nil {
		return nil, openError(o.Dir, err)
	}
	return db, nil
}

// openError says what to do about an error of Badger's Open. Badger does not wrap its
// causes, so their texts are looked at.
func openError(dir string, err error) error {
	text := err.Error()
	has := func(cause error) bool {
		return errors.Is(err, cause) || strings.Contains(text, cause.Error())
	}
	switch {
	case strings.Contains(text, "directory lock") && has(syscall.EWOULDBLOCK):
		return fmt.Errorf("%w: %s: another orgate is running on it (one process per directory; several replicas need store.postgres)", store.ErrLocked, dir)
	case has(fs.ErrPermission) || has(syscall.EACCES) || has(syscall.EROFS):
		return fmt.Errorf("%w: %s can't be written by user %d: %w", store.ErrUnavailable, dir, os.Getuid(), err)
	case has(syscall.ENOSPC) || has(syscall.EDQUOT):
		return fmt.Errorf("%w: the disk of %s is full: %w", store.ErrUnavailable, dir, err)
	case has(syscall.EMFILE) || has(syscall.ENOMEM) || has(syscall.ENOLCK):
		return fmt.Errorf("%w: %s: %w", store.ErrUnavailable, dir, err)
	default:
		return fmt.Errorf("%w: %s: restore a backup into an empty directory (orgate restore): %w", store.ErrCorrupt, dir, err)
	}
}

// Close waits for the transactions that are running, and closes the database. On a full
// disk it does not, but returns an error: the directory is in use until the process ends.
func (e *Engine) Close() error { return e.close() }

func (e *Engine) shutDown() (err error) {
	e.gate.Lock()
	e.closed = true
	e.gate.Unlock()
	e.running.Wait()
	close(e.closing)
	e.stopped.Wait()
	// Badger writes its memory tables to mapped files now, and a mapped file on a full disk ends the
	// process with a fault. All that they hold is in their log: they are read from there.
	if n, err := e.freeRoom(); err == nil && n < min(closingRoom, e.minFree) {
		return fmt.Errorf("%w: the disk is full, so the store was left as at a power cut; nothing is lost, make room before the next start", store.ErrUnavailable)
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: on closing: %v", store.ErrCorrupt, p)
		}
	}()
	if err := e.db.Close(); err != nil {
		return fmt.Errorf("close store: %w", err)
	}
	return nil
}

// enter admits a transaction, until the function that it returns is called.
func (e *Engine) enter(ctx context.Context) (leave func(), err error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	e.gate.Lock()
	defer e.gate.Unlock()
	if e.closed {
		return nil, store.ErrClosed
	}
	e.running.Add(1)
	return e.running.Done, nil
}

// logger passes Badger's log on.
type logger struct{ log *slog.Logger }

func (l logger) Errorf(f string, a ...any)   { l.write(slog.LevelError, f, a) }
func (l logger) Warningf(f string, a ...any) { l.write(slog.LevelWarn, f, a) }
func (l logger) Infof(f string, a ...any)    { l.write(slog.LevelDebug, f, a) }
func (l logger) Debugf(f string, a ...any)   { l.write(slog.LevelDebug, f, a) }

func (l logger) write(level slog.Level, format string, args []any) {
	ctx := context.Background()
	if !l.log.Enabled(ctx, level) {
		return
	}
	l.log.LogAttrs(ctx, level, "badger says", slog.String("text", strings.TrimSpace(fmt.Sprintf(format, args...))))
}

// Badger's keys: what the transactions see is under 'k', the feed under 'f' and a
// position of 8 bytes, so that no prefix of a transaction reaches it; the last position
// that was used is kept by itself, as entries expire.
const (
	spaceKeys = 'k'
	spaceFeed = 'f'
	keyHead   = "head"
)

func feedKey(pos uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{spaceFeed}, pos)
}
