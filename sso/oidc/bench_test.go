package oidc

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"

	"github.com/orgate/orgate/sso/ssotest"
)

// BenchmarkFinish is the end of a sign-in when discovery and keys are known: one call to a
// token endpoint that answers at once, and the verification of its token.
func BenchmarkFinish(b *testing.B) {
	for _, alg := range []string{"ES256", "RS256"} {
		b.Run(alg, func(b *testing.B) {
			r := newRig(b, func(o *ssotest.Options) { o.Clients[0].Algorithm = alg })
			flow, callback := r.start(b, StartRequest{})
			var token string
			r.op.Misbehave(ssotest.Faults{
				Claims:  func(c map[string]any) { delete(c, "at_hash") },
				IDToken: func(s string) string { token = s; return s },
			})
			if _, err := r.ps.Finish(b.Context(), r.conn, flow, callback, r.clock.now()); err != nil {
				b.Fatal(err)
			}
			r.op.Misbehave(ssotest.Faults{Endpoints: map[string]http.Handler{
				"token": ssotest.Says(200, "application/json", fmt.Sprintf(`{"access_token":"a","token_type":"Bearer","id_token":%q}`, token)),
			}})
			callback = url.Values{"state": {flow.State}, "code": {"c"}, "iss": {r.conn.Issuer}}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.ps.Finish(b.Context(), r.conn, flow, callback, r.clock.now()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkVerify is the verification of an ID token alone.
func BenchmarkVerify(b *testing.B) {
	for _, alg := range []string{"ES256", "RS256"} {
		b.Run(alg, func(b *testing.B) {
			r := newRig(b, func(o *ssotest.Options) { o.Clients[0].Algorithm = alg })
			r.op.Misbehave(ssotest.Faults{Claims: func(c map[string]any) { delete(c, "at_hash") }})
			flow, callback := r.start(b, StartRequest{})
			a, err := r.ps.Finish(b.Context(), r.conn, flow, callback, r.clock.now())
			if err != nil {
				b.Fatal(err)
			}
			p, err := r.ps.provider(r.conn)
			if err != nil {
				b.Fatal(err)
			}
			m, err := p.meta.get(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				cs, err := p.verifyIDToken(b.Context(), m, r.conn, flow, tokens{id: a.IDToken}, r.clock.now())
				if err != nil {
					b.Fatal(err)
				}
				if _, err := p.assert(b.Context(), m, r.conn, cs, tokens{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
