package certificate

import (
	"iter"
	"slices"
	"strings"
	"time"
)

// A File is something that is kept of certificates that an authority has issued: a key, a
// certificate, an account, a challenge that is being answered.
type File struct {
	// Path is its name, with slashes between its parts and none of them empty.
	Path string `json:"path"`
	// Sealed is what is in it, encrypted; Size is how long that is in the clear.
	Sealed     []byte    `json:"sealed"`
	Size       int       `json:"size"`
	ModifiedAt time.Time `json:"modified_at"`
}

// A Lock says who does a thing that one replica is to do at a time, and until when the others
// believe so.
type Lock struct {
	Name   string    `json:"name"`
	Holder string    `json:"holder"`
	Until  time.Time `json:"until"`
}

// Tx is the part of a transaction that this package's types are kept in. Getters return an error
// wrapping [tenancy.ErrNotFound] for what is not there; a loop may delete what it is given.
type Tx interface {
	CertificateFile(path string) (File, error)
	// CertificateFiles yields those below a path, and the one of that path.
	CertificateFiles(path string) iter.Seq2[File, error]
	PutCertificateFile(File) error
	DeleteCertificateFile(path string) error

	CertificateLock(name string) (Lock, error)
	PutCertificateLock(Lock) error
	DeleteCertificateLock(name string) error
}

// IsPath reports whether path is one of a [File].
func IsPath(path string) bool { return !slices.Contains(strings.Split(path, "/"), "") }
