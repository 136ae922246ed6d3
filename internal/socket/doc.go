// Package socket reads from and writes to a connection's socket by its descriptor, in the functions that are
// given to a [syscall.RawConn].
//
// It owns two system calls, which never wait. It does not own waiting, deadlines, nor the life of the descriptor:
// those are the runtime poller's, through the RawConn. Under the race detector the calls are package syscall's, by
// which the detector knows that what was done before a write was done before it was read.
package socket
