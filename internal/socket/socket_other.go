//go:build !unix

package socket

import "errors"

// Read is not to be had here.
func Read(uintptr, []byte) (n int, err error) { return 0, errors.ErrUnsupported }

// Write is not to be had here.
func Write(uintptr, []byte) (n int, err error) { return 0, errors.ErrUnsupported }
