package telemetry

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics are what /metrics shows. docs/operations.md explains each.
type Metrics struct {
	registry *prometheus.Registry

	requests     *prometheus.CounterVec
	durations    *prometheus.HistogramVec
	signIns      *prometheus.CounterVec
	mails        *prometheus.CounterVec
	webhooks     *prometheus.CounterVec
	looks        *prometheus.CounterVec
	domains      *prometheus.CounterVec
	saml         *prometheus.CounterVec
	certificates *prometheus.CounterVec
	reloads      *prometheus.CounterVec
	reloaded     prometheus.Gauge
}

// A Gauge is a value that is read when /metrics is asked for.
type Gauge struct {
	Name, Help string
	Value      func() float64
}

// NewMetrics returns metrics with nothing counted.
func NewMetrics(version, commit string) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "orgate_requests_total",
			Help: "Requests by where they went, what was decided and why, and the class of the status."}, []string{"route", "verdict", "reason", "status"}),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "orgate_request_duration_seconds",
			Help: "From the request's headers to the end of the answer, the app's time included. Streams are left out.", Buckets: prometheus.ExponentialBuckets(0.0005, 2.5, 12)}, []string{"route"}),
		signIns: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "orgate_sign_in_steps_total",
			Help: "Steps of sign-ins on the login host, by how they ended."}, []string{"outcome"}),
		mails: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "orgate_mails_total",
			Help: "What became of mails (sent, temporary, permanent, expired), and how often the mail server was unreachable."}, []string{"outcome"}),
		webhooks: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "orgate_webhooks_total",
			Help: "What became of webhooks (delivered, failed, given_up, dropped), and how often an endpoint was disabled (endpoint_disabled)."}, []string{"outcome"}),
		looks: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "orgate_domain_checks_total",
			Help: "Looks into the DNS for the records of domains, by what their servers answered (present, absent, unclear) and why."}, []string{"answer", "reason"}),
		domains: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "orgate_domain_changes_total",
			Help: "What looks into the DNS changed of domains (verified, taken, expired, lapsing, recovered, lapsed)."}, []string{"change"}),
		saml: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "orgate_saml_upkeep_total",
			Help: "Looks after SAML connections, by how they ended (unchanged, metadata_changed, metadata_failed, key_failed), and warnings of certificates that end (certificate_warning)."}, []string{"outcome"}),
		certificates: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "orgate_certificates_total",
			Help: "What became of asking the authority for certificates of hosts (issued, renewed, failed)."}, []string{"outcome"}),
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "orgate_config_reloads_total",
			Help: "Configurations read since the start, by result (ok, refused)."}, []string{"result"}),
		reloaded: prometheus.NewGauge(prometheus.GaugeOpts{Name: "orgate_config_last_reload_success_timestamp_seconds",
			Help: "When the configuration in force was put in force."}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: "orgate_build_info", Help: "1, with the version as labels.",
		ConstLabels: prometheus.Labels{"version": version, "commit": commit}})
	build.Set(1)
	m.registry.MustRegister(m.requests, m.durations, m.signIns, m.mails, m.webhooks, m.looks, m.domains, m.saml, m.certificates, m.reloads, m.reloaded, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Watch adds gauges.
func (m *Metrics) Watch(gauges ...Gauge) {
	for _, g := range gauges {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: g.Name, Help: g.Help}, g.Value))
	}
}

// Handler serves the metrics in the formats that Prometheus reads.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// Request counts a request. route is one of the proxy's few kinds, never a path.
func (m *Metrics) Request(route, verdict, reason string, status int, took time.Duration, stream bool) {
	m.requests.WithLabelValues(route, verdict, reason, strconv.Itoa(status/100)+"xx").Inc()
	if !stream {
		m.durations.WithLabelValues(route).Observe(took.Seconds())
	}
}

// SignIn counts a step of a sign-in.
func (m *Metrics) SignIn(outcome string) { m.signIns.WithLabelValues(outcome).Inc() }

// Mail counts what became of a mail.
func (m *Metrics) Mail(outcome string) { m.mails.WithLabelValues(outcome).Inc() }

// Webhook counts what became of a webhook.
func (m *Metrics) Webhook(outcome string) { m.webhooks.WithLabelValues(outcome).Inc() }

// DomainCheck counts a look for the record of a domain, and what it changed; empty: nothing.
func (m *Metrics) DomainCheck(answer, reason, change string) {
	m.looks.WithLabelValues(answer, reason).Inc()
	if change != "" {
		m.domains.WithLabelValues(change).Inc()
	}
}

// SAML counts a look after a SAML connection.
func (m *Metrics) SAML(outcome string) { m.saml.WithLabelValues(outcome).Inc() }

// Certificate counts what came of asking an authority for a certificate.
func (m *Metrics) Certificate(outcome string) { m.certificates.WithLabelValues(outcome).Inc() }

// Reload counts a reading of the configuration.
func (m *Metrics) Reload(ok bool, now time.Time) {
	if !ok {
		m.reloads.WithLabelValues("refused").Inc()
		return
	}
	m.reloads.WithLabelValues("ok").Inc()
	m.reloaded.Set(float64(now.Unix()))
}
