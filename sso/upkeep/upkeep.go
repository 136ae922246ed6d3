// Package upkeep looks after SAML connections: it fetches what their providers publish of
// themselves, makes our keys before the old ones end, and warns of certificates that end.
//
// It owns when that is done, and which of several replicas does it. It does not own what metadata
// means (sso/saml) or what becomes of a connection by it (package tenancy).
//
// The invariant: whatever a provider publishes, or fails to, the last good version stays in
// force, and a connection is never left without a certificate or made another provider's.
package upkeep

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/egress"
	"github.com/orgate/orgate/internal/id"
	"github.com/orgate/orgate/internal/seal"
	"github.com/orgate/orgate/internal/worker"
	"github.com/orgate/orgate/sso/idp"
	"github.com/orgate/orgate/sso/saml"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

const (
	defaultParallel = 8
	defaultPoll     = 15 * time.Second
	// commitTimeout is how long writing an outcome down may take, also while we are told to stop.
	commitTimeout = 5 * time.Second
)

// MaxMetadata is how long a document may be, and FetchTimeout how long it may take to come.
const (
	MaxMetadata  = 2 << 20
	FetchTimeout = 20 * time.Second
)

// Options are what a Keeper needs.
type Options struct {
	Store *store.Store
	// Egress makes the calls. It must allow answers of [MaxMetadata].
	Egress *egress.Client
	// Box seals our keys.
	Box    *seal.Box
	Logger *slog.Logger
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// Count is told how each look ended, as one of a closed list of words; nil: nobody is.
	Count func(outcome string)
	// Parallel is how many connections are looked after at once, and Poll how often the
	// store is asked for what is due; 0: the defaults.
	Parallel int
	Poll     time.Duration
}

// A Keeper looks after connections.
type Keeper struct {
	o      Options
	worker *worker.Worker[tenancy.SAMLCare]
}

// New returns a Keeper. It hears of connections that are made or changed from now on, or may be used again.
func New(o Options) *Keeper {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Count == nil {
		o.Count = func(string) {}
	}
	o.Parallel, o.Poll = cmp.Or(o.Parallel, defaultParallel), cmp.Or(o.Poll, defaultPoll)
	k := &Keeper{o: o}
	k.worker = worker.New(worker.Options[tenancy.SAMLCare]{
		Take: k.take, Do: k.look, Parallel: o.Parallel, Poll: o.Poll,
		Failed: func(ctx context.Context, err error) {
			o.Logger.ErrorContext(ctx, "SAML connections that are due can't be read; tried again", "cause", err)
		},
	})
	o.Store.OnCommit(func(events []audit.Event) {
		for i := range events {
			if events[i].Connection != "" && strings.Contains(events[i].Name, "connection.") || events[i].Name == audit.OrganizationResumed {
				k.worker.Poke()
				return
			}
		}
	})
	return k
}

// Run looks after what is due until ctx is done, and returns when nothing is under way any more.
func (k *Keeper) Run(ctx context.Context) { k.worker.Run(ctx) }

// take takes up to n connections that are due.
func (k *Keeper) take(ctx context.Context, n int) (due []tenancy.SAMLCare, err error) {
	now := k.o.Now()
	some := false
	err = k.o.Store.View(ctx, func(tx store.Tx) error {
		some = false
		for _, err := range tx.DueSAML(now) {
			some = err == nil
			return err
		}
		return nil
	})
	if err != nil || !some || n == 0 { // reading costs less than writing
		return nil, err
	}
	err = k.o.Store.Update(ctx, func(tx store.Tx) (err error) {
		due, err = tenancy.DueSAML(tx, n, now)
		return err
	})
	return due, err
}

// look looks after one connection: first our keys, without which it can't be used at all.
func (k *Keeper) look(ctx context.Context, care tenancy.SAMLCare) {
	c := care.Connection
	log := k.o.Logger.With("organization_id", c.Organization, "connection_id", c.ID, "connection", c.Name)
	if tenancy.SAMLKeyDue(care.State, k.o.Now()) {
		if _, err := k.NewKey(ctx, c, false, audit.System); err != nil {
			log.ErrorContext(ctx, "no key could be made for a SAML connection; tried again", "cause", err)
			k.o.Count("key_failed")
			return // it is due again when its lease ends
		}
	}
	var found *tenancy.SAMLProvider
	var fault string
	if c.SAML.MetadataURL != "" {
		p, err := k.fetch(ctx, *c.SAML)
		if ctx.Err() != nil {
			return // it is due again when its lease ends
		}
		if err != nil {
			fault = saml.Reason(err)
		} else {
			found = &p
		}
	}
	commit, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	var s tenancy.SAMLState
	var change tenancy.SAMLChange
	err := k.o.Store.Update(commit, func(tx store.Tx) (err error) {
		s, change, err = tenancy.ConcludeSAML(tx, care, found, fault, k.o.Now())
		return err
	})
	switch {
	case errors.Is(err, tenancy.ErrState), errors.Is(err, tenancy.ErrNotFound):
		log.DebugContext(ctx, "SAML connection has changed while it was looked after")
		return
	case err != nil:
		log.ErrorContext(ctx, "what came of looking after a SAML connection can't be written", "cause", err)
		return
	}
	k.tell(ctx, log, s, change)
}

// tell logs and counts what came of a look: warnings are what somebody must do something about.
func (k *Keeper) tell(ctx context.Context, log *slog.Logger, s tenancy.SAMLState, change tenancy.SAMLChange) {
	switch {
	case s.Fault != "":
		k.o.Count("metadata_failed")
		level := slog.LevelDebug
		if change.Failed {
			level = slog.LevelWarn
		}
		log.Log(ctx, level, "metadata of a SAML provider can't be used; the last good one stays in force",
			"reason", s.Fault, "since", s.FaultSince, "last_good", s.FetchedAt, "next", s.Next)
	case change.Metadata:
		k.o.Count("metadata_changed")
		log.InfoContext(ctx, "metadata of a SAML provider has changed", "entity_id", s.Provider.EntityID, "certificates", len(s.Provider.Certificates))
	default:
		k.o.Count("unchanged")
	}
	if change.Warn {
		k.o.Count("certificate_warning")
		log.WarnContext(ctx, "the last certificate of a SAML provider ends: nothing it signs with another is accepted until the connection has that one",
			"days_left", change.ExpiresInDays, "expires_at", s.WarnedOf)
	}
}

// fetch asks for what a provider publishes.
func (k *Keeper) fetch(ctx context.Context, c tenancy.SAMLConnection) (tenancy.SAMLProvider, error) {
	ctx, cancel := context.WithTimeout(ctx, FetchTimeout)
	defer cancel()
	document, err := k.get(ctx, c.MetadataURL)
	if err != nil {
		return tenancy.SAMLProvider{}, err
	}
	p, err := saml.ParseMetadata(document, c.EntityID, k.o.Now())
	if err != nil {
		return tenancy.SAMLProvider{}, err
	}
	for _, e := range append(append([]saml.Endpoint{}, p.SSO...), p.SLO...) {
		for _, to := range []string{e.URL, e.ResponseURL} {
			if to == "" {
				continue
			}
			// A browser is sent there: by https, but in development.
			if err := k.o.Egress.CheckURL(to); err != nil {
				return tenancy.SAMLProvider{}, refused(idp.CodeForbidden, "an address in the metadata: "+err.Error(), err)
			}
		}
	}
	return p.Record()
}

func (k *Keeper) get(ctx context.Context, from string) ([]byte, error) {
	if err := k.o.Egress.CheckURL(from); err != nil {
		return nil, refused(idp.CodeForbidden, "metadata_url: "+err.Error(), err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, refused(idp.CodeForbidden, "metadata_url can't be asked", err)
	}
	req.Header.Set("Accept", "application/samlmetadata+xml, application/xml, text/xml, */*;q=0.1")
	resp, err := k.o.Egress.HTTP.Do(req)
	if err != nil {
		code, detail := idp.CallFailed("metadata_url", err)
		return nil, refused(code, detail, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, refused(idp.CodeUnavailable, fmt.Sprintf("metadata_url: status %d", resp.StatusCode), nil)
	}
	document, err := io.ReadAll(io.LimitReader(resp.Body, MaxMetadata+1))
	if err != nil {
		code, detail := idp.CallFailed("metadata_url", err)
		return nil, refused(code, detail, err)
	}
	if len(document) > MaxMetadata {
		return nil, refused(idp.CodeTooLarge, "metadata_url: more than 2 MiB", nil)
	}
	return document, nil
}

func refused(code idp.Code, detail string, cause error) error {
	return &idp.Error{Protocol: "saml", Code: code, Detail: idp.Printable(detail, idp.MaxDetail), Err: cause}
}

// NewKey makes another key pair of ours for a connection, if one is due, or because it is asked
// for (anew). It returns the connection's state as it is afterwards. The error wraps those of
// [tenancy.AddSAMLKey].
func (k *Keeper) NewKey(ctx context.Context, c tenancy.Connection, anew bool, by audit.Actor) (s tenancy.SAMLState, err error) {
	now := k.o.Now()
	// Made before the transaction: it takes long, and a transaction may run twice.
	pair, err := saml.NewKey("orgate "+c.Name, now)
	if err != nil {
		return s, err
	}
	plain, err := pair.Marshal()
	if err != nil {
		return s, err
	}
	row := tenancy.SAMLKey{ID: id.New("key", now), Certificate: pair.Certificate, ExpiresAt: now.UTC().Add(saml.KeyLife)}
	row.Private = k.o.Box.Seal(tenancy.SAMLKeyPurpose, tenancy.SAMLKeyAbout(c.ID, row.ID), plain)
	err = k.o.Store.Update(ctx, func(tx store.Tx) (err error) {
		s, err = tenancy.AddSAMLKey(tx, c.Organization, c.ID, row, anew, by, now)
		return err
	})
	return s, err
}
