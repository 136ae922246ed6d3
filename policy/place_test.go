package policy

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestAConditionKnowsWhereSomebodyIs(t *testing.T) {
	type place struct{ ip, country string }
	office, abroad, six := place{"10.1.2.3", "DE"}, place{"203.0.113.9", "FR"}, place{"2001:db8::7", ""}
	tests := []struct {
		expr string
		at   place
		want bool
	}{
		{`request.ip.inRange("10.0.0.0/8")`, office, true},
		{`request.ip.inRange("10.0.0.0/8")`, abroad, false},
		{`request.ip.inRange("10.0.0.0/8")`, place{ip: "::ffff:10.1.2.3"}, true},
		{`request.ip.inRange("10.1.2.3")`, office, true},
		{`request.ip.inRange("10.1.2.4")`, office, false},
		{`request.ip.inRange("2001:db8::/32")`, six, true},
		{`request.ip.inRange("10.0.0.0/8")`, six, false},
		{`request.ip.inRange(["192.168.0.0/16", "10.0.0.0/8"])`, office, true},
		{`request.ip.inRange(["192.168.0.0/16", "2001:db8::/32"])`, abroad, false},
		{`request.ip.inRange([])`, office, false},
		{`!request.ip.inRange("10.0.0.0/8")`, abroad, true},
		{`request.country in ["DE", "AT"]`, office, true},
		{`request.country in ["DE", "AT"]`, abroad, false},
		{`request.country in ["DE", "AT"]`, six, false}, // nobody says
		{`request.country == ""`, six, true},
	}
	for _, tt := range tests {
		c, err := ParseCondition(tt.expr)
		if err != nil {
			t.Errorf("%s: %v", tt.expr, err)
			continue
		}
		if got, err := c.Holds(&Facts{Request: Request{RemoteIP: tt.at.ip, Country: tt.at.country}}); got != tt.want || err != nil {
			t.Errorf("%s from %v: %v, %v, want %v", tt.expr, tt.at, got, err, tt.want)
		}
	}
}

func TestARangeThatCanNotBeSaidDenies(t *testing.T) {
	for _, expr := range []string{
		`request.ip.inRange("10.0.0.0/8")`, // from nowhere
		`!request.ip.inRange("10.0.0.0/8")`,
		`!request.country.inRange("10.0.0.0/8")`,
		`"10.1.2.3".inRange(member.attributes.office)`,
		`!"10.1.2.3".inRange(member.attributes.office)`,
		`"10.1.2.3".inRange(["10.0.0.0/8", member.attributes.office])`,
		`"10.1.2.3".inRange(member.attributes.offices)`,
		`"10.1.2.3".inRange(member.attributes.numbers)`,
	} {
		f := at(ago(EmailCode, 0))
		f.Attributes = map[string]any{"office": "headquarters", "offices": []any{"10.0.0.0/8", "10.0.0.0/99"}, "numbers": []any{1.0}}
		f.Rule = compile(t, RuleSpec{Path: "/", When: expr})
		if d := Decide(&f); d != (Decision{Reason: ConditionFailed, Source: ByRoute}) {
			t.Errorf("%s: %+v", expr, d)
		}
	}
}

func TestRangesAndZonesThatAreWrittenOutAreChecked(t *testing.T) {
	for expr, want := range map[string]string{
		`request.ip.inRange("10.0.0.0/33")`:                       `1:20: "10.0.0.0/33" is no range`,
		`request.ip.inRange("10.1.2.3/8")`:                        `1:20: "10.1.2.3/8" is an address within a range: the range is 10.0.0.0/8`,
		`request.ip.inRange("office")`:                            `1:20: "office" is neither`,
		`request.ip.inRange("::ffff:10.0.0.0/104")`:               `1:20: "::ffff:10.0.0.0/104" is no range`,
		"request.ip.inRange([\"10.0.0.0/8\",\n \"10.0.0.0/x\"])":  `2:2: "10.0.0.0/x" is no range`,
		`member.guest ? true : request.ip.inRange(["1.2.3"])`:     `1:43: "1.2.3" is neither`,
		`request.ip.inRange("10.0.0.0/8", "11.0.0.0/8")`:          `no matching overload`,
		`now.getHours("Europe/Berln") < 18`:                       `1:14: unknown time zone "Europe/Berln"`,
		`now.getDayOfWeek("Local") < 6`:                           `1:18: "Local" is the zone of the machine`,
		`now.getHours("localtime") < 6`:                           `1:14: "localtime" is the zone of the machine`,
		`now.getHours("posixrules") < 6`:                          `1:14: "posixrules" is the zone of the machine`,
		`now.getHours("./localtime") < 6`:                         `1:14: "./localtime" is the zone of the machine`,
		`now.getMinutes("") < 6`:                                  `1:16: "" is the zone of the machine`,
		`now.getHours(member.attributes.zone) < 18`:               `1:31: a time zone must be written out`,
		`now.getDate(user.email + "") < 18`:                       `1:24: a time zone must be written out`,
		`now.getMonth(member.guest ? "UTC" : "+01:00") < 18`:      `1:27: a time zone must be written out`,
		`["UTC"].exists(z, now.getSeconds(z) < 18)`:               `1:34: a time zone must be written out`,
		`now.getHours("+25:00") < 18`:                             `1:14: bad offset "+25:00"`,
		`now.getHours("+1:xx") < 18`:                              `1:14: bad offset`,
		`timestamp("2026-01-01T00:00:00Z").getMonth("Mars") == 1`: `1:44: unknown time zone "Mars"`,
	} {
		_, err := ParseCondition(expr)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want …%s…", expr, err, want)
		}
	}
	for _, expr := range []string{`now.getHours("-03:30") < 18`, `now.getHours("UTC") < 18`, `now.getHours() < 18`, `now.getHours("America/Argentina/Buenos_Aires") < 18`} {
		if _, err := ParseCondition(expr); err != nil {
			t.Errorf("%s: %v", expr, err)
		}
	}
}

// The clocks of Berlin go from UTC+1 to UTC+2 on 2026-03-29, and back on 2026-10-25.
func TestHoursAreThoseOfTheZoneInSummerAndWinter(t *testing.T) {
	c, err := ParseCondition(`now.getHours("Europe/Berlin") >= 9 && now.getHours("Europe/Berlin") < 17 && now.getDayOfWeek("Europe/Berlin") in [1, 2, 3, 4, 5]`)
	if err != nil {
		t.Fatal(err)
	}
	for at, want := range map[string]bool{
		"2026-03-27T07:59:59Z": false, "2026-03-27T08:00:00Z": true, "2026-03-27T15:59:59.999Z": true, "2026-03-27T16:00:00Z": false, // a Friday in winter
		"2026-03-30T06:59:59Z": false, "2026-03-30T07:00:00Z": true, "2026-03-30T15:00:00Z": false, // the Monday after
		"2026-10-23T07:00:00Z": true, "2026-10-26T07:00:00Z": false, "2026-10-26T08:00:00Z": true, // and back
		"2026-03-28T12:00:00Z": false, "2026-03-29T12:00:00Z": false, // a weekend
	} {
		now, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := c.Holds(&Facts{Now: now}); got != want || err != nil {
			t.Errorf("%s: %v, %v, want %v", at, got, err, want)
		}
	}
}

func TestAnAllowByTheClockHoldsForAMoment(t *testing.T) {
	for _, tt := range []struct {
		when string
		age  time.Duration
		want time.Duration
	}{
		{`now > timestamp("2026-01-01T00:00:00Z")`, 0, time.Second},
		{`member.guest || [1].exists(x, now.getHours("Europe/Berlin") < x + 24)`, 0, time.Second},
		{`now > timestamp("2026-01-01T00:00:00Z")`, time.Hour, time.Second},
		{`now > timestamp("2026-01-01T00:00:00Z")`, 500 * time.Millisecond, 500 * time.Millisecond}, // a proof ends sooner
		{`!member.guest`, 0, 0},
		{`user.email != "now"`, time.Hour, time.Hour},
	} {
		f := at(ago(EmailCode, 0))
		f.Guest = false
		if tt.age > 0 {
			f = f.own(Policy{MaxAge: tt.age})
		}
		f.Rule = compile(t, RuleSpec{Path: "/", When: tt.when})
		d := Decide(&f)
		if d.Verdict != Allow {
			t.Fatalf("%s: %+v", tt.when, d)
		}
		var got time.Duration
		if !d.ValidUntil.IsZero() {
			got = d.ValidUntil.Sub(f.Now)
		}
		if got != tt.want {
			t.Errorf("%s, max_age %v: holds for %v, want %v", tt.when, tt.age, got, tt.want)
		}
		if tt.want == time.Second && !strings.Contains(d.Explain(&f), "looks at the clock") {
			t.Errorf("%s: %s", tt.when, d.Explain(&f))
		}
	}
}

// A list that an identity provider sent may be long, and looked at again and again.
func TestLongListsOfRangesAreBounded(t *testing.T) {
	c, err := ParseCondition(`member.attributes.nets.all(n, !request.ip.inRange(member.attributes.nets))`)
	if err != nil {
		t.Fatal(err)
	}
	nets := make([]any, 5000)
	for i := range nets {
		nets[i] = fmt.Sprintf("10.%d.%d.0/24", i/256, i%256)
	}
	holds, err := c.Holds(&Facts{Request: Request{RemoteIP: "192.168.1.1"}, Attributes: map[string]any{"nets": nets}})
	if holds || err == nil || !strings.Contains(err.Error(), "limit") {
		t.Errorf("25 million ranges: %v, %v, want a limit", holds, err)
	}
}

func FuzzARangeIsReadOrRefused(f *testing.F) {
	for _, s := range []string{"10.0.0.0/8", "::/0", "1.2.3.4", "fe80::1%eth0", "::ffff:1.2.3.4/128", "10.0.0.0/08", "/", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := parseRange(s)
		if err == nil && (!p.IsValid() || p != p.Masked() || p.Addr().Zone() != "" || p.Addr().Is4In6()) {
			t.Fatalf("%q is %v", s, p)
		}
		_, perr := ParseCondition(fmt.Sprintf("request.ip.inRange(%q)", strings.ToValidUTF8(s, "?")))
		if e, ok := errors.AsType[*ConditionError](perr); perr != nil && !ok {
			t.Fatalf("%q: %v %v", s, perr, e)
		}
	})
}

func TestTheZoneOfTheMachineMeansNothing(t *testing.T) {
	at := time.Date(2026, 5, 1, 12, 30, 0, 0, time.UTC)
	for _, expr := range []string{`now.getHours() == 12`, `now.getDayOfWeek() == 5`, `string(now) == "2026-05-01T12:30:00Z"`} {
		c, err := ParseCondition(expr)
		if err != nil {
			t.Fatal(err)
		}
		for _, zone := range []*time.Location{time.UTC, time.FixedZone("", 14*3600), time.FixedZone("", -11*3600)} {
			if holds, err := c.Holds(&Facts{Now: at.In(zone)}); !holds || err != nil {
				t.Errorf("%s at %v: %v, %v", expr, at.In(zone), holds, err)
			}
		}
	}
}
