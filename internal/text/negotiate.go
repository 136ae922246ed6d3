package text

import "strings"

const (
	// maxAcceptLanguage is how much of the header is read; browsers send about 40 bytes.
	maxAcceptLanguage = 1024
	// maxRanges is how many languages somebody may list.
	maxRanges = 32
)

// Negotiate returns the language that an Accept-Language header (RFC 9110, 12.5.4) likes
// best of those that there are: of two that it likes equally the one that it names
// first, and English if it likes none. A range is matched by its first subtag, so that
// de-AT and de-CH get German.
func Negotiate(acceptLanguage string) Locale {
	var liked, starred preference
	likes := map[Locale]preference{}
	rest := acceptLanguage[:min(len(acceptLanguage), maxAcceptLanguage)]
	for rank := range maxRanges {
		item, more, found := strings.Cut(rest, ",")
		if tag, q, ok := languageRange(item); ok {
			p := preference{named: true, q: q, rank: rank}
			if tag == "*" {
				starred = p.over(starred)
			} else if primary, _, _ := strings.Cut(tag, "-"); true {
				l := Locale(strings.ToLower(primary))
				likes[l] = p.over(likes[l])
			}
		}
		if !found {
			break
		}
		rest = more
	}
	best := English
	for _, l := range Locales() {
		p := likes[l]
		if !p.named {
			p = starred
		}
		if p.q > 0 && (liked.q < p.q || liked.q == p.q && p.rank < liked.rank) {
			best, liked = l, p
		}
	}
	return best
}

// A preference is how much one language is wanted, in thousandths, and where that is said.
type preference struct {
	named   bool
	q, rank int
}

// over returns the stronger of two preferences for one language.
func (p preference) over(earlier preference) preference {
	if earlier.named && earlier.q >= p.q {
		return earlier
	}
	return p
}

// languageRange reads one item: a range of letters, digits and hyphens, or *, and perhaps
// a weight. ok is false for what is neither; such an item says nothing.
func languageRange(item string) (tag string, q int, ok bool) {
	tag, weight, weighted := strings.Cut(item, ";")
	tag = strings.Trim(tag, " \t")
	if tag == "" || len(tag) > 35 {
		return "", 0, false
	}
	if tag != "*" {
		for subtag := range strings.SplitSeq(tag, "-") {
			if subtag == "" || len(subtag) > 8 || strings.ContainsFunc(subtag, notAlphanumeric) {
				return "", 0, false
			}
		}
	}
	if !weighted {
		return tag, 1000, true
	}
	weight = strings.Trim(weight, " \t")
	if len(weight) < 3 || weight[0]|0x20 != 'q' || weight[1] != '=' {
		return "", 0, false
	}
	q, ok = thousandths(weight[2:])
	return tag, q, ok
}

func notAlphanumeric(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9')
}

// thousandths reads a qvalue: 0 to 1 with at most three digits after the point.
func thousandths(s string) (int, bool) {
	whole, fraction, _ := strings.Cut(s, ".")
	if whole != "0" && whole != "1" || len(fraction) > 3 {
		return 0, false
	}
	n := 0
	for i := range 3 {
		d := 0
		if i < len(fraction) {
			if fraction[i] < '0' || fraction[i] > '9' {
				return 0, false
			}
			d = int(fraction[i] - '0')
		}
		n = n*10 + d
	}
	if whole == "1" {
		return 1000, n == 0
	}
	return n, true
}
