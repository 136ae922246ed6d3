package tenancy

import (
	"errors"
	"fmt"
)

// ErrManaged says that the YAML owns this section of the organization; see [ManagedError].
var ErrManaged = errors.New("managed by configuration")

// A ManagedError says which line of the YAML owns what was to be changed.
type ManagedError struct {
	Section Section
	Origin
}

func (e *ManagedError) Error() string {
	return fmt.Sprintf("%s: %v, at %s:%d", e.Section, ErrManaged, e.File, e.Line)
}

func (e *ManagedError) Unwrap() error { return ErrManaged }

// CheckManaged returns a [*ManagedError] if the YAML owns the section. Whoever changes an
// organization otherwise than by the YAML asks first.
func CheckManaged(o Organization, s Section) error {
	if at, ok := o.Managed[s]; ok {
		return &ManagedError{s, at}
	}
	return nil
}
