package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/audit/hook"
	"github.com/orgate/orgate/internal/accesstoken"
	"github.com/orgate/orgate/internal/endpoint"
	"github.com/orgate/orgate/internal/invite"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/session/client"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// Options are what the API is made with.
type Options struct {
	Store  *store.Store
	Logger *slog.Logger
	// Rules are asked for anew by each request, as a reload may have changed them.
	Rules func() tenancy.Rules
	// RolesAt is where the configuration gives the roles of the installation; zero: they are the API's. Asked for in the
	// same way, as are the limits of sessions.
	RolesAt func() tenancy.Origin
	Limits  func() session.Limits
	// Offered are the ways to sign in that this installation offers; see [policy.Facts].
	Offered func() policy.Methods
	// PublicURL is that of the login host, where invitations are accepted. Mail puts mails into the queue; where it
	// returns nil no mail can be sent. Webhooks are the rules of webhook endpoints; their box also seals answers
	// with secrets that are kept for a while. All are asked for in the same way.
	PublicURL func() *url.URL
	Mail      func() invite.Mail
	Webhooks  func() hook.Rules
	// Connections are what the configuration says of connections that the API makes.
	Connections Connections
	// Apps are those of the configuration, whose route rules checks can be made by; the first is the one that is
	// meant where none is named. Asked for in the same way; nil: there are none.
	Apps func() []App
	// RetentionDays is for how many days audit logs are kept where an organization says nothing else, and ManagementURL
	// where exports are fetched. Both are asked for in the same way.
	RetentionDays func() int
	ManagementURL func() *url.URL
	// Clients are those of the sign-in API, asked for in the same way.
	Clients func() client.Clients
	// Admit is asked before the key; nil: everybody may try.
	Admit endpoint.Guard
	Now   func() time.Time // nil: time.Now
}

// An API serves the management API.
type API struct {
	Options
	rates   *rates
	signer  *accesstoken.Signer
	hashers chan struct{} // holds one for each password that is being hashed
	// conditions are those of checks, compiled or refused, by their text.
	conditions *lru.Cache[string, compiled]
	handler    http.Handler
}

// New returns the API.
func New(o Options) (*API, error) {
	a := &API{Options: o, rates: newRates(), signer: accesstoken.New(func() accesstoken.Sealer { return o.Webhooks().Box }), hashers: make(chan struct{}, maxHashing)}
	if a.Now == nil {
		a.Now = time.Now
	}
	if a.Apps == nil {
		a.Apps = func() []App { return nil }
	}
	var err error
	if a.conditions, err = lru.New[string, compiled](maxConditions); err != nil {
		return nil, err
	}
	options := endpoint.Options{
		Guards: map[endpoint.Access]endpoint.Guard{endpoint.APIKey: a.guard, endpoint.Link: a.guardLink}, Renderer: renderer{}, Logger: o.Logger,
	}
	routes := a.allRoutes()
	first, rest, prefixes := layers(routes)
	named, err := endpoint.New(first, options)
	if err != nil {
		return nil, err
	}
	others, err := endpoint.New(rest, options)
	if err != nil {
		return nil, err
	}
	a.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Request-Id", endpoint.RequestID(r.Context()))
		if slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(r.URL.Path, p) }) {
			named.ServeHTTP(w, r)
			return
		}
		others.ServeHTTP(w, r)
	})
	return a, nil
}

// ServeHTTP serves the API.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.handler.ServeHTTP(w, r) }

// Routes are the operations that are there.
func (a *API) Routes() []endpoint.Route {
	var routes []endpoint.Route
	for _, op := range a.operations() {
		routes = append(routes, endpoint.Route{Side: endpoint.Management, Pattern: op.pattern, Access: endpoint.APIKey, Handle: a.handle(op.do)})
	}
	routes = append(routes, a.exportRoute())
	for _, op := range a.open() {
		routes = append(routes, endpoint.Route{Side: endpoint.Management, Pattern: op.pattern, Access: endpoint.Public, Handle: a.openHandler(op.do)})
	}
	return routes
}

// An operation is one of the reference that is there.
type operation struct {
	pattern string
	do      func(*call) error
}

func (a *API) operations() []operation {
	return []operation{
		{"GET /organizations", a.listOrganizations},
		{"POST /organizations", a.createOrganization},
		{"GET /organizations/{id}", a.getOrganization},
		{"GET /organizations/external_id/{external_id}", a.getOrganizationByExternalID},
		{"PUT /organizations/{id}", a.updateOrganization},
		{"DELETE /organizations/{id}", a.deleteOrganization},

		{"POST /organization_domains", a.createDomain},
		{"GET /organization_domains/{id}", a.getDomain},
		{"POST /organization_domains/{id}/verify", a.verifyDomain},
		{"DELETE /organization_domains/{id}", a.deleteDomain},

		{"GET /user_management/users", a.listUsers},
		{"POST /user_management/users", a.createUser},
		{"GET /user_management/users/{id}", a.getUser},
		{"GET /user_management/users/external_id/{external_id}", a.getUserByExternalID},
		{"PUT /user_management/users/{id}", a.updateUser},
		{"DELETE /user_management/users/{id}", a.deleteUser},
		{"GET /user_management/users/{id}/identities", a.listIdentities},
		{"GET /user_management/users/{id}/sessions", a.listSessions},
		{"POST /user_management/sessions/revoke", a.revokeSession},

		{"POST /auth/factors/enroll", a.enrollFactor},
		{"GET /auth/factors/{id}", a.getFactor},
		{"DELETE /auth/factors/{id}", a.deleteFactor},
		{"POST /auth/factors/{id}/challenge", a.challengeFactor},
		{"POST /auth/challenges/{id}/verify", a.verifyChallenge},
		{"GET /user_management/users/{userlandUserId}/auth_factors", a.listFactors},
		{"POST /user_management/users/{userlandUserId}/auth_factors", a.enrollFactorOfUser},
		{"POST /user_management/magic_auth", a.createMagicAuth},
		{"GET /user_management/magic_auth/{id}", a.getMagicAuth},
		{"POST /user_management/password_reset", a.createPasswordReset},
		{"GET /user_management/password_reset/{id}", a.getPasswordReset},
		{"POST /user_management/password_reset/confirm", a.confirmPasswordReset},
		{"POST /user_management/users/{id}/email_verification/send", a.sendEmailVerification},
		{"POST /user_management/users/{id}/email_verification/confirm", a.confirmEmailVerification},
		{"GET /user_management/email_verification/{id}", a.getEmailVerification},
		{"POST /user_management/users/{id}/email_change/send", a.sendEmailChange},
		{"POST /user_management/users/{id}/email_change/confirm", a.confirmEmailChange},

		{"GET /user_management/organization_memberships", a.listMemberships},
		{"POST /user_management/organization_memberships", a.createMembership},
		{"GET /user_management/organization_memberships/{id}", a.getMembership},
		{"PUT /user_management/organization_memberships/{id}", a.updateMembership},
		{"DELETE /user_management/organization_memberships/{id}", a.deleteMembership},
		{"PUT /user_management/organization_memberships/{id}/deactivate", a.deactivateMembership},
		{"PUT /user_management/organization_memberships/{id}/reactivate", a.reactivateMembership},

		{"GET /user_management/invitations", a.listInvitations},
		{"POST /user_management/invitations", a.createInvitation},
		{"GET /user_management/invitations/{id}", a.getInvitation},
		{"GET /user_management/invitations/by_token/{token}", a.getInvitationByToken},
		{"POST /user_management/invitations/{id}/accept", a.acceptInvitation},
		{"POST /user_management/invitations/{id}/resend", a.resendInvitation},
		{"POST /user_management/invitations/{id}/revoke", a.revokeInvitation},

		{"GET /authorization/roles", a.listRoles},
		{"POST /authorization/roles", a.owned(a.createRole)},
		{"GET /authorization/roles/{slug}", a.getRole},
		{"PATCH /authorization/roles/{slug}", a.owned(a.updateRole)},
		{"PUT /authorization/roles/{slug}/permissions", a.owned(a.setRolePermissions)},
		{"POST /authorization/roles/{slug}/permissions", a.owned(a.addRolePermission)},
		{"GET /authorization/organizations/{organizationId}/roles", a.listOrganizationRoles},
		{"POST /authorization/organizations/{organizationId}/roles", a.createOrganizationRole},
		{"GET /authorization/organizations/{organizationId}/roles/{slug}", a.getRole},
		{"PATCH /authorization/organizations/{organizationId}/roles/{slug}", a.updateRole},
		{"DELETE /authorization/organizations/{organizationId}/roles/{slug}", a.deleteOrganizationRole},
		{"PUT /authorization/organizations/{organizationId}/roles/{slug}/permissions", a.setRolePermissions},
		{"POST /authorization/organizations/{organizationId}/roles/{slug}/permissions", a.addRolePermission},
		{"DELETE /authorization/organizations/{organizationId}/roles/{slug}/permissions/{permissionSlug}", a.removeRolePermission},
		{"GET /authorization/permissions", a.listPermissions},
		{"POST /authorization/permissions", a.owned(a.createPermission)},
		{"GET /authorization/permissions/{slug}", a.getPermission},
		{"PATCH /authorization/permissions/{slug}", a.owned(a.updatePermission)},
		{"DELETE /authorization/permissions/{slug}", a.owned(a.deletePermission)},

		{"GET /organizations/{organizationId}/groups", a.listGroups},
		{"POST /organizations/{organizationId}/groups", a.createGroup},
		{"GET /organizations/{organizationId}/groups/{groupId}", a.getGroup},
		{"PATCH /organizations/{organizationId}/groups/{groupId}", a.updateGroup},
		{"DELETE /organizations/{organizationId}/groups/{groupId}", a.deleteGroup},
		{"GET /organizations/{organizationId}/groups/{groupId}/organization-memberships", a.listGroupMembers},
		{"POST /organizations/{organizationId}/groups/{groupId}/organization-memberships", a.addGroupMember},
		{"DELETE /organizations/{organizationId}/groups/{groupId}/organization-memberships/{omId}", a.removeGroupMember},
		{"GET /user_management/organization_memberships/{omId}/groups", a.listGroupsOfMembership},
		{"GET /authorization/groups/{group_id}/role_assignments", a.listGroupRoles},
		{"POST /authorization/groups/{group_id}/role_assignments", a.createGroupRole},
		{"PUT /authorization/groups/{group_id}/role_assignments", a.setGroupRoles},
		{"DELETE /authorization/groups/{group_id}/role_assignments", a.deleteGroupRoleBySlug},
		{"GET /authorization/groups/{group_id}/role_assignments/{role_assignment_id}", a.getGroupRole},
		{"DELETE /authorization/groups/{group_id}/role_assignments/{role_assignment_id}", a.deleteGroupRole},

		{"GET /authorization/organization_memberships/{organization_membership_id}/role_assignments", a.listRoleAssignments},
		{"POST /authorization/organization_memberships/{organization_membership_id}/role_assignments", a.createRoleAssignment},
		{"DELETE /authorization/organization_memberships/{organization_membership_id}/role_assignments", a.deleteRoleAssignmentBySlug},
		{"DELETE /authorization/organization_memberships/{organization_membership_id}/role_assignments/{role_assignment_id}", a.deleteRoleAssignment},
		{"POST /authorization/organization_memberships/{organization_membership_id}/check", a.checkPermission},

		{"GET /organizations/{organizationId}/api_keys", a.listOrganizationKeys},
		{"POST /organizations/{organizationId}/api_keys", a.createOrganizationKey},
		{"GET /user_management/users/{userId}/api_keys", a.listUserKeys},
		{"POST /user_management/users/{userId}/api_keys", a.createUserKey},
		{"DELETE /api_keys/{id}", a.deleteAppKey},
		{"POST /api_keys/{id}/expire", a.expireAppKey},
		{"POST /api_keys/validations", a.validateAppKey},

		{"GET /directories", a.listDirectories},
		{"GET /directories/{id}", a.getDirectory},
		{"DELETE /directories/{id}", a.deleteDirectory},
		{"GET /directory_users", a.listDirectoryUsers},
		{"GET /directory_users/{id}", a.getDirectoryUser},
		{"GET /directory_groups", a.listDirectoryGroups},
		{"GET /directory_groups/{id}", a.getDirectoryGroup},

		{"POST /portal/generate_link", a.createPortalLink},

		{"GET /connections", a.listConnections},
		{"GET /connections/{id}", a.getConnection},
		{"DELETE /connections/{id}", a.deleteConnection},
		{"POST /orgate/v1/organizations/{organizationId}/connections", a.createConnection},

		{"GET /events", a.listEvents},

		{"GET /webhook_endpoints", a.listWebhookEndpoints},
		{"POST /webhook_endpoints", a.createWebhookEndpoint},
		{"PATCH /webhook_endpoints/{id}", a.updateWebhookEndpoint},
		{"DELETE /webhook_endpoints/{id}", a.deleteWebhookEndpoint},

		{checkPattern, a.checkAuthorization},
		{"POST /orgate/v1/webhook_endpoints/{id}/redeliver", a.redeliverWebhooks},
		{"GET /audit_logs/actions", a.listAuditLogActions},
		{"GET /audit_logs/actions/{actionName}/schemas", a.listAuditLogSchemas},
		{"POST /audit_logs/actions/{actionName}/schemas", a.createAuditLogSchema},
		{"POST /audit_logs/events", a.createAuditLogEvent},
		{"POST /audit_logs/exports", a.createAuditLogExport},
		{"GET /audit_logs/exports/{auditLogExportId}", a.getAuditLogExport},
		{"GET /organizations/{id}/audit_log_configuration", a.getAuditLogConfiguration},
		{"GET /organizations/{id}/audit_logs_retention", a.getAuditLogRetention},
		{"PUT /organizations/{id}/audit_logs_retention", a.updateAuditLogRetention},
	}
}

// A call is one request that has a key.
type call struct {
	api *API
	ctx context.Context
	w   http.ResponseWriter
	r   *http.Request
	key session.APIKey
	now time.Time
	by  audit.Actor
	raw []byte // the body, once it was read
	// adminless are the organizations that the transaction took the last administrator from: see call.warn.
	adminless []tenancy.OrgID
}

type keyInContext struct{}

// handle makes a handler of an operation.
func (a *API) handle(do func(*call) error) endpoint.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		key, ok := r.Context().Value(keyInContext{}).(session.APIKey)
		if !ok || key.ID == "" {
			return unauthorized(errors.New("no key in the context"))
		}
		c := &call{
			api: a, ctx: r.Context(), w: w, r: r, key: key, now: a.Now().UTC(),
			by: audit.Actor{Type: "api_key", ID: string(key.ID), Name: key.Name},
		}
		a.rates.header(w.Header(), key.ID, isWrite(r), c.now)
		return asAnswer(do(c))
	}
}

// view runs f in a transaction that changes nothing.
func (c *call) view(f func(store.Tx) error) error { return c.api.Store.View(c.ctx, f) }

// update runs f, maybe more than once, in a transaction that changes things if it returns nil.
func (c *call) update(f func(store.Tx) error) error {
	err := c.api.Store.Update(c.ctx, func(tx store.Tx) error {
		c.adminless = nil
		return f(tx)
	})
	if err == nil {
		c.warn()
	}
	return err
}

// viewed answers with what shown points to, which f reads.
func (c *call) viewed(shown any, f func(store.Tx) error) error {
	if err := c.view(f); err != nil {
		return err
	}
	return c.answer(http.StatusOK, shown)
}

// changed answers with what shown points to, which is as f has left it.
func (c *call) changed(shown any, f func(store.Tx) error) error {
	if err := c.update(f); err != nil {
		return err
	}
	return c.answer(http.StatusOK, shown)
}

// dropped answers that what f deletes is gone.
func (c *call) dropped(f func(store.Tx) error) error {
	if err := c.update(f); err != nil {
		return err
	}
	return c.nothing(http.StatusNoContent)
}

// sees reports whether the key is good for the organization.
func (c *call) sees(org tenancy.OrgID) bool {
	return org != "" && (c.key.Organization == "" || c.key.Organization == org)
}

// narrowed returns the organization that a list is narrowed to, if it is to one: the one asked for, else that of the
// key. Of one that the key does not see there is nothing.
func (c *call) narrowed(org string, asked bool) (_ tenancy.OrgID, narrow bool) {
	switch {
	case !asked:
		return c.key.Organization, c.key.Organization != ""
	case !c.sees(tenancy.OrgID(org)):
		return "org_", true
	}
	return tenancy.OrgID(org), true
}

// everywhere returns an error unless the key is good for everything: what is not of one organization
// is not for a key of one.
func (c *call) everywhere() error {
	if c.key.Organization != "" {
		return &Error{Status: http.StatusForbidden, Code: "forbidden", Message: "This API key is for one organization, and this operation is not."}
	}
	return nil
}

// organization returns the organization, if it is there for the key.
func (c *call) organization(tx store.Tx, org tenancy.OrgID) (tenancy.Organization, error) {
	if !c.sees(org) {
		return tenancy.Organization{}, notFound("Organization", string(org))
	}
	o, err := tx.Organization(org)
	if errors.Is(err, tenancy.ErrNotFound) || err == nil && o.Deleting {
		return tenancy.Organization{}, notFound("Organization", string(org))
	}
	return o, err
}
