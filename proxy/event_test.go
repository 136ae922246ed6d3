package proxy

import (
	"slices"
	"testing"

	"github.com/orgate/orgate/audit"
)

// A domain that fails takes the grants of its people and of its organization with it, and
// nobody else's: many may fail in one night.
func TestAChangeOfADomainDropsTheGrantsOfItsPeople(t *testing.T) {
	want := []scope{{byEmailDomain, "acme.com"}, {byOrganization, "org_a"}}
	for name, tt := range map[string]struct {
		data string
		want []scope
	}{
		audit.DomainVerified:           {`{"object":"organization_domain","domain":"acme.com"}`, want},
		audit.DomainLapsing:            {`{"domain":"acme.com"}`, want},
		audit.DomainVerificationFailed: {`{"reason":"x","organization_domain":{"domain":"acme.com"}}`, want},
		audit.DomainDeleted:            {`{"what":"else"}`, []scope{{kind: everything}}},
		audit.DomainUpdated:            {`[]`, []scope{{kind: everything}}},
	} {
		e := audit.Event{Name: name, Organization: "org_a", Data: []byte(tt.data)}
		if got := scopesOf(&e); !slices.Equal(got, tt.want) {
			t.Errorf("%s drops %v, want %v", name, got, tt.want)
		}
	}
}
