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
	"github.com/orgate/orgate/internal/endpoint"
	"github.com/orgate/orgate/internal/seal"
	"github.com/orgate/orgate/internal/text"
)

const (
	// maxFlows is how many sign-ins of one kind one browser may have begun: tabs, in practice.
	maxFlows = 5
	// maxFlowCookie is what browsers keep of a cookie, less its name and attributes.
	maxFlowCookie = 3900
)

// A pending is a sign-in that was begun at a provider and is not finished.
type pending[F any] interface {
	// state is what was sent along, and comes back.
	state() string
	expires() time.Time
	// withoutPath returns it without what can be long, for a cookie that would be too large.
	withoutPath() F
}

// A flowJar keeps flows of one kind in cookies of the browser that began them. They are sealed
// for a purpose of their own, under names that those of other kinds don't have: no callback of one
// kind opens what another has begun.
type flowJar[F pending[F]] struct {
	purpose, prefix string
	box             *seal.Box
	jar             cookie.Jar
}

// name returns the name of the cookie that holds the flow of a state. The state
// itself comes back in an address, so its hash will do; and it is all that an answer has
// to find its flow by.
func (j flowJar[F]) name(state string) string {
	sum := sha256.Sum256([]byte(state))
	return j.prefix + hex.EncodeToString(sum[:8])
}

// seal returns the value of a flow's cookie.
func (j flowJar[F]) seal(name string, f F) (string, error) {
	plain, err := json.Marshal(f)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(j.box.Seal(j.purpose, name, plain)), nil
}

// open reads the value of the flow cookie of that name. Whatever we have not sealed
// for that name, or have sealed too long ago, is none.
func (j flowJar[F]) open(name, value string, now time.Time) (F, bool) {
	var f, none F
	if len(value) > maxFlowCookie {
		return none, false
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(value)
	if err != nil {
		return none, false
	}
	plain, err := j.box.Open(j.purpose, name, sealed)
	if err != nil || json.Unmarshal(plain, &f) != nil || !now.Before(f.expires()) {
		return none, false
	}
	return f, true
}

// read returns the flow that this browser began with that state.
func (j flowJar[F]) read(r *http.Request, state string, now time.Time) (f F, ok bool) {
	name := j.name(state)
	value, ok := j.jar.Read(r.Header, name)
	if !ok {
		return f, false
	}
	f, ok = j.open(name, value, now)
	// The name holds a part of the hash; here the whole state is compared.
	return f, ok && sameSecret(f.state(), state)
}

// keep gives the flow to the browser, and clears away what is too old, broken or
// one too many.
func (j flowJar[F]) keep(w http.ResponseWriter, r *http.Request, f F, now time.Time) error {
	name := j.name(f.state())
	value, err := j.seal(name, f)
	if err != nil {
		return err
	}
	if len(value) > maxFlowCookie {
		// A browser would drop the cookie without a word. The path is what can be long.
		if value, err = j.seal(name, f.withoutPath()); err != nil {
			return err
		}
	}
	if len(value) > maxFlowCookie {
		return flowTooLong()
	}
	j.tidy(w, r, now)
	j.jar.Set(w, name, value, flowLife)
	return nil
}

// codeTooLong is for what neither a cookie nor an address has room for.
const codeTooLong = "too_long"

// flowTooLong is for whoever would be sent to a provider and could not come back from there.
func flowTooLong() *endpoint.Error {
	e := badRequest(errTooLong)
	e.Code, e.Text = codeTooLong, text.T("What the app asks for is too long to be kept in your browser meanwhile.")
	return e
}

// clear takes the flow of a state from the browser.
func (j flowJar[F]) clear(w http.ResponseWriter, state string) { j.jar.Clear(w, j.name(state)) }

// A begun is a flow in a cookie.
type begun[F pending[F]] struct {
	name string
	flow F
}

// begun returns the flows that this browser has, those that end last first, and the names of
// cookies that are too old or broken.
func (j flowJar[F]) begun(r *http.Request, now time.Time) (live []begun[F], over []string) {
	for _, name := range j.jar.Names(r.Header, j.prefix) {
		if strings.Trim(strings.TrimPrefix(name, j.prefix), "0123456789abcdef") != "" {
			continue // not a name that we give
		}
		value, _ := j.jar.Read(r.Header, name)
		if f, ok := j.open(name, value, now); ok {
			live = append(live, begun[F]{name, f})
		} else {
			over = append(over, name)
		}
	}
	slices.SortFunc(live, func(a, b begun[F]) int { return b.flow.expires().Compare(a.flow.expires()) })
	return live, over
}

// tidy makes room for one more flow.
func (j flowJar[F]) tidy(w http.ResponseWriter, r *http.Request, now time.Time) {
	live, over := j.begun(r, now)
	for i := maxFlows - 1; i < len(live); i++ {
		over = append(over, live[i].name)
	}
	// A cookie that is not one of ours is not worth an unbounded answer.
	for _, name := range over[:min(len(over), 2*maxFlows)] {
		j.jar.Clear(w, name)
	}
}
