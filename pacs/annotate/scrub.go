package annotate

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"neurotriage"
)

const mostWords = 300 // characters of a receiver's complaint

// scrub makes a receiver's words fit for logs and the worklist: short, on one
// line, and without the patient, whose identifier receivers like to quote.
func scrub(words string, p neurotriage.Patient) string {
	for _, secret := range secrets(p) {
		words = replaceFold(words, secret, "[patient]")
	}
	words = strings.Join(strings.FieldsFunc(words, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
	if utf8.RuneCountInString(words) > mostWords {
		words = string([]rune(words)[:mostWords-1]) + "…"
	}
	return words
}

// secrets are the words that name the patient, the longest first, since one may
// be part of another. Single letters would only spoil the text.
func secrets(p neurotriage.Patient) []string {
	var all []string
	whole := []string{p.Name, p.ID, p.BirthDate}
	parts := strings.FieldsFunc(p.Name, func(r rune) bool { return r == '^' || r == '=' || unicode.IsSpace(r) })
	for _, text := range append(whole, parts...) {
		if utf8.RuneCountInString(text) > 1 {
			all = append(all, text)
		}
	}
	if len(p.BirthDate) == 8 { // as FHIR writes it
		all = append(all, p.BirthDate[:4]+"-"+p.BirthDate[4:6]+"-"+p.BirthDate[6:])
	}
	return all
}

// replaceFold is strings.ReplaceAll without regard to case.
func replaceFold(text, old, replacement string) string {
	var out strings.Builder
	for rest := text; ; {
		at := indexFold(rest, old)
		if at < 0 {
			return out.String() + rest
		}
		out.WriteString(rest[:at] + replacement)
		rest = rest[at+len(old):]
	}
}

// indexFold compares bytes of the same number, which is true of the alphabets
// that identifiers are written in.
func indexFold(text, part string) int {
	for at := range len(text) - len(part) + 1 {
		if strings.EqualFold(text[at:at+len(part)], part) {
			return at
		}
	}
	return -1
}
