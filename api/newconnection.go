package api

import (
	"errors"
	"net/http"

	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// A ConnectionInput is a connection as it is asked for. The fields are those of the configuration, by the same names.
type ConnectionInput struct {
	Name, Type                                                                            string
	Disabled                                                                              bool
	Issuer, ClientID, ClientSecret, GroupsClaim                                           string
	Scopes, Certificates                                                                  []string
	MetadataURL, EntityID, SSOURL, SLOURL, Binding, NameID                                string
	SignRequests, IDPInitiated                                                            bool
	EmailAttribute, NameAttribute, FirstNameAttribute, LastNameAttribute, GroupsAttribute string
}

// String and GoString hide the secret.
func (ConnectionInput) String() string { return "[connection]" }

// GoString hides it from %#v too.
func (ConnectionInput) GoString() string { return "[connection]" }

// Connections are what the configuration says of connections that it does not give itself.
type Connections interface {
	// Check returns the connection as it is kept, without its organization, id and secret; or what is wrong with the fields.
	Check(ConnectionInput) (tenancy.Connection, []Fault)
	// Seal seals the secret of a connection's client.
	Seal(tenancy.ConnectionID, string) []byte
}

// createConnection makes a connection of an organization whose connections the configuration does not give.
func (a *API) createConnection(c *call) error {
	b, err := c.body()
	if err != nil {
		return err
	}
	in := ConnectionInput{Name: b.required("name"), Type: b.required("type"), Scopes: b.texts("scopes"), Certificates: b.texts("certificates")}
	for name, to := range map[string]*string{
		"issuer": &in.Issuer, "client_id": &in.ClientID, "client_secret": &in.ClientSecret, "groups_claim": &in.GroupsClaim, "metadata_url": &in.MetadataURL, "entity_id": &in.EntityID,
		"sso_url": &in.SSOURL, "slo_url": &in.SLOURL, "binding": &in.Binding, "name_id": &in.NameID, "email_attribute": &in.EmailAttribute, "name_attribute": &in.NameAttribute,
		"first_name_attribute": &in.FirstNameAttribute, "last_name_attribute": &in.LastNameAttribute, "groups_attribute": &in.GroupsAttribute,
	} {
		if s := b.text(name); s != nil {
			*to = *s
		}
	}
	for name, to := range map[string]*bool{"disabled": &in.Disabled, "sign_requests": &in.SignRequests, "idp_initiated": &in.IDPInitiated} {
		if f := b.flag(name); f != nil {
			*to = *f
		}
	}
	var conn tenancy.Connection
	if len(*b.all) == 0 {
		var faults []Fault
		conn, faults = a.Connections.Check(in)
		*b.all = append(*b.all, faults...)
	}
	if err := errors.Join(c.noQuery(), b.done()); err != nil {
		return err
	}
	return c.post(http.StatusCreated, func(tx store.Tx) (any, error) {
		o, err := c.organization(tx, tenancy.OrgID(c.r.PathValue("organizationId")))
		if err != nil {
			return nil, err
		}
		if err := tenancy.CheckManaged(o, tenancy.SectionConnections); err != nil {
			return nil, err
		}
		made := conn
		made.Organization = o.ID
		if conn.OIDC != nil {
			made.OIDC = new(*conn.OIDC)
		}
		made, err = tenancy.AddConnection(tx, made, c.by, c.now)
		switch {
		case errors.Is(err, tenancy.ErrTaken):
			return nil, conflict("connection_name_conflict", "The organization has a connection of this name.")
		case errors.Is(err, tenancy.ErrConnectionLimit):
			return nil, &Error{Status: http.StatusBadRequest, Code: "connection_limit_exceeded", Message: "The organization has 100 connections, which is the most. Delete those that nobody uses.", Err: err}
		}
		if err == nil && in.ClientSecret != "" {
			// No change of its own: it is sealed for the id, which it has only now.
			made.OIDC.ClientSecret = a.Connections.Seal(made.ID, in.ClientSecret)
			err = tx.PutConnection(made)
		}
		return tenancy.ShowConnection(made), err
	})
}
