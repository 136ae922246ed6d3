package config

import (
	"cmp"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

const (
	maxOrganizations = 100_000 // of one file
	maxList          = 1000    // entries of any other list
)

// A decoder makes values of the nodes of one file, and notes every fault on the way.
type decoder struct {
	*layouts
	*expander
	file   *file
	faults *Faults
}

func (d *decoder) fault(n *yaml.Node, message, hint string) {
	if !d.faults.full() {
		d.faults.add(d.file.faultAt(n.Line, n.Column, message, hint))
	}
}

// value decodes n into v, which is the value of f or an element of it. It reports whether
// it did; if not, there is a fault.
func (d *decoder) value(n *yaml.Node, v reflect.Value, f *field) bool {
	if !d.ordinary(n) {
		return false
	}
	t := v.Type()
	switch {
	case t == reflect.TypeFor[*Later]():
		d.fault(n, f.key+" is not available in this version of orgate", "take it out; docs/configuration.md says what there is")
		return false
	case t == reflect.TypeFor[Keys]() && n.Kind == yaml.ScalarNode:
		v.Set(reflect.MakeSlice(t, 1, 1))
		return d.value(n, v.Index(0), f)
	}
	if gr, ok := d.of(t, f.as); ok {
		return d.scalar(n, v, f, gr)
	}
	if isNull(n) {
		d.fault(n, f.key+" has no value", "leave the key out, or write "+d.sketch(t, f))
		return false
	}
	switch t.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(t.Elem()))
		return d.value(n, v.Elem(), f)
	case reflect.Struct:
		return d.mapping(n, v, f)
	case reflect.Slice:
		return d.list(n, v, f)
	case reflect.Map:
		return d.names(n, v, f)
	default:
		panic("config: no grammar for " + t.String())
	}
}

// ordinary reports whether n does without the parts of YAML in which one text means
// another: aliases, anchors and tags.
func (d *decoder) ordinary(n *yaml.Node) bool {
	switch {
	case n.Kind == yaml.AliasNode:
		d.fault(n, "an alias (*) is not supported", "write the value out")
	case n.Anchor != "":
		d.fault(n, "an anchor (&) is not supported", "write the value out wherever it is needed")
	case n.Style&yaml.TaggedStyle != 0:
		d.fault(n, "a tag (!) is not supported", "put the value into quotes if it begins with !")
	default:
		return true
	}
	return false
}

func kindName(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	default:
		return "a single value"
	}
}

// sketch is an example of a value, for a hint.
func (d *decoder) sketch(t reflect.Type, f *field) string {
	switch {
	case f.example != "":
		return f.example
	case t.Kind() == reflect.Slice:
		return "[ … ]"
	case t.Kind() == reflect.Pointer || t.Kind() == reflect.Struct:
		if t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		return sketchMapping(d.layout(t).keys)
	default:
		return "{ … }"
	}
}

func sketchMapping(keys []string) string {
	const most = 3
	if len(keys) > most {
		return "{ " + strings.Join(keys[:most], ": …, ") + ": …, … }"
	}
	return "{ " + strings.Join(keys, ": …, ") + ": … }"
}

func (d *decoder) scalar(n *yaml.Node, v reflect.Value, f *field, gr grammar) bool {
	if n.Kind != yaml.ScalarNode {
		d.fault(n, fmt.Sprintf("%s is %s: want %s", f.key, kindName(n), gr.a()), gr.advice(f))
		return false
	}
	if isNull(n) {
		d.fault(n, f.key+" has no value", "leave the key out, or write "+cmp.Or(f.example, gr.example, gr.a()))
		return false
	}
	text, expanded := n.Value, false
	if !f.literal {
		var err error
		if text, err = d.expand(filepath.Dir(d.file.name), n.Value); err != nil {
			d.fault(n, f.key+" "+err.Error(), "")
			return false
		}
		expanded = text != n.Value
	}
	// What came from the environment or a file may be secret in any field.
	subject := f.key + ": " + quote(text)
	if gr.quiet || f.secret || expanded {
		subject = f.key
	}
	if text == "" && (f.required || f.secret || gr.never) {
		d.fault(n, f.key+" is empty", "such as "+cmp.Or(f.example, gr.example, gr.a()))
		return false
	}
	if len(f.enum) > 0 && !slices.Contains(f.enum, text) {
		hint := "want " + f.enum[0]
		if len(f.enum) > 1 {
			hint = "want one of " + strings.Join(f.enum, ", ")
		}
		if near := nearest(text, f.enum); near != "" && !expanded && len(f.enum) > 1 {
			hint = "did you mean " + near + "? " + hint
		}
		d.fault(n, subject+" is not possible here", hint)
		return false
	}
	x, err := gr.parse(text)
	if err != nil {
		message := subject + " " + err.Error()
		if expanded {
			message = subject + ", as expanded, is not " + gr.a()
		}
		d.fault(n, message, gr.advice(f))
		return false
	}
	if p, ok := x.(Path); ok && p != "" {
		x = Path(inDir(filepath.Dir(d.file.name), string(p)))
	}
	v.Set(reflect.ValueOf(x).Convert(v.Type()))
	return d.inRange(n, v, f, gr, subject)
}

func (d *decoder) inRange(n *yaml.Node, v reflect.Value, f *field, gr grammar, subject string) bool {
	is, ok := number(v)
	if !ok || f.min == "" && f.max == "" {
		return true
	}
	bound := func(text string) int64 {
		x, err := gr.parse(text)
		if err != nil {
			panic(fmt.Sprintf("config: bound of %s: %v", f.name, err))
		}
		b, _ := number(reflect.ValueOf(x))
		return b
	}
	hint := fmt.Sprintf("from %s to %s", f.min, f.max)
	switch {
	case is < bound(f.min):
		d.fault(n, subject+" is too small", hint)
	case is > bound(f.max):
		d.fault(n, subject+" is too big", hint)
	default:
		return true
	}
	return false
}

func (d *decoder) mapping(n *yaml.Node, v reflect.Value, f *field) bool {
	l := d.layout(v.Type())
	if n.Kind != yaml.MappingNode {
		d.fault(n, fmt.Sprintf("%s is %s: want a mapping", f.key, kindName(n)), "such as "+sketchMapping(l.keys))
		return false
	}
	v.Set(l.defaults)
	ok := true
	var seen uint64 // by position in l.keys; a struct has no more than 64
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if !d.ordinary(key) {
			ok = false
			continue
		}
		k, known := l.byKey[key.Value]
		if !known || key.Kind != yaml.ScalarNode {
			d.unknown(key, l, f)
			ok = false
			continue
		}
		bit := uint64(1) << slices.Index(l.keys, k.key)
		if seen&bit != 0 {
			d.fault(key, fmt.Sprintf("the key %s is there twice", k.key), "keep one of them")
			ok = false
			continue
		}
		seen |= bit
		ok = d.value(value, v.FieldByIndex(k.index), k) && ok
	}
	for i, k := range l.fields {
		if k.required && seen&(1<<i) == 0 {
			d.fault(n, fmt.Sprintf("%s has no %s", f.key, k.key), fmt.Sprintf("add %s: %s", k.key, d.sketch(k.typ, k)))
			ok = false
		}
	}
	if o, is := v.Addr().Interface().(*Organization); is {
		o.finish(d.file.name, n)
	}
	return ok
}

func (d *decoder) unknown(key *yaml.Node, l *layout, f *field) {
	if key.Kind != yaml.ScalarNode {
		d.fault(key, "a key is "+kindName(key)+": want a name", "")
		return
	}
	if key.Value == "<<" {
		d.fault(key, "a merge key (<<) is not supported", "write the keys out")
		return
	}
	if d.faults.full() {
		return // looking for what was meant takes a while
	}
	hint := "known here: " + strings.Join(l.keys, ", ")
	if near := nearest(key.Value, l.keys); near != "" {
		hint = "did you mean " + near + "?"
	}
	where := ""
	if f.key != theFile {
		where = " in " + f.key
	}
	d.fault(key, fmt.Sprintf("unknown key %s%s", quote(key.Value), where), hint)
}

func (d *decoder) list(n *yaml.Node, v reflect.Value, f *field) bool {
	if n.Kind != yaml.SequenceNode {
		d.fault(n, fmt.Sprintf("%s is %s: want a list", f.key, kindName(n)), "such as "+d.sketch(v.Type(), f))
		return false
	}
	most := maxList
	if v.Type() == reflect.TypeFor[[]*Organization]() {
		most = maxOrganizations
	}
	if len(n.Content) > most {
		d.fault(n, fmt.Sprintf("%s has %d entries: at most %d are allowed", f.key, len(n.Content), most), "")
		return false
	}
	ok := true
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	if _, scalar := d.of(v.Type().Elem(), f.as); !scalar {
		entry := *f
		entry.key, entry.example = "an entry of "+f.key, ""
		f = &entry
	}
	for i, c := range n.Content {
		ok = d.value(c, v.Index(i), f) && ok
	}
	return ok
}

// names decodes a mapping whose keys are names of the operator's own.
func (d *decoder) names(n *yaml.Node, v reflect.Value, f *field) bool {
	if n.Kind != yaml.MappingNode {
		d.fault(n, fmt.Sprintf("%s is %s: want a mapping", f.key, kindName(n)), "such as "+d.sketch(v.Type(), f))
		return false
	}
	ok := true
	v.Set(reflect.MakeMapWithSize(v.Type(), len(n.Content)/2))
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if !d.ordinary(key) {
			ok = false
			continue
		}
		k := reflect.ValueOf(key.Value)
		if key.Kind != yaml.ScalarNode || v.MapIndex(k).IsValid() {
			d.fault(key, fmt.Sprintf("the key %s is there twice, or is no name", quote(key.Value)), "keep one of them")
			ok = false
			continue
		}
		x := reflect.New(v.Type().Elem()).Elem()
		if d.value(value, x, f) {
			v.SetMapIndex(k, x)
		} else {
			ok = false
		}
	}
	return ok
}

// quote quotes a value for a fault, cut if it is long.
func quote(s string) string {
	const most = 60
	if len(s) <= most {
		return strconv.Quote(s)
	}
	return strconv.Quote(strings.ToValidUTF8(s[:most], "")) + string(ellipsis)
}
