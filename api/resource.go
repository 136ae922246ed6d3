package api

import (
	"github.com/orgate/orgate/tenancy"
)

// organizationResource is the type of the one resource that there is: the organization itself.
const organizationResource = "organization"

// A resourceRef names what a role or a permission is on: by its id, or by the app's own id of it and its type.
type resourceRef struct{ id, externalID, kind *string }

// resourceOf reads what a role or permission is on. Where it is not required, none is the organization itself.
func resourceOf(b body, required bool) resourceRef {
	r := resourceRef{b.text("resource_id"), b.text("resource_external_id"), b.text("resource_type_slug")}
	switch {
	case r.id != nil && (r.externalID != nil || r.kind != nil):
		b.fault("invalid", "resource_id", "can't be given with resource_external_id or resource_type_slug")
	case (r.externalID == nil) != (r.kind == nil):
		b.fault("required", "resource_external_id", "and resource_type_slug are given together")
	case required && r.id == nil && r.kind == nil && len(*b.all) == 0:
		b.fault("required", "resource_id", "is required, or resource_external_id with resource_type_slug")
	}
	return r
}

// is reports whether the resource is the organization.
func (r resourceRef) is(o tenancy.Organization) bool {
	own := showResource(o)
	return (r.id == nil || *r.id == string(o.ID)) && (r.externalID == nil || *r.externalID == own.ExternalID) && (r.kind == nil || *r.kind == own.Type)
}

// check returns an error unless the resource is the organization: there are no others.
func (r resourceRef) check(o tenancy.Organization) error {
	switch {
	case r.is(o):
		return nil
	case r.id != nil:
		return notFound("Authorization resource", *r.id)
	case *r.kind != organizationResource:
		return notFound("Authorization resource type", *r.kind)
	default:
		return notFound("Authorization resource", *r.externalID)
	}
}

// A resourceObject is what a role is on.
type resourceObject struct {
	ID         tenancy.OrgID `json:"id"`
	ExternalID string        `json:"external_id"`
	Type       string        `json:"resource_type_slug"`
}

// showResource shows an organization as a resource; its external id is its id, where the app has given it none.
func showResource(o tenancy.Organization) resourceObject {
	r := resourceObject{o.ID, o.ExternalID, organizationResource}
	if r.ExternalID == "" {
		r.ExternalID = string(o.ID)
	}
	return r
}
