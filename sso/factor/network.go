package factor

import (
	"net/netip"
	"time"
)

// Network is what one stranger is told from another by: an IPv4 address, or the /64 of
// an IPv6 address, within which a single machine may rotate freely.
func Network(a netip.Addr) netip.Prefix { return prefixOf(a, 32, 64) }

// Around is the network around an address: what one customer of a provider commonly has.
func Around(a netip.Addr) netip.Prefix { return prefixOf(a, 24, 48) }

func prefixOf(a netip.Addr, bits4, bits6 int) netip.Prefix {
	a = a.Unmap()
	bits := bits4
	if a.Is6() {
		bits = bits6
	}
	p, err := a.WithZone("").Prefix(bits)
	if err != nil {
		return netip.Prefix{} // no address: all such share one bucket
	}
	return p
}

// GuessesFrom limits what comes from one network address ([Network]), and GuessesAround from the
// addresses around it ([Around]), of which one customer of a provider may have many.
func GuessesFrom() Bucket { return Bucket{Scope: "guess from", Size: 300, Every: 3 * time.Second} }

// GuessesAround is described at [GuessesFrom].
func GuessesAround() Bucket { return Bucket{Scope: "guess around", Size: 1200, Every: time.Second} }
