package config

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"reflect"
	"slices"

	"go.yaml.in/yaml/v4"

	"github.com/orgate/orgate/tenancy"
)

// sectionOf says which section a key belongs to.
func sectionOf(key string) tenancy.Section {
	switch key {
	case "domains":
		return tenancy.SectionDomains
	case "domain_policy", "organization_policy", "jit":
		return tenancy.SectionPolicies
	case "connections":
		return tenancy.SectionConnections
	case "roles":
		return tenancy.SectionRoles
	default:
		return tenancy.SectionSettings
	}
}

// finish sets what is not a key: which sections are given in n, and the digest.
func (o *Organization) finish(file string, n *yaml.Node) {
	o.Name = cmp.Or(o.Name, string(o.Slug))
	o.Managed = map[tenancy.Section]tenancy.Origin{tenancy.SectionSettings: {File: file, Line: n.Line}}
	for i := 0; i+1 < len(n.Content); i += 2 {
		s := sectionOf(n.Content[i].Value)
		if _, ok := o.Managed[s]; !ok {
			o.Managed[s] = tenancy.Origin{File: file, Line: n.Content[i].Line}
		}
	}
	h := sha256.New()
	digest(h, reflect.ValueOf(o).Elem())
	for _, s := range []tenancy.Section{tenancy.SectionDomains, tenancy.SectionPolicies, tenancy.SectionConnections, tenancy.SectionRoles} {
		// An empty list of domains is not the same as none: it says that there are none.
		_, given := o.Managed[s]
		digest(h, reflect.ValueOf(given))
	}
	digest(h, reflect.ValueOf(file))
	h.Sum(o.sum[:0])
}

// include makes a file that the organization's YAML names a part of its digest.
func (o *Organization) include(data []byte) {
	h := sha256.New()
	h.Write(o.sum[:])
	h.Write(data)
	h.Sum(o.sum[:0])
}

// digest writes v to h so that different values are different bytes: each with its
// length in front, fields in order, maps by key. Fields that are no keys are left out.
func digest(h hash.Hash, v reflect.Value) {
	count := func(n int) {
		var b [8]byte
		binary.BigEndian.PutUint64(b[:], uint64(n))
		h.Write(b[:])
	}
	text := func(s string) {
		count(len(s))
		h.Write([]byte(s))
	}
	switch x := v.Interface().(type) {
	case Secret:
		text(x.value)
		return
	case Origin:
		text(x.String())
		return
	}
	switch v.Kind() {
	case reflect.String:
		text(v.String())
	case reflect.Bool:
		if v.Bool() {
			count(1)
		} else {
			count(0)
		}
	case reflect.Int, reflect.Int64:
		count(int(v.Int()))
	case reflect.Uint8:
		count(int(v.Uint()))
	case reflect.Pointer:
		if v.IsNil() {
			count(0)
			return
		}
		count(1)
		digest(h, v.Elem())
	case reflect.Slice:
		count(v.Len())
		for i := range v.Len() {
			digest(h, v.Index(i))
		}
	case reflect.Map:
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return cmp.Compare(a.String(), b.String()) })
		count(len(keys))
		for _, k := range keys {
			text(k.String())
			digest(h, v.MapIndex(k))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if tag, ok := v.Type().Field(i).Tag.Lookup("yaml"); ok && tag != "-" {
				digest(h, v.Field(i))
			}
		}
	default:
		panic("config: no digest of " + v.Type().String())
	}
}
