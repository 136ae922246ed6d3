//go:build unix

package quiet

import (
	"syscall"
	"time"
)

// spent is the CPU time that the process took so far.
func spent() (d time.Duration, ok bool) {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) != nil {
		return 0, false
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano()), true
}
