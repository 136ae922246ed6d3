package badger_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/store/badger"
)

// crashDir in the environment makes this test binary the child that is killed.
const crashDir = "ORGATE_TEST_CRASH_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		fmt.Fprintln(os.Stderr, writeUntilKilled(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// writeUntilKilled counts up in the store with many writers and says each number on
// standard output once it is acknowledged.
func writeUntilKilled(dir string) error {
	e, err := badger.Open(badger.Options{Dir: dir})
	if err != nil {
		return err
	}
	failed := make(chan error)
	for range 16 {
		go func() {
			for {
				var n int
				err := e.Update(context.Background(), func(kv store.KV) (err error) {
					n, err = countUp(kv)
					return err
				})
				if err != nil {
					failed <- err
					return
				}
				fmt.Fprintln(os.Stdout, n) // unbuffered: a line is out before the next update
			}
		}()
	}
	return <-failed
}

// countUp adds one to a counter, keeps a row for the number, and appends it to the feed.
func countUp(kv store.KV) (int, error) {
	n, err := counter(kv)
	if err != nil {
		return 0, err
	}
	n++
	b := []byte(strconv.Itoa(n))
	return n, errors.Join(
		kv.Set([]byte("n"), b, time.Time{}),
		kv.Set(fmt.Appendf(nil, "row/%08d", n), make([]byte, 500), time.Time{}),
		kv.Append(b, time.Time{}))
}

func counter(kv store.KV) (int, error) {
	b, err := kv.Get([]byte("n"))
	if errors.Is(err, store.ErrNoKey) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(string(b))
}

func TestWhatWasAcknowledgedSurvivesKill(t *testing.T) {
	dir := t.TempDir()
	acknowledged := 0
	for round := range 8 {
		acknowledged = max(acknowledged, killAfter(t, dir, 1+rand.IntN(1500)))

		e, err := badger.Open(badger.Options{Dir: dir})
		if err != nil {
			t.Fatalf("round %d: after the kill: %v", round, err)
		}
		err = e.View(t.Context(), func(kv store.KV) error {
			n, err := counter(kv)
			if err != nil {
				return err
			}
			if n < acknowledged {
				t.Errorf("round %d: %d was acknowledged, the store knows %d", round, acknowledged, n)
			}
			rows := 0
			for p, err := range kv.Scan([]byte("row/"), nil, false) {
				if err != nil {
					return err
				}
				rows++
				if want := fmt.Sprintf("row/%08d", rows); string(p.Key) != want {
					t.Fatalf("round %d: row %s is missing", round, want)
				}
			}
			entries, err := kv.Entries(0, n+10)
			if err != nil {
				return err
			}
			for i, en := range entries {
				if string(en.Data) != strconv.Itoa(i+1) {
					t.Fatalf("round %d: entry %d of the feed is %s", round, i+1, en.Data)
				}
			}
			if rows != n || len(entries) != n {
				t.Errorf("round %d: counter %d, %d rows, %d entries: half a transaction", round, n, rows, len(entries))
			}
			return nil
		})
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if acknowledged == 0 {
		t.Error("nothing was ever acknowledged")
	}
}

// killAfter runs the child until it has acknowledged so many, kills it, and returns the
// greatest number that it acknowledged.
func killAfter(t *testing.T, dir string, lines int) (greatest int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), crashDir+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(out)
	for i := 0; ; i++ {
		line, err := in.ReadString('\n')
		if errors.Is(err, io.EOF) {
			break // a line without end was not said
		}
		if err != nil {
			t.Fatal(err)
		}
		n, err := strconv.Atoi(strings.TrimSpace(line))
		if err != nil {
			t.Fatalf("child says %q", line)
		}
		greatest = max(greatest, n)
		if i == lines {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait() // killed
	if stderr.Len() > 0 {
		t.Fatalf("child: %s", stderr.String())
	}
	return greatest
}
