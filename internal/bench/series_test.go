package main

import "testing"

func TestRatiosAreTakenRoundByRound(t *testing.T) {
	// In the second round the machine was twice as slow, for both.
	s, to := series{1, 2.2, 1.2}, series{1, 2, 1}
	if got, want := s.over(to).show("%.2f"), "1.10 (1.00–1.20)"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestTheMedianOfAnEvenNumberIsBetweenTheTwoInTheMiddle(t *testing.T) {
	if m := (series{4, 1, 2, 3}).median(); m != 2.5 {
		t.Errorf("%v", m)
	}
}

// The binomial distribution asks for the 2nd and the 9th of 10, where this is careful, and for the 40th and the 61st of 100.
func TestTheMedianIsWithinItsConfidence(t *testing.T) {
	for _, c := range []struct {
		n    int
		want string
	}{{0, "—"}, {1, "1.0 (1.0–1.0)"}, {4, "2.5 (1.0–4.0)"}, {10, "5.5 (1.0–10.0)"}, {100, "50.5 (40.0–61.0)"}} {
		var s series
		for i := range c.n {
			s = append(s, float64(c.n-i))
		}
		if got := s.confident("%.1f"); got != c.want {
			t.Errorf("of %d: %s, want %s", c.n, got, c.want)
		}
	}
}

func TestWhatWasMeasuredOnceHasNoRange(t *testing.T) {
	if got := (series{2}).show("%.1f"); got != "2.0" {
		t.Error(got)
	}
	if got := (series{}).show("%.1f"); got != "—" {
		t.Error(got)
	}
}
