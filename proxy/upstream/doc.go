// Package upstream speaks HTTP/1.1 with the apps: one request and its answer at a time on a
// connection that is kept for the next one, all on the goroutine of the caller.
//
// It owns the connections, their limits and the queue for them; the framing of requests; and
// the reading of answers, by a parser that takes what RFC 9112 says and nothing else. It
// does not own what is said: a [Call] has the head of its request as bytes, made by the
// caller, and gets the answer's as bytes. It knows no TLS, no upgrade and no HTTP/2.
//
// The invariant: a connection carries another request only if the answer on it was read to
// its exact end, nothing came after it, and the whole request had been sent. Whatever is
// not plain ends the connection, so that no answer is ever taken for that to another
// request.
package upstream
