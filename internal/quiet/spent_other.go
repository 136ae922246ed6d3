//go:build !unix

package quiet

import "time"

func spent() (d time.Duration, ok bool) { return 0, false }
