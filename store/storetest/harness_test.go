package storetest_test

import (
	"testing"
	"time"

	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/store/storetest"
	"github.com/orgate/orgate/tenancy"
)

func TestOpenGivesAnEmptyStoreThatKeepsWhatItIsGiven(t *testing.T) {
	s := storetest.Open(t)
	now := time.Now()
	err := s.Update(t.Context(), func(tx store.Tx) error {
		return tx.PutOrganization(tenancy.Organization{ID: "org_1", Slug: "acme", CreatedAt: now})
	})
	if err != nil {
		t.Fatal(err)
	}
	err = s.View(t.Context(), func(tx store.Tx) error {
		o, err := tx.OrganizationBySlug("acme")
		if err != nil || o.ID != "org_1" {
			t.Errorf("got %v, %v", o, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
