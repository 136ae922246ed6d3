package session_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
)

// rotate rotates, and returns the ids of the keys and how many were made.
func (w *world) rotate() (ids []string, made int) {
	w.t.Helper()
	w.must(func(tx store.Tx) error {
		made = 0
		keys, err := session.RotateKeys(tx, session.ForAssertions, func() (session.SigningKey, error) {
			made++
			return session.SigningKey{ID: fmt.Sprint("key-", w.now.Unix()), Public: []byte{1}, Private: []byte("sealed")}, nil
		}, w.now)
		ids = nil
		for _, k := range keys {
			ids = append(ids, k.ID)
		}
		return err
	})
	return ids, made
}

func TestAKeyIsPublishedForAsLongAsItsTokensLive(t *testing.T) {
	w := newWorld(t)
	first := []string{fmt.Sprint("key-", w.now.Unix())}
	if ids, made := w.rotate(); made != 1 || !slices.Equal(ids, first) {
		t.Fatalf("first: %q, %d made", ids, made)
	}
	w.wantEvents(audit.SigningKeyCreated)
	w.now = w.now.Add(session.KeyLife - 1)
	if ids, made := w.rotate(); made != 0 || !slices.Equal(ids, first) {
		t.Errorf("before its time: %q, %d made", ids, made)
	}
	w.wantEvents()
	w.now = w.now.Add(1)
	both := []string{fmt.Sprint("key-", w.now.Unix()), first[0]}
	if ids, made := w.rotate(); made != 1 || !slices.Equal(ids, both) {
		t.Errorf("when it is old: %q, %d made, want %q", ids, made, both)
	}
	w.wantEvents(audit.SigningKeyRetired, audit.SigningKeyCreated)
	w.now = w.now.Add(session.KeyOverlap - 1)
	if ids, made := w.rotate(); made != 0 || !slices.Equal(ids, both) {
		t.Errorf("while its tokens live: %q, %d made", ids, made)
	}
	w.wantEvents()
	w.now = w.now.Add(1)
	if ids, made := w.rotate(); made != 0 || !slices.Equal(ids, both[:1]) {
		t.Errorf("when its tokens have expired: %q, %d made", ids, made)
	}
	w.wantEvents(audit.SigningKeyDeleted)
}

func TestOfTwoKeysThatBothSignTheYoungestDoes(t *testing.T) {
	w := newWorld(t)
	w.must(func(tx store.Tx) error {
		for i, id := range []string{"old", "young", "older"} {
			at := w.now.Add([]time.Duration{-2, -1, -3}[i] * time.Hour)
			if err := tx.PutSigningKey(session.SigningKey{ID: id, Public: []byte{1}, Private: []byte{1}, CreatedAt: at}); err != nil {
				return err
			}
		}
		return nil
	})
	if ids, made := w.rotate(); made != 0 || !slices.Equal(ids, []string{"young", "old", "older"}) {
		t.Errorf("got %q, %d made", ids, made)
	}
	w.wantEvents(audit.SigningKeyRetired, audit.SigningKeyRetired)
}

func TestAKeyThatCanNotSignIsNotTaken(t *testing.T) {
	w := newWorld(t)
	boom := errors.New("no entropy")
	for _, k := range []session.SigningKey{{}, {ID: "x"}, {ID: "x", Public: []byte{1}}} {
		err := w.try(func(tx store.Tx) error {
			_, err := session.RotateKeys(tx, session.ForAssertions, func() (session.SigningKey, error) { return k, nil }, w.now)
			return err
		})
		if err == nil {
			t.Errorf("took %+v", k)
		}
	}
	err := w.try(func(tx store.Tx) error {
		_, err := session.RotateKeys(tx, session.ForAssertions, func() (session.SigningKey, error) { return session.SigningKey{}, boom }, w.now)
		return err
	})
	if !errors.Is(err, boom) {
		t.Errorf("got %v", err)
	}
	w.wantEvents()
}
