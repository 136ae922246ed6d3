package api

import (
	_ "embed"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/orgate/orgate/internal/endpoint"
)

// reference has the operations of the reference, one on a line: GET /organizations/{id}. A test
// keeps it to the document that it is made from.
//
//go:embed reference.txt
var reference string

var parameter = regexp.MustCompile(`\{[^}]*\}`)

// shape is a pattern without the names of its parameters.
func shape(pattern string) string { return parameter.ReplaceAllString(pattern, "{}") }

// allRoutes are the operations that are there, and those of the reference that are not.
func (a *API) allRoutes() []endpoint.Route {
	routes := a.Routes()
	there := map[string]bool{}
	for _, r := range routes {
		there[shape(r.Pattern)] = true
	}
	for _, op := range Operations() {
		pattern := op.Method + " " + op.Path
		if there[shape(pattern)] {
			continue
		}
		there[shape(pattern)] = true
		routes = append(routes, endpoint.Route{
			Side: endpoint.Management, Pattern: pattern, Access: endpoint.APIKey,
			Handle: a.handle(func(*call) error {
				return &Error{Status: http.StatusNotFound, Code: "not_implemented", Message: fmt.Sprintf("%s is not there yet.", pattern)}
			}),
		})
	}
	return routes
}

// An Operation is one of the reference.
type Operation struct{ Method, Path string }

// Operations returns the operations of the reference.
func Operations() []Operation {
	var all []Operation
	for line := range strings.Lines(reference) {
		method, path, _ := strings.Cut(strings.TrimSpace(line), " ")
		all = append(all, Operation{method, path})
	}
	return all
}
