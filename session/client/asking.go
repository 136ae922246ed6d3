package client

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// What a client may have an identity provider asked for. Anybody can write a link to an authorize endpoint, in the name of
// any client: what it brings to a provider is shown to people under the operator's name, and is granted to the operator's
// client there.

const (
	paramScopes = "provider_scopes"
	paramAsking = "provider_query_params"

	maxScope  = 128 // bytes
	maxScopes = 10
	maxValue  = 128 // bytes
	// maxAsked is how many bytes all scopes, and all parameters, may have: they are carried from page to page.
	maxAsked = 256
)

// identityScopes are those that any client may ask for: they say who somebody is, which is what everybody comes for.
func identityScopes() []string { return []string{"openid", "profile", "email"} }

// CheckScope returns an error that says what is wrong with a scope that a client may ask for.
func CheckScope(s string) error {
	switch {
	case !isScope(s):
		return fmt.Errorf("a scope is 1 to %d printable ASCII characters without blanks, commas, quotes and backslashes (RFC 6749, 3.3)", maxScope)
	case s == "offline_access":
		return errors.New("offline_access is for refresh tokens, and no tokens of providers are kept")
	}
	return nil
}

// MayAsk reports whether the client may have identity providers asked for a scope.
func (c Client) MayAsk(scope string) bool {
	return slices.Contains(identityScopes(), scope) || slices.Contains(c.ProviderScopes, scope)
}

// isScope reports whether s is a scope-token of RFC 6749, 3.3. One with a comma could not be told from two.
func isScope(s string) bool {
	return s != "" && len(s) <= maxScope && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`"\,`, r) })
}

// scopes reads provider_scopes: separated by commas, as the reference has it, or given several times, as its SDKs do.
func (r *reader) scopes(c Client) {
	values, given := r.q[paramScopes]
	if !given {
		return
	}
	var asked []string
	for s := range strings.SplitSeq(strings.Join(values, ","), ",") {
		if err := CheckScope(s); err != nil {
			r.wrong("invalid_scope", "provider_scopes: %v", err)
			return
		}
		if !c.MayAsk(s) {
			r.wrong("invalid_scope", "provider_scopes has one that this client may not ask for: the configuration lists them, under clients and provider_scopes")
			return
		}
		if !slices.Contains(asked, s) {
			asked = append(asked, s)
		}
	}
	if len(asked) > maxScopes || len(strings.Join(asked, " ")) > maxAsked {
		r.wrong("invalid_scope", "provider_scopes has more than %d scopes, or %d characters", maxScopes, maxAsked)
		return
	}
	if r.of.Connection == "" && r.of.Provider == "" && !r.of.Profile {
		r.wrong("invalid_request", "provider_scopes goes with connection_id or provider: it is for the identity provider that the client names, and for no other")
		return
	}
	r.of.Scopes = asked
}

// Askable are the names of the parameters that a client may have a social provider asked with. They say which page people
// see first. None says who is asked for what, by whom or how, nor what is sent back and where: whatever could is not in the
// list, known or not.
func Askable() []string {
	return []string{"allow_signup", "display", "domain_hint", "hd", "hl", "kc_idp_hint", "login", "screen_hint", "ui_locales"}
}

// asking reads provider_query_params[NAME].
func (r *reader) asking() {
	size := 0
	for _, key := range slices.Sorted(maps.Keys(r.q)) {
		after, ok := strings.CutPrefix(key, paramAsking)
		if !ok {
			continue
		}
		name, closed := strings.CutSuffix(after, "]")
		name, opened := strings.CutPrefix(name, "[")
		value := r.text(key)
		switch {
		case name == "access_type", name == "include_granted_scopes":
			r.wrong("invalid_request", "provider_query_params: %s is about tokens of the provider, and none are kept", name)
			return
		case !opened || !closed || !slices.Contains(Askable(), name):
			r.wrong("invalid_request", "provider_query_params has one that is not passed on; those that are: %s", strings.Join(Askable(), ", "))
			return
		case !isAskable(value):
			r.wrong("invalid_request", "provider_query_params: %s is not 1 to %d letters, digits, blanks and . , _ ~ @ : / + * -", name, maxValue)
			return
		case r.of.Provider == "":
			r.wrong("invalid_request", "provider_query_params goes with provider: it is for the social provider that the client names, and for no other")
			return
		}
		if size += len(name) + len(value); size > maxAsked {
			r.wrong("invalid_request", "provider_query_params is longer than %d characters", maxAsked)
			return
		}
		if r.of.Asking == nil {
			r.of.Asking = map[string]string{}
		}
		r.of.Asking[name] = value
	}
}

// isAskable reports whether a value may be passed on.
func isAskable(s string) bool {
	return s != "" && len(s) <= maxValue && strings.Trim(s, " .,_~@:/+*-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") == ""
}

// setAsked puts into a query what the provider was to be asked for.
func (a Authorization) setAsked(q url.Values) {
	if len(a.Scopes) > 0 {
		q.Set(paramScopes, strings.Join(a.Scopes, ","))
	}
	for name, value := range a.Asking {
		q.Set(paramAsking+"["+name+"]", value)
	}
}

// ForProvider is what a social provider is asked with besides: what the client says, and for Microsoft, to which the
// reference passes it on, the domain hint.
func (a Authorization) ForProvider(microsoft bool) map[string]string {
	if !microsoft || !isAskable(a.Domain) || a.Asking["domain_hint"] != "" {
		return a.Asking
	}
	asking := maps.Clone(a.Asking)
	if asking == nil {
		asking = map[string]string{}
	}
	asking["domain_hint"] = a.Domain
	return asking
}

// Asked returns a as it is once the provider has been asked: what only that was for can be long, and a cookie holds it.
func (a Authorization) Asked() Authorization {
	a.Scopes, a.Asking, a.LoginHint = nil, nil, ""
	return a
}
