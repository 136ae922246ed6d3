package config

import (
	"context"
	"crypto/sha256"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// settle is how long files must be left alone before a change is told of: an
	// editor or a deployment writes several times.
	settle = 100 * time.Millisecond
	// patience is how long a change is told of at the latest, though files keep changing.
	patience = 2 * time.Second
	// maxRounds is how often files that come and go are looked for at once.
	maxRounds = 5
	// maxLinks is how many symbolic links are followed, as in the kernel.
	maxLinks = 40
)

// Watch calls changed whenever a file that the last [Reader.Read] read, or looked for, may
// have changed, and new files that match organization_files come or go; never twice at a
// time. It returns when ctx is done, or with an error if files can't be watched at all. The
// first Read should have been before: a change between it and Watch is told of at once.
//
// What is watched are directories, not files: editors, and Kubernetes, put another file in
// the place of the one that is there, by name or by a symbolic link somewhere on the way to it.
func (r *Reader) Watch(ctx context.Context, changed func()) error {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return err
	}
	defer func() { _ = w.Close() }() // it was only listened to
	v := r.view()
	if err := v.watch(w); err != nil {
		return err
	}
	if r.stale() {
		if v, err = r.tell(w, v, changed); err != nil {
			return err
		}
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case e, ok := <-w.Events:
			if !ok {
				return nil
			}
			if !v.concerns(e) {
				continue
			}
		case err, ok := <-w.Errors:
			if !ok {
				return nil
			}
			if err == nil {
				continue
			}
			// Events were lost: what they were about is unknown, so something may have changed.
		}
		if !settled(ctx, w, &v) {
			return nil
		}
		if v, err = r.tell(w, v, changed); err != nil {
			return err
		}
	}
}

// tell calls changed, and watches what is to be watched then. If that is not what it was,
// something may have changed in there before it was watched, and changed is called again.
func (r *Reader) tell(w *fsnotify.Watcher, before view, changed func()) (now view, err error) {
	for range maxRounds {
		changed()
		now = r.view()
		if err := now.watch(w); err != nil {
			return now, err
		}
		if maps.Equal(now.names, before.names) && maps.Equal(now.dirs, before.dirs) {
			return now, nil
		}
		before = now
	}
	return now, nil // they change faster than they are read: there will be an event
}

// settled waits until the files are left alone. It returns false when ctx is done.
func settled(ctx context.Context, w *fsnotify.Watcher, v *view) bool {
	quiet, latest := time.NewTimer(settle), time.NewTimer(patience)
	defer quiet.Stop()
	defer latest.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case e := <-w.Events:
			if v.concerns(e) {
				quiet.Reset(settle)
			}
		case <-quiet.C:
			return true
		case <-latest.C:
			return true
		}
	}
}

// A view is what is looked at. All its paths are absolute.
type view struct {
	// names are files, and symbolic links on the way to them.
	names map[string]bool
	// patterns are those of organization_files.
	patterns []string
	// dirs are the directories to watch, without symbolic links in them, each with the
	// name that patterns know it by: the same, but for links.
	dirs map[string]string
}

// stale reports whether another reading would read anything else than the last one did.
func (r *Reader) stale() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, was := range r.used {
		now := [sha256.Size]byte{}
		if data, err := r.disk.read(name, maxFile); err == nil {
			now = sha256.Sum256(data)
		}
		if now != was {
			return true
		}
	}
	for _, p := range r.patterns {
		names, _ := r.disk.glob(p) // Read has noted a bad pattern
		for _, name := range names {
			if _, known := r.used[name]; !known {
				return true
			}
		}
	}
	return false
}

// view returns what the last reading read, or looked for.
func (r *Reader) view() view {
	r.mu.Lock()
	defer r.mu.Unlock()
	v := view{names: map[string]bool{}, dirs: map[string]string{}}
	v.add(r.path)
	for name := range r.used {
		v.add(name)
	}
	for _, p := range r.patterns {
		p, err := filepath.Abs(p)
		if err != nil {
			continue
		}
		v.patterns = append(v.patterns, p)
		// Wildcards can be in directories too: those that are there now, up to the one without.
		for dir := filepath.Dir(p); ; dir = filepath.Dir(dir) {
			found, _ := filepath.Glob(dir) // Read has noted a bad pattern
			for _, d := range found {
				if real, err := filepath.EvalSymlinks(d); err == nil {
					v.dirs[real] = d
				}
			}
			if !strings.ContainsAny(dir, "*?[") {
				v.add(dir)
				break
			}
		}
	}
	return v
}

// add adds a file, and every symbolic link on the way to it: whichever of them is replaced,
// the file is another.
func (v *view) add(name string) {
	abs, err := filepath.Abs(name)
	if err != nil {
		return
	}
	todo, links := strings.Split(filepath.ToSlash(abs), "/")[1:], 0
	at := string(filepath.Separator)
	for len(todo) > 0 {
		part := todo[0]
		todo = todo[1:]
		if part == "" || part == "." {
			continue
		}
		if part == ".." {
			at = filepath.Dir(at)
			continue
		}
		at = filepath.Join(at, part)
		target, err := os.Readlink(at)
		if err != nil {
			if len(todo) == 0 {
				v.name(at)
			}
			continue // a directory, the file itself, or nothing that is there
		}
		v.name(at)
		if links++; links > maxLinks {
			return
		}
		if filepath.IsAbs(target) {
			at = string(filepath.Separator)
		} else {
			at = filepath.Dir(at)
		}
		todo = append(strings.Split(filepath.ToSlash(target), "/"), todo...)
	}
}

// name adds a path whose directory has no links in it. Where that is not there, the one that it
// would be in is watched for it.
func (v *view) name(path string) {
	v.names[path] = true
	dir := filepath.Dir(path)
	if info, err := os.Stat(dir); (err != nil || !info.IsDir()) && dir != path {
		v.name(dir)
		return
	}
	if _, ok := v.dirs[dir]; !ok {
		v.dirs[dir] = dir
	}
}

// watch makes w watch the directories of v and no others.
func (v *view) watch(w *fsnotify.Watcher) error {
	for _, dir := range w.WatchList() {
		if _, ok := v.dirs[dir]; !ok {
			_ = w.Remove(dir) // it may be gone by itself
		}
	}
	for dir := range v.dirs {
		if err := w.Add(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// concerns reports whether an event is about something of v.
func (v *view) concerns(e fsnotify.Event) bool {
	if e.Op == fsnotify.Chmod {
		return false
	}
	if v.names[e.Name] {
		return true
	}
	name := filepath.Join(v.dirs[filepath.Dir(e.Name)], filepath.Base(e.Name))
	for _, p := range v.patterns {
		// A directory that comes may be one that a pattern looks into.
		for ; strings.ContainsAny(p, "*?["); p = filepath.Dir(p) {
			if ok, err := filepath.Match(p, name); ok && err == nil {
				return true
			}
		}
	}
	return false
}
