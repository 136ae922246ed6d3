package config

// nearest returns the candidate that s is most likely to mean, or "": none is near.
func nearest(s string, candidates []string) string {
	best, bestDistance := "", max(1, min(len(s)/2, 3))+1
	for _, c := range candidates {
		if d := distance(s, c); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	return best
}

// distance returns how many bytes must be put in, taken out, replaced or swapped with
// their neighbour to make b of a. Long strings are far from everything.
func distance(a, b string) int {
	const most = 64
	if len(a) > most || len(b) > most {
		return most
	}
	// Three rows of the matrix are all that is looked at: two back for a swap.
	var before, previous, row [most + 1]int
	for j := range len(b) + 1 {
		previous[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(previous[j]+1, row[j-1]+1, previous[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, previous = previous, row
	}
	return previous[len(b)]
}
