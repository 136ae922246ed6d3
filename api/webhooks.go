package api

import (
	"errors"
	"net/http"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/audit/hook"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// A webhookEndpoint always has a secret: an empty one, but for whoever has just made it.
type webhookEndpoint struct {
	hook.Object
	Secret string `json:"secret"`
}

func showWebhookEndpoint(e hook.Endpoint, secret string) webhookEndpoint {
	return webhookEndpoint{e.Object(), secret}
}

// webhookError says what went wrong with the endpoint of that id, in the words of the reference.
func webhookError(err error, id string) error {
	refused := func(status int, code, message string) error {
		return &Error{Status: status, Code: code, Message: message, Err: err}
	}
	switch {
	case errors.Is(err, tenancy.ErrNotFound):
		return notFound("Webhook Endpoint", id)
	case errors.Is(err, hook.ErrDuplicate):
		return refused(http.StatusConflict, "duplicate_endpoint", "Another webhook endpoint has this URL.")
	case errors.Is(err, hook.ErrManaged):
		return refused(http.StatusConflict, "managed_by_config", "The configuration owns this webhook endpoint, under webhooks. Change it there.")
	case errors.Is(err, hook.ErrFull):
		return refused(http.StatusConflict, "too_many_endpoints", "There are as many webhook endpoints as there can be.")
	case errors.Is(err, hook.ErrURL):
		return refused(http.StatusUnprocessableEntity, "invalid_url", "endpoint_url must be an https URL that orgate may call.")
	case errors.Is(err, hook.ErrEvent):
		return refused(http.StatusUnprocessableEntity, "unknown_event_type", "One of events is none that can be subscribed to.")
	}
	return err
}

// subscribed reads the names of events; nil: not given. All that there are can be named.
func subscribed(b body) []string { return b.textsUpTo("events", len(audit.Subscribable())) }

func (a *API) listWebhookEndpoints(c *call) error {
	q := c.query()
	p := q.page("we", descending)
	if err := errors.Join(q.done(), c.everywhere()); err != nil {
		return err
	}
	var e envelope[webhookEndpoint]
	return c.viewed(&e, func(tx store.Tx) error {
		all, err := hook.List(tx)
		if err != nil {
			return err
		}
		e, err = listPage(p, inMemory(all, func(e hook.Endpoint) string { return string(e.ID) }), func(e hook.Endpoint) (webhookEndpoint, error) { return showWebhookEndpoint(e, ""), nil })
		return err
	})
}

func (a *API) createWebhookEndpoint(c *call) error {
	if err := errors.Join(c.noQuery(), c.everywhere()); err != nil {
		return err
	}
	b, err := c.body()
	if err != nil {
		return err
	}
	given := b.fields["events"] != nil
	to, events := b.required("endpoint_url"), subscribed(b)
	if !given {
		b.fault("required", "events", "is required")
	}
	if err := b.done(); err != nil {
		return err
	}
	return c.postSecret(http.StatusCreated, func(tx store.Tx) (any, error) {
		e, secret, err := hook.Create(tx, a.Webhooks(), hook.Wish{URL: &to, Events: events}, c.by, c.now)
		return showWebhookEndpoint(e, secret), webhookError(err, "")
	})
}

func (a *API) updateWebhookEndpoint(c *call) error {
	if err := errors.Join(c.noQuery(), c.everywhere()); err != nil {
		return err
	}
	b, err := c.body()
	if err != nil {
		return err
	}
	wish := hook.Wish{URL: b.text("endpoint_url"), Events: subscribed(b)}
	if s := b.text("status"); s != nil {
		if *s != "enabled" && *s != "disabled" {
			b.fault("invalid", "status", "must be one of enabled, disabled")
		}
		wish.Disabled = new(*s == "disabled")
	}
	if err := b.done(); err != nil {
		return err
	}
	id := c.r.PathValue("id")
	var shown webhookEndpoint
	return c.changed(&shown, func(tx store.Tx) error {
		e, err := hook.Update(tx, a.Webhooks(), hook.ID(id), wish, c.by, c.now)
		shown = showWebhookEndpoint(e, "")
		return webhookError(err, id)
	})
}

// redeliverWebhooks sends an endpoint one event again, or all that it is subscribed to since a time, as long as
// they are kept. They are queued here, and on their way when the answer is read.
func (a *API) redeliverWebhooks(c *call) error {
	if err := errors.Join(c.noQuery(), c.everywhere()); err != nil {
		return err
	}
	b, err := c.body()
	if err != nil {
		return err
	}
	event, since := b.text("event_id"), b.text("since")
	var from time.Time
	switch {
	case event == nil && since == nil && len(*b.all) == 0:
		b.fault("required", "event_id", "or since is required")
	case event != nil && since != nil:
		b.fault("invalid", "since", "can't be given with event_id")
	case since != nil:
		if from, err = time.Parse(time.RFC3339, *since); err != nil {
			b.fault("invalid", "since", "must be a time such as 2026-05-01T00:00:00Z")
		}
	}
	if err := b.done(); err != nil {
		return err
	}
	id := c.r.PathValue("id")
	return c.post(http.StatusAccepted, func(tx store.Tx) (any, error) {
		if _, err := hook.Get(tx, hook.ID(id)); err != nil {
			return nil, webhookError(err, id)
		}
		if event == nil {
			return redelivery{"webhook_redelivery", id}, hook.RedeliverSince(tx, hook.ID(id), from, c.now)
		}
		err := hook.Redeliver(tx, hook.ID(id), *event, c.now)
		if errors.Is(err, tenancy.ErrNotFound) {
			err = notFound("Event", *event)
		}
		return redelivery{"webhook_redelivery", id}, err
	})
}

// A redelivery says that webhooks will be sent again.
type redelivery struct {
	Object   string `json:"object"`
	Endpoint string `json:"webhook_endpoint_id"`
}

func (a *API) deleteWebhookEndpoint(c *call) error {
	if err := errors.Join(c.noQuery(), c.everywhere()); err != nil {
		return err
	}
	id := c.r.PathValue("id")
	return c.dropped(func(tx store.Tx) error {
		return webhookError(hook.Delete(tx, a.Webhooks(), hook.ID(id), c.by, c.now), id)
	})
}
