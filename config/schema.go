package config

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"strconv"
	"strings"
)

// A schema is a JSON Schema, as far as the keys need one.
type schema struct {
	Schema      string             `json:"$schema,omitzero"`
	ID          string             `json:"$id,omitzero"`
	Title       string             `json:"title,omitzero"`
	Description string             `json:"description,omitzero"`
	Ref         string             `json:"$ref,omitzero"`
	Type        any                `json:"type,omitzero"` // a name or a list of them
	Properties  map[string]*schema `json:"properties,omitzero"`
	Required    []string           `json:"required,omitzero"`
	Additional  any                `json:"additionalProperties,omitzero"` // false or a schema
	Items       *schema            `json:"items,omitzero"`
	MaxItems    int                `json:"maxItems,omitzero"`
	AnyOf       []*schema          `json:"anyOf,omitzero"`
	Enum        []any              `json:"enum,omitzero"`
	Pattern     string             `json:"pattern,omitzero"`
	Minimum     *int64             `json:"minimum,omitzero"`
	Maximum     *int64             `json:"maximum,omitzero"`
	Default     any                `json:"default,omitzero"`
	Defs        map[string]*schema `json:"$defs,omitzero"`
}

const (
	schemaDialect = "https://json-schema.org/draft/2020-12/schema"
	schemaID      = "https://github.com/orgate/orgate/blob/main/docs/orgate.schema.json"
	// expandable is what stands for any value until it is expanded.
	expandable = `\$\{`
)

// Schema returns the JSON Schema (draft 2020-12) of the YAML, for editors. It knows the
// keys, their types and their grammar; what is wrong between keys, Read finds.
func Schema() []byte {
	b := &schemaBuilder{layouts: newLayouts(), docs: comments(), defs: map[string]*schema{}}
	root := b.mapping(reflect.TypeFor[Config]())
	root.Schema, root.ID, root.Defs = schemaDialect, schemaID, b.defs
	root.Title, root.Description = "orgate", "The configuration of orgate: see docs/configuration.md."
	out, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		panic(err) // only for values that JSON does not have
	}
	return append(out, '\n')
}

type schemaBuilder struct {
	*layouts
	docs map[string]string
	defs map[string]*schema
}

// mapping returns the schema of a struct.
func (b *schemaBuilder) mapping(t reflect.Type) *schema {
	s := &schema{Type: "object", Description: b.docs[t.Name()], Properties: map[string]*schema{}, Additional: false}
	for _, f := range b.layout(t).fields {
		if f.typ == reflect.TypeFor[*Later]() {
			continue // it is a fault to give it
		}
		p := b.value(f.typ, f)
		p.Description = b.docs[f.owner.Name()+"."+f.name]
		s.Properties[f.key] = p
		if f.required {
			s.Required = append(s.Required, f.key)
		}
	}
	return s
}

func (b *schemaBuilder) value(t reflect.Type, f *field) *schema {
	if t == reflect.TypeFor[Keys]() {
		one := b.value(t.Elem(), f)
		return &schema{AnyOf: []*schema{one, {Type: "array", Items: one}}}
	}
	if gr, ok := b.of(t, f.as); ok {
		return b.scalar(t, f, gr)
	}
	switch t.Kind() {
	case reflect.Pointer:
		return b.value(t.Elem(), f)
	case reflect.Slice:
		s := &schema{Type: "array", Items: b.value(t.Elem(), f), MaxItems: maxList}
		if t == reflect.TypeFor[[]*Organization]() {
			s.MaxItems = maxOrganizations
		}
		return s
	case reflect.Map:
		return &schema{Type: "object", Additional: b.value(t.Elem(), f)}
	default:
		if _, ok := b.defs[t.Name()]; !ok {
			b.defs[t.Name()] = nil // no type contains itself, but it would not end if one did
			b.defs[t.Name()] = b.mapping(t)
		}
		return &schema{Ref: "#/$defs/" + t.Name()}
	}
}

func (b *schemaBuilder) scalar(t reflect.Type, f *field, gr grammar) *schema {
	s := &schema{Type: "string", Pattern: gr.pattern}
	if f.typ.Kind() != reflect.Slice {
		s.Default = jsonOf(f.fallback, gr.schema)
	}
	switch {
	case gr.schema != "":
		s.Type, s.Pattern = gr.schema, ""
	case t == reflect.TypeFor[Size](), gr.name == "duration":
		s.Type = []string{"string", "integer"} // 0, and bytes
	}
	if gr.schema == "integer" && f.max != "" {
		s.Minimum, s.Maximum = integer(f.min), integer(f.max)
	}
	for _, e := range f.enum {
		s.Enum = append(s.Enum, jsonOf(e, enumType(e)))
	}
	if f.literal || s.Pattern == "" && s.Enum == nil && gr.schema == "" {
		return s
	}
	fallback := s.Default
	s.Default = nil
	return &schema{AnyOf: []*schema{s, {Type: "string", Pattern: expandable}}, Default: fallback}
}

// enumType is the JSON type of a word of an enumeration: version is a number.
func enumType(word string) string {
	if _, err := strconv.Atoi(word); err == nil {
		return "integer"
	}
	return "string"
}

func integer(s string) *int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		panic(fmt.Sprintf("config: bound %q is no number", s))
	}
	return &n
}

// jsonOf returns the text of a tag as the JSON type; nil for none.
func jsonOf(text, typ string) any {
	switch {
	case text == "":
		return nil
	case typ == "integer":
		return integer(text)
	case typ == "boolean":
		return text == "true"
	default:
		return text
	}
}

// comments returns the comments on types ("App") and their fields ("App.Name"), in one line each.
func comments() map[string]string {
	docs := map[string]string{}
	entries, err := sources.ReadDir(".")
	if err != nil {
		panic(err) // it is embedded
	}
	for _, e := range entries {
		text, err := sources.ReadFile(e.Name())
		if err != nil {
			panic(err)
		}
		f, err := parser.ParseFile(token.NewFileSet(), e.Name(), text, parser.ParseComments)
		if err != nil {
			panic(err) // it was compiled
		}
		ast.Inspect(f, func(n ast.Node) bool {
			d, ok := n.(*ast.GenDecl)
			if !ok {
				return true
			}
			for _, spec := range d.Specs {
				ts, ok := spec.(*ast.TypeSpec)
				if !ok {
					continue
				}
				docs[ts.Name.Name] = oneLine(d.Doc)
				st, ok := ts.Type.(*ast.StructType)
				if !ok {
					continue
				}
				for _, field := range st.Fields.List {
					for _, name := range field.Names {
						docs[ts.Name.Name+"."+name.Name] = oneLine(field.Doc)
					}
				}
			}
			return false
		})
	}
	return docs
}

// oneLine returns the first paragraph of a comment.
func oneLine(g *ast.CommentGroup) string {
	first, _, _ := strings.Cut(strings.TrimSpace(g.Text()), "\n\n")
	return strings.Join(strings.Fields(first), " ")
}
