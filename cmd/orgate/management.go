package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/orgate/orgate/api"
	"github.com/orgate/orgate/audit/hook"
	"github.com/orgate/orgate/config"
	"github.com/orgate/orgate/internal/endpoint"
	"github.com/orgate/orgate/internal/invite"
	"github.com/orgate/orgate/internal/mail"
	"github.com/orgate/orgate/internal/page"
	"github.com/orgate/orgate/internal/telemetry"
	"github.com/orgate/orgate/internal/text"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/session/client"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// managementRoutes are health, metrics and, if asked for, profiles.
func (g *gateway) managementRoutes(withProfiles bool) []endpoint.Route {
	operator := func(pattern string, h http.HandlerFunc) endpoint.Route {
		return endpoint.Route{Side: endpoint.Management, Pattern: pattern, Access: endpoint.Operator,
			Handle: func(w http.ResponseWriter, r *http.Request) error { h(w, r); return nil }}
	}
	routes := []endpoint.Route{
		operator("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "ok") }),
		operator("GET /readyz", g.readyz),
		operator("GET /metrics", g.metrics.Handler().ServeHTTP),
	}
	if withProfiles {
		routes = append(routes,
			operator("GET /debug/pprof/", pprof.Index),
			operator("GET /debug/pprof/cmdline", pprof.Cmdline),
			operator("GET /debug/pprof/profile", pprof.Profile),
			operator("GET /debug/pprof/symbol", pprof.Symbol),
			operator("GET /debug/pprof/trace", pprof.Trace))
	}
	return routes
}

// managementServer is the listener for operators.
func (g *gateway) managementServer() (*http.Server, error) {
	c := g.config().Management
	programs, err := g.managementAPI()
	if err != nil {
		return nil, err
	}
	operators, err := endpoint.New(g.managementRoutes(c.Pprof), endpoint.Options{
		Guards:   map[endpoint.Access]endpoint.Guard{endpoint.Operator: onlyHost(c.Listen)},
		Renderer: page.Errors{}, Logger: g.log,
	})
	if err != nil {
		return nil, err
	}
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch first, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/"); first {
		case "", "healthz", "readyz", "metrics", "debug":
			operators.ServeHTTP(w, r)
		default:
			programs.ServeHTTP(w, r)
		}
	})
	return &http.Server{
		Handler: withID(h), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: time.Minute, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(g.log.Handler(), slog.LevelWarn),
	}, nil
}

// managementAPI is what programs ask.
func (g *gateway) managementAPI() (*api.API, error) {
	return api.New(api.Options{
		Store: g.store, Logger: g.log, Admit: onlyHost(g.config().Management.Listen),
		RolesAt: func() tenancy.Origin { return g.config().RolesAt },
		Rules:   func() tenancy.Rules { return g.config().Rules() },
		Limits:  func() session.Limits { return limits(g.config()) },
		Offered: func() policy.Methods { return g.config().Offered() },

		Connections: connections{g},

		RetentionDays: func() int { return g.config().Audit.RetentionDays },
		ManagementURL: func() *url.URL { return managementURL(g.config().Management) },

		PublicURL: func() *url.URL { return g.config().PublicURL.URL },
		Mail: func() invite.Mail {
			if g.config().Mail == nil {
				return nil
			}
			return mail.NewQueue(g.box)
		},
		Clients:  func() client.Clients { return g.config().SignInClients() },
		Webhooks: func() hook.Rules { return hook.Rules{CheckURL: g.hooks.CheckURL, Box: g.box} },
		Apps:     g.checkedApps,
	})
}

// checkedApps are the apps whose route rules can be asked.
func (g *gateway) checkedApps() []api.App {
	var apps []api.App
	for _, a := range g.config().Apps {
		apps = append(apps, api.App{Name: a.Name, Rules: a.Rules, Host: a.Host.Host})
	}
	return apps
}

// managementURL is where programs reach the management listener, as far as can be known.
func managementURL(m config.Management) *url.URL {
	if m.URL.URL != nil {
		return m.URL.URL
	}
	host, port, err := net.SplitHostPort(m.Listen)
	if ip, bad := netip.ParseAddr(host); err == nil && (host == "" || bad == nil && ip.IsUnspecified()) {
		host = "localhost"
	}
	return &url.URL{Scheme: "http", Host: net.JoinHostPort(host, port)}
}

// finishRemovals deletes what of organizations a process before this one has left.
func (g *gateway) finishRemovals(ctx context.Context) {
	if err := api.FinishRemovals(ctx, g.store, time.Now); err != nil && ctx.Err() == nil {
		g.log.ErrorContext(ctx, "organizations that are to be deleted are not gone yet; the next start goes on", "cause", err)
	}
}

// settleIndexes has what orgates of an older version still write, while one after the other is updated, found by this one: when they
// should be gone, and once more when they are.
func (g *gateway) settleIndexes(ctx context.Context) {
	for wait := 10 * time.Minute; ; wait = store.Mixed {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		done, err := g.store.Settle(ctx)
		if err != nil && ctx.Err() == nil {
			g.log.ErrorContext(ctx, "index entries of rows that an older orgate wrote may be missing; the next start goes on", "cause", err)
		}
		if done || err != nil {
			return
		}
	}
}

func withID(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r.WithContext(endpoint.WithRequestID(r.Context())))
	})
}

// onlyHost refuses requests to a loopback listener that name another host: a page in the
// operator's browser whose name was made to resolve to 127.0.0.1 (DNS rebinding). Who names none is no browser, but
// maybe a balancer that looks by HTTP/1.0.
func onlyHost(listen string) endpoint.Guard {
	host, _, err := net.SplitHostPort(listen)
	loopback := err == nil && isLoopback(host)
	return func(r *http.Request) (*http.Request, error) {
		name, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			name = r.Host
		}
		if loopback && name != "" && !isLoopback(strings.Trim(name, "[]")) {
			return nil, &endpoint.Error{Status: http.StatusMisdirectedRequest, Code: "unknown_host", Title: text.T("Not here"), Text: text.T("The management listener is asked by address or as localhost.")}
		}
		return r, nil
	}
}

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}

// readyz says whether requests should be sent here: not while starting or draining, and
// not without a store, as then nobody new gets in.
func (g *gateway) readyz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	if !g.ready.Load() {
		answer(w, http.StatusServiceUnavailable, "not serving")
		return
	}
	if err := g.engine.Health(ctx); err != nil {
		g.log.WarnContext(ctx, "not ready: the store does not answer", "cause", err)
		answer(w, http.StatusServiceUnavailable, "store is unavailable")
		return
	}
	answer(w, http.StatusOK, "ok")
}

func answer(w http.ResponseWriter, status int, word string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"status": word}) // the client has gone, if this fails
}

// gauges are read when metrics are.
func (g *gateway) gauges() []telemetry.Gauge {
	return []telemetry.Gauge{
		{Name: "orgate_store_up", Help: "1 if the store answers.", Value: func() float64 {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			if g.engine.Health(ctx) != nil {
				return 0
			}
			return 1
		}},
		{Name: "orgate_saml_certificates_end_timestamp_seconds", Help: "When the first SAML provider is out of certificates that have not ended; 0: there is none. See orgate saml show.", Value: g.samlEnds},
		{Name: "orgate_webhooks_waiting", Help: "Webhooks that are not delivered yet; 10000: that many, or more.", Value: g.webhooksWaiting},
		{Name: "orgate_organizations", Help: "Organizations of the configuration.", Value: func() float64 { return float64(len(g.config().Organizations)) }},
	}
}

// samlEnds is when the first of the SAML providers in use has no certificate any more that has not
// ended.
func (g *gateway) samlEnds() float64 {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	var first time.Time
	err := g.store.View(ctx, func(tx store.Tx) error {
		first = time.Time{}
		for s, err := range tx.DueSAML(time.Now().Add(100 * 365 * 24 * time.Hour)) {
			if err != nil {
				return err
			}
			if !s.SignsUntil.IsZero() && (first.IsZero() || s.SignsUntil.Before(first)) {
				first = s.SignsUntil
			}
		}
		return nil
	})
	if err != nil || first.IsZero() {
		return 0
	}
	return float64(first.Unix())
}
