package config

import "sync/atomic"

// Live is what is built from a configuration and in force now. It is safe for concurrent
// use; whoever serves a request loads it once, and so never sees two configurations.
// The zero Live holds nothing.
type Live[T any] struct{ current atomic.Pointer[T] }

// Load returns the value in force; nil before the first [Live.Reload].
func (l *Live[T]) Load() *T { return l.current.Load() }

// Reload builds a value from c and puts it in force. If build fails, the value in force
// stays, and the error says why.
func (l *Live[T]) Reload(c *Config, build func(*Config) (*T, error)) error {
	v, err := build(c)
	if err != nil {
		return err
	}
	l.current.Store(v)
	return nil
}
