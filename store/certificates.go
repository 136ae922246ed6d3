package store

import (
	"iter"
	"strings"
	"time"

	"github.com/orgate/orgate/internal/certificate"
)

// What is kept of certificates, by the first field of the key.
const (
	certificateFile = "file"
	certificateLock = "lock"
)

// certificateFiles have a field for each part of their path: what is below one is a prefix.
func certificateFiles() table[certificate.File] {
	return table[certificate.File]{
		kind: kindCertificate, name: "file of certificates",
		fields: func(f certificate.File) []string { return filePath(f.Path) },
	}
}

func certificateLocks() table[certificate.Lock] {
	return table[certificate.Lock]{
		kind: kindCertificate, name: "lock of certificates",
		fields:  func(l certificate.Lock) []string { return []string{certificateLock, l.Name} },
		expires: func(l certificate.Lock) time.Time { return l.Until },
	}
}

func filePath(path string) []string {
	return append([]string{certificateFile}, strings.Split(path, "/")...)
}

func (t *tx) CertificateFile(path string) (certificate.File, error) {
	return get(t, certificateFiles(), filePath(path)...)
}

func (t *tx) CertificateFiles(path string) iter.Seq2[certificate.File, error] {
	if path == "" {
		return all(t, certificateFiles(), certificateFile)
	}
	return all(t, certificateFiles(), filePath(path)...)
}

func (t *tx) PutCertificateFile(f certificate.File) error { return put(t, certificateFiles(), f) }

func (t *tx) DeleteCertificateFile(path string) error {
	return remove(t, certificateFiles(), filePath(path)...)
}

func (t *tx) CertificateLock(name string) (certificate.Lock, error) {
	return get(t, certificateLocks(), certificateLock, name)
}

func (t *tx) PutCertificateLock(l certificate.Lock) error { return put(t, certificateLocks(), l) }

func (t *tx) DeleteCertificateLock(name string) error {
	return remove(t, certificateLocks(), certificateLock, name)
}
