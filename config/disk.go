package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A disk is where files come from.
type disk interface {
	// read returns a regular file of at most max bytes.
	read(name string, max int) ([]byte, error)
	// glob returns the files that match, sorted.
	glob(pattern string) ([]string, error)
}

// realDisk is that of this machine.
type realDisk struct{}

func (realDisk) read(name string, max int) ([]byte, error) {
	// Judged before it is opened: opening a pipe that nobody writes to would wait for ever.
	switch info, err := os.Stat(name); {
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, errors.New("it is a directory")
	case !info.Mode().IsRegular():
		return nil, errors.New("it is not a regular file")
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	data, err := io.ReadAll(io.LimitReader(f, int64(max)+1))
	if err == nil && len(data) > max {
		err = fmt.Errorf("it is longer than %s", Size(max))
	}
	return data, err
}

func (realDisk) glob(pattern string) ([]string, error) {
	names, err := filepath.Glob(pattern)
	if err != nil {
		return nil, err
	}
	// As in the shell, * finds no hidden files: editors keep copies and locks in those.
	if !strings.HasPrefix(filepath.Base(pattern), ".") {
		names = slices.DeleteFunc(names, func(name string) bool { return strings.HasPrefix(filepath.Base(name), ".") })
	}
	slices.Sort(names)
	return names, nil
}
