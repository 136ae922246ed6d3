// Package e2e tries the whole program from outside: the binary that was built, as a child
// process, between real browsers, identity providers that nobody here wrote, and an app.
//
// It owns no part of the product, and has tests alone. What a package can show by itself is
// shown there; here is what only holds if all of them agree. And whatever a test does here,
// the log that the program wrote meanwhile is searched for every secret that was used.
package e2e
