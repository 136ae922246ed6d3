package factor

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// A PasswordFault is why a password may not be chosen. There are no others: no rule asks for
// digits or signs (NIST SP 800-63B-4, 3.1.1.2).
type PasswordFault uint8

// The faults.
const (
	// ErrPasswordShort: fewer characters than MinPassword.
	ErrPasswordShort PasswordFault = 1 + iota
	// ErrPasswordLong: more bytes than MaxPassword.
	ErrPasswordLong
	// ErrPasswordUnreadable: it has characters that are none, or that keyboards don't have,
	// and might not be typed again.
	ErrPasswordUnreadable
	// ErrPasswordCommon: it is a known password, or is made of known ones, common words,
	// dates, repetitions and rows of keys in a way that is soon guessed.
	ErrPasswordCommon
	// ErrPasswordPersonal: what is known of the person is so much of it that the rest is
	// soon guessed.
	ErrPasswordPersonal
)

// Error says what is wrong. It never quotes the password.
func (f PasswordFault) Error() string {
	switch f {
	case ErrPasswordShort:
		return "password has too few characters"
	case ErrPasswordLong:
		return "password is too long"
	case ErrPasswordUnreadable:
		return "password has characters that can't be used"
	case ErrPasswordCommon:
		return "password is too common"
	case ErrPasswordPersonal:
		return "password is too close to what is known of the person"
	default:
		return "password can't be used"
	}
}

// minGuesses is how many guesses a password must take, as a power of two: years, at the rate
// that a [Backoff] lets anybody guess, and a while even for whoever has stolen the hashes.
const minGuesses = 30

// CheckNewPassword returns a [PasswordFault] if the password is not one to be chosen, and
// nil if it is. about is what anybody may know of the person: address, name, organization, the
// service. A password that merely has a word of it in it is not refused for that.
//
// It takes a few milliseconds at the most, whatever it is given.
func CheckNewPassword(password string, about ...string) error {
	normal, ok := normalizePassword(password)
	switch {
	case !ok:
		return ErrPasswordLong
	case !readable(normal):
		return ErrPasswordUnreadable
	case utf8.RuneCountInString(normal) < MinPassword:
		return ErrPasswordShort
	case guesses(normal, nil) < minGuesses:
		return ErrPasswordCommon
	case guesses(normal, wordsOf(about)) < minGuesses:
		return ErrPasswordPersonal
	default:
		return nil
	}
}

// readable reports whether s can be typed, and is the same with whatever version of Unicode
// it is normalized in years to come.
func readable(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, c := range s {
		assigned := unicode.In(c, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S, unicode.Zs, unicode.Cf)
		if !assigned || c == utf8.RuneError {
			return false
		}
	}
	return true
}

const (
	// maxAbout is how many words of what is known of a person are looked for, and maxAboutText
	// in how much of each text, in bytes.
	maxAbout     = 64
	maxAboutText = 320
)

// wordsOf returns the texts and their words, as they would be found in a password: each in
// lower case, alone and run together with its neighbours.
func wordsOf(about []string) []string {
	var words []string
	add := func(w string) {
		if utf8.RuneCountInString(w) >= minWord && len(words) < maxAbout {
			words = append(words, w)
		}
	}
	for _, text := range about {
		text = strings.ToLower(norm.NFKC.String(strings.ToValidUTF8(text[:min(len(text), maxAboutText)], "")))
		add(text)
		parts := strings.FieldsFunc(text, func(c rune) bool { return !unicode.IsLetter(c) && !unicode.IsNumber(c) })
		add(strings.Join(parts, ""))
		for i, p := range parts {
			add(p)
			if i > 0 {
				add(parts[i-1] + p)
				add(p + parts[i-1])
			}
		}
	}
	return words
}
