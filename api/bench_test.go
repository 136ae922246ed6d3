package api_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/orgate/orgate/api"
	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/store/badger"
	"github.com/orgate/orgate/store/postgres"
	"github.com/orgate/orgate/store/postgres/pgtest"
	"github.com/orgate/orgate/tenancy"
)

// A bench is an API over a store that syncs, as in production, asked by HTTP.
type bench struct {
	b      *testing.B
	s      *store.Store
	api    *api.API
	url    string
	secret string
	client *http.Client
	ticks  atomic.Int64
}

// now runs ahead, so that no key is told to wait.
func (x *bench) now() time.Time {
	return time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC).Add(time.Duration(x.ticks.Add(1)) * 30 * time.Millisecond)
}

func newBench(b *testing.B, open func(now func() time.Time) (store.Engine, error)) *bench {
	b.Helper()
	x := &bench{b: b, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
	e, err := open(x.now)
	if err != nil {
		b.Fatal(err)
	}
	x.s = store.New(e, store.Options{Now: x.now})
	b.Cleanup(func() { _ = x.s.Close() })
	x.update(func(tx store.Tx) error {
		if err := tenancy.SaveRole(tx, tenancy.Role{Slug: "member"}, audit.System, x.now()); err != nil {
			return err
		}
		_, secret, err := session.CreateAPIKey(tx, session.APIKey{Name: "all"}, audit.System, x.now())
		x.secret = secret.Reveal()
		return err
	})
	x.api, err = api.New(api.Options{
		Store: x.s, Logger: slog.New(slog.DiscardHandler), Rules: func() tenancy.Rules { return tenancy.Rules{DefaultRole: "member"} }, RolesAt: func() tenancy.Origin { return tenancy.Origin{} },
		Limits: func() session.Limits { return session.Limits{Idle: time.Hour, Absolute: time.Hour} }, Now: x.now,
	})
	if err != nil {
		b.Fatal(err)
	}
	server := httptest.NewServer(x.api)
	b.Cleanup(server.Close)
	x.url = server.URL
	return x
}

func (x *bench) update(f func(store.Tx) error) {
	x.b.Helper()
	if err := x.s.Update(x.b.Context(), f); err != nil {
		x.b.Fatal(err)
	}
}

func (x *bench) ask(method, target string, body any) map[string]any {
	var r io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			x.b.Error(err)
			return nil
		}
		r = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(x.b.Context(), method, x.url+target, r)
	if err != nil {
		x.b.Error(err)
		return nil
	}
	req.Header.Set("Authorization", "Bearer "+x.secret)
	resp, err := x.client.Do(req)
	if err != nil {
		x.b.Error(err)
		return nil
	}
	defer resp.Body.Close()
	var fields map[string]any
	b, err := io.ReadAll(resp.Body)
	if err == nil {
		err = json.Unmarshal(b, &fields)
	}
	if err != nil || resp.StatusCode >= 400 {
		x.b.Errorf("%s %s: %d %.300s %v", method, target, resp.StatusCode, b, err)
	}
	return fields
}

// BenchmarkAPI is what callers get who ask sixteen at a time; req/s is what counts.
func BenchmarkAPI(b *testing.B) {
	for name, open := range map[string]func(*testing.B) func(func() time.Time) (store.Engine, error){
		"badger": func(b *testing.B) func(func() time.Time) (store.Engine, error) {
			return func(now func() time.Time) (store.Engine, error) {
				return badger.Open(badger.Options{Dir: b.TempDir(), Now: now})
			}
		},
		"postgres": func(b *testing.B) func(func() time.Time) (store.Engine, error) {
			url := pgtest.Start(b, "fsync=on").URL()
			return func(now func() time.Time) (store.Engine, error) {
				return postgres.Open(b.Context(), postgres.Options{URL: url, Now: now, MaxConns: 16})
			}
		},
	} {
		b.Run(name, func(b *testing.B) {
			x := newBench(b, open(b))
			var orgs, members []string
			for i := range 100 {
				org := fmt.Sprint(x.ask("POST", "/organizations", map[string]any{"name": fmt.Sprint("Organization ", i)})["id"])
				user := fmt.Sprint(x.ask("POST", "/user_management/users", map[string]any{"email": fmt.Sprintf("u%d@acme.com", i)})["id"])
				members = append(members, fmt.Sprint(x.ask("POST", "/user_management/organization_memberships", map[string]any{"organization_id": org, "user_id": user})["id"]))
				orgs = append(orgs, org)
			}
			var n atomic.Int64
			for _, op := range []struct {
				name string
				do   func(i int)
			}{
				{"read an organization", func(i int) { x.ask("GET", "/organizations/"+orgs[i%100], nil) }},
				{"list ten users", func(int) { x.ask("GET", "/user_management/users?limit=10", nil) }},
				{"check a permission", func(i int) {
					x.ask("POST", "/orgate/v1/authorization/check", map[string]any{"organization_membership_id": members[i%100], "permission_slug": "reports:read"})
				}},
				{"check a condition", func(i int) {
					x.ask("POST", "/orgate/v1/authorization/check", map[string]any{"organization_membership_id": members[i%100], "condition": `user.email.endsWith("@acme.com") && request.ip.inRange("10.0.0.0/8")`, "context": map[string]any{"ip": "10.1.2.3"}})
				}},
				{"make a user", func(i int) {
					x.ask("POST", "/user_management/users", map[string]any{"email": fmt.Sprintf("new%d@acme.com", i)})
				}},
				{"change an organization", func(i int) {
					x.ask("PUT", "/organizations/"+orgs[i%100], map[string]any{"metadata": map[string]any{"n": fmt.Sprint(i)}})
				}},
			} {
				b.Run(strings.ReplaceAll(op.name, " ", "_"), func(b *testing.B) {
					b.SetParallelism(8)
					b.RunParallel(func(pb *testing.PB) {
						for pb.Next() {
							op.do(int(n.Add(1)))
						}
					})
					b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
				})
			}
		})
	}
}

// BenchmarkMembershipPages lists the memberships of one organization page by page, a hundred a page, and times the first
// pages, those in the middle, and the last. ORGATE_BENCH_MEMBERSHIPS says how many there are; with
// 1000000 it takes minutes and 2 GB of disk to make them.
func BenchmarkMembershipPages(b *testing.B) {
	n := 20_000
	if s := os.Getenv("ORGATE_BENCH_MEMBERSHIPS"); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil || n < 1000 {
			b.Fatalf("ORGATE_BENCH_MEMBERSHIPS=%s: want a number from 1000 on", s)
		}
	}
	x := newBench(b, func(now func() time.Time) (store.Engine, error) {
		return badger.Open(badger.Options{Dir: b.TempDir(), Now: now})
	})
	const org = "org_00000000000000000000000000"
	id := func(kind string, i int) string { return fmt.Sprintf("%s_%026d", kind, i) }
	began := time.Now()
	x.update(func(tx store.Tx) error {
		return tx.PutOrganization(tenancy.Organization{ID: org, Slug: "acme", Name: "Acme"})
	})
	for chunk := range slices.Chunk(slices.Collect(func(yield func(int) bool) {
		for i := 0; i < n && yield(i); i++ {
		}
	}), 500) {
		x.update(func(tx store.Tx) error {
			for _, i := range chunk {
				user := tenancy.UserID(id("user", i))
				if err := tx.PutUser(tenancy.User{ID: user, Email: fmt.Sprintf("u%d@acme.com", i)}); err != nil {
					return err
				}
				if err := tx.PutMembership(tenancy.Membership{ID: tenancy.MembershipID(id("om", i)), Organization: org, User: user, Status: policy.Active, Roles: []string{"member"}}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	b.Logf("%d memberships were made in %v", n, time.Since(began).Round(time.Second))
	page := func(after string) string {
		a := x.ask("GET", "/user_management/organization_memberships?organization_id="+org+"&limit=100&order=asc&after="+after, nil)
		data, _ := a["data"].([]any)
		if len(data) != 100 {
			b.Fatalf("a page behind %s has %d", after, len(data))
		}
		cursors, _ := a["list_metadata"].(map[string]any)
		return fmt.Sprint(cursors["after"])
	}
	// In turns, so that what else the machine does meanwhile is shared fairly.
	parts := []struct {
		name string
		from int
	}{{"first", 0}, {"middle", n/2 - 50}, {"last", n - 250}}
	took := map[string][]time.Duration{}
	for b.Loop() {
		for _, part := range parts {
			at := time.Now()
			page(id("om", part.from))
			took[part.name] = append(took[part.name], time.Since(at))
		}
	}
	for _, part := range parts {
		all := took[part.name]
		slices.Sort(all)
		b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, part.name+"-ms")
	}
}
