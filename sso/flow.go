package sso

import (
	"time"

	"github.com/orgate/orgate/internal/cookie"
	"github.com/orgate/orgate/internal/seal"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/session/client"
	"github.com/orgate/orgate/sso/oidc"
	"github.com/orgate/orgate/sso/saml"
	"github.com/orgate/orgate/tenancy"
)

const (
	// flowLife is how long somebody may take at the identity provider.
	flowLife = oidc.FlowLife
	// maxSteps is how many identity providers one sign-in may visit. Two policies are
	// judged, so two are the most that can be needed; the rest is for a change of mind.
	maxSteps = 4
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
	// Home is the organization whose app the person is on the way to, at Path, without one of
	// its hosts having asked: they began at the provider. Empty: it is not said.
	Home tenancy.OrgID `json:"home,omitzero"`
	Path string        `json:"path,omitzero"`
	// App is what a client of the sign-in API asked for; nil: it is none that the person comes from.
	App *client.Authorization `json:"app,omitzero"`
	// Invitation is what the person clicked to accept, and Clicked the word of that, sealed for
	// the browser in which it was: see [Server.clicked].
	Invitation tenancy.InvitationID `json:"invitation,omitzero"`
	Clicked    string               `json:"clicked,omitzero"`
	// Steps counts the identity providers visited, and Last is the one before.
	Steps int                  `json:"steps,omitzero"`
	Last  tenancy.ConnectionID `json:"last,omitzero"`
}

// A flow is a sign-in that was begun: what we asked of an identity provider, and why.
// It lives in a sealed cookie of the browser that began it, so that nobody else can
// finish it and that strangers leave nothing with us.
//
// It is either of OIDC or of SAML, and in a jar of that protocol's own.
type flow struct {
	OIDC oidc.Flow `json:"oidc,omitzero"`
	SAML saml.Flow `json:"saml,omitzero"`
	Aim  aim       `json:"aim"`
	// Connection was asked, of Owner, as it was Configured then.
	Connection tenancy.ConnectionID `json:"connection"`
	Owner      tenancy.OrgID        `json:"owner"`
	Configured string               `json:"configured"`
	// MaxAge is how fresh the proof was asked to be; 0: it was not.
	MaxAge    time.Duration `json:"max_age,omitzero"`
	ExpiresAt time.Time     `json:"expires_at"`
	// Test is the trial that this is, by its id; empty: it is none.
	Test string `json:"test,omitzero"`
}

func newFlows(box *seal.Box, jar cookie.Jar) flowJar[flow] {
	return flowJar[flow]{purpose: "sign-in flow", prefix: cookie.Flow + "_", box: box, jar: jar}
}

func newSAMLFlows(box *seal.Box, jar cookie.Jar) flowJar[flow] {
	return flowJar[flow]{purpose: "SAML flow", prefix: cookie.Flow + "_saml_", box: box, jar: jar}
}

func (f flow) state() string {
	if f.SAML.State != "" {
		return f.SAML.State
	}
	return f.OIDC.State
}

func (f flow) expires() time.Time { return f.ExpiresAt }

func (f flow) withoutPath() flow {
	f.Aim.Request.ReturnTo, f.Aim.Path, f.Aim.App = "/", "", asked(f.Aim.App)
	return f
}

// asked is what an app asked for, as it is once a provider has been asked.
func asked(app *client.Authorization) *client.Authorization {
	if app == nil {
		return nil
	}
	return new(app.Asked())
}
