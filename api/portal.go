package api

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// createPortalLink makes a link to the admin portal of an organization.
func (a *API) createPortalLink(c *call) error {
	b, err := c.body()
	if err != nil {
		return err
	}
	l := tenancy.PortalLink{Organization: tenancy.OrgID(b.required("organization"))}
	if s := b.text("intent"); s != nil {
		l.Intent = portalIntent(b, *s)
	}
	for name, to := range map[string]*string{"return_url": &l.ReturnURL, "success_url": &l.SuccessURL} {
		if s := b.text(name); s != nil {
			if *to = *s; tenancy.CheckPortalURL(*s) != nil {
				b.fault("invalid", name, "must be an https URL, or one at localhost")
			}
		}
	}
	l.Contacts = portalContacts(b)
	b.unsupported("intent_options")
	if err := errors.Join(c.noQuery(), b.done()); err != nil {
		return err
	}
	return c.postSecret(http.StatusCreated, func(tx store.Tx) (any, error) {
		o, err := c.organization(tx, l.Organization)
		if err != nil {
			return nil, err
		}
		if o.Suspended {
			return nil, badRequest("organization_suspended", "The organization is suspended: nobody gets in, and no link leads to its portal.")
		}
		_, token, err := tenancy.CreatePortalLink(tx, l, c.by, c.now)
		return struct {
			Link string `json:"link"`
		}{strings.TrimSuffix(a.PublicURL().String(), "/") + "/portal/" + token.Reveal()}, err
	})
}

func portalIntent(b body, s string) tenancy.PortalIntent {
	intent := tenancy.PortalIntent(s)
	switch {
	case s == "bring_your_own_key":
		b.fault("not_supported", "intent", "bring_your_own_key is not supported")
	case !slices.Contains(tenancy.PortalIntents(), intent):
		b.fault("invalid", "intent", "must be one of sso, dsync, audit_logs, log_streams, domain_verification, certificate_renewal")
	}
	return intent
}

// portalContacts reads who looks after it at the organization. SDKs also know the list by its old name.
func portalContacts(b body) []string {
	list, old := b.texts("it_contact_emails"), b.texts("admin_emails")
	if list != nil && old != nil {
		b.fault("invalid", "admin_emails", "can't be given with it_contact_emails")
	}
	var contacts []string
	for _, s := range slices.Concat(list, old) {
		email, err := tenancy.ParseEmail(s)
		if err != nil {
			b.fault("invalid", "it_contact_emails", "must be e-mail addresses")
			break
		}
		contacts = append(contacts, email)
	}
	if len(contacts) > tenancy.MaxPortalContacts {
		b.fault("invalid", "it_contact_emails", "must have no more than 20 values")
	}
	return contacts
}
