//go:build !linux && !darwin

package badger

import "math"

// freeBytes is not known here: the low-water mark never holds anything up.
func freeBytes(string) (uint64, error) { return math.MaxUint64, nil }
