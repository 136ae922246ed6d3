package api

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/orgate/orgate/audit/reader"
	"github.com/orgate/orgate/audit/trail"
	"github.com/orgate/orgate/internal/endpoint"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

const (
	// linkLife is how long the URL of an export is good.
	linkLife = 10 * time.Minute
	// linkPurpose is what links are sealed for.
	linkPurpose = "audit log export"
	// exportPath is where exports are fetched: it is not the reference's.
	exportPath = "/orgate/v1/audit_log_exports/"
	// maxLink is more than any token of a link has.
	maxLink = 256
	// patience is how long whoever fetches an export may take none of it.
	patience = time.Minute
)

type auditLogExport struct {
	Object    string            `json:"object"`
	ID        trail.ExportID    `json:"id"`
	State     trail.ExportState `json:"state"`
	URL       *string           `json:"url,omitzero"`
	CreatedAt time.Time         `json:"created_at"`
	UpdatedAt time.Time         `json:"updated_at"`
}

func (c *call) showExport(tx store.Tx, x trail.Export) (auditLogExport, error) {
	state, err := x.State(tx, c.now)
	o := auditLogExport{Object: "audit_log_export", ID: x.ID, State: state, CreatedAt: x.CreatedAt, UpdatedAt: x.CreatedAt}
	if state == trail.ExportReady {
		o.URL = new(c.api.link(x.ID, c.now.Add(linkLife)))
	}
	return o, err
}

// createAuditLogExport notes a wish. It is ready when all that was committed before it is in the log.
func (a *API) createAuditLogExport(c *call) error {
	if err := c.noQuery(); err != nil {
		return err
	}
	b, err := c.body()
	if err != nil {
		return err
	}
	org := tenancy.OrgID(b.required("organization_id"))
	f := trail.Filter{Start: b.requiredMoment("range_start"), End: b.requiredMoment("range_end"), Actions: b.texts("actions"), ActorIDs: b.texts("actor_ids"), Targets: b.texts("targets")}
	// actors is what actor_names was called.
	names, old := b.texts("actor_names"), b.texts("actors")
	f.ActorNames = append(names, old...)
	if err := b.done(); err != nil {
		return err
	}
	if !f.Start.Before(f.End) {
		return badRequest("invalid_audit_log_export_range_date", "Invalid date range: range_end must be behind range_start.")
	}
	head, err := a.Store.Head(c.ctx)
	if err != nil {
		return err
	}
	return c.post(http.StatusCreated, func(tx store.Tx) (any, error) {
		if _, err := c.organization(tx, org); err != nil {
			return nil, err
		}
		x, err := trail.CreateExport(tx, org, f, head, c.by, c.now)
		return auditLogExport{Object: "audit_log_export", ID: x.ID, State: trail.ExportPending, CreatedAt: x.CreatedAt, UpdatedAt: x.CreatedAt}, err
	})
}

func (a *API) getAuditLogExport(c *call) error {
	if err := c.noQuery(); err != nil {
		return err
	}
	id := trail.ExportID(c.r.PathValue("auditLogExportId"))
	var shown auditLogExport
	return c.viewed(&shown, func(tx store.Tx) error {
		x, err := tx.LogExport(id)
		if err == nil {
			_, err = c.organization(tx, x.Organization)
		}
		if e, ok := errors.AsType[*Error](err); errors.Is(err, tenancy.ErrNotFound) || ok && e.Status == http.StatusNotFound {
			return notFound("Audit Log Export", string(id))
		}
		if err != nil {
			return err
		}
		shown, err = c.showExport(tx, x)
		return err
	})
}

// link returns the URL of an export. Whoever has it may fetch that export until then, and nothing else: what is in
// it can't be made, or changed, without the installation's key.
func (a *API) link(id trail.ExportID, until time.Time) string {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(until.Unix()))
	token := base64.RawURLEncoding.EncodeToString(a.Webhooks().Box.Seal(linkPurpose, string(id), b[:]))
	u := a.ManagementURL().JoinPath(exportPath, string(id))
	u.RawQuery = url.Values{"token": {token}}.Encode()
	return u.String()
}

// guardLink lets a request through that has a link of ours which is still good.
func (a *API) guardLink(r *http.Request) (*http.Request, error) {
	if a.Admit != nil {
		let, err := a.Admit(r)
		if err != nil {
			return nil, err
		}
		r = let
	}
	gone := func(cause error) error {
		if wait, ok := a.rates.refused(a.Now()); !ok {
			return asAnswer(tooMany(wait))
		}
		return asAnswer(&Error{Status: http.StatusForbidden, Code: "link_expired", Message: "This link is not good, or not any more. Fetch the Audit Log Export again for a new one.", Err: cause})
	}
	q := parseQuery(r.URL.RawQuery)
	text, ok := q.text("token")
	if !ok || q.done() != nil || len(text) > maxLink {
		return nil, gone(errors.New("no token"))
	}
	sealed, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil, gone(err)
	}
	b, err := a.Webhooks().Box.Open(linkPurpose, r.PathValue("id"), sealed)
	if err != nil || len(b) != 8 {
		return nil, gone(errors.New("not sealed by us for this export"))
	}
	if a.Now().Unix() >= int64(binary.BigEndian.Uint64(b)) {
		return nil, gone(errors.New("expired"))
	}
	return r, nil
}

// fetchAuditLogExport writes the export as CSV, as it reads it.
func (a *API) fetchAuditLogExport(w http.ResponseWriter, r *http.Request) error {
	id := trail.ExportID(r.PathValue("id"))
	var x trail.Export
	var state trail.ExportState
	err := a.Store.View(r.Context(), func(tx store.Tx) (err error) {
		if x, err = tx.LogExport(id); err != nil {
			return err
		}
		o, err := tx.Organization(x.Organization)
		if err == nil && o.Deleting {
			err = tenancy.ErrNotFound
		}
		if err != nil {
			return err
		}
		state, err = x.State(tx, a.Now())
		return err
	})
	if errors.Is(err, tenancy.ErrNotFound) || err == nil && state != trail.ExportReady {
		return asAnswer(notFound("Audit Log Export", string(id)))
	}
	if err != nil {
		return asAnswer(err)
	}
	h := w.Header()
	h.Set("Content-Type", "text/csv; charset=utf-8")
	h.Set("Content-Disposition", `attachment; filename="`+string(x.ID)+`.csv"`)
	out := &patient{w: w, rc: http.NewResponseController(w)}
	if err := reader.WriteCSV(out, reader.Entries(r.Context(), a.Store, trail.LogOf(x.Organization), x.Filter, false)); err != nil {
		if !errors.Is(err, context.Canceled) {
			a.Logger.WarnContext(r.Context(), "export of an audit log was cut off", "export", x.ID, "cause", err)
		}
		panic(http.ErrAbortHandler) // so that it is not taken for whole
	}
	return nil
}

// A patient writer gives the client time for each part, and not for all of it.
type patient struct {
	w  http.ResponseWriter
	rc *http.ResponseController
}

// Write implements [io.Writer].
func (p *patient) Write(b []byte) (int, error) {
	_ = p.rc.SetWriteDeadline(time.Now().Add(patience)) // a writer without deadlines is a test's
	return p.w.Write(b)
}

// exportRoute is where exports are fetched.
func (a *API) exportRoute() endpoint.Route {
	return endpoint.Route{Side: endpoint.Management, Pattern: "GET " + exportPath + "{id}", Access: endpoint.Link, Handle: a.fetchAuditLogExport}
}
