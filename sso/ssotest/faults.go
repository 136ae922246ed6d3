package ssotest

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"net/url"
)

// Faults are lies. The zero Faults are none. Functions edit what an honest provider would
// have sent.
type Faults struct {
	// Claims and Header edit the ID token before it is signed.
	Claims func(map[string]any)
	Header func(map[string]any)
	// Signature is how ID tokens and logout tokens are signed.
	Signature Signature
	// IDToken edits the token when it is done.
	IDToken func(string) string
	// Callback edits the parameters that the browser is sent back with.
	Callback func(url.Values)

	TokenAnswer func(map[string]any)
	Userinfo    func(map[string]any)
	Discovery   func(map[string]any)
	Keys        func(map[string]any)

	// Endpoints take the place of endpoints, by the names of [Provider.Hits].
	Endpoints map[string]http.Handler
}

// Signature is how a token is signed.
type Signature int

// The signatures.
const (
	Genuine             Signature = iota
	SignedByOtherKey              // by a key that is not published, under a key id that is
	NotSigned                     // alg none
	SignatureStripped             // alg as it should be, and no signature
	SignedWithPublicKey           // HS256, the secret being the published key
)

// Misbehave has the provider lie from now on; the zero Faults end it.
func (p *Provider) Misbehave(f Faults) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = f
}

func (p *Provider) edit(which func(Faults) func(map[string]any), v map[string]any) {
	p.mu.Lock()
	f := which(p.faults)
	p.mu.Unlock()
	if f != nil {
		f(v)
	}
}

// Endless answers without end.
func Endless() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		chunk := make([]byte, 32<<10)
		for i := range chunk {
			chunk[i] = ' '
		}
		for r.Context().Err() == nil {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	})
}

// Silent never answers.
func Silent() http.Handler {
	return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
}

// Bomb answers with a little that unpacks to n bytes. It is packed once, here: on a busy
// machine that takes longer than whoever is to refuse it has.
func Bomb(n int) http.Handler {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write(make([]byte, n)) // a bytes.Buffer takes everything
	_ = z.Close()
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(packed.Bytes())
	})
}

// Says answers with a status and a body.
func Says(status int, contentType, body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	})
}

// RedirectTo answers with a redirect that keeps method and body.
func RedirectTo(to string) http.Handler {
	return http.RedirectHandler(to, http.StatusTemporaryRedirect)
}
