package mail

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	"golang.org/x/net/html"

	"github.com/orgate/orgate/internal/text"
)

var update = flag.Bool("update", false, "write golden files anew")

const (
	code = "493817"
	host = "login.example.com"
)

// occasions is one of every message, with what somebody typed in every place that takes it.
func occasions(typed string) map[string]Composer {
	until := time.Date(2026, 5, 8, 12, 0, 0, 0, time.UTC)
	return map[string]Composer{
		"sign_in_code":     SignInCode{typed, host, code, 10},
		"no_account":       NoAccount{typed, host},
		"reset_password":   ResetPassword{typed, host, code, 10},
		"change_email":     ChangeEmailCode{typed, host, code, 10, "jo.new@acme.test", false},
		"change_email_new": ChangeEmailCode{typed, host, code, 10, "jo.new@acme.test", true},
		"email_changed":    EmailChanged{typed, host, "jo.new@acme.test"},
		"password_changed": PasswordChanged{typed, host},
		"link_code":        LinkCode{typed, host, typed, code, 10},
		"profile_code":     ProfileCode{host, typed, typed, code, 10},
		"identity_linked":  IdentityLinked{typed, host, typed},
		"factor_added":     FactorAdded{typed, host, Passkey},
		"factor_removed":   FactorRemoved{typed, host, AuthenticatorApp},
		"mfa_reset":        MFAReset{typed, host},
		"invitation":       Invitation{typed, host, typed, "https://login.example.com/invitations/abc", until},
		"app_sign_in_code": AppSignInCode{typed, host, code, 10},
		"verify_email":     VerifyEmailCode{typed, host, code, 10},
		"app_change_email": AppChangeEmailCode{typed, host, code, 10},
		"reset_link":       ResetLink{typed, host, "https://login.example.com/password-reset/abc", until},
	}
}

func TestGoldenMails(t *testing.T) {
	for name, m := range occasions("Acme Inc.") {
		for _, l := range text.Locales() {
			c := m.Compose(l)
			got := "Subject: " + c.Subject + "\n\n" + c.Text
			if l == text.English {
				got += "\n" + c.HTML
			}
			file := filepath.Join("testdata", name+"."+string(l)+".golden")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				continue
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s is not as it was; if that is right: go test ./internal/mail -update\ngot:\n%s", file, got)
			}
		}
	}
}

// What is said in text is said in HTML, and in no other words.
func TestTextAndHTMLSayTheSame(t *testing.T) {
	for name, m := range occasions("Acme & Söhne <GmbH>") {
		for _, l := range text.Locales() {
			c := m.Compose(l)
			var parts []string
			for line := range strings.Lines(strings.Replace(c.Text, "-- \n", "", 1)) {
				if line = strings.TrimSpace(line); line != "" {
					parts = append(parts, line)
				}
			}
			shown := strings.Join(strings.Fields(words(t, c.HTML)), " ")
			for _, p := range parts {
				if !strings.Contains(shown, p) {
					t.Errorf("%s in %s: HTML does not say %q:\n%s", name, l, p, shown)
				}
			}
		}
	}
}

// words returns the text of the body of a page.
func words(t *testing.T, page string) string {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	body := false
	for n := range doc.Descendants() {
		switch {
		case n.Type == html.ElementNode && n.Data == "body":
			body = true
		case n.Type == html.ElementNode && n.Data != "bdi" && n.Data != "a":
			b.WriteString(" ")
		case n.Type == html.TextNode && body:
			b.WriteString(n.Data)
		}
	}
	return b.String()
}

func TestACodeIsInTheBodyAndNotInTheSubject(t *testing.T) {
	for name, m := range occasions("Acme") {
		for _, l := range text.Locales() {
			c := m.Compose(l)
			has := strings.Contains(c.Text, code)
			if has != strings.Contains(c.HTML, code) {
				t.Errorf("%s: the code is in one part only", name)
			}
			if strings.Contains(c.Subject, code) || strings.Contains(c.String(), code) || strings.Contains(c.GoString(), code) {
				t.Errorf("%s: the code is where it is seen: %s", name, c.Subject)
			}
			where := host + " "
			if strings.HasPrefix(name, "app_") || name == "verify_email" { // the app's own page is not known
				where = map[text.Locale]string{text.English: "where you asked for it", text.German: "dort ein"}[l]
			}
			if has && !strings.Contains(c.Text, where) {
				t.Errorf("%s does not say where the code is for:\n%s", name, c.Text)
			}
		}
	}
}

// What somebody typed: attacks 113 and 115.
func hostileNames() []string {
	return []string{
		"Acme\r\nBcc: victim@example.com\r\n\r\nHello", "Acme\nX: y", "a\x00b\x1b[31mc\x7f", "\u2028\u2029\u0085line",
		"\u202egnp.exe", "\u2066a\u2069\u200f\u061c", `"><img src=https://evil.example/x.png>`, "<svg onload=alert(1)>", "</title><script>alert(1)</script>",
		"https://evil.example/login", "evil.example", "www.evil.example/a?b", "mailto:x@evil.example", "javascript:alert(1)", "//evil.example", "evil。example", "evil．com",
		"{{.Code}}", "%s%d%!s(MISSING)", "=HYPERLINK(1)", strings.Repeat("x.", 10_000), "\xff\xfe", "\ufeffA\u00adB", "=?utf-8?q?=0D=0ABcc:_x?=",
	}
}

var linked = regexp.MustCompile(`(?i)https?://|www\.[a-z]|mailto:[a-z]|[a-z0-9][.。．｡](example|com|test)\b`)

func TestWhatSomebodyTypedIsTextAndNeverALink(t *testing.T) {
	for _, name := range hostileNames() {
		for kind, m := range occasions(name) {
			c := m.Compose(text.English)
			for _, r := range c.Subject + strings.ReplaceAll(c.Text, "\n", "") + strings.ReplaceAll(c.HTML, "\n", "") {
				if !unicode.IsPrint(r) && r != '\u2060' || r == unicode.ReplacementChar {
					t.Errorf("%s with %.30q: %U in it", kind, name, r)
					break
				}
			}
			if len(c.Subject) > 600 || len(c.Text) > 4000 || len(c.HTML) > 12_000 {
				t.Errorf("%s with %.30q: subject of %d bytes, text of %d, HTML of %d", kind, name, len(c.Subject), len(c.Text), len(c.HTML))
			}
			ours := strings.NewReplacer("https://login.example.com/invitations/abc", "", "https://login.example.com/password-reset/abc", "", host, "", "acme.test", "", "jo.new@", "")
			for what, s := range map[string]string{"subject": c.Subject, "text": c.Text, "HTML": words(t, c.HTML)} {
				if got := linked.FindString(ours.Replace(s)); got != "" {
					t.Errorf("%s with %.30q: its %s has what a mail program makes a link of: %s", kind, name, what, got)
				}
			}
			checkHTML(t, kind+" with "+name, c.HTML)
		}
	}
}

func FuzzTyped(f *testing.F) {
	for _, name := range hostileNames() {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		c := Invitation{Organization: name, Inviter: name, Host: host, URL: "https://login.example.com/invitations/abc"}.Compose(text.German)
		for _, r := range c.Subject {
			if !unicode.IsPrint(r) && r != '\u2060' && r != '\u200c' && r != '\u200d' || r == unicode.ReplacementChar {
				t.Errorf("%q has %U in the subject", name, r)
			}
		}
		ours := strings.NewReplacer("https://login.example.com/invitations/abc", "", host, "")
		if got := linked.FindString(ours.Replace(c.Text)); got != "" {
			t.Errorf("%q has what a mail program makes a link of: %s", name, got)
		}
		checkHTML(t, name, c.HTML)
	})
}

// checkHTML allows what the template has, and no more: nothing that is fetched, nothing
// that runs, no link but the one.
func checkHTML(t *testing.T, what, page string) {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		switch n.Data {
		case "html", "head", "meta", "title", "body", "table", "tbody", "tr", "td", "p", "bdi", "span", "a", "hr":
		default:
			t.Errorf("%.60q has the element %s", what, n.Data)
		}
		for _, a := range n.Attr {
			if a.Key == "href" && a.Val != "https://login.example.com/invitations/abc" && a.Val != "https://login.example.com/password-reset/abc" || a.Key == "src" || a.Key == "background" ||
				strings.HasPrefix(a.Key, "on") || a.Key == "style" && strings.Contains(a.Val, "url(") {
				t.Errorf("%.60q has %s=%q", what, a.Key, a.Val)
			}
		}
	}
}

func TestALinkThatWasNotMadeOfAConfiguredURLIsLeftOut(t *testing.T) {
	for _, link := range []string{"", "javascript:alert(1)", "data:text/html,x", "//evil.example", "/invitations/abc", "https://", "https://a@evil.example/", "https://a.example/ b", "ftp://a.example/"} {
		c := Invitation{Organization: "Acme", Host: host, URL: link}.Compose(text.English)
		if strings.Contains(c.HTML, "href") || link != "" && strings.Contains(c.Text, link) {
			t.Errorf("%q is a link:\n%s", link, c.Text)
		}
	}
}

func TestWithoutAnOrganizationTheHostIsNamed(t *testing.T) {
	for name, m := range occasions("") {
		if c := m.Compose(text.English); !strings.Contains(c.Subject, host) {
			t.Errorf("%s: %q", name, c.Subject)
		}
	}
}

func TestWhatEachIsAboutIsAWord(t *testing.T) {
	word := regexp.MustCompile(`^[a-z_]{3,20}$`)
	for name, m := range occasions("Acme") {
		if about := m.About(); !word.MatchString(about) || !strings.HasPrefix(name, about) {
			t.Errorf("%s is about %q", name, about)
		}
	}
}
