package config

import (
	"crypto/tls"
	"crypto/x509"
	"net/mail"
	"net/url"
	"slices"
)

// checkTLS checks that each certificate is there, with its key.
func (g *reading) checkTLS() {
	t := g.config.TLS
	if t == nil {
		return
	}
	at := g.at("tls")
	if (t.CertFile == "") != (t.KeyFile == "") || t.CertFile == "" && len(t.Certificates) == 0 && t.ACME == nil {
		g.fault(at, "tls needs cert_file and key_file", "or acme, for certificates that come by themselves")
		return
	}
	g.checkACME(at.at("acme"), t.ACME)
	var leaves []*x509.Certificate
	if t.CertFile != "" {
		leaves = append(leaves, g.checkCertificate(at, Certificate{t.CertFile, t.KeyFile}))
	}
	for i, c := range t.Certificates {
		leaves = append(leaves, g.checkCertificate(at.at("certificates", i), c))
	}
	host := ""
	if g.config.PublicURL.URL != nil {
		host = g.config.PublicURL.Hostname()
	}
	if t.ACME == nil && !slices.ContainsFunc(leaves, func(leaf *x509.Certificate) bool { return leaf == nil || leaf.VerifyHostname(host) == nil }) {
		g.warn(at, "no certificate is for the login host "+host+": browsers will not go there", "browsers look at DNS names in subjectAltName, and not at the subject")
	}
}

func (g *reading) checkACME(at place, a *ACME) {
	if a == nil {
		return
	}
	if u, err := url.Parse(a.DirectoryURL); err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != "" {
		g.fault(at.at("directory_url"), "directory_url is not the https URL of a directory", "such as https://acme-v02.api.letsencrypt.org/directory")
	}
	if address, err := mail.ParseAddress(a.Email); a.Email != "" && (err != nil || address.Address != a.Email) {
		g.fault(at.at("email"), "email is not an e-mail address", "such as ops@example.com")
	}
	g.checkCA(at.at("ca_file"), a.CAFile)
}

// checkCertificate returns the certificate of a pair; nil if there was a fault.
func (g *reading) checkCertificate(at place, c Certificate) *x509.Certificate {
	if c.CertFile == "" || c.KeyFile == "" {
		return nil // said already
	}
	cert, err := g.readFile(string(c.CertFile), maxIncluded)
	if err != nil {
		g.fault(at.at("cert_file"), "the file "+string(c.CertFile)+" "+because(err), "")
		return nil
	}
	key, err := g.readFile(string(c.KeyFile), maxIncluded)
	if err != nil {
		g.fault(at.at("key_file"), "the file "+string(c.KeyFile)+" "+because(err), "")
		return nil
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		g.fault(at, "cert_file and key_file are not a certificate and its key: "+err.Error(), "both in PEM; the certificate before its chain")
		return nil
	}
	return pair.Leaf
}
