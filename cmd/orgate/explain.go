package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/orgate/orgate/config"
	"github.com/orgate/orgate/config/apply"
	"github.com/orgate/orgate/internal/seal"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/store/badger"
	"github.com/orgate/orgate/tenancy"
)

func explainCommand() *cobra.Command {
	var configFile, org, email, path, method string
	cmd := &cobra.Command{
		Use:   "explain --config FILE --org SLUG --email ADDRESS",
		Short: "Print what would be asked of a person, and which rule says so",
		Long: "Prints, step by step, what would be asked of the person with this address who wants to enter the\n" +
			"organization, and which rule says so; with --path, also whether that request would be let through.\n\n" +
			"It judges the configuration alone, as it would be for somebody who comes for the first time: what\n" +
			"a running orgate has come to know since (memberships, invitations) is not looked at.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := readConfig(configFile, c.ErrOrStderr())
			if err != nil {
				return err
			}
			return explain(c.Context(), c.OutOrStdout(), cfg, org, email, method, path)
		},
	}
	configFlag(cmd, &configFile)
	cmd.Flags().StringVar(&org, "org", "", "the organization's slug")
	cmd.Flags().StringVar(&email, "email", "", "the person's e-mail address")
	cmd.Flags().StringVar(&path, "path", "", "also judge a request for this path")
	cmd.Flags().StringVar(&method, "method", "GET", "the method of that request")
	_ = cmd.MarkFlagRequired("org")
	_ = cmd.MarkFlagRequired("email")
	return cmd
}

// explain walks a person through the decisions, assuming that each proof asked for is given.
func explain(ctx context.Context, w io.Writer, cfg *config.Config, org, email, method, path string) (err error) {
	address, err := tenancy.ParseEmail(email)
	if err != nil {
		return fmt.Errorf("--email: %w", err)
	}
	e, err := badger.Open(badger.Options{InMemory: true})
	if err != nil {
		return err
	}
	st := store.New(e, store.Options{})
	defer func() { err = errors.Join(err, st.Close()) }()
	box, err := seal.NewBox(seal.NewKey())
	if err != nil {
		return err
	}
	r := rehearsal{w: w, cfg: cfg, email: address, request: policy.Request{Method: strings.ToUpper(method), Path: path}, now: time.Now()}
	if _, err := apply.Apply(ctx, st, cfg, box, r.now); err != nil {
		return err
	}
	return st.Update(ctx, func(tx store.Tx) error {
		o, err := tx.OrganizationBySlug(tenancy.Slug(org))
		if errors.Is(err, tenancy.ErrNotFound) {
			return fmt.Errorf("--org: there is no organization %q in the configuration", org)
		} else if err != nil {
			return err
		}
		return r.run(tx, o)
	})
}

// A rehearsal takes a person through a sign-in, in a store that is thrown away, by the
// same operations as a real one: each proof that is asked for is taken as given.
type rehearsal struct {
	w       io.Writer
	cfg     *config.Config
	email   string
	request policy.Request
	now     time.Time

	step    int
	session session.Session
}

// maxSteps is more than any policy can ask for.
const maxSteps = 10

func (r *rehearsal) run(tx store.Tx, o tenancy.Organization) error {
	for r.step < maxSteps {
		v, err := session.Gather(tx, session.Query{Organization: o.ID, Session: r.session, Email: r.email, Offered: r.cfg.Offered(), Now: r.now})
		if err != nil {
			return err
		}
		f := v.Facts
		d, err := r.decide(&f, o)
		if err != nil {
			return err
		}
		if err := r.say(d.Verdict.String(), d.Explain(&f)); err != nil {
			return err
		}
		switch {
		case d.Verdict == policy.Join:
			_, _, err = tenancy.Join(tx, r.cfg.Rules(), o.ID, v.User.ID, r.now)
		case d.Verdict == policy.Prove && d.Methods.Has(policy.SSO):
			err = r.prove(tx, d)
		default:
			return nil
		}
		if errors.Is(err, errStop) {
			return nil
		} else if err != nil {
			return err
		}
	}
	return nil
}

// errStop: the rehearsal is over, and has said why.
var errStop = errors.New("rehearsal is over")

// prove takes the identity provider that d asks for as having answered.
func (r *rehearsal) prove(tx store.Tx, d policy.Decision) error {
	var conn tenancy.Connection
	for c, err := range tx.Connections(tenancy.OrgID(d.Organization)) {
		if err != nil {
			return err
		}
		if !c.Disabled && (d.Connection == "" || string(c.ID) == d.Connection) {
			conn = c
			break
		}
	}
	if conn.ID == "" {
		return errStop // the decision has said that any would do, and there is none
	}
	in, err := tenancy.SignIn(tx, r.cfg.Rules(), tenancy.Assertion{Connection: conn.ID, Organization: conn.Organization, Subject: r.email, Email: r.email}, r.now)
	if err != nil {
		return errors.Join(r.say("refuse", fmt.Sprintf("Connection %s says that this is %s, and that is refused: %v.", conn.Name, r.email, err)), errStop)
	}
	proof := policy.Proof{Method: policy.SSO, Connection: string(conn.ID), Organization: string(conn.Organization), At: r.now}
	if r.session.ID == "" {
		r.session, _, err = session.Begin(tx, in.User.ID, proof, nil, in.ConfinedTo, session.Browser{}, r.limits(), r.now)
	} else {
		r.session, _, err = session.AddProof(tx, r.session.ID, proof, nil, in.ConfinedTo, r.now)
	}
	if err != nil {
		return err
	}
	o, err := tx.Organization(conn.Organization)
	if err != nil {
		return err
	}
	if in.NewMember {
		return r.say("join", fmt.Sprintf("Connection %s of %s vouches for %s, and its just-in-time membership makes an active member of %s with the role %s.",
			conn.Name, o.Slug, r.email, o.Slug, strings.Join(in.Membership.Roles, ", ")))
	}
	return r.say("proved", fmt.Sprintf("Connection %s of %s vouches for %s.", conn.Name, o.Slug, r.email))
}

func (r *rehearsal) limits() session.Limits {
	return session.Limits{Idle: r.cfg.Session.Idle, Absolute: r.cfg.Session.Absolute}
}

// decide judges the request, if there is one, as the proxy would at the first app: by the rule
// that matches, and by the one that would if the app took the path for one in another case.
func (r *rehearsal) decide(f *policy.Facts, o tenancy.Organization) (policy.Decision, error) {
	if r.request.Path == "" {
		return policy.Decide(f), nil
	}
	path, err := policy.CanonicalPath(r.request.Path)
	if err != nil {
		return policy.Decision{}, fmt.Errorf("--path: %w", err)
	}
	app := r.cfg.Apps[0]
	f.Request = policy.Request{Method: r.request.Method, Path: path, Host: string(app.Host.Host(o.Slug))}
	f.Rule = app.Rules.Match(f.Request.Method, path)
	d := policy.Decide(f)
	other := app.Rules.MatchFold(f.Request.Method, path)
	if d.Verdict != policy.Allow || other == nil || other == f.Rule || other.Access == policy.Public {
		return d, nil
	}
	f.Rule = other
	return policy.Decide(f), nil
}

func (r *rehearsal) say(what, why string) error {
	r.step++
	_, err := fmt.Fprintf(r.w, "%d. %s: %s\n", r.step, what, why)
	return err
}
