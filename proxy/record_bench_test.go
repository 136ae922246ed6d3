package proxy

import (
	"io"
	"log/slog"
	"net/http"
	"testing"
)

// BenchmarkRecord is what the line of a request costs, but for its writing.
func BenchmarkRecord(b *testing.B) {
	w := newWorld(b, func(o *Options) { o.Logger = slog.New(slog.NewJSONHandler(io.Discard, nil)) }) //nolint:sloglint // what it costs to encode is what is measured
	_, c := w.jo("admin")
	st := w.proxy.state.Load()
	pl, _ := st.place(acmeHost)
	x := &exchange{st: st, place: pl, p: w.proxy, method: "GET", target: target{path: "/admin/x", raw: "/admin/x"}, class: toApp,
		id: "req_01JABCDEFGHJKMNPQRSTVWXYZ0", status: 200, bytes: 1024, clientIP: "192.0.2.1", began: w.now()}
	if err := x.admit(b.Context(), http.Header{"Cookie": {c}}["Cookie"]); err != nil || !allows(x.decision) {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		x.record(b.Context(), "")
	}
}
