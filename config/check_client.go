package config

import "slices"

// checkClients checks the clients of the sign-in API.
func (g *reading) checkClients() {
	cs := g.config.Clients
	for i, c := range cs {
		at := g.at("clients", i)
		if j := slices.IndexFunc(cs, func(o Client) bool { return o.ID == c.ID }); j < i && c.ID != "" {
			g.fault(at.at("id"), "the id "+c.ID+" is there twice", "each client has its own")
		}
		if len(c.RedirectURIs) == 0 {
			g.missing(at, "redirect_uris", "a client has no redirect_uris", "add redirect_uris: [https://app.example.com/callback]")
		}
	}
}
