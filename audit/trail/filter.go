package trail

import (
	"slices"
	"time"
)

// A Filter says which entries are meant. What is empty is not asked.
type Filter struct {
	// Start and End are of when it happened: from Start on, and before End.
	Start, End time.Time
	// Actions, ActorIDs and ActorNames have the values, and Targets the types or ids, of which one must be there.
	Actions, ActorIDs, ActorNames, Targets []string
}

// Has reports whether e is meant.
func (f Filter) Has(e Entry) bool {
	among := func(list []string, s string) bool { return len(list) == 0 || slices.Contains(list, s) }
	return !e.OccurredAt.Before(f.Start) && (f.End.IsZero() || e.OccurredAt.Before(f.End)) &&
		among(f.Actions, e.Action) && among(f.ActorIDs, e.Actor.ID) && among(f.ActorNames, e.Actor.Name) &&
		(len(f.Targets) == 0 || slices.ContainsFunc(e.Targets, func(t Target) bool {
			return slices.Contains(f.Targets, t.Type) || slices.Contains(f.Targets, t.ID)
		}))
}
