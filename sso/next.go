package sso

import (
	"time"

	"github.com/orgate/orgate/policy"
)

const (
	paramNext  = "next"
	paramFresh = "fresh"
)

// A next is a page of the login host that a sign-in leads to, by a name of this closed list:
// no address that a link gives is gone to.
type next string

const (
	nextAccount  next = "account"
	nextPicker   next = "organizations"
	nextPassword next = "password"
	nextPasskey  next = "passkey"
	nextApp      next = "app"
	nextCodes    next = "recovery-codes"
	nextEmail    next = "email"
)

func (n next) path() string {
	switch n {
	case nextAccount:
		return pathAccount
	case nextPicker:
		return pathOrganizations
	case nextPassword:
		return pathPasswordNew
	case nextPasskey:
		return pathPasskeyNew
	case nextApp:
		return pathAppNew
	case nextCodes:
		return pathRecoveryCodes
	case nextEmail:
		return pathEmail
	default:
		return ""
	}
}

// nextOf is the name of a page.
func nextOf(path string) next {
	for _, n := range [...]next{nextAccount, nextPicker, nextPassword, nextPasskey, nextApp, nextCodes, nextEmail} {
		if n.path() == path {
			return n
		}
	}
	return nextAccount
}

// nextURL is where a next leads. The pages that set up a factor lead to the account in turn.
func (s *Server) nextURL(n next) string {
	switch n {
	case nextAccount, nextPicker:
		return s.url(n.path())
	default:
		return s.url(n.path()) + "?" + paramNext + "=" + string(nextAccount)
	}
}

// fresh is how old what was proved may be at the most; 0: as the policies say.
func (a aim) fresh(now time.Time) time.Duration {
	switch {
	case a.Fresh:
		return policy.EnrollWithin
	case a.App != nil && a.App.Anew:
		// What was proved since the client asked, or as long before as it says.
		return max(now.Sub(a.App.At)+a.App.MaxAge, 1)
	default:
		return 0
	}
}
