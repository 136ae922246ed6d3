package factor

import (
	"fmt"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/tenancy"
)

// An Attempt is a proof of a local factor, or one that failed, as the authentication events of the API
// have it.
type Attempt struct {
	User  tenancy.UserID // empty: not known
	Email string         // cut by the caller, if a stranger typed it
	// Session that it was for; may be empty.
	Session session.ID
	// Connection stands for the provider that it came by; empty: by none.
	Connection tenancy.ConnectionID
	// IP and UserAgent of the person's browser; empty: not known, as an app asks for them.
	IP, UserAgent string
	// Failed says why it failed, and Message the same for people; empty: it did not.
	Failed, Message string
}

type attemptData struct {
	Type      string          `json:"type"`
	Status    string          `json:"status"`
	IPAddress *string         `json:"ip_address"`
	UserAgent *string         `json:"user_agent"`
	User      *tenancy.UserID `json:"user_id"`
	Email     *string         `json:"email"`
	Error     *attemptError   `json:"error,omitzero"`
}

type attemptError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// kindOf says what the API calls the kind of an authentication event.
func kindOf(event string) string {
	switch event {
	case audit.MagicAuthSucceeded, audit.MagicAuthFailed:
		return "magic_auth"
	case audit.PasswordSucceeded, audit.PasswordFailed:
		return "password"
	case audit.PasskeySucceeded, audit.PasskeyFailed:
		return "passkey"
	case audit.MFASucceeded, audit.MFAFailed:
		return "mfa"
	case audit.OAuthSucceeded, audit.OAuthFailed:
		return "oauth"
	case audit.EmailVerificationSucceeded, audit.EmailVerificationFailed:
		return "email_verification"
	default:
		return ""
	}
}

// RecordAttempt tells of an attempt. The event is one of those of local factors, succeeded or failed as the
// attempt did.
func RecordAttempt(tx audit.Tx, event string, a Attempt, by audit.Actor, now time.Time) error {
	d := attemptData{Type: kindOf(event), Status: "succeeded", IPAddress: given(a.IP), UserAgent: given(a.UserAgent), User: given(a.User), Email: given(a.Email)}
	if d.Type == "" {
		return fmt.Errorf("%s is no event of a local factor", event)
	}
	if a.Failed != "" {
		d.Status, d.Error = "failed", &attemptError{a.Failed, a.Message}
	}
	e := audit.New(event, by, now)
	e.User, e.Session, e.Connection = string(a.User), string(a.Session), string(a.Connection)
	return audit.Record(tx, e, d)
}

func given[T ~string](v T) *T {
	if v == "" {
		return nil
	}
	return &v
}
