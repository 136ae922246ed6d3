package sso

import (
	"testing"
	"time"
)

func TestAnOldSignInAtTheProviderIsNoFreshProof(t *testing.T) {
	now := time.Unix(1_700_000_000, 0).UTC()
	for name, tt := range map[string]struct {
		maxAge   time.Duration
		authTime time.Time
		want     time.Duration // before now
	}{
		"the provider does not say":                       {0, time.Time{}, 0},
		"it was just now":                                 {0, now, 0},
		"it was last week":                                {0, now.Add(-7 * 24 * time.Hour), 7 * 24 * time.Hour},
		"it is in the future, by a clock that runs ahead": {0, now.Add(30 * time.Second), 0},
		"asked for an hour, half an hour ago":             {time.Hour, now.Add(-30 * time.Minute), 30 * time.Minute},
		"asked for an hour, an hour ago by its clock":     {time.Hour, now.Add(-time.Hour - 20*time.Second), 59 * time.Minute},
	} {
		if got := now.Sub(provedAt(flow{MaxAge: tt.maxAge}, tt.authTime, now)); got != tt.want {
			t.Errorf("%s: proved %v ago, want %v", name, got, tt.want)
		}
	}
}
