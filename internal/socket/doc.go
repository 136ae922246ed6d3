// Package socket reads from and writes to a connection's socket by its descriptor, through its [syscall.RawConn], for
// less than package net does.
//
// It owns two system calls, which never wait, and a Reader and a Writer that wait as the RawConn does. It does not own
// deadlines, nor the life of the descriptor: those are the runtime poller's. Under the race detector the calls are
// package syscall's, by which the detector knows that what was done before a write was done before it was read.
package socket
