package tenancy

import (
	"errors"
	"fmt"
	"maps"
	"unicode/utf8"
)

// Metadata is what the app keeps at an organization or a user, for itself.
type Metadata map[string]string

// How much metadata there may be, in characters.
const (
	maxMetadata      = 50
	maxMetadataKey   = 40
	maxMetadataValue = 600
	maxExternalID    = 128
)

var (
	// ErrMetadata says that metadata is more than may be kept.
	ErrMetadata = errors.New("bad metadata")
	// ErrExternalID says that an id of the app's can't be one.
	ErrExternalID = errors.New("bad external id")
	// ErrExternalIDTaken says that another has that id of the app's.
	ErrExternalIDTaken = fmt.Errorf("external id: %w", ErrTaken)
)

// Merge returns the metadata with changes: a nil value takes the key out, and what is not
// named stays.
func (m Metadata) Merge(changes map[string]*string) Metadata {
	merged := Metadata{}
	maps.Copy(merged, m)
	for k, v := range changes {
		if v == nil {
			delete(merged, k)
		} else {
			merged[k] = *v
		}
	}
	if len(merged) == 0 {
		return nil
	}
	return merged
}

func (m Metadata) check() error {
	if len(m) > maxMetadata {
		return fmt.Errorf("%w: %d keys, the most is %d", ErrMetadata, len(m), maxMetadata)
	}
	for k, v := range m {
		switch n := utf8.RuneCountInString(k); {
		case k == "" || !utf8.ValidString(k):
			return fmt.Errorf("%w: a key is empty or not UTF-8", ErrMetadata)
		case n > maxMetadataKey:
			return fmt.Errorf("%w: key %q has %d characters, the most is %d", ErrMetadata, clip(k), n, maxMetadataKey)
		case !utf8.ValidString(v) || utf8.RuneCountInString(v) > maxMetadataValue:
			return fmt.Errorf("%w: value of %q has more than %d characters", ErrMetadata, k, maxMetadataValue)
		}
	}
	return nil
}

func checkExternalID(s string) error {
	if len(s) > maxExternalID || !isASCII(s) {
		return fmt.Errorf("%w: want up to %d ASCII characters", ErrExternalID, maxExternalID)
	}
	return nil
}

// object is the metadata as the API shows it: never null.
func (m Metadata) object() Metadata {
	if m == nil {
		return Metadata{}
	}
	return m
}
