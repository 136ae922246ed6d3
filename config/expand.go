package config

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
)

// maxIncluded is how long a file of ${file:...} may be: keys and certificates are shorter.
const maxIncluded = 1 << 20

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// An expander puts in place of ${NAME} the variable of the environment, and of ${file:PATH}
// what is in the file. $${ stands for ${ itself. What was put in is never looked at
// again: a value that comes from elsewhere can't name a variable.
type expander struct {
	env  func(string) (string, bool)
	read func(name string, max int) ([]byte, error)
	// used is what was put in, by reference, and the hash of what it was then.
	used map[string][sha256.Size]byte
}

// expand expands s, which is in a file of the directory dir. The error is a predicate.
func (e *expander) expand(dir, s string) (string, error) {
	if !strings.Contains(s, "${") {
		return s, nil
	}
	var b strings.Builder
	for {
		before, after, ok := strings.Cut(s, "${")
		if !ok {
			b.WriteString(s)
			return b.String(), nil
		}
		if literal, ok := strings.CutSuffix(before, "$"); ok {
			b.WriteString(literal + "${")
			s = after
			continue
		}
		b.WriteString(before)
		name, rest, ok := strings.Cut(after, "}")
		if !ok {
			return "", errors.New("has a ${ without a }; write $${ for the characters themselves")
		}
		if path, ok := strings.CutPrefix(name, "file:"); ok {
			name = "file:" + inDir(dir, path)
		} else if !variableName.MatchString(name) {
			return "", errors.New("has a ${...} that is neither a name nor file:PATH; write $${ for the characters themselves")
		}
		value, err := e.value(name)
		if err != nil {
			return "", err
		}
		e.used[name] = sha256.Sum256([]byte(value))
		b.WriteString(value)
		s = rest
	}
}

// value returns what a reference stands for now.
func (e *expander) value(name string) (string, error) {
	path, ok := strings.CutPrefix(name, "file:")
	if !ok {
		value, ok := e.env(name)
		if !ok {
			return "", fmt.Errorf("needs the environment variable %s, which is not set", name)
		}
		return value, nil
	}
	data, err := e.read(path, maxIncluded)
	if err != nil {
		return "", fmt.Errorf("needs the file %s, which %s", path, because(err))
	}
	// One line end: that of an editor, or of echo.
	value := strings.TrimSuffix(string(data), "\n")
	return strings.TrimSuffix(value, "\r"), nil
}

// unchanged reports whether all that was put in is still the same.
func (e *expander) unchanged(used map[string][sha256.Size]byte) bool {
	for name, sum := range used {
		if value, err := e.value(name); err != nil || sha256.Sum256([]byte(value)) != sum {
			return false
		}
	}
	return true
}

// inDir returns a path that is relative to dir, unless it is absolute.
func inDir(dir, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(dir, path)
}

// because says in words why a file could not be read.
func because(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "does not exist"
	case errors.Is(err, fs.ErrPermission):
		return "may not be read by orgate's user"
	}
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		err = p.Err
	}
	return "can't be read: " + err.Error()
}
