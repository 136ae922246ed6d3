package saml

import (
	"slices"
	"testing"
)

func TestSpaceAroundAGroupIsNotItsName(t *testing.T) {
	got, err := readGroups(&attribute{name: "groups", values: []string{"eng", " admins", "\n    admins\n  ", " ", "two words"}})
	if want := []string{"eng", "admins", "two words"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
}
