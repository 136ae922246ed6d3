package saml

import (
	"errors"

	"github.com/orgate/orgate/sso/idp"
)

// String returns the step on one line: what was looked at, and what came.
func (s Step) String() string {
	mark := "ok   "
	if !s.OK {
		mark = "FAIL "
	}
	return mark + s.Check + ": " + s.Detail
}

// Reason returns what was wrong with something that was refused, for an operator; and Hint, what
// can be done about it.
func Reason(err error) string {
	e, ok := errors.AsType[*idp.Error](err)
	switch {
	case !ok:
		return "it can't be read"
	case e.Detail != "":
		return e.Detail
	default:
		return string(e.Code)
	}
}

// Hint returns what an operator can do about an error; empty if there is nothing to say.
func Hint(err error) string {
	if e, ok := errors.AsType[*idp.Error](err); ok {
		return e.Hint
	}
	return ""
}

// NameIDFormat returns the URI of a format by its short name: persistent, email or unspecified;
// empty for none.
func NameIDFormat(name string) string {
	switch name {
	case "persistent":
		return formatPersistent
	case "email":
		return formatEmail
	case "unspecified":
		return formatUnspecified
	default:
		return ""
	}
}
