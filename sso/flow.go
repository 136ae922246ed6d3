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
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/sso/oidc"
	"github.com/orgate/orgate/tenancy"
)

const (
	// flowLife is how long somebody may take at the identity provider.
	flowLife = oidc.FlowLife
	// maxFlows is how many sign-ins one browser may have begun: tabs, in practice.
	maxFlows = 5
	// maxFlowCookie is what browsers keep of a cookie, less its name and attributes.
	maxFlowCookie = 3900
	// maxSteps is how many identity providers one sign-in may visit. Two policies are
	// judged, so two are the most that can be needed; the rest is for a change of mind.
	maxSteps = 4

	flowPurpose = "sign-in flow"
)

// An aim is what a sign-in is for. It is fixed when the sign-in begins and is carried
// from step to step.
type aim struct {
	Request session.SignInRequest `json:"request"`
	// Organization is whose tenant host asked; empty: the person came to the login
	// host directly.
	Organization tenancy.OrgID `json:"organization,omitzero"`
	// Another: the person asked to sign in as somebody else than who is signed in.
	Another bool `json:"another,omitzero"`
	// Next is the page of the login host that the person is on the way to; empty: none.
	Next next `json:"next,omitzero"`
	// Fresh: what was proved must be no older than [policy.EnrollWithin].
	Fresh bool `json:"fresh,omitzero"`
	// Steps counts the identity providers visited, and Last is the one before.
	Steps int                  `json:"steps,omitzero"`
	Last  tenancy.ConnectionID `json:"last,omitzero"`
}

// A flow is a sign-in that was begun: what we asked of an identity provider, and why.
// It lives in a sealed cookie of the browser that began it, so that nobody else can
// finish it and that strangers leave nothing with us.
type flow struct {
	OIDC oidc.Flow `json:"oidc"`
	Aim  aim       `json:"aim"`
	// Connection was asked, of Owner, as it was Configured then.
	Connection tenancy.ConnectionID `json:"connection"`
	Owner      tenancy.OrgID        `json:"owner"`
	Configured string               `json:"configured"`
	// MaxAge is how fresh the proof was asked to be; 0: it was not.
	MaxAge    time.Duration `json:"max_age,omitzero"`
	ExpiresAt time.Time     `json:"expires_at"`
}

// flowName returns the name of the cookie that holds the flow of a state. The state
// itself comes back in an address, so its hash will do; and it is all that an answer has
// to find its flow by.
func flowName(state string) string {
	sum := sha256.Sum256([]byte(state))
	return cookie.Flow + "_" + hex.EncodeToString(sum[:8])
}

// sealFlow returns the value of a flow's cookie.
func (s *Server) sealFlow(name string, f flow) (string, error) {
	plain, err := json.Marshal(f)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(s.box.Seal(flowPurpose, name, plain)), nil
}

// openFlow reads the value of the flow cookie of that name. Whatever we have not sealed
// for that name, or have sealed too long ago, is none.
func (s *Server) openFlow(name, value string, now time.Time) (f flow, ok bool) {
	if len(value) > maxFlowCookie {
		return flow{}, false
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(value)
	if err != nil {
		return flow{}, false
	}
	plain, err := s.box.Open(flowPurpose, name, sealed)
	if err != nil {
		return flow{}, false
	}
	if err := json.Unmarshal(plain, &f); err != nil || !now.Before(f.ExpiresAt) {
		return flow{}, false
	}
	return f, true
}

// readFlow returns the flow that this browser began with that state.
func (s *Server) readFlow(r *http.Request, state string, now time.Time) (f flow, ok bool) {
	name := flowName(state)
	value, ok := s.jar.Read(r.Header, name)
	if !ok {
		return flow{}, false
	}
	f, ok = s.openFlow(name, value, now)
	// The name holds a part of the hash; here the whole state is compared.
	return f, ok && sameSecret(f.OIDC.State, state)
}

// keepFlow gives the flow to the browser, and clears away what is too old, broken or
// one too many.
func (s *Server) keepFlow(w http.ResponseWriter, r *http.Request, f flow, now time.Time) error {
	name := flowName(f.OIDC.State)
	value, err := s.sealFlow(name, f)
	if err != nil {
		return err
	}
	if len(value) > maxFlowCookie {
		// A browser would drop the cookie without a word. The path is what can be long.
		f.Aim.Request.ReturnTo = "/"
		if value, err = s.sealFlow(name, f); err != nil {
			return err
		}
	}
	s.tidyFlows(w, r, now)
	s.jar.Set(w, name, value, flowLife)
	return nil
}

// tidyFlows makes room for one more flow.
func (s *Server) tidyFlows(w http.ResponseWriter, r *http.Request, now time.Time) {
	type begun struct {
		name    string
		expires time.Time
	}
	var live []begun
	cleared := 0
	clear := func(name string) {
		// A cookie that is not one of ours is not worth an unbounded answer.
		if cleared++; cleared <= 2*maxFlows {
			s.jar.Clear(w, name)
		}
	}
	for _, name := range s.jar.Names(r.Header, cookie.Flow+"_") {
		if strings.Trim(strings.TrimPrefix(name, cookie.Flow+"_"), "0123456789abcdef") != "" {
			continue // not a name that we give
		}
		value, _ := s.jar.Read(r.Header, name)
		if f, ok := s.openFlow(name, value, now); ok {
			live = append(live, begun{name, f.ExpiresAt})
		} else {
			clear(name)
		}
	}
	slices.SortFunc(live, func(a, b begun) int { return b.expires.Compare(a.expires) })
	for i := maxFlows - 1; i < len(live); i++ {
		clear(live[i].name)
	}
}
