package main

import (
	"context"
	"fmt"
	"time"
)

// startups measures how long orgate takes to be ready and how much memory it has then:
// the first start, which writes the organizations to the store, and the second.
func startups(ctx context.Context, b *bench) error {
	fmt.Println("\n## Start-up\n\n| organizations | first start, RSS | next start, RSS |\n|---|---|---|")
	for _, n := range []int{10, 10_000} {
		err := b.inYard(func(y *yard) error {
			var took [2]time.Duration
			var rss [2]int64
			g, err := y.gate(ctx, setup{binary: b.orgate, organizations: n, issuer: "http://127.0.0.1:1"}, "127.0.0.1:1")
			for i := range took {
				if err != nil {
					return err
				}
				took[i], rss[i] = g.took, g.process.rss()
				g.process.stop()
				if i == 0 {
					err = y.startGate(ctx, g)
				}
			}
			fmt.Printf("| %d | %.2f s, %d MiB | %.2f s, %d MiB |\n", n, took[0].Seconds(), rss[0]>>20, took[1].Seconds(), rss[1]>>20)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
