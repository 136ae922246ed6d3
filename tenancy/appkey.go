package tenancy

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/id"
	"github.com/orgate/orgate/policy"
)

// appKeyPrefix is another than that of the keys of the management API (package session): whoever sees one knows what it is, and neither
// is ever looked for among the others.
const appKeyPrefix = "ak_"

const (
	// AppKeyTouch is how stale LastUsedAt of a key may grow: a key in use costs one write in this time.
	AppKeyTouch   = time.Minute
	maxAppKeyName = 256
	// MaxAppKeys is how many one organization, or one member, may have. All of a member's are deleted with the membership, in one
	// transaction.
	MaxAppKeys = 200
)

var (
	// ErrKeyText says that the name of a key can't be one.
	ErrKeyText = fmt.Errorf("name of a key is one line of 1 to %d characters", maxAppKeyName)
	// ErrKeyLimit says that there are as many keys as can be.
	ErrKeyLimit = fmt.Errorf("there are %d keys already", MaxAppKeys)
	// ErrKeyExpired says that a key has expired, and stays so.
	ErrKeyExpired = errors.New("key has expired")
	// ErrKeyExpiry says that a new key would have expired already.
	ErrKeyExpiry = errors.New("key would have expired already")
)

// AppKeyID is api_key_…
type AppKeyID string

// An AppKey lets a program of a customer use the app: the app asks whether it is good. It opens nothing of orgate's.
type AppKey struct {
	ID           AppKeyID `json:"id"`
	Organization OrgID    `json:"organization_id"`
	// User is the member whose key it is; empty: it is the organization's own.
	User UserID `json:"user_id,omitzero"`
	Name string `json:"name"`
	// Hash is of the secret, which is nowhere; Ending is its last four characters, for people to tell keys apart.
	Hash        string    `json:"hash"`
	Ending      string    `json:"ending"`
	Permissions []string  `json:"permissions,omitzero"` // sorted
	CreatedAt   time.Time `json:"created_at"`
	UpdatedAt   time.Time `json:"updated_at"`
	ExpiresAt   time.Time `json:"expires_at,omitzero"` // zero: never
	// LastUsedAt is to the precision of AppKeyTouch; zero: never.
	LastUsedAt time.Time `json:"last_used_at,omitzero"`
}

// Expired reports whether the key is good no more.
func (k AppKey) Expired(now time.Time) bool { return !k.ExpiresAt.IsZero() && !now.Before(k.ExpiresAt) }

// Owner is who has the key: a user, or else the organization.
func (k AppKey) Owner() string {
	if k.User != "" {
		return string(k.User)
	}
	return string(k.Organization)
}

// An AppKeySecret is the secret of a key.
type AppKeySecret struct{ secretText }

// AppKeySecretOf takes what somebody sent to be a secret, whatever it is: whether it is one, the look-up by its
// hash says.
func AppKeySecretOf(s string) AppKeySecret { return AppKeySecret{secretText{s}} }

// AppKeyTx is the part of [Tx] that is about keys for the app.
type AppKeyTx interface {
	AppKeyByID(AppKeyID) (AppKey, error)
	AppKeyByHash(hash string) (AppKey, error)
	// AppKeysOwned are those of an owner in an organization, and AppKeysOfUser those of a user in all; by id.
	AppKeysOwned(org OrgID, owner string, from Place) iter.Seq2[AppKey, error]
	AppKeysOfUser(UserID, Place) iter.Seq2[AppKey, error]
	AppKeysIn(OrgID) iter.Seq2[AppKey, error] // of whatever owner
	PutAppKey(AppKey) error                   // ErrTaken: the hash
	DeleteAppKey(OrgID, AppKeyID) error
}

// CreateAppKey makes a key of the organization, owner, name, permissions and expiry of k, and returns it with its secret, which nobody can find
// out again. A member must be active ([ErrNotMember]), and gives no more permissions than they have ([ErrNoPermission]).
func CreateAppKey(tx Tx, k AppKey, by audit.Actor, now time.Time) (AppKey, AppKeySecret, error) {
	none := func(err error) (AppKey, AppKeySecret, error) { return AppKey{}, AppKeySecret{}, err }
	if _, err := tx.Organization(k.Organization); err != nil {
		return none(err)
	}
	switch {
	case !oneLine(k.Name) || utf8.RuneCountInString(k.Name) > maxAppKeyName:
		return none(ErrKeyText)
	case k.Expired(now):
		return none(ErrKeyExpiry)
	}
	has, err := first(tx.AppKeysOwned(k.Organization, k.Owner(), Place{}), MaxAppKeys)
	if err != nil {
		return none(err)
	}
	if len(has) >= MaxAppKeys {
		return none(ErrKeyLimit)
	}
	slices.Sort(k.Permissions)
	k.Permissions = slices.Compact(k.Permissions)
	may, err := mayOf(tx, k)
	if err != nil {
		return none(err)
	}
	if i := slices.IndexFunc(k.Permissions, func(p string) bool { return !slices.Contains(may, p) }); i >= 0 {
		return none(fmt.Errorf("%q: %w", clip(k.Permissions[i]), ErrNoPermission))
	}
	secret := AppKeySecret{newSecretText(appKeyPrefix)}
	k = AppKey{
		ID: AppKeyID(id.New("api_key", now)), Organization: k.Organization, User: k.User, Name: k.Name, Hash: secret.Hash(), Ending: secret.text[len(secret.text)-4:],
		Permissions: k.Permissions, CreatedAt: now.UTC(), UpdatedAt: now.UTC(), ExpiresAt: k.ExpiresAt,
	}
	if err := tx.PutAppKey(k); err != nil {
		return none(err)
	}
	return k, secret, recordAppKey(tx, audit.AppKeyCreated, k, nil, by, now)
}

// mayOf returns which of its permissions a key can have now: those that are defined and, for a member's, that the member has.
// It returns [ErrNotMember] if the owner is no active member.
func mayOf(tx Tx, k AppKey) ([]string, error) {
	if k.User == "" {
		var may []string
		for _, p := range k.Permissions {
			ok, err := hasPermission(tx, p)
			if err != nil {
				return nil, err
			}
			if ok {
				may = append(may, p)
			}
		}
		return may, nil
	}
	m, err := tx.Membership(k.Organization, k.User)
	if errors.Is(err, ErrNotFound) || err == nil && m.Status != policy.Active {
		return nil, ErrNotMember
	}
	if err != nil {
		return nil, err
	}
	roles, err := EffectiveRoles(tx, m)
	if err != nil {
		return nil, err
	}
	may := PermissionsOf(roles)
	return slices.DeleteFunc(may, func(p string) bool { return !slices.Contains(k.Permissions, p) }), nil
}

// FindAppKey returns the key of the secret, if it is good at now, with the permissions that it has now, and whether its use is to be noted by
// [TouchAppKey]. It returns an error wrapping [ErrNotFound] for whatever is not good: a key that is not there, has expired, is of a member who is not active, or of an
// organization that lets nobody in.
func FindAppKey(tx Tx, s AppKeySecret, now time.Time) (k AppKey, touch bool, err error) {
	k, err = tx.AppKeyByHash(s.Hash())
	if err != nil {
		return AppKey{}, false, err
	}
	o, err := tx.Organization(k.Organization)
	if err != nil {
		return AppKey{}, false, err
	}
	if k.Expired(now) || o.Suspended || o.Deleting {
		return AppKey{}, false, notFound("key")
	}
	k.Permissions, err = mayOf(tx, k)
	if errors.Is(err, ErrNotMember) {
		err = notFound("key")
	}
	if err != nil {
		return AppKey{}, false, err
	}
	return k, now.Sub(k.LastUsedAt) >= AppKeyTouch, nil
}

// TouchAppKey notes that the key was used. It is no event.
func TouchAppKey(tx Tx, key AppKeyID, now time.Time) error {
	k, err := tx.AppKeyByID(key)
	if err != nil || k.Expired(now) || now.Sub(k.LastUsedAt) < AppKeyTouch {
		return err
	}
	k.LastUsedAt = now.UTC()
	return tx.PutAppKey(k)
}

// ExpireAppKey says when a key expires: zero never, and at once if that is past. One that has expired stays so: [ErrKeyExpired].
func ExpireAppKey(tx Tx, key AppKeyID, at time.Time, by audit.Actor, now time.Time) (AppKey, error) {
	k, err := tx.AppKeyByID(key)
	if err != nil {
		return AppKey{}, err
	}
	if k.Expired(now) {
		return AppKey{}, ErrKeyExpired
	}
	if !at.IsZero() && at.Before(now) {
		at = now
	}
	was := k.ExpiresAt
	if k.ExpiresAt = at.UTC(); at.IsZero() {
		k.ExpiresAt = time.Time{}
	}
	if k.ExpiresAt.Equal(was) {
		return k, nil
	}
	k.UpdatedAt = now.UTC()
	if err := tx.PutAppKey(k); err != nil {
		return AppKey{}, err
	}
	return k, recordAppKey(tx, audit.AppKeyUpdated, k, &was, by, now)
}

// RemoveAppKey deletes a key. It is good no more.
func RemoveAppKey(tx Tx, key AppKeyID, by audit.Actor, now time.Time) error {
	k, err := tx.AppKeyByID(key)
	if err != nil {
		return err
	}
	if err := tx.DeleteAppKey(k.Organization, k.ID); err != nil {
		return err
	}
	return recordAppKey(tx, audit.AppKeyRevoked, k, nil, by, now)
}

// removeAppKeysOf deletes the keys of a member who is none any more.
func removeAppKeysOf(tx Tx, org OrgID, user UserID, by audit.Actor, now time.Time) error {
	keys, err := first(tx.AppKeysOwned(org, string(user), Place{}), MaxAppKeys)
	if err != nil {
		return err
	}
	for _, k := range keys {
		if err := RemoveAppKey(tx, k.ID, by, now); err != nil {
			return err
		}
	}
	return nil
}

// An AppKeyObject is a key as the API shows it.
type AppKeyObject struct {
	Object      string      `json:"object"`
	ID          AppKeyID    `json:"id"`
	Owner       AppKeyOwner `json:"owner"`
	Name        string      `json:"name"`
	Obfuscated  string      `json:"obfuscated_value"`
	LastUsedAt  *time.Time  `json:"last_used_at"`
	ExpiresAt   *time.Time  `json:"expires_at"`
	Permissions []string    `json:"permissions"`
	CreatedAt   time.Time   `json:"created_at"`
	UpdatedAt   time.Time   `json:"updated_at"`
}

// An AppKeyOwner is whose a key is. Organization is that of a user's key; of an organization's own its ID says it.
type AppKeyOwner struct {
	Type         string `json:"type"`
	ID           string `json:"id"`
	Organization OrgID  `json:"organization_id,omitzero"`
}

// ShowAppKey returns the key as the API shows it.
func ShowAppKey(k AppKey) AppKeyObject {
	o := AppKeyObject{
		Object: "api_key", ID: k.ID, Owner: AppKeyOwner{Type: "organization", ID: k.Owner()}, Name: k.Name, Obfuscated: appKeyPrefix + "..." + k.Ending,
		LastUsedAt: given(k.LastUsedAt), ExpiresAt: given(k.ExpiresAt), Permissions: k.Permissions, CreatedAt: k.CreatedAt, UpdatedAt: k.UpdatedAt,
	}
	if k.User != "" {
		o.Owner.Type, o.Owner.Organization = "user", k.Organization
	}
	if o.Permissions == nil {
		o.Permissions = []string{}
	}
	return o
}

// recordAppKey says what has become of a key; was is when it was to expire before, if that has changed.
func recordAppKey(tx Tx, name string, k AppKey, was *time.Time, by audit.Actor, now time.Time) error {
	type previous struct {
		ExpiresAt *time.Time `json:"expires_at"`
	}
	d := struct {
		AppKeyObject
		Previous *previous `json:"previous_attributes,omitzero"`
	}{AppKeyObject: ShowAppKey(k)}
	if was != nil {
		d.Previous = &previous{given(*was)}
	}
	e := audit.New(name, by, now)
	e.Organization, e.User = string(k.Organization), string(k.User)
	return audit.Record(tx, e, d)
}
