package factor

import (
	"math"
	"strings"
	"sync"

	"github.com/trustelem/zxcvbn/frequency"
)

// What parts of a password cost whoever guesses it, as powers of two. They are those of a
// guesser who knows how people make passwords, after the ideas of zxcvbn (Wheeler, USENIX
// Security 2016), but for its time, which an unlucky password makes endless.
const (
	costDigit     = 3.3 // one of 10
	costLetter    = 4.7 // one of 26
	costSeparator = 2.0 // what stands between words
	costSign      = 5.0 // one of 33
	costOther     = 6.0 // a character outside of ASCII
	costWord      = 6.0 // a word, at the least: which list, which place
	costAbout     = 1.0 // a word that is known of the person
	costTwist     = 1.0 // a word backwards, or with 4 for a
	costCopy      = 3.0 // what was there before, once more
	costRow       = 4.5 // where on the keyboard a row of keys begins
	costTurn      = 2.0 // where it turns
	costYear      = 7.0
	costDate      = 15.5 // a day of some 120 years

	minWord = 3
	minRow  = 4
	minCopy = 3
)

// guesses estimates how many guesses the password takes, as a power of two: that of the
// cheapest way to put it together. Its time grows with the square of the length and no more.
func guesses(password string, about []string) float64 {
	s := strings.ToLower(password)
	if len(s) > 2*MaxPassword {
		s = s[:2*MaxPassword] // the lower case of a few letters is longer
	}
	g := guess{s: s, twisted: [2]string{twist(s, 'i'), twist(s, 'l')}, about: about, known: dictionary(), best: make([]float64, len(s)+1)}
	for i := 1; i <= len(s); i++ {
		g.best[i] = math.Inf(1)
	}
	longest := longestCopies(s)
	for i := range s {
		if math.IsInf(g.best[i], 1) {
			continue
		}
		g.character(i)
		g.words(i)
		g.sequence(i)
		g.rows(i)
		g.dates(i)
		for n := minCopy; n <= longest[i]; n++ {
			g.part(i, n, costCopy+g.known.log[n])
		}
	}
	return g.best[len(s)]
}

// A guess is one run of [guesses].
type guess struct {
	s       string    // in lower case
	twisted [2]string // s with letters for the signs that look like them
	about   []string
	known   *known
	best    []float64 // the cheapest way to the first i bytes
}

// part says that the n bytes at i can be had for cost.
func (g *guess) part(i, n int, cost float64) {
	g.best[i+n] = min(g.best[i+n], g.best[i]+cost)
}

// character is for what has no pattern.
func (g *guess) character(i int) {
	c, n := g.s[i], 1
	cost := costSign
	switch {
	case c >= 0x80:
		for n < 4 && i+n < len(g.s) && g.s[i+n]&0xc0 == 0x80 {
			n++
		}
		cost = costOther
	case isDigit(c):
		cost = costDigit
	case 'a' <= c && c <= 'z':
		cost = costLetter
	case strings.IndexByte(" -_.,", c) >= 0:
		cost = costSeparator
	}
	g.part(i, n, cost)
}

// words is for known words and passwords, as they are, disguised or backwards, and for what is
// known of the person.
func (g *guess) words(i int) {
	for _, w := range g.about {
		switch {
		case strings.HasPrefix(g.s[i:], w):
			g.part(i, len(w), costAbout)
		case strings.HasPrefix(g.twisted[0][i:], w), strings.HasPrefix(g.twisted[1][i:], w):
			g.part(i, len(w), costAbout+costTwist)
		}
	}
	var backwards [maxWord]byte
	for n := 1; n <= maxWord && i+n <= len(g.s); n++ {
		backwards[maxWord-n] = g.s[i+n-1]
		if n < minWord {
			continue
		}
		plain := g.s[i : i+n]
		if cost, ok := g.known.words[plain]; ok {
			g.part(i, n, float64(cost))
		}
		if cost, ok := g.known.words[string(backwards[maxWord-n:])]; ok {
			g.part(i, n, float64(cost)+costTwist)
		}
		for _, t := range g.twisted {
			if t = t[i : i+n]; t != plain {
				if cost, ok := g.known.words[t]; ok {
					g.part(i, n, float64(cost)+costTwist)
				}
			}
		}
	}
}

// sequence is for abcd and 9876.
func (g *guess) sequence(i int) {
	if i+2 >= len(g.s) || !isAlphanumeric(g.s[i]) {
		return
	}
	step := int(g.s[i+1]) - int(g.s[i])
	if step != 1 && step != -1 {
		return
	}
	for j := i + 1; j < len(g.s) && isAlphanumeric(g.s[j]) && int(g.s[j])-int(g.s[j-1]) == step; j++ {
		if n := j - i + 1; n >= minWord {
			g.part(i, n, costLetter+1+g.known.log[n])
		}
	}
}

// rows is for neighbours on a keyboard.
func (g *guess) rows(i int) {
	for k := range g.known.keyboards {
		keys := &g.known.keyboards[k]
		turns, before := 0, key{}
		for j := i + 1; j < len(g.s); j++ {
			a, b := keys[g.s[j-1]&0x7f], keys[g.s[j]&0x7f]
			if a == (key{}) || b == (key{}) || g.s[j] >= 0x80 || g.s[j-1] >= 0x80 {
				break
			}
			way := key{b.x - a.x, b.y - a.y}
			if !way.isStep() {
				break
			}
			if j > i+1 && way != before {
				turns++
			}
			before = way
			if n := j - i + 1; n >= minRow {
				g.part(i, n, costRow+costTurn*float64(turns)+g.known.log[n])
			}
		}
	}
}

// dates is for years and days.
func (g *guess) dates(i int) {
	if !isDigit(g.s[i]) {
		return
	}
	if i+4 <= len(g.s) && isYear(g.s[i:i+4]) {
		g.part(i, 4, costYear)
	}
	for n := 6; n <= 10 && i+n <= len(g.s); n++ {
		if isDate(g.s[i : i+n]) {
			g.part(i, n, costDate)
		}
	}
}

// longestCopies returns, for each byte of s, how much of what follows was there before it
// began, overlapping itself or not.
func longestCopies(s string) []int {
	longest := make([]int, len(s))
	row := make([]int, len(s)+1) // row[j]: how long s[i:] and s[j:] are the same
	for i := len(s) - 1; i >= 0; i-- {
		for j := range i {
			if s[i] == s[j] {
				row[j] = row[j+1] + 1
			} else {
				row[j] = 0
			}
			longest[i] = max(longest[i], row[j])
		}
	}
	return longest
}

// twist returns s with the letters that signs and digits stand in for; one is what 1 is.
func twist(s string, one byte) string {
	b := []byte(s)
	for i, c := range b {
		switch c {
		case '@', '4':
			b[i] = 'a'
		case '8':
			b[i] = 'b'
		case '(', '<':
			b[i] = 'c'
		case '3':
			b[i] = 'e'
		case '6', '9':
			b[i] = 'g'
		case '1', '!', '|':
			b[i] = one
		case '0':
			b[i] = 'o'
		case '$', '5':
			b[i] = 's'
		case '7', '+':
			b[i] = 't'
		case '2':
			b[i] = 'z'
		}
	}
	return string(b)
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isAlphanumeric(c byte) bool { return isDigit(c) || 'a' <= c && c <= 'z' }

func isYear(s string) bool {
	return len(s) == 4 && (s[:2] == "19" || s[:2] == "20") && isDigit(s[2]) && isDigit(s[3])
}

// isDate reports whether s is a day in one of the orders that people write, with signs
// between the numbers or without.
func isDate(s string) bool {
	fields := strings.FieldsFunc(s, func(c rune) bool { return strings.ContainsRune("/-. _", c) })
	if len(fields) == 1 {
		switch len(s) {
		case 6:
			fields = []string{s[:2], s[2:4], s[4:]}
		case 8:
			return isDay(s[:2], s[2:4], s[4:]) || isDay(s[4:6], s[6:], s[:4])
		}
	}
	if len(fields) != 3 {
		return false
	}
	return isDay(fields[0], fields[1], fields[2]) || isDay(fields[2], fields[1], fields[0])
}

// isDay reports whether a and b are day and month, in either order, and year is a year.
func isDay(a, b, year string) bool {
	d, m := number(a), number(b)
	return (isYear(year) || len(year) == 2 && number(year) >= 0) &&
		(1 <= d && d <= 31 && 1 <= m && m <= 12 || 1 <= m && m <= 31 && 1 <= d && d <= 12)
}

// number reads one or two digits; -1 for anything else.
func number(s string) int {
	n := 0
	for i := range len(s) {
		if !isDigit(s[i]) {
			return -1
		}
		n = 10*n + int(s[i]-'0')
	}
	if len(s) < 1 || len(s) > 2 {
		return -1
	}
	return n
}

// maxWord is how long the longest word of the lists may be, in bytes.
const maxWord = 24

// known is what guessers know.
type known struct {
	words     map[string]float32 // and what each costs
	keyboards [3]keyboard
	log       [2*MaxPassword + 1]float64 // of base 2
}

// A keyboard says where its keys are.
type keyboard [128]key

// A key is a place on a keyboard, from 1 on, or the way from one to another.
type key struct{ x, y int8 }

// isStep reports whether the way leads to a neighbour. Each row is half a key to the right of
// the one above.
func (k key) isStep() bool {
	switch k.y {
	case 0:
		return k.x == 1 || k.x == -1
	case -1:
		return k.x == 0 || k.x == 1
	case 1:
		return k.x == 0 || k.x == -1
	default:
		return false
	}
}

// dictionary returns the lists of common passwords, words and names, made ready once: that
// takes longer than all else here, and only those who choose passwords need it.
var dictionary = sync.OnceValue(func() *known {
	k := &known{words: make(map[string]float32, 94_000)}
	for n := range k.log {
		k.log[n] = math.Log2(float64(n))
	}
	for _, list := range frequency.FrequencyLists {
		for i, w := range list {
			if len(w) < minWord || len(w) > maxWord {
				continue
			}
			cost := float32(max(costWord, math.Log2(float64(i+1))))
			if there, ok := k.words[w]; !ok || cost < there {
				k.words[w] = cost
			}
		}
	}
	for i, rows := range [len(k.keyboards)][4]string{
		{"1234567890-=", "qwertyuiop[]", "asdfghjkl;'", "zxcvbnm,./"},
		{"1234567890", "qwertzuiop", "asdfghjkl", "yxcvbnm,.-"},
		{"1234567890", "azertyuiop", "qsdfghjklm", "wxcvbn,;:!"},
	} {
		for y, row := range rows {
			for x := range len(row) {
				k.keyboards[i][row[x]] = key{int8(x + 1), int8(y + 1)}
			}
		}
	}
	for i, c := range "!@#$%^&*()" { // the digits' row with shift, on the first
		k.keyboards[0][c] = k.keyboards[0]["1234567890"[i]]
	}
	return k
})
