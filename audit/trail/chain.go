package trail

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/orgate/orgate/tenancy"
)

// scheme begins what is hashed. It is another one when the encoding is.
const scheme = "orgate audit log entry 1"

// Sum returns the hash that belongs to e: over all of it but Hash. docs/audit.md has the encoding, so that
// others can check it: each field is its length in 8 bytes and then itself, and each list its length as a
// field and then its fields, so that no two entries are the same bytes.
func (e Entry) Sum() Hash {
	s := summer{sha256.New()}
	s.text(scheme, string(e.Log), strconv.FormatUint(e.Sequence, 10), e.Previous.String(), e.ID, e.Action)
	s.text(clockText(e.OccurredAt), clockText(e.RecordedAt), e.RecordedBy, strconv.Itoa(e.Version))
	s.text(e.Actor.ID, e.Actor.Type, e.Actor.Name)
	s.metadata(e.Actor.Metadata)
	s.text(strconv.Itoa(len(e.Targets)))
	for _, t := range e.Targets {
		s.text(t.ID, t.Type, t.Name)
		s.metadata(t.Metadata)
	}
	s.text(e.Context.Location, e.Context.UserAgent)
	s.metadata(e.Metadata)
	return Hash(s.h.Sum(nil))
}

func clockText(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

type summer struct{ h hash.Hash }

func (s summer) text(fields ...string) {
	for _, f := range fields {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(f)))
		s.h.Write(n[:])
		s.h.Write([]byte(f))
	}
}

func (s summer) metadata(m Metadata) {
	s.text(strconv.Itoa(len(m)))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		s.text(k, string(m[k].kind), m[k].text)
	}
}

// follow makes e the next entry of the chain of h, and h the head behind it.
func follow(h Head, e Entry) (Head, Entry) {
	e.Log, e.Sequence, e.Previous = h.Log, h.Sequence+1, h.Hash
	if e.Targets == nil {
		e.Targets = []Target{}
	}
	e.Hash = e.Sum()
	if h.Sequence == h.Anchor.Sequence {
		h.Oldest = e.RecordedAt
	}
	h.Sequence, h.Hash, h.At = e.Sequence, e.Hash, e.RecordedAt
	return h, e
}

// headOf returns the head of a log; of one that is not there yet, the beginning.
func headOf(tx Tx, l Log) (Head, error) {
	h, err := tx.LogHead(l)
	if errors.Is(err, tenancy.ErrNotFound) {
		return Head{Log: l}, nil
	}
	return h, err
}

// A Fault is the first thing that is wrong with a chain.
type Fault struct {
	Log Log
	// Sequence is the number of the entry that is wrong, or that should be there.
	Sequence uint64
	What     string
}

// Error implements error.
func (f *Fault) Error() string { return fmt.Sprintf("entry %d: %s", f.Sequence, f.What) }

// A Verifier checks one chain, from its anchor to its head, an entry at a time.
type Verifier struct {
	log  Log
	pins map[uint64]Hash
	// last is the entry that was right, or the anchor.
	last Anchor
	from Anchor
	// trimmed is what the last entry about retention says was removed.
	trimmed Anchor
}

// NewVerifier returns a Verifier of the chain that begins behind h.Anchor. Each of pins is an entry that
// somebody has seen, and kept elsewhere.
func NewVerifier(h Head, pins ...Anchor) (*Verifier, error) {
	v := &Verifier{log: h.Log, last: h.Anchor, from: h.Anchor, pins: map[uint64]Hash{}}
	for _, p := range pins {
		v.pins[p.Sequence] = p.Hash
	}
	if h.Anchor.Sequence > 0 {
		if err := v.pinned(h.Anchor); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// Next is the number of the entry that [Verifier.Add] is to be given next.
func (v *Verifier) Next() uint64 { return v.last.Sequence + 1 }

// Last is the last entry that was right.
func (v *Verifier) Last() Anchor { return v.last }

// Count is how many were right.
func (v *Verifier) Count() uint64 { return v.last.Sequence - v.from.Sequence }

func (v *Verifier) fault(what string, args ...any) error {
	return &Fault{v.log, v.Next(), fmt.Sprintf(what, args...)}
}

// Add checks the next entry. It returns a [*Fault].
func (v *Verifier) Add(e Entry) error {
	switch {
	case e.Sum() != e.Hash && e.Sequence == v.Next() && e.Log == v.log:
		return v.fault("it was changed: its hash is not that of what it says")
	case e.Log != v.log:
		return v.fault("it is of another log, %q", e.Log)
	case e.Sequence > v.Next():
		return v.fault("it is missing: number %d comes in its place", e.Sequence)
	case e.Sequence < v.Next():
		return v.fault("number %d is in its place", e.Sequence)
	case e.Previous != v.last.Hash:
		return v.fault("it does not follow the entry before it, one of the two was exchanged")
	}
	if err := v.pinned(Anchor{e.Sequence, e.Hash}); err != nil {
		return err
	}
	v.last = Anchor{e.Sequence, e.Hash}
	if e.Action == Trimmed {
		v.trimmed = trimmedBy(e)
	}
	return nil
}

func (v *Verifier) pinned(a Anchor) error {
	if want, ok := v.pins[a.Sequence]; ok && want != a.Hash {
		return &Fault{v.log, a.Sequence, "it is another one than the one that --head names"}
	}
	delete(v.pins, a.Sequence)
	return nil
}

// End checks that the chain ends where its head says, and began where retention left it. It returns
// the pinned entries that are removed by now, of which nothing can be said, or a [*Fault].
func (v *Verifier) End(h Head) (unknown []uint64, err error) {
	switch {
	case h.Sequence > v.last.Sequence:
		return nil, v.fault("it is missing, and so is what comes behind it: the head of the chain is number %d", h.Sequence)
	case h.Sequence < v.last.Sequence:
		return nil, &Fault{v.log, h.Sequence + 1, fmt.Sprintf("it is behind the head of the chain, which is number %d", h.Sequence)}
	case h.Hash != v.last.Hash:
		return nil, &Fault{v.log, h.Sequence, "the head of the chain has another hash than the last entry"}
	case h.Anchor != v.trimmed && h.Anchor.Sequence > 0:
		return nil, &Fault{v.log, h.Anchor.Sequence, "it and those before it are gone, and no entry says that retention removed them"}
	}
	for _, n := range slices.Sorted(maps.Keys(v.pins)) {
		if n > h.Sequence {
			return nil, &Fault{v.log, h.Sequence + 1, fmt.Sprintf("it is missing: --head names number %d", n)}
		}
		unknown = append(unknown, n)
	}
	return unknown, nil
}
