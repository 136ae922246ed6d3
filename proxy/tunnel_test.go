package proxy

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
)

// A said is a reader that notes how much it was asked for.
type said struct {
	pieces [][]byte
	most   int
	end    error
}

func (s *said) Read(b []byte) (int, error) {
	s.most = max(s.most, len(b))
	if len(s.pieces) == 0 {
		return 0, s.end
	}
	n := copy(b, s.pieces[0])
	if s.pieces[0] = s.pieces[0][n:]; len(s.pieces[0]) == 0 {
		s.pieces = s.pieces[1:]
	}
	return n, nil
}

func TestATunnelPassesAllOnInOrder(t *testing.T) {
	for range 200 {
		s, want := &said{end: io.EOF}, []byte(nil)
		for range rand.IntN(20) {
			b := make([]byte, 1+rand.IntN([]int{10, restingSize + 1, 2 * restingSize, 3 * bufferSize}[rand.IntN(4)]))
			for i := range b {
				b[i] = byte(rand.Int())
			}
			s.pieces, want = append(s.pieces, b), append(want, b...)
		}
		var got bytes.Buffer
		n, err := pass(&got, s)
		if err != nil || int(n) != len(want) || !bytes.Equal(got.Bytes(), want) {
			t.Fatalf("%d and %d of %d, %v", n, got.Len(), len(want), err)
		}
	}
}

func TestATunnelInWhichLittleIsSaidHoldsLittle(t *testing.T) {
	s := &said{end: io.EOF}
	for range 100 {
		s.pieces = append(s.pieces, make([]byte, restingSize-1))
	}
	if _, err := pass(io.Discard, s); err != nil || s.most > restingSize {
		t.Errorf("%d at once, %v", s.most, err)
	}
	s = &said{end: io.EOF, pieces: [][]byte{make([]byte, 10*bufferSize)}}
	if _, err := pass(io.Discard, s); err != nil || s.most != bufferSize {
		t.Errorf("where much is said: %d at once, %v", s.most, err)
	}
}

func TestATunnelEndsWithEitherEnd(t *testing.T) {
	broken := errors.New("broken")
	if n, err := pass(io.Discard, &said{end: broken, pieces: [][]byte{{1, 2, 3}}}); n != 3 || !errors.Is(err, broken) {
		t.Errorf("reading: %d, %v", n, err)
	}
	if n, err := pass(brokenWriter{broken}, &said{end: io.EOF, pieces: [][]byte{make([]byte, 2*bufferSize)}}); n != 0 || !errors.Is(err, broken) {
		t.Errorf("writing: %d, %v", n, err)
	}
	if n, err := pass(brokenWriter{}, &said{end: io.EOF, pieces: [][]byte{{1}}}); n != 0 || !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("writing less: %d, %v", n, err)
	}
}

type brokenWriter struct{ err error }

func (w brokenWriter) Write([]byte) (int, error) { return 0, w.err }
