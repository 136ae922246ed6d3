package domain

import (
	"context"

	"github.com/orgate/orgate/audit"
)

// Round looks for all that is due, one after the other, and returns how many that were.
func (c *Checker) Round(ctx context.Context) (int, error) {
	due, err := c.take(ctx, 1000)
	for _, check := range due {
		if _, _, err := c.look(ctx, check, audit.System); err != nil {
			return 0, err
		}
	}
	return len(due), err
}
