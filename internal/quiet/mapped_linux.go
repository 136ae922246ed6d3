package quiet

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// mapped is what of files is mapped and in memory (proc_pid_statm(5)); 0 if the system does not say.
func mapped() uint64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var size, resident, shared uint64
	if _, err := fmt.Sscan(string(b), &size, &resident, &shared); err != nil {
		return 0
	}
	return shared * uint64(os.Getpagesize())
}

// pageOut gives the pages of files back that the process has mapped and shares, as those of the store are: what of
// them is asked for again is read from the disk then. (The program's own pages are private, and stay.)
//
// A mapping may have gone since it was listed, and something else may be in its place. Of all advice only that is
// given which changes nothing that can be read: MADV_PAGEOUT, and never MADV_DONTNEED. Where the kernel does not know it (before 5.4),
// nothing happens.
func pageOut() {
	f, err := os.Open("/proc/self/maps")
	if err != nil {
		return
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if from, to, ok := sharedFile(lines.Text()); ok {
			_, _, _ = unix.Syscall(unix.SYS_MADVISE, from, to-from, unix.MADV_PAGEOUT) // advice: it may go unheard
		}
	}
}

// sharedFile reads a line of /proc/PID/maps (proc_pid_maps(5)), and is true if it is of a file that is mapped and shared.
func sharedFile(line string) (from, to uintptr, ok bool) {
	where, rest, _ := strings.Cut(line, " ")
	mode, rest, _ := strings.Cut(rest, " ")
	if !strings.HasSuffix(mode, "s") || !strings.Contains(rest, " /") {
		return 0, 0, false
	}
	first, end, _ := strings.Cut(where, "-")
	a, err := strconv.ParseUint(first, 16, strconv.IntSize)
	if err != nil {
		return 0, 0, false
	}
	b, err := strconv.ParseUint(end, 16, strconv.IntSize)
	return uintptr(a), uintptr(b), err == nil && a < b
}
