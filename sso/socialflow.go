package sso

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/orgate/orgate/internal/cookie"
	"github.com/orgate/orgate/internal/seal"
	"github.com/orgate/orgate/sso/github"
	"github.com/orgate/orgate/sso/oidc"
	"github.com/orgate/orgate/tenancy"
)

const socialStateUse = "social state"

// A socialFlow is a sign-in that was begun at a social provider. Like a [flow], it lives in a
// sealed cookie of the browser that began it.
type socialFlow struct {
	// One of these is set.
	OIDC   *oidc.Flow   `json:"oidc,omitzero"`
	GitHub *github.Flow `json:"github,omitzero"`

	Aim aim `json:"aim"`
	// Provider was asked, as it was Configured then.
	Provider   string `json:"provider"`
	Configured string `json:"configured"`
	// Link is who was signed in and wants an account there linked, where no proof is asked for;
	// empty: nobody.
	Link tenancy.UserID `json:"link,omitzero"`
	// MaxAge is how fresh the proof was asked to be; 0: it was not.
	MaxAge    time.Duration `json:"max_age,omitzero"`
	ExpiresAt time.Time     `json:"expires_at"`
}

func newSocialFlows(box *seal.Box, jar cookie.Jar) flowJar[socialFlow] {
	// The prefix has letters that the names of other flows don't.
	return flowJar[socialFlow]{purpose: "social sign-in flow", prefix: cookie.Flow + "_social_", box: box, jar: jar}
}

func (f socialFlow) state() string {
	switch {
	case f.OIDC != nil:
		return f.OIDC.State
	case f.GitHub != nil:
		return f.GitHub.State
	}
	return ""
}

func (f socialFlow) redirectURI() string {
	switch {
	case f.OIDC != nil:
		return f.OIDC.RedirectURI
	case f.GitHub != nil:
		return f.GitHub.RedirectURI
	}
	return ""
}

// stateHash is what a state is remembered by.
func (f socialFlow) stateHash() string {
	sum := sha256.Sum256([]byte(f.state()))
	return hex.EncodeToString(sum[:])
}

func (f socialFlow) expires() time.Time { return f.ExpiresAt }

func (f socialFlow) withoutPath() socialFlow {
	f.Aim.Request.ReturnTo, f.Aim.App = "/", asked(f.Aim.App)
	return f
}
