package session

import (
	"net/url"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/tenancy"
)

// A Browser is what is recorded of the browser that a session is in.
type Browser struct{ UserAgent, RemoteIP string }

// Begin makes a session on the login host from a first proof.
func Begin(tx Tx, user tenancy.UserID, p policy.Proof, up *UpstreamSession, confined tenancy.OrgID, b Browser, l Limits, now time.Time) (Session, Token, error) {
	panic("")
}

// AddProof adds a proof to a login-host session of the same user and gives it a new
// token; the old token is dead. A proof that is not confined lifts the confinement.
func AddProof(tx Tx, id ID, p policy.Proof, up *UpstreamSession, confined tenancy.OrgID, now time.Time) (Session, Token, error) {
	panic("")
}

// Live returns the session of the token if it may be used at host now, and its parent
// (itself, on the login host: host is ""). Any doubt is an error wrapping [ErrEnded].
func Live(tx Tx, token Hash, host string, l Limits, now time.Time) (s, parent Session, err error) {
	panic("")
}

// Touch records that s and its parent were used. Call it when Limits.Touch has passed
// since SeenAt; it does nothing otherwise, and nothing to what has ended.
func Touch(tx Tx, id ID, l Limits, now time.Time) error { panic("") }

// IssueHandover makes a one-time code for the continuation of parent at h.Host. It
// fills in Code and ExpiresAt.
func IssueHandover(tx Tx, h Handover, now time.Time) (Token, error) { panic("") }

// Redeem swaps a code for a session on the tenant host, once. It checks that the
// browser (attempt), host, organization and live parent are those that the code was made
// for. A second redemption returns an error wrapping [ErrUsed], and ends the session
// that the first one made: the caller must commit the transaction all the same, which is
// why that error is in the result and not in err.
func Redeem(tx Tx, code, attempt Hash, host string, org tenancy.OrgID, b Browser, l Limits, now time.Time) (r Redeemed, err error) {
	panic("")
}

// Redeemed is what [Redeem] made, or why it refused.
type Redeemed struct {
	Session  Session
	Token    Token
	ReturnTo string
	Refused  error // wraps ErrUsed, ErrForeign, ErrExpired or ErrEnded; nil: done
}

// End ends a session, and its children if it has any. Ending what has ended is nothing.
func End(tx Tx, id ID, by audit.Actor, now time.Time) error { panic("") }

// EndAll ends every session of the user on every host; but for keep, if it is not empty,
// and its children.
func EndAll(tx Tx, user tenancy.UserID, keep ID, by audit.Actor, now time.Time) error { panic("") }

// EndIn ends every session of the user in one organization.
func EndIn(tx Tx, org tenancy.OrgID, user tenancy.UserID, by audit.Actor, now time.Time) error {
	panic("")
}

// EndUpstream ends the sessions behind a provider's session (back-channel logout). With
// an empty sid, all of the subject's. It returns how many.
func EndUpstream(tx Tx, conn tenancy.ConnectionID, subject, sid string, by audit.Actor, now time.Time) (int, error) {
	panic("")
}

// Deactivate, Reactivate and Remove change a membership and end what must end with it.
func Deactivate(tx Tx, org tenancy.OrgID, user tenancy.UserID, by audit.Actor, now time.Time) error {
	panic("")
}

// Remove deletes a membership for good and ends the user's sessions in the organization.
func Remove(tx Tx, org tenancy.OrgID, user tenancy.UserID, by audit.Actor, now time.Time) error {
	panic("")
}

// A SignInRequest is what a tenant host asks of the login host, in the query of /sign-in.
type SignInRequest struct {
	// Host is the tenant host, canonical, with the port if it is not the scheme's.
	// Empty: the person came to the login host directly.
	Host string
	// Attempt is the hash of the tenant host's attempt cookie.
	Attempt Hash
	// ReturnTo is a path on Host.
	ReturnTo string
	// LoginHint is an e-mail address to start with; may be empty.
	LoginHint string
}

// Values returns the query; ParseSignInRequest(r.Values()) is r.
func (r SignInRequest) Values() url.Values { panic("") }

// ParseSignInRequest reads the query of /sign-in. Repeated, over-long or broken parameters
// are an error; a return path that could leave the host becomes "/".
func ParseSignInRequest(q url.Values) (SignInRequest, error) { panic("") }

// ParseReturnPath returns s if it is a path, with or without a query, on the same host for
// every browser: it begins with exactly one slash, and holds no backslash, control byte or
// dot segment trick. ok is false otherwise.
func ParseReturnPath(s string) (path string, ok bool) { panic("") }
