package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// A field is one key of a mapping, as the tags of a struct say it. The decoder, the
// schema and the manual all read this table and nothing else.
type field struct {
	key      string
	index    []int
	typ      reflect.Type
	name     string // the Go name, for its comment
	owner    reflect.Type
	required bool
	secret   bool
	literal  bool
	fallback string // the default as written; "" if there is none
	enum     []string
	as       string
	min, max string
	example  string
}

// A layout is all keys of one struct, in order, and the struct with its defaults.
type layout struct {
	fields   []*field
	byKey    map[string]*field
	keys     []string
	defaults reflect.Value
}

// layouts makes layouts once for each type.
type layouts struct {
	grammars
	made map[reflect.Type]*layout
}

func newLayouts() *layouts {
	return &layouts{grammars: newGrammars(), made: map[reflect.Type]*layout{}}
}

// layout returns the layout of a struct. It panics over a tag that makes no sense: that
// is a fault of the program.
func (ls *layouts) layout(t reflect.Type) *layout {
	if l, ok := ls.made[t]; ok {
		return l
	}
	l := &layout{byKey: map[string]*field{}, defaults: reflect.New(t).Elem()}
	ls.made[t] = l
	l.collect(t, nil)
	for _, f := range l.fields {
		l.byKey[f.key] = f
		l.keys = append(l.keys, f.key)
	}
	for _, f := range l.fields {
		v := l.defaults.FieldByIndex(f.index)
		if f.fallback == "" {
			// A mapping that is left out has the defaults of its own keys.
			if f.typ.Kind() == reflect.Struct {
				if _, scalar := ls.of(f.typ, f.as); !scalar {
					v.Set(ls.layout(f.typ).defaults)
				}
			}
			continue
		}
		if err := ls.setDefault(v, f); err != nil {
			panic(fmt.Sprintf("config: default of %s.%s: %v", t, f.name, err))
		}
	}
	return l
}

func (l *layout) collect(t reflect.Type, index []int) {
	for i := range t.NumField() {
		sf := t.Field(i)
		tag, ok := sf.Tag.Lookup("yaml")
		if !ok || tag == "-" {
			continue
		}
		key, options, _ := strings.Cut(tag, ",")
		at := append(slices.Clone(index), i)
		if options == "inline" {
			l.collect(sf.Type, at)
			continue
		}
		has := func(option string) bool { return slices.Contains(strings.Split(options, ","), option) }
		l.fields = append(l.fields, &field{
			key: key, index: at, typ: sf.Type, name: sf.Name, owner: t,
			required: has("required"), secret: has("secret"), literal: has("literal"),
			fallback: sf.Tag.Get("default"), enum: strings.Fields(sf.Tag.Get("enum")), as: sf.Tag.Get("as"),
			min: sf.Tag.Get("min"), max: sf.Tag.Get("max"), example: sf.Tag.Get("example"),
		})
	}
}

func (ls *layouts) setDefault(v reflect.Value, f *field) error {
	t, texts := f.typ, []string{f.fallback}
	list := t.Kind() == reflect.Slice
	if list {
		t = t.Elem()
		texts = strings.Split(strings.Trim(f.fallback, "[]"), ", ")
	}
	gr, ok := ls.of(t, f.as)
	if !ok {
		return fmt.Errorf("%s is no scalar", t)
	}
	for _, text := range texts {
		x, err := gr.parse(text)
		if err != nil {
			return err
		}
		if list {
			v.Set(reflect.Append(v, reflect.ValueOf(x).Convert(t)))
		} else {
			v.Set(reflect.ValueOf(x).Convert(t))
		}
	}
	return nil
}

// number returns a value as min and max compare it. ok is false for what has no order.
func number(v reflect.Value) (n int64, ok bool) {
	if v.CanInt() {
		return v.Int(), true
	}
	return 0, false
}
