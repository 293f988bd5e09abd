package dicomio

import (
	"regexp"
	"strings"
	"unicode"
)

// words are the words of a description, lower case, in order. Words that are
// written together with a change of case ("AxT1Post") stand in it both ways.
type words []string

func wordsOf(text string) words {
	split := strings.FieldsFunc(breakCamel(text), notOfWord)
	whole := strings.FieldsFunc(text, notOfWord)
	all := make(words, 0, len(split)+len(whole))
	for _, w := range append(split, whole...) {
		all = append(all, strings.ToLower(w))
	}
	return all
}

// notOfWord keeps the signs that carry meaning: "+C", "T2*", "w/o".
func notOfWord(r rune) bool {
	return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '+' && r != '*'
}

// breakCamel sets a blank where a lower case letter meets an upper case one.
func breakCamel(text string) string {
	var out strings.Builder
	var last rune
	for _, r := range text {
		if unicode.IsLower(last) && unicode.IsUpper(r) {
			out.WriteByte(' ')
		}
		out.WriteRune(r)
		last = r
	}
	return out.String()
}

// find gives the first word that the pattern matches wholly, or nothing.
func (w words) find(pattern *regexp.Regexp) string {
	for _, word := range w {
		if pattern.MatchString(word) {
			return word
		}
	}
	return ""
}

// whole makes a pattern that matches one of the alternatives and nothing else.
func whole(alternatives string) *regexp.Regexp {
	return regexp.MustCompile(`^(?:` + alternatives + `)$`)
}
