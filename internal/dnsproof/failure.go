package dnsproof

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// A failure is an error with its reason.
type failure struct {
	reason Reason
	text   string
}

func (f *failure) Error() string { return f.text }

func fail(r Reason, format string, args ...any) error {
	return &failure{r, fmt.Sprintf(format, args...)}
}

// reasonOf returns the reason of an error of this package, or of the network.
func reasonOf(err error) Reason {
	if f, ok := errors.AsType[*failure](err); ok {
		return f.reason
	}
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
		return Timeout
	}
	return Unreachable
}
