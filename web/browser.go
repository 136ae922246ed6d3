package web

import (
	"strings"

	"github.com/orgate/orgate/internal/text"
)

// describeBrowser returns a name that a person knows a browser by, such as "Firefox on
// Linux". What it does not know it calls a browser: the text of the header is never shown,
// for anybody can write anything into it.
func describeBrowser(userAgent string) text.Message {
	name, system := text.T("A browser"), ""
	// The order matters: most browsers name those that they want to be taken for too.
	for _, b := range [...]struct{ token, name string }{
		{"Edg/", "Edge"}, {"EdgA/", "Edge"}, {"EdgiOS/", "Edge"}, {"OPR/", "Opera"}, {"SamsungBrowser/", "Samsung Internet"}, {"Vivaldi/", "Vivaldi"},
		{"FxiOS/", "Firefox"}, {"Firefox/", "Firefox"}, {"CriOS/", "Chrome"}, {"Chromium/", "Chromium"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"},
		{"curl/", "curl"}, {"Go-http-client/", ""},
	} {
		if strings.Contains(userAgent, b.token) {
			name = text.Verbatim(b.name)
			if b.name == "" {
				name = text.T("A program")
			}
			break
		}
	}
	for _, o := range [...]struct{ token, name string }{
		{"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Android", "Android"}, {"CrOS", "ChromeOS"}, {"Windows", "Windows"},
		{"Macintosh", "macOS"}, {"Mac OS X", "macOS"}, {"Linux", "Linux"},
	} {
		if strings.Contains(userAgent, o.token) {
			system = o.name
			break
		}
	}
	if system == "" {
		return name
	}
	return text.T("%s on %s", name, system)
}
