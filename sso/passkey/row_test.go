package passkey

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/hex"
	"encoding/json"
	"reflect"
	"testing"
)

// A row as it was written once: it has to be read for as long as there are such rows.
const row = `{"id":"AAECAwQFBgcICQoLDA0ODw==","handle":"dXNlcl8wMUFMSUNFMDAwMDAwMDAwMDAwMDAwMDAwMDA=",` +
	`"public_key":"pQECAyYgASFYIGsX0fLhLEJH+Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWIlggT+NC4v4af5uO5+tKfA+eFivOM1drMV7Oy7ZAaDe/UfU=",` +
	`"sign_count":7,"backup_eligible":true,"backed_up":true,"transports":["internal"],"aaguid":"00010203-0405-0607-0809-0a0b0c0d0e0f"}`

func TestRowsThatAreStoredStayGood(t *testing.T) {
	var cred Credential
	if err := json.Unmarshal([]byte(row), &cred); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(cred)
	if err != nil {
		t.Fatal(err)
	}
	if string(again) != row {
		t.Errorf("written %s\nwant    %s", again, row)
	}
	// The private key of the row is 1.
	one := make([]byte, 32)
	one[31] = 1
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), one)
	if err != nil {
		t.Fatal(err)
	}
	rp := party(t)
	d := &device{id: cred.ID, handle: cred.Handle, key: key, count: 7, flags: flagUP | flagUV | flagBE}
	in := login(t, rp)
	got, err := rp.FinishLogin(in, d.use(t, in, nil), among(cred), noon)
	if err != nil {
		t.Fatal(err)
	}
	cred.SignCount, cred.BackedUp = 8, false
	if !reflect.DeepEqual(got.Credential, cred) {
		t.Errorf("got %+v, want %+v", got.Credential, cred)
	}
}

func TestAnAAGUIDIsWrittenAsPeopleWriteIt(t *testing.T) {
	b, _ := hex.DecodeString("ea9b8d664d011d213ce4b6b48cb575d4")
	if got, want := aaguid(b), "ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := aaguid(b[1:]); got != "" {
		t.Errorf("got %s", got)
	}
}
