//go:build !race

package factor_test

// slowdown is what other work on the machine may cost.
const slowdown = 4
