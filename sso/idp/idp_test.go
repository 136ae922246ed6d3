package idp

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestPrintableIsOneBoundedLine(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                 "plain",
		"a\r\nb\x1b[31mc\u2028": "a  b [31mc ",
		"a\u202eb":              "a b",
		"a\xffb":                "a b",
		strings.Repeat("é", 20): "éééééé…",
	} {
		if got := Printable(in, 13); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestAFlowIsOverAfterTenMinutes(t *testing.T) {
	began := time.Unix(1_700_000_000, 0)
	for after, over := range map[time.Duration]bool{0: false, FlowLife: false, FlowLife + time.Second: true, -Skew: false, -Skew - time.Second: true} {
		if fault := CheckAge(began, began.Add(after)); (fault != "") != over {
			t.Errorf("after %v: %q", after, fault)
		}
	}
}

func TestASecretDoesNotPrintItself(t *testing.T) {
	s := Secret("do-not-print-this")
	b, err := json.Marshal(map[string]Secret{"s": s})
	if all := fmt.Sprintf("%v %s %+v %#v %s %v", s, s, s, s, b, s.LogValue()); err != nil || strings.Contains(all, "do-not-print") {
		t.Errorf("%s, %v", all, err)
	}
}
