package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/orgate/orgate/audit/hook"
)

// checkWebhooks checks where events are sent. What egress allows has its defaults by then.
func (g *reading) checkWebhooks() {
	hooks := g.config.Webhooks
	if len(hooks) > hook.MaxEndpoints {
		g.fault(g.at("webhooks"), fmt.Sprintf("there are %d webhooks: at most %d are allowed", len(hooks), hook.MaxEndpoints), "")
	}
	for i, h := range hooks {
		at := g.at("webhooks", i)
		if j := slices.IndexFunc(hooks, func(o Webhook) bool { return o.URL == h.URL }); j < i && h.URL != "" {
			g.fault(at.at("url"), "the url is there twice", "give one endpoint the events of both")
		}
		if strings.HasPrefix(h.URL, "http://") && !g.config.Egress.AllowLoopback {
			g.fault(at.at("url"), "the url is http, and calls to localhost are not allowed", "use https, or set egress.allow_loopback: true")
		}
		if _, err := hook.SecretKey(h.Secret.Reveal()); err != nil && !h.Secret.IsZero() {
			g.fault(at.at("secret"), "the secret is not of the form that receivers know", "make one with: echo whsec_$(openssl rand -base64 32)")
		}
	}
}
