package policy

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // a rule must not mean another thing on a machine without a list of zones

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// zonedCalls are CEL's functions of a timestamp that take a time zone, and the names of those as CEL overloads them.
func zonedCalls() map[string]string {
	return map[string]string{
		overloads.TimeGetFullYear:     overloads.TimestampToYearWithTz,
		overloads.TimeGetMonth:        overloads.TimestampToMonthWithTz,
		overloads.TimeGetDayOfYear:    overloads.TimestampToDayOfYearWithTz,
		overloads.TimeGetDayOfMonth:   overloads.TimestampToDayOfMonthZeroBasedWithTz,
		overloads.TimeGetDate:         overloads.TimestampToDayOfMonthOneBasedWithTz,
		overloads.TimeGetDayOfWeek:    overloads.TimestampToDayOfWeekWithTz,
		overloads.TimeGetHours:        overloads.TimestampToHoursWithTz,
		overloads.TimeGetMinutes:      overloads.TimestampToMinutesWithTz,
		overloads.TimeGetSeconds:      overloads.TimestampToSecondsWithTz,
		overloads.TimeGetMilliseconds: overloads.TimestampToMillisecondsWithTz,
	}
}

// zoned are the names of the functions. The zone must be written out: a name is looked up in files, and it must not be somebody's
// attribute that says which.
func zoned() []string { return slices.Sorted(maps.Keys(zonedCalls())) }

// zones are the functions, for one condition. CEL's own read the file of a zone in each call; these read it once.
func zones() (options []cel.EnvOption) {
	known := new(sync.Map) // name to *time.Location; no more than are written out
	for function, overload := range zonedCalls() {
		in := func(at, zone ref.Val) ref.Val {
			t, ok := at.(types.Timestamp)
			name, isText := zone.Value().(string)
			if !ok || !isText {
				return types.MaybeNoSuchOverloadErr(zone)
			}
			if strings.Contains(name, ":") { // an offset
				return t.Receive(function, overload, []ref.Val{zone})
			}
			l, ok := known.Load(name)
			if !ok {
				read, err := time.LoadLocation(name)
				if err != nil {
					return types.WrapErr(err)
				}
				l, _ = known.LoadOrStore(name, read)
			}
			return types.Timestamp{Time: t.In(l.(*time.Location))}.Receive(function, overload, nil)
		}
		options = append(options, cel.Function(function,
			cel.MemberOverload(overload, []*cel.Type{cel.TimestampType, cel.StringType}, cel.IntType, cel.BinaryBinding(in))))
	}
	return options
}

// checkZone reads a time zone as CEL does, which finds a bad one only when it is asked.
func checkZone(s string) error {
	hours, minutes, offset := strings.Cut(s, ":")
	if !offset {
		switch strings.ToLower(path.Base(s)) {
		case ".", "local", "localtime", "posixrules": // the latter two are files beside the zones, on many a machine
			return fmt.Errorf(`%q is the zone of the machine: name one, such as "Europe/Berlin" or "UTC"`, s)
		}
		if _, err := time.LoadLocation(s); err != nil {
			return fmt.Errorf(`unknown time zone %q: want one such as "Europe/Berlin", "UTC" or "+01:00"`, clip(s))
		}
		return nil
	}
	h, err1 := strconv.Atoi(hours)
	m, err2 := strconv.Atoi(minutes)
	if err1 != nil || err2 != nil || h < -23 || h > 23 || m < 0 || m > 59 {
		return fmt.Errorf(`bad offset %q: want one such as "+01:00"`, clip(s))
	}
	return nil
}
