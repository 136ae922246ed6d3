package api_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"

	"github.com/orgate/orgate/api"
	"github.com/orgate/orgate/internal/need"
)

// A contract is the reference: what each operation may answer.
type contract struct {
	doc      map[string]any
	paths    map[string]any
	compiler *jsonschema.Compiler

	mu      sync.Mutex
	schemas map[string]*jsonschema.Schema
}

var theContract = sync.OnceValues(func() (*contract, error) {
	b, err := os.ReadFile("testdata/workos-openapi.yaml")
	if err != nil {
		return nil, err
	}
	var tree any
	if err := yaml.Unmarshal(b, &tree); err != nil {
		return nil, err
	}
	tidy(tree)
	if b, err = json.Marshal(tree); err != nil {
		return nil, err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("reference.json", doc); err != nil {
		return nil, err
	}
	return &contract{doc: doc.(map[string]any), paths: doc.(map[string]any)["paths"].(map[string]any), compiler: c, schemas: map[string]*jsonschema.Schema{}}, nil
})

// tidy takes out what is twice in lists of required fields, which JSON Schema forbids and the document has.
func tidy(v any) {
	switch v := v.(type) {
	case map[string]any:
		if list, ok := v["required"].([]any); ok {
			seen := map[any]bool{}
			v["required"] = slices.DeleteFunc(list, func(x any) bool {
				was := seen[x]
				seen[x] = true
				return was
			})
		}
		for _, x := range v {
			tidy(x)
		}
	case []any:
		for _, x := range v {
			tidy(x)
		}
	}
}

func reference(t testing.TB) *contract {
	t.Helper()
	c, err := theContract()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// extra are the statuses that any operation may answer with, whether the reference has them at it or not: what
// is asked before the operation is.
var extra = []int{400, 401, 403, 404, 409, 413, 422, 429, 503}

// check holds an answer against the reference. pattern is as in the route: GET /organizations/{id}.
func (c *contract) check(t testing.TB, pattern string, status int, body []byte) {
	t.Helper()
	method, path, _ := strings.Cut(pattern, " ")
	if strings.HasPrefix(path, "/orgate/v1/") { // our own, in the reference's manner
		if status >= 400 {
			checkError(t, pattern, status, body)
		}
		return
	}
	item, ok := c.paths[path].(map[string]any)
	if !ok {
		t.Errorf("%s is not in the reference", pattern)
		return
	}
	op, ok := item[strings.ToLower(method)].(map[string]any)
	if !ok {
		t.Errorf("%s is not in the reference", pattern)
		return
	}
	responses := op["responses"].(map[string]any)
	if status >= 400 {
		checkError(t, pattern, status, body)
	}
	response, ok := responses[strconv.Itoa(status)].(map[string]any)
	if !ok {
		if !slices.Contains(extra, status) {
			t.Errorf("%s answers %d, which the reference does not have", pattern, status)
		}
		return
	}
	content, ok := response["content"].(map[string]any)
	if !ok {
		if len(body) > 0 && status < 400 {
			t.Errorf("%s answers %d with %s, want no body", pattern, status, body)
		}
		return
	}
	if _, ok := content["application/json"]; !ok || status >= 400 {
		return // the codes of errors are the claims of tests: the reference names but the most of them
	}
	s, err := c.schema(path, strings.ToLower(method), status)
	if err != nil {
		t.Errorf("%s %d: %v", pattern, status, err)
		return
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err == nil {
		err = s.Validate(v)
	}
	if err != nil {
		t.Errorf("%s answers %d with what the reference does not allow: %v\n%s", pattern, status, err, body)
	}
}

func (c *contract) schema(path, method string, status int) (*jsonschema.Schema, error) {
	at := fmt.Sprintf("reference.json#/paths/%s/%s/responses/%d/content/application~1json/schema", strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(path), method, status)
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.schemas[at]; s != nil {
		return s, nil
	}
	s, err := c.compiler.Compile(at)
	c.schemas[at] = s
	return s, err
}

// checkError holds an error against the shape that all of them have.
func checkError(t testing.TB, pattern string, status int, body []byte) {
	t.Helper()
	var e struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Error   string `json:"error"` // of token endpoints
		Text    string `json:"error_description"`
		Errors  []struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"errors"`
	}
	if err := json.Unmarshal(body, &e); err != nil || (e.Code == "" || e.Message == "") && (e.Error == "" || e.Text == "") {
		t.Errorf("%s answers %d with %s: no code and message", pattern, status, body)
	}
	if status == http.StatusUnprocessableEntity && e.Code == "invalid_request_parameters" && len(e.Errors) == 0 {
		t.Errorf("%s answers 422 with no errors: %s", pattern, body)
	}
}

func TestTheGeneratedListOfOperationsIsThatOfTheReference(t *testing.T) {
	var want []string
	for path, item := range reference(t).paths {
		for method := range item.(map[string]any) {
			if slices.Contains([]string{"get", "post", "put", "patch", "delete"}, method) {
				want = append(want, strings.ToUpper(method)+" "+path)
			}
		}
	}
	slices.SortFunc(want, func(a, b string) int {
		am, ap, _ := strings.Cut(a, " ")
		bm, bp, _ := strings.Cut(b, " ")
		return cmp.Or(cmp.Compare(ap, bp), cmp.Compare(am, bm))
	})
	generated(t, "reference.txt", want)
	var got []string
	for _, o := range api.Operations() {
		got = append(got, o.Method+" "+o.Path)
	}
	if !slices.Equal(got, want) {
		t.Errorf("reference.txt has %d operations, the document %d", len(got), len(want))
	}
}

// eventNames are the names of all events of the reference.
func (c *contract) eventNames() (names []string) {
	schemas := c.doc["components"].(map[string]any)["schemas"].(map[string]any)
	deref := func(v any) map[string]any {
		m := v.(map[string]any)
		for ref, ok := m["$ref"].(string); ok; ref, ok = m["$ref"].(string) {
			m = schemas[strings.TrimPrefix(ref, "#/components/schemas/")].(map[string]any)
		}
		return m
	}
	properties := func(v any) map[string]any { return deref(v)["properties"].(map[string]any) }
	items := deref(deref(properties(schemas["EventList"])["data"])["items"])
	for _, part := range items["allOf"].([]any) {
		list, _ := deref(part)["oneOf"].([]any)
		for _, o := range list {
			names = append(names, deref(properties(o)["event"])["const"].(string))
		}
	}
	return names
}

// generated holds a file against the lines that it is made of, or writes it.
func generated(t *testing.T, file string, lines []string) {
	t.Helper()
	want := strings.Join(lines, "\n") + "\n"
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		need.Missing(t, "a build with the new "+file, "run it again, without -update")
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != want {
		t.Errorf("%s is not as it would be made: run scripts/generate (%v)", file, err)
	}
}
