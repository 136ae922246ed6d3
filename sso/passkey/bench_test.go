package passkey

import (
	"fmt"
	"testing"
)

// BenchmarkFinishLogin is all that a sign-in by passkey costs here; the store is a map's
// worth of nothing.
func BenchmarkFinishLogin(b *testing.B) {
	rp := party(b)
	for alg, name := range map[int64]string{-7: "ES256", -8: "EdDSA", -257: "RS256"} {
		b.Run(name, func(b *testing.B) {
			d := newDevice(b, alg, alice)
			find := among(enrol(b, rp, d))
			in := login(b, rp)
			answer := d.use(b, in, nil)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := rp.FinishLogin(in, answer, find, noon); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRefuse is what a stranger can make us do with an answer that is wrong.
func BenchmarkRefuse(b *testing.B) {
	rp := party(b)
	d := newDevice(b, -7, alice)
	find := among(enrol(b, rp, d))
	in := login(b, rp)
	for name, answer := range map[string][]byte{
		"challenge": d.use(b, in, func(s *says) { s.client["challenge"] = b64(random(32)) }),
		"largest":   d.use(b, in, func(s *says) { s.client["a"], s.client["challenge"] = fmt.Sprintf("%048000d", 1), "" }),
		"signature": d.use(b, in, func(s *says) { s.signature = flip }),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := rp.FinishLogin(in, answer, find, noon); err == nil {
					b.Fatal("taken")
				}
			}
		})
	}
}

// BenchmarkLogin is the start of a sign-in.
func BenchmarkLogin(b *testing.B) {
	rp := party(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := rp.Login(noon); err != nil {
			b.Fatal(err)
		}
	}
}
