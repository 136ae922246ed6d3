// Command orgate is an auth proxy sidecar that gives the web app behind it organizations.
//
// This package only wires: it reads flags, builds each part from the configuration, and
// serves and drains. To read the program, begin below and go up:
//
//   - policy: what must be proved; the decision, a pure function
//   - tenancy, session, audit: who belongs where, what was proved, what happened
//   - store, store/badger, store/postgres: transactions over all of those
//   - proxy: a request to a tenant host, from the host name to the app and back
//   - sso, sso/oidc, sso/saml: a sign-in, from the e-mail address to the hand-over
//   - sso/upkeep: metadata, keys and certificates of SAML connections
//   - domain, internal/dnsproof: the proof of an e-mail domain, and its loss
//   - config, config/apply: the YAML, and its way into the store
//   - web, internal/page: what people see; api: what programs ask
//
// The serve command is in serve.go: the order there is the order of things that need each
// other.
package main
