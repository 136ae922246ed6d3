// Package id makes public identifiers: a prefix that names the kind, and a ULID.
package id

import (
	"crypto/rand"
	"time"

	"github.com/oklog/ulid/v2"
)

// New returns prefix_ULID for the time now, such as
// "org_01JDA9ZK3Q6QH3S3M5Q2M4W9XV". The random part is 80 bits of crypto/rand, so
// an id can't be guessed from another one.
func New(prefix string, now time.Time) string {
	return prefix + "_" + ulid.MustNew(ulid.Timestamp(now), rand.Reader).String()
}
