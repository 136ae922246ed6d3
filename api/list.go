package api

import (
	"iter"
	"slices"

	"github.com/orgate/orgate/tenancy"
)

// An envelope is how lists are answered.
type envelope[T any] struct {
	Object   string   `json:"object"`
	Data     []T      `json:"data"`
	Metadata *cursors `json:"list_metadata,omitzero"`
}

// cursors lead to the pages beside one; nil: there is none.
type cursors struct {
	Before *string `json:"before"`
	After  *string `json:"after"`
}

// A source is a list that can be read from any place on, by id.
type source[T any] struct {
	from func(tenancy.Place) iter.Seq2[T, error]
	id   func(T) string
	// keep says what is listed; nil: everything.
	keep func(T) (bool, error)
}

// read returns up to n things from a place on.
func (s source[T]) read(at tenancy.Place, n int) (list []T, err error) {
	for x, err := range s.from(at) {
		if err != nil {
			return nil, err
		}
		if s.keep != nil {
			if ok, err := s.keep(x); err != nil {
				return nil, err
			} else if !ok {
				continue
			}
		}
		if list = append(list, x); len(list) == n {
			break
		}
	}
	return list, nil
}

// inMemory is a list that is read already, in the order of its ids.
func inMemory[T any](all []T, id func(T) string) source[T] {
	return source[T]{id: id, from: func(at tenancy.Place) iter.Seq2[T, error] {
		return func(yield func(T, error) bool) {
			list := slices.Clone(all)
			if at.Backward {
				slices.Reverse(list)
			}
			for _, x := range list {
				if at.Past != "" && (at.Backward && id(x) >= at.Past || !at.Backward && id(x) <= at.Past) {
					continue
				}
				if !yield(x, nil) {
					return
				}
			}
		}
	}}
}

// listPage returns the page of the list, as show shows it.
//
// desc and normal are shown youngest first, asc oldest first. What comes behind a thing in
// the order shown is after it, and what comes in front of it is before it; in normal these two words are
// swapped: after means younger, and before older.
func listPage[T, O any](p page, s source[T], show func(T) (O, error)) (envelope[O], error) {
	behind, inFront := p.after, p.before
	if p.order == normal {
		behind, inFront = inFront, behind
	}
	down := p.order != ascending // the order shown
	var list []T
	var err error
	if inFront != "" {
		list, err = s.read(tenancy.Place{Past: inFront, Backward: !down}, p.limit)
		slices.Reverse(list)
	} else {
		list, err = s.read(tenancy.Place{Past: behind, Backward: down}, p.limit)
	}
	if err != nil {
		return envelope[O]{}, err
	}
	e := envelope[O]{Object: "list", Data: make([]O, 0, len(list)), Metadata: &cursors{}}
	for _, x := range list {
		o, err := show(x)
		if err != nil {
			return envelope[O]{}, err
		}
		e.Data = append(e.Data, o)
	}
	if len(list) == 0 {
		return e, nil
	}
	first, last := s.id(list[0]), s.id(list[len(list)-1])
	more, err := s.read(tenancy.Place{Past: last, Backward: down}, 1)
	if err != nil {
		return envelope[O]{}, err
	}
	less, err := s.read(tenancy.Place{Past: first, Backward: !down}, 1)
	if err != nil {
		return envelope[O]{}, err
	}
	if len(more) > 0 {
		e.Metadata.After = &last
	}
	if len(less) > 0 {
		e.Metadata.Before = &first
	}
	if p.order == normal {
		e.Metadata.Before, e.Metadata.After = e.Metadata.After, e.Metadata.Before
	}
	return e, nil
}
