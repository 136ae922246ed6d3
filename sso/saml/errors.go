package saml

import (
	"github.com/orgate/orgate/internal/text"
	"github.com/orgate/orgate/sso/idp"
)

// A Code names what went wrong: one of the constants below, so it can label a metric.
type Code = idp.Code

// An Error is why a sign-in or a logout did not happen.
type Error = idp.Error

// What goes wrong.
const (
	// The connection's settings are not good, or what the provider publishes.
	CodeConnection           = idp.CodeConnection
	CodeCertificate     Code = "certificate_refused"
	CodeMetadata        Code = "metadata_broken"
	CodeMetadataEntity  Code = "metadata_entity"
	CodeMetadataExpired Code = "metadata_expired"
	CodeKey             Code = "key_broken"

	// What the browser brought back.
	CodeState            = idp.CodeState
	CodeFlowExpired      = idp.CodeFlowExpired
	CodeStaleLogin  Code = "login_too_old"
	CodeUnsolicited Code = "unsolicited"

	// The message around the assertion.
	CodeTooLarge            = idp.CodeTooLarge
	CodeEncoding       Code = "message_encoding"
	CodeXML            Code = "message_xml"
	CodeResponse       Code = "response_malformed"
	CodeSeveral        Code = "assertions_not_one"
	CodeDenied              = idp.CodeDenied
	CodeStatus         Code = "status_failed"
	CodeDestination    Code = "response_destination"
	CodeResponseIssuer      = idp.CodeResponseIssuer
	CodeResponseTime   Code = "response_time"

	// Whose word it is.
	CodeDecryption         Code = "assertion_not_decrypted"
	CodeUnsigned           Code = "signature_missing"
	CodeSignatureMalformed Code = "signature_malformed"
	CodeAlgorithm          Code = "signature_algorithm"
	CodeSignature          Code = "signature_wrong"

	// The assertion.
	CodeAssertion    Code = "assertion_malformed"
	CodeIssuer       Code = "assertion_issuer"
	CodeSubject      Code = "assertion_subject"
	CodeConfirmation Code = "assertion_confirmation"
	CodeRecipient    Code = "assertion_recipient"
	CodeInResponseTo Code = "assertion_in_response_to"
	CodeConditions   Code = "assertion_conditions"
	CodeAudience     Code = "assertion_audience"
	CodeExpired      Code = "assertion_expired"
	CodeTime         Code = "assertion_time" // not yet valid, or valid for too long
	CodeAuthn        Code = "authn_statement"
	CodeAttributes   Code = "attributes_refused"
	CodeGroups       Code = "groups_attribute"
	CodeEmail        Code = "email_attribute"
	CodeNoEmail           = idp.CodeNoEmail

	// Logout.
	CodeArtifact Code = "artifact_refused"
	CodeLogout   Code = "logout_request_invalid"
)

// fail makes an Error. detail may hold what a stranger wrote: it is made printable and
// bounded here. It never has a message in it.
func fail(code Code, cause error, detail string) *Error {
	said, hint, retry := describe(code)
	return &Error{Protocol: "saml", Code: code, Text: said, Hint: hint, Detail: idp.Printable(detail, idp.MaxDetail), Retry: retry, Err: cause}
}

// describe returns the texts of a code, and whether trying again may help.
func describe(code Code) (said text.Message, hint string, retry bool) {
	var (
		setup   = text.T("Signing in does not work because of how it is set up. Your administrator needs to look at it.")
		refused = text.T("Your identity provider's answer could not be accepted.")
		again   = text.T("This sign-in can't be continued. Please start again.")
	)
	switch code {
	case CodeConnection:
		return setup, "the connection needs the provider's entity id, a sign-in URL with http or https, and a signing certificate", false
	case CodeCertificate:
		return setup, "a certificate must be X.509 with an RSA key of 2048 to 8192 bits or an ECDSA key on P-256, P-384 or P-521", false
	case CodeMetadata:
		return setup, "the document is not SAML 2.0 metadata of an identity provider; open its URL in a browser", false
	case CodeMetadataEntity:
		return setup, "the document has no identity provider of that entity id, or several and none was named", false
	case CodeMetadataExpired:
		return setup, "the metadata says that it is no longer valid (validUntil); fetch it anew at the provider", false
	case CodeKey:
		return setup, "the connection's own key pair is missing or broken; make a new one and give its metadata to the provider", false
	case CodeState:
		return again, "the answer is not to what this browser asked: an old tab, or somebody else's link", true
	case CodeFlowExpired:
		return text.T("That took too long. Please start again."), "the person was at the provider for more than ten minutes", true
	case CodeStaleLogin:
		return text.T("You need to sign in at your identity provider again, and it did not ask you to."), "the provider ignores ForceAuthn, or sends the AuthnInstant of an old session; have it honour ForceAuthn", true
	case CodeUnsolicited:
		return again, "the provider began the sign-in (IdP-initiated), which the connection does not allow; start at the application", true
	case CodeTooLarge:
		return refused, "the message is larger than any honest one", false
	case CodeEncoding:
		return refused, "the message is not base64, or not in the encoding of its binding", true
	case CodeXML:
		return refused, "the message has XML in it that is refused: a DOCTYPE, a comment, a processing instruction, too much of anything, or an ambiguity", false
	case CodeResponse:
		return refused, "the message is not one SAML 2.0 Response with a good ID", false
	case CodeSeveral:
		return refused, "a response must have exactly one assertion, directly in it", false
	case CodeDenied:
		return text.T("Your identity provider did not let you in, or you cancelled."), "the provider denied access; assign the person or the group to the application there", true
	case CodeStatus:
		return setup, "the provider answered with an error; its log says which of our settings it does not like", false
	case CodeDestination:
		return refused, "the response was sent to another address; set the ACS URL at the provider exactly as it is shown here", false
	case CodeResponseIssuer:
		return refused, "the response came from another provider; set the connection's entity id exactly as the provider's metadata has it", false
	case CodeResponseTime:
		return refused, "the response was issued in the future, or does not say when; check the clocks on both sides", true
	case CodeDecryption:
		return refused, "the assertion could not be decrypted; give the provider our present certificate, and use RSA-OAEP with AES-GCM", false
	case CodeUnsigned:
		return refused, "neither the assertion nor the response is signed; have the provider sign assertions", false
	case CodeSignatureMalformed:
		return refused, "a signature must be directly in what it signs, over all of it, and over nothing else", false
	case CodeAlgorithm:
		return refused, "the signature's algorithms are not accepted; use RSA or ECDSA with SHA-256 at the provider", false
	case CodeSignature:
		return refused, "the signature is not by a certificate of this connection; if the provider changed its certificate, take over its new metadata", false
	case CodeAssertion:
		return refused, "the assertion is not one of SAML 2.0 with all that it must have", false
	case CodeIssuer:
		return refused, "the assertion was issued by another provider; set the connection's entity id exactly as the provider's metadata has it", false
	case CodeSubject:
		return refused, "the NameID must be lasting, plain text of 1 to 255 bytes and not encrypted; set its format to persistent or emailAddress at the provider", false
	case CodeConfirmation:
		return refused, "the subject needs a bearer confirmation with a recipient and an end", false
	case CodeRecipient:
		return refused, "the assertion is for another address; set the ACS URL at the provider exactly as it is shown here", false
	case CodeInResponseTo:
		return refused, "the assertion and the response around it do not answer the same request", true
	case CodeConditions:
		return refused, "the assertion's conditions are missing, or not all known", false
	case CodeAudience:
		return refused, "the assertion is for another application; set the audience (SP entity id) at the provider exactly as it is shown here", false
	case CodeExpired:
		return refused, "the assertion has expired; check the clocks on both sides", true
	case CodeTime:
		return refused, "the assertion's times are not plausible; check the clocks on both sides", true
	case CodeAuthn:
		return refused, "the assertion does not say when the person signed in, or that session has ended", true
	case CodeAttributes:
		return refused, "the assertion's attributes are too many, or encrypted one by one", false
	case CodeGroups:
		return refused, "the groups attribute must be at most 1,000 names, in the assertion itself; send only groups that are assigned to the application", false
	case CodeEmail:
		return refused, "the e-mail attribute must be one address of at most 255 bytes; map it to the person's address at the provider", false
	case CodeNoEmail:
		return text.T("Your identity provider did not tell us your e-mail address."), "add an attribute email to the assertion at the provider, or name the one that has it in the connection", false
	case CodeArtifact:
		return refused, "the artifact binding is not spoken; use HTTP-POST or HTTP-Redirect at the provider", false
	case CodeLogout:
		return refused, "the logout request is not a valid one", false
	default: // another protocol's
		return refused, "", false
	}
}
