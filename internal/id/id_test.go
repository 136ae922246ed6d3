package id_test

import (
	"strings"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/orgate/orgate/internal/id"
)

func TestAnIDIsAPrefixAndAULIDOfItsTime(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	a, b := id.New("org", now), id.New("org", now)
	rest, ok := strings.CutPrefix(a, "org_")
	u, err := ulid.ParseStrict(rest)
	if !ok || err != nil || !ulid.Time(u.Time()).Equal(now) {
		t.Errorf("%s: %v", a, err)
	}
	if a == b {
		t.Error("two ids of one moment are the same")
	}
	if later := id.New("org", now.Add(time.Second)); later <= a {
		t.Errorf("%s sorts before the older %s", later, a)
	}
}
