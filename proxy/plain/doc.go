// Package plain reads the head of the plain request: the request that nearly every client
// sends nearly always, and about which no two servers disagree.
//
// It owns a closed grammar, a strict subset of RFC 9112: HTTP/1.1; one of seven methods; a
// target in origin form, in the characters of RFC 3986, every escape whole; names of
// letters, digits and dashes; values of printable ASCII and single spaces within them as they
// came; every line ended by CRLF and none folded; one Host, a name with or without a port; at
// most one Content-Length, in digits alone; at most one Connection, close or keep-alive; and
// no other field that says anything of the connection or of how the message is framed.
//
// It does not own what becomes of a request that is not plain: that one is not wrong, it is
// net/http's. Nothing is ever guessed or mended here. It reads no connection, keeps nothing of what
// it was given but parts of the string, and allocates nothing.
//
// The invariant: what is plain here is a request to net/http too, with the same method,
// target, host, fields and length. The fuzzers hold it against [net/http.ReadRequest].
package plain
