package apply_test

import (
	"bytes"
	"testing"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/config/apply"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// A key that is taken out of service takes no connection along that the API has made.
func TestSecretsOfConnectionsOfTheAPIAreSealedUnderTheCurrentKey(t *testing.T) {
	in := install(t)
	old, next := bytes.Repeat([]byte("k"), 32), bytes.Repeat([]byte("n"), 32)
	var id tenancy.ConnectionID
	err := in.store.Update(t.Context(), func(tx store.Tx) error {
		o, err := tenancy.SaveOrganization(tx, tenancy.Organization{Slug: "acme", Name: "Acme"}, audit.System, start)
		if err != nil {
			return err
		}
		c, err := tenancy.SaveConnection(tx, tenancy.Connection{Organization: o.ID, Name: "okta", Type: "oidc", OIDC: &tenancy.OIDCConnection{Issuer: "https://idp.test"}}, audit.System, start)
		if err != nil {
			return err
		}
		id = c.ID
		c.OIDC.ClientSecret = apply.SealClientSecret(in.box, c.ID, "secret")
		return tx.PutConnection(c)
	})
	if err != nil {
		t.Fatal(err)
	}
	in.rekey(next, old)
	for _, want := range []int{1, 0} {
		if n, err := apply.Reseal(t.Context(), in.store, in.box); err != nil || n != want {
			t.Errorf("sealed %d anew, %v; want %d", n, err, want)
		}
	}
	in.rekey(next)
	err = in.store.View(t.Context(), func(tx store.Tx) error {
		c, err := tx.ConnectionByID(id)
		if err != nil {
			return err
		}
		plain, err := in.box.Open("client secret", string(id), c.OIDC.ClientSecret)
		if string(plain) != "secret" {
			t.Errorf("%q", plain)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	in.rekey(bytes.Repeat([]byte("x"), 32)) // which opens nothing
	if n, err := apply.Reseal(t.Context(), in.store, in.box); err != nil || n != 0 {
		t.Errorf("sealed %d anew, %v", n, err)
	}
}
