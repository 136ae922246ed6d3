//go:build race

package factor_test

// slowdown is what the race detector costs.
const slowdown = 20
