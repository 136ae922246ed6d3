package saml

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"math/big"
	"time"

	"github.com/orgate/orgate/sso/idp"
)

// NewKey makes a key pair of ours whose certificate is valid for [KeyLife] from now. name is what
// people see of it.
func NewKey(name string, now time.Time) (Key, error) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return Key{}, fail(CodeKey, err, "")
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return Key{}, fail(CodeKey, err, "")
	}
	template := &x509.Certificate{
		SerialNumber: serial.Add(serial, big.NewInt(1)),
		Subject:      pkix.Name{CommonName: idp.Printable(name, 60)},
		// A provider whose clock is behind must not refuse it on its first day.
		NotBefore: now.UTC().Add(-time.Hour), NotAfter: now.UTC().Add(KeyLife),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		return Key{}, fail(CodeKey, err, "")
	}
	return Key{Certificate: der, Private: private}, nil
}

// keyRow is how a key pair is written.
type keyRow struct {
	Certificate []byte `json:"certificate"`
	Private     []byte `json:"private"` // PKCS #8
}

// Marshal returns the key pair as bytes, for the caller to seal.
func (k Key) Marshal() ([]byte, error) {
	if k.Private == nil || len(k.Certificate) == 0 {
		return nil, fail(CodeKey, nil, "no key")
	}
	private, err := x509.MarshalPKCS8PrivateKey(k.Private)
	if err != nil {
		return nil, fail(CodeKey, err, "")
	}
	return json.Marshal(keyRow{k.Certificate, private})
}

// ParseKey reads what [Key.Marshal] wrote. A certificate of another key is refused: what a
// provider encrypts for it could not be read, and nobody would know why.
func ParseKey(b []byte) (Key, error) {
	var row keyRow
	if err := json.Unmarshal(b, &row); err != nil {
		return Key{}, fail(CodeKey, nil, "not JSON") // the error may quote it
	}
	private, err := x509.ParsePKCS8PrivateKey(row.Private)
	key, ok := private.(*rsa.PrivateKey)
	if err != nil || !ok {
		return Key{}, fail(CodeKey, nil, "not an RSA key")
	}
	cert, err := x509.ParseCertificate(row.Certificate)
	if err != nil || !key.PublicKey.Equal(cert.PublicKey) {
		return Key{}, fail(CodeKey, nil, "the certificate is not the key's")
	}
	return Key{Certificate: row.Certificate, Private: key}, nil
}
