package saml

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rsa"
	_ "crypto/sha1" // RSA-OAEP of xmlenc: not for signatures
	_ "crypto/sha256"
	"errors"

	"github.com/beevik/etree"
)

// errNotDecrypted is every way in which decrypting fails. They must not be told apart: who may
// ask often enough whether a changed message still has good padding reads it that way.
var errNotDecrypted = errors.New("not decrypted")

// decrypt returns what an EncryptedAssertion holds, and whether its cipher proves that nobody
// changed it. The keys are tried in turn.
func decrypt(encrypted *etree.Element, keys []Key) (plain []byte, proof bool, err error) {
	data := only(encrypted, nsEncryption, "EncryptedData")
	if data == nil {
		return nil, false, errNotDecrypted
	}
	size, proof, ok := contentCipher(data)
	body, bodyOK := cipherValue(data)
	wrapped, options, keyOK := encryptedKey(encrypted, data)
	if !ok || !bodyOK || !keyOK {
		return nil, false, errNotDecrypted
	}
	for _, k := range keys {
		if k.Private == nil || len(wrapped) != k.Private.Size() {
			continue
		}
		key, err := k.Private.Decrypt(nil, wrapped, options)
		if err != nil || len(key) != size {
			continue
		}
		if plain, err := open(key, body, proof); err == nil {
			return plain, proof, nil
		}
	}
	return nil, false, errNotDecrypted
}

// contentCipher returns the size of the key that the content is encrypted with.
func contentCipher(data *etree.Element) (size int, gcm, ok bool) {
	method := only(data, nsEncryption, "EncryptionMethod")
	if method == nil {
		return 0, false, false
	}
	switch uri, _ := attr(method, "Algorithm"); uri {
	case "http://www.w3.org/2009/xmlenc11#aes128-gcm":
		return 16, true, true
	case "http://www.w3.org/2009/xmlenc11#aes192-gcm":
		return 24, true, true
	case "http://www.w3.org/2009/xmlenc11#aes256-gcm":
		return 32, true, true
	case nsEncryption + "aes128-cbc":
		return 16, false, true
	case nsEncryption + "aes192-cbc":
		return 24, false, true
	case nsEncryption + "aes256-cbc":
		return 32, false, true
	}
	return 0, false, false
}

// encryptedKey returns the one wrapped key, and how it is wrapped: by OAEP. RSA 1.5 is an oracle
// (Bleichenbacher) whatever one does about it.
func encryptedKey(encrypted, data *etree.Element) (wrapped []byte, options *rsa.OAEPOptions, ok bool) {
	found := children(encrypted, nsEncryption, "EncryptedKey")
	for _, info := range children(data, nsSignature, "KeyInfo") {
		found = append(found, children(info, nsEncryption, "EncryptedKey")...)
	}
	if len(found) != 1 {
		return nil, nil, false
	}
	method := only(found[0], nsEncryption, "EncryptionMethod")
	if method == nil || len(children(method, nsEncryption, "OAEPparams")) > 0 {
		return nil, nil, false
	}
	// xmlenc 5.5.2: SHA-1 where nothing else is said. OAEP does not rest on collisions.
	digest, mgf := "http://www.w3.org/2000/09/xmldsig#sha1", nsEncrypt11+"mgf1sha1"
	if d := only(method, nsSignature, "DigestMethod"); d != nil {
		digest, _ = attr(d, "Algorithm")
	}
	switch uri, _ := attr(method, "Algorithm"); uri {
	case nsEncryption + "rsa-oaep-mgf1p":
	case nsEncrypt11 + "rsa-oaep":
		if m := only(method, nsEncrypt11, "MGF"); m != nil {
			mgf, _ = attr(m, "Algorithm")
		}
	default:
		return nil, nil, false
	}
	options = &rsa.OAEPOptions{}
	switch digest {
	case "http://www.w3.org/2000/09/xmldsig#sha1":
		options.Hash = crypto.SHA1
	case nsEncryption + "sha256":
		options.Hash = crypto.SHA256
	default:
		return nil, nil, false
	}
	switch mgf {
	case nsEncrypt11 + "mgf1sha1":
		options.MGFHash = crypto.SHA1
	case nsEncrypt11 + "mgf1sha256":
		options.MGFHash = crypto.SHA256
	default:
		return nil, nil, false
	}
	wrapped, ok = cipherValue(found[0])
	return wrapped, options, ok
}

// cipherValue returns the bytes that are in el itself. Those elsewhere (CipherReference) are not
// fetched.
func cipherValue(el *etree.Element) ([]byte, bool) {
	data := only(el, nsEncryption, "CipherData")
	if data == nil || len(data.ChildElements()) != 1 {
		return nil, false
	}
	value := only(data, nsEncryption, "CipherValue")
	if value == nil {
		return nil, false
	}
	s, ok := textOf(value)
	b, err := decodeBase64(s)
	return b, ok && err == nil
}

// open decrypts the content. Every length is checked before a cipher sees it: its mode panics
// on half a block.
func open(key, body []byte, gcm bool) ([]byte, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, errNotDecrypted
	}
	if gcm {
		aead, err := cipher.NewGCM(block)
		if err != nil || len(body) < aead.NonceSize()+aead.Overhead() {
			return nil, errNotDecrypted
		}
		plain, err := aead.Open(nil, body[:aead.NonceSize()], body[aead.NonceSize():], nil)
		if err != nil {
			return nil, errNotDecrypted
		}
		return plain, nil
	}
	if len(body) < 2*aes.BlockSize || len(body)%aes.BlockSize != 0 {
		return nil, errNotDecrypted
	}
	plain := make([]byte, len(body)-aes.BlockSize)
	cipher.NewCBCDecrypter(block, body[:aes.BlockSize]).CryptBlocks(plain, body[aes.BlockSize:])
	// xmlenc 5.2: the last byte says how many there are; the others may be anything.
	padding := int(plain[len(plain)-1])
	if padding < 1 || padding > aes.BlockSize || padding > len(plain) {
		return nil, errNotDecrypted
	}
	return plain[:len(plain)-padding], nil
}
