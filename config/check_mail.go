package config

import (
	"cmp"

	"github.com/orgate/orgate/tenancy"
)

// portImplicit is where mail servers speak TLS from the first byte on.
const portImplicit = 465

func (g *reading) checkMail(login tenancy.Host) {
	c := g.config
	if c.Mail == nil || c.Mail.SMTP == nil || c.Mail.SMTP.Host == "" { // which has its fault
		return
	}
	s := c.Mail.SMTP
	at := g.at("mail", "smtp")
	s.HELO = cmp.Or(s.HELO, string(login))
	switch {
	case s.Username != "" && s.Password.IsZero():
		g.fault(at.at("username"), "there is a username and no password", `add password: "${SMTP_PASSWORD}", or take the username out`)
	case s.Username == "" && !s.Password.IsZero():
		g.warn(at.at("password"), "there is a password and no username", "nobody is signed in as at the mail server")
	}
	switch {
	case s.TLS == "none" && !isLoopback(s.Host):
		g.warn(at.at("tls"), "mail goes to "+s.Host+" unencrypted: whoever is on the way can read codes, and sign in with them", "use starttls or implicit")
	case s.TLS == "starttls" && s.Port == portImplicit:
		g.warn(at.at("tls"), "servers at port 465 speak TLS from the first byte on", "use implicit, or port 587")
	}
}
