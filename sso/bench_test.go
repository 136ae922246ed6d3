package sso_test

import (
	"encoding/binary"
	"fmt"
	"net/http"
	"net/netip"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/sso"
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
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
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
