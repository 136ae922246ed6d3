package store

import (
	"errors"
	"time"

	"github.com/orgate/orgate/tenancy"
)

func portalLinks() table[tenancy.PortalLink] {
	return table[tenancy.PortalLink]{
		kind: kindPortalLink, name: "link to the portal",
		fields:  func(l tenancy.PortalLink) []string { return []string{l.Token} },
		expires: func(l tenancy.PortalLink) time.Time { return l.ExpiresAt },
	}
}

func (t *tx) PortalLink(hash string) (tenancy.PortalLink, error) { return get(t, portalLinks(), hash) }

func (t *tx) PutPortalLink(l tenancy.PortalLink) error {
	if l.Token == "" || l.ExpiresAt.IsZero() {
		return errors.New("link to the portal without a token or an end")
	}
	return put(t, portalLinks(), l)
}
