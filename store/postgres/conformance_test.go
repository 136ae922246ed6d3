package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/store/postgres"
	"github.com/orgate/orgate/store/postgres/pgtest"
	"github.com/orgate/orgate/store/storetest"
)

func TestConformance(t *testing.T) {
	s := pgtest.Start(t)
	urls := map[store.Engine]string{}
	storetest.Run(t, storetest.Harness{
		Open: func(t testing.TB, now func() time.Time) store.Engine {
			url := s.URL()
			e, err := postgres.Open(context.Background(), postgres.Options{URL: url, Now: now, MaxConns: 16})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = e.Close() })
			urls[e] = url
			return e
		},
		Join: func(t testing.TB, other store.Engine) store.Engine {
			e, err := postgres.Open(context.Background(), postgres.Options{URL: urls[other], MaxConns: 16})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = e.Close() })
			return e
		},
	})
}
