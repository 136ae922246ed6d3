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

func TestWhatWasMeasuredOnceHasNoRange(t *testing.T) {
	if got := (series{2}).show("%.1f"); got != "2.0" {
		t.Error(got)
	}
	if got := (series{}).show("%.1f"); got != "—" {
		t.Error(got)
	}
}
