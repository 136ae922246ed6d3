package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/orgate/orgate/tenancy"
)

const (
	// maxBody is more than metadata can be that may be kept.
	maxBody  = 256 << 10
	maxDepth = 8
)

// A body is a JSON object that was sent. Whoever reads a field takes it out; what is left at
// the end nobody knows, and is refused.
type body struct {
	fields map[string]any
	path   string // of the object, with a dot, or empty
	all    *[]Fault
}

// body reads the request's body. Names are compared exactly, and none may be there twice: what two parsers
// read differently is somebody else's value to one of them.
func (c *call) body() (body, error) {
	b, err := io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, maxBody))
	if _, tooBig := errors.AsType[*http.MaxBytesError](err); tooBig {
		return body{}, &Error{Status: http.StatusRequestEntityTooLarge, Code: "request_too_large", Message: fmt.Sprintf("The body has more than %d bytes.", maxBody)}
	}
	if err != nil {
		return body{}, badRequest("invalid_body", "The body could not be read.")
	}
	c.raw = b
	return parseBody(b)
}

func parseBody(b []byte) (body, error) {
	if len(bytes.TrimSpace(b)) == 0 {
		b = []byte("{}")
	}
	if !utf8.Valid(b) {
		return body{}, badRequest("invalid_body", "The body is not UTF-8.")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	v, err := parseValue(d, "", 0)
	if err == nil {
		if _, err = d.Token(); errors.Is(err, io.EOF) {
			err = nil
		} else {
			err = errors.New("more than one value")
		}
	}
	if twice, ok := errors.AsType[*twiceError](err); ok {
		return body{}, invalid(Fault{"duplicate", twice.field, twice.field + " is given twice"})
	}
	if err != nil {
		return body{}, badRequest("invalid_body", "The body is not JSON that can be read.")
	}
	fields, ok := v.(map[string]any)
	if !ok {
		return body{}, badRequest("invalid_body", "The body is not a JSON object.")
	}
	return body{fields, "", new([]Fault)}, nil
}

// A twiceError says that a name is twice in an object.
type twiceError struct{ field string }

func (e *twiceError) Error() string { return "twice: " + e.field }

// parseValue reads one value: map[string]any, []any, string, json.Number, bool or nil.
func parseValue(d *json.Decoder, path string, depth int) (any, error) {
	if depth > maxDepth {
		return nil, errors.New("too deep")
	}
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t {
	case json.Delim('{'):
		fields := map[string]any{}
		for d.More() {
			name, err := d.Token()
			if err != nil {
				return nil, err
			}
			key := name.(string) // package json returns nothing else here
			at := strings.TrimPrefix(path+"."+clip(key), ".")
			if _, twice := fields[key]; twice {
				return nil, &twiceError{at}
			}
			if fields[key], err = parseValue(d, at, depth+1); err != nil {
				return nil, err
			}
		}
		_, err := d.Token()
		return fields, err
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := parseValue(d, fmt.Sprintf("%s[%d]", path, len(list)), depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := d.Token()
		return list, err
	}
	return t, nil
}

func (b body) fault(code, name, message string) {
	*b.all = append(*b.all, Fault{code, b.path + name, b.path + name + " " + message})
}

// take takes a field out; ok is false if it is not there, or null where null is nothing.
func (b body) take(name string) (v any, ok bool) {
	v, ok = b.fields[name]
	delete(b.fields, name)
	return v, ok
}

// text returns a string; nil: it is not there, or null.
func (b body) text(name string) *string {
	v, ok := b.take(name)
	if !ok || v == nil {
		return nil
	}
	s, ok := v.(string)
	if !ok {
		b.fault("invalid_type", name, "must be a string")
		return nil
	}
	return &s
}

// clearable returns a string, "" for null; nil: it is not there.
func (b body) clearable(name string) *string {
	if v, ok := b.fields[name]; ok && v == nil {
		delete(b.fields, name)
		return new(string)
	}
	return b.text(name)
}

// required returns a string that must be there, and not be blank.
func (b body) required(name string) string {
	_, there := b.fields[name]
	n := len(*b.all)
	s := b.text(name)
	switch {
	case len(*b.all) > n:
		return ""
	case s == nil && !there, s == nil:
		b.fault("required", name, "is required")
		return ""
	case strings.TrimSpace(*s) == "":
		b.fault("required", name, "must not be empty")
		return ""
	}
	return *s
}

// flag returns a boolean; nil: it is not there, or null.
func (b body) flag(name string) *bool {
	v, ok := b.take(name)
	if !ok || v == nil {
		return nil
	}
	f, ok := v.(bool)
	if !ok {
		b.fault("invalid_type", name, "must be a boolean")
		return nil
	}
	return &f
}

// whole returns a whole number; nil: it is not there, or null.
func (b body) whole(name string) *int {
	v, ok := b.take(name)
	if !ok || v == nil {
		return nil
	}
	number, _ := v.(json.Number)
	n, err := strconv.Atoi(number.String())
	if err != nil {
		b.fault("invalid_type", name, "must be a whole number")
		return nil
	}
	return &n
}

// texts returns a list of strings; nil: it is not there, or null.
func (b body) texts(name string) []string { return b.textsUpTo(name, maxValues) }

func (b body) textsUpTo(name string, most int) []string {
	v, ok := b.take(name)
	if !ok || v == nil {
		return nil
	}
	list, ok := v.([]any)
	if !ok {
		b.fault("invalid_type", name, "must be an array of strings")
		return nil
	}
	if len(list) > most {
		b.fault("invalid", name, fmt.Sprintf("must have no more than %d values", most))
		return nil
	}
	texts := []string{}
	for i, x := range list {
		s, ok := x.(string)
		if !ok {
			b.fault("invalid_type", fmt.Sprintf("%s[%d]", name, i), "must be a string")
			continue
		}
		texts = append(texts, s)
	}
	return texts
}

// object returns an object; ok is false if it is not there, or is none, which is then a fault of its own.
func (b body) object(name string) (o body, ok bool) {
	none := body{map[string]any{}, b.path + name + ".", new([]Fault)} // what is missing in it is not said as well
	v, there := b.take(name)
	if !there || v == nil {
		return none, false
	}
	fields, is := v.(map[string]any)
	if !is {
		b.fault("invalid_type", name, "must be an object")
		return none, true
	}
	return body{fields, b.path + name + ".", b.all}, true
}

// moment returns a time; ok is false if it is not there, and the time is zero if it is null.
func (b body) moment(name string) (at time.Time, ok bool) {
	v, ok := b.take(name)
	if !ok || v == nil {
		return time.Time{}, ok
	}
	s, _ := v.(string)
	at, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || at.Year() < 1970 || at.Year() > 9998 { // in UTC it is a time of JSON too
		b.fault("invalid", name, "must be an ISO 8601 date and time")
		return time.Time{}, false
	}
	return at.UTC(), true
}

// requiredMoment returns a time that must be there.
func (b body) requiredMoment(name string) time.Time {
	n := len(*b.all)
	at, _ := b.moment(name)
	if at.IsZero() && len(*b.all) == n {
		b.missing(name)
	}
	return at
}

func (b body) missing(name string) { b.fault("required", name, "is required") }

// objects returns a list of objects; nil: it is not there, or null.
func (b body) objects(name string) []body {
	v, ok := b.take(name)
	if !ok || v == nil {
		return nil
	}
	list, ok := v.([]any)
	if !ok || len(list) > maxValues {
		b.fault("invalid_type", name, fmt.Sprintf("must be an array of up to %d objects", maxValues))
		return nil
	}
	objects := []body{}
	for i, x := range list {
		at := fmt.Sprintf("%s[%d]", name, i)
		fields, ok := x.(map[string]any)
		if !ok {
			b.fault("invalid_type", at, "must be an object")
			continue
		}
		objects = append(objects, body{fields, b.path + at + ".", b.all})
	}
	return objects
}

// metadata returns the changes of metadata: null takes a key out. cleared: it is null itself.
func (b body) metadata() (changes map[string]*string, cleared bool) {
	v, ok := b.take("metadata")
	if !ok {
		return nil, false
	}
	if v == nil {
		return nil, true
	}
	fields, ok := v.(map[string]any)
	if !ok {
		b.fault("invalid_type", "metadata", "must be an object")
		return nil, false
	}
	changes = map[string]*string{}
	for k, x := range fields {
		switch s := x.(type) {
		case nil:
			changes[k] = nil
		case string:
			changes[k] = &s
		default:
			b.fault("invalid_type", "metadata."+clip(k), "must be a string")
		}
	}
	return changes, false
}

// ignored takes out fields of the reference that are hints, and change nothing here.
func (b body) ignored(names ...string) {
	for _, name := range names {
		b.take(name)
	}
}

// unsupported refuses fields of the reference that mean something that is not there: to accept them would be a
// false success.
func (b body) unsupported(names ...string) {
	for _, name := range names {
		if v, ok := b.take(name); ok && v != nil && v != false {
			b.fault("not_supported", name, "is not supported")
		}
	}
}

// done returns an error if anything was wrong with the body.
func (b body) done(nested ...body) error {
	for _, o := range append(nested, b) {
		for name := range o.fields {
			o.fault("unknown", clip(name), "is not a field of this operation")
		}
	}
	if len(*b.all) == 0 {
		return nil
	}
	return b.faulty()
}

// faulty is what is wrong with a body so far.
func (b body) faulty() error {
	slices.SortStableFunc(*b.all, func(x, y Fault) int { return strings.Compare(x.Field, y.Field) })
	return invalid(*b.all...)
}

// email returns an address that must be there.
func (b body) email(name string) string {
	s := b.required(name)
	if s == "" {
		return ""
	}
	email, err := tenancy.ParseEmail(s)
	if err != nil {
		b.fault("invalid", name, "must be an e-mail address")
	}
	return email
}
