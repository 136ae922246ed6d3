package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"text/template"
	"time"

	"go.yaml.in/yaml/v4"
)

// A manualMapping is one table of the manual.
type manualMapping struct {
	Title, Doc string
	Rows       []manualRow
}

type manualRow struct{ Key, Type, Default, Meaning string }

// manual lists the keys of t, and then those of the mappings below it.
func manual(ls *layouts, docs map[string]string, t reflect.Type, path string) []manualMapping {
	m := manualMapping{Title: "`" + path + "`", Doc: docs[t.Name()]}
	if path == "" {
		m.Title, m.Doc = "The file", "The keys at the top."
	}
	var below []manualMapping
	for _, f := range ls.layout(t).fields {
		row := manualRow{Key: "`" + f.key + "`", Meaning: docs[f.owner.Name()+"."+f.name]}
		at := strings.TrimPrefix(path+"."+f.key, ".")
		elem, list := f.typ, false
		for elem.Kind() == reflect.Pointer || elem.Kind() == reflect.Slice {
			if _, scalar := ls.of(elem, f.as); scalar {
				break
			}
			list = list || elem.Kind() == reflect.Slice
			elem = elem.Elem()
		}
		row.Type = typeName(ls, f, elem, at, list)
		switch {
		case f.required:
			row.Default = "**required**"
		case f.fallback != "":
			row.Default = "`" + f.fallback + "`"
		}
		if f.min != "" {
			row.Meaning += fmt.Sprintf(" From %s to %s.", f.min, f.max)
		}
		if f.secret && elem != reflect.TypeFor[Secret]() {
			row.Type += ", secret"
		}
		if f.literal {
			row.Type += ", literal"
		}
		if f.example != "" && "`"+f.example+"`" != row.Default {
			row.Meaning += " Example: `" + strings.ReplaceAll(f.example, "|", "\\|") + "`"
		}
		m.Rows = append(m.Rows, row)
		if _, scalar := ls.of(elem, f.as); !scalar && elem.Kind() == reflect.Struct && elem != reflect.TypeFor[Later]() {
			if list {
				at += "[]"
			}
			below = append(below, manual(ls, docs, elem, at)...)
		}
	}
	return append([]manualMapping{m}, below...)
}

func typeName(ls *layouts, f *field, elem reflect.Type, at string, list bool) string {
	name := ""
	gr, scalar := ls.of(elem, f.as)
	switch {
	case elem == reflect.TypeFor[Later]():
		return "–"
	case len(f.enum) == 1:
		name = "`" + f.enum[0] + "`"
	case len(f.enum) > 1:
		name = "`" + strings.Join(f.enum, "`, `") + "`"
	case scalar:
		name = gr.name
	case elem.Kind() == reflect.Map:
		gr, _ := ls.of(elem.Elem(), "")
		return "mapping of names to " + gr.name + "s"
	default:
		if list {
			at += "[]"
		}
		name = fmt.Sprintf("[mapping](#%s)", anchor(at))
	}
	if list {
		return "list: " + name
	}
	return name
}

// anchor is what GitHub makes of a heading.
func anchor(title string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(".[]`", r) {
			return -1
		}
		return r
	}, strings.ToLower(title))
}

func TestDocsConfigurationIsGenerated(t *testing.T) {
	tmpl, err := template.ParseFiles("testdata/configuration.md.tmpl")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := tmpl.Execute(&b, map[string]any{
		"Least": least, "Mappings": manual(newLayouts(), comments(), reflect.TypeFor[Config](), ""),
	}); err != nil {
		t.Fatal(err)
	}
	golden(t, "../docs/configuration.md", strings.TrimRight(b.String(), "\n")+"\n")
}

// aCertificate is what a file of an example holds: a certificate that a provider may sign with.
func aCertificate(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func TestEveryExampleAndDefaultIsRight(t *testing.T) {
	ls := newLayouts()
	seen := map[reflect.Type]bool{}
	var walk func(typ reflect.Type)
	walk = func(typ reflect.Type) {
		for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice {
			typ = typ.Elem()
		}
		if _, scalar := ls.of(typ, ""); scalar || typ.Kind() != reflect.Struct || seen[typ] {
			return
		}
		seen[typ] = true
		for _, f := range ls.layout(typ).fields {
			walk(f.typ)
			for _, text := range []string{f.example, f.fallback} {
				if text == "" {
					continue
				}
				var doc yaml.Node
				if err := yaml.Unmarshal([]byte("x: "+quotedIfNeeded(text, f)), &doc); err != nil {
					t.Errorf("%s.%s: %q is not YAML: %v", typ, f.name, text, err)
					continue
				}
				var faults Faults
				d := &decoder{layouts: ls, faults: &faults, file: &file{name: "x", data: []byte(text), root: doc.Content[0]}, expander: &expander{
					env:  func(string) (string, bool) { return strings.Repeat("key ", 10), true },
					read: func(string, int) ([]byte, error) { return aCertificate(t), nil },
					used: map[string][sha256.Size]byte{},
				}}
				v := reflect.New(f.typ).Elem()
				n := doc.Content[0].Content[1]
				if f.typ.Kind() == reflect.Slice && n.Kind == yaml.ScalarNode {
					v = reflect.New(f.typ.Elem()).Elem() // an example of one entry
				}
				if !d.value(n, v, f) {
					t.Errorf("%s.%s: %q: %v", typ, f.name, text, faults)
				}
			}
		}
	}
	walk(reflect.TypeFor[Config]())
}

// quotedIfNeeded quotes a default: those are written as values, not as YAML.
func quotedIfNeeded(text string, f *field) string {
	if text == f.fallback && !strings.HasPrefix(text, "[") {
		return fmt.Sprintf("%q", text)
	}
	return text
}
