package config

import (
	"cmp"
	"crypto/sha256"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"go.yaml.in/yaml/v4"

	"github.com/orgate/orgate/tenancy"
)

// maxOrganizationFiles bounds what a pattern may find.
const maxOrganizationFiles = 100_000

// Read reads the configuration of the file at path, and of all that it names. The error is [Faults],
// everything that is wrong. env is the environment, such as [os.LookupEnv].
func Read(path string, env func(string) (string, bool)) (*Config, error) {
	return NewReader(path, env).Read()
}

// ReadBytes reads a configuration that is not in a file. name is its name in faults, and
// relative paths in it start at the directory of name.
func ReadBytes(name string, data []byte, env func(string) (string, bool)) (*Config, error) {
	r := NewReader(name, env)
	return r.read(data)
}

// A Reader reads one configuration again and again. It remembers the organizations
// of each file: those of a file that did not change are not parsed again, and an organization
// that did not change is the same pointer in both configurations. It is safe for concurrent use.
type Reader struct {
	path string
	env  func(string) (string, bool)
	disk disk

	mu      sync.Mutex
	layouts *layouts
	files   map[string]parsed
	// What the last reading read or looked for, right or wrong; for Watch.
	used     map[string][sha256.Size]byte // of files: what was in them; zero: they could not be read
	patterns []string
}

// parsed is what was in a file when it was read last.
type parsed struct {
	sum           [sha256.Size]byte
	used          map[string][sha256.Size]byte
	organizations []*Organization
}

// NewReader returns a reader of the file at path.
func NewReader(path string, env func(string) (string, bool)) *Reader {
	return &Reader{path: filepath.Clean(path), env: env, disk: realDisk{}, layouts: newLayouts(), files: map[string]parsed{}}
}

// Read reads the configuration as it is now, as [Read] does.
func (r *Reader) Read() (*Config, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	data, err := r.disk.read(r.path, maxFile)
	if err != nil {
		return nil, Faults{{File: r.path, Message: because(err)}}
	}
	return r.read(data)
}

// theFile is what faults call the mapping that is a whole file.
const theFile = "the file"

// A reading is one run of a Reader.
type reading struct {
	*Reader
	config   *Config
	faults   Faults
	decoded  int // how many faults there were before anything was compared
	warnings Faults
	open     map[string]*file // files that are parsed and still at hand
	seen     map[string]parsed
	used     map[string][sha256.Size]byte // every file that was read or looked for, and what was in it
	wanted   []string                     // the patterns of organization_files, from the working directory
}

// read is Read, of data; mu is held.
func (r *Reader) read(data []byte) (*Config, error) {
	g := &reading{Reader: r, config: &Config{}, open: map[string]*file{}, seen: map[string]parsed{}, used: map[string][sha256.Size]byte{}}
	if g.main(data) {
		g.tenants()
		g.decoded = len(g.faults)
		g.check()
	}
	r.used, r.patterns = g.used, g.wanted
	if len(g.faults) > 0 {
		return nil, g.faults.sorted()
	}
	r.files = g.seen
	g.config.Warnings = g.warnings.sorted()
	return g.config, nil
}

// main decodes the main file. It reports whether there is anything to go on with.
func (g *reading) main(data []byte) bool {
	g.used[g.path] = sha256.Sum256(data)
	f, fault := parse(g.path, data)
	if fault != nil {
		g.faults.add(*fault)
		return false
	}
	if f.root == nil {
		g.faults.add(Fault{File: g.path, Message: "is empty", Hint: "the least there is: version, public_url and apps"})
		return false
	}
	g.open[g.path] = f
	d := g.decoder(f)
	if !d.ordinary(f.root) {
		return false
	}
	d.mapping(f.root, reflect.ValueOf(g.config).Elem(), &field{key: theFile})
	g.keep(g.path, parsed{organizations: g.config.Organizations}, place{g.path, []any{"organizations"}}.index)
	g.config.Organizations = g.seen[g.path].organizations
	return f.root.Kind == yaml.MappingNode
}

func (g *reading) decoder(f *file) *decoder {
	return &decoder{
		layouts: g.layouts, file: f, faults: &g.faults,
		expander: &expander{env: g.env, read: g.readFile, used: map[string][sha256.Size]byte{}},
	}
}

// readFile reads a file, and notes that it was read, or looked for.
func (g *reading) readFile(name string, max int) ([]byte, error) {
	data, err := g.disk.read(name, max)
	g.used[name] = [sha256.Size]byte{}
	if err == nil {
		g.used[name] = sha256.Sum256(data)
	}
	return data, err
}

// tenants reads the files of organization_files.
func (g *reading) tenants() {
	for i, pattern := range g.config.OrganizationFiles {
		at := place{g.path, []any{"organization_files", i}}
		pattern = inDir(filepath.Dir(g.path), pattern)
		g.wanted = append(g.wanted, pattern)
		names, err := g.disk.glob(pattern)
		switch {
		case err != nil:
			g.fault(at, "is not a pattern of files", "* ? [a-z] as in the shell, such as tenants/*.yaml")
		case len(names) > maxOrganizationFiles:
			g.fault(at, "finds more than 100,000 files", "put several organizations into one file")
			continue
		case len(names) == 0 && !strings.ContainsAny(pattern, "*?["):
			g.fault(at, "the file "+pattern+" does not exist", "")
		}
		for _, name := range names {
			if _, twice := g.seen[name]; !twice {
				g.tenantFile(name, at)
				g.config.Organizations = append(g.config.Organizations, g.seen[name].organizations...)
			}
		}
	}
}

// tenantFile reads one file of organizations, or takes what it was when it did not change.
func (g *reading) tenantFile(name string, from place) {
	data, err := g.readFile(name, maxFile)
	if err != nil {
		g.fault(from, "the file "+name+" "+because(err), "")
		return
	}
	d := g.decoder(&file{name: name})
	p := parsed{sum: g.used[name]}
	if before, ok := g.files[name]; ok && before.sum == p.sum && d.unchanged(before.used) {
		g.seen[name] = before
		return
	}
	f, fault := parse(name, data)
	if fault != nil {
		g.faults.add(*fault)
		return
	}
	d.file = f
	list, at, ok := d.organizations()
	if !ok {
		return
	}
	for _, n := range list {
		o := &Organization{}
		d.value(n, reflect.ValueOf(o).Elem(), &field{key: "an organization"})
		p.organizations = append(p.organizations, o)
	}
	if p.used = d.used; len(p.used) == 0 {
		p.used = nil
	}
	g.keep(name, p, at)
}

// organizations returns the organizations of a file, and the place of each.
func (d *decoder) organizations() (list []*yaml.Node, at func(int) place, ok bool) {
	top := place{file: d.file.name}
	n := d.file.root
	if n == nil {
		return nil, top.index, true
	}
	if !d.ordinary(n) {
		return nil, nil, false
	}
	if l := child(n, "organizations"); l != nil {
		if len(n.Content) != 2 {
			d.fault(n, "a file of organizations has the key organizations and others", "put what is about the installation into the main file")
			return nil, nil, false
		}
		n, top = l, top.at("organizations")
	}
	switch {
	case !d.ordinary(n):
		return nil, nil, false
	case n.Kind == yaml.SequenceNode:
		return n.Content, top.index, true
	case n.Kind == yaml.MappingNode && len(top.steps) == 0:
		return []*yaml.Node{n}, func(int) place { return top }, true
	default:
		d.fault(n, "is "+kindName(n)+": want an organization, or a list of them", "such as slug: acme")
		return nil, nil, false
	}
}

// keep remembers the organizations of a file, with the ones of the last reading in
// place of those that are the same.
func (g *reading) keep(name string, p parsed, at func(int) place) {
	before := map[tenancy.Slug]*Organization{}
	for _, o := range g.files[name].organizations {
		before[o.Slug] = o
	}
	for i, o := range p.organizations {
		if o == nil {
			continue // a fault was noted
		}
		o.place = at(i)
		if old, ok := before[o.Slug]; ok && old.sum == o.sum && maps.Equal(old.Managed, o.Managed) && slices.Equal(old.place.steps, o.place.steps) {
			p.organizations[i] = old
		}
	}
	p.organizations = slices.DeleteFunc(p.organizations, func(o *Organization) bool { return o == nil })
	g.seen[name] = p
}

// fault notes a fault at a place. A file that was not parsed in this reading is parsed now.
func (g *reading) fault(p place, message, hint string) { g.note(&g.faults, p, message, hint) }

// warn notes what is probably not meant.
func (g *reading) warn(p place, message, hint string) { g.note(&g.warnings, p, message, hint) }

func (g *reading) note(fs *Faults, p place, message, hint string) {
	if fs.full() {
		return
	}
	f := g.file(p.file)
	if f == nil {
		fs.add(Fault{File: p.file, Message: message, Hint: hint})
		return
	}
	n := find(f.root, p.steps)
	for _, known := range g.faults[:min(g.decoded, len(g.faults))] {
		if known.File == f.name && known.Line == n.Line && known.Column == n.Column {
			return // what could not be read can't be compared
		}
	}
	fs.add(f.faultAt(n.Line, n.Column, message, hint))
}

// file returns a file, parsed; nil if it can't be, any more.
func (g *reading) file(name string) *file {
	f := g.open[name]
	if f == nil {
		data, err := g.disk.read(name, maxFile)
		if err != nil {
			return nil
		}
		parsed, fault := parse(name, data)
		if fault != nil || parsed.root == nil {
			return nil
		}
		f, g.open[name] = parsed, parsed
	}
	return f
}

// given reports whether there is something at a place, right or wrong.
func (g *reading) given(p place) bool {
	f := g.file(p.file)
	if f == nil {
		return false
	}
	n := f.root
	for _, step := range p.steps {
		if n = child(n, step); n == nil {
			return false
		}
	}
	return true
}

// where says where p is, for a fault elsewhere that is about it.
func (g *reading) where(p place) string {
	var fs Faults
	g.note(&fs, p, "", "")
	return fs[0].File + ":" + strconv.Itoa(cmp.Or(fs[0].Line, 1))
}

// dir is the directory that relative paths of the main file start at.
func (g *reading) dir() string { return filepath.Dir(g.path) }
