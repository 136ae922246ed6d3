//go:build !unix

package proxy

// rawReads: a connection is read from as package net does it, with a buffer at hand.
const rawReads = false

func (c *conn) advance(uintptr) bool { return true }

func (c *conn) peek() bool { return false }

func (c *conn) unheard() bool { return false }
