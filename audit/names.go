package audit

// The names of events. Those that the API has begin with what they are about; the rest
// begin with "orgate." and are this product's own.
const (
	OrganizationCreated = "organization.created"
	OrganizationUpdated = "organization.updated"
	OrganizationDeleted = "organization.deleted"
	// A suspended organization lets nobody in.
	OrganizationSuspended = "orgate.organization.suspended"
	OrganizationResumed   = "orgate.organization.resumed"

	DomainCreated            = "organization_domain.created"
	DomainUpdated            = "organization_domain.updated"
	DomainDeleted            = "organization_domain.deleted"
	DomainVerified           = "organization_domain.verified"
	DomainVerificationFailed = "organization_domain.verification_failed"
	// A verified domain's record is gone: it keeps its effect for some days yet.
	DomainLapsing = "orgate.organization_domain.lapsing"

	// A connection is activated when it is made or enabled, deactivated when it
	// is disabled. The API has no names for the other changes of its settings.

	ConnectionCreated     = "orgate.connection.created" // disabled from the beginning
	ConnectionUpdated     = "orgate.connection.updated"
	ConnectionActivated   = "connection.activated"
	ConnectionDeactivated = "connection.deactivated"
	ConnectionDeleted     = "connection.deleted"
	// The certificate that a SAML provider signs with ends soon, or has ended; a longer one
	// has come.
	SAMLCertificateRenewalRequired = "connection.saml_certificate_renewal_required"
	SAMLCertificateRenewed         = "connection.saml_certificate_renewed"
	// What a SAML provider publishes of itself has changed, or can't be had or believed any
	// more: the last good version stays in force.
	SAMLMetadataChanged = "orgate.connection.saml_metadata_changed"
	SAMLMetadataFailed  = "orgate.connection.saml_metadata_failed"
	// A key pair of ours was made for a SAML connection, or is no longer in its metadata.
	SAMLKeyCreated = "orgate.connection.saml_key_created"
	SAMLKeyRetired = "orgate.connection.saml_key_retired"

	UserCreated     = "user.created"
	UserUpdated     = "user.updated"
	UserDeleted     = "user.deleted"
	IdentityLinked  = "orgate.identity.linked"
	IdentityRemoved = "orgate.identity.removed"

	MembershipCreated = "organization_membership.created"
	MembershipUpdated = "organization_membership.updated"
	MembershipDeleted = "organization_membership.deleted"

	// An invitation that expires does so without an event.
	InvitationCreated  = "invitation.created"
	InvitationAccepted = "invitation.accepted"
	InvitationResent   = "invitation.resent"
	InvitationRevoked  = "invitation.revoked"

	RoleCreated             = "role.created"
	RoleUpdated             = "role.updated"
	RoleDeleted             = "role.deleted"
	OrganizationRoleCreated = "organization_role.created"
	OrganizationRoleUpdated = "organization_role.updated"
	OrganizationRoleDeleted = "organization_role.deleted"

	// A group that is deleted has no event for each of its members.
	GroupCreated       = "group.created"
	GroupUpdated       = "group.updated"
	GroupDeleted       = "group.deleted"
	GroupMemberAdded   = "group.member_added"
	GroupMemberRemoved = "group.member_removed"
	// The members of a group have a role by it, or have it no more by it.
	GroupRoleAssigned = "orgate.group_role_assignment.created"
	GroupRoleRemoved  = "orgate.group_role_assignment.deleted"

	PermissionCreated = "permission.created"
	PermissionUpdated = "permission.updated"
	PermissionDeleted = "permission.deleted"

	SessionCreated = "session.created"
	SessionRevoked = "session.revoked"
	// SessionProved: a proof was added to a session, and it has a new token.
	SessionProved = "orgate.session.proved"

	SSOStarted   = "authentication.sso_started"
	SSOSucceeded = "authentication.sso_succeeded"
	SSOFailed    = "authentication.sso_failed"
	SSOTimedOut  = "authentication.sso_timed_out"

	// A local factor of a person was set up, is another (the password) or is called
	// otherwise (a passkey), or is gone.

	FactorEnrolled       = "orgate.factor.enrolled"
	FactorCreated        = "orgate.factor.created" // by the API: it is nobody's second factor, or not yet
	FactorChanged        = "orgate.factor.changed"
	FactorRemoved        = "orgate.factor.removed"
	RecoveryCodesCreated = "orgate.recovery_codes.created"

	// How a local proof ended; Data says no more than the user, address and why.

	MagicAuthCreated     = "magic_auth.created"
	MagicAuthSucceeded   = "authentication.magic_auth_succeeded"
	MagicAuthFailed      = "authentication.magic_auth_failed"
	PasswordSucceeded    = "authentication.password_succeeded"
	PasswordFailed       = "authentication.password_failed"
	PasskeySucceeded     = "authentication.passkey_succeeded"
	PasskeyFailed        = "authentication.passkey_failed"
	OAuthSucceeded       = "authentication.oauth_succeeded"
	OAuthFailed          = "authentication.oauth_failed"
	MFASucceeded         = "authentication.mfa_succeeded"
	MFAFailed            = "authentication.mfa_failed"
	PasswordResetCreated = "password_reset.created"
	PasswordReset        = "password_reset.succeeded"

	EmailVerificationCreated   = "email_verification.created"
	EmailVerificationSucceeded = "authentication.email_verification_succeeded"
	EmailVerificationFailed    = "authentication.email_verification_failed"

	// A code or a reset was asked for under an address that nobody has. The API has no name for it: its
	// events name the user.

	MagicAuthForNobody     = "orgate.magic_auth.created"     // a code went to an address that nobody has, or one that signs nobody in
	PasswordResetForNobody = "orgate.password_reset.created" // a code to set a password by went to an address that nobody has
	// A code went to the address that is to become a user's.
	EmailChangeCreated = "orgate.email_change.created"
	// MailFailed: a mail was given up, as its server refused it or its time ran out.
	MailFailed = "orgate.mail.failed"

	// A directory that is deleted has no event for each of what was in it.
	DirectoryActivated        = "dsync.activated"
	DirectoryDeleted          = "dsync.deleted"
	DirectoryUserCreated      = "dsync.user.created"
	DirectoryUserUpdated      = "dsync.user.updated"
	DirectoryGroupCreated     = "dsync.group.created"
	DirectoryGroupUpdated     = "dsync.group.updated"
	DirectoryGroupUserAdded   = "dsync.group.user_added"
	DirectoryGroupUserRemoved = "dsync.group.user_removed"

	// A link to the admin portal was made; it ends by itself.
	PortalLinkCreated = "orgate.portal_link.created"

	// The keys that customers have for the app. An update says when one expires; one that is revoked is deleted.
	AppKeyCreated = "api_key.created"
	AppKeyUpdated = "api_key.updated"
	AppKeyRevoked = "api_key.revoked"

	// API keys of the management API. (The reference's api_key.… are of keys for the app's own API.)
	APIKeyCreated = "orgate.api_key.created"
	APIKeyUpdated = "orgate.api_key.updated" // one that the YAML gives
	APIKeyRevoked = "orgate.api_key.revoked"

	SigningKeyCreated = "orgate.signing_key.created"
	SigningKeyRetired = "orgate.signing_key.retired"
	SigningKeyDeleted = "orgate.signing_key.deleted"

	WebhookEndpointCreated = "orgate.webhook_endpoint.created"
	WebhookEndpointUpdated = "orgate.webhook_endpoint.updated"
	WebhookEndpointDeleted = "orgate.webhook_endpoint.deleted"
	// An endpoint was disabled, as nothing but failures came of it for days.
	WebhookEndpointDisabled = "orgate.webhook_endpoint.disabled"
	// A webhook was given up, after all of its tries.
	WebhookFailed = "orgate.webhook.delivery_failed"

	// A request was refused (403): which rule decided, and how often it did. Those that one person or one
	// organization has too many of are counted, and not told of one by one.

	AccessDenied         = "orgate.access.denied"
	AccessDenialsDropped = "orgate.access.denials_dropped"

	// AuditLogEventCreated: the app has written an entry of an audit log; Data is the entry. The rest are changes of how
	// audit logs are kept, and copies that were asked for.
	AuditLogEventCreated     = "orgate.audit_log.event_created"
	AuditLogExportCreated    = "orgate.audit_log.export_created"
	AuditLogRetentionUpdated = "orgate.audit_log.retention_updated"
	AuditLogSchemaCreated    = "orgate.audit_log.schema_created"
)
