package store

import (
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/session/client"
)

func (t *tx) AuthorizationCode(h session.Hash) (client.Code, error) {
	return get(t, authorizationCodes(), h.String())
}

func (t *tx) PutAuthorizationCode(c client.Code) error {
	return putHashed(t, authorizationCodes(), c.Hash, c)
}

func (t *tx) RefreshToken(h session.Hash) (client.Refresh, error) {
	return get(t, refreshTokens(), h.String())
}

func (t *tx) PutRefreshToken(r client.Refresh) error {
	return putHashed(t, refreshTokens(), r.Hash, r)
}

func (t *tx) PendingAuthentication(h session.Hash) (client.Pending, error) {
	return get(t, pendingAuthentications(), h.String())
}

func (t *tx) PutPendingAuthentication(p client.Pending) error {
	return putHashed(t, pendingAuthentications(), p.Hash, p)
}

func (t *tx) ProfileToken(h session.Hash) (client.ProfileToken, error) {
	return get(t, profileTokens(), h.String())
}

func (t *tx) PutProfileToken(p client.ProfileToken) error {
	return putHashed(t, profileTokens(), p.Hash, p)
}

// putHashed writes a row that is known by the hash of a token, of which the hash of none is no row.
func putHashed[T any](t *tx, tab table[T], h session.Hash, v T) error {
	if h == (session.Hash{}) {
		return errNoToken
	}
	return put(t, tab, v)
}
