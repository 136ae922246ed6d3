package ssotest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// A Browser follows redirects and submits forms as a person's browser would, without
// running scripts: it sends Origin and Sec-Fetch-*, keeps cookies by a browser's rules
// ([Jar]), and finds *.localhost. It is safe for concurrent use, as two tabs are.
type Browser struct {
	Jar *Jar
	// UserAgent is sent, if not empty.
	UserAgent string

	client *http.Client
}

const (
	maxHops = 20
	maxPage = 4 << 20
)

// NewBrowser returns a browser without cookies.
func NewBrowser() *Browser {
	return &Browser{Jar: &Jar{}, client: &http.Client{
		Transport:     &http.Transport{DialContext: DialLocalhost, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// From makes the browser call from another address of loopback (127.0.0.0/8), as another
// stranger would.
func (b *Browser) From(ip net.IP) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: ip}}
	b.client.Transport = &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		return d.DialContext(ctx, "tcp4", net.JoinHostPort("127.0.0.1", port))
	}}
}

// A Hop is one request on the way to a page.
type Hop struct {
	Method string
	URL    *url.URL
	Status int
}

// Get goes to a URL as if it were typed.
func (b *Browser) Get(ctx context.Context, rawURL string) (*Page, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, err
	}
	return b.visit(ctx, nil, http.MethodGet, u, nil)
}

// Follow goes to where a link of the page leads; its href may be relative.
func (b *Browser) Follow(ctx context.Context, from *Page, href string) (*Page, error) {
	u, err := from.URL.Parse(href)
	if err != nil {
		return nil, err
	}
	return b.visit(ctx, from, http.MethodGet, u, nil)
}

// Submit submits the first form of the page that has every name in values, as a field or
// as a button to press. Fields that values does not name keep what is in them; if values names no
// button, the form's first one is pressed.
func (b *Browser) Submit(ctx context.Context, from *Page, values map[string]string) (*Page, error) {
	for _, f := range from.Forms {
		if body, ok := f.fill(values); ok {
			return b.submit(ctx, from, f, body)
		}
	}
	return nil, fmt.Errorf("ssotest: %s (%q) has no form with %v", from.URL, from.Title, values)
}

// Press presses the first button whose text has label in it, or follows the first link.
func (b *Browser) Press(ctx context.Context, from *Page, label string) (*Page, error) {
	for _, f := range from.Forms {
		for _, button := range f.Buttons {
			if !strings.Contains(button.Label, label) {
				continue
			}
			body := f.values()
			if button.Name != "" {
				body.Add(button.Name, button.Value)
			}
			return b.submit(ctx, from, f, body)
		}
	}
	for _, l := range from.Links {
		if strings.Contains(l.Label, label) {
			return b.Follow(ctx, from, l.Href)
		}
	}
	return nil, fmt.Errorf("ssotest: %s (%q) has neither button nor link with %q", from.URL, from.Title, label)
}

// Drive submits whatever forms come, with those of the values that they have fields for,
// until done says so or a page has no form.
func (b *Browser) Drive(ctx context.Context, page *Page, values map[string]string, done func(*Page) bool) (*Page, error) {
	for range maxHops {
		if done(page) || len(page.Forms) == 0 {
			return page, nil
		}
		f := page.Forms[0]
		body := f.values()
		for name, v := range values {
			if f.has(name) {
				body.Set(name, v)
			}
		}
		if len(f.Buttons) > 0 && f.Buttons[0].Name != "" {
			body.Set(f.Buttons[0].Name, f.Buttons[0].Value)
		}
		var err error
		if page, err = b.submit(ctx, page, f, body); err != nil {
			return nil, err
		}
	}
	return nil, errors.New("ssotest: forms without end")
}

func (b *Browser) submit(ctx context.Context, from *Page, f Form, body url.Values) (*Page, error) {
	if f.Method == http.MethodPost {
		return b.visit(ctx, from, http.MethodPost, f.Action, body)
	}
	u := *f.Action
	u.RawQuery = body.Encode()
	return b.visit(ctx, from, http.MethodGet, &u, nil)
}

// visit makes a request on behalf of a page (nil: of the person) and follows where it leads.
func (b *Browser) visit(ctx context.Context, from *Page, method string, u *url.URL, form url.Values) (*Page, error) {
	var trail []Hop
	relation, origin := "none", ""
	if from != nil {
		relation, origin = "same-origin", from.URL.Scheme+"://"+from.URL.Host
		if from.Header.Get("Referrer-Policy") == "no-referrer" {
			origin = "null"
		}
	}
	previous := u
	if from != nil {
		previous = from.URL
	}
	for range maxHops {
		relation = worse(relation, previous, u)
		var body io.Reader
		if method == http.MethodPost {
			body = strings.NewReader(form.Encode())
		}
		req, err := http.NewRequestWithContext(ctx, method, u.String(), body)
		if err != nil {
			return nil, err
		}
		h := req.Header
		h.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
		h.Set("Sec-Fetch-Mode", "navigate")
		h.Set("Sec-Fetch-Dest", "document")
		h.Set("Sec-Fetch-Site", relation)
		if b.UserAgent != "" {
			h.Set("User-Agent", b.UserAgent)
		}
		if method == http.MethodPost {
			h.Set("Content-Type", "application/x-www-form-urlencoded")
			h.Set("Origin", origin)
		}
		resp, err := b.send(req, relation == "cross-site")
		if err != nil {
			return nil, err
		}
		trail = append(trail, Hop{method, u, resp.Status})
		if resp.Status < 300 || resp.Status >= 400 || resp.Header.Get("Location") == "" {
			resp.Trail = trail
			return resp, nil
		}
		next, err := u.Parse(resp.Header.Get("Location"))
		if err != nil {
			return nil, err
		}
		if next.Scheme != "http" && next.Scheme != "https" {
			return nil, fmt.Errorf("ssotest: %s redirects to %s", u, next)
		}
		if next.Host != u.Host {
			origin = "null"
		}
		if resp.Status != http.StatusTemporaryRedirect && resp.Status != http.StatusPermanentRedirect {
			method = http.MethodGet
		}
		previous, u = u, next
	}
	return nil, fmt.Errorf("ssotest: redirects without end: %v", trail)
}

// worse returns Sec-Fetch-Site after a step from one URL to the next: over a chain of
// redirects the farthest relation counts.
func worse(sofar string, from, to *url.URL) string {
	if sofar == "none" {
		return sofar
	}
	order := []string{"same-origin", "same-site", "cross-site"}
	now := "cross-site"
	switch {
	case from.Scheme == to.Scheme && from.Host == to.Host:
		now = "same-origin"
	case site(from) == site(to):
		now = "same-site"
	}
	return order[max(slices.Index(order, sofar), slices.Index(order, now))]
}

// Fetch makes one request with the browser's cookies, as a script on the target's own
// pages would, and follows no redirect.
func (b *Browser) Fetch(req *http.Request) (*Page, error) {
	p, err := b.send(req, false)
	if err == nil {
		p.Trail = []Hop{{req.Method, req.URL, p.Status}}
	}
	return p, err
}

func (b *Browser) send(req *http.Request, crossSite bool) (*Page, error) {
	for _, c := range b.Jar.cookies(req.URL, crossSite, req.Method == http.MethodGet || req.Method == http.MethodHead) {
		req.AddCookie(c)
	}
	resp, err := b.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b.Jar.Set(req.URL, resp.Cookies())
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxPage))
	if err != nil {
		return nil, err
	}
	return parsePage(req.URL, resp, body), nil
}
