package main

import (
	"fmt"
	"os"

	"github.com/orgate/orgate/config"
	"github.com/orgate/orgate/internal/page"
	"github.com/orgate/orgate/tenancy"
)

// brands reads what the sign-in pages of organizations look like. Logos are read once for each
// configuration and kept in memory: no page waits for a file.
func brands(c *config.Config) (map[tenancy.Slug]page.Brand, error) {
	all := map[tenancy.Slug]page.Brand{}
	for _, o := range c.Organizations {
		if o.Brand == nil {
			continue
		}
		b := page.Brand{Colour: o.Brand.Colour}
		if o.Brand.Logo != "" {
			file, err := os.ReadFile(string(o.Brand.Logo))
			if err == nil {
				b.Logo, err = page.ParseLogo(file)
			}
			if err != nil {
				return nil, fmt.Errorf("organization %s: brand.logo: %s: %w", o.Slug, o.Brand.Logo, err)
			}
		}
		all[o.Slug] = b
	}
	return all, nil
}
