//go:build unix

package quiet

import (
	"testing"
	"time"
)

func TestWhatTheSystemAndTheRuntimeSay(t *testing.T) {
	before, ok := spent()
	if !ok {
		t.Fatal("the system does not say what CPU time the process took")
	}
	for after := before; after-before < 20*time.Millisecond; after, _ = spent() {
		_ = make([]byte, 1<<10)
	}
	if n := held(); n < 1<<20 || n > 1<<40 {
		t.Errorf("%d bytes", n)
	}
}
