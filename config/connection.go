package config

import (
	"fmt"
	"slices"

	"github.com/orgate/orgate/sso/saml"
	"github.com/orgate/orgate/tenancy"
)

// A ConnectionFault says what is wrong with one field of a connection. Message is a predicate, such as "is no URL"; it never quotes a value.
type ConnectionFault struct{ Field, Message string }

// CheckConnection checks a connection that the YAML does not give, by what holds for those that it gives, and reads what it says of its provider. Nothing of it is
// expanded and no file is read: whoever gives it is not the operator. The fields are called as in the YAML.
func (c *Config) CheckConnection(in Connection) (Connection, []ConnectionFault) {
	check := &connectionCheck{grammars: newGrammars()}
	in.Provider = nil
	check.value("name", "name", in.Name)
	check.oneOf("type", in.Type, "oidc", "saml")
	check.values("scopes", "scope", in.Scopes)
	check.values("certificates", "certificate", in.Certificates)
	for field, v := range map[string]string{
		"client_id": in.ClientID, "client_secret": in.ClientSecret.Reveal(), "groups_claim": in.GroupsClaim, "entity_id": in.EntityID, "email_attribute": in.EmailAttribute, "name_attribute": in.NameAttribute,
		"first_name_attribute": in.FirstNameAttribute, "last_name_attribute": in.LastNameAttribute, "groups_attribute": in.GroupsAttribute,
	} {
		if _, err := parseText(v); err != nil {
			check.fault(field, err.Error())
		}
	}
	for field, v := range map[string]string{"metadata_url": in.MetadataURL, "sso_url": in.SSOURL, "slo_url": in.SLOURL} {
		if v != "" {
			check.value(field, "endpoint", v)
		}
	}
	if in.MetadataFile != "" {
		check.fault("metadata_file", "can't be given here: no file is read for the API")
	}
	for field, v := range map[string]string{"binding": in.Binding, "name_id": in.NameID} {
		switch {
		case v == "":
		case field == "binding":
			check.oneOf(field, v, "redirect", "post")
		default:
			check.oneOf(field, v, "persistent", "email", "unspecified")
		}
	}
	switch in.Type {
	case "oidc":
		c.checkOIDC(check, &in)
	case "saml":
		c.checkSAML(check, &in)
	}
	return in, check.faults
}

// A connectionCheck collects what is wrong with a connection.
type connectionCheck struct {
	grammars grammars
	faults   []ConnectionFault
}

func (k *connectionCheck) fault(field, message string) {
	k.faults = append(k.faults, ConnectionFault{field, message})
}

func (k *connectionCheck) value(field, grammar, v string) {
	if v == "" {
		k.fault(field, "is required")
		return
	}
	g := k.grammars.byName[grammar]
	if _, err := g.parse(v); err != nil {
		message := err.Error()
		if g.hint != "" {
			message += ": " + g.hint
		}
		k.fault(field, message)
	}
}

func (k *connectionCheck) values(field, grammar string, list []string) {
	for i, v := range list {
		k.value(fmt.Sprintf("%s[%d]", field, i), grammar, v)
	}
}

func (k *connectionCheck) oneOf(field, v string, of ...string) {
	if !slices.Contains(of, v) {
		k.fault(field, "must be one of "+listed(of))
	}
}

// without notes fields that another protocol than the connection's has.
func (k *connectionCheck) without(protocol string, given map[string]bool) {
	for field, is := range given {
		if is {
			k.fault(field, "is not for "+protocol)
		}
	}
}

func (c *Config) checkOIDC(k *connectionCheck, in *Connection) {
	if in.Scopes == nil {
		in.Scopes = []string{"email", "profile"}
	}
	if in.ClientID == "" {
		k.fault("client_id", "is required")
	}
	if in.Issuer == "" {
		k.fault("issuer", "is required")
	} else if _, err := parseIssuer(string(in.Issuer)); err != nil {
		k.fault("issuer", err.Error())
	} else if message, _ := c.Egress.refuses(string(in.Issuer)); message != "" {
		k.fault("issuer", "can't be asked: "+message)
	}
	k.without("oidc", map[string]bool{
		"metadata_url": in.MetadataURL != "", "entity_id": in.EntityID != "", "sso_url": in.SSOURL != "", "slo_url": in.SLOURL != "", "binding": in.Binding != "",
		"certificates": len(in.Certificates) > 0, "sign_requests": in.SignRequests, "idp_initiated": in.IDPInitiated, "name_id": in.NameID != "", "email_attribute": in.EmailAttribute != "",
		"name_attribute": in.NameAttribute != "", "first_name_attribute": in.FirstNameAttribute != "", "last_name_attribute": in.LastNameAttribute != "", "groups_attribute": in.GroupsAttribute != "",
	})
}

func (c *Config) checkSAML(k *connectionCheck, in *Connection) {
	k.without("saml", map[string]bool{
		"issuer": in.Issuer != "", "client_id": in.ClientID != "", "client_secret": !in.ClientSecret.IsZero(), "scopes": in.Scopes != nil, "groups_claim": in.GroupsClaim != "",
	})
	switch {
	case in.MetadataURL != "":
		for field, is := range map[string]bool{"sso_url": in.SSOURL != "", "slo_url": in.SLOURL != "", "binding": in.Binding != "", "certificates": len(in.Certificates) > 0} {
			if is {
				k.fault(field, "can't be given with metadata_url: the metadata says it")
			}
		}
		if message, _ := c.Egress.refuses(in.MetadataURL); message != "" {
			k.fault("metadata_url", "can't be asked: "+message)
		}
		return
	case in.SSOURL == "":
		k.fault("metadata_url", "is required, or entity_id, sso_url and certificates")
		return
	}
	if in.EntityID == "" {
		k.fault("entity_id", "is required without metadata_url")
	}
	if len(in.Certificates) == 0 {
		k.fault("certificates", "is required without metadata_url")
	}
	if len(k.faults) > 0 {
		return
	}
	p, ok := in.typed()
	if !ok {
		k.fault("certificates", "has one that can't be read")
		return
	}
	if err := p.Check(); err != nil {
		k.fault("sso_url", "and the rest make no provider that can be used: "+saml.Reason(err))
		return
	}
	record, err := p.Record()
	if err != nil {
		k.fault("certificates", "has one that can't be read")
		return
	}
	in.Provider = &record
}

// Settings returns the connection as it is kept, without its client's secret and without an id.
func (c Connection) Settings(org tenancy.OrgID) tenancy.Connection {
	out := tenancy.Connection{Organization: org, Name: c.Name, Type: c.Type, Disabled: c.Disabled, SAML: c.SAML()}
	if c.Type == "oidc" {
		out.OIDC = &tenancy.OIDCConnection{Issuer: string(c.Issuer), ClientID: c.ClientID, Scopes: c.Scopes, GroupsClaim: c.GroupsClaim}
	}
	return out
}

// NewSecret returns what somebody gave as a secret.
func NewSecret(s string) Secret { return Secret{s} }
