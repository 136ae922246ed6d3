package text

import (
	"bytes"
	_ "embed"
	"fmt"
	"strings"
	"time"
)

// A Locale is a language that pages and mails are written in, by its tag of BCP 47.
type Locale string

// The languages.
const (
	English Locale = "en"
	German  Locale = "de"
)

// Locales returns every language, English first.
func Locales() []Locale { return []Locale{English, German} }

//go:embed de.txt
var germanFile []byte

var german = mustRead(germanFile)

// translated returns the format in a language; its own if there is none.
func translated(l Locale, format string) string {
	if l == German {
		if s, ok := german[format]; ok {
			return s
		}
	}
	return format
}

func mustRead(file []byte) map[string]string {
	m, err := read(file)
	if err != nil {
		panic(err) // it is part of the program
	}
	return m
}

// read reads a catalogue: a line with the English format, and below it, behind a tab,
// its translation. Lines that begin with # and empty lines are passed over.
func read(file []byte) (map[string]string, error) {
	catalogue := map[string]string{}
	key, n := "", 0
	for line := range bytes.Lines(file) {
		n++
		s := strings.TrimRight(string(line), "\r\n")
		switch value, indented := strings.CutPrefix(s, "\t"); {
		case s == "" || strings.HasPrefix(s, "#"):
		case !indented && key == "":
			if _, ok := catalogue[s]; ok {
				return nil, fmt.Errorf("catalogue, line %d: %q is there twice", n, s)
			}
			key = s
		case indented && key != "" && value != "":
			catalogue[key], key = value, ""
		default:
			return nil, fmt.Errorf("catalogue, line %d: each text has one translation, on the line below it and behind a tab", n)
		}
	}
	if key != "" {
		return nil, fmt.Errorf("catalogue: %q has no translation", key)
	}
	return catalogue, nil
}

// moment writes a time for people.
func moment(l Locale, t time.Time) string { return date(l, t) + ", " + t.UTC().Format("15:04 MST") }

// date writes a day for people.
func date(l Locale, t time.Time) string {
	t = t.UTC()
	if l != German {
		return t.Format("2 January 2006")
	}
	month := [...]string{"Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November", "Dezember"}[t.Month()-1]
	return fmt.Sprintf("%d. %s %d", t.Day(), month, t.Year())
}
