package policy

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"cel.dev/cel-go/cel"
)

// What a function says of a time in a zone is what CEL's own says, and is right whoever else asks at the same time.
func TestTimesInZonesAreThoseOfCEL(t *testing.T) {
	env, err := cel.NewEnv(cel.Variable("now", cel.TimestampType))
	if err != nil {
		t.Fatal(err)
	}
	moments := []time.Time{
		noon, time.Date(2026, 3, 29, 0, 59, 59, 999e6, time.UTC), time.Date(2026, 3, 29, 1, 0, 0, 0, time.UTC), time.Date(2026, 12, 31, 23, 59, 59, 1e6, time.UTC),
		time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC), time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	for function := range zonedCalls() {
		for _, zone := range []string{"Europe/Berlin", "America/St_Johns", "Asia/Kathmandu", "Pacific/Kiritimati", "UTC", "+01:00", "-03:30", "14:00", "00:00"} {
			call := fmt.Sprintf("now.%s(%q)", function, zone)
			checked, issues := env.Compile(call)
			if issues.Err() != nil {
				t.Fatal(issues.Err())
			}
			program, err := env.Program(checked)
			if err != nil {
				t.Fatal(err)
			}
			for _, at := range moments {
				want, _, err := program.Eval(map[string]any{"now": at})
				if err != nil {
					t.Fatal(err)
				}
				c, err := ParseCondition(fmt.Sprintf("%s == %d", call, want.Value()))
				if err != nil {
					t.Fatal(err)
				}
				var wg sync.WaitGroup
				for range 2 {
					wg.Go(func() {
						if holds, err := c.Holds(&Facts{Now: at}); !holds || err != nil {
							t.Errorf("%s of %v is not %v: %v", call, at, want.Value(), err)
						}
					})
				}
				wg.Wait()
			}
		}
	}
}

// The files of zones are not for every request to read: a zone is read once for a condition.
func TestTheFileOfAZoneIsReadOnceForACondition(t *testing.T) {
	c, err := ParseCondition(`now.getHours("Europe/Berlin") < 25`)
	if err != nil {
		t.Fatal(err)
	}
	f := Facts{Now: noon}
	if n := testing.AllocsPerRun(100, func() {
		if holds, err := c.Holds(&f); !holds || err != nil {
			t.Fatal(holds, err)
		}
	}); n > 5 { // to read one takes twelve
		t.Errorf("%v allocations", n)
	}
}
