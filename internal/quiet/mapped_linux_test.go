package quiet

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/orgate/orgate/internal/need"
)

func TestMappedPagesAreGivenBackAndNothingIsLost(t *testing.T) {
	const size = 16 << 20
	path, pages := mapFile(t, size)
	if n := resident(t, path); n < size {
		t.Fatalf("%d bytes are resident, want all", n)
	}
	here := this(nil)
	had := here.mapped()
	pages[size/2] = 'x' // and not written to the disk

	here.drop()

	if n, now := resident(t, path), here.mapped(); had < size || n > size/4 || now > had-size/2 {
		t.Errorf("%d bytes are resident, of %d; %d bytes of files are mapped and in memory, %d before", n, size, now, had)
	}
	for i, b := range pages {
		if want := byte(i / 512); b != want && i != size/2 {
			t.Fatalf("byte %d is %x, want %x", i, b, want)
		}
	}
	if pages[size/2] != 'x' {
		t.Error("what was written is gone")
	}
}

// BenchmarkReadAfterGivingBack is what it takes to read a page of the store that was given back, beside one that was not.
func BenchmarkReadAfterGivingBack(b *testing.B) {
	const size = 256 << 20
	_, pages := mapFile(b, size)
	read := func(b *testing.B) {
		for b.Loop() {
			sink += pages[rand.IntN(size)]
		}
	}
	b.Run("in memory", read)
	b.Run("given back", func(b *testing.B) {
		for n := 0; b.Loop(); n++ {
			if n%64 == 0 { // before what is read ahead is much of it
				b.StopTimer()
				pageOut()
				b.StartTimer()
			}
			sink += pages[rand.IntN(size)]
		}
	})
}

// sink keeps what is read for nothing from being left out by the compiler.
var sink byte

// mapFile maps a file on the disk, all of whose pages are in memory then.
func mapFile(t testing.TB, size int) (path string, pages []byte) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "mapped")
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(i / 512)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var fs unix.Statfs_t
	if err := errors.Join(f.Sync(), unix.Fstatfs(int(f.Fd()), &fs)); err != nil {
		t.Fatal(err)
	}
	if fs.Type == unix.TMPFS_MAGIC || fs.Type == unix.RAMFS_MAGIC {
		need.Missing(t, "a disk under the directory for temporary files", "set TMPDIR")
	}
	pages, err = unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Munmap(pages) })
	for i := 0; i < size; i += 512 {
		sink += pages[i]
	}
	return path, pages
}

// resident is what of path is mapped and in memory.
func resident(t *testing.T, path string) (bytes int) {
	t.Helper()
	b, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	_, of, _ := strings.Cut(string(b), path)
	_, of, ok := strings.Cut(of, "Rss:")
	fields := strings.Fields(of)
	if !ok || len(fields) == 0 {
		t.Fatalf("%s is not among what is mapped", path)
	}
	n, err := strconv.Atoi(fields[0])
	if err != nil {
		t.Fatal(err)
	}
	return n << 10
}

func TestOnlyFilesThatAreSharedArePagedOut(t *testing.T) {
	for line, want := range map[string]bool{
		"7f2a8c000000-7f2a8c800000 rw-s 00000000 fe:00 1234                       /var/lib/orgate/000001.sst":           true,
		"7f2a8c000000-7f2a8c800000 r--s 00000000 fe:00 1234                       /data/a b.vlog":                       true,
		"7f2a8c000000-7f2a8c800000 rw-s 00000000 fe:00 1234                       /var/lib/orgate/000001.sst (deleted)": true,
		"00400000-01800000 r-xp 00001000 fe:00 99                                 /usr/local/bin/orgate":                false,
		"c000000000-c004000000 rw-p 00000000 00:00 0 ":                                                                  false,
		"7f2a8c000000-7f2a8c800000 rw-s 00000000 00:0e 12                         anon_inode:[io_uring]":                false,
		"7ffd1000-7ffd3000 r-xp 00000000 00:00 0                                  [vdso]":                               false,
		"nonsense": false,
		"zz-7f2a8c800000 rw-s 00000000 fe:00 1 /x":             false,
		"7f2a8c800000-7f2a8c800000 rw-s 00000000 fe:00 1 /x":   false,
		"7f2a8c000000-7f2a8c8000001111111111 rw-s 0 fe:0 1 /x": false,
		"": false,
	} {
		if from, to, ok := sharedFile(line); ok != want || ok && to-from != 8<<20 {
			t.Errorf("%q: %x-%x, %v", line, from, to, ok)
		}
	}
}
