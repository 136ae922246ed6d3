package store

import (
	"errors"
	"iter"

	"github.com/orgate/orgate/tenancy"
)

func appKeys() table[tenancy.AppKey] {
	return table[tenancy.AppKey]{
		kind: kindAppKey, name: "key for the app",
		fields: func(k tenancy.AppKey) []string { return []string{string(k.Organization), string(k.ID)} },
		indexes: func(k tenancy.AppKey) []index {
			ixs := []index{
				{kindByID, []string{"api_key", string(k.ID)}, true},
				{kindByID, []string{"api_key hash", k.Hash}, true},
				{kindInOrganization, []string{string(k.Organization), "keys of", k.Owner(), string(k.ID)}, false},
			}
			if k.User != "" {
				ixs = append(ixs, index{kindByID, []string{"keys of", string(k.User), string(k.ID)}, false})
			}
			return ixs
		},
	}
}

func (t *tx) AppKeyByID(id tenancy.AppKeyID) (tenancy.AppKey, error) {
	return find(t, appKeys(), kindByID, "api_key", string(id))
}

func (t *tx) AppKeyByHash(hash string) (tenancy.AppKey, error) {
	return find(t, appKeys(), kindByID, "api_key hash", hash)
}

func (t *tx) AppKeysOwned(org tenancy.OrgID, owner string, at tenancy.Place) iter.Seq2[tenancy.AppKey, error] {
	return listedBy(t, appKeys(), kindInOrganization, at, string(org), "keys of", owner)
}

func (t *tx) AppKeysOfUser(user tenancy.UserID, at tenancy.Place) iter.Seq2[tenancy.AppKey, error] {
	return listedBy(t, appKeys(), kindByID, at, "keys of", string(user))
}

func (t *tx) AppKeysIn(org tenancy.OrgID) iter.Seq2[tenancy.AppKey, error] {
	return all(t, appKeys(), string(org))
}

func (t *tx) PutAppKey(k tenancy.AppKey) error {
	if k.Hash == "" || k.ID == "" {
		return errors.New("key for the app without id or hash")
	}
	return put(t, appKeys(), k)
}

func (t *tx) DeleteAppKey(org tenancy.OrgID, id tenancy.AppKeyID) error {
	return remove(t, appKeys(), string(org), string(id))
}
