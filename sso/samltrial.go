package sso

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/orgate/orgate/internal/page"
	"github.com/orgate/orgate/internal/text"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/sso/idp"
	"github.com/orgate/orgate/sso/saml"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

const (
	trialLife = 15 * time.Minute
	maxTrials = 64
	// paramTrial is the secret that begins a trial, in the query of …/test.
	paramTrial = "test"
)

// A trial is a sign-in that is told step by step to whoever sets a connection up, and that signs
// nobody in. Trials are of this process alone, and end with a reload.
type trial struct {
	id, token  string
	connection tenancy.ConnectionID
	began      time.Time
	state      string // of its flow, once it was begun
	report     TrialReport
}

// A TrialReport says how far a trial has come.
type TrialReport struct {
	Steps []saml.Step
	Done  bool
}

type trials struct {
	mu  sync.Mutex
	all []*trial // the oldest first
}

func newTrials() *trials { return &trials{} }

// ErrNoTrial is that there is no such trial, or that it is over.
var ErrNoTrial = errors.New("no such test sign-in: it is too old, or orgate was reloaded")

// StartTrial begins a trial of a SAML connection, and returns its id and the URL that whoever tries opens in a browser.
func (s *Server) StartTrial(ctx context.Context, org, conn string) (id, to string, err error) {
	var p samlParty
	err = s.store.View(ctx, func(tx store.Tx) error {
		c, err := addressed(tx, org, conn)
		if err != nil {
			return err
		}
		if c == nil || c.SAML == nil {
			return fmt.Errorf("organization %q has no SAML connection %q in use", org, conn)
		}
		p, err = s.samlParty(tx, *c, s.now())
		return err
	})
	if err != nil {
		return "", "", err
	}
	t := &trial{id: rand.Text(), token: rand.Text() + rand.Text(), connection: p.row.ID, began: s.now()}
	s.trials.mu.Lock()
	defer s.trials.mu.Unlock()
	s.trials.all = slices.DeleteFunc(s.trials.all, func(t *trial) bool { return s.now().Sub(t.began) > trialLife })
	if len(s.trials.all) >= maxTrials {
		s.trials.all = s.trials.all[1:]
	}
	s.trials.all = append(s.trials.all, t)
	return t.id, s.url(samlPath(p.org, p.row, "test")) + "?" + url.Values{paramTrial: {t.token}}.Encode(), nil
}

// Trial returns how far a trial has come, or [ErrNoTrial].
func (s *Server) Trial(id string) (TrialReport, error) {
	s.trials.mu.Lock()
	defer s.trials.mu.Unlock()
	for _, t := range s.trials.all {
		if t.id == id && s.now().Sub(t.began) <= trialLife {
			return TrialReport{slices.Clone(t.report.Steps), t.report.Done}, nil
		}
	}
	return TrialReport{}, ErrNoTrial
}

// tell adds to what a trial has come to. Nothing is added to one that is over.
func (ts *trials) tell(which func(*trial) bool, done bool, steps ...saml.Step) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	for _, t := range ts.all {
		if which(t) && !t.report.Done {
			t.report.Steps = append(t.report.Steps, steps...)
			t.report.Done = done
		}
	}
}

func ofState(state string) func(*trial) bool {
	return func(t *trial) bool { return t.state != "" && sameSecret(t.state, state) }
}

// waits reports whether the flow of a state is a trial's.
func (ts *trials) waits(state string) bool {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	return slices.ContainsFunc(ts.all, ofState(state))
}

// received tells the trial whose answer came, if it is one's, what was made of it.
func (ts *trials) received(relay string, steps []saml.Step) { ts.tell(ofState(relay), false, steps...) }

// refused tells the trial whose answer came that it was refused, and why.
func (ts *trials) refused(relay string, why error) { ts.tell(ofState(relay), true, refusedStep(why)) }

func refusedStep(why error) saml.Step {
	if e, ok := errors.AsType[*idp.Error](why); ok {
		return saml.Step{Check: string(e.Code), Detail: strings.TrimSuffix(e.Hint+" ("+e.Detail+")", " ()")}
	}
	return saml.Step{Check: "refused", Detail: idp.Printable(why.Error(), idp.MaxDetail)}
}

// lines are steps as the log has them.
func lines(steps []saml.Step) []string {
	out := make([]string, len(steps))
	for i, st := range steps {
		out[i] = st.String()
	}
	return out
}

// beginTrial is GET /sso/saml/{connection}/test, with the secret of a trial.
func (s *Server) beginTrial(w http.ResponseWriter, r *http.Request) error {
	p, err := s.samlAt(r)
	if err != nil {
		return err
	}
	now := s.now()
	token := r.URL.Query().Get(paramTrial)
	var id string
	s.trials.mu.Lock()
	for _, t := range s.trials.all {
		if sameSecret(t.token, token) && t.connection == p.row.ID && now.Sub(t.began) <= trialLife && t.state == "" {
			id = t.id
		}
	}
	s.trials.mu.Unlock()
	if id == "" || r.Method != http.MethodGet {
		return s.tooOld()
	}
	ofID := func(t *trial) bool { return t.id == id }
	if err := p.known(); err != nil {
		s.trials.tell(ofID, true, refusedStep(err))
		return s.failed(r, flow{Connection: p.row.ID, Owner: p.row.Organization}, p.org, "", err)
	}
	m, started, err := p.Start(saml.StartRequest{}, now)
	if err != nil {
		s.trials.tell(ofID, true, refusedStep(err))
		return s.failed(r, flow{Connection: p.row.ID, Owner: p.row.Organization}, p.org, "", err)
	}
	if !s.trials.begin(id, started.State) {
		return s.tooOld() // the secret came twice at once
	}
	f := flow{SAML: started, Connection: p.row.ID, Owner: p.row.Organization, Configured: configured(p.row), ExpiresAt: now.Add(flowLife), Test: id}
	if err := s.samlFlows.keep(w, r, f, now); err != nil {
		return err
	}
	s.trials.tell(ofID, false,
		saml.Step{Check: "provider", OK: true, Detail: p.IDP.EntityID},
		saml.Step{Check: "request", OK: true, Detail: fmt.Sprintf("%s sent by %s to %s", started.RequestID, m.Binding, withoutQuery(m.URL))})
	return s.carry(w, r, m, p.org, p.row.Name)
}

// begin notes which flow a trial is; ok is false if it is one already.
func (ts *trials) begin(id, state string) (ok bool) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	for _, t := range ts.all {
		if t.id == id && t.state == "" {
			t.state, ok = state, true
		}
	}
	return ok
}

func withoutQuery(raw string) string {
	to, _, _ := strings.Cut(raw, "?")
	return to
}

// errRehearsed takes back what a trial has done to the store.
var errRehearsed = errors.New("only a trial")

// endTrial says what the answer would have come to, and has it come to nothing.
func (s *Server) endTrial(w http.ResponseWriter, r *http.Request, f flow, p samlParty, a waiting) error {
	said := s.saidBySAML(f, a)
	steps := []saml.Step{{Check: "request answered", OK: true, Detail: "it is the one that this browser was sent with"}}
	err := s.store.Update(r.Context(), func(tx store.Tx) error {
		steps = steps[:1]
		in, err := tenancy.SignIn(tx, s.rules, said.Assertion, s.now())
		if err != nil {
			return err
		}
		steps = append(steps, outcome(in, p.org)...)
		return errRehearsed
	})
	if !errors.Is(err, errRehearsed) {
		e, hint := s.assertionRefused(f, p.org, said.Email, err)
		if e == nil {
			return unavailable(err)
		}
		steps = append(steps, saml.Step{Check: e.Code, Detail: strings.TrimSuffix(e.Text.String()+" ("+hint+")", " ()")})
	} else if err := s.spend(r, said); err != nil {
		return err
	}
	s.trials.tell(func(t *trial) bool { return t.id == f.Test }, true, steps...)
	return page.Notice{
		Brand: s.brand(p.org), Title: text.T("The test is finished"),
		Text: text.T("Nobody was signed in by it. What came of it is where you started it."),
	}.Render(w, r, http.StatusOK)
}

// spend uses an answer up.
func (s *Server) spend(r *http.Request, said saying) error {
	return unavailable(s.store.Update(r.Context(), func(tx store.Tx) error { return said.use(tx, s.now()) }))
}

// outcome says what a sign-in would have come to.
func outcome(in tenancy.SignedIn, org tenancy.Organization) []saml.Step {
	who := in.User.Email
	if in.NewUser {
		who += ", a new user"
	}
	if in.ConfinedTo != "" {
		who += "; good in " + string(org.Slug) + " alone, as the address is on no verified domain of it"
	}
	steps := []saml.Step{{Check: "user", OK: true, Detail: idp.Printable(who, idp.MaxDetail)}}
	m := in.Membership
	switch m.Status {
	case policy.Active:
		detail := "active, with the roles " + strings.Join(m.Roles, ", ")
		if in.NewMember {
			detail += "; new"
		}
		return append(steps, saml.Step{Check: "membership", OK: true, Detail: detail})
	case policy.NoMember:
		return append(steps, saml.Step{Check: "membership", Detail: "none, and no rule makes one: set jit: { sso: true }, or invite the person"})
	default:
		return append(steps, saml.Step{Check: "membership", Detail: "it is not active"})
	}
}
