package api

import (
	"slices"
	"strings"

	"github.com/orgate/orgate/internal/endpoint"
)

// layers parts routes in two, as [http.ServeMux] can't have /users/external_id/{id} beside /users/{id}/sessions:
// those that have a name where others have a parameter come first. What begins with one of the prefixes is
// theirs: no id is called external_id.
func layers(routes []endpoint.Route) (first, rest []endpoint.Route, prefixes []string) {
	for _, r := range routes {
		if slices.ContainsFunc(routes, func(o endpoint.Route) bool { return overrules(r.Pattern, o.Pattern) }) {
			first = append(first, r)
			_, path, _ := strings.Cut(r.Pattern, " ")
			prefix, _, _ := strings.Cut(path, "{")
			if !slices.Contains(prefixes, prefix) {
				prefixes = append(prefixes, prefix)
			}
			continue
		}
		rest = append(rest, r)
	}
	return first, rest, prefixes
}

// overrules reports whether some path is both a's and b's, neither is the narrower pattern, and a has a name
// where b has a parameter first.
func overrules(a, b string) bool {
	as, bs := strings.Split(a, "/"), strings.Split(b, "/")
	if len(as) != len(bs) || as[0] != bs[0] {
		return false
	}
	aFirst, aNarrower, bNarrower := false, false, false
	for i := range as {
		ap, bp := strings.HasPrefix(as[i], "{"), strings.HasPrefix(bs[i], "{")
		switch {
		case !ap && !bp && as[i] != bs[i]:
			return false
		case !ap && bp:
			aFirst = aFirst || !bNarrower
			aNarrower = true
		case ap && !bp:
			bNarrower = true
		}
	}
	return aNarrower && bNarrower && aFirst
}
