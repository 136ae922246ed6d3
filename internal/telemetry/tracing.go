package telemetry

import (
	"context"
	"net/http"
	"os"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Tracing is how requests are traced. The zero Tracing traces nothing and costs nothing.
type Tracing struct{ provider *sdktrace.TracerProvider }

// NewTracing returns the tracing that the standard variables ask for
// (OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, with all that the
// OTLP/HTTP exporter and the SDK read beside them): none if neither is set, or
// OTEL_SDK_DISABLED is true.
func NewTracing(ctx context.Context, version string) (Tracing, error) {
	asked := os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != ""
	if !asked || os.Getenv("OTEL_SDK_DISABLED") == "true" || os.Getenv("OTEL_TRACES_EXPORTER") == "none" {
		return Tracing{}, nil
	}
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return Tracing{}, err
	}
	res, err := resource.Merge(resource.NewSchemaless(attribute.String("service.name", "orgate"), attribute.String("service.version", version)), resource.Environment())
	if err != nil {
		return Tracing{}, err
	}
	return Tracing{sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(res))}, nil
}

// On reports whether anything is traced.
func (t Tracing) On() bool { return t.provider != nil }

// Handler traces what h serves, a span a request, and tells the app behind h of it by the
// traceparent header, so that its spans join ours. A span has the method, the status and
// nothing else of the request: paths hold secrets, such as the token of an invitation, which
// is why this is not the usual instrumentation, which records them.
func (t Tracing) Handler(h http.Handler) http.Handler {
	if t.provider == nil {
		return h
	}
	tracer := t.provider.Tracer("github.com/orgate/orgate")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A client's trace is linked, never continued: it could choose what ours are filed under.
		client := trace.LinkFromContext(propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header)))
		name, method := spanOf(r.Method)
		ctx, span := tracer.Start(r.Context(), name, trace.WithSpanKind(trace.SpanKindServer), trace.WithNewRoot(), trace.WithLinks(client),
			trace.WithAttributes(attribute.String("http.request.method", method)))
		defer span.End()
		propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(r.Header))
		noted := &statusNoting{ResponseWriter: w}
		h.ServeHTTP(noted, r.WithContext(ctx))
		span.SetAttributes(attribute.Int("http.response.status_code", noted.status))
		if noted.status >= 500 {
			span.SetStatus(codes.Error, "")
		}
	})
}

// spanOf returns the name of a request's span and its method as OpenTelemetry wants them: of
// few values, whatever a client sends.
func spanOf(method string) (name, attribute string) {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions, http.MethodConnect, http.MethodTrace:
		return method, method
	}
	return "HTTP", "_OTHER"
}

// statusNoting notes the status of an answer.
type statusNoting struct {
	http.ResponseWriter
	status int
}

func (w *statusNoting) WriteHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets [http.ResponseController] flush, hijack and set deadlines.
func (w *statusNoting) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Close sends what is left.
func (t Tracing) Close(ctx context.Context) error {
	if t.provider == nil {
		return nil
	}
	return t.provider.Shutdown(ctx)
}
