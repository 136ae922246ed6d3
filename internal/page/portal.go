package page

import (
	"net/http"

	"github.com/orgate/orgate/internal/text"
)

// Portal is what a link to the admin portal leads to: an IT admin of a customer sees what will be set up there. Nothing can be
// changed on it yet.
type Portal struct {
	Brand        Brand
	Organization string
	Intent       string // as the API calls it; may be empty
	Until        text.Message
	Back         string // a link back to the app; may be empty
}

// Title says what is set up.
func (p Portal) Title() text.Message {
	switch p.Intent {
	case "sso":
		return text.T("Single sign‑on for %s", p.Organization)
	case "dsync":
		return text.T("The directory of %s", p.Organization)
	case "audit_logs":
		return text.T("The audit log of %s", p.Organization)
	case "log_streams":
		return text.T("Log streams of %s", p.Organization)
	case "domain_verification":
		return text.T("The domains of %s", p.Organization)
	case "certificate_renewal":
		return text.T("The SAML certificate of %s", p.Organization)
	}
	return text.T("The set-up of %s", p.Organization)
}

// Lead says what that means.
func (p Portal) Lead() text.Message {
	switch p.Intent {
	case "sso":
		return text.T("Here you will connect your identity provider, so that your people sign in with it.")
	case "dsync":
		return text.T("Here you will connect your directory, so that people and groups come from it.")
	case "audit_logs":
		return text.T("Here you will read who did what, and when.")
	case "log_streams":
		return text.T("Here you will choose where the audit log is sent as it is written.")
	case "domain_verification":
		return text.T("Here you will prove that your e-mail domains are yours.")
	case "certificate_renewal":
		return text.T("Here you will replace the certificate that your identity provider signs with.")
	}
	return text.T("Here you will set up how your people sign in.")
}

// Render writes the page.
func (p Portal) Render(w http.ResponseWriter, r *http.Request, status int) error {
	return portal.render(w, r, status, p, needs{brand: p.Brand})
}
