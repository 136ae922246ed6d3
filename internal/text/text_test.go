package text

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestTheLanguageIsTheOneThatIsLikedBest(t *testing.T) {
	for header, want := range map[string]Locale{
		"":                                    English,
		"de":                                  German,
		"en":                                  English,
		"DE":                                  German,
		"de-DE":                               German,
		"de-AT,de;q=0.9,en;q=0.8":             German,
		"de-Latn-CH-1996":                     German,
		"en-US,en;q=0.9,de;q=0.8":             English,
		"en;q=0.8, de;q=0.9":                  German,
		"de, en":                              German, // as much as each other: the first
		"en, de":                              English,
		"fr":                                  English,
		"fr, de;q=0.1":                        German,
		"fr-CH, fr;q=0.9, en;q=0.8, de;q=0.7": English,
		"*":                                   English,
		"fr, *;q=0.5":                         English,
		"en;q=0.3, *;q=0.5":                   German,
		"en;q=0, *":                           German,
		"en;q=0":                              English, // there must be one
		"de;q=0":                              English,
		"de;q=0, *":                           English,
		"de;q=0.000, en;q=0.001":              English,
		"de;q=0.001, en;q=0":                  German,
		"de;q=0.2, de-AT;q=0.9, en;q=0.5":     German,
		"de; q=0.9, en;q=0.5":                 German,
		"de ;q=0.9,\ten ; q=1":                English,
		"de;Q=0.9, en;q=0.5":                  German,
		"de;q=1.000, en;q=0.999":              German,
		"de;q=1.001, en;q=0.1":                English, // what can't be read says nothing
		"de;q=2, en;q=0.1":                    English,
		"de;q=-1, en;q=0.1":                   English,
		"de;q=0.1234, en;q=0.1":               English,
		"de;q=, en;q=0.1":                     English,
		"de;q=NaN, en;q=0.1":                  English,
		"de;level=1, en;q=0.1":                English,
		"de_DE, en;q=0.1":                     English,
		"de--DE, en;q=0.1":                    English,
		"-de, en;q=0.1":                       English,
		"deutsch, en;q=0.1":                   English,
		"d\u00e9, en;q=0.1":                   English,
		",,, de ,":                            German,
		strings.Repeat("fr,", 31) + "de":      German,
		strings.Repeat("fr,", 32) + "de":      English, // beyond what is read
		strings.Repeat(" ", 1024) + "de":      English,
	} {
		if got := Negotiate(header); got != want {
			t.Errorf("%q is answered in %s, want %s", header, got, want)
		}
	}
}

func FuzzTheLanguageIsOneThatThereIs(f *testing.F) {
	for _, s := range []string{"de", "de-AT;q=0.5, *", "en;q=1.000,de;q=0.001", ";q=,;*", "*;q=0", "\xff\x00,de"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		got := Negotiate(header)
		if got != English && got != German {
			t.Errorf("%q is answered in %q", header, got)
		}
		if got == German && !strings.Contains(strings.ToLower(header), "de") && !strings.Contains(header, "*") {
			t.Errorf("%q does not ask for German", header)
		}
	})
}

func TestAMessageIsSaidInTheLanguageOfWhoReadsIt(t *testing.T) {
	when := time.Date(2026, 3, 9, 23, 5, 0, 0, time.FixedZone("", 3600))
	for _, tt := range []struct {
		m      Message
		en, de string
	}{
		{Message{}, "", ""},
		{Verbatim(""), "", ""},
		{Moment(time.Time{}), "", ""},
		{T("Sign in to %s", "100% Ltd %d"), "Sign in to 100% Ltd %d", "Bei 100% Ltd %d anmelden"},
		{T("You are not a member of %s", T("this organization")), "You are not a member of this organization", "Sie sind kein Mitglied von dieser Organisation"},
		{T("Not in the catalogue: %d", 3), "Not in the catalogue: 3", "Not in the catalogue: 3"},
		{Verbatim("Sign in"), "Sign in", "Sign in"},
		{T("Added %s", when), "Added 9 March 2026, 22:05 UTC", "Hinzugefügt am 9. März 2026, 22:05 UTC"},
		{Moment(when), "9 March 2026, 22:05 UTC", "9. März 2026, 22:05 UTC"},
		{Or(Message{}, T("Sign in"), T("Sign out")), "Sign in", "Anmelden"},
		{Or(), "", ""},
		{Wait(-time.Second), "one second", "einer Sekunde"},
		{Wait(1500 * time.Millisecond), "2 seconds", "2 Sekunden"},
		{Wait(59*time.Second + 1), "one minute", "einer Minute"},
		{Wait(61 * time.Second), "2 minutes", "2 Minuten"},
		{Wait(2*time.Hour + 1), "3 hours", "3 Stunden"},
	} {
		if en, de := tt.m.In(English), tt.m.In(German); en != tt.en || de != tt.de || tt.m.String() != tt.en {
			t.Errorf("said %q and %q, want %q and %q", en, de, tt.en, tt.de)
		}
		if tt.m.IsZero() != (tt.en == "") {
			t.Errorf("%q is zero: %v", tt.en, tt.m.IsZero())
		}
	}
}

func TestWhatPeopleWroteIsSetApartAndStaysText(t *testing.T) {
	for _, tt := range []struct {
		m    Message
		want string
	}{
		{Message{}, ""},
		{T("You are signed in as %s.", "<b>&'\""), "You are signed in as <bdi>&lt;b&gt;&amp;&#39;&#34;</bdi>."},
		{T("You are signed in as %s.", T("%s on %s", "<i>", "x")), "You are signed in as <bdi>&lt;i&gt;</bdi> on <bdi>x</bdi>."},
		{Verbatim("%s<b>"), "<bdi>%s&lt;b&gt;</bdi>"},
		{T("Codes that are left: %d", 7), "Codes that are left: 7"},
		{T("<b>We can't</b>"), "&lt;b&gt;We can&#39;t&lt;/b&gt;"},
		{Moment(time.Unix(0, 0)), "1 January 1970, 00:00 UTC"},
		{T("%s", errors.New("<u>")), "<bdi>&lt;u&gt;</bdi>"},
	} {
		if got := string(tt.m.HTML(English)); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

func FuzzANameIsNeverMarkup(f *testing.F) {
	f.Add("Acme")
	f.Add("</bdi><script>%s%[2]s")
	f.Fuzz(func(t *testing.T, name string) {
		for _, l := range Locales() {
			got := string(T("You are signed in as %s. You were invited to %s and have not accepted yet.", name, name).HTML(l))
			if strings.Count(got, "<") != 4 || strings.Count(got, "<bdi>") != 2 || strings.Count(got, "</bdi>") != 2 {
				t.Errorf("%q becomes %s", name, got)
			}
		}
	})
}

func TestABrokenCatalogueIsRefused(t *testing.T) {
	for file, ok := range map[string]bool{
		"": true, "# only this\n": true, "a\n\tb\n": true, "a\r\n\tb\r\n\n\nc\n\td": true,
		"a\n": false, "\tb\n": false, "a\nb\n": false, "a\n\tb\n\tc\n": false, "a\n\tb\na\n\tc\n": false, "a\n\t\n": false,
	} {
		if _, err := read([]byte(file)); (err == nil) != ok {
			t.Errorf("%q: %v", file, err)
		}
	}
}
