// Package id makes public identifiers: a prefix that names the kind, and a ULID.
package id

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"time"

	"github.com/oklog/ulid/v2"
)

// New returns prefix_ULID for the time now, such as
// "org_01JDA9ZK3Q6QH3S3M5Q2M4W9XV". The random part is 80 bits of crypto/rand, so
// an id can't be guessed from another one.
func New(prefix string, now time.Time) string {
	return prefix + "_" + ulid.MustNew(ulid.Timestamp(now), rand.Reader).String()
}

// Of returns prefix_ULID for a thing that has no row of its own: the same for the same time and the same name of
// it. It is no secret and says nothing of the name.
func Of(prefix string, at time.Time, name string) string {
	sum := sha256.Sum256([]byte(name))
	return prefix + "_" + ulid.MustNew(ulid.Timestamp(at), bytes.NewReader(sum[:])).String()
}
