package oidc

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/orgate/orgate/internal/egress"
	"github.com/orgate/orgate/sso/ssotest"
)

func TestManySignInsAtOnceAskTheProviderOnce(t *testing.T) {
	r := newRig(t)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, _, err := r.ps.Start(t.Context(), r.conn, StartRequest{RedirectURI: r.redirect}, r.clock.now()); err != nil {
				t.Error(err)
			}
			if err := r.ps.Check(t.Context(), r.conn); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, endpoint := range []string{"discovery", "jwks"} {
		if got := r.op.Hits(endpoint); got != 1 {
			t.Errorf("%s was asked %d times, want once", endpoint, got)
		}
	}
	if _, err := r.signIn(t, StartRequest{}); err != nil || r.op.Hits("discovery") != 1 || r.op.Hits("jwks") != 1 {
		t.Errorf("a warm sign-in asked again: %v", err)
	}
}

func TestAProviderThatHangsStopsOnlyItsOwnSignIns(t *testing.T) {
	r, other := newRig(t), newRig(t)
	r.ps.egress = egress.New(egress.Options{AllowLoopback: true, Timeout: time.Minute})
	asked := make(chan struct{})
	r.op.Misbehave(ssotest.Faults{Endpoints: map[string]http.Handler{"discovery": http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		close(asked) // a second call would panic
		<-req.Context().Done()
	})}})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, _, err := r.ps.Start(ctx, r.conn, StartRequest{RedirectURI: r.redirect}, r.clock.now()); !errors.Is(err, context.Canceled) {
				t.Errorf("a hanging provider: %v", err)
			}
		})
	}
	<-asked
	healthy := other.conn
	healthy.ID = "conn_healthy"
	if err := r.ps.Check(t.Context(), healthy); err != nil {
		t.Errorf("another provider, in the meantime: %v", err)
	}
	cancel() // whoever waits can go away, long before the provider's deadline
	wg.Wait()
	if got := r.op.Hits("discovery"); got != 1 {
		t.Errorf("%d calls hang, want 1", got)
	}
}

func TestAFailureIsRememberedForAMoment(t *testing.T) {
	r := newRig(t)
	r.op.Misbehave(ssotest.Faults{Endpoints: map[string]http.Handler{"discovery": ssotest.Says(503, "text/plain", "")}})
	for range 10 {
		if err := r.ps.Check(t.Context(), r.conn); code(t, err) != CodeUnavailable {
			t.Fatal(err)
		}
	}
	if got := r.op.Hits("discovery"); got != 1 {
		t.Errorf("asked %d times in one moment", got)
	}
	r.op.Misbehave(ssotest.Faults{})
	r.clock.pass(11 * time.Second)
	if err := r.ps.Check(t.Context(), r.conn); err != nil {
		t.Errorf("after it came back: %v", err)
	}
}

func TestWhatWasLearntServesWhileTheProviderIsDownButNotForever(t *testing.T) {
	r := newRig(t)
	if err := r.ps.Check(t.Context(), r.conn); err != nil {
		t.Fatal(err)
	}
	down := ssotest.Says(500, "text/plain", "")
	r.op.Misbehave(ssotest.Faults{Endpoints: map[string]http.Handler{"discovery": down, "jwks": down}})
	r.clock.pass(11 * time.Hour)
	if _, err := r.signIn(t, StartRequest{}); err != nil {
		t.Errorf("eleven hours later: %v", err)
	}
	if r.op.Hits("discovery") < 2 || r.op.Hits("jwks") < 2 {
		t.Error("nobody tried to refresh")
	}
	r.clock.pass(2 * time.Hour)
	if _, err := r.signIn(t, StartRequest{}); code(t, err) != CodeUnavailable {
		t.Errorf("thirteen hours later: %v; the keys are too old", err)
	}
	r.clock.pass(12 * time.Hour)
	if err := r.ps.Check(t.Context(), r.conn); code(t, err) != CodeUnavailable {
		t.Errorf("after a day: %v", err)
	}
}

func TestADiscoveryDocumentThatChangesIsNoticed(t *testing.T) {
	r := newRig(t)
	if err := r.ps.Check(t.Context(), r.conn); err != nil {
		t.Fatal(err)
	}
	r.op.Misbehave(ssotest.Faults{Discovery: func(d map[string]any) { d["end_session_endpoint"] = "https://login.example.com/bye" }})
	r.clock.pass(61 * time.Minute)
	to, err := r.ps.LogoutURL(t.Context(), r.conn, LogoutRequest{})
	if want := "https://login.example.com/bye?client_id=" + testClient; err != nil || to != want {
		t.Errorf("%q, %v; want %q", to, err, want)
	}
}

func TestARotatedKeyIsFetchedWhenItIsFirstSeen(t *testing.T) {
	r := newRig(t)
	if _, err := r.signIn(t, StartRequest{}); err != nil {
		t.Fatal(err)
	}
	r.op.RotateKeys(true)
	if _, err := r.signIn(t, StartRequest{}); err != nil || r.op.Hits("jwks") != 2 {
		t.Errorf("%v after %d fetches", err, r.op.Hits("jwks"))
	}
}

func TestAKeyThatWasRotatedOutIsNotAcceptedForLong(t *testing.T) {
	r := newRig(t)
	a, err := r.signIn(t, StartRequest{})
	if err != nil {
		t.Fatal(err)
	}
	old := r.op.LogoutToken(r.client, a.Subject, "", nil)
	r.op.RotateKeys(false)
	if _, err := r.signIn(t, StartRequest{}); err != nil { // brings the new set
		t.Fatal(err)
	}
	if _, err := r.ps.VerifyLogout(t.Context(), r.conn, old, r.clock.now()); code(t, err) != CodeUnknownKey {
		t.Errorf("a token by the old key: %v", err)
	}

	// Without a token that names the new key, the set is looked at every ten minutes.
	later := newRig(t)
	if a, err = later.signIn(t, StartRequest{}); err != nil {
		t.Fatal(err)
	}
	old = later.op.LogoutToken(later.client, a.Subject, "", nil)
	later.op.RotateKeys(false)
	later.clock.pass(601 * time.Second)
	if _, err := later.ps.VerifyLogout(t.Context(), later.conn, old, later.clock.now()); code(t, err) == "" {
		t.Error("a token by the old key, ten minutes later, was accepted")
	}
}

func TestAFloodOfUnknownKeysFetchesOnceAndDelaysNobody(t *testing.T) {
	r := newRig(t)
	if _, err := r.signIn(t, StartRequest{}); err != nil {
		t.Fatal(err)
	}
	flood := func(n int) {
		for i := range n {
			r.op.Misbehave(ssotest.Faults{Header: func(h map[string]any) { h["kid"] = fmt.Sprint("random-", i) }})
			token := r.op.LogoutToken(r.client, "alice-1", "", nil)
			if _, err := r.ps.VerifyLogout(t.Context(), r.conn, token, r.clock.now()); code(t, err) != CodeUnknownKey {
				t.Fatal(err)
			}
		}
		r.op.Misbehave(ssotest.Faults{})
	}
	flood(300)
	if got := r.op.Hits("jwks"); got != 2 {
		t.Errorf("%d fetches, want the first and one more", got)
	}
	// In the middle of it the provider rotates: the ID token comes from the provider
	// itself, so it may cause a fetch although strangers have used up theirs.
	r.op.RotateKeys(true)
	if _, err := r.signIn(t, StartRequest{}); err != nil {
		t.Errorf("a sign-in during the flood: %v", err)
	}
	r.clock.pass(31 * time.Second)
	flood(300)
	if got := r.op.Hits("jwks"); got != 4 {
		t.Errorf("%d fetches after another half minute, want 4", got)
	}
	// The same unknown key again, when the cooldown is over, causes none.
	r.clock.pass(31 * time.Second)
	flood(1)
	if got := r.op.Hits("jwks"); got != 4 {
		t.Errorf("%d fetches for a key that is known to be missing, want 4", got)
	}
}

func TestAFailedFetchDoesNotCondemnTheKeyThatItWasFor(t *testing.T) {
	r := newRig(t)
	if _, err := r.signIn(t, StartRequest{}); err != nil {
		t.Fatal(err)
	}
	r.op.RotateKeys(true)
	r.op.Misbehave(ssotest.Faults{Endpoints: map[string]http.Handler{"jwks": ssotest.Says(500, "text/plain", "")}})
	if _, err := r.signIn(t, StartRequest{}); code(t, err) != CodeUnavailable {
		t.Fatal(err)
	}
	r.op.Misbehave(ssotest.Faults{})
	r.clock.pass(31 * time.Second)
	if _, err := r.signIn(t, StartRequest{}); err != nil {
		t.Errorf("half a minute later: %v", err)
	}
}

func TestTwoProvidersWithOneKeyIDDoNotSpeakForEachOther(t *testing.T) {
	r, evil := newRig(t), newRig(t)
	same := ssotest.Faults{
		Header: func(h map[string]any) { h["kid"] = "same" },
		Keys:   eachKey(func(k map[string]any) { k["kid"] = "same" }),
	}
	r.op.Misbehave(same)
	evil.op.Misbehave(same)
	if _, err := r.signIn(t, StartRequest{}); err != nil {
		t.Fatal(err)
	}
	// The evil provider's tokens, in a registry that knows both, under the other's issuer.
	conn := evil.conn
	conn.ID = "conn_evil"
	if err := r.ps.Check(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	token := evil.op.LogoutToken(evil.client, "alice-1", "", func(c map[string]any) { c["iss"] = r.conn.Issuer })
	if _, err := r.ps.VerifyLogout(t.Context(), r.conn, token, r.clock.now()); code(t, err) != CodeSignature {
		t.Errorf("at the other connection: %v", err)
	}
	if _, err := r.ps.VerifyLogout(t.Context(), conn, token, r.clock.now()); code(t, err) != CodeIssuer {
		t.Errorf("at its own: %v", err)
	}
}

func TestTwoConnectionsOfOneIssuerShareNothing(t *testing.T) {
	r := newRig(t)
	other := r.conn
	other.ID = "conn_2"
	for _, c := range []Connection{r.conn, other} {
		if err := r.ps.Check(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	if got := r.op.Hits("jwks"); got != 2 {
		t.Errorf("keys were fetched %d times, want once for each connection", got)
	}
}

func TestTheRegistryIsBounded(t *testing.T) {
	r := newRig(t)
	r.ps = New(Options{Egress: r.egress, Now: r.clock.now, MaxProviders: 10})
	for i := range 100 {
		r.conn.ID = fmt.Sprint("conn_", i)
		if err := r.ps.Check(t.Context(), r.conn); err != nil {
			t.Fatal(err)
		}
	}
	if got := r.ps.known.Len(); got != 10 {
		t.Errorf("%d providers are remembered, want 10", got)
	}
}

func TestAParserThatPanicsFailsOneFetch(t *testing.T) {
	r := &remote[int]{now: time.Now, fetch: func(context.Context) (int, error) { panic("index out of range") }}
	if _, err := r.get(t.Context()); code(t, err) != CodeDiscovery {
		t.Error(err)
	}
}

func TestWeakAndPrivateKeysAreLeftOut(t *testing.T) {
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	good, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		key  any
		want Code
	}{
		"2048 bits": {&good.PublicKey, ""}, "1024 bits": {&weak.PublicKey, CodeKeys}, "private": {good, CodeKeys}, "symmetric": {[]byte("0123456789"), CodeKeys},
	} {
		b, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: tc.key, KeyID: "k"}}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parseKeys(b); code(t, err) != tc.want {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
}

func TestAKeyVerifiesItsOwnAlgorithmsOnly(t *testing.T) {
	r := newRig(t)
	set, err := r.keys(t)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range set.keys {
		k.Algorithm = ""
		var got []string
		for _, alg := range append(accepted(), "HS256", "none", "") {
			if fits(k, alg) {
				got = append(got, alg)
			}
		}
		want := map[bool]string{true: "[RS256 RS384 RS512 PS256 PS384 PS512]", false: "[ES256]"}[k.KeyID[len(k.KeyID)-3:] == "rsa"]
		if fmt.Sprint(got) != want {
			t.Errorf("%s: %v, want %s", k.KeyID, got, want)
		}
	}
}

func (r *rig) keys(t *testing.T) (keySet, error) {
	return fetchKeys(t.Context(), r.egress, r.op.Issuer()+"/jwks")
}
