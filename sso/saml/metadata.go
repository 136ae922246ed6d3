package saml

import (
	"time"

	"github.com/beevik/etree"
)

// Metadata returns the document that is given to the provider's administrator. It has no end of
// its own: a provider that stops at one would stop everybody's sign-ins some day.
func (c Connection) Metadata(now time.Time) ([]byte, error) {
	if c.EntityID == "" || c.ACS == "" {
		return nil, fail(CodeConnection, nil, "entity id and ACS are needed")
	}
	root := etree.NewElement("md:EntityDescriptor")
	root.CreateAttr("xmlns:md", nsMetadata)
	root.CreateAttr("xmlns:ds", nsSignature)
	root.CreateAttr("entityID", c.EntityID)
	sp := root.CreateElement("md:SPSSODescriptor")
	signs := "false"
	if len(c.Keys) > 0 && (c.SignRequests || c.IDP.WantSigned) {
		signs = "true"
	}
	sp.CreateAttr("AuthnRequestsSigned", signs)
	sp.CreateAttr("WantAssertionsSigned", "true")
	sp.CreateAttr("protocolSupportEnumeration", nsProtocol)
	for _, use := range []string{"signing", "encryption"} {
		for _, k := range c.Keys {
			k.describe(sp, use)
		}
	}
	if c.SLO != "" {
		for _, binding := range []string{bindingRedirect, bindingPost} {
			slo := sp.CreateElement("md:SingleLogoutService")
			slo.CreateAttr("Binding", binding)
			slo.CreateAttr("Location", c.SLO)
		}
	}
	for _, format := range []string{formatPersistent, formatEmail, formatUnspecified} {
		sp.CreateElement("md:NameIDFormat").SetText(format)
	}
	acs := sp.CreateElement("md:AssertionConsumerService")
	acs.CreateAttr("Binding", bindingPost)
	acs.CreateAttr("Location", c.ACS)
	acs.CreateAttr("index", "0")
	acs.CreateAttr("isDefault", "true")

	doc := etree.NewDocument()
	doc.CreateProcInst("xml", `version="1.0" encoding="UTF-8"`)
	doc.AddChild(root)
	doc.Indent(2)
	b, err := doc.WriteToBytes()
	if err != nil {
		return nil, fail(CodeConnection, err, "")
	}
	return b, nil
}

// describe adds the key to a role of ours.
func (k Key) describe(role *etree.Element, use string) {
	d := role.CreateElement("md:KeyDescriptor")
	d.CreateAttr("use", use)
	data := d.CreateElement("ds:KeyInfo").CreateElement("ds:X509Data")
	data.CreateElement("ds:X509Certificate").SetText(encodeBase64(k.Certificate))
	if use != "encryption" {
		return
	}
	// What decrypt takes, the best first.
	for _, uri := range []string{
		nsEncrypt11 + "aes256-gcm", nsEncrypt11 + "aes192-gcm", nsEncrypt11 + "aes128-gcm",
		nsEncryption + "aes256-cbc", nsEncryption + "aes192-cbc", nsEncryption + "aes128-cbc",
		nsEncryption + "rsa-oaep-mgf1p", nsEncrypt11 + "rsa-oaep",
	} {
		d.CreateElement("md:EncryptionMethod").CreateAttr("Algorithm", uri)
	}
}
