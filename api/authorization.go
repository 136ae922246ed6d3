package api

import (
	"errors"
	"net/netip"
	"strings"
	"time"

	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// An App is what of an app of the configuration checks are made by.
type App struct {
	Name  string
	Rules policy.Rules
	// Host is where the organization of a slug is reached.
	Host func(tenancy.Slug) tenancy.Host
}

const (
	// checkPattern is a POST that changes nothing: a key that may only read may ask.
	checkPattern = "POST /orgate/v1/authorization/check"
	// maxConditions is how many conditions are kept, compiled or refused. Apps ask the same few again and again.
	maxConditions = 256
	// maxConditionKept is how long one is in bytes that is kept: whatever is longer is refused without a look at it.
	maxConditionKept = 16 << 10
)

// A checkObject is the answer to a check.
type checkObject struct {
	Object     string `json:"object"`
	Authorized bool   `json:"authorized"`
	// Code is the reason in one word of a closed list, and Reason in a sentence for people.
	Code   string `json:"code"`
	Reason string `json:"reason"`
}

// A check is what is asked of a member.
type check struct {
	membership string
	rule       policy.Rule // of the question itself, unless it is about a route
	app        *App
	request    policy.Request
	at         time.Time // zero: now
}

// checkAuthorization says whether a member may do something: by role, permission and condition, or by the
// route rules of an app. It takes the person for signed in as the policies ask; what it can't
// evaluate it denies.
func (a *API) checkAuthorization(c *call) error {
	b, err := c.body()
	if err != nil {
		return err
	}
	q, nested := a.readCheck(b)
	if err := errors.Join(c.noQuery(), b.done(nested...)); err != nil {
		return err
	}
	var shown checkObject
	return c.viewed(&shown, func(tx store.Tx) error {
		m, err := c.membershipByID(tx, q.membership)
		if err != nil {
			return err
		}
		f, err := session.MemberFacts(tx, m, c.now)
		if err != nil {
			return err
		}
		if f.Request = q.request; !q.at.IsZero() {
			// The person has signed in by then, whenever that is.
			f.Now = q.at
			f.Proofs = []policy.Proof{{Method: policy.EmailCode, At: q.at}}
		}
		var d policy.Decision
		if q.app == nil {
			f.Rule = &q.rule
			d = policy.Decide(&f)
		} else {
			o, err := tx.Organization(m.Organization)
			if err != nil {
				return err
			}
			if f.Request.Host == "" {
				f.Request.Host = string(q.app.Host(o.Slug))
			}
			f.Rule = q.app.Rules.Match(f.Request.Method, f.Request.Path)
			d = q.app.Rules.Decide(&f)
		}
		shown = checkObject{Object: "authorization_check", Authorized: d.Verdict == policy.Allow, Code: d.Reason.String(), Reason: d.Explain(&f)}
		return nil
	})
}

// readCheck reads what is asked, and returns the objects within the body.
func (a *API) readCheck(b body) (q check, nested []body) {
	q.membership = b.required("organization_membership_id")
	if s := b.text("role_slug"); s != nil {
		if q.rule.Role = *s; *s == "" {
			b.fault("required", "role_slug", "must not be empty")
		}
	}
	if s := b.text("permission_slug"); s != nil {
		if q.rule.Permission = *s; *s == "" {
			b.fault("required", "permission_slug", "must not be empty")
		}
	}
	if s := b.text("condition"); s != nil {
		var err error
		if q.rule.When, err = a.condition(*s); err != nil {
			b.fault("invalid", "condition", "is no condition: "+err.Error())
		}
	}
	asked := q.rule.Role != "" || q.rule.Permission != "" || q.rule.When != nil
	if context, ok := b.object("context"); ok {
		nested = append(nested, context)
		q.readContext(context)
	}
	if route, ok := b.object("route"); ok {
		nested = append(nested, route)
		if q.request.Method != "" || q.request.Path != "" {
			b.fault("invalid", "route", "can't be given with context.method or context.path: it has its own")
		}
		if asked {
			b.fault("invalid", "route", "can't be given with role_slug, permission_slug or condition: what it asks for is in the configuration")
		}
		a.readRoute(&q, route)
	} else if !asked && len(*b.all) == 0 {
		// An app that sends nothing, for want of a name, must not read that as a yes.
		b.fault("required", "permission_slug", "or role_slug, condition or route is required")
	}
	return q, nested
}

// readContext reads what is known of the request that the app judges.
func (q *check) readContext(b body) {
	if s := b.text("ip"); s != nil {
		if _, err := netip.ParseAddr(*s); err != nil {
			b.fault("invalid", "ip", "must be an IP address")
		}
		q.request.RemoteIP = *s
	}
	if s := b.text("country"); s != nil {
		// As the proxy reads it: an app hands on what a header says.
		var ok bool
		if q.request.Country, ok = policy.Country(*s); !ok && *s != "" {
			b.fault("invalid", "country", "must have two letters")
		}
	}
	if s := b.text("method"); s != nil {
		q.request.Method = readMethod(b, *s)
	}
	if s := b.text("path"); s != nil {
		q.request.Path = readPath(b, *s)
	}
	if s := b.text("host"); s != nil {
		h, _, err := tenancy.ParseHost(*s)
		if err != nil {
			b.fault("invalid", "host", "must be a host name")
		}
		q.request.Host = string(h)
	}
	if s := b.text("time"); s != nil {
		t, err := time.Parse(time.RFC3339, *s)
		if err != nil || t.IsZero() {
			b.fault("invalid", "time", "must be a time such as 2026-03-30T08:00:00Z")
		}
		q.at = t
	}
}

// readRoute reads of which request to which app the route rules are asked.
func (a *API) readRoute(q *check, b body) {
	name := b.text("app")
	method, path := b.required("method"), b.required("path")
	if method != "" {
		q.request.Method = readMethod(b, method)
	}
	if path != "" {
		q.request.Path = readPath(b, path)
	}
	apps := a.Apps()
	for i := range apps {
		if name == nil || apps[i].Name == *name {
			q.app = &apps[i]
			return
		}
	}
	b.fault("invalid", "app", "is not the name of an app of the configuration")
}

func readMethod(b body, s string) string {
	s = strings.ToUpper(s)
	if s == "" || len(s) > 32 || strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-_") != "" || s == "CONNECT" || s == "TRACE" || s == "TRACK" || s == "PRI" {
		b.fault("invalid", "method", "must be an HTTP method that an app can get")
	}
	return s
}

// readPath reads a path as the proxy would. What the proxy refuses, or judges by more than one reading,
// has no answer here.
func readPath(b body, s string) string {
	path, err := policy.CanonicalPath(s)
	switch first, _, _ := strings.Cut(strings.TrimLeft(path, "/"), "/"); {
	case err != nil:
		b.fault("invalid", "path", "must be a path that can be read in one way only")
	case strings.EqualFold(first, ".orgate"):
		b.fault("invalid", "path", "is one of orgate's own, and reaches no app")
	}
	return path
}

// A compiled condition of a check, or what is wrong with it.
type compiled struct {
	condition *policy.Condition
	err       error
}

// condition compiles a condition, or returns what came of it before: to refuse one takes as long as to compile it.
func (a *API) condition(expr string) (*policy.Condition, error) {
	if c, ok := a.conditions.Get(expr); ok {
		return c.condition, c.err
	}
	c, err := policy.ParseCondition(expr)
	if len(expr) <= maxConditionKept {
		a.conditions.Add(expr, compiled{c, err})
	}
	return c, err
}
