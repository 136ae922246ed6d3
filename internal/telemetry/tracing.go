package telemetry

import (
	"context"
	"net/http"
	"os"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
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
	res, err := resource.Merge(resource.NewSchemaless(serviceName("orgate"), serviceVersion(version)), resource.Environment())
	if err != nil {
		return Tracing{}, err
	}
	return Tracing{sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(res))}, nil
}

// Handler traces what h serves, a span a request. The name of the span is the method
// alone: a path is a client's word, and may hold a secret.
func (t Tracing) Handler(h http.Handler) http.Handler {
	if t.provider == nil {
		return h
	}
	return otelhttp.NewHandler(h, "orgate",
		otelhttp.WithTracerProvider(t.provider),
		otelhttp.WithPropagators(propagation.TraceContext{}),
		otelhttp.WithPublicEndpointFn(func(*http.Request) bool { return true }), // a client's trace is linked, never continued
		otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string { return r.Method }))
}

// Inject writes the span of ctx into the headers of a request to the app, so that its
// spans join ours.
func (t Tracing) Inject(ctx context.Context, h http.Header) {
	if t.provider != nil && trace.SpanContextFromContext(ctx).IsValid() {
		propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(h))
	}
}

// Close sends what is left.
func (t Tracing) Close(ctx context.Context) error {
	if t.provider == nil {
		return nil
	}
	return t.provider.Shutdown(ctx)
}
