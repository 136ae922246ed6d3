package main

import "fmt"

// A figure is one of those to reach.
type figure string

const (
	cpuToNginx        figure = "CPU per authenticated request ÷ nginx bare `proxy_pass`"
	throughput        figure = "throughput on one core ÷ oauth2-proxy's (tuned `ReverseProxy` = 5.5 of these)"
	cpuToReverseProxy figure = "net/http path: CPU ÷ tuned `ReverseProxy`"
	p99ToNginx        figure = "p99 ÷ nginx p99 at the same offered load (70 % of the slower one's maximum)"
	memoryHeld        figure = "memory, 10,000 idle keep-alive connections and 100,000 cached sessions"
	costOfMany        figure = "cost at 10,000 organizations ÷ cost at 10"
)

// figures are what was measured of those to reach, as it is shown.
type figures map[figure]string

func (f figures) print() {
	if len(f) == 0 {
		return
	}
	fmt.Print("\n## Figures to reach\n\n| figure | at least | aim | measured: median (min–max) |\n|---|---|---|---|\n")
	for _, row := range []struct {
		figure       figure
		atLeast, aim string
	}{
		{cpuToNginx, "1.3", "1.0"},
		{throughput, "11", "15"},
		{cpuToReverseProxy, "0.8", "0.65"},
		{p99ToNginx, "1.5", "1.0"},
		{memoryHeld, "300 MB", "120 MB"},
		{costOfMany, "1.05", "1.0"},
	} {
		measured, ok := f[row.figure]
		if !ok {
			measured = "not in this run"
		}
		fmt.Printf("| %s | %s | %s | %s |\n", row.figure, row.atLeast, row.aim, measured)
	}
}
