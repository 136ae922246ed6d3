//go:build unix

package saml

import (
	"encoding/base64"
	"net/url"
	"syscall"
	"testing"
	"time"

	crewjam "github.com/crewjam/saml"

	"github.com/orgate/orgate/sso/ssotest"
)

// BenchmarkConsume compares with what crewjam/saml does for the same response, which is less.
func BenchmarkConsume(b *testing.B) {
	for name, edit := range map[string]func(*rig){
		"signed": func(*rig) {},
		"encrypted": func(r *rig) {
			r.ask.Encrypt = ssotest.SAMLEncryption{Content: nsEncryption + "aes128-cbc", Digest: "http://www.w3.org/2000/09/xmldsig#sha1"}
		},
	} {
		r := newRig(b)
		edit(r)
		response := r.respond()
		b.Run(name+"/ours", func(b *testing.B) {
			defer reportCPU(b)()
			for b.Loop() {
				if _, _, err := r.c.Consume(response, r.now); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/crewjam", func(b *testing.B) {
			sp := r.crewjam(b)
			raw, err := base64.StdEncoding.DecodeString(response)
			if err != nil {
				b.Fatal(err)
			}
			acs, err := url.Parse(rigACS)
			if err != nil {
				b.Fatal(err)
			}
			defer reportCPU(b)()
			for b.Loop() {
				if _, err := sp.ParseXMLResponse(raw, []string{"_request"}, *acs); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// reportCPU reports allocations, and what the kernel says of the time that all of it took, the
// collector's included: on a machine that others use, it is what a core costs.
func reportCPU(b *testing.B) (done func()) {
	b.Helper()
	used := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	b.ReportAllocs()
	begin := used()
	return func() {
		each := (used() - begin) / time.Duration(b.N)
		b.ReportMetric(float64(each.Microseconds()), "cpu-µs/op")
	}
}

// crewjam is the same connection, for crewjam/saml.
func (r *rig) crewjam(t testing.TB) *crewjam.ServiceProvider {
	t.Helper()
	acs, err := url.Parse(rigACS)
	if err != nil {
		t.Fatal(err)
	}
	certificate := base64.StdEncoding.EncodeToString(r.c.IDP.Certificates[0])
	descriptor := crewjam.IDPSSODescriptor{}
	descriptor.KeyDescriptors = []crewjam.KeyDescriptor{{Use: "signing", KeyInfo: crewjam.KeyInfo{X509Data: crewjam.X509Data{X509Certificates: []crewjam.X509Certificate{{Data: certificate}}}}}}
	return &crewjam.ServiceProvider{
		EntityID: rigEntityID, Key: ours().Private, AcsURL: *acs,
		IDPMetadata: &crewjam.EntityDescriptor{EntityID: r.c.IDP.EntityID, ValidUntil: time.Now().Add(time.Hour), IDPSSODescriptors: []crewjam.IDPSSODescriptor{descriptor}},
	}
}
