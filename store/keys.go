package store

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf8"
)

// A kind is the first byte of a key: what sort of thing it is about.
type kind byte

// The layout. A key is a kind and then fields; whatever an organization owns has the
// organization as its first field, so that isolation is a prefix and deletion a range.
// The value of a row is the object as JSON; the value of an index entry is the JSON
// list of the fields of the row's key.
//
//	kind  fields                          value           expires
//
//	'o'   organization                    Organization
//	'O'   slug                            → 'o'
//	'h'   custom host                     → 'o'
//	'd'   organization, domain name       Domain
//	'v'   domain name, if verified        → 'd'
//	'D'   next check, organization, domain name → 'd'
//	'c'   organization, connection        Connection
//	'n'   organization, connection name   → 'c'
//	'S'   organization, connection        SAMLState
//	'L'   when it is due, organization, connection → 'S'
//	'u'   user                            User
//	'e'   e-mail address                  → 'u'
//	'i'   connection, subject             Identity
//	'I'   user, connection, subject       → 'i'
//	'm'   organization, user              Membership
//	'M'   user, organization              → 'm'
//	'r'   organization, role slug         Role
//	'R'   role slug                       Role of the installation
//	's'   session                         Session         ExpiresAt + 24 h
//	't'   token hash                      → 's'           as the session
//	'w'   user, session                   → 's'           as the session
//	'p'   parent session, session         → 's'           as the session
//	'x'   connection, subject, sid, session → 's'         as the session
//	'y'   connection, sid, session        → 's'           as the session
//	'H'   code hash                       Handover        ExpiresAt + 10 min
//	'W'   answer's id hash                Answer          ExpiresAt
//	'9'   connection, subject, answer's id hash → 'W'     as the answer
//	'1'   kind of thing, name             true (it was used)  as the caller says
//	'k'   key id                          SigningKey
//	'P'   user                            Password
//	'T'   user                            TOTP
//	'C'   user                            RecoveryCodes
//	'a'   passkey                         Passkey
//	'A'   user, passkey                   → 'a'
//	'E'   e-mail code id                  EmailCode       ExpiresAt, an app's 1 h later
//	'l'   browser hash, purpose, address  → 'E', the live one  as the code
//	'l'   no browser's hash, purpose, user → 'E', an app's last one  as the code
//	'.'   user or nobody, factor id       APIFactor
//	'/'   factor id                       → 'T', 'a' or '.'
//	':'   challenge                       Challenge       ExpiresAt + 1 h
//	';'   password reset                  Reset           ExpiresAt + 1 h
//	'#'   scope, name                     Counter         ExpiresAt
//	'q'   mail                            outbox.Message  ExpiresAt + 1 h
//	'g'   place in the outbox             → 'q'           as the mail
//	'Q'   when it is due, mail            → 'q'           as the mail
//	'V'   invitation                      Invitation
//	'J'   organization, invitation        → 'V'
//	'f'   token hash, if not settled      → 'V'
//	'G'   address, invitation, if not settled → 'V'
//	'8'   address, invitation             → 'V'
//	'2'   webhook endpoint                hook.Endpoint
//	'3'   URL                             → '2'
//	'4'   endpoint, position of the event hook.Delivery   as the event
//	'5'   endpoint, when it is due, position → '4'        as the event
//	'6'   "health" or "replay", endpoint  hook.Health, hook.Replay
//	'6'   "position"; "lease"             of the feed; hook.Lease
//	'&'   code hash                       client.Code     ExpiresAt + 24 h
//	'*'   token hash                      client.Refresh  ExpiresAt
//	'+'   token hash                      client.Pending  ExpiresAt
//	'-'   token hash                      client.ProfileToken  ExpiresAt
//	','   "file", parts of a path         certificate.File
//	','   "lock", name                    certificate.Lock  Until
//	'K'   API key                         APIKey
//	'j'   secret hash                     → 'K'
//	'7'   API key, request's name         Replay          ExpiresAt
//	'X'   external id of an organization  → 'o'
//	'Y'   external id of a user           → 'u'
//	'z'   domain                          → 'd'
//	'F'   domain name, organization       → 'd'
//	'N'   connection                      → 'c'
//	'B'   membership                      → 'm'
//	'b'   organization, membership        → 'm'
//	'U'   user, membership                → 'm'
//	'Z'   permission slug                 Permission
//	'<'   organization, "group", group    Group
//	'<'   organization, "member", group, membership  GroupMember
//	'>'   token hash                      PortalLink      ExpiresAt
//	'='   "group", group                  → '<'
//	'^'   organization, directory         directory.Directory
//	'_'   organization, directory, "user", directory user    directory.User
//	'_'   organization, directory, "group", directory group  directory.Group
//	'_'   organization, directory, "member", group, user     directory.Member
//	'='   "directory", directory          → '^'
//	'='   "directory_user", user; "directory_group", group → '_'
//	'?'   organization, "directory_user", user; "directory_group", group → '_'
//	'?'   organization, "directory_user at", directory, provider's id; the same of groups → '_'
//	'?'   organization, "directory_user named", directory, address, user → '_'
//	'?'   organization, "directory_groups of", directory, user, group → '_' member
//	'~'   organization, key for the app   AppKey
//	'='   "api_key", key                  → '~'
//	'='   "api_key hash", secret hash     → '~'
//	'='   "keys of", user, key            → '~'
//	'?'   organization, "groups of", membership, group → '<'
//	'?'   organization, "keys of", owner, key → '~'
//	'?'   organization, "admin", user, if active with that role → 'm'
//	'?'   organization, "admin group", group, if it gives that role → '<'
//	'@'   organization or "installation", number  trail.Entry
//	'$'   organization or "installation"  trail.Head
//	'%'   organization or "installation", "settings"  trail.Settings
//	'0'   "action", name                  trail.Action
//	'0'   "schema", action, version       trail.Schema
//	'0'   "export", export                trail.Export    CreatedAt + 30 d
//	'0'   "position"; "lease"             of the feed; trail.Lease
//	'!'   "indexes"                       the version of the index entries
//	'!'   "indexes settling"              since when older orgates may still write rows without them, or "settled"
//	'!'   "restoring"                     true, while a restore is not finished
//
// Identities, handovers and invitations are looked up before an organization is known; the row
// names it.
const (
	kindOrganization         kind = 'o'
	kindSlug                 kind = 'O'
	kindHost                 kind = 'h'
	kindDomain               kind = 'd'
	kindVerifiedDomain       kind = 'v'
	kindDomainDue            kind = 'D'
	kindConnection           kind = 'c'
	kindConnectionName       kind = 'n'
	kindSAMLState            kind = 'S'
	kindSAMLDue              kind = 'L'
	kindUser                 kind = 'u'
	kindEmail                kind = 'e'
	kindIdentity             kind = 'i'
	kindIdentityByUser       kind = 'I'
	kindMembership           kind = 'm'
	kindMembershipByUser     kind = 'M'
	kindRole                 kind = 'r'
	kindInstallationRole     kind = 'R'
	kindSession              kind = 's'
	kindSessionByToken       kind = 't'
	kindSessionByUser        kind = 'w'
	kindSessionByParent      kind = 'p'
	kindSessionByUpstream    kind = 'x'
	kindSessionByUpstreamSID kind = 'y'
	kindHandover             kind = 'H'
	kindAnswer               kind = 'W'
	kindAnswerBySubject      kind = '9'
	kindUsed                 kind = '1'
	kindSigningKey           kind = 'k'
	kindPassword             kind = 'P'
	kindTOTP                 kind = 'T'
	kindRecoveryCodes        kind = 'C'
	kindPasskey              kind = 'a'
	kindPasskeyByUser        kind = 'A'
	kindEmailCode            kind = 'E'
	kindLiveEmailCode        kind = 'l'
	kindAPIFactor            kind = '.'
	kindFactorByID           kind = '/'
	kindChallenge            kind = ':'
	kindReset                kind = ';'
	kindCounter              kind = '#'
	kindMail                 kind = 'q'
	kindMailPlace            kind = 'g'
	kindMailDue              kind = 'Q'
	kindWebhook              kind = '2'
	kindWebhookURL           kind = '3'
	kindWebhookDelivery      kind = '4'
	kindWebhookDue           kind = '5'
	kindWebhookState         kind = '6'
	kindAuthorizationCode    kind = '&'
	kindRefreshToken         kind = '*'
	kindPending              kind = '+'
	kindProfileToken         kind = '-'
	kindCertificate          kind = ','
	kindNote                 kind = '!'

	kindInvitation               kind = 'V'
	kindInvitationInOrganization kind = 'J'
	kindInvitationByToken        kind = 'f'
	kindInvitationByEmail        kind = 'G'
	kindInvitationAtAddress      kind = '8'
	kindAPIKey                   kind = 'K'
	kindAPIKeyByHash             kind = 'j'
	kindReplay                   kind = '7'
	kindPermission               kind = 'Z'
	kindOrganizationByExternalID kind = 'X'
	kindUserByExternalID         kind = 'Y'
	kindDomainByID               kind = 'z'
	kindDomainByName             kind = 'F'
	kindConnectionByID           kind = 'N'
	kindMembershipByID           kind = 'B'
	kindMembershipInOrganization kind = 'b'
	kindMembershipOfUser         kind = 'U'

	kindDirectory      kind = '^'
	kindInDirectory    kind = '_' // the third field says what
	kindAppKey         kind = '~'
	kindGroup          kind = '<'
	kindPortalLink     kind = '>'
	kindByID           kind = '=' // the first field says of what
	kindInOrganization kind = '?' // the second field says in what order

	kindLogEntry    kind = '@'
	kindLogHead     kind = '$'
	kindLogSettings kind = '%'
	kindLogState    kind = '0'
)

// ownedByOrganization reports whether keys of k begin with an organization that owns them.
func (k kind) ownedByOrganization() bool {
	switch k {
	case kindDomain, kindConnection, kindConnectionName, kindSAMLState, kindMembership, kindRole, kindInvitationInOrganization, kindMembershipInOrganization,
		kindGroup, kindAppKey, kindDirectory, kindInDirectory, kindInOrganization:
		return true
	case kindLogEntry, kindLogHead, kindLogSettings:
		return true
	default:
		return false
	}
}

var (
	// errNoOrganization: an empty organization id is a mistake of the caller. Were
	// it a prefix like any other, it would one day mean "all of them".
	errNoOrganization = errors.New("empty organization id")
	errBadField       = errors.New("bad field of a key")
)

// key returns the key of the fields. It refuses what could name a thing that is not
// meant: the empty organization, and bytes that JSON would not give back.
func (k kind) key(fields ...string) ([]byte, error) {
	if k.ownedByOrganization() && (len(fields) == 0 || fields[0] == "") {
		return nil, errNoOrganization
	}
	for i, f := range fields {
		if !utf8.ValidString(f) {
			return nil, fmt.Errorf("%w: field %d of kind %q is not UTF-8", errBadField, i, byte(k))
		}
	}
	b := encodeKey(byte(k), fields...)
	if len(b) > MaxKey {
		return nil, fmt.Errorf("%w: key of kind %q has %d bytes, the most is %d", errBadField, byte(k), len(b), MaxKey)
	}
	return b, nil
}

// encodeKey writes a kind and fields. In a field 0x00 is written as 0x00 0xff, and
// the field is ended by 0x00 0x01: so keys sort as their lists of fields do, and no
// field can run into the next.
func encodeKey(kind byte, fields ...string) []byte {
	n := 1
	for _, f := range fields {
		n += len(f) + 2
	}
	b := append(make([]byte, 0, n), kind)
	for _, f := range fields {
		for i := range len(f) {
			b = append(b, f[i])
			if f[i] == 0 {
				b = append(b, 0xff)
			}
		}
		b = append(b, 0, 1)
	}
	return b
}

// decodeKey reads what encodeKey wrote, and nothing else.
func decodeKey(key []byte) (kind byte, fields []string, err error) {
	if len(key) == 0 {
		return 0, nil, errors.New("empty key")
	}
	kind, rest := key[0], key[1:]
	for len(rest) > 0 {
		var field []byte
		for {
			i := bytes.IndexByte(rest, 0)
			if i < 0 || i+1 == len(rest) {
				return 0, nil, fmt.Errorf("key of %d bytes ends inside field %d", len(key), len(fields))
			}
			field = append(field, rest[:i]...)
			mark := rest[i+1]
			rest = rest[i+2:]
			if mark == 1 {
				break
			}
			if mark != 0xff {
				return 0, nil, fmt.Errorf("key of %d bytes has 0x00 0x%02x in field %d", len(key), mark, len(fields))
			}
			field = append(field, 0)
		}
		fields = append(fields, string(field))
	}
	return kind, fields, nil
}
