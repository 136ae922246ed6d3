package config

import (
	"bytes"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"
)

func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource(schemaID, doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(schemaID)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// plain returns YAML as the schema's validator sees it.
func plain(t *testing.T, text []byte) any {
	t.Helper()
	var v any
	if err := yaml.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestTheSchemaAcceptsTheContract(t *testing.T) {
	s := compiled(t)
	text, err := os.ReadFile("testdata/contract.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string][]byte{"contract": text, "least": []byte(least)} {
		if err := s.Validate(plain(t, text)); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestTheSchemaAcceptsAReferenceWhereAValueIsExpanded(t *testing.T) {
	s := compiled(t)
	text := strings.Replace(least, "https://login.example.com", `"${PUBLIC_URL}"`, 1) +
		"listen: \"${LISTEN}\"\nsession: { idle: \"${IDLE}\" }\nmail: { smtp: { host: a, port: \"${PORT}\" }, from: a@b.c }\nsecrets_key: [\"${file:new}\", \"${file:old}\"]\nlog: { level: \"${LEVEL}\" }\n"
	if err := s.Validate(plain(t, []byte(text))); err != nil {
		t.Error(err)
	}
}

func TestTheSchemaRefusesWhatReadRefuses(t *testing.T) {
	s := compiled(t)
	for what, text := range map[string]string{
		"an unknown key":               least + "lisen: x\n",
		"one further down":             least + "session: { idel: 1h }\n",
		"one in an organization":       least + "organizations: [{ slug: acme, nam: x }]\n",
		"a word that is not in a list": least + "log: { format: xml }\n",
		"a wrong type":                 least + "session: 12h\n",
		"no duration":                  least + "session: { idle: 7d }\n",
		"no number":                    least + "mail: { smtp: { host: a, port: x }, from: a@b.c }\n",
		"a number out of range":        least + "mail: { smtp: { host: a, port: 70000 }, from: a@b.c }\n",
		"a bad slug":                   least + "organizations: [{ slug: -acme }]\n",
		"no slug":                      least + "organizations: [{ name: acme }]\n",
		"a host without {org}":         strings.Replace(least, "{org}", "app", 1),
		"what comes later":             least + "organizations: [{ slug: acme, directory: { type: scim } }]\n",
		"another version":              strings.Replace(least, "version: 1", "version: 2", 1),
		"nothing":                      "{}",
	} {
		if _, err := readText(text, noEnv); err == nil {
			t.Errorf("%s: Read accepts it", what)
		}
		if s.Validate(plain(t, []byte(text))) == nil {
			t.Errorf("%s: the schema accepts it", what)
		}
	}
}

func TestSchemaGolden(t *testing.T) { golden(t, "../docs/orgate.schema.json", string(Schema())) }

// A key without a meaning or an example is of no use to whoever writes a configuration.
func TestEveryKeySaysWhatItMeans(t *testing.T) {
	ls, docs := newLayouts(), comments()
	seen := map[reflect.Type]bool{}
	var walk func(t reflect.Type, path string)
	walk = func(typ reflect.Type, path string) {
		for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice {
			typ = typ.Elem()
		}
		if typ.Kind() != reflect.Struct || seen[typ] {
			return
		}
		if _, scalar := ls.of(typ, ""); scalar {
			return
		}
		seen[typ] = true
		for _, f := range ls.layout(typ).fields {
			at := strings.TrimPrefix(path+"."+f.key, ".")
			doc := docs[f.owner.Name()+"."+f.name]
			if doc == "" || !strings.HasSuffix(doc, ".") {
				t.Errorf("%s is described as %q", at, doc)
			}
			elem := f.typ
			if elem.Kind() == reflect.Slice {
				elem = elem.Elem()
			}
			if _, scalar := ls.of(elem, f.as); scalar && f.example == "" && len(f.enum) == 0 && elem.Kind() != reflect.Bool {
				t.Errorf("%s has no example", at)
			}
			walk(f.typ, at)
		}
	}
	walk(reflect.TypeFor[Config](), "")
}
