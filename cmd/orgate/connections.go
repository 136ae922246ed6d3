package main

import (
	"github.com/orgate/orgate/api"
	"github.com/orgate/orgate/config"
	"github.com/orgate/orgate/config/apply"
	"github.com/orgate/orgate/tenancy"
)

// connections lets the API make connections as the configuration would.
type connections struct{ g *gateway }

// Check implements [api.Connections].
func (c connections) Check(in api.ConnectionInput) (tenancy.Connection, []api.Fault) {
	checked, faults := c.g.config().CheckConnection(config.Connection{
		Name: in.Name, Type: in.Type, Disabled: in.Disabled, Issuer: config.Issuer(in.Issuer), ClientID: in.ClientID, ClientSecret: config.NewSecret(in.ClientSecret), Scopes: in.Scopes,
		GroupsClaim: in.GroupsClaim, MetadataURL: in.MetadataURL, EntityID: in.EntityID, SSOURL: in.SSOURL, SLOURL: in.SLOURL, Binding: in.Binding, Certificates: in.Certificates,
		SignRequests: in.SignRequests, IDPInitiated: in.IDPInitiated, NameID: in.NameID, EmailAttribute: in.EmailAttribute, NameAttribute: in.NameAttribute,
		FirstNameAttribute: in.FirstNameAttribute, LastNameAttribute: in.LastNameAttribute, GroupsAttribute: in.GroupsAttribute,
	})
	var out []api.Fault
	for _, f := range faults {
		out = append(out, api.Fault{Code: "invalid", Field: f.Field, Message: f.Field + " " + f.Message})
	}
	return checked.Settings(""), out
}

// Seal implements [api.Connections].
func (c connections) Seal(id tenancy.ConnectionID, secret string) []byte {
	return apply.SealClientSecret(c.g.box, id, secret)
}
