package config

import (
	"slices"

	"go.yaml.in/yaml/v4"
)

// A place is something in a file, by the keys and indexes that lead to it. Values do not carry
// their lines around: a place is looked up when there is a fault in it.
type place struct {
	file  string
	steps []any // string or int
}

// at returns the place that the steps lead to from p.
func (p place) at(steps ...any) place {
	return place{p.file, append(slices.Clip(p.steps), steps...)}
}

// index returns the place of the i-th element of the list at p.
func (p place) index(i int) place { return p.at(i) }

// find returns the node at the steps, or the last one on the way that is there.
func find(n *yaml.Node, steps []any) *yaml.Node {
	for _, step := range steps {
		next := child(n, step)
		if next == nil {
			return n
		}
		n = next
	}
	return n
}

func child(n *yaml.Node, step any) *yaml.Node {
	switch step := step.(type) {
	case int:
		if n.Kind == yaml.SequenceNode && step < len(n.Content) {
			return n.Content[step]
		}
	case string:
		if n.Kind != yaml.MappingNode {
			return nil
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == step {
				return n.Content[i+1]
			}
		}
	}
	return nil
}
