package badger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	badgerdb "github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/fb"
	"github.com/dgraph-io/badger/v4/pb"
	"github.com/dgraph-io/badger/v4/table"
	"github.com/dgraph-io/badger/v4/y"
	"google.golang.org/protobuf/proto"
)

// verify finds damage in the manifest and the tables of dir. Badger would find most of it
// too, but on goroutines of its own and with log.Fatal, which ends the process without
// a word that an operator can act on; and a damaged length in the manifest looks to
// it like the end of the file, upon which it deletes the tables that came after.
//
// The caller holds the lock of dir. It reads all tables once.
func verify(dir string, opt badgerdb.Options) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	f, err := os.Open(filepath.Join(dir, badgerdb.ManifestFilename))
	if errors.Is(err, fs.ErrNotExist) {
		return noTables(dir)
	}
	if err != nil {
		return err
	}
	defer f.Close()
	manifest, end, err := badgerdb.ReplayManifestFile(f, 0, opt)
	if err != nil {
		return fmt.Errorf("%s: %w", badgerdb.ManifestFilename, err)
	}
	if _, err := f.Seek(end, io.SeekStart); err != nil {
		return err
	}
	tail, err := io.ReadAll(f)
	if err != nil {
		return err
	}
	if completeRecord(tail) {
		return fmt.Errorf("%s: bad length at byte %d", badgerdb.ManifestFilename, end)
	}
	for id := range manifest.Tables {
		// A table that the manifest does not know was being made at a crash.
		name := table.NewFilename(id, dir)
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if err := verifyTable(b); err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(name), err)
		}
	}
	return nil
}

// noTables returns an error if dir, which has no manifest, is not new: Badger would begin
// anew and delete what is there.
func noTables(dir string) error {
	files, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, f := range files {
		switch filepath.Ext(f.Name()) {
		case ".sst", ".vlog", ".mem":
			return fmt.Errorf("there is %s, and no %s", f.Name(), badgerdb.ManifestFilename)
		}
	}
	return nil
}

// completeRecord reports whether tail, which Badger takes for a record that was being
// written at a crash, has all the bytes that its checksum is of.
func completeRecord(tail []byte) bool {
	if len(tail) < 8 {
		return false
	}
	want := binary.BigEndian.Uint32(tail[4:8])
	var sum uint32
	for i := range tail[8:] {
		sum = crc32.Update(sum, y.CastagnoliCrcTable, tail[8+i:9+i])
		if sum == want {
			return true
		}
	}
	return false
}

var errTable = errors.New("table is damaged")

// verifyTable checks every byte of a table: blocks, index, the index's checksum and its
// length, the checksum's length.
func verifyTable(b []byte) error {
	rest, index, err := cutChecked(b, true)
	if err != nil {
		return fmt.Errorf("index: %w", err)
	}
	ix := fb.GetRootAsTableIndex(index, 0)
	if ix.OffsetsLength() == 0 {
		return errTable
	}
	var at fb.BlockOffset
	for i := range ix.OffsetsLength() {
		if !ix.Offsets(&at, i) {
			return errTable
		}
		start, end := uint64(at.Offset()), uint64(at.Offset())+uint64(at.Len())
		if end > uint64(len(rest)) {
			return fmt.Errorf("block %d: %w", i, errTable)
		}
		if _, _, err := cutChecked(slices.Clip(rest[start:end]), false); err != nil {
			return fmt.Errorf("block %d: %w", i, err)
		}
	}
	return nil
}

// cutChecked takes what ends b: data, [its length,] a checksum and the checksum's length.
// Without a length, the data is all there is before the checksum.
func cutChecked(b []byte, sized bool) (rest, data []byte, err error) {
	cut := func() (uint64, bool) {
		if len(b) < 4 {
			return 0, false
		}
		n := uint64(binary.BigEndian.Uint32(b[len(b)-4:]))
		b = b[:len(b)-4]
		return n, n <= uint64(len(b))
	}
	n, ok := cut()
	if !ok {
		return nil, nil, errTable
	}
	sum := b[uint64(len(b))-n:]
	b = b[:uint64(len(b))-n]
	size := uint64(len(b))
	if sized {
		if size, ok = cut(); !ok {
			return nil, nil, errTable
		}
	}
	rest, data = b[:uint64(len(b))-size], b[uint64(len(b))-size:]
	var want pb.Checksum
	if proto.Unmarshal(sum, &want) != nil || want.Algo != pb.Checksum_CRC32C && want.Algo != pb.Checksum_XXHash64 {
		return nil, nil, errTable
	}
	if err := y.VerifyChecksum(data, &want); err != nil {
		return nil, nil, errTable
	}
	return rest, data, nil
}
