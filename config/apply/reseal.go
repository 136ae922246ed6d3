package apply

import (
	"context"
	"errors"
	"fmt"

	"github.com/orgate/orgate/internal/seal"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// resealStep is how many connections are written in one transaction.
const resealStep = 100

// Reseal seals anew the secrets of connections that are sealed under an older key, so that it can be taken out of service: [Apply] does
// that for those of the YAML alone. One that no key opens stays as it is. It returns how many connections it has written.
func Reseal(ctx context.Context, st *store.Store, box *seal.Box) (n int, err error) {
	var old []tenancy.Connection
	err = st.View(ctx, func(tx store.Tx) error {
		old = nil
		for c, err := range tx.ConnectionsFrom(tenancy.Place{}) {
			if err != nil {
				return err
			}
			if c.OIDC != nil && len(c.OIDC.ClientSecret) > 0 && !box.Current(secretPurpose, string(c.ID), c.OIDC.ClientSecret) {
				old = append(old, c)
			}
		}
		return nil
	})
	for len(old) > 0 && err == nil {
		step := old[:min(len(old), resealStep)]
		old = old[len(step):]
		var written int
		err = st.Update(ctx, func(tx store.Tx) (err error) {
			written, err = reseal(tx, box, step)
			return err
		})
		n += written
	}
	if err != nil {
		return n, fmt.Errorf("seal the secrets of connections under the current key: %w", err)
	}
	return n, nil
}

func reseal(tx store.Tx, box *seal.Box, step []tenancy.Connection) (n int, err error) {
	for _, was := range step {
		c, err := tx.ConnectionByID(was.ID)
		if errors.Is(err, tenancy.ErrNotFound) {
			continue // since it was looked at
		}
		if err != nil {
			return n, err
		}
		if c.OIDC == nil {
			continue
		}
		plain, err := box.Open(secretPurpose, string(c.ID), c.OIDC.ClientSecret)
		if errors.Is(err, seal.ErrOpen) {
			continue // its key is gone
		}
		if err != nil {
			return n, err
		}
		c.OIDC.ClientSecret = box.Seal(secretPurpose, string(c.ID), plain)
		if err := tx.PutConnection(c); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}
