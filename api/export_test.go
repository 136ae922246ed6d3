package api

// Conditions is how many conditions of checks are kept.
func (a *API) Conditions() int { return a.conditions.Len() }
