package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// A series is one figure, round by round.
type series []float64

// over divides round by round, as what slows one subject in a round slows the other.
func (s series) over(t series) series {
	out := make(series, min(len(s), len(t)))
	for i := range out {
		out[i] = s[i] / t[i]
	}
	return out
}

// times multiplies each.
func (s series) times(f float64) series {
	out := slices.Clone(s)
	for i := range out {
		out[i] *= f
	}
	return out
}

func (s series) median() float64 {
	if len(s) == 0 {
		return math.NaN()
	}
	t := slices.Sorted(slices.Values(s))
	return (t[(len(t)-1)/2] + t[len(t)/2]) / 2
}

// show is the median, and least and greatest if there are several, each by the format.
func (s series) show(format string) string {
	switch len(s) {
	case 0:
		return "—"
	case 1:
		return fmt.Sprintf(format, s[0])
	}
	return s.between(slices.Min(s), slices.Max(s), format)
}

// between is the median, and two others in brackets, each by the format.
func (s series) between(from, to float64, format string) string {
	return fmt.Sprintf(format+" ("+format+"–"+format+")", s.median(), from, to)
}

// quartiles is the median, and what a quarter of them is below and above, each by the format.
func (s series) quartiles(format string) string {
	t := slices.Sorted(slices.Values(s))
	return s.between(percentile(t, 0.25), percentile(t, 0.75), format)
}

// confident is the median, and between what that of endlessly many would be with 95 % confidence, each by the format: how many of
// them are below that one is distributed as heads are, if none has to do with another. Of fewer than six it is less than 95 %.
func (s series) confident(format string) string {
	t := slices.Sorted(slices.Values(s))
	if len(t) == 0 {
		return "—"
	}
	half, off := float64(len(t))/2, 0.98*math.Sqrt(float64(len(t)))
	from, to := max(int(math.Floor(half-off))-1, 0), min(int(math.Ceil(half+off)), len(t)-1)
	return s.between(t[from], t[to], format)
}

// each is all of them, by the format.
func (s series) each(format string) string {
	var out strings.Builder
	for i, v := range s {
		if i > 0 {
			out.WriteString(", ")
		}
		fmt.Fprintf(&out, format, v)
	}
	return out.String()
}

// percentile is the value below which so much of the sorted values lies.
func percentile[T any](sorted []T, p float64) T {
	var none T
	if len(sorted) == 0 {
		return none
	}
	return sorted[min(int(p*float64(len(sorted))), len(sorted)-1)]
}
