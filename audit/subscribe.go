package audit

import (
	_ "embed"
	"slices"
	"strings"
)

// The names of the API that a webhook may be subscribed to: its enumeration, without the
// names that it serves in its list of events alone.
//
//go:embed webhook_names.txt
var webhookNames string

// ours are the names that the API does not have.
func ours() []string {
	return []string{
		OrganizationSuspended, OrganizationResumed, DomainLapsing, ConnectionCreated, ConnectionUpdated,
		SAMLMetadataChanged, SAMLMetadataFailed, SAMLKeyCreated, SAMLKeyRetired,
		IdentityLinked, IdentityRemoved, SessionProved, FactorEnrolled, FactorCreated, FactorChanged, FactorRemoved, RecoveryCodesCreated,
		MagicAuthForNobody, PasswordResetForNobody, EmailChangeCreated,
		MailFailed, SigningKeyCreated, SigningKeyRetired, SigningKeyDeleted,
		WebhookEndpointCreated, WebhookEndpointUpdated, WebhookEndpointDeleted, WebhookEndpointDisabled, WebhookFailed,
		APIKeyCreated, APIKeyUpdated, APIKeyRevoked,
		GroupRoleAssigned, GroupRoleRemoved, PortalLinkCreated,
		AccessDenied, AccessDenialsDropped, AuditLogEventCreated, AuditLogExportCreated, AuditLogRetentionUpdated, AuditLogSchemaCreated,
	}
}

// Subscribable returns the names that a webhook may be subscribed to, sorted: those of the API,
// whether orgate has such events or not, and all of orgate's own.
func Subscribable() []string {
	names := append(strings.Fields(webhookNames), ours()...)
	slices.Sort(names)
	return names
}
