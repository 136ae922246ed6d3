package store

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
	"time"
)

// A backup is JSON lines, so that it can be read, searched and compared with tools that
// everybody has:
//
//	{"orgate_backup":1,"created_at":"…","head":42}
//	{"key":["o","org_…"],"value":{…}}                 rows and index entries, in order of keys
//	{"key":["s","session_…"],"value":{…},"expires":"…"}
//	{"position":41,"value":{…},"expires":"…"}         the feed, in order
//	{"rows":2,"events":1,"sha256":"…"}                of all lines before
//
// The checksum finds what was cut off or has rotted. It does not prove who wrote the
// file: a backup is as secret, and must be as trusted, as the store itself.
const (
	backupVersion = 1
	// maxLine is more than any engine takes as one value.
	maxLine = 4 << 20
	// Restore writes so much in one transaction, or one line if that is more.
	restoreBytes = 256 << 10
	restoreLines = 500
)

type backupHeader struct {
	Version   int       `json:"orgate_backup"`
	CreatedAt time.Time `json:"created_at"`
	Head      uint64    `json:"head"`
}

// A backupLine is a row or an entry of the feed.
type backupLine struct {
	Key      []string        `json:"key,omitzero"`
	Position uint64          `json:"position,omitzero"`
	Value    json.RawMessage `json:"value,omitzero"`
	Expires  time.Time       `json:"expires,omitzero"`
}

type backupTrailer struct {
	Rows   int    `json:"rows"`
	Events int    `json:"events"`
	SHA256 string `json:"sha256"`
}

// Copied says how much a backup holds.
type Copied struct{ Rows, Events int }

// Backup writes a consistent copy of everything to w while the store is in use: what was
// committed before the call, and nothing of what is committed after.
func (s *Store) Backup(ctx context.Context, w io.Writer) (Copied, error) {
	var n Copied
	ran := false
	err := s.engine.View(ctx, func(kv KV) (err error) {
		if ran {
			return fmt.Errorf("%w: interrupted, begin a new backup", ErrUnavailable)
		}
		ran = true
		if err := s.usable(kv); err != nil {
			return err
		}
		n, err = writeBackup(ctx, kv, w, s.now())
		return err
	})
	if err != nil {
		return Copied{}, fmt.Errorf("backup: %w", err)
	}
	return n, nil
}

func writeBackup(ctx context.Context, kv KV, out io.Writer, now time.Time) (n Copied, err error) {
	buf := bufio.NewWriterSize(out, 64<<10)
	sum := sha256.New()
	lines := json.NewEncoder(io.MultiWriter(buf, sum))
	head, err := kv.Last()
	if err != nil {
		return n, err
	}
	if err := lines.Encode(backupHeader{backupVersion, now.UTC(), head}); err != nil {
		return n, err
	}
	for p, err := range kv.Scan(nil, nil, false) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return n, err
		}
		k, fields, err := decodeKey(p.Key)
		if err != nil {
			return n, fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		if kind(k) == kindNote { // of this store, and not of what is in it
			continue
		}
		if err := lines.Encode(backupLine{Key: append([]string{string(rune(k))}, fields...), Value: p.Value, Expires: utc(p.Expires)}); err != nil {
			return n, err
		}
		n.Rows++
	}
	for pos := uint64(0); ; {
		entries, err := kv.Entries(pos, followBatch)
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return n, err
		}
		if len(entries) == 0 {
			break
		}
		for _, en := range entries {
			if err := lines.Encode(backupLine{Position: en.Position, Value: en.Data, Expires: utc(en.Expires)}); err != nil {
				return n, err
			}
			n.Events++
		}
		pos = entries[len(entries)-1].Position
	}
	if err := json.NewEncoder(buf).Encode(backupTrailer{n.Rows, n.Events, hex.EncodeToString(sum.Sum(nil))}); err != nil {
		return n, err
	}
	return n, buf.Flush()
}

func utc(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC()
}

// A backupReader reads a backup and finds every fault in it.
type backupReader struct {
	in     *bufio.Scanner
	sum    hash.Hash
	line   int
	header backupHeader
	n      Copied
	last   []byte // key of the row before
	pos    uint64 // of the entry before
}

var errCutOff = errors.New("it is cut off")

// fault is an error about the line that was read last.
func (r *backupReader) fault(err error) error { return fmt.Errorf("backup: line %d: %w", r.line, err) }

// newBackupReader reads the header.
func newBackupReader(in io.Reader) (*backupReader, error) {
	r := &backupReader{in: bufio.NewScanner(in), sum: sha256.New()}
	r.in.Buffer(nil, maxLine)
	r.in.Split(wholeLines)
	b, err := r.next()
	if err != nil {
		return nil, err
	}
	if err := strict(b, &r.header); err != nil || r.header.Version == 0 {
		return nil, errors.New("backup: this is not a backup of orgate")
	}
	if r.header.Version != backupVersion {
		return nil, fmt.Errorf("backup: it has format %d, this orgate reads format %d", r.header.Version, backupVersion)
	}
	r.sum.Write(b)
	return r, nil
}

// wholeLines is a [bufio.SplitFunc] for lines with their ends: the checksum is of both.
func wholeLines(data []byte, atEOF bool) (advance int, token []byte, err error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, data[:i+1], nil
	}
	if atEOF && len(data) > 0 {
		return 0, nil, errCutOff
	}
	return 0, nil, nil
}

// next returns a line with its end, good until the next call.
func (r *backupReader) next() ([]byte, error) {
	r.line++
	if r.in.Scan() {
		return r.in.Bytes(), nil
	}
	switch err := r.in.Err(); {
	case err == nil:
		return nil, r.fault(errCutOff)
	case errors.Is(err, bufio.ErrTooLong):
		return nil, r.fault(fmt.Errorf("it has more than %d bytes", maxLine))
	default:
		return nil, r.fault(err)
	}
}

// strict reads one JSON object with known fields and nothing behind it.
func strict(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one value")
	}
	return nil
}

// read returns the next row or entry, and io.EOF after the last, when the trailer has
// confirmed that it was the last and that all are as they were written.
func (r *backupReader) read() (backupLine, error) {
	b, err := r.next()
	if err != nil {
		return backupLine{}, err
	}
	if bytes.HasPrefix(b, []byte(`{"rows":`)) {
		return backupLine{}, r.end(b)
	}
	r.sum.Write(b)
	var l backupLine
	if strict(b, &l) != nil || len(l.Value) == 0 || (len(l.Key) == 0) == (l.Position == 0) {
		return backupLine{}, r.fault(errors.New("it is damaged")) // no detail: it may be a secret's
	}
	if l.Position != 0 {
		if l.Position <= r.pos || l.Position > r.header.Head {
			return backupLine{}, r.fault(errors.New("entry out of order"))
		}
		r.pos = l.Position
		r.n.Events++
		return l, nil
	}
	key, err := l.encodedKey()
	if err != nil {
		return backupLine{}, r.fault(err)
	}
	if r.pos != 0 || bytes.Compare(key, r.last) <= 0 {
		return backupLine{}, r.fault(errors.New("row out of order"))
	}
	// Found now, and not when half of the backup has been written.
	if _, _, err := revive(l, time.Time{}); err != nil {
		return backupLine{}, r.fault(err)
	}
	r.last = key
	r.n.Rows++
	return l, nil
}

func (r *backupReader) end(b []byte) error {
	var t backupTrailer
	if err := strict(b, &t); err != nil {
		return r.fault(errors.New("the trailer is damaged"))
	}
	if t.Rows != r.n.Rows || t.Events != r.n.Events || t.SHA256 != hex.EncodeToString(r.sum.Sum(nil)) {
		return r.fault(errors.New("the checksum does not match: it is damaged"))
	}
	if r.in.Scan() || r.in.Err() != nil {
		return r.fault(errors.New("something follows the trailer"))
	}
	return io.EOF
}

// kinds are those that a backup may hold: all but the note that a restore is going on.
const kinds = "oOhdvDcnSLueiImMrRstwpxyHW91kPTCaAEl#qgQVJfG823456Kj7XYzFNBbUZ./:;" +
	"<=>?~^_@$%0&*+-,"

func (l backupLine) kind() kind { return kind(l.Key[0][0]) }

func (l backupLine) encodedKey() ([]byte, error) {
	if len(l.Key[0]) != 1 || !strings.Contains(kinds, l.Key[0]) {
		return nil, errors.New("row of an unknown kind")
	}
	return l.kind().key(l.Key[1:]...)
}
