package telemetry_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/internal/telemetry"
)

func TestTheLoggerRefusesWhatItDoesNotKnow(t *testing.T) {
	for _, bad := range [][2]string{{"xml", "info"}, {"json", "loud"}, {"", ""}} {
		if _, _, err := telemetry.Logger(io.Discard, bad[0], bad[1]); err == nil {
			t.Errorf("format %q with level %q is accepted", bad[0], bad[1])
		}
	}
	var b bytes.Buffer
	log, _, err := telemetry.Logger(&b, "json", "warn")
	if err != nil {
		t.Fatal(err)
	}
	log.Info("quiet")
	log.Warn("heard")
	if s := b.String(); strings.Contains(s, "quiet") || !strings.Contains(s, `"msg":"heard"`) {
		t.Error(s)
	}
}

func TestMetricsAreWhatTheManualSays(t *testing.T) {
	m := telemetry.NewMetrics("1.2.3", "abc")
	m.Request("app", "allow", "granted", 204, time.Millisecond, false, true)
	m.Request("app", "allow", "granted", 101, time.Hour, true, false)
	m.SignIn("signed_in")
	m.Mail("sent")
	m.Reload(true, time.Unix(1000, 0))
	m.Reload(false, time.Unix(2000, 0))
	m.Watch(telemetry.Gauge{Name: "orgate_store_up", Help: "h", Value: func() float64 { return 1 }})
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/metrics", nil))
	for _, line := range []string{
		`orgate_requests_total{reason="granted",route="app",status="2xx",verdict="allow"} 1`,
		`orgate_requests_total{reason="granted",route="app",status="1xx",verdict="allow"} 1`,
		`orgate_fast_path_requests_total 1`,
		`orgate_request_duration_seconds_count{route="app"} 1`, // the stream is left out
		`orgate_sign_in_steps_total{outcome="signed_in"} 1`,
		`orgate_mails_total{outcome="sent"} 1`,
		`orgate_config_reloads_total{result="ok"} 1`,
		`orgate_config_reloads_total{result="refused"} 1`,
		`orgate_config_last_reload_success_timestamp_seconds 1000`,
		`orgate_build_info{commit="abc",version="1.2.3"} 1`,
		`orgate_store_up 1`,
	} {
		if !strings.Contains(w.Body.String(), line+"\n") {
			t.Errorf("no line %s", line)
		}
	}
}

func TestNothingIsTracedUnlessTheStandardVariablesSaySo(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "")
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "")
	tracing, err := telemetry.NewTracing(t.Context(), "dev")
	if err != nil {
		t.Fatal(err)
	}
	h := tracing.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Traceparent") != "" {
			t.Error("a span was made")
		}
	}))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), "GET", "/", nil))
	if err := tracing.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestARequestIsASpanThatTheAppCanJoinAndNamesNoPath(t *testing.T) {
	sent := make(chan []byte, 8)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		sent <- append([]byte(r.URL.Path+" "), body...)
	}))
	defer collector.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	tracing, err := telemetry.NewTracing(t.Context(), "dev")
	if err != nil {
		t.Fatal(err)
	}
	const foreign = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	var parent string
	h := tracing.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { parent = r.Header.Get("Traceparent") }))
	r := httptest.NewRequestWithContext(t.Context(), "GET", "/reports/salary", nil)
	r.Header.Set("Traceparent", foreign)
	h.ServeHTTP(httptest.NewRecorder(), r)
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), "MADE-UP", "/", nil))
	if err := tracing.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if parent == "" || strings.Contains(parent, "0af7651916cd43dd8448eb211c80319c") {
		t.Errorf("the app is told %q: want a trace of our own", parent)
	}
	if span := string(<-sent); !strings.HasPrefix(span, "/v1/traces ") || !strings.Contains(span, "orgate") || strings.Contains(span, "salary") || strings.Contains(span, "MADE-UP") {
		t.Errorf("sent %q", span)
	}
}
