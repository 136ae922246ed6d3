package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/audit/hook"
	"github.com/orgate/orgate/config"
	"github.com/orgate/orgate/internal/egress"
	"github.com/orgate/orgate/internal/mail"
	"github.com/orgate/orgate/internal/seal"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// An operation is a change that a command asks for. It is one transaction: at the running
// orgate, if one has the store, and at the store itself otherwise.
type operation func(tx store.Tx, o operating, args url.Values) (said string, err error)

// operating is what operations know of the installation.
type operating struct {
	rules tenancy.Rules
	// mail puts mails into the queue; nil: none can be sent.
	mail *mail.Queue
	host string // of the login host, for mails
	// public is the URL of the login host, for links.
	public *url.URL
	// webhooks are the rules of their endpoints.
	webhooks hook.Rules
	by       audit.Actor
	now      time.Time
	clock    func() time.Time
	// unindexed: the store is of an older version, so that nobody can say who is the last administrator.
	unindexed bool
	// then takes what is to be done once the change is committed, in transactions of its own.
	then *func(context.Context, *store.Store) error
}

// operations are the commands that can be asked for, by name.
func operations() map[string]operation {
	return map[string]operation{
		"org create": createOrganization, "org list": listOrganizations, "org update": updateOrganization, "org delete": deleteOrganization,
		"member add": addMember, "member list": listMembers, "member role": changeMember(setMemberRole), "member deactivate": changeMember(deactivateMember),
		"member reactivate": changeMember(reactivateMember), "member remove": changeMember(removeMember),
		"user create": createUser, "user list": listUsers, "user update": updateUser, "user delete": deleteUser,
		"user unlink": unlinkUser, "user reset-mfa": resetMFA, "saml show": showSAML,
		"invite create": createInvitation, "invite list": listInvitations, "invite resend": resendInvitation, "invite revoke": revokeInvitation,
		"webhook create": createWebhook, "webhook list": listWebhooks, "webhook enable": enableWebhook, "webhook disable": disableWebhook,
		"webhook rotate": rotateWebhook, "webhook delete": deleteWebhook, "webhook redeliver": redeliverWebhooks,
		"api-key create": createAPIKey, "api-key list": listAPIKeys, "api-key revoke": revokeAPIKey,
	}
}

func operatingOf(c *config.Config, box *seal.Box, name string) operating {
	o := operating{rules: c.Rules(), host: c.PublicURL.Host, public: c.PublicURL.URL, by: audit.Actor{Type: "system", Name: "orgate " + name}, now: time.Now(), clock: time.Now}
	o.webhooks = hook.Rules{CheckURL: egress.New(egressOptions(c, nil)).CheckURL, Box: box}
	if c.Mail != nil {
		o.mail = mail.NewQueue(box)
	}
	return o
}

// operate carries out an operation and returns what it says.
func operate(ctx context.Context, c *config.Config, name string, args url.Values) (said string, err error) {
	err = withStore(ctx, c, func(s *store.Store) error {
		// No orgate of this version may have run on it yet. Where others may be running on it, of an older version, it is not done
		// before them: what they write afterwards would stay without.
		if c.Store.Postgres == nil {
			if err := s.Reindex(ctx); err != nil {
				return err
			}
		}
		indexed, err := s.Indexed(ctx)
		if err != nil {
			return err
		}
		box, err := openBox(c)
		if err != nil {
			return err
		}
		o := operatingOf(c, box, name)
		o.unindexed = !indexed
		said, err = carryOut(ctx, s, o, name, args)
		return err
	})
	if errors.Is(err, store.ErrLocked) {
		return operateRunning(ctx, string(c.Store.Badger.Dir), name, args)
	}
	return said, err
}

func carryOut(ctx context.Context, s *store.Store, o operating, name string, args url.Values) (said string, err error) {
	f, ok := operations()[name]
	if !ok {
		return "", fmt.Errorf("no operation %q", name)
	}
	var then func(context.Context, *store.Store) error
	o.then = &then
	err = s.Update(ctx, func(tx store.Tx) (err error) {
		then = nil
		said, err = f(tx, o, args)
		return err
	})
	if err == nil && then != nil {
		err = then(context.WithoutCancel(ctx), s)
	}
	return said, err
}

// How long what is asked may be, and what is said to it.
const (
	maxOperation = 64 << 10
	maxSaid      = 8 << 20
)

// serveOperation carries out what a command on this machine asks of the running orgate.
func (g *gateway) serveOperation(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxOperation)
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	name := r.PathValue("name")
	said, err := carryOut(r.Context(), g.store, operatingOf(g.config(), g.box, name), name, r.PostForm)
	if err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	g.log.InfoContext(r.Context(), "operation", "name", name)
	_, _ = io.WriteString(w, said) // who asked is gone, and it is done all the same
}

// operateRunning asks the orgate that has the store.
func operateRunning(ctx context.Context, dir, name string, args url.Values) (said string, err error) {
	err = askRunning(ctx, dir, http.MethodPost, "/operations/"+url.PathEscape(name), args, func(body io.Reader) error {
		b, err := io.ReadAll(io.LimitReader(body, maxSaid))
		said = string(b)
		return err
	})
	return said, err
}
