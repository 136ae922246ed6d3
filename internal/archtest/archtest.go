// Package archtest holds the rules about the code itself, as tests: who may import
// whom, and that every package says what it owns.
package archtest
