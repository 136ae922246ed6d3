package telemetry

import "go.opentelemetry.io/otel/attribute"

// The resource attributes of the OpenTelemetry semantic conventions.
func serviceName(s string) attribute.KeyValue    { return attribute.String("service.name", s) }
func serviceVersion(s string) attribute.KeyValue { return attribute.String("service.version", s) }
