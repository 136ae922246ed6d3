package store

import (
	"cmp"
	"fmt"
	"iter"
	"time"

	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/tenancy"
)

// afterlife is how long what an app asked for is kept behind its end, so that the app is told that it is over.
const afterlife = time.Hour

// nobody is whose the authenticator apps are that no user has. It is no user's id.
const nobody = "nobody"

// apiFactors are found by user, and by id as all factors are: an entry of [kindFactorByID] leads to a row of one of
// three tables, and to none of the other two, whose rows do not claim it.
func apiFactors() table[factor.APIFactor] {
	return table[factor.APIFactor]{
		kind: kindAPIFactor, name: "authenticator app",
		fields:  func(f factor.APIFactor) []string { return []string{cmp.Or(string(f.User), nobody), f.ID} },
		indexes: func(f factor.APIFactor) []index { return []index{{kindFactorByID, []string{f.ID}, false}} },
	}
}

func challenges() table[factor.Challenge] {
	return table[factor.Challenge]{
		kind: kindChallenge, name: "challenge",
		fields:  func(c factor.Challenge) []string { return []string{c.ID} },
		expires: func(c factor.Challenge) time.Time { return c.ExpiresAt.Add(afterlife) },
	}
}

func resets() table[factor.Reset] {
	return table[factor.Reset]{
		kind: kindReset, name: "password reset",
		fields:  func(r factor.Reset) []string { return []string{r.ID} },
		expires: func(r factor.Reset) time.Time { return r.ExpiresAt.Add(afterlife) },
	}
}

func (t *tx) APIFactor(id string) (factor.APIFactor, error) {
	return find(t, apiFactors(), kindFactorByID, id)
}

func (t *tx) APIFactorsOf(user tenancy.UserID) iter.Seq2[factor.APIFactor, error] {
	return all(t, apiFactors(), string(user))
}

func (t *tx) PutAPIFactor(f factor.APIFactor) error { return put(t, apiFactors(), f) }

func (t *tx) DeleteAPIFactor(f factor.APIFactor) error {
	return remove(t, apiFactors(), apiFactors().fields(f)...)
}

func (t *tx) TOTPByID(id string) (factor.TOTP, error) { return find(t, totps(), kindFactorByID, id) }

func (t *tx) PasskeyByFactorID(id string) (factor.Passkey, error) {
	return find(t, passkeys(), kindFactorByID, id)
}

func (t *tx) AppCode(p factor.Purpose, user tenancy.UserID) (factor.EmailCode, error) {
	return find(t, emailCodes(), kindLiveEmailCode, factor.NoBrowser().String(), string(p), string(user))
}

func (t *tx) DeleteEmailCode(id string) error { return remove(t, emailCodes(), id) }

func (t *tx) Challenge(id string) (factor.Challenge, error) { return get(t, challenges(), id) }

func (t *tx) PutChallenge(c factor.Challenge) error { return put(t, challenges(), c) }

func (t *tx) Reset(id string) (factor.Reset, error) { return get(t, resets(), id) }

func (t *tx) PutReset(r factor.Reset) error {
	if r.Sum == (session.Hash{}) {
		return fmt.Errorf("password reset: %w", errNoToken)
	}
	return put(t, resets(), r)
}
