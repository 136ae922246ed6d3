package proxy

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/orgate/orgate/policy"
)

// ruled has the app ask by one rule for everything.
func ruled(t testing.TB, when string) change {
	t.Helper()
	r, err := policy.RuleSpec{Path: "/**", When: when}.Compile()
	if err != nil {
		t.Fatal(err)
	}
	return func(o *Options) { o.Apps[0].Rules = policy.Rules{r} }
}

func countryIn(name string) change { return func(o *Options) { o.CountryHeader = name } }

// The app echoes what it is told: a country that nobody vouches for reaches neither it nor a condition.
func TestACountryIsBelievedOfATrustedProxyAlone(t *testing.T) {
	tests := map[string]struct {
		trusted string
		headers []string
		want    string // what the condition and the app see
	}{
		"a trusted proxy says it":         {"127.0.0.0/8", []string{"Cf-Ipcountry", "DE"}, "DE"},
		"in lower case":                   {"127.0.0.0/8", []string{"cf-ipcountry", "de"}, "DE"},
		"a stranger says it":              {"10.0.0.0/8", []string{"Cf-Ipcountry", "DE"}, ""},
		"nobody says it":                  {"127.0.0.0/8", nil, ""},
		"twice":                           {"127.0.0.0/8", []string{"Cf-Ipcountry", "DE", "Cf-Ipcountry", "DE"}, ""},
		"two in one":                      {"127.0.0.0/8", []string{"Cf-Ipcountry", "DE, FR"}, ""},
		"unknown to the proxy":            {"127.0.0.0/8", []string{"Cf-Ipcountry", "XX"}, ""},
		"no country":                      {"127.0.0.0/8", []string{"Cf-Ipcountry", "D\xc3"}, ""},
		"in another spelling of the name": {"127.0.0.0/8", []string{"CF_IPCountry", "DE"}, ""},
		"beside another spelling":         {"127.0.0.0/8", []string{"CF_IPCountry", "DE", "Cf-Ipcountry", "FR"}, "FR"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, trusting(tt.trusted), countryIn("CF-IPCountry"), ruled(t, fmt.Sprintf(`request.country == %q`, tt.want)))
			_, c := w.jo()
			res := w.do("GET", acmeHost, "/x", append([]string{"Cookie", c}, tt.headers...)...)
			if res.StatusCode != 200 {
				t.Fatalf("%d %s", res.StatusCode, res.body)
			}
			h := res.echo(t).Header
			for n, v := range h {
				if fold(n) == "cf-ipcountry" && (n != "Cf-Ipcountry" || len(v) != 1 || v[0] != tt.want) {
					t.Errorf("the app is told %s: %q, want %q", n, v, tt.want)
				}
			}
			if got := h.Get("Cf-Ipcountry"); got != tt.want {
				t.Errorf("the app is told %q, want %q", got, tt.want)
			}
		})
	}
	w := newWorld(t, trusting("127.0.0.0/8"), countryIn("CF-IPCountry"))
	_, c := w.jo()
	if res := w.do("GET", acmeHost, "/x", "Cookie", c, "Cf-Ipcountry", "DE", "Connection", "Cf-Ipcountry"); res.StatusCode != 400 {
		t.Errorf("with the country in Connection: %d", res.StatusCode)
	}
	for _, bad := range []string{"X-Forwarded-For", "X-Org-Id", "x_user_email", "Cookie", "a b", "X-Orgate-Country"} {
		o := w.options.Settings
		o.CountryHeader = bad
		if o.Check() == nil {
			t.Errorf("country_header %q is good", bad)
		}
	}
}

// A forward-auth question is judged by the same facts.
func TestConditionsAboutPlaceHoldInForwardAuth(t *testing.T) {
	w := newWorld(t, trusting("127.0.0.0/8"), asking, countryIn("CF-IPCountry"), ruled(t, `request.country == "DE" && request.ip.inRange("10.0.0.0/8")`))
	_, c := w.jo()
	for _, tt := range []struct {
		ip, country string
		want        int
	}{{"10.1.2.3", "DE", 200}, {"10.1.2.3", "FR", 403}, {"11.1.2.3", "DE", 403}} {
		res := w.do("GET", acmeHost, authPath, "Cookie", c, "X-Forwarded-Uri", "/x", "X-Forwarded-Host", acmeHost, "X-Forwarded-For", tt.ip, "Cf-Ipcountry", tt.country)
		if res.StatusCode != tt.want {
			t.Errorf("%s in %s: %d, want %d: %s", tt.ip, tt.country, res.StatusCode, tt.want, res.body)
		}
		if cc := res.Header.Get("Cache-Control"); tt.want == 200 && cc != "no-store" {
			t.Errorf("Cache-Control: %q", cc)
		}
	}
}

// What a condition about the time allowed to open is closed within a second of the time's end, and no sooner.
func TestWhatIsOpenEndsWithItsHours(t *testing.T) {
	for _, kind := range []string{"websocket", "events", "download"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			until := time.Now().Add(10 * time.Minute).UTC().Truncate(time.Second)
			w := newWorld(t, ruled(t, fmt.Sprintf(`now < timestamp(%q)`, until.Format(time.RFC3339))))
			_, c := w.jo()
			var judged atomic.Int64
			judge := w.proxy.docket.judge
			w.proxy.docket.judge = func(ctx context.Context, g *grant, f *flight) {
				judge(ctx, g, f)
				judged.Add(1)
			}
			over := w.stream(kind, acmeHost, "/x", "Cookie", c)
			w.eventually("it is judged anew, and again", func() bool { return judged.Load() >= 2 })
			select {
			case <-over:
				t.Fatal("closed within its hours")
			default:
			}
			w.pass(time.Until(until) + time.Second)
			ended := time.Now()
			select {
			case <-over:
				if took := time.Since(ended); took > 2*time.Second {
					t.Errorf("it took %v", took)
				}
			case <-time.After(5 * time.Second):
				t.Error("still open after its hours")
			}
			if res := w.do("GET", acmeHost, "/x", "Cookie", c); res.StatusCode != 403 {
				t.Errorf("afterwards: %d", res.StatusCode)
			}
		})
	}
}

// The same where another rule decides what the first one allowed: neither forgets the other's time.
func TestTheSoonerOfTwoEndsCounts(t *testing.T) {
	var rs policy.Rules
	for _, spec := range []policy.RuleSpec{{Path: "/a/**"}, {Path: "/A/**", When: `now > timestamp("2020-01-01T00:00:00Z")`}} {
		r, err := spec.Compile()
		if err != nil {
			t.Fatal(err)
		}
		rs = append(rs, r)
	}
	f := policy.Facts{Now: time.Now(), OrganizationActive: true, Organization: "org_1", Standing: policy.Active, Proofs: []policy.Proof{{Method: policy.EmailCode, At: time.Now()}}, Offered: policy.MethodsOf(policy.EmailCode),
		Own: &policy.Bound{Organization: "org_1", Policy: policy.Policy{MaxAge: time.Hour}}}
	for _, tt := range []struct {
		path string
		want time.Duration
	}{{"/A/x", time.Second}, {"/b", time.Hour}} {
		f.Request = policy.Request{Method: "GET", Path: tt.path}
		f.Rule = rs.Match("GET", tt.path)
		d := rs.Decide(&f)
		if got := d.ValidUntil.Sub(f.Now).Round(time.Second); d.Verdict != policy.Allow || got != tt.want {
			t.Errorf("%s: %+v, for %v, want %v", tt.path, d, got, tt.want)
		}
	}
}
