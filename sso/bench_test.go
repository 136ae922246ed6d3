package sso_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/sso"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// fromEverywhere has every request come from another network, so that no limit is met.
func fromEverywhere() option {
	var n atomic.Uint32
	return func(_ *world, o *sso.Options) {
		o.ClientIP = func(*http.Request) netip.Addr {
			var b [16]byte
			b[0] = 0x20
			binary.BigEndian.PutUint32(b[1:], n.Add(1))
			return netip.AddrFrom16(b)
		}
	}
}

// BenchmarkSignInByCode is whole sign-ins of people who come for the first time: the tenant
// host, the address, the code, the hand-over, the app. The mail is not sent.
func BenchmarkSignInByCode(b *testing.B) {
	box, offer := local(policy.EmailCode)
	w := newWorld(b, offer, fromEverywhere())
	w.startup("hooli", func(o *tenancy.Organization) { o.AutoJoin = true })
	i := 0
	for b.Loop() {
		i++
		email := fmt.Sprintf("p%d@hooli.test", i)
		u := w.browser().to("hooli", "/", email)
		u.submit(map[string]string{"code": box.code(b, email)}).inApp("hooli", email)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "sign-ins/s")
}

// BenchmarkSignInByPasskey is whole sign-ins of somebody who has a passkey, without typing an
// address. The authenticator's signature is in it.
func BenchmarkSignInByPasskey(b *testing.B) {
	box, offer := local(policy.EmailCode, policy.Passkey)
	w := newWorld(b, offer, fromEverywhere())
	w.startup("hooli", func(o *tenancy.Organization) {
		o.AutoJoin = true
		o.DomainPolicy = &policy.Policy{Methods: policy.MethodsOf(policy.Passkey)}
	})
	d := w.device()
	u := w.browser().to("hooli", "/", "gavin@hooli.test").press("First time here? Set up a passkey")
	u.submit(map[string]string{"code": box.code(b, "gavin@hooli.test")}).create(d)
	u.press(u.p.Forms[0].Buttons[0].Label).inApp("hooli", "gavin@hooli.test")
	for b.Loop() {
		w.browser().get(w.at("hooli", "/")).use(d).inApp("hooli", "gavin@hooli.test")
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "sign-ins/s")
}

// BenchmarkStartedSignIns is what 10,000 people cost who asked for a code and have not come
// back: memory of this process, with the store in it.
func BenchmarkStartedSignIns(b *testing.B) {
	_, offer := local(policy.EmailCode)
	w := newWorld(b, offer, fromEverywhere())
	w.startup("hooli", func(o *tenancy.Organization) { o.AutoJoin = true })
	const people = 10_000
	for b.Loop() {
		before := heap()
		for i := range people {
			w.clock.Advance(100 * time.Millisecond) // as fast as mails may be sent in the long run
			w.browser().to("hooli", "/", fmt.Sprintf("p%d.%d@hooli.test", b.N, i)).sees(http.StatusOK, "Enter the code")
		}
		b.ReportMetric((float64(heap())-float64(before))/people, "heap-B/sign-in")
	}
}

// heap is what this process has in use.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkSAMLConnections is what 1,000 SAML connections cost that are in use, with what their
// providers publish and a key pair of ours each: memory of this process, with the store in it.
func BenchmarkSAMLConnections(b *testing.B) {
	const connections = 1000
	for b.Loop() {
		b.StopTimer()
		w := newWorld(b, fromEverywhere())
		first := w.saml("first", nil)
		state := w.samlState("first")
		plain, err := w.box.Open(tenancy.SAMLKeyPurpose, tenancy.SAMLKeyAbout(state.Connection, state.Keys[0].ID), state.Keys[0].Private)
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		before := heap()
		for i := range connections {
			slug := fmt.Sprintf("o%d", i)
			s := state
			s.Organization, s.Connection = org(slug), conn(slug)
			s.Keys = slices.Clone(state.Keys)
			s.Keys[0].Private = w.box.Seal(tenancy.SAMLKeyPurpose, tenancy.SAMLKeyAbout(s.Connection, s.Keys[0].ID), plain)
			w.update(func(tx store.Tx) error {
				return errors.Join(
					tx.PutOrganization(tenancy.Organization{ID: org(slug), Slug: tenancy.Slug(slug), Name: slug}),
					tx.PutConnection(tenancy.Connection{ID: conn(slug), Organization: org(slug), Name: "adfs", Type: "saml", SAML: &tenancy.SAMLConnection{MetadataURL: first.EntityID() + "/metadata"}}),
					tx.PutSAMLState(s),
				)
			})
			if p := w.browser().get(w.login("/sso/saml/" + slug + ".adfs/metadata")).p; p.Status != http.StatusOK {
				b.Fatal(p.Status, p.Text)
			}
		}
		b.ReportMetric((float64(heap())-float64(before))/connections, "heap-B/connection")
	}
}
