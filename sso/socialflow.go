package sso

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/orgate/orgate/internal/cookie"
	"github.com/orgate/orgate/sso/github"
	"github.com/orgate/orgate/sso/oidc"
	"github.com/orgate/orgate/tenancy"
)

const (
	// A flow at a social provider is sealed for a purpose of its own: no callback of an
	// organization's connection can open it, nor this one theirs.
	socialFlowPurpose = "social sign-in flow"
	socialStateUse    = "social state"
	// socialPrefix has letters that the names of other flows don't.
	socialPrefix = cookie.Flow + "_social_"
)

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

// socialFlowName returns the name of the cookie that holds the flow of a state.
func socialFlowName(state string) string {
	sum := sha256.Sum256([]byte(state))
	return socialPrefix + hex.EncodeToString(sum[:8])
}

func (s *Server) sealSocialFlow(name string, f socialFlow) (string, error) {
	plain, err := json.Marshal(f)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(s.box.Seal(socialFlowPurpose, name, plain)), nil
}

// openSocialFlow reads the value of the cookie of that name. Whatever we have not sealed for
// that name, or have sealed too long ago, is none.
func (s *Server) openSocialFlow(name, value string, now time.Time) (f socialFlow, ok bool) {
	if len(value) > maxFlowCookie {
		return socialFlow{}, false
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(value)
	if err != nil {
		return socialFlow{}, false
	}
	plain, err := s.box.Open(socialFlowPurpose, name, sealed)
	if err != nil || json.Unmarshal(plain, &f) != nil || !now.Before(f.ExpiresAt) {
		return socialFlow{}, false
	}
	return f, true
}

// readSocialFlow returns the flow that this browser began with that state.
func (s *Server) readSocialFlow(r *http.Request, state string, now time.Time) (f socialFlow, ok bool) {
	name := socialFlowName(state)
	value, ok := s.jar.Read(r.Header, name)
	if !ok {
		return socialFlow{}, false
	}
	f, ok = s.openSocialFlow(name, value, now)
	// The name holds a part of the hash; here the whole state is compared.
	return f, ok && sameSecret(f.state(), state)
}

// keepSocialFlow gives the flow to the browser, and clears away what is too old, broken or
// one too many.
func (s *Server) keepSocialFlow(w http.ResponseWriter, r *http.Request, f socialFlow, now time.Time) error {
	name := socialFlowName(f.state())
	value, err := s.sealSocialFlow(name, f)
	if err != nil {
		return err
	}
	if len(value) > maxFlowCookie {
		// A browser would drop the cookie without a word. The path is what can be long.
		f.Aim.Request.ReturnTo = "/"
		if value, err = s.sealSocialFlow(name, f); err != nil {
			return err
		}
	}
	s.tidySocialFlows(w, r, now)
	s.jar.Set(w, name, value, flowLife)
	return nil
}

// tidySocialFlows makes room for one more flow.
func (s *Server) tidySocialFlows(w http.ResponseWriter, r *http.Request, now time.Time) {
	type begun struct {
		name    string
		expires time.Time
	}
	var live []begun
	var over []string
	for _, name := range s.jar.Names(r.Header, socialPrefix) {
		if strings.Trim(strings.TrimPrefix(name, socialPrefix), "0123456789abcdef") != "" {
			continue // not a name that we give
		}
		value, _ := s.jar.Read(r.Header, name)
		if f, ok := s.openSocialFlow(name, value, now); ok {
			live = append(live, begun{name, f.ExpiresAt})
		} else {
			over = append(over, name)
		}
	}
	slices.SortFunc(live, func(a, b begun) int { return b.expires.Compare(a.expires) })
	for i := maxFlows - 1; i < len(live); i++ {
		over = append(over, live[i].name)
	}
	// A cookie that is not one of ours is not worth an unbounded answer.
	for _, name := range over[:min(len(over), 2*maxFlows)] {
		s.jar.Clear(w, name)
	}
}
